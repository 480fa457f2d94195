"""`Saver` and `init_from_checkpoint`, held against TensorFlow 1.15, 2.15 and 2.21."""

from __future__ import annotations

import os
import random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from saver_scripts import meant, play
from test_convert import NAMES, NUMBERS, packed, tensors

from helpers import files_of
from tfckpt.errors import CheckpointError, CheckpointWarning
from tfckpt.train.assignment import init_from_checkpoint
from tfckpt.train.getting import get_variable
from tfckpt.train.graphs import Graph
from tfckpt.train.initializers import fixed_size_partitioner, zeros_initializer
from tfckpt.train.modules import Module
from tfckpt.train.saver import Saver
from tfckpt.train.values import as_dtype
from tfckpt.train.variables import Variable

MODULE = "saver_snippets"


def variable_of(value, name="v", fill=True) -> Variable:
    """A variable from the form in which values travel; empty if it isn't to be filled."""
    dtype = as_dtype(value["dtype"])
    if value["dtype"] == "string":
        items = [bytes.fromhex(item) if fill else b"" for item in value["hex"]]
        array = np.array([*items, None], object)[:-1].reshape(value["shape"])
    else:
        data = bytes.fromhex(value["hex"])
        array = np.frombuffer(data if fill else bytes(len(data)), dtype.numpy())
        array = array.reshape(value["shape"])
    return Variable(array, dtype=dtype, name=name)


def variables_of(values, fill=True) -> dict:
    return {name: variable_of(value, fill=fill) for name, value in values.items()}


def packed_variables(variables) -> dict:
    """Values in the form in which they travel."""
    found = {}
    for name, variable in variables.items():
        array = variable.array
        data = ([item.hex() for item in array.reshape(-1)] if variable.dtype.name == "string"
                else array.tobytes().hex())
        found[name] = {"dtype": variable.dtype.name, "shape": list(array.shape), "hex": data}
    return found


def check_both_ways(folder, tf, cases, **options):
    """Save the same on both sides: equal files, and each restores the other's."""
    for name in ("ours", "theirs"):
        os.makedirs(folder / name)
    theirs = [{"prefix": str(folder / "theirs" / f"m{n}"), "tensors": values, **options}
              for n, values in enumerate(cases)]
    tf("save_all", MODULE, cases=theirs)
    ours = []
    for n, values in enumerate(cases):
        prefix = Saver(variables_of(values)).save(None, folder / "ours" / f"m{n}")
        assert files_of(theirs[n]["prefix"]) == files_of(prefix)
        ours.append({"prefix": prefix, "tensors": values})
        empty = variables_of(values, fill=False)
        Saver(empty).restore(None, theirs[n]["prefix"])
        assert packed_variables(empty) == values
    assert tf("restore_all", MODULE, cases=ours) == cases


def many_tensors(seed) -> dict:
    names = [*NAMES, *(f"layer_{n}/w" for n in range(30))]
    values = tensors(np.random.default_rng(seed), random.Random(seed).sample(names, len(names)))
    values["text"] = {"dtype": "string", "shape": [2, 2], "hex": ["00ff", "", "61" * 300, "c3a9"]}
    values["empty text"] = {"dtype": "string", "shape": [], "hex": [""]}
    values["big"] = {"dtype": "float32", "shape": [50, 20],
                     "hex": np.random.default_rng(seed).random(1000).astype("f4").tobytes().hex()}
    return values


@pytest.mark.parametrize("sharded", [False, True])
def test_files_are_those_that_tensorflow_writes_and_each_restores_the_others(
        tmp_path, tf, sharded):
    """Behaviours 7 and 9: whatever the order in which the variables are given."""
    check_both_ways(tmp_path, tf, [many_tensors(0), many_tensors(1)], sharded=sharded)


def test_a_list_is_saved_as_tensorflow_saves_it(tmp_path, tf):
    """Behaviour 9."""
    names = [name for name in NAMES if name.isascii()] + ["b", "B", "b_1", "a/b/c", "0"]
    values = tensors(np.random.default_rng(2), names)
    tf("save_all", MODULE, cases=[
        {"prefix": tmp_path / "theirs" / "m", "tensors": values, "as_list": True}])
    with Graph().as_default():
        saver = Saver([variable_of(value, name) for name, value in values.items()])
    assert files_of(str(tmp_path / "theirs" / "m")) == files_of(
        saver.save(None, tmp_path / "ours" / "m"))


dtypes = st.sampled_from([*NUMBERS, "string"])
shapes = st.lists(st.integers(0, 3), max_size=3)
names = st.text(alphabet="aB0_.-/Sé€ ", min_size=1, max_size=8)


def value_of(dtype, shape, data) -> dict:
    count = int(np.prod(shape, dtype=int))
    if dtype == "string":
        return {"dtype": dtype, "shape": shape, "hex": [data[:n % 5].hex() for n in range(count)]}
    wanted = as_dtype(dtype).numpy()
    numbers = np.frombuffer((data * (count // len(data) + 1))[:count], np.uint8)
    array = (numbers % 2 if dtype == "bool" else numbers).astype(wanted).reshape(shape)
    return {"dtype": dtype, "shape": shape, "hex": array.tobytes().hex()}


values_of_any_kind = st.builds(value_of, dtypes, shapes, st.binary(min_size=1, max_size=12))


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture,
                                                 HealthCheck.too_slow])
@given(st.lists(st.dictionaries(names, values_of_any_kind, min_size=1, max_size=8),
                min_size=4, max_size=8))
def test_any_variables_are_saved_and_restored_as_in_tensorflow(tmp_path_factory, tf, cases):
    check_both_ways(tmp_path_factory.mktemp("any"), tf, cases)


# What fits and what doesn't.


def ours_or_none(prefix, case):
    variables = {}
    for name, (dtype, shape) in case["variables"].items():
        value = np.full(shape, b"", object) if dtype == "string" else np.zeros(shape)
        kind = as_dtype(dtype)
        variables[name] = Variable(value if dtype == "string" else value.astype(kind.numpy()),
                                   dtype=kind)
    try:
        Saver(variables, reshape=case.get("reshape", False)).restore(None, prefix)
    except CheckpointError:
        return None
    return packed_variables(variables)


def test_the_same_restores_are_refused(tmp_path, tf):
    """Behaviours 12 and 13: dtypes, shapes, missing names, pouring into another shape."""
    prefix = Saver({"f": Variable(np.arange(6, dtype="f4").reshape(2, 3)), "i": Variable(1),
                    "s": Variable([b"a", b"b"])}).save(None, tmp_path / "m")
    kinds = [("float32", [2, 3]), ("float32", [3, 2]), ("float32", [6]), ("float32", [5]),
             ("float64", [2, 3]), ("int32", [2, 3]), ("float32", []), ("int32", []),
             ("int64", []), ("uint32", []), ("string", [2]), ("string", [2, 1])]
    cases = [{"variables": {name: kind}, "reshape": reshape} for name in ("f", "i", "s", "gone")
             for kind in kinds for reshape in (False, True)]
    cases.append({"variables": {"f": ("float32", [2, 3]), "gone": ("float32", [])}})
    theirs = tf("restore_or_not", MODULE, prefix=prefix, cases=cases)
    assert theirs == [ours_or_none(prefix, case) for case in cases]
    assert sum(found is not None for found in theirs) == 9


# Object-based checkpoints.


@pytest.mark.filterwarnings("ignore::tfckpt.errors.CheckpointWarning")
def test_object_based_checkpoints_are_restored_as_tensorflows_saver_does(tmp_path, tf221, tf):
    """Behaviour 17: by full names, slots included, or by keys; all of it or nothing."""
    import tfckpt

    prefix = tf221("save_objects", MODULE, prefix=tmp_path / "ckpt")
    with tfckpt.open(prefix) as source:
        known = {attribute.full_name: source.index[attribute.checkpoint_key]
                 for node in source.object_graph for attribute in node.attributes}
        known.update(source.index)
    assert {"dense/w", "dense/b", "shared", "twice", "text", "save_counter"} <= set(known)
    assert sum("/Adam" in name for name in known if name not in source.index) == 4
    kinds = {name: (entry.dtype.name, list(entry.shape)) for name, entry in known.items() if name}
    cases = [{"variables": {name: kind}} for name, kind in kinds.items()]
    cases += [{"variables": {name: kind for name, kind in kinds.items()
                             if (name in source.index) is by_key}} for by_key in (True, False)]
    cases += [{"variables": {"dense/w": kind}} for kind in (
        ("float64", [2, 2]), ("float32", [4]), ("float32", [2, 2]))]
    cases += [{"variables": {"dense/w": ("float32", [2, 2]), "gone": ("float32", [])}},
              {"variables": {"net/w": ("float32", [2, 2])}}]
    theirs = tf("restore_or_not", MODULE, prefix=prefix, cases=cases)
    assert theirs == [ours_or_none(prefix, case) for case in cases]
    assert [found is None for found in theirs[-5:]] == [True, True, False, True, True]
    assert sum(found is not None for found in theirs) == len(cases) - 4


def test_names_and_keys_can_be_mixed_here_but_not_in_tensorflow(tmp_path, tf221):
    prefix = tf221("save_objects", MODULE, prefix=tmp_path / "ckpt")
    case = {"variables": {"dense/b": ("int64", [2]), "one/.ATTRIBUTES/VARIABLE_VALUE":
                          ("float32", [])}}
    assert tf221("restore_or_not", MODULE, prefix=prefix, cases=[case]) == [None]
    assert ours_or_none(prefix, case) is not None


def test_a_name_that_two_variables_have_is_told(tmp_path, tf221):
    prefix = tf221("save_objects", MODULE, prefix=tmp_path / "ckpt")
    with pytest.warns(CheckpointWarning, match="has 2 variables named 'twice'"):
        ours = ours_or_none(prefix, {"variables": {"twice": ("float32", [])}})
    assert np.frombuffer(bytes.fromhex(ours["twice"]["hex"]), "f4") == 8


# Objects of the user's own.


class Values(Module):
    """Stores values under names of its own, as in saver_snippets.py."""

    def __init__(self, values):
        super().__init__()
        self.__dict__["values"] = {name: np.float32(value) for name, value in values.items()}

    def _serialize_to_tensors(self):
        return dict(self.values)

    def _restore_from_tensors(self, restored):
        self.__dict__["values"] = {name: float(value) for name, value in restored.items()}


def test_objects_are_stored_under_tensorflows_names(tmp_path, tf221):
    """Behaviour 16."""
    objects = {"one": {"value": 1.0}, "n/": {"-a/x": 2.0, ".b": 3.0, "a": 4.0}, "e": {"": 5.0}}
    variables = {"m": 6.0, "z": 7.0}
    tf221("save_values", MODULE, prefix=tmp_path / "theirs" / "m", objects=objects,
          variables=variables)
    held = {name: Values(values) for name, values in objects.items()}
    plain = {name: Variable(value) for name, value in variables.items()}
    prefix = Saver({**plain, **held}).save(None, tmp_path / "ours" / "m")
    assert files_of(str(tmp_path / "theirs" / "m")) == files_of(prefix)
    assert packed(prefix).keys() == {"m", "z", "onevalue", "n/-a.Sx", "n/..b", "n/a", "e"}
    zeros = {name: dict.fromkeys(values, 0.0) for name, values in objects.items()}
    assert tf221("restore_values", MODULE, prefix=prefix, objects=zeros) == objects
    empty = {name: Values(values) for name, values in zeros.items()}
    Saver(empty).restore(None, tmp_path / "theirs" / "m")
    assert {name: value.values for name, value in empty.items()} == objects


# Keeping and deleting.


def keep_here(parent, script, monkeypatch):
    monkeypatch.chdir(parent)
    step = Variable(0, dtype="int64", name="global_step")
    saver = Saver([step], **script["options"])

    def save(path, number, options):
        if number is not None:
            step.assign(number)
        return saver.save(None, path, None if number is None else step, **options)

    return play(save, saver, script)


def script_of(seed) -> dict:
    """Saves under the same and other names, with and without a step, in several folders."""
    rng = random.Random(seed)
    relative = seed % 2 == 0
    paths = ["run/m", "run/m", "run/n", "run/sub/m", "m"]
    saves = []
    for _ in range(8):
        options = {}
        if rng.random() < 0.2:
            options["latest_filename"] = "last"
        if rng.random() < 0.15:
            options["write_state"] = False
        saves.append([rng.choice(paths), rng.choice([None, 1, 2, 3, 12345678901]), options])
    return {"relative": relative, "saves": saves, "options": {
        "max_to_keep": rng.choice([None, 0, 1, 2, 3, 5]),
        "pad_step_number": rng.random() < 0.3, "save_relative_paths": rng.random() < 0.3}}


@pytest.mark.parametrize("seed", range(24))
def test_saves_in_a_row_leave_what_tensorflow_leaves(tmp_path, tf115, seed, monkeypatch):
    """Behaviours 7, 8 and 26 to 29: state files byte for byte, what is kept, what is returned."""
    script = script_of(seed)
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
    theirs = tf115("keep", MODULE, parent=tmp_path / "theirs", script=script)
    assert theirs == keep_here(tmp_path / "ours", script, monkeypatch)


# init_from_checkpoint.


STORED = {"x": 1.0, "y": 2.0, "a/x": 3.0, "a/y": 4.0, "a_1/x": 5.0, "a/b/x": 6.0,
          "w": np.arange(10, dtype="f4").reshape(5, 2), "a/w": np.ones((4, 2), "f4"),
          "i": np.int32(7)}


def plain(*names) -> list:
    return [[name, "float32", [], 0] for name in names]


def whole(name, parts, shape=(5, 2)) -> list:
    return [[name, "float32", list(shape), parts]]


def on(variables, pairs) -> dict:
    mapping = isinstance(pairs, dict)
    return {"variables": variables, "mapping": mapping,
            "pairs": [list(pair) for pair in (pairs.items() if mapping else pairs)]}


MAPS = [
    on(plain("n"), {"x": "n"}),
    on(plain("n/x"), {"a/x": "n/x"}),
    on(plain("n/x", "n/y", "n/b/x", "m"), {"a/": "n/"}),
    on(plain("n/x"), {"a/b/": "n/"}),
    on(plain("n/x", "n/a/y"), {"/": "n/"}),
    on(plain("x", "y", "a/x"), {"/": "/"}),
    on(plain("x", "b/x"), {"a/": "/"}),
    on(plain("n", "m"), {"x": {"variable": "n"}, "a/y": {"variable": "m"}}),
    on(plain("n/x", "n_1/unknown", "nx"), {"a/": "n/"}),
    on(plain("n/x", "m"), {"a/": "n/", "y": "m"}),
    on(plain("n/x"), {"a/": "n/", "y": "n/x"}),
    on(plain("n/x"), {"y": "n/x", "a/": "n/", "/": "n/"}),
    on(plain("v"), {"y": "v", "x": {"variable": "v"}}),
    on(plain("v"), {"x": "v", "a/y": {"variable": "v"}}),
    on([["v", "int32", [], 0]], {"i": "v"}),
    *(on(whole("n/w", parts), target) for parts in (1, 2, 3, 5) for target in (
        {"w": "n/w"}, {"w": {"parts": "n/w"}}, {"/": "n/"})),
    on(whole("w", 2, (4, 2)), {"a/": "/"}),
    on(whole("w", 2, (4, 2)) + plain("x"), {"a/": "/"}),
    # What both refuse.
    on(plain("n"), {"gone": "n"}),
    on(plain("n"), {"x": "gone"}),
    on(plain("n/x"), {"x": "n/"}),
    on(plain("n/x"), {"a": "n/"}),
    on(plain("n/x"), {"": "n/"}),
    on(plain("n/x"), {"a/": "n"}),
    on(plain("n/x"), {"a/": {"variable": "n/x"}}),
    on(plain("n/x", "n/gone"), {"a/": "n/"}),
    on(plain("n/x"), {"gone/": "n/"}),
    on(plain("n"), {"w": "n"}),
    on(plain("n/w"), {"/": "n/"}),
    on([["n", "float64", [], 0]], {"x": "n"}),
    on([["n", "int32", [], 0]], {"x": "n"}),
    on([["n/x", "int32", [], 0]], {"a/": "n/"}),
    on(whole("n", 2, (4, 2)), {"w": "n"}),
    on(whole("n", 2, (5, 3)), {"w": {"parts": "n"}}),
    on(plain("x", "y", "n"), {"x": "x", "y": "y", "gone": "n"}),
]

PAIRS = [
    on(plain("n", "m"), [("x", "n"), ("x", "m")]),
    on(plain("n/x", "m/x"), [("a/", "n/"), ("a/", "m/")]),
    on(plain("v"), [("y", "v"), ("x", "v")]),
    on(plain("v", "k"), [("x", {"variable": "v"}), ("x", "k"), ("y", "v")]),
    on(plain("v"), [("x", "v"), ("gone", "v")]),
]


def assign_here(prefix, case):
    with Graph().as_default():
        held = {}
        for name, dtype, shape, parts in case["variables"]:
            held[name] = get_variable(
                name, shape, dtype, zeros_initializer(),
                partitioner=fixed_size_partitioner(parts) if parts else None)

        pairs = [(key, meant(target, held)) for key, target in case["pairs"]]
        try:
            init_from_checkpoint(prefix, dict(pairs) if case["mapping"] else pairs)
        except CheckpointError:
            assert not any(np.any(variable.numpy()) for variable in held.values())
            return None
        return {name: variable.numpy().tolist() for name, variable in held.items()}


@pytest.fixture
def stored(tmp_path):
    return Saver({name: Variable(value) for name, value in STORED.items()}).save(
        None, tmp_path / "m")


def test_maps_load_and_refuse_what_they_do_in_tensorflow(stored, tf):
    """Behaviours 42 to 46."""
    cases = MAPS if tf.version == "tf1.15" else [*MAPS, *PAIRS]  # 1.15 takes no pairs
    theirs = tf("assign_all", MODULE, prefix=stored, cases=cases)
    for case, expected in zip(cases, theirs, strict=True):
        assert expected == assign_here(stored, case), case
    refused = [n for n, found in enumerate(theirs[:len(MAPS)]) if found is None]
    assert refused == list(range(len(MAPS) - 17, len(MAPS)))


@pytest.mark.parametrize(("case", "theirs", "ours"), [
    # A target that is no variable and no scope: TensorFlow takes what is before its last slash.
    (on(plain("n/x"), {"a/": "n/typo"}), {"n/x": 3.0}, None),
    # A scope without variables: TensorFlow loads nothing and says nothing.
    (on(plain("n/x"), {"a/": "typo/"}), {"n/x": 0.0}, None),
    # A name with "/part_" that is no part: TensorFlow asks the file for what is before it.
    (on(plain("n/x/part_time"), {"renamed/": "n/"}), None, {"n/x/part_time": 8.0}),
])
def test_where_maps_are_followed_otherwise_on_purpose(tmp_path, tf, case, theirs, ours):
    values = {**STORED, "renamed/x/part_time": 8.0}
    prefix = Saver({name: Variable(value) for name, value in values.items()}).save(
        None, tmp_path / "m")
    assert tf("assign_all", MODULE, prefix=prefix, cases=[case]) == [theirs]
    assert ours == assign_here(prefix, case)
