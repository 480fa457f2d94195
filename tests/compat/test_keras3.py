"""Weights of Keras 2 in Keras 3 on every backend, and back; both of them are the judges."""

from __future__ import annotations

import os
import shutil

import pytest

import tfckpt
from guide_blocks import blocks
from helpers import ROOT, SHARED, far, needs_shared

MODELS = ("towers", "named_towers", "twins", "attention", "residual", "pieces", "kinds", "chain")
ZOO = SHARED / "fixtures" / "keras" / "tf2.15"
ZOO_NAMES = sorted(path.name for path in ZOO.iterdir()) if ZOO.is_dir() else []
OTHER_ORDERS = ("made in another order", "added in another order", "all in another order")


@needs_shared
@pytest.mark.parametrize("name", ZOO_NAMES)
def test_every_model_of_the_zoo_computes_what_it_did(keras3, name):
    for version, file in (("tf2.15", "weights"), ("tf2.15", "ckpt-1"), ("tf2.21", "weights"),
                          ("tf2.15", "weights.h5")):
        prefix = ZOO.parent / version / name / file
        if file.endswith(".h5") and not prefix.exists():
            continue  # an adapted StringLookup can't be saved so
        worst = keras3("load_zoo", "keras_snippets", name=name, prefix=prefix,
                       zoo_folder=SHARED / "fixtures" / "make")
        assert worst < 1e-5, (version, file)


@needs_shared
def test_the_zoo_is_whole():
    assert len(ZOO_NAMES) == 18


@pytest.mark.parametrize("model", MODELS)
def test_other_models_from_all_that_keras_2_writes(saved, torch_keras, model):
    folder, wanted = saved(model)
    config = {} if model != "towers" else {"config": folder / "config of the old model.json"}
    for file in ("weights", "ckpt-1", "weights.h5", "saved_model", "whole.h5"):
        if model == "pieces" and file.endswith(".h5"):
            continue  # such files have no paths of attributes: see below
        found = torch_keras("load_new", "keras_snippets", model=model, path=folder / file,
                            **({} if file in ("saved_model", "whole.h5") else config))
        assert "outputs" in found, (file, found)
        assert far(found["outputs"], wanted) < 1e-5, file


@pytest.mark.parametrize("order", ["", *OTHER_ORDERS])
def test_layers_of_one_shape_are_told_by_the_old_config_or_not_at_all(saved, keras3, order):
    """The names are Keras's own, and a sum doesn't say which term came first."""
    folder, wanted = saved("towers")
    refused = keras3("load_new", "keras_snippets", model="towers", path=folder / "weights",
                     order=order)
    names = ["dense", "dense_1"]
    if order in ("made in another order", "added in another order"):
        names.reverse()  # they stand in the graph's order, whatever their counts
    left = [f"layer_with_weights-{n}/kernel layer_with_weights-{n}/bias" for n in (0, 1)]
    assert refused["error"] == (
        f"2 of 6 weights of functional were found (file {folder / 'weights'})\n"
        "  alike:   group 1, weights [5,4], [4]; which is which?\n"
        f"             {left[0]}   {names[0]}/kernel {names[0]}/bias\n"
        f"             {left[1]}   {names[1]}/kernel {names[1]}/bias\n"
        "Nothing was loaded. map={tensor: weight} names pairs (map_to_fill_in() of the error's"
        " report makes one to fill in); config=FILE, what to_json() of the old model gave, tells"
        " layers apart; trust_order=True takes them in order.")
    told = keras3("load_new", "keras_snippets", model="towers", path=folder / "weights",
                  order=order, config=folder / "config of the old model.json")
    assert far(told["outputs"], wanted) < 1e-5
    assert told["how"] == {"config": 6}


def test_names_that_people_gave_tell_layers_in_any_order(saved, torch_keras):
    folder, wanted = saved("named_towers")
    for order in ("", "other"):
        found = torch_keras("load_new", "keras_snippets", model="named_towers",
                            path=folder / "weights", order=order)
        assert far(found["outputs"], wanted) < 1e-5
        assert found["how"] == {"name": 6}


def test_a_graph_tells_query_value_and_key_but_not_against_the_counts(saved, torch_keras):
    folder, wanted = saved("attention")
    found = torch_keras("load_new", "keras_snippets", model="attention", path=folder / "weights")
    assert far(found["outputs"], wanted) < 1e-5
    assert found["how"] == {"order": 8}
    other = torch_keras("load_new", "keras_snippets", model="attention", path=folder / "weights",
                        order="made in another order")
    assert "which is which?" in other["error"]


def test_shortcuts_added_the_other_way_round_are_told_by_shapes(saved, torch_keras):
    """Or not at all; never wrongly."""
    folder, wanted = saved("residual")
    found = torch_keras("load_new", "keras_snippets", model="residual", path=folder / "weights",
                        order="added in another order")
    assert "error" in found or far(found["outputs"], wanted) < 1e-5
    found = torch_keras("load_new", "keras_snippets", model="residual", path=folder / "weights",
                        order="added in another order",
                        config=folder / "config of the old model.json")
    assert far(found["outputs"], wanted) < 1e-5


def test_a_map_and_trust_are_what_people_can_add(saved, torch_keras):
    folder, wanted = saved("towers")
    refused = torch_keras("load_new", "keras_snippets", model="towers", path=folder / "weights")
    lines = {key: options[2:].split(", ") for key, options in refused["map"].items()}
    assert lines["layer_with_weights-0/kernel"] == ["dense/kernel", "dense_1/kernel"]
    known = {key: options[int(key[19])] for key, options in lines.items()}
    found = torch_keras("load_new", "keras_snippets", model="towers", path=folder / "weights",
                        map=known)
    assert far(found["outputs"], wanted) < 1e-5
    assert found["how"] == {"map": 4, "order": 2}
    found = torch_keras("load_new", "keras_snippets", model="towers", path=folder / "weights",
                        trust_order=True)
    assert far(found["outputs"], wanted) < 1e-5
    assert found["how"] == {"order": 6}


def test_a_model_that_is_not_built_yet_gets_its_values_when_it_is(saved, keras3):
    folder, wanted = saved("pieces")
    found = keras3("load_new", "keras_snippets", model="pieces", path=folder / "weights",
                   order="not built")
    assert found["text"] == (f"whole isn't built yet; {folder / 'weights'} will be loaded when it"
                             " is built")
    assert found["after"] == "19 of 19 model weights loaded (11 by path, 8 by order)."
    assert far(found["outputs"], wanted) < 1e-5


def test_a_model_that_is_built_by_its_use_has_its_values_from_the_first_result_on(keras3, tmp_path):
    """`fit` and `predict` build in functions that are being traced, or where no value is kept."""
    found = keras3("built_by_use", "keras_snippets", folder=tmp_path)
    refused = [found.pop(f"{kind} refused") for kind in ("sequential", "own")]
    assert all(" weights of " in text for text in refused), refused
    assert [found.pop(f"{kind} after") for kind in ("sequential", "own")] == [[1, 1]] * 2
    assert found == {f"{kind} {use}": [True, True] for kind in ("sequential", "own")
                     for use in ("predict", "fit", "evaluate")}


def test_what_does_not_fit_is_a_table_and_nothing_is_loaded(saved, torch_keras):
    folder, _ = saved("chain")
    refused = torch_keras("load_new", "keras_snippets", model="named_towers",
                          path=folder / "weights")
    assert "which is which?" in refused["error"]
    assert refused["error"].startswith("2 of 6 weights of functional were found")


@pytest.mark.parametrize("model", MODELS)
def test_keras_2_consumes_what_keras_3_saved(tmp_path, torch_keras, tf2, model):
    wanted = torch_keras("save_new", "keras_snippets", model=model, folder=tmp_path)
    for got in tf2("restore_new", "keras_snippets", model=model, folder=tmp_path):
        assert far(got, wanted) < 1e-4


def test_a_checkpoint_of_keras_3_comes_back_into_keras_3(tmp_path, torch_keras):
    wanted = torch_keras("save_new", "keras_snippets", model="pieces", folder=tmp_path)
    found = torch_keras("load_new", "keras_snippets", model="pieces", path=tmp_path / "new-net")
    assert far(found["outputs"], wanted) < 1e-6


def test_a_callback_saves_every_format_while_it_trains(tmp_path, torch_keras, tf221):
    found = torch_keras("train_with_callback", "keras_snippets", folder=tmp_path)
    built, again, from_tf1 = found["outputs"]
    assert found["in the background"] == [True, True]
    assert found["told"] == ["cannot write in this folder: File exists", "nothing"]
    assert far(again, built) == far(from_tf1, built) == 0
    assert far(tf221("load_old", "keras_snippets", model="named_towers",
                     path=tmp_path / "at-2"), built) < 1e-5
    with tfckpt.open(tmp_path / "at-2-tf1") as source:
        assert sorted(source) == [f"{layer}/{weight}" for layer in ("last", "left", "right")
                                  for weight in ("bias", "kernel")]


def test_variables_of_every_backend_go_into_saver_and_checkpoint(tmp_path, keras3):
    found = keras3("in_a_saver", "keras_snippets", folder=tmp_path)
    refused = found.pop("refused")
    names = dict(found.pop("names"))
    assert {name: names[name] for name in ("net/dense/bias", "net/dense/kernel")} == {
        "net/dense/bias": [2], "net/dense/kernel": [3, 2]}
    assert sorted(name.partition("/")[0] for name in names) == ["adam"] * 6 + ["net"] * 2
    assert found == {"stored": True, "restored": [True] * 4, "background": [0.0, 0.0]}
    if refused[0] == "nothing was raised":  # TensorFlow's backend, whose objects these are too
        return
    model = ("Models of Keras 3 are saved by tfckpt.keras.save_weights. A Saver takes their"
             " variables: tfckpt.Saver(model.variables).")
    assert refused == [
        f"the root is nothing that a checkpoint can save: got Sequential\n{model}",
        f"this is nothing that a checkpoint can save: got model=Sequential\n{model}",
        "this is nothing that a checkpoint can save: got optimizer=Adam\nA Saver takes an"
        " optimizer's variables: tfckpt.Saver(optimizer.variables)."]


def test_what_is_written_later_are_the_values_of_the_call(tmp_path, torch_keras):
    assert torch_keras("written_later", "keras_snippets", folder=tmp_path) == [1.0, 1.0]


# ------------------------------------------------------------------------------------- options

def test_what_may_be_missing_unused_or_of_another_shape(saved, torch_keras):
    folder, wanted = saved("named_towers")
    path = folder / "weights"
    cases = {
        "missing": ("more", {}), "may be missing": ("more", {"allow_missing": True}),
        "norm may be": ("more", {"allow_missing": "norm/"}),
        "last may be": ("more", {"allow_missing": "last/"}),
        "unused": ("less", {}), "may be unused": ("less", {"allow_unused": True}),
        "last may be unused": ("less", {"allow_unused": "-2/"}),
        "norm may be unused": ("less", {"allow_unused": "norm"}),
        "shape": ("larger", {}), "skipped": ("larger", {"skip_mismatch": True}),
        "nothing": ("", {}), "everything": ("", {
            "allow_missing": True, "allow_unused": True, "skip_mismatch": True}),
    }
    found = dict(zip(cases, torch_keras("load_options", "keras_snippets", cases=[
        (path, variant, options) for variant, options in cases.values()]), strict=True))
    norm = [f"norm/{name}" for name in ("gamma", "beta", "moving_mean", "moving_variance")]
    last = ["last/kernel", "last/bias"]
    start = f"6 of 10 weights of functional were found (file {path})\n"
    for case in ("missing", "last may be"):
        assert found[case]["error"].startswith(
            start + "  missing: norm/gamma [4]: nothing in the checkpoint is like it\n")
        assert "allow_missing=True keeps the model's own values" in found[case]["error"]
    for case in ("may be missing", "norm may be"):
        assert found[case]["error"] is None
        assert found[case]["kept"] == norm
        assert found[case]["how"] == {"name": 6}
    for case in ("unused", "norm may be unused"):
        assert found[case]["error"].startswith(
            f"4 of 4 weights of functional were found (file {path})\n"
            "  unused:  layer_with_weights-2/bias: nothing in the model is like it\n"
            "  unused:  layer_with_weights-2/kernel: nothing in the model is like it\n")
        assert "allow_unused=True leaves tensors behind" in found[case]["error"]
    for case in ("may be unused", "last may be unused"):
        assert (found[case]["error"], found[case]["kept"]) == (None, [])
    assert found["shape"]["error"].startswith(
        f"4 of 6 weights of functional were found (file {path})\n"
        "  shape:   last/kernel [4,5]: layer_with_weights-2/kernel is [4,4]\n"
        "  shape:   last/bias [5]: layer_with_weights-2/bias is [4]\n")
    assert "skip_mismatch=True keeps values where shapes differ" in found["shape"]["error"]
    assert found["skipped"]["kept"] == last
    for case, result in found.items():
        if result["error"]:  # all of it was left as it was
            assert len(result["kept"]) == {"more": 10, "less": 4}.get(cases[case][0], 6), case
    for case in ("nothing", "everything"):
        assert far(found[case]["outputs"], wanted) < 1e-5


def test_root_says_which_of_two_models_it_is(tmp_path, torch_keras, tf221):
    wanted = tf221("save_two", "keras_snippets", folder=tmp_path)
    path = tmp_path / "two"
    refused, first, second, third = torch_keras("load_options", "keras_snippets", cases=[
        (path, "", {}), (path, "", {"root": "first"}), (path, "", {"root": "second"}),
        (path, "", {"root": "third"})])
    assert refused["error"] == (
        "several objects of the checkpoint may be the model: got first, second\n"
        "Say which with root=NAME.")
    assert far(first["outputs"], wanted[0]) < 1e-5
    assert far(second["outputs"], wanted[1]) < 1e-5
    assert third["error"] == (
        "the checkpoint holds no object of this name (tensor 'third')\n"
        "It has: first, second.")


def test_the_blocks_of_the_page_print_what_it_says(saved, tmp_path, torch_keras):
    folder, _ = saved("pieces")
    (tmp_path / "old").mkdir()
    for ending in (".index", ".data-00000-of-00001"):
        shutil.copy(folder / f"weights{ending}", tmp_path / "old" / f"ckpt{ending}")
    page = blocks((ROOT / "docs" / "keras.md").read_text(encoding="utf-8"))
    printed = torch_keras("run_page", "keras_snippets", blocks=[block.code for block in page],
                          folder=tmp_path)
    assert printed == [block.expected for block in page]
    assert len(page) == 3
    written = sorted(os.listdir(tmp_path / "new") + os.listdir(tmp_path / "run"))
    assert [name for name in written if name.endswith((".index", ".h5"))] == [
        "at-1-tf1.index", "at-1.index", "at-1.weights.h5", "net.index", "tf1.index", "tf2.index",
        "weights.index"]


def test_a_weight_whose_tensor_a_map_gives_away_is_missing(torch_keras, tmp_path):
    assert torch_keras("maps_that_take_a_tensor_away", "keras_snippets", folder=str(tmp_path)) == [
        "MismatchError: 1 of 2 weights of net were found (file FOLDER/net)\n"
        "  missing: b/kernel [2,2]: nothing in the checkpoint is like it\n"
        "Nothing was loaded. map={tensor: weight} names pairs (map_to_fill_in() of the error's"
        " report makes one to fill in); allow_missing=True keeps the model's own values.",
        "AmbiguousNamesError: the map has two tensors for one weight: got"
        " layer_with_weights-0/kernel for a/kernel, layer_with_weights-1/kernel for a/kernel",
        "UnsupportedError: there is no such style: expected keras2 or tf2 or tf1, got tf9"]
