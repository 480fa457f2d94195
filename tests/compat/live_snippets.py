"""tfckpt on TensorFlow's own live objects, in TensorFlow's own process.

Each function says what came out; the tests beside say what has to. Where two files are
compared, one is of ``tf.train.Checkpoint`` or ``tf.compat.v1.train.Saver``, and one is ours.
"""

import glob
import os

import numpy as np
import tensorflow as tf
from pages import page  # noqa: F401 - called from outside

import tfckpt


class Net(tf.Module):
    """Variables of several dtypes, lists, dicts, a module that is in two places, a cycle."""

    def __init__(self, factor=1.0):
        super().__init__()
        self.w = tf.Variable(factor * np.arange(6, dtype=np.float32).reshape(2, 3), name="w")
        self.layers = [tf.Variable(3.0 * factor, name="l0"),
                       {"block.1/k": tf.Variable(int(factor))}]
        self.small = tf.Variable(tf.fill([3], tf.cast(factor, tf.bfloat16)), name="small")
        self.text = tf.Variable(["x", "y" * int(factor)], name="text")
        self.inner = tf.Module()
        self.inner.deep = (tf.Variable(5.0 * factor), tf.Variable(True))
        self.inner.up = self
        self.again = self.inner


def content(prefix):
    """All bytes of a checkpoint in one shard."""
    return [open(prefix + ending, "rb").read()
            for ending in (".index", ".data-00000-of-00001")]


def same_files(folder, children, root=None):
    """Whether TensorFlow's checkpoint of live objects and ours have the same bytes."""
    for path in glob.glob(os.path.join(folder, "ours.*")):  # what replaces them has other names
        os.remove(path)
    roots = () if root is None else (root,)
    theirs = tf.train.Checkpoint(*roots, **children).write(os.path.join(folder, "theirs"))
    ours = tfckpt.Checkpoint(*roots, **children).write(os.path.join(folder, "ours"))
    return content(theirs) == content(ours)


def values(net):
    """What a Net holds, as JSON can say it."""
    return {"w": net.w.numpy().tolist(), "l0": float(net.layers[0]),
            "k": int(net.layers[1]["block.1/k"]), "small": net.small.numpy().astype(float).tolist(),
            "text": [text.decode() for text in net.text.numpy()],
            "deep": [float(net.inner.deep[0]), bool(net.inner.deep[1])]}


def modules(folder):
    net = Net(2.0)
    checkpoint = tfckpt.Checkpoint(model=net)
    ours = checkpoint.save(os.path.join(folder, "ours/ckpt"))
    theirs = tf.train.Checkpoint(model=net).save(os.path.join(folder, "theirs/ckpt"))
    ours_there, theirs_here = Net(), Net()
    tf.train.Checkpoint(model=ours_there).restore(ours).assert_consumed()
    tfckpt.Checkpoint(model=theirs_here).restore(theirs).assert_consumed()
    return {"own object": checkpoint.model is net,
            "same": same_files(folder, {"model": net}),
            "same as root": same_files(folder, {"more": tf.Variable(1.0)}, root=net),
            "same in containers": same_files(folder, {"vars": [net.w, {"a": net.text}, (net.w,)]}),
            "saved": values(net), "ours there": values(ours_there),
            "theirs here": values(theirs_here)}


def deferred(folder):
    path = tfckpt.Checkpoint(model=Net(2.0)).write(os.path.join(folder, "ckpt"))
    later = tf.Module()
    status = tfckpt.Checkpoint(model=later).read(path)
    before = [str(item.name) for item in status.report.missing]
    later.w = tf.Variable(tf.zeros([2, 3]))
    later.layers = []
    later.layers.append(tf.Variable(0.0))
    later.layers.append({"block.1/k": tf.Variable(0)})
    later.inner = tf.Module()
    later.inner.deep = (tf.Variable(0.0), tf.Variable(False))
    unused = list(status.report.unused)
    later.small = tf.Variable(tf.zeros([3], tf.bfloat16))
    later.text = tf.Variable(["", ""])
    status.assert_consumed()
    return {"missing before": before, "unused": unused, "values": values(later)}


def last_restore_wins(folder):
    """Whichever restore was asked for last, TensorFlow's or ours, gives a later child its value."""
    first = tfckpt.Checkpoint(v=tf.Variable(1.0)).write(os.path.join(folder, "first"))
    second = tfckpt.Checkpoint(v=tf.Variable(2.0)).write(os.path.join(folder, "second"))
    found = []
    for order in ((tfckpt, tf.train), (tf.train, tfckpt), (tfckpt, tfckpt)):
        root = tf.Module()
        for library, path in zip(order, (first, second), strict=True):
            library.Checkpoint(root).read(path).expect_partial()
        root.v = tf.Variable(0.0)
        found.append(float(root.v))
    return found


def saver(folder):
    a, c = tf.Variable([1.0, 2.0], name="a"), tf.Variable(3, name="scoped/c")
    step = tf.Variable(7, dtype=tf.int64)
    ours = tfckpt.Saver([a, c]).save(None, os.path.join(folder, "ours"), global_step=step)
    theirs = tf.compat.v1.train.Saver([a, c]).save(None, os.path.join(folder, "theirs"))
    a.assign([0.0, 0.0])
    c.assign(0)
    tfckpt.Saver({"a": a, "scoped/c": c}).restore(None, theirs)
    return {"path": os.path.basename(ours), "same": content(ours) == content(theirs),
            "values": [a.numpy().tolist(), int(c)]}


def init_from(folder):
    path = tfckpt.Saver({"old/a": tf.Variable([1.0, 2.0])}).save(None, os.path.join(folder, "m"))
    new = tf.Variable([0.0, 0.0], name="new")
    report = tfckpt.init_from_checkpoint(path, {"old/a": new})
    return {"matched": list(report.matched), "value": new.numpy().tolist()}


def refusals(folder):
    """Messages of what can't be done."""
    path = tfckpt.Checkpoint(v=tf.Variable([1.0, 2.0])).write(os.path.join(folder, "ckpt"))
    module, messages = tf.Module(), []
    module.l = [tf.Variable(1.0)]
    module.l.insert(0, tf.Variable(2.0))
    for attempt in (lambda: tfckpt.Checkpoint(v=tf.Variable([1, 2])).read(path),
                    lambda: tfckpt.Checkpoint(v=tf.constant(1.0)),
                    lambda: tfckpt.Checkpoint(module).write(path + "x"),
                    lambda: tfckpt.Saver([tf.Variable(1.0, name="n"), tf.Variable(2.0, name="n")])):
        try:
            attempt()
            messages.append("nothing was raised")
        except tfckpt.CheckpointError as error:
            messages.append(str(error).split("\n")[0].replace(folder, "FOLDER"))
    return messages


def dtypes_that_are_newer(folder):
    """What is said where TensorFlow holds ml_dtypes at a version that lacks them."""
    from tfckpt.format.dtypes import dtype_named

    said = set()
    for name in ("int2", "uint2", "float4_e2m1fn"):
        try:
            said.add(str(dtype_named(name).numpy()))
        except tfckpt.MissingDependencyError as error:
            said.add(str(error).replace(name, "NAME"))
    return sorted(said)


def nothing_is_kept_alive(folder):
    """What still lives of an object that was saved and restored, after its last reference."""
    import gc
    import weakref

    net = Net()
    path = tfckpt.Checkpoint(model=net).write(os.path.join(folder, "ckpt"))
    status = tfckpt.Checkpoint(model=net).restore(path)
    refer, variable = weakref.ref(net), weakref.ref(net.w)
    del net, status
    gc.collect()
    from tfckpt.train import adapters

    known = [type(kept.refer()).__name__ for kept in adapters._known.values()]
    return {"module": refer() is not None, "variable": variable() is not None,
            "remembered": known.count("Net")}


def objects_with_values(folder):
    """Tables and iterators."""
    def make():
        table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
        dense = tf.lookup.experimental.DenseHashTable(
            tf.int64, tf.float32, default_value=-1.0, empty_key=0, deleted_key=-2)
        static = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["q"], [4]), -1)
        shuffled = tf.data.Dataset.range(100).shuffle(10, seed=3).map(lambda x: x * 2)
        return {"table": table, "dense": dense, "static": static, "it": iter(shuffled)}

    first, second, third = make(), make(), make()
    first["table"].insert(["a", "b"], [1, 2])
    first["dense"].insert([5], [6.0])
    for _ in range(7):
        next(first["it"])
    second["table"].insert(["other"], [9])
    same = same_files(folder, first)
    ours, theirs = os.path.join(folder, "ours"), os.path.join(folder, "theirs")
    tfckpt.Checkpoint(**second).read(theirs).assert_consumed()
    tf.train.Checkpoint(**third).read(ours).assert_consumed()
    expected = [int(next(first["it"])) for _ in range(5)]
    answers = []
    for made in (second, third):
        keys, numbers = made["table"].export()
        names = [key.decode() for key in keys.numpy()]
        answers.append({
            "table": sorted(zip(names, numbers.numpy().tolist(), strict=True)),
            "dense": float(made["dense"].lookup(tf.constant([5], tf.int64))[0]),
            "next": [int(next(made["it"])) for _ in range(5)] == expected})
    return {"same": same, "theirs here": answers[0], "ours there": answers[1]}


class Notes(tf.train.experimental.PythonState):
    def __init__(self, text):
        self.text = text

    def serialize(self):
        return self.text

    def deserialize(self, string_value):
        self.text = string_value.decode()


def state_and_registered(folder):
    """Python state, and what only its own saver can write."""
    same = same_files(folder, {"notes": Notes("so far"), "v": tf.Variable(1.0)})
    later = Notes("")
    tfckpt.Checkpoint(notes=later).read(os.path.join(folder, "theirs")).expect_partial()

    class Own(tf.Module):
        pass

    def save(trackables, file_prefix):
        return []

    def load(trackables, merged_prefix):
        return None

    from tensorflow.python.saved_model import registration

    registration.register_checkpoint_saver(
        package="test", name=f"Own{id(Own)}", predicate=lambda obj: isinstance(obj, Own),
        save_fn=save, restore_fn=load)
    try:
        tfckpt.Checkpoint(own=Own()).write(os.path.join(folder, "own"))
    except tfckpt.UnsupportedError as error:
        return {"same": same, "state": later.text, "refused": error.message}


def memory(folder):
    """Whether what is saved of a variable is TensorFlow's own buffer, for each dtype."""
    from tfckpt.train.adapters import arrays_of, stand_in

    views = {}
    for dtype in (tf.float32, tf.bfloat16, tf.float16, tf.int64, tf.bool, tf.complex64, tf.uint8,
                  tf.qint8, tf.dtypes.experimental.float8_e5m2, tf.dtypes.experimental.int4):
        # float8 is made of floats only, int4 of integers only.
        zeros = tf.zeros([64], tf.float32 if "float" in dtype.name else tf.int8)
        value = tf.bitcast(zeros, dtype) if dtype == tf.qint8 else tf.cast(zeros, dtype)
        variable = tf.Variable(value)
        (array,) = arrays_of([stand_in(variable)])
        (again,) = arrays_of([stand_in(variable)])
        path = tfckpt.Checkpoint(v=variable).write(os.path.join(folder, dtype.name))
        tfckpt.Checkpoint(v=variable).read(path).assert_consumed()
        there = tf.Variable(value)
        tf.train.Checkpoint(v=there).read(path).assert_consumed()
        views[dtype.name] = bool(np.shares_memory(array, again)) and not array.flags.writeable
    variable = tf.Variable([1.0, 2.0])
    (before,) = arrays_of([stand_in(variable)])
    variable.assign_add([1.0, 1.0])
    variable.scatter_nd_update([[0]], [9.0])
    return {"copied": sorted(name for name, is_view in views.items() if not is_view),
            "kept": before.tolist()}


def rewritten(folder):
    """A dataset's position in a checkpoint that tfckpt has rewritten."""
    iterator = iter(tf.data.Dataset.range(50).shuffle(9, seed=5))
    for _ in range(3):
        next(iterator)
    path = tf.train.Checkpoint(it=iterator).write(os.path.join(folder, "ckpt"))
    expected = [int(next(iterator)) for _ in range(4)]
    answers = []
    for number, rewrite in enumerate((
            lambda out: tfckpt.reshard(path, out, shards=2),
            lambda out: tfckpt.rename(path, out, {"it": "position"}))):
        again = os.path.join(folder, f"again{number}")
        rewrite(again)
        later = iter(tf.data.Dataset.range(50).shuffle(9, seed=5))
        tf.train.Checkpoint(**{"position" if number else "it": later}).read(again).assert_consumed()
        answers.append([int(next(later)) for _ in range(4)] == expected)
    return answers
