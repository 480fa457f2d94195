"""Mistakes that users make, made in real TensorFlow; each returns what TensorFlow says to it.

Python 3.7 and TensorFlow 1.15 must be able to read this.
"""

import gc
import logging
import os

import tensorflow as tf
from tensorflow.python.util import deprecation

tf1 = tf.compat.v1


class _Lines(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def heard(act):
    """What an act raises, and what it logs until its objects are gone."""
    deprecation._PRINTED_WARNING.clear()  # which are said once in a process
    loggers = [logging.getLogger(name) for name in ("tensorflow", "absl", "py.warnings")]
    lines = _Lines()
    for logger in loggers:
        logger.addHandler(lines)
    try:
        try:
            act()
        except Exception as error:
            lines.lines.append(str(error))
        gc.collect()
    finally:
        for logger in loggers:
            logger.removeHandler(lines)
    return "\n".join(lines.lines)


def _save_names(prefix, shape=(3,), names=("dense/kernel", "dense/bias")):
    with tf1.Graph().as_default(), tf1.Session() as session:
        for name in names:
            tf1.get_variable(name, shape, initializer=tf1.ones_initializer())
        session.run(tf1.global_variables_initializer())
        tf1.train.Saver().save(session, prefix, write_meta_graph=False, write_state=False)


def _restore_names(prefix, shape=(3,), names=("dense/kernel",), dtype=tf.float32):
    with tf1.Graph().as_default(), tf1.Session() as session:
        for name in names:
            tf1.get_variable(name, shape, dtype, initializer=tf1.ones_initializer(),
                             use_resource=True)
        tf1.train.Saver().restore(session, prefix)


def _module(**children):
    module = tf.Module()
    for name, child in children.items():
        setattr(module, name, child)
    return module


def not_an_sstable(folder):
    prefix = os.path.join(folder, "model.ckpt")
    _save_names(prefix, shape=(100,))
    return heard(lambda: tf.train.load_checkpoint(prefix + ".data-00000-of-00001"))


def too_short(folder):
    file = os.path.join(folder, "epoch3.ckpt")
    open(file, "wb").close()
    return heard(lambda: tf.train.load_checkpoint(file))


def no_matching_files(folder):
    prefix = os.path.join(folder, "model.ckpt")
    _save_names(prefix + "-7")
    return heard(lambda: tf.train.load_variable(prefix, "dense/kernel"))


def key_not_found(folder):
    prefix = os.path.join(folder, "model.ckpt")
    _save_names(prefix)
    return heard(lambda: _restore_names(prefix, names=("dense/weights",)))


def reader_has_no_tensor(folder):
    prefix = os.path.join(folder, "model.ckpt")
    _save_names(prefix)
    return heard(lambda: tf.train.load_checkpoint(prefix).get_tensor("dense/weights"))


def object_graph_not_found(folder):
    prefix = os.path.join(folder, "model.ckpt")
    _save_names(prefix)
    return heard(lambda: tf.train.load_checkpoint(prefix).get_tensor(
        "_CHECKPOINTABLE_OBJECT_GRAPH"))


def folder_without_state(folder):
    return heard(lambda: tf.train.load_checkpoint(folder))


def state_moved(folder):
    with open(os.path.join(folder, "checkpoint"), "w") as file:
        file.write('model_checkpoint_path: "/old/place/model.ckpt-7"\n'
                   'all_model_checkpoint_paths: "/old/place/model.ckpt-7"\n')
    return heard(lambda: tf.train.latest_checkpoint(folder))


def invalid_save_path(folder):
    return heard(lambda: _restore_names(os.path.join(folder, "model.ckpt-9")))


def save_path_is_none(folder):
    return heard(lambda: _restore_names(None))


def _damage(folder, cut):
    prefix = os.path.join(folder, "model.ckpt")
    _save_names(prefix)
    data = prefix + ".data-00000-of-00001"
    if cut:
        with open(data, "r+b") as file:
            file.truncate(6)
    else:
        with open(data, "r+b") as file:
            file.write(b"\xff\xff")
    return prefix


def data_too_short(folder):
    prefix = _damage(folder, cut=True)
    return heard(lambda: tf.train.load_variable(prefix, "dense/kernel"))


def data_damaged(folder):
    prefix = _damage(folder, cut=False)
    return heard(lambda: tf.train.load_variable(prefix, "dense/bias"))


def index_damaged(folder):
    prefix = os.path.join(folder, "model.ckpt")
    _save_names(prefix)
    with open(prefix + ".index", "r+b") as file:
        file.seek(8)
        file.write(b"\xff")
    return heard(lambda: tf.train.load_variable(prefix, "dense/kernel"))


def data_missing(folder):
    prefix = os.path.join(folder, "model.ckpt")
    _save_names(prefix)
    os.remove(prefix + ".data-00000-of-00001")
    return heard(lambda: tf.train.load_variable(prefix, "dense/kernel"))


def shapes_by_saver(folder):
    prefix = os.path.join(folder, "model.ckpt")
    _save_names(prefix)

    def act():
        with tf1.Graph().as_default(), tf1.Session() as session:
            tf1.get_variable("dense/kernel", (4,), use_resource=False)
            tf1.train.Saver().restore(session, prefix)
    return heard(act)


def dtypes_by_saver(folder):
    prefix = os.path.join(folder, "model.ckpt")
    _save_names(prefix)
    return heard(lambda: _restore_names(prefix, dtype=tf.int64))


def shape_in_slice(folder):
    prefix = os.path.join(folder, "model.ckpt")
    _save_names(prefix)

    def act():
        with tf1.Graph().as_default(), tf1.Session() as session:
            session.run(tf.raw_ops.RestoreV2(prefix=prefix, tensor_names=["dense/kernel"],
                                             shape_and_slices=["4 0,2"], dtypes=[tf.float32]))
    return heard(act)


def two_of_one_name(folder):
    def act():
        with tf1.Graph().as_default(), tf1.Session():
            one = tf1.get_variable("w", (1,))
            with tf1.Graph().as_default():
                other = tf1.get_variable("w", (1,))
            tf1.train.Saver([one, other])
    return heard(act)


def nothing_to_save(folder):
    def act():
        with tf1.Graph().as_default():
            tf1.train.Saver()
    return heard(act)


def missing_op(folder):
    prefix = os.path.join(folder, "model.ckpt")
    with tf1.Graph().as_default(), tf1.Session() as session:
        tf1.get_variable("w", (1,), initializer=tf1.ones_initializer())
        session.run(tf1.global_variables_initializer())
        tf1.train.Saver().save(session, prefix)
    from tensorflow.core.protobuf import meta_graph_pb2
    meta = meta_graph_pb2.MetaGraphDef()
    with open(prefix + ".meta", "rb") as file:
        meta.ParseFromString(file.read())
    for node in meta.graph_def.node:
        if node.op.startswith("VariableV2") or node.op == "VarHandleOp":
            node.op = "OpOfNowhere"
    with open(prefix + ".meta", "wb") as file:
        file.write(meta.SerializeToString())

    def act():
        with tf1.Graph().as_default():
            tf1.train.import_meta_graph(prefix + ".meta")
    return heard(act)


def tpu_graph(folder):
    def act():
        with tf1.Graph().as_default() as graph, tf1.Session(graph=graph) as session:
            one = tf1.constant(1.0)
            out = tf.raw_ops.TPUReplicatedInput(inputs=[one])
            session.run(out)
    return heard(act)


def assignment_without_tensor(folder):
    prefix = os.path.join(folder, "model.ckpt")
    _save_names(prefix)

    def act():
        with tf1.Graph().as_default():
            variable = tf1.get_variable("w", (3,))
            tf1.train.init_from_checkpoint(prefix, {"dense/weights": variable})
    return heard(act)


def assignment_shapes(folder):
    prefix = os.path.join(folder, "model.ckpt")
    _save_names(prefix)

    def act():
        with tf1.Graph().as_default():
            variable = tf1.get_variable("w", (4,))
            tf1.train.init_from_checkpoint(prefix, {"dense/kernel": variable})
    return heard(act)


def assignment_scopes(folder):
    prefix = os.path.join(folder, "model.ckpt")
    _save_names(prefix)

    def act():
        with tf1.Graph().as_default():
            tf1.get_variable("new/kernel", (3,))
            tf1.train.init_from_checkpoint(prefix, {"dense/": "new"})
    return heard(act)


def not_all_consumed(folder):
    prefix = tf.train.Checkpoint(v=tf.Variable(1.0), w=tf.Variable(2.0)).write(
        os.path.join(folder, "ckpt"))
    checkpoint = tf.train.Checkpoint(v=tf.Variable(0.0))
    return heard(lambda: checkpoint.read(prefix).assert_consumed())


def object_not_in_file(folder):
    prefix = tf.train.Checkpoint(v=tf.Variable(1.0)).write(os.path.join(folder, "ckpt"))
    checkpoint = tf.train.Checkpoint(v=tf.Variable(0.0), w=tf.Variable(2.0))
    return heard(lambda: checkpoint.read(prefix).assert_existing_objects_matched())


def nothing_but_root(folder):
    prefix = tf.train.Checkpoint(model=_module(v=tf.Variable(1.0))).write(
        os.path.join(folder, "ckpt"))
    checkpoint = tf.train.Checkpoint(v=tf.Variable(0.0))
    return heard(lambda: checkpoint.read(prefix).assert_nontrivial_match())


def warned_at_the_end(folder):
    prefix = tf.train.Checkpoint(v=tf.Variable(1.0), w=tf.Variable(2.0)).write(
        os.path.join(folder, "ckpt"))

    def act():
        checkpoint = tf.train.Checkpoint(v=tf.Variable(0.0))
        checkpoint.read(prefix)
    return heard(act)


def attributes_not_restored(folder):
    prefix = os.path.join(folder, "model.ckpt")
    _save_names(prefix, names=("v",))
    checkpoint = tf.train.Checkpoint(w=tf.Variable(tf.zeros([3]), name="w"))
    return heard(lambda: checkpoint.restore(prefix).assert_consumed())


def shapes_by_objects(folder):
    prefix = tf.train.Checkpoint(v=tf.Variable(tf.ones([3]))).write(os.path.join(folder, "ckpt"))
    checkpoint = tf.train.Checkpoint(v=tf.Variable(tf.ones([4])))
    return heard(lambda: checkpoint.read(prefix))


def nothing_to_restore(folder):
    return heard(lambda: tf.train.Checkpoint(v=tf.Variable(1.0)).restore(None).assert_consumed())


def path_is_not_there(folder):
    checkpoint = tf.train.Checkpoint(v=tf.Variable(1.0))
    return heard(lambda: checkpoint.restore(os.path.join(folder, "ckpt-9")))


def _keras():
    if tf.__version__.startswith("2.21"):
        import keras
        return keras
    return tf.keras


def _model(*units):
    keras = _keras()
    model = keras.Sequential([keras.layers.Dense(n) for n in units])
    model.build((None, 3))
    return model


def keras_reads_tf_weights(folder):
    prefix = tf.train.Checkpoint(v=tf.Variable(1.0)).write(os.path.join(folder, "weights"))
    return heard(lambda: _model(2).load_weights(prefix))


def keras_loads_folder(folder):
    target = os.path.join(folder, "saved")
    tf.saved_model.save(_module(v=tf.Variable(1.0)), target)
    return heard(lambda: _keras().models.load_model(target))


def keras_saves_tf_weights(folder):
    return heard(lambda: _model(2).save_weights(os.path.join(folder, "weights")))


def keras_layer_count(folder):
    file = os.path.join(folder, "m.h5")
    _model(2, 2).save_weights(os.path.join(folder, "m.weights.h5"))
    source, target = _model(2, 2), _model(2)
    if tf.__version__.startswith("2.21"):
        import h5py
        from keras.src.legacy.saving import legacy_h5_format

        with h5py.File(file, "w") as stream:
            legacy_h5_format.save_weights_to_hdf5_group(stream, source)
    else:
        source.save_weights(file)
    return heard(lambda: target.load_weights(file))


def keras_layer_shapes(folder):
    file = os.path.join(folder, "m.weights.h5")
    _model(2).save_weights(file)
    return heard(lambda: _model(4).load_weights(file))


def keras_layer_received_none(folder):
    file = os.path.join(folder, "m.weights.h5")
    _model(2).save_weights(file)
    return heard(lambda: _model(2, 2).load_weights(file))


def keras_subclassed(folder):
    keras = _keras()

    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, inputs):
            return self.dense(inputs)

    file = os.path.join(folder, "m.h5")
    if tf.__version__.startswith("2.21"):
        file = os.path.join(folder, "m.weights.h5")
    _model(2).save_weights(file)
    return heard(lambda: Model().load_weights(file))


def keras_legacy_optimizer(folder):
    keras = tf.keras
    if tf.__version__.startswith("2.21"):
        import tf_keras as keras
    variable = tf.Variable([1.0])
    optimizer = keras.optimizers.legacy.Adam()
    optimizer.apply_gradients([(tf.constant([1.0]), variable)])
    prefix = tf.train.Checkpoint(optimizer=optimizer, v=variable).write(
        os.path.join(folder, "ckpt"))
    variable = tf.Variable([1.0])
    optimizer = keras.optimizers.Adam()
    optimizer.build([variable])
    return heard(lambda: tf.train.Checkpoint(optimizer=optimizer, v=variable).read(prefix))


def no_estimators(folder):
    return heard(lambda: tf.estimator.Estimator)
