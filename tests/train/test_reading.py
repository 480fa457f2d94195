from __future__ import annotations

import numpy as np
import pytest

import tfckpt
from helpers import EXAMPLE, GOLDENS


def test_behaviour_38_listing_gives_names_and_plain_lists_sorted():
    listed = tfckpt.list_variables(EXAMPLE)
    assert listed[:3] == [("beta1_power", []), ("beta2_power", []), ("block.1/w", [4, 4])]
    assert sorted(listed) == listed


def test_behaviour_39_the_reader_answers_presence_shapes_dtypes_and_values():
    reader = tfckpt.load_checkpoint(EXAMPLE)
    assert reader.has_tensor("dense/bias")
    assert not reader.has_tensor("dense/bias:0")
    assert reader.get_variable_to_shape_map()["dense/kernel"] == [3, 4]
    assert reader.get_variable_to_dtype_map()["global_step"].name == "int64"
    assert reader.get_tensor("dense/kernel").shape == (3, 4)
    assert len(reader.debug_string().splitlines()) == 21
    assert reader.debug_string().startswith("beta1_power (float32) []\n")


def test_scalars_come_as_tensorflow_gives_them():
    step = tfckpt.load_checkpoint(EXAMPLE).get_tensor("global_step")
    assert isinstance(step, np.int64)
    text = tfckpt.load_checkpoint(GOLDENS / "tf1.15" / "strings").get_tensor("scalar")
    assert text == b"text"
    assert isinstance(text, bytes)


def test_a_missing_tensor_is_a_key_error_with_the_nearest_names():
    with pytest.raises(KeyError) as caught:
        tfckpt.load_checkpoint(EXAMPLE).get_tensor("dense/bias:0")
    assert "Nearest: dense/bias" in str(caught.value)


def test_behaviour_4_a_folder_a_prefix_and_a_path_object_all_work():
    for path in (EXAMPLE, str(EXAMPLE), EXAMPLE.parent, f"file://{EXAMPLE}"):
        assert tfckpt.load_variable(path, "global_step:0") == 7
    assert tfckpt.latest_checkpoint(EXAMPLE.parent) == str(EXAMPLE)


def test_scripts_of_tensorflow_1_open_a_reader_by_its_old_name():
    reader = tfckpt.NewCheckpointReader(str(EXAMPLE))
    assert reader.get_variable_to_shape_map() == dict(tfckpt.list_variables(EXAMPLE))
    assert reader.get_tensor("global_step") == 7
    with pytest.raises(tfckpt.CheckpointNotFoundError):
        tfckpt.NewCheckpointReader(filepattern="nowhere/model.ckpt")
