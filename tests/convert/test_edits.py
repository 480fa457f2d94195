"""strip, ema, reset, cast and average on real checkpoints of every layout."""

from __future__ import annotations

import json
import os
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import tfckpt
from helpers import EXAMPLE, SHARED, needs_shared
from tfckpt.convert.anatomy import read_anatomy
from tfckpt.convert.average import average
from tfckpt.convert.cast import cast
from tfckpt.convert.ema import ema
from tfckpt.convert.reset import reset
from tfckpt.convert.strip import strip
from tfckpt.core.arrays import array_output
from tfckpt.core.matching import side_of_source
from tfckpt.core.plan import Plan
from tfckpt.core.verify import verify
from tfckpt.core.writer import write_plan
from tfckpt.errors import (
    CheckpointNotFoundError,
    ChecksumError,
    MismatchError,
    UnsupportedError,
)
from tfckpt.format.dtypes import dtype_named
from tfckpt.train.state import update_checkpoint_state

OPTIMIZERS = SHARED / "fixtures" / "optimizers"
WEIGHTS = ["emb/embeddings", "dense_a/kernel", "dense_a/bias", "dense_b/kernel", "dense_b/bias"]


def layouts() -> list[Path]:
    """Every checkpoint of the optimizers' fixtures that holds a model."""
    return sorted(path.with_suffix("") for path in OPTIMIZERS.glob("*/*/**/*.index"))


def write(prefix, **arrays) -> str:
    outputs = [array_output(key.replace("__", "/"), np.asarray(array), dtype_named(
        np.asarray(array).dtype.name)) for key, array in arrays.items()]
    write_plan(Plan(tuple(outputs), "name-based"), str(prefix))
    return str(prefix)


def whole(prefix) -> bool:
    with tfckpt.open(prefix) as source:
        return verify(source).ok


def read(prefix) -> dict:
    with tfckpt.open(prefix) as source:
        return dict(source)


def steps_of(prefix: Path):
    folder = next(parent for parent in prefix.parents if (parent / "steps.npz").exists())
    return np.load(folder / "steps.npz")


def weights_of(prefix) -> dict:
    """The model's weights in a checkpoint, by the names that they have in steps.npz."""
    with tfckpt.open(prefix) as source:
        side = side_of_source(source)
        return {name: source[key] for key in side.heads for name in WEIGHTS
                if side.name(key).endswith(name)}


# ------------------------------------------------------------------------------------- strip

@needs_shared
@pytest.mark.parametrize("prefix", layouts(), ids=lambda path: "-".join(path.parts[-4:]))
def test_strip_keeps_every_model_tensor_and_drops_every_slot(prefix, tmp_path):
    report = strip(prefix, tmp_path / "slim")
    truth = steps_of(prefix)
    kept = weights_of(tmp_path / "slim")
    assert sorted(kept) == sorted(WEIGHTS)
    for name in WEIGHTS:
        assert np.array_equal(kept[name], truth[f"weights3/{name}"])
    with tfckpt.open(tmp_path / "slim") as source:
        after = read_anatomy(source)
        with tfckpt.open(prefix) as old:
            before = read_anatomy(old)
            slots = {key for optimizer in before.optimizers for slot, key in
                     optimizer.slots.items() if slot.name != "average"}
            values = {key for optimizer in before.optimizers for key in optimizer.values.values()}
        assert not (slots | values) & set(source)
        assert {item.key for item in report.plan.left_out} >= slots | values
        assert not any(optimizer.slots.keys() - {slot for slot in optimizer.slots
                                                 if slot.name == "average"}
                       for optimizer in after.optimizers)
    assert whole(tmp_path / "slim")


def test_strip_links_and_says_what_it_leaves(tmp_path):
    report = strip(EXAMPLE, tmp_path / "slim")
    assert report.plan.notes == ("14 of 21 tensors are dropped, 472 of 712 bytes",)
    assert next(file.how for file in report.files) != "new"
    before, after = read(EXAMPLE), read(tmp_path / "slim")
    assert sorted(after) == sorted(key for key in before
                                   if "Adam" not in key and "power" not in key)
    assert all(np.array_equal(after[key], before[key]) for key in after)


def test_strip_packs_what_is_kept(tmp_path):
    strip(EXAMPLE, tmp_path / "slim", data="pack")
    assert os.path.getsize(tmp_path / "slim.data-00000-of-00001") == 240
    assert whole(tmp_path / "slim")


def test_strip_of_nothing_but_state(tmp_path):
    write(tmp_path / "m", beta1_power=np.float32(0.9))
    with pytest.raises(UnsupportedError) as caught:
        strip(tmp_path / "m", tmp_path / "slim")
    assert str(caught.value) == f"the checkpoint has no model to keep (file {tmp_path / 'm'})"
    assert not (tmp_path / "slim.index").exists()


# --------------------------------------------------------------------------------------- ema

@needs_shared
@pytest.mark.parametrize("fixture", ["tf1.15/adam_ema/model.ckpt-3",
                                     "tf1.15/momentum_ema_debias/model.ckpt-3",
                                     "tf2.15/new_adam_ema/ckpt-1",
                                     "tf2.21/keras3_adam_ema/ckpt_both/ckpt-1"])
def test_averages_take_the_place_of_variables(fixture, tmp_path):
    prefix = OPTIMIZERS / fixture
    ema(prefix, tmp_path / "use", "use")
    ema(prefix, tmp_path / "drop", "drop")
    truth = steps_of(prefix)
    names = json.loads((next(p for p in prefix.parents if (p / "config.json").exists())
                        / "config.json").read_text())
    for name in WEIGHTS:
        if "ema_names" in names:
            average = truth["vars3/" + names["ema_names"][name]]
        else:
            place = next(n for n, title in enumerate(names["optimizer_variables"])
                         if "average" in title and name.replace("/", "_") in title.replace(
                             "/", "_").replace(":0", ""))
            average = truth[f"vars3/optimizer/{place:02d}"]
        assert np.array_equal(weights_of(tmp_path / "use")[name], average)
        assert np.array_equal(weights_of(tmp_path / "drop")[name], truth["weights3/" + name])
    for target in ("use", "drop"):
        assert whole(tmp_path / target)
        with tfckpt.open(tmp_path / target) as source:
            assert not [key for key in source if "ExponentialMovingAverage" in key]


def test_a_checkpoint_of_averages_only(tmp_path):
    write(tmp_path / "m", w__ExponentialMovingAverage=np.float32([1, 2]), step=np.int64(3))
    ema(tmp_path / "m", tmp_path / "use", "use")
    assert sorted(read(tmp_path / "use")) == ["step", "w"]


def test_variables_without_an_average_stay_and_are_told(tmp_path):
    write(tmp_path / "m", w=np.float32([1]), w__ExponentialMovingAverage=np.float32([2]),
          v=np.float32([3]))
    report = ema(tmp_path / "m", tmp_path / "use", "use")
    assert report.plan.notes == ("1 variables have the values of their moving averages now",
                                 "1 have no average and stay as they are: v")
    assert {key: array.tolist() for key, array in read(tmp_path / "use").items()} == {
        "v": [3], "w": [2]}


def test_no_averages(tmp_path):
    with pytest.raises(UnsupportedError, match="no moving averages"):
        ema(EXAMPLE, tmp_path / "use", "use")


# ------------------------------------------------------------------------------------- reset

@needs_shared
@pytest.mark.parametrize("prefix", [path for path in layouts() if path.parts[-2] != "sgd"],
                         ids=lambda path: "-".join(path.parts[-4:]))
def test_reset_keeps_weights_and_zeroes_the_rest(prefix, tmp_path):
    with tfckpt.open(prefix) as source:
        before = read_anatomy(source)
    reset(prefix, tmp_path / "fresh")
    truth = steps_of(prefix)
    for name, array in weights_of(tmp_path / "fresh").items():
        assert np.array_equal(array, truth["weights3/" + name])
    with tfckpt.open(tmp_path / "fresh") as source:
        assert set(source) == set(tfckpt.open(prefix))
        for optimizer in before.optimizers:
            for slot, key in optimizer.slots.items():
                if slot.name != "average":
                    assert np.unique(source[key]).size == 1, key
            if "iterations" in optimizer.values:
                assert source[optimizer.values["iterations"]] == 0
            if "beta1_power" in optimizer.values:
                assert source[optimizer.values["beta1_power"]] == np.float32(0.9)
    assert whole(tmp_path / "fresh")


def test_reset_of_the_step_alone(tmp_path):
    reset(EXAMPLE, tmp_path / "fresh", optimizer=False, step=100)
    before, after = read(EXAMPLE), read(tmp_path / "fresh")
    assert after.pop("global_step") == 100
    assert all(np.array_equal(after[key], before[key]) for key in after)


def test_nothing_to_reset(tmp_path):
    write(tmp_path / "m", w=np.float32([1]))
    with pytest.raises(UnsupportedError, match="the checkpoint has no optimizer state to reset"):
        reset(tmp_path / "m", tmp_path / "fresh")
    with pytest.raises(UnsupportedError, match="the checkpoint has no counter of steps to reset"):
        reset(tmp_path / "m", tmp_path / "fresh", optimizer=False, step=1)


# -------------------------------------------------------------------------------------- cast

@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_cast_rounds_as_numpy_does(dtype, tmp_path):
    rng = np.random.default_rng(0)
    values = {"f8": rng.normal(size=(7, 5)) * 1e3, "f4": rng.normal(size=9).astype(np.float32),
              "f2": rng.normal(size=3).astype(np.float16), "empty": np.zeros((0, 3), np.float32),
              "b": rng.normal(size=3).astype(ml_dtypes.bfloat16), "i": np.int64([1, 2]),
              "scalar": np.float32(0.9)}
    write(tmp_path / "m", **values)
    cast(tmp_path / "m", tmp_path / "out", dtype)
    with tfckpt.open(tmp_path / "out") as source:
        for key, array in values.items():
            expected = array if key == "i" else np.asarray(array).astype(
                dtype_named(dtype).numpy())
            assert source[key].dtype == expected.dtype
            assert source[key].tobytes() == expected.tobytes()


def test_what_does_not_fit_is_counted(tmp_path):
    write(tmp_path / "m", w=np.float32([1e6, -1e6, np.inf, 1e-10, 0, 1]), v=np.float32([1e-10]),
          u=np.float32([1]))
    report = cast(tmp_path / "m", tmp_path / "out", "float16")
    assert report.plan.notes == (
        "3 tensors become float16",
        "2 numbers are too large for float16 and became infinite, 2 too small and became zero,"
        " in 2 tensors: w (2 and 1), v (0 and 1)")


def test_cast_takes_some_and_leaves_others(tmp_path):
    cast(EXAMPLE, tmp_path / "out", "float16", include="^dense/", exclude="bias",
         skip_optimizer=True)
    with tfckpt.open(tmp_path / "out") as source:
        assert [key for key, entry in source.index.items()
                if entry.dtype.name == "float16"] == ["dense/kernel"]


def test_cast_of_a_damaged_tensor_writes_nothing(tmp_path):
    write(tmp_path / "m", w=np.float32([1, 2]))
    data = tmp_path / "m.data-00000-of-00001"
    data.write_bytes(b"\1" + data.read_bytes()[1:])
    with pytest.raises(ChecksumError, match="the tensor's bytes are damaged"):
        cast(tmp_path / "m", tmp_path / "out", "float16")
    assert sorted(os.listdir(tmp_path)) == ["m.data-00000-of-00001", "m.index"]


@needs_shared
def test_cast_of_slices_and_of_the_other_byte_order(tmp_path):
    for fixture in ("formats/tf2.21/big_endian/big", "optimizers/tf1.15/adam_partitioned"):
        prefix = SHARED / "fixtures" / fixture
        if fixture.startswith("formats"):
            prefix = next(prefix.parent.glob("*.index")).with_suffix("")
        cast(prefix, tmp_path / "out", "float64", overwrite=True)
        before, after = tfckpt.open(prefix), tfckpt.open(tmp_path / "out")
        for key, entry in before.index.items():
            if entry.dtype.name in ("float16", "bfloat16", "float32"):
                assert np.array_equal(after[key], before[key].astype(np.float64), equal_nan=True)


# ----------------------------------------------------------------------------------- average

def test_average_is_made_in_float64(tmp_path):
    rng = np.random.default_rng(1)
    arrays = [rng.normal(size=(300, 41)).astype(np.float32) for _ in range(5)]
    paths = [write(tmp_path / f"m-{n}", w=array, global_step=np.int64(10 * n), name=np.int32(n))
             for n, array in enumerate(arrays)]
    report = average(paths, tmp_path / "avg")
    with tfckpt.open(tmp_path / "avg") as source:
        assert np.array_equal(source["w"], sum(
            np.float64(a) * (1 / 5) for a in arrays).astype(np.float32))
        assert (source["global_step"], source["name"]) == (40, 4)
    assert report.plan.notes == (
        "averaged 5 checkpoints (steps 0, 10, 20, 30, 40); 1 float tensors averaged, 2 taken from"
        " the last, 0 of the optimizer dropped",)


def test_weights_count(tmp_path):
    paths = [write(tmp_path / f"m{n}", w=np.float32([n])) for n in (0, 4)]
    average(paths, tmp_path / "avg", weights=[1, 3])
    assert read(tmp_path / "avg")["w"].tolist() == [3]


def test_twins_count_once(tmp_path):
    paths = [write(tmp_path / f"m-{n}", w=np.float32([n]), global_step=np.int64(n))
             for n in (10, 20, 21)]
    report = average(paths, tmp_path / "avg")
    assert report.plan.notes[1:] == (
        "skipped m-21: step 21 is next to 20 of m-20 (--keep-twins takes it)",)
    assert read(tmp_path / "avg")["w"].tolist() == [15]
    average(paths, tmp_path / "avg", keep_twins=True, overwrite=True)
    assert read(tmp_path / "avg")["w"].tolist() == [17]


def test_the_last_of_a_folder(tmp_path):
    for n in (1, 5, 10, 20):
        write(tmp_path / "runs" / f"m-{n}", w=np.float32([n]), global_step=np.int64(n))
    average([tmp_path / "runs"], tmp_path / "avg", last=2)
    average(str(tmp_path / "runs"), tmp_path / "avg", last=2, overwrite=True)
    update_checkpoint_state(tmp_path / "runs", str(tmp_path / "runs" / "m-20"))
    with pytest.raises(UnsupportedError) as caught:  # a folder alone is its newest checkpoint
        average(tmp_path / "runs", tmp_path / "avg2")
    assert str(caught.value) == (
        "averaging takes two checkpoints at least: got 1\n"
        "Give several, or a folder and how many of its newest: --last 5 (last=5).")
    assert read(tmp_path / "avg")["w"].tolist() == [15]
    with pytest.raises(CheckpointNotFoundError, match="fewer whole checkpoints: expected 5, got 4"):
        average([tmp_path / "runs"], tmp_path / "avg2", last=5)


def test_checkpoints_of_different_models(tmp_path):
    a = write(tmp_path / "a", w=np.float32([1]), v=np.float32([1]))
    b = write(tmp_path / "b", w=np.float32([1, 2]), u=np.float32([1]))
    with pytest.raises(MismatchError) as caught:
        average([a, b], tmp_path / "avg")
    assert str(caught.value) == (
        f"the checkpoints don't have the same tensors (file {b})\n"
        f"  u of {a}: it isn't there\n  w of {a}: float32 [1] instead of float32 [2]")


@pytest.mark.parametrize("weights", [[1], [1, -1], [0, 0], [1, 2, 3]])
def test_weights_that_do_not_go_with_it(weights, tmp_path):
    a = write(tmp_path / "a", w=np.float32([1]))
    with pytest.raises(UnsupportedError, match="the weights don't go with the checkpoints"):
        average([a, a], tmp_path / "avg", weights=weights)


@needs_shared
@pytest.mark.parametrize("fixture", ["tf2.15/legacy_adam/ckpt-1", "tf2.15/new_adam/ckpt-1",
                                     "tf2.21/keras3_adam/ckpt_both/ckpt-1"])
def test_average_of_object_based_checkpoints(fixture, tmp_path):
    prefix = OPTIMIZERS / fixture
    average([prefix, prefix], tmp_path / "avg", keep_twins=True)
    assert whole(tmp_path / "avg")
    truth = steps_of(prefix)
    for name, array in weights_of(tmp_path / "avg").items():
        assert np.array_equal(array, truth["weights3/" + name])


# --------------------------------------------------------------------------- on every command

EDITS = {
    "strip": lambda src, dst, **more: strip(src, dst, **more),
    "reset": lambda src, dst, **more: reset(src, dst, **more),
    "cast": lambda src, dst, **more: cast(src, dst, "float16", **more),
    "average": lambda src, dst, **more: average([src, src], dst, keep_twins=True, **more),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_the_source_stays_and_a_dry_run_writes_nothing(edit, tmp_path):
    files = {path: path.read_bytes() for path in EXAMPLE.parent.iterdir()}
    assert edit(EXAMPLE, tmp_path / "out", dry_run=True).files == ()
    assert list(tmp_path.iterdir()) == []
    edit(EXAMPLE, tmp_path / "out")
    assert {path: path.read_bytes() for path in EXAMPLE.parent.iterdir()} == files
    with pytest.raises(FileExistsError):
        edit(EXAMPLE, tmp_path / "out")
    with pytest.raises(FileExistsError):
        edit(tmp_path / "out", tmp_path / "out", overwrite=True)
