"""Keras 2 saves, Keras 3 loads, and the other way; runs inside their environments."""

import json
import os
import sys

import keras_models
import numpy as np

OLD_MODELS = ("recurrent", "frames", "attending", "functions", "nested", "deferred", "numbers",
              "volumes", "shared", "half", "mobile")


def old_keras():
    try:
        import tf_keras
    except ImportError:
        import tensorflow as tf

        return tf.keras
    return tf_keras


def zoo(folder):
    sys.path.insert(0, folder) if folder not in sys.path else None
    import zoo as module

    return module


def fill(model, seed=3):
    rng = np.random.RandomState(seed)
    for variable in model.weights:
        value = rng.standard_normal(tuple(variable.shape)) * 0.4
        if variable.name.split(":")[0] in ("mean", "variance", "count"):
            continue  # of a Normalization that was adapted
        if "variance" in variable.name:
            value = np.abs(value) + 0.5
        if "float" in str(variable.dtype):
            variable.assign(value.astype("float32"))


def outputs(model, inputs):
    got = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    got = list(got.values()) if isinstance(got, dict) else got
    return [as_array(item).tolist() for item in (got if isinstance(got, (list, tuple)) else [got])]


def as_array(tensor):
    if hasattr(tensor, "numpy") and "torch" not in type(tensor).__module__:
        return tensor.numpy()  # TensorFlow's
    return np.asarray(tensor.detach() if hasattr(tensor, "detach") else tensor)


def save_old(model, folder):
    """Keras 2 saves a model in all its ways; what it computes."""
    import tensorflow as tf

    keras = old_keras()
    built, inputs = keras_models.build(model, keras)
    fill(built)
    built.save_weights(os.path.join(folder, "weights"), save_format="tf")
    tf.train.Checkpoint(net=built).save(os.path.join(folder, "ckpt"))
    built.save_weights(os.path.join(folder, "weights.h5"))
    built.save(os.path.join(folder, "saved_model"), save_format="tf")
    if model != "pieces":
        built.save(os.path.join(folder, "whole.h5"))
        with open(os.path.join(folder, "config of the old model.json"), "w") as file:
            file.write(built.to_json())
    return outputs(built, inputs)


def save_for_configs(folder):
    """Keras 2 saves every model that Keras 3 is to make from its config; what they compute."""
    import keras_old_models

    keras, wanted = old_keras(), {}
    for name in OLD_MODELS:
        built, inputs = keras_old_models.build(name, keras)
        if name != "mobile":  # in which random weights grow beyond all bounds
            fill(built)
        np.savez(os.path.join(folder, name + ".npz"), *inputs)
        at = os.path.join(folder, name)
        os.makedirs(at)
        built.save_weights(os.path.join(at, "weights"), save_format="tf")
        built.save(os.path.join(at, "whole.h5"))
        with open(os.path.join(at, "model.json"), "w") as file:
            file.write(built.to_json())
        if name == "nested":
            built.save(os.path.join(at, "saved_model"), save_format="tf")
        wanted[name] = outputs(built, fed(name, inputs))
    return wanted


def save_in_tf1(folder):
    """Keras of TensorFlow 1.15, whose configs name no modules: what the model computes."""
    import tensorflow as tf

    keras, layers = tf.keras, tf.keras.layers
    at = os.path.join(folder, "tf1")
    os.makedirs(at)
    with tf.Graph().as_default(), tf.Session().as_default():
        i = keras.Input((4, 5))
        x = layers.Bidirectional(layers.GRU(3, return_sequences=True,
                                            recurrent_activation="sigmoid"))(i)
        x = layers.BatchNormalization()(layers.Conv1D(4, 2, kernel_regularizer="l2")(x))
        x = layers.TimeDistributed(layers.Dense(3, activation=tf.nn.softmax))(x)
        x = layers.LSTM(2, recurrent_activation="sigmoid", go_backwards=True)(x)
        head = keras.Sequential([layers.Dense(3, input_shape=(2,)), layers.LeakyReLU(0.1)])
        built = keras.Model(i, layers.Multiply()([head(x), head(x)]))
        rng = np.random.RandomState(3)
        built.set_weights([np.abs(rng.standard_normal(value.shape)) + 0.1
                           for value in built.get_weights()])
        built.save_weights(os.path.join(at, "weights"), save_format="tf")
        built.save_weights(os.path.join(at, "weights.h5"))
        with open(os.path.join(at, "model.json"), "w") as file:
            file.write(built.to_json())
        inputs = keras_models.data(2, 4, 5)
        np.savez(at + ".npz", inputs)
        return [built.predict(inputs).tolist()]


def save_cudnn(folder):
    """A model of cuDNN's layers; Keras 2 itself puts their weights into layers that a CPU has."""
    import tensorflow as tf
    from keras.src.saving.legacy.hdf5_format import preprocess_weights_for_loading

    keras = tf.keras
    layers, cudnn = keras.layers, tf.compat.v1.keras.layers
    keras.backend.clear_session()
    i = keras.Input((4, 5))
    x = layers.Bidirectional(cudnn.CuDNNGRU(3, return_sequences=True))(i)
    x = cudnn.CuDNNLSTM(2, return_sequences=True)(x)
    built = keras.Model(i, layers.Dense(2)(cudnn.CuDNNGRU(3)(x)))
    fill(built)
    at = os.path.join(folder, "cudnn")
    os.makedirs(at)
    built.save_weights(os.path.join(at, "weights"), save_format="tf")
    built.save_weights(os.path.join(at, "weights.h5"))
    with open(os.path.join(at, "model.json"), "w") as file:
        file.write(built.to_json())
    inputs = [keras_models.data(2, 4, 5)]
    np.savez(at + ".npz", *inputs)
    i = keras.Input((4, 5))
    x = layers.Bidirectional(layers.GRU(3, return_sequences=True))(i)
    x = layers.LSTM(2, return_sequences=True)(x)
    plain = keras.Model(i, layers.Dense(2)(layers.GRU(3)(x)))
    for old, new in zip(built.layers, plain.layers, strict=True):
        new.set_weights(preprocess_weights_for_loading(new, old.get_weights()))
    return outputs(plain, inputs)


def command(arguments, folder):
    """Status, output and errors of `tfckpt`, called in a folder."""
    import contextlib
    import io

    import keras
    from tfckpt.cli.main import run

    keras.backend.clear_session()
    out, errors, before = io.StringIO(), io.StringIO(), os.getcwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            status = run(arguments)
    finally:
        os.chdir(before)
    return status, out.getvalue(), errors.getvalue()


def save_two(folder):
    """One checkpoint of two models of equal layers: what each computes."""
    import tensorflow as tf

    keras, models = old_keras(), []
    for seed in (3, 4):
        built, inputs = keras_models.build("named_towers", keras)
        fill(built, seed)
        models.append(built)
    tf.train.Checkpoint(first=models[0], second=models[1]).write(os.path.join(folder, "two"))
    return [outputs(built, inputs) for built in models]


def load_options(cases):
    """What loading into a model of one more layer, one less, or a larger one gives."""
    import keras
    import tfckpt.keras
    from tfckpt.errors import CheckpointError

    layers, found = keras.layers, []
    for path, variant, options in cases:
        keras.backend.clear_session()
        i = keras.Input((4,))
        a = layers.Dense(4, activation="tanh", name="left")(i)
        b = layers.Dense(4, activation="relu", name="right")(i)
        x = layers.Add()([a, b])
        if variant == "more":
            x = layers.BatchNormalization(name="norm")(x)
        if variant != "less":
            x = layers.Dense(5 if variant == "larger" else 4, name="last")(x)
        built = keras.Model(i, x)
        before = [as_array(weight.value).copy() for weight in built.weights]
        try:
            report = tfckpt.keras.load_weights(built, path, **options)
            text = None
        except CheckpointError as error:
            text = str(error)
        kept = [weight.path for weight, value in zip(built.weights, before, strict=True)
                if np.array_equal(as_array(weight.value), value)]
        found.append({"error": text, "kept": kept, "outputs": outputs(
            built, [keras_models.data(3, 4)]), "how": text is None and report.how()})
    return found


def run_page(blocks, folder):
    """What the blocks of docs/keras.md print."""
    import contextlib
    import io

    import keras

    model, inputs = keras_models.build("pieces", keras)
    model.compile("sgd", "mse", run_eagerly=True)
    names = {"model": model, "x": inputs[0], "y": np.zeros((3, 2), "float32")}
    before, printed = os.getcwd(), []
    os.chdir(folder)
    try:
        for code in blocks:
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(code, "docs/keras.md", "exec"), names)
            printed.append(out.getvalue())
    finally:
        os.chdir(before)
    return printed


def fed(name, inputs):
    """The inputs as the model takes them."""
    return [{"left": inputs[0], "right": inputs[1]}] if name == "nested" else inputs


def assert_config_tells(model, file, path):
    """Every layer is in the graph of the old config what it is in the new model."""
    from collections import Counter

    from tfckpt.keras.loading import open_old
    from tfckpt.keras.oldconfig import colours_of, read_config
    from tfckpt.keras.orders import orders_of
    from tfckpt.keras.program import read_program
    from tfckpt.keras.saved import saved_in_graph

    program = read_program(model)
    _, colour = orders_of(program)
    with open_old(path) as source:
        known = colours_of(read_config(file), saved_in_graph(source)[0])
    mine = Counter(map(colour, program.leaves()))
    assert not mine - Counter(known.values()), mine


def revive(file, path):
    """What Keras 3 computes with the model of a config and the weights of a checkpoint."""
    import keras
    import tfckpt.keras
    from tfckpt.keras.convert_model import open_model

    keras.backend.clear_session()
    model = open_model(file)
    report = tfckpt.keras.load_weights(model, path)
    assert len(report.found) == len(model.weights), report
    if file.endswith(".json") and not path.endswith(".h5") and "cudnn" not in file:
        assert_config_tells(model, file, path)
    at = os.path.dirname(file)
    with np.load(at + ".npz") as inputs:
        return outputs(model, fed(os.path.basename(at), list(inputs.values())))


def compiled(keras, optimizer, **options):
    """A model of layers of equal shapes, and its optimizer; and what it trains on."""
    built, inputs = keras_models.build("named_towers", keras)
    built.compile(optimizer(**options), "mse", run_eagerly=True)
    return built, inputs[0], np.ones((3, 4), "float32")


def train_old(folder):
    """Keras 2 trains three steps and saves, then trains one more: the weights after it."""
    keras, found = old_keras(), {}
    optimizers = keras.optimizers
    for name, (kind, options) in {
            "Adam": (optimizers.Adam, {"amsgrad": True}),
            "SGD": (optimizers.SGD, {"momentum": 0.9}), "legacy Adam": (optimizers.legacy.Adam, {}),
            "RMSprop": (optimizers.RMSprop, {"momentum": 0.5, "centered": True})}.items():
        built, x, y = compiled(keras, kind, learning_rate=0.01, **options)
        fill(built)
        for _ in range(3):
            built.train_on_batch(x, y)
        built.save_weights(os.path.join(folder, name), save_format="tf")
        built.train_on_batch(x, y)
        found[name] = [value.tolist() for value in built.get_weights()]
    return found | train_tf1(folder, keras)


def train_tf1(folder, keras):
    """The same in a graph, with TF1's optimizers and Saver."""
    import tensorflow as tf

    v1, found = tf.compat.v1, {}
    for name, optimizer in (("TF1 Adam", v1.train.AdamOptimizer(0.01)),
                            ("TF1 Momentum", v1.train.MomentumOptimizer(0.01, 0.9))):
        with tf.Graph().as_default(), v1.Session() as session:
            built, inputs = keras_models.named_towers(keras, keras.layers, "")
            variables = built.weights
            loss = tf.reduce_mean((built(tf.constant(inputs[0])) - 1.0) ** 2)
            step = v1.train.get_or_create_global_step()
            train = optimizer.minimize(loss, step, variables)
            session.run(v1.global_variables_initializer())
            for _ in range(3):
                session.run(train)
            v1.train.Saver(v1.global_variables()).save(session, os.path.join(folder, name),
                                                       write_meta_graph=False)
            session.run(train)
            found[name] = [value.tolist() for value in session.run(variables)]
    return found


def train_on(folder, cases):
    """Convert each training and train the next step: weights after it, and what was said."""
    import keras
    import tfckpt.keras
    from tfckpt.keras.convert_model import convert_model

    found = {}
    for name, (kind, options, given) in cases.items():
        optimizer = getattr(keras.optimizers, kind)
        built, x, y = compiled(keras, optimizer, **options)
        file = os.path.join(folder, name + ".weights.h5")
        report = convert_model(os.path.join(folder, name), file, built, given=given)
        again, _, _ = compiled(keras, optimizer, **options)
        again.optimizer.build(again.trainable_variables)
        again.load_weights(file)
        again.train_on_batch(x, y)
        if not given:  # without a file between
            direct, _, _ = compiled(keras, optimizer, **options)
            tfckpt.keras.load_weights(direct, os.path.join(folder, name), optimizer=True)
            direct.train_on_batch(x, y)
            assert all(map(np.array_equal, direct.get_weights(), again.get_weights())), name
        found[name] = ([value.tolist() for value in again.get_weights()], report.verified,
                       report.state.title, len(report.state.values), report.state.notes)
    return found


def untrained(folder, cases):
    """Why trainings don't go on: source, optimizer of the model (or none), options."""
    import keras
    from tfckpt.errors import CheckpointError
    from tfckpt.keras.convert_model import convert_model

    found = []
    for source, kind, options in cases:
        built, _ = keras_models.build("named_towers", keras)
        if kind:
            built.compile(kind)
        try:
            report = convert_model(os.path.join(folder, source),
                                   os.path.join(folder, "none.weights.h5"), built, dry_run=True,
                                   **options)
            found.append(report.state and report.state.title)
        except CheckpointError as error:
            found.append(str(error))
    return found


def load_without_state(folder, cases):
    """Why an optimizer gets no state, and whether the model is as it was."""
    import keras
    import tfckpt.keras
    from tfckpt.errors import CheckpointError

    found = []
    for source, kind in cases:
        built, _ = keras_models.build("named_towers", keras)
        if kind:
            built.compile(kind)
        before = built.get_weights()
        try:
            tfckpt.keras.load_weights(built, os.path.join(folder, source), optimizer=True)
        except CheckpointError as error:
            found.append([str(error), all(map(np.array_equal, before, built.get_weights()))])
    return found


def revive_zoo(folder):
    """The largest difference between an old model and what Keras 3 makes of its config."""
    import keras
    import tfckpt.keras
    from tfckpt.errors import UnsupportedError
    from tfckpt.keras.convert_model import open_model

    keras.backend.clear_session()
    try:
        model = open_model(os.path.join(folder, "model.json"))
    except UnsupportedError as error:
        return str(error)
    report = tfckpt.keras.load_weights(model, os.path.join(folder, "weights"))
    assert len(report.found) == len(model.weights), report
    with np.load(os.path.join(folder, "io.npz")) as io:
        inputs = [io[key] for key in sorted(io) if key.startswith("input")]
        wanted = [io[key] for key in sorted(io) if key.startswith("output")]
    if any(item.dtype.kind == "U" for item in inputs):
        import tensorflow as tf

        inputs = [tf.constant(item.tolist()) for item in inputs]
    got = outputs(model, inputs)
    return max(float(np.abs(np.array(a) - b).max()) for a, b in zip(got, wanted, strict=True))


def refusals(configs):
    """Why no model is made of each config."""
    from tfckpt.errors import UnsupportedError
    from tfckpt.keras.reviving import revive

    found = []
    for config in configs:
        try:
            revive(config)
        except UnsupportedError as error:
            found.append(str(error))
    return found


def load_own(model, path):
    """Keras 3 loads a file of its own: what it computes."""
    import keras

    built, inputs = keras_models.build(model, keras)
    built.load_weights(path)
    return outputs(built, inputs)


def maps_that_take_a_tensor_away(folder):
    """What is said of a weight whose tensor a map gives to another, and of two for one."""
    import keras
    import tfckpt
    import tfckpt.keras

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, name="a", use_bias=False),
                              keras.layers.Dense(2, name="b", use_bias=False)], name="net")
    tfckpt.keras.save_weights(model, folder + "/net")
    before = [array.tolist() for array in model.get_weights()]
    first, second = (f"layer_with_weights-{n}/kernel" for n in range(2))

    def said(act):
        try:
            act()
        except tfckpt.CheckpointError as error:
            return f"{type(error).__name__}: {error}".replace(folder, "FOLDER")
        return "nothing"

    found = [said(lambda given=given: tfckpt.keras.load_weights(
        model, folder + "/net", map=given, allow_unused=True)) for given in (
            {second: "a/kernel"}, {first: "a/kernel", second: "a/kernel"})]
    found.append(said(lambda: tfckpt.keras.save_weights(model, folder + "/x", style="tf9")))
    assert before == [array.tolist() for array in model.get_weights()]
    return found


def load_new(model, path, order="", **options):
    """Keras 3 loads it: what it computes then, the evidence, and the report."""
    import keras
    import tfckpt.keras
    from tfckpt.errors import MismatchError

    built, inputs = keras_models.build(model, keras, order)
    try:
        report = tfckpt.keras.load_weights(built, path, **options)
    except MismatchError as error:
        return {"error": str(error), "map": error.report.map_to_fill_in()}
    text = str(report)
    got = outputs(built, inputs)
    return {"outputs": got, "how": report.how(), "text": text, "after": str(report)}


def built_by_use(folder):
    """Models that are built by what is done with them, compiled or not: whether they have the
    weights that were saved, and what was computed from them; then one that doesn't fit.
    """
    import keras
    import tfckpt.keras
    from tfckpt.errors import MismatchError

    class Own(keras.Model):
        def __init__(self, units):
            super().__init__()
            self.norm = keras.layers.Normalization()
            self.norm.build([None, 2])
            self.dense = keras.layers.Dense(units)

        def call(self, x):
            return self.dense(self.norm(x))

    x, y = np.ones([1, 2], "float32"), np.ones([1, 1], "float32")
    makers = {"sequential": lambda units=1: keras.Sequential([keras.layers.Dense(units)]),
              "own": lambda units=1: Own(units)}
    uses = {"predict": lambda model: model.predict(x, verbose=0),
            "fit": lambda model: model.fit(x, y, verbose=0) and model(x),
            "evaluate": lambda model: [model.evaluate(x, y, verbose=0), model(x)][1]}
    found = {}
    for kind, make in makers.items():
        saved = make()
        wanted = np.array(saved(x)) if keras.backend.backend() != "torch" else saved(
            x).detach().numpy()
        path = f"{folder}/{kind}"
        tfckpt.keras.save_weights(saved, path)
        for use, run in uses.items():
            model = make()
            model.compile(keras.optimizers.SGD(0.0), "mse")
            report = tfckpt.keras.load_weights(model, path)
            got = keras.ops.convert_to_numpy(run(model))
            found[f"{kind} {use}"] = [report.ok, float(np.abs(got - wanted).max()) < 1e-6]
        other = make(units=3)
        tfckpt.keras.load_weights(other, path)
        try:
            other.predict(x, verbose=0)
        except MismatchError as error:
            found[f"{kind} refused"] = str(error).partition("\n")[0].partition(" (")[0]
        # Nothing is left behind that the next model would trip over.
        found[f"{kind} after"] = list(makers["own"]().predict(x, verbose=0).shape)
    return found


def load_zoo(name, prefix, zoo_folder):
    """The largest difference between what the old model and the new one compute."""
    import keras
    import tfckpt.keras

    keras.backend.clear_session()
    module = zoo(zoo_folder)
    io = np.load(os.path.join(os.path.dirname(prefix), "io.npz"))
    inputs = [io[key] for key in sorted(io) if key.startswith("input")]
    if name.startswith("preprocessing") and keras.backend.backend() != "tensorflow":
        model, inputs = without_lookup(keras, module, name, inputs)
    else:
        model, _ = module.build(name, keras)
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            inputs = [tf.constant(item.tolist() if item.dtype.kind == "U" else item)
                      for item in inputs]
    report = tfckpt.keras.load_weights(model, prefix)
    assert len(report.found) == len(model.weights), report
    got = outputs(model, inputs)
    wanted = [io[key] for key in sorted(io) if key.startswith("output")]
    return max(float(np.abs(np.array(a) - b).max()) for a, b in zip(got, wanted, strict=True))


def without_lookup(keras, module, name, inputs):
    """The zoo's models of strings, from indices on: StringLookup of Keras 3 needs TensorFlow."""
    layers = keras.layers
    words, fixed = list(module.VOCABULARY), name.endswith("fixed")
    n, n_unknown = inputs[1].shape[1], 2 if fixed else 1
    options = {"mean": [0.5] * n, "variance": [4.0] * n} if fixed else {}
    normal = layers.Normalization(name="normal", **options)
    normal.build((None, n))
    a, b = keras.Input((1,), dtype="int32"), keras.Input((n,))
    x = layers.Embedding(len(words) + n_unknown, 3, name="word_embed")(a)
    x = layers.Concatenate()([layers.Flatten()(x), normal(b)])
    model = keras.Model([a, b], layers.Dense(2, name="out")(x))
    # Which of two places "unknown" gets is a hash of TensorFlow's: 1 here.
    index = [[words.index(word) + n_unknown if word in words else n_unknown - 1]
             for word in inputs[0][:, 0].tolist()]
    return model, [np.array(index, "int32"), inputs[1]]


def save_new(model, folder, order=""):
    """Keras 3 saves a model for TensorFlow; what it computes."""
    import keras
    import tfckpt.keras

    built, inputs = keras_models.build(model, keras, order)
    fill(built, 5)
    path = os.path.join(folder, "new")
    tfckpt.keras.save_weights(built, path)
    tfckpt.keras.save_weights(built, path + "-tf2", style="tf2")
    tfckpt.keras.save_weights(built, path + "-net", style="tf2", root="net")
    return outputs(built, inputs)


def restore_new(model, folder):
    """Keras 2 restores what Keras 3 saved, in three ways, and everything is consumed."""
    import tensorflow as tf

    keras, got = old_keras(), []
    path = os.path.join(folder, "new")
    ways = (lambda built: built.load_weights(path),
            lambda built: tf.train.Checkpoint(built).read(path),
            lambda built: tf.train.Checkpoint(built).restore(path + "-tf2"),
            lambda built: tf.train.Checkpoint(net=built).restore(path + "-net"))
    for restore in ways:
        built, inputs = keras_models.build(model, keras)
        status = restore(built)
        status.assert_consumed()
        got.append(outputs(built, inputs))
    return got


def train_with_callback(folder):
    """Training with a callback that saves all formats; what the model computes at the end."""
    import keras
    import tfckpt.keras

    built, inputs = keras_models.build("named_towers", keras)
    built.compile("sgd", "mse")
    saver = tfckpt.keras.ModelCheckpoint(os.path.join(folder, "at-{epoch}"),
                                         formats=("keras", "keras2", "tf1"))
    beside = tfckpt.keras.ModelCheckpoint(os.path.join(folder, "beside-{epoch}"),
                                          formats=("tf1",), background=True)
    built.fit(inputs[0], np.zeros((3, 4), "float32"), epochs=2, verbose=0,
              callbacks=[saver, beside])
    again, _ = keras_models.build("named_towers", keras)
    again.load_weights(os.path.join(folder, "at-2.weights.h5"))
    from_tf1, _ = keras_models.build("named_towers", keras)
    tfckpt.keras.load_weights(from_tf1, os.path.join(folder, "at-2-tf1"))
    found = {"outputs": [outputs(model, inputs) for model in (built, again, from_tf1)],
             "in the background": [same_tensors(os.path.join(folder, f"at-{epoch}-tf1"),
                                                os.path.join(folder, f"beside-{epoch}"))
                                   for epoch in (1, 2)]}
    with open(os.path.join(folder, "file"), "w"):
        pass  # where a folder would have to be
    lost = tfckpt.keras.ModelCheckpoint(os.path.join(folder, "file", "at"), formats=("tf1",),
                                        background=True)
    lost.set_model(built)
    lost.on_epoch_end(0, {})
    found["told"] = []
    for call in (lambda: lost.on_epoch_end(1, {}), lost.on_train_end):
        try:
            call()
            found["told"].append("nothing")
        except tfckpt.StorageError as error:
            found["told"].append(error.message)
    return found


def same_tensors(first, second):
    import tfckpt

    with tfckpt.open(first) as one, tfckpt.open(second) as other:
        return list(one) == list(other) and all(
            np.array_equal(one[key], other[key]) for key in one)


def in_a_saver(folder):
    """A model's and its optimizer's variables in `Saver`, `Checkpoint` and what sets them."""
    import keras
    import tfckpt

    model = keras.Sequential([keras.layers.Dense(2, name="dense")], name="net")
    model.build((None, 3))
    model.compile("adam")
    model.optimizer.build(model.trainable_variables)
    variables = [*model.variables, *model.optimizer.variables]
    saver = tfckpt.Saver(list({id(variable): variable for variable in variables}.values()))
    path = saver.save(None, os.path.join(folder, "names"))
    kernel, bias = (np.asarray(value) for value in model.get_weights())
    found = {"names": [[name, shape] for name, shape in tfckpt.list_variables(path)],
             "stored": np.array_equal(tfckpt.load_variable(path, "net/dense/kernel"), kernel)}
    objects = tfckpt.Checkpoint(weights=model.weights, rate=model.optimizer.variables[1])
    by_path = objects.write(os.path.join(folder, "objects"))

    def restored(restore):
        for variable in model.weights:
            variable.assign(9 * np.ones(variable.shape))
        restore()
        return all(map(np.array_equal, (kernel, bias), model.get_weights()))

    dense = model.layers[0]
    found["restored"] = [
        restored(lambda: saver.restore(None, path)),
        restored(lambda: objects.read(by_path).assert_consumed()),
        restored(lambda: tfckpt.init_from_checkpoint(
            path, {"net/dense/kernel": dense.kernel, "net/dense/bias": dense.bias})),
        restored(lambda: tfckpt.warm_start(
            {"net/dense/kernel": dense.kernel, "net/dense/bias": dense.bias}, path, "net"))]
    with tfckpt.BackgroundSaves() as background:
        later = background.save(saver, None, os.path.join(folder, "later"))
        dense.bias.assign([5, 5])
    found["background"] = tfckpt.load_variable(later, "net/dense/bias").tolist()
    found["refused"] = []
    for attempt in (lambda: tfckpt.Checkpoint(model), lambda: tfckpt.Checkpoint(model=model),
                    lambda: tfckpt.Checkpoint(optimizer=model.optimizer)):
        try:
            attempt()
            found["refused"].append("nothing was raised")
        except tfckpt.CheckpointError as error:
            found["refused"].append(str(error))
    return found


def written_later(folder):
    """Values that were taken to be written later, of a model that changes right after it."""
    import keras
    import tfckpt
    from tfckpt.convert.running import run_plan
    from tfckpt.keras.saving import plan_weights

    layer = keras.layers.Dense(2, name="dense")
    model = keras.Sequential([layer], name="net")
    model.build((None, 3))
    layer.bias.assign(np.ones(2))
    plan = plan_weights(model, "tf1")
    layer.bias.value.data.zero_()  # as an optimizer of PyTorch's does, in its own memory
    run_plan([], plan, os.path.join(folder, "later"))
    with tfckpt.open(os.path.join(folder, "later")) as source:
        return source["net/dense/bias"].tolist()


def load_old(model, path):
    """What a Keras 2 model computes with these weights."""
    built, inputs = keras_models.build(model, old_keras())
    built.load_weights(path).assert_consumed()
    return outputs(built, inputs)


def config_of(folder):
    with open(os.path.join(folder, "config of the old model.json")) as file:
        return json.load(file)
