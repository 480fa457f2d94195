"""docs/guide.md runs, and prints what TensorFlow printed in its own guide."""

from __future__ import annotations

import pytest

from guide_blocks import blocks, prints, run_plain
from guide_truth import assert_restored_values, assert_tensorflows_values
from helpers import needs_shared


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """What the blocks without TensorFlow print."""
    return run_plain(tmp_path_factory.mktemp("guide"))


def test_every_block_prints_what_the_guide_says(outputs):
    ours = [block for block in blocks() if not block.is_live]
    assert len(ours) >= 18
    for block, got in zip(ours, outputs, strict=True):
        assert prints(block, got), f"{block.code}\n{got}"


@needs_shared
def test_every_printed_value_is_the_one_that_tensorflow_printed(outputs):
    assert_tensorflows_values(outputs, lambda path: not path.startswith(("est-", "{")))


@needs_shared
def test_every_value_that_the_guide_restores_is_restored(outputs):
    assert_restored_values(outputs)
