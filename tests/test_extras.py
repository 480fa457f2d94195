"""What is said where a framework isn't installed: the line that installs it.

Each is asked for in a process that can't import it, wherever the tests run.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from helpers import EXAMPLE, ROOT

CASES = {
    "torch": ("import tfckpt.torch; tfckpt.torch.load",
              "tfckpt.torch needs PyTorch\nRun: pip install 'tfckpt[torch]'"),
    "jax": ("import tfckpt.jax; tfckpt.jax.load",
            "trees of JAX's need JAX\nRun: pip install 'tfckpt[jax]'"),
    "keras": ("import tfckpt.keras; tfckpt.keras.ModelCheckpoint",
              "tfckpt.keras.ModelCheckpoint needs Keras\nRun: pip install 'tfckpt[keras]' keras"),
    "tensorflow": ("import tfckpt.tensorflow.leaving",
                   "tfckpt.tensorflow needs TensorFlow\nRun: pip install 'tfckpt[tensorflow]'"),
    "h5py": ("from tfckpt.keras.h5 import open_h5; open_h5('model.h5')",
             "files of Keras need the package h5py\nRun: pip install 'tfckpt[keras]'"),
    "msgpack": ("import tfckpt; tfckpt.convert(EXAMPLE, 'out.msgpack', skip_optimizer=True)",
                "files of Flax need the package msgpack\nRun: pip install 'tfckpt[jax]'"),
    "orbax": ("import tfckpt; tfckpt.convert(EXAMPLE, 'out', to='orbax', skip_optimizer=True)",
              "checkpoints of Orbax need the package orbax-checkpoint\n"
              "Run: pip install 'tfckpt[orbax]'"),
}

PROGRAM = """
import sys
sys.modules[{package!r}] = None  # as if it weren't installed
EXAMPLE = {example!r}
try:
    {code}
except ImportError as error:
    print(type(error).__name__, str(error), sep="\\n")
"""


@pytest.mark.parametrize("package", CASES)
def test_a_missing_package_is_asked_for_by_the_line_that_installs_it(package, tmp_path):
    code, message = CASES[package]
    program = PROGRAM.format(package=package, example=str(EXAMPLE), code=code)
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, text=True,
                          capture_output=True, check=True, env={"PYTHONPATH": str(ROOT / "src")})
    assert done.stdout.strip() == f"MissingDependencyError\n{message}"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("code", "message"), [
    ("import tfckpt.torch; tfckpt.torch.lod", "module 'tfckpt.torch' has no attribute 'lod'"),
    ("import tfckpt.keras; tfckpt.keras.lod", "module 'tfckpt.keras' has no attribute 'lod'"),
    ("import tfckpt.jax; tfckpt.jax.lod", "module 'tfckpt.jax' has no attribute 'lod'"),
])
def test_a_wrong_name_is_no_missing_package(code, message):
    with pytest.raises(AttributeError, match=message):
        exec(code)


@pytest.mark.parametrize("function", ["load_weights", "save_weights"])
def test_what_is_no_keras_model_is_refused_without_keras_too(function):
    import tfckpt.keras

    with pytest.raises(tfckpt.VariableTypeError) as raised:
        getattr(tfckpt.keras, function)({}, "somewhere/ckpt")
    assert str(raised.value) == "this is no Keras 3 model: got dict"
