from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tfckpt
from helpers import EXAMPLE, GOLDENS, ROOT, SHARED, golden_truths, needs_shared
from tfckpt.core import elements
from tfckpt.core.arrays import array_output
from tfckpt.core.bundle import BundleSource
from tfckpt.core.differences import Aside, Delta
from tfckpt.core.elements import Tally, Tolerance
from tfckpt.core.origin import Given, Part, Reuse, Sliced
from tfckpt.core.pairing import Names, pair_names
from tfckpt.core.plan import Output, Plan
from tfckpt.core.writer import write_plan
from tfckpt.errors import AmbiguousNamesError, ChecksumError, TensorNotFoundError
from tfckpt.format.bundle import HEADER_KEY
from tfckpt.format.dtypes import dtype_named
from tfckpt.format.objectgraph import Attribute, Node

NAN = math.nan
INF = math.inf


def write(prefix, tensors, dtypes=None):
    """A name-based checkpoint of these arrays; returns its prefix."""
    outputs = []
    for key, value in tensors.items():
        array = np.asarray(value)
        name = (dtypes or {}).get(key) or ("string" if array.dtype == object else array.dtype.name)
        outputs.append(array_output(key, array, dtype_named(name)))
    write_plan(Plan(tuple(outputs), "name-based"), str(prefix))
    return str(prefix)


def both(folder, a, b, **options):
    """The report on two checkpoints of these tensors."""
    return tfckpt.diff(write(folder / "a" / "m", a), write(folder / "b" / "m", b), **options)


def kinds(report):
    return {tensor.key: tensor.kind for tensor in report.tensors}


# What two arrays are to each other without any option, and their difference.
PAIRS = [
    ("equal", np.float32([1, 2]), np.float32([1, 2]), "same", None),
    ("one element", np.float32([1, 2, 4]), np.float32([1, 2, 5]), "values",
     Delta(3, 1, 1.0, 0.2, (2,))),
    ("place of the largest", np.float32([[1, 2, 3], [4, 5, 9]]), np.float32([[0, 2, 3], [4, 8, 9]]),
     "values", Delta(6, 2, 3.0, 1.0, (1, 1))),
    ("scalar", np.float64(1), np.float64(-1), "values", Delta(1, 1, 2.0, 2.0, ())),
    ("nothing in it", np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32), "same", None),
    ("nan and itself", np.float32([NAN, 1]), np.float32([NAN, 1]), "same", None),
    ("nan and a number", np.float32([NAN, 1]), np.float32([2, 1]), "values",
     Delta(2, 1, None, None, None, 1)),
    ("nan beside a difference", np.float32([NAN, 1]), np.float32([2, 3]), "values",
     Delta(2, 2, 2.0, 2 / 3, (1,), 1)),
    ("infinity and itself", np.float32([INF, -INF]), np.float32([INF, -INF]), "same", None),
    ("infinity and a number", np.float32([INF, 1]), np.float32([1, 1]), "values",
     Delta(2, 1, INF, INF, (0,))),
    ("zeros of both signs", np.float32([0.0]), np.float32([-0.0]), "values",
     Delta(1, 1, 0.0, 0.0, (0,))),
    ("overflow", np.float64([1.7e308]), np.float64([-1.7e308]), "values",
     Delta(1, 1, INF, INF, (0,))),
    ("int64 to the last bit", np.int64([2**63 - 1, 5]), np.int64([-2**63, 5]), "values",
     Delta(2, 1, 2**64 - 1, (2**64 - 1) / 2**63, (0,))),
    ("int64 beyond float64", np.int64([2**53]), np.int64([2**53 + 1]), "values",
     Delta(1, 1, 1, 2**-53, (0,))),
    ("uint64", np.uint64([0]), np.uint64([2**64 - 1]), "values",
     Delta(1, 1, 2**64 - 1, 1.0, (0,))),
    ("int8", np.int8([-128, 1]), np.int8([127, 1]), "values", Delta(2, 1, 255, 255 / 128, (0,))),
    ("bool", np.array([True, False]), np.array([True, True]), "values", Delta(2, 1, 1, 1.0, (1,))),
    ("complex", np.complex64([3 + 4j]), np.complex64([0]), "values", Delta(1, 1, 5.0, 1.0, (0,))),
    ("complex128, the other half", np.complex128([1 + 2j]), np.complex128([1 + 3j]), "values",
     Delta(1, 1, 1.0, 1 / abs(1 + 3j), (0,))),
    ("bfloat16", np.array([1, 2], ml_dtypes.bfloat16), np.array([1, 2.5], ml_dtypes.bfloat16),
     "values", Delta(2, 1, 0.5, 0.2, (1,))),
    ("half", np.float16([1, 65504]), np.float16([1, -65504]), "values",
     Delta(2, 1, 131008.0, 2.0, (1,))),
    ("float8", np.array([1, 2], ml_dtypes.float8_e4m3fn),
     np.array([1, 2.5], ml_dtypes.float8_e4m3fn), "values", Delta(2, 1, 0.5, 0.2, (1,))),
    ("int4", np.array([-8, 7], ml_dtypes.int4), np.array([7, 7], ml_dtypes.int4), "values",
     Delta(2, 1, 15, 15 / 8, (0,))),
    ("strings", np.array([b"a", b"", b"\xff"], object), np.array([b"a", b"b", b"\xfe"], object),
     "values", Delta(3, 2)),
    ("equal strings", np.array(b"x", object), np.array(b"x", object), "same", None),
    ("shapes", np.float32([1, 2]), np.float32([[1, 2]]), "shape", None),
    ("dtypes, equal values", np.float32([1, 2]), np.float64([1, 2]), "dtype",
     Delta(2, 0)),
    ("dtypes, other values", np.float32([1, 1.5]), np.array([1, 2], ml_dtypes.bfloat16), "dtype",
     Delta(2, 1, 0.5, 0.25, (1,))),
    ("a string and a number", np.array(b"x", object), np.float32(1), "dtype", None),
]


@pytest.mark.parametrize(("a", "b", "kind", "delta"), [case[1:] for case in PAIRS],
                         ids=[case[0] for case in PAIRS])
def test_two_tensors(tmp_path, a, b, kind, delta):
    report = both(tmp_path, {"w": a}, {"w": b})
    tensor, = report.tensors
    assert tensor.kind == kind
    if delta is None or tensor.delta is None or delta.max_rel is None:
        assert tensor.delta == delta
    else:
        assert tensor.delta._replace(max_rel=None) == delta._replace(max_rel=None)
        assert tensor.delta.max_rel == pytest.approx(delta.max_rel)
        assert type(tensor.delta.max_abs) is type(delta.max_abs)
    assert report.same is (kind == "same")
    assert report.counts == {kind: 1}


def test_nan_of_other_bits_is_another_unless_any_nan_will_do(tmp_path):
    a = np.uint32([0x7FC00000, 0x3F800000]).view(np.float32)
    b = np.uint32([0x7FC00001, 0x3F800000]).view(np.float32)
    report = both(tmp_path, {"w": a}, {"w": b})
    assert report.tensors[0].delta == Delta(2, 1, None, None, None, 1)
    assert tfckpt.diff(report.a, report.b, equal_nan=True).same
    assert not tfckpt.diff(report.a, report.b, atol=1, rtol=1).same
    other = both(tmp_path / "number", {"w": np.float32([NAN])}, {"w": np.float32([1])},
                 equal_nan=True, atol=10)
    assert kinds(other) == {"w": "values"}


TOLERANCES = [
    ({"atol": 0.5}, "close"), ({"atol": 0.49}, "values"), ({"rtol": 0.2}, "close"),
    ({"rtol": 0.19}, "values"), ({"atol": 0.1, "rtol": 0.2}, "close"), ({"atol": 0}, "values"),
    ({}, "values"),
]


@pytest.mark.parametrize(("options", "kind"), TOLERANCES)
def test_tolerances_are_those_of_math_isclose(tmp_path, options, kind):
    report = both(tmp_path, {"w": np.float64([2, 7])}, {"w": np.float64([2.5, 7])}, **options)
    assert kinds(report) == {"w": kind}
    assert report.tensors[0].delta.max_abs == 0.5
    assert report.tensors[0].delta.n_differ == (kind == "values")
    assert math.isclose(2, 2.5, abs_tol=options.get("atol", 0),
                        rel_tol=options.get("rtol", 0)) is (kind == "close")
    assert report.same is (kind == "close")


def test_a_tolerance_makes_zeros_equal_and_never_infinities(tmp_path):
    a = {"zero": np.float32([0.0]), "inf": np.float32([INF]), "int": np.int32([7])}
    b = {"zero": np.float32([-0.0]), "inf": np.float32([1]), "int": np.int32([8])}
    report = both(tmp_path, a, b, atol=1, rtol=1)
    assert kinds(report) == {"inf": "values", "int": "close", "zero": "close"}


def test_dtypes_can_be_ignored_and_nothing_gets_lost_on_the_way(tmp_path):
    a = {"half": np.float16([1, 2]), "big": np.int64([2**53, 2**53]), "mixed": np.int64([5, -1]),
         "int": np.int32([3]), "complex": np.complex64([1])}
    b = {"half": np.float32([1, 2]), "big": np.float64([2**53, 2**53]),
         "mixed": np.uint64([5, 2**64 - 1]), "int": np.float32([3]), "complex": np.float32([1])}
    report = both(tmp_path, a, b, ignore_dtype=True)
    assert kinds(report) == {"big": "same", "complex": "same", "half": "same", "int": "same",
                             "mixed": "values"}
    assert report.of("values")[0].delta == Delta(2, 1, 2.0**64, 1.0, (1,))
    close = both(tmp_path / "close", {"w": np.int64([2**53 + 1])}, {"w": np.float64([2**53])},
                 ignore_dtype=True)
    assert kinds(close) == {"w": "values"}
    assert set(kinds(tfckpt.diff(report.a, report.b)).values()) == {"dtype"}


def test_big_tensors_are_compared_piece_by_piece(tmp_path):
    a = np.arange(5 << 20, dtype=np.float32)  # 20 MiB: chunks of 8, blocks of 64 Ki elements
    b = a.copy()
    b[[0, 70_000, 3_000_000, -1]] += np.float32([1, 2, 1024, 512])
    report = both(tmp_path, {"w": a.reshape(5, -1)}, {"w": b.reshape(5, -1)})
    delta = report.tensors[0].delta
    assert (delta.n_elements, delta.n_differ, delta.max_abs) == (5 << 20, 4, 1024.0)
    assert delta.at == divmod(3_000_000, 1 << 20)
    other = both(tmp_path / "dtypes", {"w": a}, {"w": b.astype(np.float64)}, ignore_dtype=True)
    assert other.tensors[0].delta._replace(at=None) == delta._replace(at=None)


def test_a_sliced_tensor_equals_the_same_in_one_piece(tmp_path):
    whole = np.arange(12, dtype=np.float32).reshape(4, 3)
    dtype = dtype_named("float32")
    parts = tuple(Part(((start, 2), (0, None)),
                       Given(np.ascontiguousarray(whole[start:start + 2]).tobytes(), None))
                  for start in (0, 2))
    sliced = str(tmp_path / "sliced")
    write_plan(Plan((Output("w", dtype, (4, 3), Sliced(parts)),), "name-based"), sliced)
    plain = write(tmp_path / "plain", {"w": whole})
    assert tfckpt.diff(sliced, plain).counts == {"same": 1}
    assert tfckpt.diff(sliced, plain, quick=True).counts == {"same": 1}
    changed = whole.copy()
    changed[3, 1] += 1
    other = write(tmp_path / "other", {"w": changed})
    for report in (tfckpt.diff(sliced, other), tfckpt.diff(other, sliced)):
        assert report.tensors[0].delta == Delta(12, 1, 1.0, 1 / 11, (3, 1))
    write_plan(Plan((Output("w", dtype, (4, 3), Sliced((parts[0], parts[1]._replace(
        origin=Given(changed[2:].tobytes(), None))))),), "name-based"), str(tmp_path / "cut"))
    # The entry of a sliced tensor has no checksum that could be believed.
    assert tfckpt.diff(sliced, tmp_path / "cut", quick=True).counts == {"values": 1}


@needs_shared
def test_byte_order_is_no_difference():
    big = SHARED / "fixtures" / "formats" / "tf2.21" / "big_endian" / "numbers"
    with tfckpt.open(big) as source:
        assert source.byte_order == "big"
        tensors = {key: source[key] for key in source}
        names = {key: source.index[key].dtype.name for key in source}
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        little = write(f"{folder}/m", tensors, names)
        assert set(tfckpt.diff(big, little).counts) == {"same"}
        assert set(tfckpt.diff(little, big, quick=True).counts) == {"same"}


@pytest.mark.parametrize("prefix", [prefix for prefix, _ in golden_truths()])
def test_a_checkpoint_is_the_same_as_itself(prefix):
    report = tfckpt.diff(prefix, prefix)
    assert set(report.counts) == {"same"}
    assert (report.aside, report.hints) == ((), ())


def damage(prefix, offset):
    """Change a byte of the first data file."""
    file = Path(prefix + ".data-00000-of-00001")
    data = bytearray(file.read_bytes())
    data[offset] ^= 0xFF
    file.write_bytes(data)


@pytest.mark.parametrize("size", [4, 100_000])
def test_damage_is_no_difference_but_trouble_and_spoils_no_other_tensor(tmp_path, size):
    tensors = {"a": np.ones(size, np.float32), "b": np.zeros(3, np.float32)}
    report = both(tmp_path, tensors, tensors)
    damage(report.b, 1)
    report = tfckpt.diff(report.a, report.b)
    assert kinds(report) == {"a": "unreadable", "b": "same"}
    assert not report.same
    error = report.tensors[0].error
    assert type(error) is ChecksumError
    assert (error.message, error.file, error.tensor) == (
        "the tensor's bytes are damaged: their checksum does not match",
        report.b + ".data-00000-of-00001", "a")


def test_equal_bytes_that_are_both_damaged_are_not_the_same(tmp_path):
    tensors = {"a": np.ones(4, np.float32)}
    report = both(tmp_path, tensors, tensors)
    damage(report.a, 1)
    damage(report.b, 1)
    assert kinds(tfckpt.diff(report.a, report.b)) == {"a": "unreadable"}


def test_quick_believes_checksums_and_reads_what_has_others(tmp_path):
    a = {"same": np.ones(4, np.float32), "other": np.ones(4, np.float32)}
    b = {"same": np.ones(4, np.float32), "other": np.float32([1, 1, 1, 2])}
    report = both(tmp_path, a, b, quick=True)
    assert kinds(report) == {"other": "values", "same": "same"}
    assert report.of("values")[0].delta == Delta(4, 1, 1.0, 0.5, (3,))
    damage(report.b, 1)  # in "same"; this is what quick doesn't see
    assert kinds(tfckpt.diff(report.a, report.b, quick=True))["same"] == "same"
    assert kinds(tfckpt.diff(report.a, report.b))["same"] == "unreadable"


class Counting(BundleSource):
    """A checkpoint that counts how often a tensor is read."""

    n_read = 0

    def stream(self, entry):
        self.n_read += 1
        return super().stream(entry)


def test_a_region_that_many_keys_have_is_read_once(tmp_path):
    """An index of a few bytes a key could else have a big file read thousands of times."""
    prefixes = []
    for name, value in (("a", 1), ("b", 2)):
        one = write(tmp_path / name / "one", {"w": np.full(1 << 15, value, np.float32)})
        with tfckpt.open(one) as source:
            entry = source.index["w"]
            outputs = [Output(f"k{n}", entry.dtype, entry.shape, Reuse(source, entry))
                       for n in range(50)]
            write_plan(Plan(tuple(outputs), "name-based"), str(tmp_path / name / "many"))
        prefixes.append(tmp_path / name / "many")
    with Counting(str(prefixes[0])) as a, Counting(str(prefixes[1])) as b:
        report = tfckpt.diff(a, b)
        assert {tensor.delta for tensor in report.tensors} == {
            Delta(1 << 15, 1 << 15, 1.0, 0.5, (0,))}
        assert report.counts == {"values": 50}
        assert (a.n_read, b.n_read) == (1, 1)


def test_a_missing_data_file_is_told_of_each_tensor(tmp_path):
    report = both(tmp_path, {"a": np.float32([1])}, {"a": np.float32([1])})
    os.remove(report.b + ".data-00000-of-00001")
    report = tfckpt.diff(report.a, report.b)
    assert kinds(report) == {"a": "unreadable"}
    assert report.tensors[0].error.message == "a data file of the checkpoint is missing"


# Names ----------------------------------------------------------------------------------------


def test_keys_that_one_side_lacks(tmp_path):
    report = both(tmp_path, {"x": np.float32(1), "y": np.float32(1)},
                  {"y": np.float32(1), "z": np.float32(1)})
    assert (report.only_a, report.only_b) == (["x"], ["z"])
    assert [tensor.keys for tensor in report.tensors] == [("x", None), ("y", "y"), (None, "z")]


@pytest.mark.parametrize("names", ["auto", "full-name", "path"])
def test_a_conversion_is_the_same_by_every_name(tmp_path, names):
    there, back = str(tmp_path / "tf2" / "ckpt"), str(tmp_path / "tf1" / "m")
    tfckpt.convert(EXAMPLE, there, to="tf2")
    tfckpt.convert(there, back, to="tf1", names=names)
    report = tfckpt.diff(EXAMPLE, there)
    assert report.counts == {"same": 21}
    assert report.aside == (
        Aside("b", "_CHECKPOINTABLE_OBJECT_GRAPH",
              "only object-based checkpoints have an object graph"),
        Aside("b", "save_counter/.ATTRIBUTES/VARIABLE_VALUE",
              "tf.train.Checkpoint's own count of saves"))
    assert tfckpt.diff(there, EXAMPLE, by="path").counts == {"same": 21}
    assert tfckpt.diff(there, EXAMPLE, by="name").counts == {"same": 21}
    assert tfckpt.diff(back, EXAMPLE, by="key").counts == {"same": 21}
    assert tfckpt.diff(there, EXAMPLE, by="key").counts == {"only-a": 21, "only-b": 21}


def test_a_variable_named_like_the_count_of_saves(tmp_path):
    one = write(tmp_path / "m", {"save_counter": np.int64(5)})
    tfckpt.convert(one, tmp_path / "ckpt", to="tf2")
    report = tfckpt.diff(one, tmp_path / "ckpt")
    assert report.counts == {"same": 1}
    assert [item.key for item in report.aside][1:] == ["save_counter/.ATTRIBUTES/VARIABLE_VALUE"]


@settings(max_examples=25)
@given(st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).filter(
    lambda name: name.encode() != HEADER_KEY and not name.startswith("\0")
    and not name.endswith(":0")),
    st.integers(-5, 5), min_size=1, max_size=6))
def test_any_names_survive_a_conversion(tmp_path_factory, tensors):
    folder = tmp_path_factory.mktemp("names")
    one = write(folder / "m", {key: np.int64(value) for key, value in tensors.items()})
    tfckpt.convert(one, folder / "ckpt", to="tf2")
    assert tfckpt.diff(one, folder / "ckpt").counts == {"same": len(tensors)}


@needs_shared
def test_save_weights_and_checkpoint_of_one_model_are_paired_by_full_names():
    folder = SHARED / "fixtures" / "optimizers" / "tf2.15" / "legacy_adam_decay"
    report = tfckpt.diff(folder / "ckpt-1", folder / "weights", ignore_optimizer=True)
    assert report.counts == {"same": 5, "only-a": 2}
    assert report.of("same")[0].keys == (
        "model/layer_with_weights-0/embeddings/.ATTRIBUTES/VARIABLE_VALUE",
        "layer_with_weights-0/embeddings/.ATTRIBUTES/VARIABLE_VALUE")
    reasons = {(item.side, item.reason) for item in report.aside}
    assert reasons == {(side, reason) for side in "ab"
                       for reason in ("optimizer", "it describes the optimizer too")}


class FakeSource:
    """Keys alone, for pairing; of objects if they have full names."""

    def __init__(self, full_names=None):
        self.style = "name-based" if full_names is None else "object-based"
        self.object_graph = tuple(
            Node(attributes=(Attribute("VARIABLE_VALUE", name, key),))
            for key, name in (full_names or {}).items())


def paired(a, b, by="auto", given=None, strip=("", ""), full_names=None):
    found = pair_names(Names(FakeSource(), a, strip[0]),
                       Names(FakeSource(full_names), b, strip[1]), by, given)
    return found.pairs, found.only_a, found.only_b


def test_pairing_prefers_what_is_certain_and_never_guesses():
    assert paired(["x", "y"], ["y:0", "z"]) == ([("y", "y:0")], ["x"], ["z"])
    assert paired(["x", "x:0"], ["x"], by="key") == ([("x", "x")], ["x:0"], [])
    assert paired(["x", "x:0", "y"], ["y:0"]) == ([("y", "y:0")], ["x", "x:0"], [])
    value = "/.ATTRIBUTES/VARIABLE_VALUE"
    assert paired(["x", "x:0"], ["x" + value]) == ([], ["x", "x:0"], ["x" + value])
    names = {f"net/{n}{value}": name for n, name in enumerate(["dense/w", "Variable_1", "", "x"])}
    assert paired(["x", "dense/w", "Variable_1"], list(names), full_names=names) == (
        [("x", "net/3" + value), ("dense/w", "net/0" + value)], ["Variable_1"],
        ["net/1" + value, "net/2" + value])
    assert paired(["x"], ["x:0"], by="key") == ([], ["x"], ["x:0"])
    assert paired(["m/x", "y"], ["x", "y"], strip=("m/", "")) == (
        [("m/x", "x"), ("y", "y")], [], [])
    assert paired(["x", "y"], ["x", "y"], given={"x": "y"}) == ([("x", "y")], ["y"], ["x"])


def test_a_prefix_that_leaves_two_tensors_with_one_name_is_refused(tmp_path):
    one = write(tmp_path / "m", {"m/x": np.float32(1), "x": np.float32(1)})
    with pytest.raises(AmbiguousNamesError) as caught:
        tfckpt.diff(one, one, strip_prefix_a="m/")
    assert str(caught.value) == (
        "several tensors of A have one name\n"
        "Pair them otherwise: --by key or --by path, --map FILE, or another prefix.")
    assert caught.value.groups == {"x": ["m/x", "x"]}


def test_a_map_pairs_leaves_out_and_tells_what_it_has_too_much(tmp_path):
    a = {"weights": np.float32(1), "junk": np.float32(2), "w": np.float32(3)}
    b = {"kernel": np.float32(1), "w": np.float32(3)}
    names = {"weights:0": "kernel", "junk": None, "ghost": "kernel", "w": "nobody", "gone": None}
    report = both(tmp_path, a, b, names=names)
    assert kinds(report) == {"weights": "same", "w": "same"}
    assert report.aside == (Aside("a", "junk", "the map leaves it out"),)
    assert report.hints == ("the map names tensors that aren't there: ghost in A, nobody in B,"
                            " gone in A",)
    with pytest.raises(AmbiguousNamesError, match="the map pairs a tensor twice"):
        tfckpt.diff(report.a, report.b, names={"weights": "kernel", "w": "kernel"})


def test_a_prefix_that_would_help_is_suggested(tmp_path):
    a = {"encoder/w": np.float32(1), "encoder/b": np.float32(1), "y": np.float32(1)}
    b = {"net/encoder/w": np.float32(1), "net/encoder/b": np.float32(1), "z": np.float32(1)}
    report = both(tmp_path, a, b)
    assert report.hints == ("2 of the tensors that only B has would have a partner with"
                            " --strip-prefix-2 net/",)
    assert tfckpt.diff(report.a, report.b, strip_prefix_b="net/").counts == {
        "same": 2, "only-a": 1, "only-b": 1}


def test_the_optimizer_can_stay_out_unless_the_map_names_it(tmp_path):
    a = {"w": np.float32(1), "w/Adam": np.float32(2), "w/Adam_1": np.float32(2),
         "beta1_power": np.float32(0.9)}
    report = both(tmp_path, a, {"w": np.float32(1), "m": np.float32(2)}, ignore_optimizer=True)
    assert kinds(report) == {"w": "same", "m": "only-b"}
    assert report.aside == tuple(Aside("a", key, "optimizer")
                                 for key in ("beta1_power", "w/Adam", "w/Adam_1"))
    named = tfckpt.diff(report.a, report.b, ignore_optimizer=True, names={"w/Adam": "m"})
    assert kinds(named) == {"w": "same", "w/Adam": "same"}


def test_the_object_graph_counts_only_where_keys_are_compared(tmp_path):
    graph = "_CHECKPOINTABLE_OBJECT_GRAPH"
    model = {"w": tfckpt.Variable([1.0]), "b": tfckpt.Variable([1.0])}
    one = tfckpt.Checkpoint(model=model).write(str(tmp_path / "one"))
    two = tfckpt.Checkpoint(model={"w": model["w"]}).write(str(tmp_path / "two"))
    assert kinds(tfckpt.diff(one, two))[graph] == "values"
    report = tfckpt.diff(one, two, by="path")
    assert graph not in kinds(report)
    assert [item.reason for item in report.aside] == [
        "tensors are compared by other names than the keys in it"] * 2


# In general ------------------------------------------------------------------------------------

FLOATS = st.one_of(st.floats(width=32), st.sampled_from([0.0, -0.0, NAN, INF, -INF, 1.0]))


@given(st.lists(st.tuples(FLOATS, FLOATS), max_size=12), st.booleans(),
       st.none() | st.floats(0, 10), st.none() | st.floats(0, 1), st.integers(1, 5))
def test_a_tally_is_what_an_element_by_element_look_finds(pairs, equal_nan, atol, rtol, block):
    a = np.array([a for a, _ in pairs], np.float32)
    b = np.array([b for _, b in pairs], np.float32)
    tally = Tally(dtype_named("float32"), dtype_named("float32"), Tolerance(atol, rtol, equal_nan))
    before, elements._BLOCK = elements._BLOCK, block
    try:
        tally.add(a.view(np.uint8), b.view(np.uint8))
    finally:
        elements._BLOCK = before
    n_differ = n_nan = 0
    largest = None
    for first, second in zip(a, b, strict=True):
        if first.tobytes() == second.tobytes() or (
                equal_nan and np.isnan(first) and np.isnan(second)):
            continue
        x, y = float(first), float(second)
        distance = abs(x - y)
        if math.isnan(distance):
            n_nan += 1
        else:
            largest = distance if largest is None else max(largest, distance)
        close = (atol is not None or rtol is not None) and math.isclose(
            x, y, abs_tol=atol or 0, rel_tol=rtol or 0)
        n_differ += not close
    delta = tally.delta((len(pairs),))
    assert (delta.n_differ, delta.n_nan, delta.max_abs) == (n_differ, n_nan, largest)
    if largest is not None:
        at = delta.at[0]
        assert abs(float(a[at]) - float(b[at])) == largest


NUMBERS = ["float32", "float64", "float16", "bfloat16", "int8", "int32", "int64", "uint8",
           "uint64", "bool", "int4", "float8_e5m2", "complex64"]


@given(st.sampled_from(NUMBERS), st.sampled_from(NUMBERS), st.binary(min_size=16, max_size=64),
       st.binary(min_size=16, max_size=64))
def test_any_bits_of_any_two_dtypes_can_be_compared_and_it_is_the_same_both_ways(
        name_a, name_b, bytes_a, bytes_b):
    a, b = dtype_named(name_a), dtype_named(name_b)
    n = min(len(bytes_a) // a.size, len(bytes_b) // b.size)
    first = np.frombuffer(bytes_a, np.uint8)[:n * a.size]
    second = np.frombuffer(bytes_b, np.uint8)[:n * b.size]
    there, back = Tally(a, b, Tolerance()), Tally(b, a, Tolerance())
    there.add(first, second)
    back.add(second, first)
    assert there.delta((n,)) == back.delta((n,))
    itself = Tally(a, a, Tolerance())
    itself.add(first, first)
    assert not itself.any_differ


@settings(max_examples=30)
@given(st.lists(st.dictionaries(st.sampled_from("abcdef"), st.sampled_from([
    np.float32([1, 2]), np.float32([1, 3]), np.float64([1, 2]), np.float32([[1, 2]]),
    np.array([b"x", b"y"], object)]), max_size=6), min_size=2, max_size=2))
def test_both_ways_round_the_report_is_the_same(tmp_path_factory, sides):
    folder = tmp_path_factory.mktemp("sides")
    a, b = (write(folder / name / "m", tensors) for name, tensors in zip("ab", sides, strict=True))
    there, back = tfckpt.diff(a, b), tfckpt.diff(b, a)
    assert there.same is back.same
    mirror = {"only-a": "only-b", "only-b": "only-a"}
    assert kinds(there) == {key: mirror.get(kind, kind) for key, kind in kinds(back).items()}
    assert {t.key: t.delta for t in there.tensors} == {t.key: t.delta for t in back.tensors}


def test_sources_that_are_open_stay_open_and_progress_ends_at_the_total(tmp_path):
    seen = []
    with tfckpt.open(EXAMPLE) as source:
        report = tfckpt.diff(source, EXAMPLE,
                             progress=lambda done, total: seen.append((done, total)))
        assert source["dense/kernel"].shape == (3, 4)
    assert report.same
    assert seen[-1] == (1424, 1424)
    assert all(first[0] <= second[0] for first, second in pairwise(seen))


def test_what_is_no_checkpoint_is_an_error(tmp_path):
    with pytest.raises(tfckpt.CheckpointNotFoundError, match="there is no checkpoint here"):
        tfckpt.diff(EXAMPLE, tmp_path / "nothing")
    with pytest.raises(TensorNotFoundError):
        tfckpt.open(EXAMPLE).index.resolve("nothing")


def test_equal_checkpoints_are_compared_without_numpy():
    code = (f"import sys, tfckpt; assert tfckpt.diff({str(EXAMPLE)!r}, {str(EXAMPLE)!r}).same;"
            " print('numpy' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          cwd=ROOT)
    assert done.stdout == "False\n"


def test_v1_and_v2_of_the_same_values(tmp_path):
    v1 = GOLDENS / "tf1.15" / "v1.ckpt"
    with tfckpt.open(v1) as source:
        tensors = {key: source[key] for key in source}
        names = {key: source.index[key].dtype.name for key in source}
    v2 = write(tmp_path / "m", tensors, names)
    assert set(tfckpt.diff(v1, v2).counts) == {"same"}
    assert set(tfckpt.diff(v2, v1, quick=True).counts) == {"same"}
    assert json.dumps(tfckpt.diff(v1, v1).counts)
    shutil.rmtree(tmp_path)
