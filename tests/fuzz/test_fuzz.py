"""A short run of the fuzzer over every target; tools/fuzz.py makes the long ones."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from mutations import mutate, mutate_rows
from targets import TARGETS, run

from helpers import ROOT
from tfckpt.format.table import encode_table, parse_table

SMALL = [name for name in TARGETS if " of " not in name and "file" not in name]


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_makes_something_of_a_seed(name):
    """A target that refuses everything would find nothing."""
    assert any(run(name, seed) for seed in TARGETS[name].seeds())


@pytest.mark.parametrize("name", TARGETS)
def test_nearly_right_bytes_give_a_result_or_an_error(name):
    target = TARGETS[name]
    seeds = target.seeds()
    for n in range(200):
        rng = random.Random(f"test/{name}/{n}")
        run(name, (mutate_rows if target.rows else mutate)(rng, rng.choice(seeds), seeds))


@pytest.mark.parametrize("name", SMALL)
@given(data=st.binary(max_size=200))
def test_any_bytes_give_a_result_or_an_error(name, data):
    run(name, data)


def test_rows_are_changed_under_right_checksums():
    table = TARGETS["rows of tf1.15/names"].seeds()[0]
    changed = {mutate_rows(random.Random(n), table, [table]) for n in range(50)}
    assert len(changed) > 40
    for data in changed:
        assert encode_table(parse_table(data)) == data


def test_the_tool_runs_and_finds_what_is_wrong(tmp_path):
    """Also the limits: an input that takes too long, or too much memory, is a finding."""
    script = f"""
import sys
sys.argv = ["fuzz.py", "--mutations", "12", "--jobs", "1", "--findings", {str(tmp_path)!r}]
sys.path.insert(0, {str(ROOT / "tools")!r})
import fuzz
fuzz.SECONDS = 0.2
seed = [b"abc"]
def hang(data):
    while len(data) > 0 or True:
        pass
bad = {{
    "crash": lambda data: 1 / 0,
    "slow": hang,
    "large": lambda data: bytearray(1 << 29),
    "good": len,
}}
fuzz.TARGETS.clear()
started = []
class Once:
    def __init__(self, f): self.f = f
    def __call__(self, data):
        return self.f(data) if data != b"abc" else None
for name, f in bad.items():
    fuzz.TARGETS[name] = type("T", (), {{"seeds": staticmethod(lambda: seed), "rows": False,
                                        "run": Once(f)}})
sys.exit(fuzz.main())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                          check=False, timeout=120)
    assert done.returncode == 1, done.stderr
    for name, error in (("crash", "ZeroDivisionError"), ("slow", "TooSlow"),
                        ("large", "MemoryError")):
        assert f"{name}, mutation 0: {error}" in done.stdout
    assert "good, mutation" not in done.stdout
    assert list(tmp_path.iterdir())
