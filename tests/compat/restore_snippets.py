"""Scenarios of saving and restoring, the same for TensorFlow 2 and for tfckpt.

Each is two functions that take a kit: one saves and gives a prefix, one restores and notes what
happened. The kits have the few things under one name that the two call differently.
"""

import collections
import gc
import logging
import os
import warnings
from typing import Any, NamedTuple

SCENARIOS = {}


def scenario(save, watch=()):
    """Add a function that restores. `watch` are the names a warning may mention."""
    def add(restore):
        SCENARIOS[restore.__name__] = save, restore, watch
        return restore
    return add


class Notes:
    """What happened: values, which asserts raised, what was said."""

    def __init__(self):
        self.values = {}
        self.asserts = {}

    def see(self, **variables):
        for name, variable in variables.items():
            self.values[name] = None if variable is None else float(variable.numpy())

    def ask(self, when, status):
        raised = ""
        for letter, name in (("e", "assert_existing_objects_matched"), ("c", "assert_consumed"),
                             ("n", "assert_nontrivial_match")):
            try:
                getattr(status, name)()
            except AssertionError:
                raised += letter
        self.asserts[when] = raised

    def fails(self, when, action):
        try:
            action()
        except (NameError, SyntaxError):  # a mistake in this file
            raise
        except Exception as error:
            self.asserts[when] = "ValueError" if isinstance(error, ValueError) else "other error"
        else:
            self.asserts[when] = "no error"


class Ear(logging.Handler):
    """Hears everything that is said."""

    def __init__(self):
        super().__init__()
        self.said = []

    def emit(self, record):
        self.said.append(record.getMessage())


def save(kit, name, prefix):
    os.makedirs(os.path.dirname(prefix), exist_ok=True)
    return SCENARIOS[name][0](kit, prefix)


def restore(kit, name, prefix):
    _, function, watch = SCENARIOS[name]
    ear, notes = Ear(), Notes()
    kit.logger.addHandler(ear)
    level = kit.logger.level
    kit.logger.setLevel(logging.WARNING)  # a process may have been told to be quieter before
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            function(kit, prefix, notes)
            gc.collect()
    finally:
        kit.logger.removeHandler(ear)
        kit.logger.setLevel(level)
    said = "\n".join(ear.said + [str(warning.message) for warning in caught])
    return {"values": notes.values, "asserts": notes.asserts,
            "said": [name for name in watch if name in said]}


class TensorFlowKit:
    def __init__(self):
        import tensorflow as tf

        self.tf = tf
        tf.compat.v1.reset_default_graph()  # which numbers the names of slots
        self.logger = logging.getLogger("tensorflow")
        self.Module, self.Checkpoint = tf.Module, tf.train.Checkpoint
        self.Manager = tf.train.CheckpointManager

        class State(tf.train.experimental.PythonState):
            def __init__(self, text):
                self.text = text

            def serialize(self):
                return self.text

            def deserialize(self, string_value):
                self.text = string_value.decode()

            def numpy(self):
                return self.text

        self.State = State

    def var(self, value, name="v"):
        return self.tf.Variable(float(value), name=name)

    def optimizer(self):
        return self.tf.compat.v1.train.MomentumOptimizer(0.1, 0.9)

    def add_slot(self, optimizer, variable, value):
        return optimizer._get_or_make_slot(variable, self.tf.constant(float(value)), "momentum",
                                           "slots")

    def keys(self, prefix):
        return [key for key, _ in self.tf.train.list_variables(prefix)]

    def no_dependency(self, value):
        from tensorflow.python.trackable.data_structures import NoDependency

        return NoDependency(value)

    def save_by_name(self, prefix, **values):
        return self.tf.compat.v1.train.Saver(
            {name.replace("__", "/"): self.var(value) for name, value in values.items()}
        ).save(None, prefix, write_meta_graph=False)


def run_save(name, prefix):
    return save(TensorFlowKit(), name, prefix)


def run_restore(name, prefix):
    return restore(TensorFlowKit(), name, prefix)


# What is saved.


def two(k, prefix):
    return k.Checkpoint(a=k.var(1), b=k.var(2)).write(prefix)


def fruit(k, prefix):
    return k.Checkpoint(apple=k.var(1), pear=k.var(2)).write(prefix)


def two_counted(k, prefix):
    return k.Checkpoint(a=k.var(1), b=k.var(2)).save(prefix)


def saved_thrice(k, prefix):
    checkpoint = k.Checkpoint(a=k.var(1), b=k.var(2))
    return [checkpoint.save(prefix) for _ in range(3)][-1]


def nested(k, prefix):
    net = k.Module()
    net.w, net.inner = k.var(1), k.Module()
    net.inner.w, net.inner.deep = k.var(2), k.Module()
    net.inner.deep.w = k.var(3)
    return k.Checkpoint(net=net).write(prefix)


def rooted(k, prefix):
    net = k.Module()
    net.w, net.inner = k.var(1), k.Module()
    net.inner.w = k.var(2)
    return k.Checkpoint(net, extra=k.var(3)).write(prefix)


def a_list(k, prefix):
    net = k.Module()
    net.parts = [k.var(1), k.var(2), k.Module()]
    net.parts[2].w = k.var(3)
    return k.Checkpoint(net=net).write(prefix)


def a_dict(k, prefix):
    net = k.Module()
    net.parts = {"x": k.var(1), "y/z": k.var(2), "in": {"w": k.var(3)}}
    return k.Checkpoint(net=net).write(prefix)


def a_tuple(k, prefix):
    net = k.Module()
    net.parts = (k.var(1), [k.var(2)])
    return k.Checkpoint(net=net).write(prefix)


def shared(k, prefix):
    net = k.Module()
    net.a = k.var(1)
    net.b = net.a
    return k.Checkpoint(net=net).write(prefix)


def with_slot(k, prefix):
    w, optimizer = k.var(1, "w"), k.optimizer()
    k.add_slot(optimizer, w, 5)
    return k.Checkpoint(w=w, opt=optimizer).write(prefix)


def with_state(k, prefix):
    return k.Checkpoint(a=k.var(1), state=k.State("7")).write(prefix)


def by_name(k, prefix):
    return k.save_by_name(prefix, w=1, net__b=2, w__slots=5)


# Into what it is restored.


@scenario(two)
def the_same_read(k, prefix, notes):
    a, b = k.var(0), k.var(0)
    notes.ask("after", k.Checkpoint(a=a, b=b).read(prefix))
    notes.see(a=a, b=b)


@scenario(two)
def written_but_restored_misses_its_counter(k, prefix, notes):
    a, b = k.var(0), k.var(0)
    notes.ask("after", k.Checkpoint(a=a, b=b).restore(prefix))
    notes.see(a=a, b=b)


@scenario(saved_thrice)
def saved_and_restored_goes_on_counting(k, prefix, notes):
    a, b = k.var(0), k.var(0)
    checkpoint = k.Checkpoint(a=a, b=b)
    notes.ask("after", checkpoint.restore(prefix))
    notes.see(a=a, b=b, counter=checkpoint.save_counter)


@scenario(two_counted, watch=["save_counter"])
def saved_but_read_leaves_the_counter(k, prefix, notes):
    a, b = k.var(0), k.var(0)
    status = k.Checkpoint(a=a, b=b).read(prefix)
    notes.ask("after", status)
    notes.see(a=a, b=b)


@scenario(fruit, watch=["apple", "pear"])
def a_part_only_is_told(k, prefix, notes):
    a = k.var(0)
    notes.ask("after", k.Checkpoint(apple=a).read(prefix))
    notes.see(a=a)


@scenario(fruit, watch=["apple", "pear"])
def a_part_only_that_is_expected_is_not_told(k, prefix, notes):
    a = k.var(0)
    k.Checkpoint(apple=a).read(prefix).expect_partial()
    notes.see(a=a)


@scenario(two)
def more_than_was_saved(k, prefix, notes):
    a, b, c = k.var(0), k.var(0), k.var(9)
    notes.ask("after", k.Checkpoint(a=a, b=b, c=c).read(prefix))
    notes.see(a=a, b=b, c=c)


@scenario(nested)
def attached_level_by_level(k, prefix, notes):
    net = k.Module()
    status = k.Checkpoint(net=net).read(prefix)
    notes.ask("nothing", status)
    net.inner = k.Module()
    notes.ask("inner", status)
    net.inner.deep = k.Module()
    net.inner.deep.w = k.var(0)
    net.w = k.var(0)
    notes.ask("nearly", status)
    net.inner.w = k.var(0)
    notes.ask("all", status)
    notes.see(w=net.w, inner=net.inner.w, deep=net.inner.deep.w)


@scenario(nested)
def attached_whole(k, prefix, notes):
    net = k.Module()
    status = k.Checkpoint(net=net).read(prefix)
    inner = k.Module()
    inner.deep = k.Module()
    inner.deep.w, inner.w, w = k.var(0), k.var(0), k.var(0)
    inner.w.assign(8.0)
    net.inner, net.w = inner, w
    notes.ask("all", status)
    notes.see(w=net.w, inner=net.inner.w, deep=net.inner.deep.w)


@scenario(nested, watch=["inner"])
def attached_never_is_told(k, prefix, notes):
    net = k.Module()
    net.w = k.var(0)
    k.Checkpoint(net=net).read(prefix)
    notes.see(w=net.w)


@scenario(rooted)
def a_root_where_it_was_one(k, prefix, notes):
    net = k.Module()
    net.w, net.inner, extra = k.var(0), k.Module(), k.var(0)
    net.inner.w = k.var(0)
    notes.ask("after", k.Checkpoint(net, extra=extra).read(prefix))
    notes.see(w=net.w, inner=net.inner.w, extra=extra)


@scenario(rooted)
def keywords_where_a_root_was(k, prefix, notes):
    w, inner, extra = k.var(0), k.Module(), k.var(0)
    inner.w = k.var(0)
    notes.ask("after", k.Checkpoint(w=w, inner=inner, extra=extra).read(prefix))
    notes.see(w=w, inner=inner.w, extra=extra)


@scenario(nested, watch=["net", "would match"])
def a_root_where_a_keyword_was(k, prefix, notes):
    net = k.Module()
    net.w, net.inner = k.var(8), k.Module()
    notes.ask("after", k.Checkpoint(net).read(prefix))
    notes.see(w=net.w)


@scenario(rooted, watch=["inner", "would match"])
def a_keyword_where_a_root_was(k, prefix, notes):
    net = k.Module()
    net.w = k.var(8)
    notes.ask("after", k.Checkpoint(net=net).read(prefix))
    notes.see(w=net.w)


@scenario(a_list)
def a_list_that_is_there(k, prefix, notes):
    net = k.Module()
    net.parts = [k.var(0), k.var(0), k.Module()]
    net.parts[2].w = k.var(0)
    notes.ask("after", k.Checkpoint(net=net).read(prefix))
    notes.see(one=net.parts[0], two=net.parts[1], three=net.parts[2].w)


@scenario(a_list)
def a_list_that_is_appended_to(k, prefix, notes):
    net = k.Module()
    net.parts = []
    status = k.Checkpoint(net=net).read(prefix)
    notes.ask("empty", status)
    net.parts.append(k.var(0))
    notes.ask("one", status)
    net.parts.extend([k.var(0), k.Module()])
    net.parts[2].w = k.var(0)
    notes.ask("all", status)
    net.parts.append(k.var(9))
    notes.ask("more", status)
    notes.see(one=net.parts[0], two=net.parts[1], three=net.parts[2].w, four=net.parts[3])


@scenario(a_list)
def a_list_that_comes_later(k, prefix, notes):
    net = k.Module()
    status = k.Checkpoint(net=net).read(prefix)
    net.parts = [k.var(0), k.var(0)]
    notes.ask("two", status)
    notes.see(one=net.parts[0], two=net.parts[1])


@scenario(a_list)
def a_tuple_where_a_list_was(k, prefix, notes):
    net = k.Module()
    net.parts = (k.var(0), k.var(0), k.Module())
    net.parts[2].w = k.var(0)
    notes.ask("after", k.Checkpoint(net=net).read(prefix))
    notes.see(one=net.parts[0], two=net.parts[1], three=net.parts[2].w)


@scenario(a_dict)
def a_dict_that_is_set_into(k, prefix, notes):
    net = k.Module()
    net.parts = {"x": k.var(0)}
    status = k.Checkpoint(net=net).read(prefix)
    notes.ask("one", status)
    net.parts["y/z"] = k.var(0)
    net.parts.update({"in": {}})
    notes.ask("nearly", status)
    net.parts["in"]["w"] = k.var(0)
    notes.ask("all", status)
    notes.see(x=net.parts["x"], yz=net.parts["y/z"], w=net.parts["in"]["w"])


@scenario(a_tuple)
def a_tuple_that_comes_later(k, prefix, notes):
    net = k.Module()
    status = k.Checkpoint(net=net).read(prefix)
    net.parts = (k.var(0), [])
    notes.ask("one", status)
    net.parts[1].append(k.var(0))
    notes.ask("all", status)
    notes.see(one=net.parts[0], two=net.parts[1][0])


@scenario(shared, watch=["claim"])
def one_object_for_two(k, prefix, notes):
    net = k.Module()
    net.a, net.b = k.var(0), k.var(8)
    notes.ask("after", k.Checkpoint(net=net).read(prefix))
    notes.see(a=net.a, b=net.b)


@scenario(shared)
def one_object_for_two_that_come_later(k, prefix, notes):
    net = k.Module()
    status = k.Checkpoint(net=net).read(prefix)
    net.b, net.a = k.var(8), k.var(0)
    notes.ask("after", status)
    notes.see(a=net.a, b=net.b)


@scenario(two)
def two_objects_in_one(k, prefix, notes):
    both = k.var(0)
    notes.ask("after", k.Checkpoint(a=both, b=both).read(prefix))
    notes.see(both=both)


@scenario(nested)
def two_restores_overlap(k, prefix, notes):
    """The last asked wins, here from a file of its own."""
    other = k.Module()
    other.w = k.var(10)
    second = k.Checkpoint(net=other).write(prefix + "-second")
    for order in ("later wins", "earlier asked again"):
        net = k.Module()
        checkpoint = k.Checkpoint(net=net)
        statuses = [checkpoint.read(path) for path in (prefix, second)]
        if order != "later wins":
            statuses.append(checkpoint.read(prefix))
        net.w, net.inner = k.var(0), k.Module()
        net.inner.w, net.inner.deep = k.var(0), k.Module()
        net.inner.deep.w = k.var(0)
        for n, status in enumerate(statuses):
            notes.ask(f"{order} {n}", status)
        notes.see(**{f"{order} w": net.w, f"{order} inner": net.inner.w})


@scenario(with_slot)
def a_slot_that_is_there(k, prefix, notes):
    w, optimizer = k.var(0, "w"), k.optimizer()
    slot = k.add_slot(optimizer, w, 0)
    notes.ask("after", k.Checkpoint(w=w, opt=optimizer).read(prefix))
    notes.see(w=w, slot=slot)


@scenario(with_slot)
def a_slot_that_the_restore_makes(k, prefix, notes):
    w, optimizer = k.var(0, "w"), k.optimizer()
    notes.ask("after", k.Checkpoint(w=w, opt=optimizer).read(prefix))
    notes.see(w=w, slot=optimizer.get_slot(w, "momentum"))
    notes.see(added=k.add_slot(optimizer, w, 0))


@scenario(with_slot)
def a_slot_whose_optimizer_comes_later(k, prefix, notes):
    w, optimizer, net = k.var(0, "w"), k.optimizer(), k.Module()
    net.w = w
    status = k.Checkpoint(net).read(prefix)
    notes.ask("variable", status)
    net.opt = optimizer
    notes.ask("all", status)
    notes.see(w=w, slot=k.add_slot(optimizer, w, 0))


@scenario(with_slot)
def a_slot_whose_variable_comes_later(k, prefix, notes):
    w, optimizer, net = k.var(0, "w"), k.optimizer(), k.Module()
    slot = k.add_slot(optimizer, w, 0)
    net.opt = optimizer
    status = k.Checkpoint(net).read(prefix)
    notes.ask("optimizer", status)
    notes.see(early=slot)
    net.w = w
    notes.ask("all", status)
    notes.see(w=w, slot=slot)


@scenario(with_slot, watch=["'momentum'"])
def a_slot_without_its_optimizer_is_told(k, prefix, notes):
    w = k.var(0, "w")
    k.Checkpoint(w=w).read(prefix)
    notes.see(w=w)


@scenario(two)
def a_slot_that_was_not_saved(k, prefix, notes):
    a, b, optimizer = k.var(0, "a"), k.var(0, "b"), k.optimizer()
    slot = k.add_slot(optimizer, a, 9)
    notes.ask("after", k.Checkpoint(a=a, b=b, opt=optimizer).read(prefix))
    notes.see(a=a, slot=slot)


@scenario(with_state)
def python_state_that_is_there(k, prefix, notes):
    a, state = k.var(0), k.State("0")
    notes.ask("after", k.Checkpoint(a=a, state=state).read(prefix))
    notes.see(a=a, state=state)


@scenario(with_state, watch=["state"])
def python_state_that_nothing_takes(k, prefix, notes):
    a = k.var(0)
    notes.ask("after", k.Checkpoint(a=a).read(prefix))
    notes.see(a=a)


@scenario(with_state)
def python_state_that_comes_later(k, prefix, notes):
    net = k.Module()
    net.a = k.var(0)
    status = k.Checkpoint(net).read(prefix)
    net.state = k.State("0")
    notes.ask("after", status)
    notes.see(state=net.state)


@scenario(two)
def empty_things_count_for_nothing(k, prefix, notes):
    a, b, plain = k.var(0), k.var(0), k.Module()
    plain.empty, plain.numbers, plain.none = [], [1, 2], {}
    plain.hollow = [k.Module()]
    notes.ask("after", k.Checkpoint(a=a, b=b, plain=plain).read(prefix))


@scenario(two, watch=["VARIABLE_VALUE"])
def a_module_where_a_variable_was(k, prefix, notes):
    a, b = k.var(0), k.Module()
    notes.ask("after", k.Checkpoint(a=a, b=b).read(prefix))
    notes.see(a=a)


@scenario(nested)
def a_variable_where_a_module_was(k, prefix, notes):
    net = k.Module()
    net.w, net.inner = k.var(0), k.var(8)
    notes.ask("after", k.Checkpoint(net=net).read(prefix))
    notes.see(w=net.w, inner=net.inner)


@scenario(two)
def nothing_at_all(k, prefix, notes):
    a = k.var(8)
    notes.ask("after", k.Checkpoint(a=a).restore(None))
    notes.see(a=a)


@scenario(two)
def a_file_that_is_not_there(k, prefix, notes):
    notes.fails("prefix", lambda: k.Checkpoint(a=k.var(0)).restore(prefix + "-missing"))


@scenario(two)
def a_replaced_variable_is_not_restored(k, prefix, notes):
    net = k.Module()
    net.a, net.b = k.var(0), k.var(0)
    status = k.Checkpoint(net).read(prefix)
    notes.ask("before", status)
    net.a = k.var(8)
    notes.ask("after", status)
    notes.see(a=net.a, b=net.b)


@scenario(by_name)
def names_of_what_is_there(k, prefix, notes):
    net = k.Module()
    net.x, net.y = k.var(0, "w"), k.var(0, "net/b")
    for way in ("read", "restore"):
        notes.ask(way, getattr(k.Checkpoint(net=net), way)(prefix))
    notes.see(x=net.x, y=net.y)


@scenario(by_name)
def names_that_are_missing(k, prefix, notes):
    x, y = k.var(0, "w"), k.var(8, "else")
    notes.ask("after", k.Checkpoint(x=x, y=y).restore(prefix))
    notes.see(x=x, y=y)


@scenario(by_name)
def names_of_what_comes_later(k, prefix, notes):
    net = k.Module()
    net.x, net.parts = k.var(0, "w"), []
    status = k.Checkpoint(net=net).restore(prefix)
    notes.ask("one", status)
    net.inner = k.Module()
    net.inner.y = k.var(0, "net/b")
    net.parts.append(k.var(0, "net/b"))
    notes.ask("all", status)
    net.other = k.var(8, "else")
    notes.ask("more", status)
    notes.see(x=net.x, y=net.inner.y, part=net.parts[0], other=net.other)


@scenario(by_name)
def names_of_slots(k, prefix, notes):
    w, optimizer = k.var(0, "w"), k.optimizer()
    slot = k.add_slot(optimizer, w, 0)
    notes.ask("after", k.Checkpoint(w=w, opt=optimizer).restore(prefix))
    notes.see(w=w, slot=slot)


@scenario(by_name)
def names_that_all_are_missing(k, prefix, notes):
    notes.fails("restore", lambda: k.Checkpoint(x=k.var(8, "else")).restore(prefix))


def managed(k, prefix):
    a = k.var(0)
    manager = k.Manager(k.Checkpoint(a=a), os.path.dirname(prefix), max_to_keep=2)
    for step in range(4):
        a.assign(float(step))
        path = manager.save()
    return path


@scenario(managed)
def a_manager_goes_on(k, prefix, notes):
    a = k.var(8)
    checkpoint = k.Checkpoint(a=a)
    manager = k.Manager(checkpoint, os.path.dirname(prefix), max_to_keep=2)
    notes.asserts["found"] = os.path.basename(manager.restore_or_initialize())
    notes.asserts["kept"] = [os.path.basename(path) for path in manager.checkpoints]
    notes.see(a=a, counter=checkpoint.save_counter)


@scenario(managed)
def a_manager_restores_what_comes_later(k, prefix, notes):
    net = k.Module()
    checkpoint = k.Checkpoint(net)
    manager = k.Manager(checkpoint, os.path.dirname(prefix), max_to_keep=2)
    status = checkpoint.restore(manager.latest_checkpoint)
    net.a = k.var(8)
    notes.ask("after", status)
    notes.see(a=net.a, counter=checkpoint.save_counter)


@scenario(by_name)
def names_of_slots_that_are_made_later(k, prefix, notes):
    w, optimizer = k.var(0, "w"), k.optimizer()
    status = k.Checkpoint(w=w, opt=optimizer).restore(prefix)
    slot = k.add_slot(optimizer, w, 0)
    notes.ask("after", status)
    notes.see(w=w, slot=slot)


@scenario(two)
def a_file_written_anew_while_something_waits(k, prefix, notes):
    net = k.Module()
    k.Checkpoint(net).read(prefix).expect_partial()
    k.Checkpoint(a=k.var(10), b=k.var(20), c=k.var(30)).write(prefix)
    notes.fails("attach", lambda: setattr(net, "b", k.var(8)))
    notes.see(b=net.b)


@scenario(two)
def an_edited_list_is_saved(k, prefix, notes):
    net = k.Module()
    net.parts = [k.var(1), k.var(2)]
    del net.parts[0]
    notes.fails("write", lambda: k.Checkpoint(net).write(prefix + "-edited"))


@scenario(two)
def what_was_replaced_is_not_saved(k, prefix, notes):
    net = k.Module()
    net.a, net.b, net.c, net.parts = k.var(1), k.var(2), k.var(3), {"x": k.var(4), "y": k.var(5)}
    net.a = 7
    del net.b
    del net.parts["x"]
    path = k.Checkpoint(net).write(prefix + "-replaced")
    notes.asserts["keys"] = [key.partition("/.")[0] for key in k.keys(path)]


# Structures whose files must be the same, byte for byte.

SAVES = {}


def saved(build):
    SAVES[build.__name__] = build
    return build


def save_built(kit, name, prefix):
    return SAVES[name](kit).save(prefix)


def run_save_built(name, prefix):
    return save_built(TensorFlowKit(), name, prefix)


class Pair(NamedTuple):
    left: Any
    right: Any


class NamedPair(Pair):
    pass


@saved
def a_variable_as_root(k):
    return k.Checkpoint(k.var(1), other=k.var(2))


@saved
def named_tuples(k):
    return k.Checkpoint(pair=Pair(k.var(1), [k.var(2)]), sub=NamedPair(3, k.var(4)))


@saved
def tuples_in_tuples(k):
    net = k.Module()
    net.parts = (k.var(1), (2, (k.var(3),)), {"x": (k.var(4), "text")}, (5, 6))
    net.loop = (net, k.var(7))
    return k.Checkpoint(net)


@saved
def plain_values_between(k):
    return k.Checkpoint(parts=[1, k.var(1), "text", None, k.var(2)],
                        more={"a": 1, "b": k.var(3), 4: "no text", "c": [5, 6]})


@saved
def a_checkpoint_in_a_checkpoint(k):
    net = k.Module()
    net.w = k.var(1)
    inner, rooted = k.Checkpoint(w=k.var(2)), k.Checkpoint(net, more=k.var(3))
    inner.save_counter.assign_add(4)
    rooted.save_counter.assign_add(5)
    return k.Checkpoint(inner=inner, rooted=rooted)


@saved
def an_ordered_dict(k):
    return k.Checkpoint(parts=collections.OrderedDict([("b", k.var(1)), ("a", k.var(2))]))


@saved
def no_dependencies(k):
    net, hidden = k.Module(), k.no_dependency
    net.attribute = hidden(k.var(1))
    net.parts = [k.var(2), hidden(k.var(3)), k.var(4)]
    net.parts.append(hidden(k.var(5)))
    net.names = {"x": hidden(k.var(6)), "y": k.var(7), 8: hidden(k.var(8))}
    net.both = (k.var(9), hidden(k.var(10)))
    net.pair = Pair(hidden(k.var(11)), k.var(12))
    return k.Checkpoint(net)


@saved
def a_property_with_a_setter(k):
    class Net(k.Module):
        @property
        def kernel(self):
            return self._kernel

        @kernel.setter
        def kernel(self, value):
            self._kernel = value

    net = Net()
    net.kernel = k.var(1)
    return k.Checkpoint(net)


@saved
def replaced_attributes_keep_their_place(k):
    net = k.Module()
    net.a, net.b, net.c = k.var(1), k.var(2), k.var(3)
    net.a = k.var(4)
    del net.b
    net.b = k.var(5)
    return k.Checkpoint(net)


@saved
def slots_of_what_is_in_the_graph(k):
    inside, outside, optimizer = k.var(1, "inside"), k.var(2, "outside"), k.optimizer()
    k.add_slot(optimizer, outside, 3)
    k.add_slot(optimizer, inside, 4)
    return k.Checkpoint(inside=inside, opt=optimizer)


@saved
def python_state(k):
    net = k.Module()
    net.state, net.w = k.State("7"), k.var(1)
    return k.Checkpoint(net=net, more=k.State("8"))
