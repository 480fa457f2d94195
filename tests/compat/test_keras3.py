"""Weights of Keras 2 in Keras 3 on every backend, and back; both of them are the judges."""

from __future__ import annotations

import numpy as np
import pytest

import tfckpt
from helpers import SHARED, needs_shared

MODELS = ("towers", "named_towers", "twins", "attention", "residual", "pieces", "kinds", "chain")
ZOO = SHARED / "fixtures" / "keras" / "tf2.15"
ZOO_NAMES = sorted(path.name for path in ZOO.iterdir()) if ZOO.is_dir() else []
OTHER_ORDERS = ("made in another order", "added in another order", "all in another order")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Folder of a model that Keras 2 saved, and what it computes; each is made once."""
    import live

    made = {}

    def save(model):
        if model not in made:
            folder = tmp_path_factory.mktemp(model)
            made[model] = folder, live.live("tf2.21")("save_old", "keras_snippets", model=model,
                                                      folder=folder)
        return made[model]

    return save


def far(got, wanted) -> float:
    return max(float(np.abs(np.array(a) - np.array(b)).max())
               for a, b in zip(got, wanted, strict=True))


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
    built, again, from_tf1 = torch_keras("train_with_callback", "keras_snippets", folder=tmp_path)
    assert far(again, built) == far(from_tf1, built) == 0
    assert far(tf221("load_old", "keras_snippets", model="named_towers",
                     path=tmp_path / "at-2"), built) < 1e-5
    with tfckpt.open(tmp_path / "at-2-tf1") as source:
        assert sorted(source) == [f"{layer}/{weight}" for layer in ("last", "left", "right")
                                  for weight in ("bias", "kernel")]
