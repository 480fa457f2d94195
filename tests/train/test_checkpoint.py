"""Saving and restoring structures of objects, without TensorFlow.

tests/compat/test_restore.py holds the same against TensorFlow itself; what a status says is in
test_status.py.
"""

from __future__ import annotations

import copy
import gc
import os
import warnings
import weakref
from pathlib import Path

import numpy as np
import pytest

import tfckpt
from helpers import SHARED, files_of, needs_shared, net
from tfckpt.core.plan import Plan, given_string
from tfckpt.core.writer import write_plan
from tfckpt.errors import (
    CheckpointNotFoundError,
    CheckpointWarning,
    ChecksumError,
    FormatError,
    VariableError,
    VariableTypeError,
)
from tfckpt.format.objectgraph import OBJECT_GRAPH_KEY, Attribute, Child, Node, encode_object_graph
from tfckpt.train.checkpoint import Checkpoint
from tfckpt.train.graphs import Graph
from tfckpt.train.loadreport import MatchError, Mismatch, Missing, RestoreError
from tfckpt.train.objects import PythonState, Trackable
from tfckpt.train.optimizer import Optimizer
from tfckpt.train.saver import Saver
from tfckpt.train.state import get_checkpoint_state, latest_checkpoint
from tfckpt.train.variables import Variable

FIXTURES = SHARED / "fixtures"


@pytest.fixture
def path(tmp_path):
    """Prefix to save under."""
    return str(tmp_path / "model")


def keys(prefix) -> list[str]:
    """Keys of a checkpoint, without the endings of variables."""
    with tfckpt.open(prefix) as source:
        return [key.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE") for key in source
                if key != OBJECT_GRAPH_KEY]


def open_files(folder) -> list[str]:
    """Files of a folder that this process has open."""
    links = (os.path.realpath(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd"))
    return [link for link in links if link.startswith(os.path.realpath(folder))]


needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"),
                                reason="nothing here tells which files are open")


# Saving.


def test_a_bare_checkpoint_numbers_its_saves_deletes_nothing_and_lists_the_newest(tmp_path, path):
    """Behaviour 25."""
    v = Variable(0.0)
    checkpoint = Checkpoint(v=v)
    for number in (1, 2, 3):
        v.assign(float(number))
        assert checkpoint.save(path) == f"{path}-{number}"
    assert sorted(name for name in os.listdir(tmp_path) if name.endswith(".index")) == [
        "model-1.index", "model-2.index", "model-3.index"]
    state = get_checkpoint_state(tmp_path)
    assert list(state.all_model_checkpoint_paths) == [f"{path}-3"]
    assert latest_checkpoint(tmp_path) == f"{path}-3"
    Checkpoint(v=v).restore(f"{path}-1")
    assert float(v) == 1.0


def test_write_adds_neither_a_number_nor_a_counter_and_read_misses_none(tmp_path, path):
    """Behaviour 59."""
    assert Checkpoint(v=Variable(3.0)).write(Path(path)) == path
    assert keys(path) == ["v"]
    assert sorted(os.listdir(tmp_path)) == ["model.data-00000-of-00001", "model.index"]
    v = Variable(0.0)
    Checkpoint(v=v).read(path).assert_consumed()
    assert float(v) == 3.0


def test_save_adds_a_number_and_a_counter_and_restore_takes_it(path):
    """Behaviour 59."""
    assert Checkpoint(v=Variable(3.0)).save(path) == f"{path}-1"
    assert keys(f"{path}-1") == ["save_counter", "v"]
    checkpoint = Checkpoint(v=Variable(0.0))
    checkpoint.restore(f"{path}-1").assert_consumed()
    assert int(checkpoint.save_counter) == 1
    assert checkpoint.save(path) == f"{path}-2"


def test_what_was_written_has_no_counter_for_restore(path):
    """Behaviour 59."""
    Checkpoint(v=Variable(3.0)).write(path)
    status = Checkpoint(v=Variable(0.0)).restore(path)
    with pytest.raises(MatchError) as caught:
        status.assert_existing_objects_matched()
    assert caught.value.report.missing == (Missing("save_counter", "int64 []"),)


def test_what_was_saved_has_a_counter_that_read_leaves(path):
    """Behaviour 59."""
    saved = Checkpoint(v=Variable(3.0)).save(path)
    status = Checkpoint(v=Variable(0.0)).read(saved).assert_existing_objects_matched()
    with pytest.raises(MatchError):
        status.expect_partial().assert_consumed()
    assert status.report.unused == ("save_counter/.ATTRIBUTES/VARIABLE_VALUE",)


def test_a_variable_may_be_the_root(path):
    v = Variable(2.0)
    saved = Checkpoint(v).save(path)
    assert keys(saved) == ["", "save_counter"]
    v.assign(0.0)
    checkpoint = Checkpoint(v)
    checkpoint.restore(saved).assert_consumed()
    assert float(v) == 2.0
    assert int(checkpoint.save_counter) == 1


# The root, and parts beside it.


def test_a_root_and_keywords_share_one_level(path):
    """Behaviour 55."""
    Checkpoint(net(a=1), b=Variable(2.0)).write(path)
    assert keys(path) == ["a", "b"]
    a, b = Variable(0.0), Variable(0.0)
    Checkpoint(a=a, b=b).read(path).assert_consumed()
    assert (float(a), float(b)) == (1.0, 2.0)


def test_files_made_with_keywords_load_into_a_root(path):
    """Behaviour 55."""
    Checkpoint(a=Variable(1.0), b=Variable(2.0)).write(path)
    root = net(a=0, b=0)
    Checkpoint(root).read(path).assert_consumed()
    assert (float(root.a), float(root.b)) == (1.0, 2.0)


def test_a_keyword_that_clashes_with_an_attribute_of_the_root_is_an_error():
    """Behaviour 55."""
    root = net(a=1, parts=[Variable(1.0)])
    Checkpoint(root, a=root.a, parts=root.parts)
    Checkpoint(root, parts=[root.parts[0]])
    for clash in ({"a": Variable(1.0)}, {"parts": [Variable(1.0)]}):
        with pytest.raises(VariableError) as caught:
            Checkpoint(root, **clash)
        assert str(caught.value) == (
            "the root already has an attribute of this name, which is another object: got"
            f" {next(iter(clash))}\nGive the keyword another name.")


@pytest.mark.parametrize("value", [1, "text", None, {1, 2}, (1, 2), object])
def test_what_cannot_be_saved_is_refused_by_name(value):
    with pytest.raises(VariableTypeError) as caught:
        Checkpoint(a=value)
    assert str(caught.value) == (
        f"this is nothing that a checkpoint can save: got a={value!r}\n"
        "Give variables, modules, and lists and dicts of them.")
    with pytest.raises(VariableTypeError):
        Checkpoint(value if value is not None else 3.0)


def test_an_attribute_that_is_set_later_is_saved_too(path):
    checkpoint = Checkpoint()
    checkpoint.v = Variable(1.0)
    checkpoint.write(path)
    assert keys(path) == ["v"]


def test_a_checkpoint_knows_its_parts(path):
    a, root = Variable(1.0), net(b=1)
    checkpoint = Checkpoint(root, a=a)
    assert checkpoint.a is a
    assert checkpoint.root is root


def test_a_checkpoint_in_a_checkpoint_is_saved_with_its_root_and_counter(path):
    inner = Checkpoint(net(a=1), b=Variable(2.0))
    inner.save_counter.assign(7)
    Checkpoint(inner=inner).write(path)
    assert keys(path) == ["inner/_root/a", "inner/b", "inner/save_counter"]
    twin = Checkpoint(net(a=0), b=Variable(0.0))
    Checkpoint(inner=twin).read(path).expect_partial()
    assert (float(twin.root.a), float(twin.b), int(twin.save_counter)) == (1.0, 2.0, 7)


# Restoring what is there.


@pytest.mark.parametrize("rooted", [True, False])
def test_a_variable_by_two_ways_is_stored_once_and_both_lead_to_it(path, rooted):
    """Behaviour 58."""
    v = Variable(5.0)
    saved = net(a=v, inner=net(b=v, parts=[v]))
    (Checkpoint(saved) if rooted else Checkpoint(a=v, inner=saved.inner)).write(path)
    assert keys(path) == ["a"]
    for way in ({"a": 0}, {"inner": net(b=0)}, {"inner": net(parts=[Variable(0.0)])}):
        root = net(**way)
        Checkpoint(root).read(path).assert_consumed()
        assert [float(variable) for variable in root.variables] == [5.0]


def test_an_older_file_leaves_what_it_lacks(path):
    """Behaviour 71."""
    Checkpoint(a=Variable(1.0)).write(path)
    a, b = Variable(0.0), Variable(8.0)
    Checkpoint(a=a, b=b).read(path)
    assert (float(a), float(b)) == (1.0, 8.0)


def test_objects_may_refer_to_each_other_and_be_in_their_own_tuple(path):
    """Behaviour 64."""
    def circle(value):
        first, second = net(v=value), net(v=value + 1)
        first.other, second.other = second, first
        first.both = (first, second, Variable(value + 2))
        return first

    Checkpoint(circle(1.0)).write(path)
    root = circle(0.0)
    Checkpoint(root).read(path).assert_consumed()
    assert [float(variable) for variable in root.variables] == [3.0, 1.0, 2.0]


def test_restoring_nothing_is_legal(path):
    """Behaviour 72."""
    v = Variable(8.0)
    checkpoint = Checkpoint(v=v)
    status = checkpoint.restore(None)
    status.initialize_or_restore()
    status.run_restore_ops()
    assert float(v) == 8.0
    for name in ("assert_consumed", "assert_existing_objects_matched", "assert_nontrivial_match"):
        with pytest.raises(AssertionError) as caught:
            getattr(status, name)()
        assert str(caught.value) == (
            "no checkpoint was restored: the path was None\n"
            "matched 0   missing in checkpoint 0   unused in checkpoint 0   differs 0\n"
            "note: no checkpoint was given to restore from")
    assert status.expect_partial() is status
    assert checkpoint.save(path) == f"{path}-1"


def test_shapes_and_dtypes_that_differ_are_all_listed_and_nothing_is_loaded(path):
    """Behaviour 70."""
    Checkpoint(a=Variable(1.0), b=Variable([1.0, 2.0]), c=Variable(3), gone=Variable(1.0)
               ).write(path)
    program = {"a": Variable(0.0), "b": Variable([0.0]), "c": Variable(0.0), "d": Variable(0.0)}
    with pytest.raises(ValueError, match="differ in shape or dtype") as caught:
        Checkpoint(**program).read(path)
    assert isinstance(caught.value, RestoreError)
    assert caught.value.report.mismatched == (
        Mismatch("b", "float32 [1]", "float32 [2]"), Mismatch("c", "float32 []", "int32 []"))
    assert str(caught.value) == (
        f"values of the program and of the checkpoint differ in shape or dtype (file {path})\n"
        "The program is not the one that was saved. Nothing was loaded.\n"
        "matched 0   missing in checkpoint 1   unused in checkpoint 1   differs 2\n"
        "missing:  d  float32 []\n"
        "differs:  b  program float32 [1], checkpoint float32 [2]\n"
        "differs:  c  program float32 [], checkpoint int32 []\n"
        "unused:   gone")
    assert [variable.numpy().tolist() for variable in program.values()] == [0.0, [0.0], 0.0, 0.0]


def test_a_restore_that_failed_leaves_nothing_waiting(path, caplog):
    """Behaviour 70: not even for what is attached later."""
    Checkpoint(net(a=1, b=2)).write(path)
    root = net(a=Variable([0.0]))
    with pytest.raises(RestoreError):
        Checkpoint(root).read(path)
    root.b = Variable(8.0)
    assert float(root.b) == 8.0
    gc.collect()
    assert caplog.messages == []


def test_a_variable_of_any_shape_takes_any(path):
    Checkpoint(v=Variable([1.0, 2.0])).write(path)
    v = Variable(0.0, validate_shape=False)
    Checkpoint(v=v).read(path).assert_consumed()
    assert v.numpy().tolist() == [1.0, 2.0]


class Several(Trackable):
    """Stores values under these names."""

    def __init__(self, **values):
        self.values = {name.replace("_", "-"): value for name, value in values.items()}

    def _serialize_to_tensors(self):
        return self.values

    def _restore_from_tensors(self, restored):
        self.values = {name: array.tolist() for name, array in restored.items()}


def test_an_object_with_several_values_has_a_key_for_each(path):
    """Behaviour 54: below the reserved part; at the root the key begins with a slash."""
    Checkpoint(Several(x=[1.0], y=2)).write(path)
    assert keys(path) == ["/.ATTRIBUTES/x", "/.ATTRIBUTES/y"]
    Checkpoint(part=Several(x=[1.0], y=2)).write(path)
    assert keys(path) == ["part/.ATTRIBUTES/x", "part/.ATTRIBUTES/y"]
    restored = Several(x=[0.0], y=0)
    Checkpoint(part=restored).read(path).assert_consumed()
    assert restored.values == {"x": [1.0], "y": 2}


@pytest.mark.parametrize(("program", "counts"), [
    (Several(x=0.0), "expected 1 (x), got 2 (x, y)"),
    (Several(x=0.0, y=0, z=0), "expected 3 (x, y, z), got 2 (x, y)"),
    (Several(x=0.0, z=0), "expected 2 (x, z), got 2 (x, y)")], ids=["fewer", "more", "others"])
def test_another_number_of_values_in_an_object_is_an_error_with_both_counts(path, program, counts):
    """Behaviour 70."""
    Checkpoint(part=Several(x=1.0, y=2), v=Variable(1.0)).write(path)
    v = Variable(0.0)
    with pytest.raises(ValueError, match="other values") as caught:
        Checkpoint(part=program, v=v).read(path)
    assert str(caught.value).splitlines()[0] == (
        f"an object has other values in the program than in the checkpoint: {counts}"
        f" (file {path}, tensor 'part')")
    assert float(v) == 0.0


@needs_shared
def test_a_table_is_restored_though_the_object_graph_has_only_a_part_of_its_keys():
    """Behaviour 57."""
    prefix = FIXTURES / "formats" / "tf2.21" / "lookup_tables" / "tables-1"
    words, dense = Several(table_keys=[], table_values=[]), net()
    status = Checkpoint(model=net(words=words, w=Variable([0.0, 0.0]))).restore(prefix)
    assert dict(zip(words.values["table-keys"], words.values["table-values"], strict=True)) == {
        b"red": 10, b"green": 20, b"blue": 30}
    with pytest.raises(MatchError):
        status.expect_partial().assert_consumed()
    assert status.report.unused == ("model/dense/.ATTRIBUTES/table",)
    del dense


@needs_shared
def test_what_a_saver_of_the_users_own_wrote_is_never_passed_over():
    prefix = FIXTURES / "formats" / "tf2.21" / "registered_saver" / "registered-1"
    with tfckpt.open(prefix) as source:
        plain = source["model/plain"]
    status = Checkpoint(model=net(plain=Variable(np.zeros_like(plain)), part=net())).restore(prefix)
    status.expect_partial().assert_existing_objects_matched()
    with pytest.raises(MatchError):
        status.assert_consumed()
    assert status.report.unused == ("model/part",)


def test_an_object_that_takes_no_value_is_told_at_once_by_its_path_and_no_other(path):
    """Behaviour 67."""
    Checkpoint(model=net(a=1, b=2), c=Variable(3.0)).write(path)
    with pytest.warns(CheckpointWarning) as caught:
        status = Checkpoint(model=net(a=0, b=net()), c=Variable(0.0)).read(path)
    assert [str(item.message) for item in caught] == [
        "nothing takes the value VARIABLE_VALUE of model/b in the checkpoint"]
    assert [item.filename for item in caught] == [__file__]
    with pytest.raises(MatchError):
        status.expect_partial().assert_consumed()
    assert status.report.unused == ("model/b/.ATTRIBUTES/VARIABLE_VALUE",)


@pytest.mark.parametrize("damaged", ["a", "b", "c"])
def test_damage_is_found_before_anything_is_loaded(path, damaged):
    saved = Checkpoint(a=Variable(1.0), b=Variable(2.0), c=Variable(3.0)).write(path)
    with tfckpt.open(saved) as source:
        entry = source.index[f"{damaged}/.ATTRIBUTES/VARIABLE_VALUE"]
        file = source.shard_file(entry.shard_id)
    data = bytearray(Path(file).read_bytes())
    data[entry.offset] ^= 1
    Path(file).write_bytes(data)
    variables = {name: Variable(0.0) for name in "abc"}
    with pytest.raises(ChecksumError):
        Checkpoint(**variables).read(path)
    assert [float(variable) for variable in variables.values()] == [0.0, 0.0, 0.0]


# Nothing is silently not loaded.


def test_a_root_that_was_a_keyword_is_told_at_once_with_the_root_that_would_match(path):
    Checkpoint(model=net(a=1, inner=net(b=2))).save(path)
    with pytest.warns(CheckpointWarning) as caught:
        Checkpoint(net(a=0, inner=net(b=0))).restore(f"{path}-1").expect_partial()
    assert [str(item.message) for item in caught] == [
        f"none of the program's 2 variables matched {path}-1: the program has a, inner/b; the"
        " checkpoint has model/a, model/inner/b. With Checkpoint(model=…) around it 2 of 2 would"
        " match: it was saved below model."]
    assert [item.filename for item in caught] == [__file__]


def test_a_keyword_that_was_the_root_is_told_at_once_with_the_root_that_would_match(path):
    Checkpoint(net(a=1, inner=net(b=2))).write(path)
    with pytest.warns(CheckpointWarning) as caught:
        Checkpoint(model=net(a=0, inner=net(b=0))).read(path).expect_partial()
    assert [str(item.message) for item in caught] == [
        f"none of the program's 2 variables matched {path}: the program has model/a,"
        " model/inner/b; the checkpoint has a, inner/b. Without the level model, as in"
        " Checkpoint(model), 2 of 2 would match: it was saved as the root."]
    assert [item.filename for item in caught] == [__file__]


def test_that_nothing_matched_is_told_also_without_advice(path):
    Checkpoint(**{name: Variable(1.0) for name in "abcd"}).write(path)
    with pytest.warns(CheckpointWarning) as caught:
        Checkpoint(x=Variable(0.0)).read(path).expect_partial()
    assert [str(item.message) for item in caught] == [
        f"none of the program's 1 variables matched {path}: the program has x; the checkpoint has"
        " a, b, c …."]
    Checkpoint(state=State("7")).write(path)
    with pytest.warns(CheckpointWarning, match="has x; the checkpoint has none.$"):
        Checkpoint(x=Variable(0.0)).read(path).expect_partial()


# Restoring what appears later.


def test_what_is_attached_later_is_filled_even_over_a_value_assigned_in_between(path):
    """Behaviour 60."""
    Checkpoint(net(a=1, inner=net(b=2))).write(path)
    root = net()
    status = Checkpoint(root).read(path)
    a, inner = Variable(7.0), net(b=8)
    a.assign(9.0)
    root.a, root.inner = a, inner
    assert (float(a), float(inner.b)) == (1.0, 2.0)
    a.assign(5.0)
    root.again = a
    root.a = a
    assert float(a) == 5.0
    status.assert_consumed()


def test_what_waited_is_given_once_and_not_to_what_replaces_it(path):
    """Behaviour 60."""
    Checkpoint(net(a=1, parts=[Variable(2.0)])).write(path)
    root = net(parts=[])
    Checkpoint(root).read(path)
    root.a = first = Variable(0.0)
    root.a = Variable(8.0)
    root.parts.append(Variable(0.0))
    root.parts[0] = Variable(9.0)
    assert [float(v) for v in (first, root.a, root.parts[0])] == [1.0, 8.0, 9.0]


def test_lists_and_dicts_are_filled_as_they_grow(path):
    """Behaviour 60."""
    def parts(value):
        return [Variable(value), {"x": Variable(value + 1), "y": [Variable(value + 2)]}]

    Checkpoint(net(parts=parts(1.0))).write(path)
    root = net(parts=[])
    status = Checkpoint(root).read(path)
    root.parts.append(Variable(0.0))
    assert float(root.parts[0]) == 1.0
    root.parts += [{}]
    root.parts[1].update(x=Variable(0.0))
    assert float(root.parts[1]["x"]) == 2.0
    with pytest.raises(MatchError):
        status.assert_consumed()
    root.parts[1].setdefault("y", []).insert(0, Variable(0.0))
    assert float(root.parts[1]["y"][0]) == 3.0
    status.assert_consumed()


def test_before_parts_are_attached_existing_objects_match_and_the_file_is_not_consumed(path):
    """Behaviour 61, several levels deep."""
    Checkpoint(net(a=net(b=net(c=net(v=1)), v=2))).write(path)
    root = net()
    status = Checkpoint(root).read(path)
    here = root
    for name in "abc":
        with pytest.raises(MatchError):
            status.assert_existing_objects_matched().assert_consumed()
        setattr(here, name, net())
        here = getattr(here, name)
    here.v = Variable(0.0)
    with pytest.raises(MatchError) as caught:
        status.assert_existing_objects_matched().assert_consumed()
    assert str(caught.value) == (
        f"1 values of the checkpoint were taken by no object (file {path})\n"
        "matched 1   missing in checkpoint 0   unused in checkpoint 1   differs 0\n"
        "unused:   a/v")
    root.a.v = Variable(0.0)
    status.assert_existing_objects_matched().assert_consumed()
    assert [float(v) for v in (here.v, root.a.v)] == [1.0, 2.0]


@pytest.mark.parametrize("whole", [True, False], ids=["attached whole", "piece by piece"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 1, 0)])
def test_the_restore_that_was_asked_last_wins(path, order, whole):
    """Behaviour 62."""
    files = [Checkpoint(net(a=net(v=value))).write(f"{path}-{value}") for value in (1, 2)]
    root = net()
    checkpoint = Checkpoint(root)
    statuses = [checkpoint.read(files[n]) for n in order]
    if whole:
        root.a = net(v=0)
    else:
        root.a = net()
        root.a.v = Variable(0.0)
    assert float(root.a.v) == order[-1] + 1
    for status in statuses:
        status.assert_consumed()


def test_an_earlier_restore_reads_nothing_for_what_a_later_one_has_filled(path):
    """Behaviour 62: its file may be gone."""
    files = [Checkpoint(net(v=value)).write(f"{path}-{value}") for value in (1, 2)]
    root = net()
    checkpoint = Checkpoint(root)
    for file in files:
        checkpoint.read(file)
    for name in files_of(files[0]):
        os.remove(os.path.join(os.path.dirname(path), name))
    root.v = Variable(0.0)
    assert float(root.v) == 2.0


def test_a_later_restore_is_not_undone_by_an_earlier_one_that_still_waits(path):
    """Behaviour 62: the parts it has are its own, others are the earlier one's."""
    Checkpoint(net(a=net(v=1, w=1))).write(path)
    Checkpoint(net(v=2)).write(path + "-v")
    root, a = net(), net(v=0, w=0)
    Checkpoint(root).read(path)
    Checkpoint(a).read(path + "-v")
    root.a = a
    assert (float(a.v), float(a.w)) == (2.0, 1.0)


def test_a_stored_object_that_two_claim_stays_with_the_first_and_both_asserts_fail(path):
    """Behaviour 63."""
    v = Variable(1.0)
    Checkpoint(net(a=v, b=v)).write(path)
    root = net(a=0, b=8)
    with pytest.warns(CheckpointWarning) as caught:
        status = Checkpoint(root).read(path)
    told = "two objects of the program claim a of the checkpoint; the first keeps it"
    assert [str(item.message) for item in caught] == [told]
    assert [item.filename for item in caught] == [__file__]
    assert (float(root.a), float(root.b)) == (1.0, 8.0)
    for check in (status.assert_existing_objects_matched, status.assert_consumed):
        with pytest.raises(MatchError) as failed:
            check()
        assert str(failed.value) == (
            f"1 values of the program were not restored (file {path})\n"
            "matched 1   missing in checkpoint 1   unused in checkpoint 0   differs 0\n"
            f"missing:  b  float32 []\nnote: {told}")


def test_a_claim_fails_the_asserts_also_when_every_variable_has_a_value(path):
    """Behaviour 63: b has the value of c, but was a."""
    v = Variable(1.0)
    Checkpoint(net(a=v, b=v, c=2)).write(path)
    shared = Variable(0.0)
    with pytest.warns(CheckpointWarning):
        status = Checkpoint(net(a=0, b=shared, c=shared)).read(path)
    for check in (status.assert_existing_objects_matched, status.assert_consumed):
        with pytest.raises(MatchError, match="two objects of the program claim one of"):
            check()


def test_a_claim_by_what_is_attached_later_is_told_then(path):
    """Behaviour 63."""
    v = Variable(1.0)
    Checkpoint(net(a=v, b=v)).write(path)
    root = net()
    status = Checkpoint(root).read(path)
    root.b = Variable(0.0)
    with pytest.warns(CheckpointWarning, match="two objects of the program claim a of the"):
        root.a = Variable(8.0)
    assert (float(root.a), float(root.b)) == (8.0, 1.0)
    with pytest.raises(MatchError):
        status.assert_consumed()


def test_two_stored_objects_in_one_of_the_program_are_fine_and_the_first_is_taken(path):
    """Behaviour 63."""
    Checkpoint(a=Variable(1.0), b=Variable(2.0), c=net(x=3), d=net(y=4)).write(path)
    both, cd = Variable(0.0), net(x=0, y=0)
    Checkpoint(a=both, b=both, c=cd, d=cd).read(path).assert_consumed()
    assert [float(v) for v in (both, cd.x, cd.y)] == [1.0, 3.0, 4.0]


def test_equal_tuples_of_the_same_variables_claim_nothing_of_each_other(path):
    """Behaviour 63: a tuple is what is in it."""
    v, w = Variable(1.0), Variable(2.0)
    pair = (v, (w,))
    Checkpoint(net(a=pair, b=pair)).write(path)
    for variable in (v, w):
        variable.assign(0.0)
    Checkpoint(net(a=(v, (w,)), b=(v, (w,)))).read(path).assert_consumed()
    assert (float(v), float(w)) == (1.0, 2.0)
    with pytest.warns(CheckpointWarning, match="claim a/1/0 of the checkpoint"):
        Checkpoint(net(a=(v, (w,)), b=(v, (Variable(0.0),)))).read(path)


def test_a_stored_object_whose_first_object_has_died_goes_to_the_next(path):
    v = Variable(1.0)
    Checkpoint(net(a=v, b=v)).write(path)
    root = net()
    status = Checkpoint(root).read(path)
    root.a = Variable(0.0)
    del root.a
    gc.collect()
    root.b = Variable(0.0)
    assert float(root.b) == 1.0
    status.assert_consumed()


def test_only_branches_with_values_beneath_are_waited_for(path):
    """Behaviour 66."""
    root = net(full=net(v=1), empty=net(inner=net()), numbers=[1, 2])
    Checkpoint(root).write(path)
    program = net()
    Checkpoint(program).read(path).expect_partial()
    assert list(program._waiting) == ["full"]


def test_empty_containers_and_those_of_numbers_count_for_nothing(path):
    """Behaviour 65."""
    Checkpoint(net(v=1)).write(path)
    program = net(v=0, empty=[], none={}, numbers=[1, 2], texts={"a": "b"}, hollow=net(),
                  nested=[[], {}, net()], pair=([], ()))
    Checkpoint(program).read(path).assert_existing_objects_matched().assert_consumed()
    Checkpoint(program).write(path)
    Checkpoint(net(v=0)).read(path).assert_existing_objects_matched().assert_consumed()


# Files.


@needs_proc
def test_no_file_stays_open_while_something_waits(tmp_path, path):
    """Behaviour 6."""
    Checkpoint(net(a=1, b=net(c=2))).save(path)
    root = net(a=0)
    checkpoint = Checkpoint(root)
    status = checkpoint.restore(f"{path}-1")
    assert open_files(tmp_path) == []
    root.b = net()
    root.b.c = Variable(0.0)
    assert float(root.b.c) == 2.0
    assert open_files(tmp_path) == []
    status.assert_consumed()


@needs_proc
def test_no_file_stays_open_after_a_restore_that_failed(tmp_path, path):
    """Behaviour 6."""
    Checkpoint(a=Variable(1.0)).write(path)
    Saver({"a": Variable(1.0)}).save(None, path + "-names")
    for prefix in (path, path + "-names"):
        with pytest.raises(RestoreError) as caught:
            Checkpoint(a=Variable([0.0], name="a")).read(prefix)
        assert open_files(tmp_path) == []
        del caught


@needs_proc
def test_no_file_stays_open_when_the_object_graph_is_damaged(tmp_path, path):
    """Behaviour 6."""
    graph = given_string(OBJECT_GRAPH_KEY, b"\xff", "little")
    write_plan(Plan((graph,), "object-based"), path)
    with pytest.raises(FormatError) as caught:
        Checkpoint(a=Variable(0.0)).read(path)
    assert open_files(tmp_path) == []
    assert caught.value.tensor == OBJECT_GRAPH_KEY


@needs_proc
def test_no_file_stays_open_after_a_name_based_value_that_came_later(tmp_path, path):
    """Behaviour 6."""
    Saver({"a": Variable(1.0)}).save(None, path)
    root = net()
    Checkpoint(root).read(path)
    root.a = Variable(0.0, name="a")
    assert float(root.a) == 1.0
    assert open_files(tmp_path) == []


@pytest.mark.parametrize("names", [True, False], ids=["name-based", "object-based"])
@pytest.mark.parametrize("change", ["removed", "written anew", "damaged"])
def test_a_file_that_changes_while_something_waits_is_an_error(path, change, names):
    def write(value):
        b = Variable([value] * 9, name="b")
        if names:
            Saver({"a": Variable(value), "b": b}).save(None, path, write_state=False)
        else:
            Checkpoint(net(a=value, b=b)).write(path)

    write(1.0)
    root = net(a=Variable(0.0, name="a"))
    status = Checkpoint(root).read(path)
    for name, data in files_of(path).items():
        file = Path(path).parent / name
        if change == "damaged":
            file.write_bytes(data.replace(np.float32(1).tobytes(), np.float32(2).tobytes()))
        else:
            file.unlink()
    if change == "written anew":
        write(2.0)
    with pytest.raises(tfckpt.CheckpointError, match="changed or removed after it was") as caught:
        root.b = Variable([8.0] * 9, name="b")
    assert caught.value.__cause__ is None
    assert root.b.numpy().tolist() == [8.0] * 9
    with pytest.raises(MatchError):
        status.assert_existing_objects_matched()
    with pytest.raises(MatchError):
        status.expect_partial().assert_consumed()


def test_a_file_that_was_written_anew_with_the_same_values_is_as_good(path):
    Checkpoint(net(a=1, b=2)).write(path)
    root = net()
    status = Checkpoint(root).read(path)
    data = files_of(path)
    for name in data:
        os.remove(Path(path).parent / name)
    for name, content in data.items():
        (Path(path).parent / name).write_bytes(content)
    root.a, root.b = Variable(0.0), Variable(0.0)
    assert (float(root.a), float(root.b)) == (1.0, 2.0)
    status.assert_consumed()


def test_the_message_for_a_file_that_is_gone_says_what_waited(path):
    Checkpoint(net(a=net(b=1))).write(path)
    root = net(a=net())
    Checkpoint(root).read(path).expect_partial()
    os.remove(f"{path}.data-00000-of-00001")
    with pytest.raises(RestoreError) as caught:
        root.a.b = Variable(0.0)
    assert str(caught.value) == (
        "what waited in the checkpoint for this object can't be read: a data file of the checkpoint"
        f" is missing (file {path}.data-00000-of-00001, tensor 'a/b/.ATTRIBUTES/VARIABLE_VALUE')\n"
        "The checkpoint was changed or removed after it was restored, or is damaged. Restore one"
        " that is whole.\n"
        "matched 0   missing in checkpoint 0   unused in checkpoint 1   differs 0\n"
        "unused:   a/b")


def test_a_shape_that_differs_is_an_error_also_for_what_appears_later(path):
    """Behaviour 70."""
    Checkpoint(net(a=net(b=1, c=2, d=3))).write(path)
    root = net()
    status = Checkpoint(root).read(path).expect_partial()
    a = net(b=0, c=Variable([0.0]), d=Variable(0))
    with pytest.raises(RestoreError) as caught:
        root.a = a
    assert [item.name for item in caught.value.report.mismatched] == ["a/c", "a/d"]
    assert float(a.b) == 0.0
    with pytest.raises(MatchError):
        status.assert_existing_objects_matched()


def test_a_missing_path_is_an_error_that_mentions_both_kinds(tmp_path):
    """Behaviour 73."""
    checkpoint = Checkpoint(a=Variable(0.0))
    for path in (tmp_path / "no" / "folder", tmp_path / "none", tmp_path):
        for way in (checkpoint.restore, checkpoint.read):
            with pytest.raises(CheckpointNotFoundError) as caught:
                way(path)
            assert str(caught.value).startswith(
                "neither a checkpoint nor a SavedModel can be restored: ")
            assert str(path) in str(caught.value)
            assert isinstance(caught.value, FileNotFoundError)


def test_a_saved_model_folder_is_restored_from(tmp_path):
    """Behaviour 73."""
    folder = tmp_path / "model"
    Checkpoint(net(a=1)).write(folder / "variables" / "variables")
    (folder / "saved_model.pb").write_bytes(b"")
    a = Variable(0.0)
    Checkpoint(a=a).restore(folder)
    assert float(a) == 1.0


@needs_shared
def test_a_saved_model_of_tensorflow_is_restored_from():
    """Behaviour 73."""
    folder = FIXTURES / "formats" / "tf2.21" / "saved_model" / "model"
    layers = [Variable(np.zeros((2, 2), np.float32)), Variable(np.zeros(2, np.float32))]
    Checkpoint(layers=layers).restore(folder).expect_partial()
    with tfckpt.open(folder) as source:
        for n, variable in enumerate(layers):
            np.testing.assert_array_equal(variable.numpy(), source[f"layers/{n}"])


# Name-based files.


def test_a_name_based_file_loads_by_full_names(path):
    """Behaviour 74."""
    Saver({"net/w": Variable(1.0), "net/b": Variable(2.0), "other": Variable(3.0)}).save(None, path)
    w, b = Variable(0.0, name="net/w"), Variable(0.0, name="net/b")
    status = Checkpoint(model=net(x=w, parts=[b])).restore(path)
    assert (float(w), float(b)) == (1.0, 2.0)
    status.assert_consumed().assert_existing_objects_matched().assert_nontrivial_match()
    assert sorted(status.report.matched) == ["net/b", "net/w"]
    assert status.report.unused == ("other",)


def test_a_name_that_is_missing_fails_the_asserts_and_not_the_restore(path):
    """Behaviour 74."""
    Saver({"net/w": Variable(1.0), "net/bias": Variable(2.0)}).save(None, path)
    w, b = Variable(0.0, name="net/w"), Variable(8.0, name="net/bias_1")
    status = Checkpoint(w=w, b=b).restore(path)
    assert (float(w), float(b)) == (1.0, 8.0)
    for name in ("assert_consumed", "assert_existing_objects_matched", "assert_nontrivial_match"):
        with pytest.raises(MatchError) as caught:
            getattr(status, name)()
        assert str(caught.value) == (
            f"1 values of the program are not in the name-based checkpoint (file {path})\n"
            "matched 1   missing in checkpoint 1   unused in checkpoint 1   differs 0\n"
            "missing:  net/bias_1  float32 []   nearest: net/bias\n"
            "unused:   net/bias")


def test_that_no_name_matches_is_an_error_at_once_with_the_table(path):
    """Behaviour 74."""
    Saver({"net/w": Variable(1.0)}).save(None, path)
    with pytest.raises(RestoreError) as caught:
        Checkpoint(w=Variable(0.0, name="w")).restore(path)
    assert str(caught.value) == (
        "the checkpoint is name-based (TF1), and none of the program's variables is in it"
        f" (file {path})\n"
        "Variables are found by their names; `tfckpt ls` shows those of the checkpoint.\n"
        "matched 0   missing in checkpoint 1   unused in checkpoint 1   differs 0\n"
        "missing:  w  float32 []   nearest: net/w\n"
        "unused:   net/w")


def test_a_program_without_variables_yet_is_no_error_and_gets_them_later(path):
    """Behaviour 74."""
    Saver({"net/w": Variable(1.0), "net/b": Variable(2.0), "net/c": Variable(3.0)}).save(None, path)
    root = net()
    status = Checkpoint(root).restore(path)
    root.inner = net(parts=[])
    root.inner.w = Variable(0.0, name="net/w")
    root.inner.parts.append(Variable(0.0, name="net/b"))
    root.inner.more = {"c": Variable(0.0, name="net/c")}
    assert [float(v) for v in root.inner.variables] == [3.0, 2.0, 1.0]
    status.assert_consumed()
    root.inner.x = Variable(8.0, name="net/x")
    with pytest.raises(MatchError):
        status.assert_consumed()


def test_a_variable_with_a_name_based_value_keeps_what_it_learns(path):
    """Behaviour 74: attached at a second place, it is not restored again."""
    Saver({"w": Variable(1.0)}).save(None, path)
    root = net(w=Variable(0.0, name="w"))
    Checkpoint(root).restore(path)
    root.w.assign(5.0)
    root.again = root.w
    root.parts = [root.w]
    assert float(root.w) == 5.0


def test_slots_are_loaded_from_a_name_based_file_made_before_or_after(path):
    """Behaviour 74."""
    Saver({"w": Variable(1.0), "w/Adam": Variable(2.0), "w/Adam_1": Variable(3.0)}
          ).save(None, path)
    w, optimizer = Variable(0.0, name="w"), Optimizer()
    m = optimizer.add_slot(w, "m", name="w/Adam")
    status = Checkpoint(w=w, optimizer=optimizer).restore(path)
    v = optimizer.add_slot(w, "v", name="w/Adam_1")
    assert [float(item) for item in (w, m, v)] == [1.0, 2.0, 3.0]
    status.assert_consumed()
    optimizer.add_slot(w, "other")
    with pytest.raises(MatchError) as caught:
        status.assert_consumed()
    assert caught.value.report.missing[0].name == "w/other"


def test_shapes_that_differ_in_a_name_based_file_are_all_listed_and_nothing_is_loaded(path):
    """Behaviours 70 and 74."""
    Saver({"a": Variable(1.0), "b": Variable([1.0]), "c": Variable(1)}).save(None, path)
    variables = [Variable(0.0, name=name) for name in "abcd"]
    with pytest.raises(RestoreError) as caught:
        Checkpoint(parts=variables).restore(path)
    assert str(caught.value) == (
        f"values of the program and of the checkpoint differ in shape or dtype (file {path})\n"
        "Nothing was loaded.\n"
        "matched 0   missing in checkpoint 1   unused in checkpoint 0   differs 2\n"
        "missing:  d  float32 []\n"
        "differs:  b  program float32 [], checkpoint float32 [1]\n"
        "differs:  c  program float32 [], checkpoint int32 []")
    assert [float(v) for v in variables] == [0.0] * 4


# Copies.


def test_a_deep_copy_has_variables_of_its_own_and_its_files_load_into_the_original(path):
    """Behaviour 75."""
    w, optimizer = Variable(1.0), Optimizer()
    optimizer.add_slot(w, "m", 2.0)
    checkpoint = Checkpoint(root=net(w=w, parts=[w, {"x": Variable(3.0)}], pair=(w, [w])),
                            optimizer=optimizer)
    checkpoint.save_counter.assign(4)
    twin = copy.deepcopy(checkpoint)
    theirs = twin.root.w
    assert theirs is not w
    assert twin.root.parts[0] is theirs
    assert twin.root.pair[1][0] is theirs
    theirs.assign(10.0)
    twin.root.parts[1]["x"].assign(30.0)
    twin.optimizer.get_slot(theirs, "m").assign(20.0)
    assert (float(w), float(optimizer.get_slot(w, "m"))) == (1.0, 2.0)
    twin.root.parts.append(Variable(50.0))
    assert len(checkpoint.root.parts) == 2
    del twin.root.parts[2]
    saved = twin.save(path)
    checkpoint.restore(saved).assert_consumed()
    assert saved == f"{path}-5"
    assert [float(v) for v in (w, checkpoint.root.parts[1]["x"], optimizer.get_slot(w, "m"),
                               checkpoint.save_counter)] == [10.0, 30.0, 20.0, 5.0]


def test_a_copy_waits_for_nothing(path):
    """Behaviour 75."""
    Checkpoint(net(v=1)).write(path)
    root = net()
    Checkpoint(root).read(path)
    for twin in (copy.copy(root), copy.deepcopy(root)):
        twin.v = Variable(8.0)
        assert float(twin.v) == 8.0
        assert not hasattr(root, "v")
        assert "v" not in root._trackable_children()
    root.v = Variable(0.0)
    assert float(root.v) == 1.0


# Slots.


def test_slots_lie_below_their_variable_with_the_optimizers_path(path):
    """Behaviour 56."""
    inside, outside, optimizer = Variable(1.0), Variable(2.0), Optimizer()
    optimizer.add_slot(inside, "m/v.x", 3.0)
    optimizer.add_slot(outside, "m/v.x", 4.0)
    optimizer.steps = Variable(5.0)
    Checkpoint(net=net(w=inside), train=net(opt=optimizer)).write(path)
    assert keys(path) == ["net/w", "net/w/.OPTIMIZER_SLOT/train/opt/m.Sv..x", "train/opt/steps"]
    with tfckpt.open(path) as source:
        names = [node.attributes[0].full_name for node in source.object_graph if node.attributes]
    assert names == ["Variable", "Variable", "Variable/m/v.x"]


def restored_slot(path, *, there=True):
    w, optimizer = Variable(1.0), Optimizer()
    optimizer.add_slot(w, "m", 2.0)
    Checkpoint(w=w, opt=optimizer).write(path)
    w, optimizer = Variable(0.0), Optimizer()
    if there:
        optimizer.add_slot(w, "m")
    return w, optimizer


@pytest.mark.parametrize("there", [True, False], ids=["made before", "made by the restore"])
@pytest.mark.parametrize("order", ["both", "variable later", "optimizer later"])
def test_a_slot_is_restored_once_variable_and_optimizer_are_both_there(path, order, there):
    """Behaviour 118."""
    w, optimizer = restored_slot(path, there=there)
    root = net()
    if order != "variable later":
        root.w = w
    if order != "optimizer later":
        root.opt = optimizer
    status = Checkpoint(root).read(path)
    if order != "both":
        with pytest.raises(MatchError):
            status.assert_consumed()
    root.w, root.opt = w, optimizer
    status.assert_consumed()
    slot = optimizer.get_slot(w, "m")
    assert (float(w), float(slot), slot.full_name) == (1.0, 2.0, "Variable/m")
    assert optimizer.add_slot(w, "m", 8.0) is slot
    assert float(slot) == 2.0


def test_in_a_graph_a_slot_waits_until_the_optimizer_makes_it(path):
    """Behaviour 118."""
    restored_slot(path)
    with Graph().as_default():
        w, optimizer = Variable(0.0), Optimizer()
        status = Checkpoint(w=w, opt=optimizer).read(path)
        assert optimizer.get_slot(w, "m") is None
        with pytest.raises(MatchError):
            status.assert_consumed()
        optimizer.add_slot(w, "other")
        slot = optimizer.add_slot(w, "m")
        assert float(slot) == 2.0
        with pytest.raises(MatchError):
            status.assert_existing_objects_matched()
        assert status.report.missing[0].name == "w/.OPTIMIZER_SLOT/opt/other"


def test_a_restored_slot_that_is_not_like_its_variable_is_refused_when_it_is_asked_for(path):
    restored_slot(path)
    w, optimizer = Variable(0.0), Optimizer()
    Checkpoint(w=w, opt=optimizer).read(path)
    optimizer.make_slot(w, "n", [1.0, 2.0])
    with pytest.raises(VariableError) as caught:
        optimizer.add_slot(w, "n")
    assert str(caught.value) == ("the slot that was restored is not like its variable: expected"
                                 " float32 [], got float32 [2] (tensor 'Variable/n')")


def test_slots_that_a_restore_made_are_saved_again(path):
    w, optimizer = restored_slot(path, there=False)
    checkpoint = Checkpoint(w=w, opt=optimizer)
    checkpoint.read(path)
    checkpoint.write(path + "-again")
    assert list(files_of(path + "-again").values()) == list(files_of(path).values())


# Python state.


class State(PythonState):
    def __init__(self, text):
        self.text = text
        self.restored = 0

    def serialize(self):
        return self.text

    def deserialize(self, string_value):
        self.text = string_value
        self.restored += 1


@pytest.mark.parametrize("text", ["7", "é", b"\xff\0", ""])
def test_python_state_is_stored_as_a_string_and_restored_at_once(path, text):
    """Behaviour 81."""
    Checkpoint(state=State(text)).write(path)
    assert keys(path) == ["state/.ATTRIBUTES/py_state"]
    stored = text.encode() if isinstance(text, str) else text
    with tfckpt.open(path) as source:
        assert source["state/.ATTRIBUTES/py_state"].item() == stored
    state = State("0")
    status = Checkpoint(state=state).read(path)
    assert (state.text, state.restored) == (stored, 1)
    status.assert_consumed()


def test_unused_python_state_is_not_forgiven(path):
    """Behaviour 81."""
    Checkpoint(v=Variable(1.0), state=State("7")).write(path)
    status = Checkpoint(v=Variable(0.0)).read(path).expect_partial()
    with pytest.raises(MatchError):
        status.assert_consumed()
    assert status.report.unused == ("state/.ATTRIBUTES/py_state",)


def test_unused_configuration_text_is_forgiven(path, caplog):
    """Behaviour 81."""
    graph = encode_object_graph([
        Node((Child(1, "layer"), Child(2, "other"))),
        Node(attributes=(Attribute("OBJECT_CONFIG_JSON", "", "layer/.ATTRIBUTES/OBJECT_CONFIG_JSON",
                                   optional_restore=True),)),
        Node(attributes=(Attribute("OBJECT_CONFIG_JSON", "", "other/.ATTRIBUTES/OBJECT_CONFIG_JSON",
                                   optional_restore=True),))])
    texts = [given_string(f"{name}/.ATTRIBUTES/OBJECT_CONFIG_JSON", b"{}", "little")
             for name in ("layer", "other")]
    graph_text = given_string(OBJECT_GRAPH_KEY, graph, "little")
    write_plan(Plan((graph_text, *texts), "object-based"), path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Checkpoint(layer=net()).read(path).assert_consumed()
    gc.collect()
    assert caplog.messages == []


class Failing(State):
    def deserialize(self, string_value):
        raise RuntimeError("no")


def test_variables_are_untouched_if_python_state_refuses_its_value(path):
    """Behaviour 81."""
    Checkpoint(a=Variable(1.0), state=State("7"), more=net(a=2)).write(path)
    more = net(a=8)
    root = net(state=Failing("0"))
    with pytest.raises(RuntimeError):
        Checkpoint(root, more=more).read(path)
    root.a = Variable(8.0)
    assert (float(root.a), float(more.a)) == (8.0, 8.0)


# Nothing is kept alive.


def test_waiting_restores_keep_nothing_alive(path):
    """Behaviour 69: without the help of the garbage collector."""
    w, optimizer = Variable(1.0), Optimizer()
    optimizer.add_slot(w, "m", 2.0)
    Checkpoint(net(a=net(v=1), b=[Variable(1.0)], c=(Variable(1.0), net(v=1)), late=net(v=2),
                   w=w, opt=optimizer)).write(path)
    gc.disable()
    try:
        root = net(a=net(v=0), b=[Variable(0.0)], c=(Variable(0.0), net(v=0)), w=0,
                   opt=Optimizer())
        Checkpoint(root).read(path).expect_partial()
        parts = [weakref.ref(part) for part in (root, root.a, root.a.v, root.b, root.b[0],
                                                root.c[0], root.c[1], root.c[1].v, root.opt)]
        del root.c
        assert [part() is None for part in parts] == [False] * 5 + [True] * 3 + [False]
        del root
        assert [part() is None for part in parts] == [True] * 9
    finally:
        gc.enable()


def test_the_root_may_be_a_weak_reference(path):
    """Behaviour 69."""
    root = net(v=1)
    checkpoint = Checkpoint(weakref.ref(root), more=Variable(2.0))
    saved = checkpoint.save(path)
    assert keys(saved) == ["more", "save_counter", "v"]
    root.v.assign(0.0)
    status = checkpoint.restore(saved)
    assert float(root.v) == 1.0
    known = weakref.ref(root)
    del root
    status.assert_consumed()
    del status
    gc.collect()
    assert known() is None
    with pytest.raises(VariableError) as caught:
        checkpoint.save(path)
    assert str(caught.value) == "the root of the checkpoint has died"


def test_the_status_answers_after_the_checkpoint_was_let_go(path):
    """Behaviour 69: it is asked in one line with the restore."""
    saved = Checkpoint(a=Variable(1.0)).save(path)
    Checkpoint(a=Variable(0.0)).restore(saved).assert_consumed()
    status = Checkpoint(a=Variable(0.0), b=Variable(0.0)).restore(saved)
    gc.collect()
    with pytest.raises(MatchError):
        status.assert_existing_objects_matched()
