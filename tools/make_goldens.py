"""Write the example and the golden checkpoints anew, with real TensorFlow.

The bytes of most are the same each time; those of ``state`` (a hash table's order) and of
``examples/tf1`` (an optimizer's sums) need not be.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
JOBS = [
    ("tf1.15", "examples/make_tf1_checkpoint.py", "examples/tf1"),
    ("tf1.15", "tools/golden_tf1.py", "tests/goldens/tf1.15"),
    ("tf2.21", "tools/golden_tf2.py", "tests/goldens/tf2.21"),
]


def main() -> None:
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore",
             "CUDA_VISIBLE_DEVICES": "-1"}
    for env, script, folder in JOBS:
        python = ROOT / ".envs" / env / "bin" / "python"
        if not python.exists():
            sys.exit(f"{script} needs .envs/{env}: run make envs")
        print(f"{env}: {folder}")
        subprocess.run([python, ROOT / script, ROOT / folder], check=True, env=quiet)


if __name__ == "__main__":
    main()
