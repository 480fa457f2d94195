from __future__ import annotations

import os

import pytest
from hypothesis import settings

from helpers import EXAMPLE, ROOT, copy_checkpoint

# CI draws the same examples in each run, so that a failure there is a failure here.
settings.register_profile("ci", max_examples=100, deadline=None, derandomize=True)
settings.register_profile("dev", max_examples=200, deadline=None)
settings.register_profile("long", max_examples=20_000, deadline=None)
settings.load_profile(os.environ.get("TFCKPT_PROFILE", "ci" if "CI" in os.environ else "dev"))


@pytest.fixture(autouse=True, scope="session")
def _in_the_repository():
    """Examples in docstrings name files as seen from the repository."""
    before = os.getcwd()
    os.chdir(ROOT)
    yield
    os.chdir(before)


@pytest.fixture
def tf1(tmp_path):
    """Prefix of a copy of the TF1 checkpoint that the examples use."""
    return copy_checkpoint(EXAMPLE, tmp_path / "tf1")
