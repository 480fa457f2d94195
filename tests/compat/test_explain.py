"""The texts that `tfckpt explain` knows are those that real TensorFlow and Keras print.

Each mistake in explain_snippets.py is made in TensorFlow, and what it says is explained. Every
text of the table is seen in one version at least, but for those in NOT_SEEN.
"""

from __future__ import annotations

import os

import live as live_module
import pytest

from tfckpt.core.diagnosis import diagnose
from tfckpt.report.explain import _pattern, find_explanation
from tfckpt.report.explanations import EXPLANATIONS

ALL = live_module.VERSIONS
TF2 = ("tf2.15", "tf2.21")

# mistake, versions, the explanation, facts that stand in the message ({} is the folder), and
# whether a look at model.ckpt in the folder says that the cause applies (... if there is no look)
CASES = [
    ("not_an_sstable", ALL, "not-an-sstable",
     {"path": "{}/model.ckpt.data-00000-of-00001"}, True),
    ("too_short", ALL, "too-short", {"path": "{}/epoch3.ckpt"}, True),
    ("no_matching_files", ALL, "missing-suffix", {"path": "{}/model.ckpt"}, True),
    ("path_is_not_there", ALL, "missing-suffix", {"path": "{}/ckpt-9"}, True),
    ("invalid_save_path", ALL, "invalid-save-path", {"path": "{}/model.ckpt-9"}, True),
    ("folder_without_state", ALL, "no-checkpoint-in-folder", {"path": "{}"}, True),
    ("data_missing", ALL, "data-file-missing",
     {"path": "{}/model.ckpt", "shard": "00000-of-00001"}, True),
    ("state_moved", ("tf1.15",), "state-file-is-stale", {"folder": "/old/place"}, ...),
    ("state_moved", TF2, "state-file-is-stale", {"path": "/old/place/model.ckpt-7"}, ...),
    ("save_path_is_none", ALL, "save-path-is-none", {}, ...),
    ("nothing_to_restore", ALL, "save-path-is-none", {}, ...),
    ("object_graph_not_found", ALL, "object-graph-not-found", {}, True),
    ("key_not_found", ALL, "key-not-found", {"key": "dense/weights"}, True),
    ("reader_has_no_tensor", ALL, "key-not-found", {"key": "dense/weights"}, True),
    ("assignment_without_tensor", ALL, "tensor-not-in-checkpoint",
     {"key": "dense/weights", "path": "{}/model.ckpt",
      "tensors": "{{'dense/kernel': [3], 'dense/bias': [3]}}"}, True),
    ("assignment_scopes", ALL, "tensor-not-in-checkpoint",
     {"key": "dense/ew/kernel", "name": "ew/kernel", "scope": "dense/",
      "path": "{}/model.ckpt"}, True),
    ("assignment_shapes", ALL, "shape-of-variable",
     {"name": "w:0", "shape": "(4,)", "key": "dense/kernel", "stored_shape": "[3]"}, True),
    ("shapes_by_saver", ALL, "shapes-assign", {"shape": "[4]", "stored_shape": "[3]"}, True),
    ("shapes_by_objects", TF2, "shapes-incompatible",
     {"stored_shape": "(3,)", "shape": "(4,)", "name": "Variable:0"}, True),
    ("shape_in_slice", ALL, "shape-and-slice",
     {"key": "dense/kernel", "shape": "[4]", "stored_shape": "[3]"}, True),
    ("dtypes_by_saver", ALL, "dtype-differs",
     {"key": "dense/kernel", "dtype": "int64", "stored_dtype": "float"}, True),
    ("data_too_short", ALL, "data-too-short", {}, True),
    ("data_damaged", ALL, "data-damaged",
     {"stored": "3251683198", "computed": "1802106786"}, True),
    ("index_damaged", ALL, "index-damaged", {"path": "{}/model.ckpt.index"}, True),
    ("nothing_but_root", TF2, "nothing-but-root", None, None),
    ("not_all_consumed", TF2, "unresolved-object", {"object": "(root).w", "rest": "{{"}, True),
    ("warned_at_the_end", TF2, "unresolved-object", {"object": "(root).w"}, True),
    ("object_not_in_file", TF2, "unmatched-objects", None, None),
    ("attributes_not_restored", TF2, "name-based-by-objects", None, True),
    ("keras_reads_tf_weights", ("tf2.21",), "keras3-tf-weights", {"path": "{}/weights"}, True),
    ("keras_loads_folder", ("tf2.21",), "keras3-tf-weights", {"path": "{}/saved"}, ...),
    ("keras_loads_folder", ("tf2.15",), "keras-saved-model-prior", {}, ...),
    ("keras_saves_tf_weights", ("tf2.21",), "keras3-filename", {"path": "{}/weights"}, ...),
    ("keras_legacy_optimizer", TF2, "keras-legacy-optimizer", {}, True),
    ("keras_layer_count", ALL, "keras-layer-count", {"n": "1", "n_stored": "2"}, ...),
    ("keras_layer_received_none", TF2, "keras-layer-variables", None, ...),
    ("keras_layer_shapes", TF2, "keras-layer-shapes", None, ...),
    ("keras_subclassed", ("tf1.15",), "keras-layer-count", {"n": "0", "n_stored": "1"}, ...),
    ("keras_subclassed", TF2, "keras-subclassed", {}, ...),
    ("missing_op", ALL, "op-kernel", None, ...),
    ("tpu_graph", ALL, "op-kernel", {"op": "TPUReplicatedInput"}, ...),
    ("two_of_one_name", ALL, "same-name-twice", {"name": "w"}, ...),
    ("nothing_to_save", ALL, "no-variables", {}, ...),
    ("no_estimators", ("tf2.21",), "no-estimator", {}, ...),
]

# Nothing here makes them: how older versions put it, and the general form of longer texts.
NOT_SEEN = {
    "Unresolved object in checkpoint: {object}",
}

_said: dict[str, set[str]] = {}


def prefix_in(folder):
    """The checkpoint that a mistake was made with."""
    for name in ("model.ckpt", "ckpt", "weights"):
        if os.path.exists(f"{folder}/{name}.index"):
            return f"{folder}/{name}"
    return None


@pytest.mark.parametrize(
    ("mistake", "version", "name", "facts", "applies"),
    [(mistake, version, *rest) for mistake, versions, *rest in CASES for version in versions],
    ids=[f"{case[0]}-{version}" for case in CASES for version in case[1]])
def test_what_tensorflow_says_is_explained(tmp_path, mistake, version, name, facts, applies):
    tf = live_module.live(version)
    text = tf(mistake, module="explain_snippets", folder=str(tmp_path))
    found = find_explanation(text)
    assert found is not None, text
    assert found.explanation.name == name, text
    if facts is not None:
        assert found.facts == {key: value.format(tmp_path) for key, value in facts.items()}
    _said.setdefault(version, set()).update(
        known for item in EXPLANATIONS for known in item.texts if _pattern(known).search(text))
    if applies is not ...:
        look = found.explanation.look
        path = found.facts.get("path") if look == "path" else prefix_in(tmp_path)
        assert diagnose(look, found.facts, path).applies is applies


def test_every_text_of_the_table_was_seen():
    if set(_said) != set(ALL):
        pytest.skip("needs every TensorFlow, and the tests above")
    known = {text for item in EXPLANATIONS for text in item.texts}
    assert known - set().union(*_said.values()) == NOT_SEEN
