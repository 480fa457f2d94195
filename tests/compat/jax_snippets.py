"""JAX, Flax and Optax beside tfckpt, and TensorFlow as the judge.

What begins with ``tf_`` runs in an environment with TensorFlow, the rest in ``keras3``.
"""

import json
import os
import traceback
import weakref

import numpy as np
from pages import page  # noqa: F401 - called from outside

# Path in a tree, dtype, shape.
LEAVES = {
    "dense/kernel": ("float32", (2, 3)), "dense/bias": ("bfloat16", (3,)),
    "a/b.c/odd name": ("int32", ()), "layers/0/w": ("float16", (2,)),
    "layers/1/w": ("float8_e4m3fn", (4,)), "pair/0": ("float32", (1,)), "pair/1": ("bool", (2,)),
}


def numbers(dtype, shape, add=0):
    count = int(np.prod(shape, dtype=int))
    return (np.arange(count).reshape(shape) + add).astype("float32" if "float8" in dtype
                                                          else dtype)


def nested(make):
    """The leaves of LEAVES as dicts, a list and a tuple, in one order."""
    leaf = {name: make(name, *what) for name, what in LEAVES.items()}
    return {"dense": {"kernel": leaf["dense/kernel"], "bias": leaf["dense/bias"]},
            "a": {"b.c": {"odd name": leaf["a/b.c/odd name"]}},
            "layers": [{"w": leaf["layers/0/w"]}, {"w": leaf["layers/1/w"]}], "empty": {},
            "pair": (leaf["pair/0"], leaf["pair/1"])}


def jax_tree(add=0):
    import jax.numpy as jnp

    return nested(lambda name, dtype, shape: jnp.asarray(numbers(dtype, shape, add), dtype))


def flat(tree):
    import jax

    return [np.asarray(leaf).astype("float32").ravel().tolist()
            for leaf in jax.tree_util.tree_leaves(tree)]


def said(act):
    """The message of the error of ours that something ends in."""
    from tfckpt.errors import CheckpointError

    try:
        act()
    except CheckpointError as error:
        return f"{type(error).__name__}: {error}"
    raise AssertionError("nothing was raised")


def tf_variables(add=0):
    import tensorflow as tf

    return nested(lambda name, dtype, shape: tf.Variable(
        tf.cast(numbers(dtype, shape, add), dtype), name=name))


def tf_save(prefix):
    import tensorflow as tf

    return tf.train.Checkpoint(params=tf_variables(add=1)).save(prefix)


def tf_restore(prefix):
    """Restore what JAX saved and assert all of it; the values, and what TensorFlow would save."""
    import tensorflow as tf

    variables = tf_variables()
    checkpoint = tf.train.Checkpoint(params=variables)
    checkpoint.restore(prefix).assert_consumed()
    checkpoint.write(prefix + "-again")
    return [tf.cast(leaf, "float32").numpy().ravel().tolist() for leaf in tf.nest.flatten(
        variables)]


def save_tree(prefix):
    import tfckpt

    tree = jax_tree(add=1)
    checkpoint = tfckpt.Checkpoint(params=tree)
    assert checkpoint.params is tree
    assert type(tree["dense"]) is dict  # a dict of its user's, and of JAX's
    return checkpoint.save(prefix), flat(tree)


def restore_tree(prefix):
    """Restore what TensorFlow saved into dicts and lists; a tuple is refused first."""
    import tfckpt

    tree = jax_tree()
    before = flat(tree)
    refused = said(lambda: tfckpt.Checkpoint(params=tree).restore(prefix))
    assert flat(tree) == before
    kernel, _ = tree["dense"]["kernel"], tree.pop("pair")
    tfckpt.Checkpoint(params=tree).restore(prefix).assert_existing_objects_matched()
    assert tree["dense"]["kernel"] is not kernel
    assert tree["dense"]["bias"].dtype == "bfloat16"
    return refused, flat(tree)


def module():
    import jax.numpy as jnp
    from flax import nnx

    class Net(nnx.Module):
        def __init__(self, fill):
            rngs = nnx.Rngs(0)
            self.layers = nnx.List([nnx.Linear(2, 2, rngs=rngs)])
            self.drop = nnx.Dropout(0.5, rngs=rngs)
            self.tied = self.layers[0].kernel
            self.layers[0].kernel.set_value(jnp.full((2, 2), fill))
            self.offset = jnp.full((2,), fill)

    return Net


def nnx_there_and_back(folder):
    """Modules, shared variables, keys, optimizers and states of NNX."""
    import jax
    import optax
    from flax import nnx

    import tfckpt

    net, other = module()(3.0), module()(0.0)
    optimizer, fresh = (nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)
                        for model in (net, other))
    jax.random.uniform(net.drop.rngs())  # its count goes on
    gradients = jax.tree.map(lambda leaf: leaf + 1, nnx.state(net, nnx.Param))
    optimizer.update(net, gradients)
    prefix = tfckpt.Checkpoint(model=net, optimizer=optimizer).save(folder + "/nnx")
    tfckpt.Checkpoint(model=other, optimizer=fresh).restore(prefix).assert_consumed()
    assert other.tied is other.layers[0].kernel
    for one, two in ((net, other), (optimizer, fresh)):
        for left, right in zip(*(jax.tree.leaves(nnx.state(item)) for item in (one, two)),
                               strict=True):
            assert left.dtype == right.dtype
            is_key = jax.dtypes.issubdtype(left.dtype, jax.dtypes.prng_key)
            assert np.array_equal(*map(jax.random.key_data, (left, right)) if is_key
                                  else (left, right))
    saver = tfckpt.Saver(net)
    saver.restore(None, saver.save(None, folder + "/names", global_step=1))
    with tfckpt.open(prefix) as source:
        keys = [key.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE") for key in source.index
                if key.startswith("model")]
    return keys, list(saver.variables)


def kinds(folder):
    """What JAX has besides plain arrays, there and back, or what is said of it."""
    import jax
    import jax.numpy as jnp
    import optax
    from flax.core import freeze
    from flax.linen import Partitioned
    from flax.training.train_state import TrainState
    from jax.sharding import Mesh, NamedSharding
    from jax.sharding import PartitionSpec as P

    import tfckpt

    sharding = NamedSharding(Mesh(np.array(jax.devices()), ("x",)), P("x"))
    tree = {"sharded": jax.device_put(jnp.arange(4.0), sharding), "key": jax.random.key(7),
            "old key": jax.random.PRNGKey(7), "numpy": np.arange(3), "number": 5, "text": "left",
            "boxed": Partitioned(jnp.arange(2.0), ("x",)), "ints": {3: jnp.ones(1)},
            "frozen": None,
            "device": jax.device_put(1.0, jax.devices()[-1])}
    prefix = tfckpt.Checkpoint(tree=tree).save(folder + "/kinds")
    wanted = dict(tree)
    tree.update({name: jax.tree.map(lambda leaf: leaf * 0, part) for name, part in tree.items()
                 if name not in ("text", "key")}, key=jax.random.key(0))
    tfckpt.Checkpoint(tree=tree).restore(prefix).assert_consumed()
    assert jax.tree.all(jax.tree.map(lambda a, b: bool(np.all(a == b)), wanted, tree))
    assert type(tree["number"]) is int
    assert type(tree["numpy"]) is np.ndarray
    assert tree["sharded"].sharding == sharding
    assert tree["boxed"].names == ("x",)
    assert tree["device"].committed
    assert not tree["ints"][3].committed
    assert tree["device"].devices() == wanted["device"].devices()

    state = TrainState.create(apply_fn=None, params={"w": jnp.ones(2)}, tx=optax.adam(1.0))
    saved = tfckpt.Checkpoint(state=state, fixed=freeze({"a": {"w": jnp.ones(2)}})).save(
        folder + "/state")
    array, traced, gone = jnp.ones(2), [], jnp.ones(2)
    jax.jit(lambda value: traced.append(value) or value)(array)
    gone.delete()
    holder = tfckpt.Checkpoint(early={})

    def late():
        holder.early["w"] = array

    with tfckpt.open(saved) as source:
        keys = [key.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE") for key in source.index]
    return keys, [said(act) for act in (
        lambda: tfckpt.Checkpoint(state=state, fixed=freeze({
            "a": {"w": jnp.ones(2)}})).restore(saved),
        lambda: tfckpt.Saver({"w": array}).restore(None, tfckpt.Saver({"w": array}).save(
            None, folder + "/w")),
        lambda: tfckpt.Saver([array]), lambda: tfckpt.Checkpoint(array), late,
        lambda: tfckpt.Checkpoint(tree={"a": traced[0]}).save(folder + "/no"),
        lambda: tfckpt.Checkpoint(tree={"a": gone}).save(folder + "/no"),
        lambda: tfckpt.Checkpoint(tree={"a": jax.eval_shape(jnp.sin, array)}).save(folder + "/no"),
        lambda: tfckpt.Checkpoint(tree={"a": array, "b": {(1, 2): array}}).save(folder + "/no"),
        lambda: tfckpt.Checkpoint(tree={"a": jnp.ones(1, "float8_e3m4")}).save(folder + "/no"),
        lambda: tfckpt.Checkpoint(state={"w": jnp.ones(3)}).read(
            tfckpt.Checkpoint(state={"w": array}).write(folder + "/other")),
    )]


def training(folder):
    """A loop as people write it: each step makes new trees; saved behind its back."""
    import jax
    import jax.numpy as jnp

    import tfckpt

    def freed(act):
        """Whether a save, or what it is given, keeps no array that the loop has replaced."""
        tree = {"new": {"w": jnp.ones(8)}, "pair": (jnp.ones(8),)}
        arrays = [weakref.ref(tree["new"]["w"]), weakref.ref(tree["pair"][0])]
        keeps = act(tree)
        tree.update(new={"w": jnp.ones(8)}, pair=())
        return keeps is not None and [array() is None for array in arrays] == [True, True]

    def checkpointed(tree):
        checkpoint = tfckpt.Checkpoint(tree=tree)
        checkpoint.save(folder + "/freed")
        return checkpoint

    def named(tree):
        saver = tfckpt.Saver(tree)
        saver.save(None, folder + "/named")
        return saver

    assert freed(checkpointed)
    assert freed(named)

    step = jax.jit(lambda params: jax.tree.map(lambda leaf: leaf + 1, params), donate_argnums=0)
    state = {"params": {"w": jnp.zeros(1 << 16)}}
    saver = tfckpt.Saver(state, max_to_keep=None)
    first = saver.save(None, folder + "/first")
    state["params"]["w"] += 5
    saver.restore(None, first)
    assert float(state["params"]["w"][0]) == 0.0
    checkpoint = tfckpt.Checkpoint(params=state["params"])
    with tfckpt.BackgroundSaves() as saves:
        for number in range(3):
            saves.save(saver, None, folder + "/names", global_step=number)
            saves.save(checkpoint, folder + "/objects")
            state["params"] = checkpoint.params = step(state["params"])
    found = []
    for name, key in (("names-{}", "params/w"),
                      ("objects-{}", "params/w/.ATTRIBUTES/VARIABLE_VALUE")):
        for number in range(3):
            with tfckpt.open(f"{folder}/{name.format(number + ('objects' in name))}") as source:
                found.append(sorted(set(source[key].tolist())))
    return found


def doctests():
    """Run the examples of the room's own docstrings."""
    import doctest
    import importlib
    import pkgutil

    import tfckpt.jax

    failed = []
    for module_info in pkgutil.iter_modules(tfckpt.jax.__path__, "tfckpt.jax."):
        try:
            module = importlib.import_module(module_info.name)
        except Exception:
            failed.append(traceback.format_exc())
            continue
        if doctest.testmod(module).failed:
            failed.append(module_info.name)
    return failed


# ---- load and save -------------------------------------------------------------------------------

# What Keras 2 calls the layers inside its attention.
INSIDE = {f"attention/{ours}": f"attention/_{theirs}_dense" for ours, theirs in (
    ("query", "query"), ("key", "key"), ("value", "value"), ("attention_output", "output"))}


def tf1_run(path, restore):
    """Fill the net of TensorFlow 1 and save it, or restore it; what it computes."""
    import jax_models
    import tensorflow as tf

    tf = tf.compat.v1
    with tf.Graph().as_default(), tf.Session() as session:
        outputs = jax_models.tf1_net()
        saver = tf.train.Saver()
        if restore:
            saver.restore(session, path)
        else:
            for variable in tf.global_variables():
                variable.load(jax_models.filled(variable.op.name, variable.shape.as_list()),
                              session)
            saver.save(session, path, write_meta_graph=False)
        return session.run(outputs).tolist()


def keras_run(path, restore, model="keras_net"):
    """The same with Keras's layers and tf.train.Checkpoint."""
    import jax_models
    import tensorflow as tf

    net = getattr(jax_models, model)()
    images, ids = tf.constant(jax_models.IMAGES), tf.constant(jax_models.IDS)
    net(images, ids)
    checkpoint = tf.train.Checkpoint(net=net)
    if restore:
        checkpoint.restore(path).assert_consumed()
    else:
        for number, variable in enumerate(net.variables):
            variable.assign(jax_models.filled(variable.name.partition(":")[0], variable.shape,
                                              number))
        if model == "keras_net":  # what a GRU of NNX doesn't have
            bias = net.gru.cell.bias
            bias.assign(bias.numpy() * np.where(np.arange(24).reshape(2, 12) < 20, 1, 0))
        path = checkpoint.save(path)
    return path, net(images, ids).numpy().tolist()


def linen_load(path):
    """Load what TensorFlow 1 saved; what the net computes, and the report."""
    import jax
    import jax_models

    import tfckpt.jax

    net = jax_models.linen_net()
    variables = jax.eval_shape(net.init, jax.random.key(0), jax_models.IMAGES, jax_models.IDS)
    loaded = tfckpt.jax.load(variables, path, layouts={"cell": "basic_lstm_cell"})
    outputs = jax.jit(net.apply)(loaded.tree, jax_models.IMAGES, jax_models.IDS)
    unclear = said(lambda: tfckpt.jax.load(variables, path))
    return outputs.tolist(), list(loaded.report.notes), unclear


def linen_save(path):
    import jax
    import jax_models

    import tfckpt.jax

    net = jax_models.linen_net()
    variables = jax_models.drawn(net)
    report = tfckpt.jax.save(
        variables, path, style="tf1", name="net",
        layouts={"cell": "basic_lstm_cell", "up": "transposed", "depth": "depthwise(2)"},
        names={"embed/embeddings": "embed/embedding_table", "cell": "rnn/cell",
               "depth/depthwise_kernel": "depth/depthwise_weights"})
    again = tfckpt.jax.load(variables, path, layouts={"cell": "basic_lstm_cell"})
    assert all(np.allclose(a, b, atol=1e-6) for a, b in zip(flat(again.tree), flat(variables),
                                                            strict=True))
    outputs = jax.jit(net.apply)(variables, jax_models.IMAGES, jax_models.IDS)
    return outputs.tolist(), list(report.plan.notes)


def nnx_load(path):
    import jax
    import jax_models
    from flax import nnx

    import tfckpt.jax

    net = nnx.eval_shape(jax_models.nnx_class())
    loaded = tfckpt.jax.load(net, path)
    assert loaded.tree is net
    assert loaded.report.notes[-1] == (
        "random generators have no state yet: gru/rngs/count, gru/rngs/key, lstm/rngs/count,"
        " lstm/rngs/key, rnn/rngs/count, rnn/rngs/key")
    jax_models.seeded(net)
    state = nnx.to_pure_dict(nnx.state(net, nnx.Not(nnx.RngState)))
    half = tfckpt.jax.load(jax.tree.map(lambda leaf: (leaf * 0).astype("bfloat16"), state), path,
                           cast=True)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a.astype("bfloat16") == b).all()), state,
                                     half.tree))
    outputs = net(jax_models.IMAGES, jax_models.IDS).tolist()
    return outputs, list(loaded.report.notes)[:-1], half.report.notes[-1]


def nnx_save(path):
    import jax_models

    import tfckpt.jax

    net = jax_models.nnx_net()
    tfckpt.jax.save(net, path, name="net", names=INSIDE, layouts={"depth": "depthwise(2)"})
    return net(jax_models.IMAGES, jax_models.IDS).tolist()


def cells(path, saved):
    """Cells of linen and an attention, from one that isn't split in heads, and back."""
    import jax
    import jax_models

    import tfckpt.jax

    net, inputs = jax_models.linen_cells(), (jax_models.IMAGES, jax_models.IDS)
    fresh = jax_models.drawn(net)
    loaded = tfckpt.jax.load(fresh, path)
    apply = jax.jit(net.apply)
    outputs = apply(loaded.tree, *inputs).tolist()
    tfckpt.jax.save(fresh, saved, name="net", names={"attention/attention_output": "attention/out"},
                    layouts={"attention/*": "flat"})
    return outputs, list(loaded.report.notes), apply(fresh, *inputs).tolist()


def sharded(folder):
    """Arrays on two devices, saved and restored where they are; in a process of its own."""
    import subprocess
    import sys

    code = f"""
import jax, numpy as np, tfckpt, tfckpt.jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
halves = NamedSharding(Mesh(np.array(jax.devices()), ("x",)), P("x"))
tree = {{"w": jax.device_put(np.arange(4.0, dtype="float32"), halves),
        "b": jax.device_put(np.float32(1), jax.devices()[1])}}
prefix = tfckpt.Checkpoint(tree=tree).save({folder!r} + "/sharded")
old = dict(tree)
tree.update(jax.tree.map(lambda leaf: leaf * 0, tree))
tfckpt.Checkpoint(tree=tree).restore(prefix).assert_consumed()
loaded = tfckpt.jax.load(jax.tree.map(lambda leaf: leaf * 0, tree), prefix).tree
for found in (tree, loaded):
    for name, leaf in found.items():
        assert np.array_equal(leaf, old[name]) and leaf.sharding == old[name].sharding, name
print(len(tree["w"].addressable_shards), tree["b"].devices() == {{jax.devices()[1]}})
"""
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    return subprocess.run([sys.executable, "-c", code], check=True, text=True, env=environment,
                          stdout=subprocess.PIPE).stdout


def two_processes(folder):
    """What two processes that train together say of arrays that both have, and of halves."""
    import socket
    import subprocess
    import sys

    code = """
import sys, jax, numpy as np, tfckpt, tfckpt.jax
jax.distributed.initialize("localhost:" + sys.argv[1], 2, int(sys.argv[2]))
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
mesh = Mesh(np.array(jax.devices()), ("x",))
def array(spec, values):
    return jax.make_array_from_callback((4,), NamedSharding(mesh, spec), lambda at: values[at])
values = np.arange(4.0, dtype="float32")
tree = {"both": array(P(), values), "halves": array(P("x"), values)}
prefix = tfckpt.Checkpoint(tree={"both": tree["both"]}).write(sys.argv[3])
new = {name: array(leaf.sharding.spec, values * 0) for name, leaf in tree.items()}
tfckpt.Checkpoint(tree=new).read(prefix)
assert new["both"].sharding == tree["both"].sharding
print(np.asarray(new["both"]).tolist())
loaded = tfckpt.jax.load({"halves": new["halves"]}, prefix, names={"tree/both": "halves"}).tree
print([shard.data.tolist() for shard in loaded["halves"].addressable_shards])
try:
    tfckpt.Checkpoint(tree=tree).write(sys.argv[3])
except tfckpt.CheckpointError as error:
    print(error)
"""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    processes = [subprocess.Popen([sys.executable, "-c", code, port, str(number),
                                   f"{folder}/{number}"], stdout=subprocess.PIPE, text=True)
                 for number in range(2)]
    return [[line for line in process.communicate(timeout=100)[0].splitlines()
             if not line.startswith("[Gloo]")] for process in processes]


def bert(folder):
    """google-research's names to those of Flax's models, with heads in one axis or in two."""
    import jax
    import jax.numpy as jnp

    import tfckpt.jax

    size, kernel_of = 8, {}
    random = np.random.RandomState(0)

    def stored(name, *shape):
        kernel_of[name] = random.normal(size=shape).astype("float32")

    def both(name, *shape):
        stored(f"{name}/kernel", *shape)
        stored(f"{name}/bias", shape[-1])
        return {"kernel": jnp.zeros(shape), "bias": jnp.zeros(shape[-1])}

    def norm(name):
        for leaf in ("gamma", "beta"):
            stored(f"{name}/LayerNorm/{leaf}", size)
        return {"scale": jnp.zeros(size), "bias": jnp.zeros(size)}

    def table(name, rows):
        stored(f"bert/embeddings/{name}", rows, size)
        return {"embedding": jnp.zeros((rows, size))}

    def layer(name):
        output = f"{name}/attention/output"
        return {"attention": {
            "self": {part: both(f"{name}/attention/self/{part}", size, size)
                     for part in ("query", "key", "value")},
            "output": {"dense": both(f"{output}/dense", size, size), "LayerNorm": norm(output)}},
            "intermediate": {"dense": both(f"{name}/intermediate/dense", size, 16)},
            "output": {"dense": both(f"{name}/output/dense", 16, size),
                       "LayerNorm": norm(f"{name}/output")}}

    tree = {"params": {
        "embeddings": {"word_embeddings": table("word_embeddings", 20),
                       "position_embeddings": table("position_embeddings", 12),
                       "LayerNorm": norm("bert/embeddings")},
        "encoder": {"layer": {str(n): layer(f"bert/encoder/layer_{n}") for n in range(3)}},
        "pooler": {"dense": both("bert/pooler/dense", size, size)}}}
    tfckpt.Saver({name: tfckpt.Variable(value) for name, value in kernel_of.items()}).save(
        None, folder + "/bert")
    for heads in (False, True):
        if heads:
            for one in tree["params"]["encoder"]["layer"].values():
                for part in one["attention"]["self"].values():
                    part.update(kernel=jnp.zeros((size, 2, 4)), bias=jnp.zeros((2, 4)))
        loaded, report = tfckpt.jax.load(tree, folder + "/bert")
        found = jax.tree_util.tree_leaves_with_path(loaded["params"]["encoder"]["layer"])
        for path, leaf in found:
            words = [str(key.key) for key in path]
            if "LayerNorm" in words:
                words[-1] = {"scale": "gamma", "bias": "beta"}[words[-1]]
            value = kernel_of["bert/encoder/layer_" + "/".join(words)]
            assert np.array_equal(np.asarray(leaf).reshape(value.shape), value), words
    return len(report.matched), len(kernel_of), len(report.notes)


def refusals(folder):
    """What can't be loaded, with whole messages; afterwards everything is as it was."""
    import jax.numpy as jnp
    from flax import nnx

    import tfckpt.jax

    def saved(**shapes):
        variables = {name: tfckpt.Variable(np.arange(np.prod(shape)).reshape(shape).astype(
            "float32")) for name, shape in shapes.items()}
        return tfckpt.Saver(variables).save(None, folder + "/" + next(iter(shapes)).partition(
            "/")[0])

    def dense(inputs, outputs):
        return {"kernel": jnp.zeros((inputs, outputs)), "bias": jnp.zeros(outputs)}

    class Net(nnx.Module):
        def __init__(self):
            self.dense = nnx.Linear(4, 4, rngs=nnx.Rngs(0))
            self.other = nnx.Linear(4, 3, rngs=nnx.Rngs(0))

    net = Net()
    before = flat(nnx.state(net))
    kernel = net.dense.kernel.get_value()
    twins = {"params": {"left": dense(4, 4), "right": dense(4, 4)}}
    two = saved(**{"two/kernel": (4, 4), "two/bias": (4,), "one/kernel": (4, 4), "one/bias": (4,)})
    told = tfckpt.jax.load(twins, two, names={"one/kernel": "params/left/kernel"})
    assert float(told.tree["params"]["left"]["kernel"][0, 1]) == 1.0
    gru = saved(**{"gru/kernel": (2, 9), "gru/recurrent_kernel": (3, 9), "gru/bias": (2, 9)})
    up = saved(**{"up/conv2d_transpose/kernel": (3, 3, 4, 4)})
    whole = saved(**{"dense/kernel": (4, 5), "dense/bias": (4,), "rest": (1,)})
    tfckpt.jax.load({"up": {"kernel": jnp.zeros((3, 3, 4, 4))}}, up, layouts={"up": "same"})
    said_of = [said(act) for act in (
        lambda: tfckpt.jax.load(net, whole),
        lambda: tfckpt.jax.load(twins, two),
        lambda: tfckpt.jax.load({"g": {"dense_i": dense(2, 9), "dense_h": {
            "kernel": jnp.zeros((3, 9))}}}, gru),
        lambda: tfckpt.jax.load({"up": {"kernel": jnp.zeros((3, 3, 4, 4))}}, up),
        lambda: tfckpt.jax.load({"w": jnp.zeros((2, 9), "int32")}, gru, names={"gru/kernel": "w"},
                                allow_unused=True),
        lambda: tfckpt.jax.load({"w": jnp.zeros((2, 9), "bfloat16")}, gru,
                                names={"gru/kernel": "w"}, allow_unused=True),
        lambda: tfckpt.jax.load(net, whole, ema="use"),
        lambda: tfckpt.jax.load(net, whole, names={"rest": "dense/kernal"}),
        lambda: tfckpt.jax.load(net, whole, layouts={"dens": "same"}),
        lambda: tfckpt.jax.save({"up": {"kernel": jnp.zeros((3, 3, 4, 4))}}, folder + "/x",
                                layouts={"up": "upwards"}),
        lambda: tfckpt.jax.load(net, whole, layouts={"dense": "transposed"}),
        lambda: tfckpt.jax.load(net, whole, layouts={"*": "lstm_cell"}),
        lambda: tfckpt.jax.load(net, whole, layouts={"dense": 5}),
        lambda: tfckpt.jax.save(net, folder + "/x", layouts={2: "same"}),
        lambda: tfckpt.jax.save({"a": jnp.ones(1), "b": jnp.ones(1)}, folder + "/x",
                                names={"a": "b"}),
        lambda: tfckpt.jax.load(jnp.ones(2), whole),
        lambda: tfckpt.jax.load({"a": dense(4, 4)}, two, allow_unused=True, names={
            "one/kernel": "a/kernel", "two/kernel": "a/kernel"}),
        lambda: tfckpt.jax.load(net, whole, ema="yes"),
        lambda: tfckpt.jax.load(net, whole, allow_missing="("),
        lambda: tfckpt.jax.save({"a": jnp.ones(1)}, folder + "/x", style="tf3"),
        lambda: tfckpt.jax.save({"a": jnp.ones(1)}, folder + "/x", names={"b": "c"}))]
    assert flat(nnx.state(net)) == before
    assert net.dense.kernel.get_value() is kernel
    return said_of


def other_ways(folder):
    """Trees that can't change, other files, and maps."""
    import jax
    import jax.numpy as jnp
    import optax
    from flax.core import FrozenDict, freeze
    from flax.serialization import msgpack_serialize
    from flax.training.train_state import TrainState

    import tfckpt.jax

    params = {"dense": {"kernel": jnp.arange(6.0).reshape(2, 3), "bias": jnp.ones(3)}}
    state = TrainState.create(apply_fn=None, params=params, tx=optax.adam(1.0))
    state = state.apply_gradients(grads=jax.tree.map(jnp.ones_like, params))
    empty = state.replace(step=0, params=jax.tree.map(jnp.zeros_like, params),
                          opt_state=state.tx.init(params))
    again, report = tfckpt.jax.load(empty, tfckpt.Checkpoint(state=state).save(folder + "/state"))
    assert type(again) is TrainState
    assert type(again.step) is int
    assert jax.tree.all(jax.tree.map(lambda a, b: bool(np.all(a == b)), again, state))

    frozen = freeze(jax.tree.map(jnp.zeros_like, state.params))
    tfckpt.jax.save(state.params, folder + "/names", style="tf1")
    tfckpt.convert(folder + "/names", folder + "/names.safetensors", to="safetensors")
    with open(folder + "/tree.msgpack", "wb") as file:
        file.write(msgpack_serialize(jax.tree.map(np.asarray, state.params)))
    for file in ("names", "names.safetensors", "tree.msgpack"):
        loaded = tfckpt.jax.load(frozen, f"{folder}/{file}").tree
        assert type(loaded) is FrozenDict
        assert np.array_equal(loaded["dense"]["kernel"], state.params["dense"]["kernel"])
    with open(folder + "/map.json", "w") as file:
        json.dump({"tfckpt-map": 1, "name": "mine", "here": "a", "there": "b", "rules": [
            {"here": "dense/kernel", "there": "w", "layout": "dense"},
            {"here": "dense/bias", "there": "b"}]}, file)
    mapped = tfckpt.jax.load({"w": jnp.zeros((3, 2)), "b": jnp.zeros(3)}, folder + "/names",
                             map=folder + "/map.json").tree
    assert np.array_equal(mapped["w"].T, state.params["dense"]["kernel"])
    pairs = tfckpt.jax.load({"w": jnp.zeros((2, 3)), "b": jnp.zeros(3)}, folder + "/names",
                            map={"dense/kernel": "w", "dense/bias": "b"})
    return str(report), str(pairs.report), str(tfckpt.jax.load(
        {"dense": params["dense"], "new": jnp.ones(2, "bfloat16")}, folder + "/names",
        allow_missing="^new$").report)


def silent_once(folder):
    """What once was loaded or saved with a loss that nobody was told of."""
    import jax.numpy as jnp

    import tfckpt.jax

    def stored(name, **values):
        return tfckpt.Saver({key: tfckpt.Variable(np.asarray(value, np.float32)) for key, value in
                             values.items()}).save(None, f"{folder}/{name}", write_state=False)

    def said(act):
        try:
            act()
        except tfckpt.CheckpointError as error:
            return f"{type(error).__name__}: {error}"
        return "nothing"

    tfckpt.jax.save({"params": {"a": {"scale": jnp.ones(1), "bias": jnp.ones(1)}},
                     "batch_stats": {"a": {"bias": jnp.full(1, 9.0)}}}, folder + "/two",
                    style="tf1")
    with tfckpt.open(folder + "/two") as source:
        found = {"two collections": {key: float(value[0]) for key, value in source.items()}}
    big = stored("big", w=[1e9, 1.0])
    found["out of range"] = list(tfckpt.jax.load({"w": jnp.zeros(2, "float16")}, big,
                                                 cast=True).report.notes)
    raw = stored("raw", **{"w": [1.0], "w/ExponentialMovingAverage": [2.0]})
    found["averages"] = list(tfckpt.jax.load({"w": jnp.zeros(1)}, raw).report.notes)
    found["taken"] = list(tfckpt.jax.load({"w": jnp.zeros(1)}, raw, ema="use").report.notes)
    alone = stored("alone", **{"w/ExponentialMovingAverage": [2.0]})
    found["alone"] = said(lambda: tfckpt.jax.load({"w": jnp.zeros(1)}, alone, ema="use"))
    with open(folder + "/all.json", "w") as file:
        json.dump({"tfckpt-map": 1, "name": "all", "here": "a", "there": "b", "rules": [
            {"here": "{layer}/w", "there": "{layer}", "tied": "{layer}_tied"}],
            "constants": [{"there": "n", "for": "a/w", "value": 3, "dtype": "int32"}]}, file)
    tree, _ = tfckpt.jax.load(
        {"a": jnp.zeros(()), "n": jnp.zeros((), "int32"), "a_tied": jnp.zeros(())},
        stored("one", **{"a/w": 5.0}), map=folder + "/all.json")
    found["by map"] = {name: value.item() for name, value in tree.items()}
    found["not in the tree"] = said(lambda: tfckpt.jax.load(
        {"a": jnp.zeros(()), "n": jnp.zeros((), "int32")},
        stored("more", **{"a/w": 5.0, "b/w": 6.0}), map=folder + "/all.json"))
    return found
