"""The half of docs/guide.md that needs TensorFlow runs, and its table says what ran."""

from __future__ import annotations

import pytest
from live import live

from guide_blocks import COLUMNS, PAGE, TABLE_START, run_live, run_plain, table
from guide_truth import assert_restored_values, assert_tensorflows_values
from helpers import needs_shared


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """What each block with TensorFlow printed, by column of the table."""
    for environment, _ in COLUMNS.values():
        live(environment)  # skips without it
    return {column: run_live(column, tmp_path_factory.mktemp("guide")) for column in COLUMNS}


def test_the_table_says_what_ran(ran, tmp_path):
    """If it doesn't: python tools/make_guide_table.py, and look at the difference."""
    committed = TABLE_START + PAGE.read_text(encoding="utf-8").partition(TABLE_START)[2]
    assert committed == table(run_plain(tmp_path), ran)
    assert "|  |" not in committed


@needs_shared
@pytest.mark.parametrize("column", COLUMNS)
def test_values_are_those_that_tensorflow_printed(ran, column):
    outputs = [result["printed"] for result in ran[column]]
    has_estimator = not any(result["lacks"] == "tf.estimator" for result in ran[column])
    assert_tensorflows_values(outputs, lambda path: not path.startswith("{")
                              and (has_estimator or not path.startswith("est-")))
    assert_restored_values(outputs)
