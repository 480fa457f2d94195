"""TF1 model code, as people wrote it. Runs in TensorFlow 1.15 as it is, and under the shim.

Each model takes TensorFlow's TF1 names, `tf.layers`, `tf.nn.rnn_cell`, an input of 4 x 8 x 8 x 3
and whether it trains; it returns its outputs.
"""


def l2(scale):
    import tensorflow as tf

    return lambda weights: scale * tf.nn.l2_loss(weights)


def dense(tf, layers, rnn_cell, images, training):
    x = tf.reshape(images, [4, 192])
    with tf.variable_scope("tower", regularizer=l2(0.01)):
        x = layers.dense(x, 6, activation=tf.nn.relu, name="first", kernel_regularizer=l2(0.1))
        x = layers.dense(x, 5, activation=tf.nn.tanh)
        x = layers.dense(x, 4, use_bias=False)
    layer = layers.Dense(3, kernel_regularizer=l2(0.2))
    x = layer(layer(x)[:, :1] + x)
    return layers.dense(tf.reshape(x, [2, 2, 3]), 2, name="cube")


def conv(tf, layers, rnn_cell, images, training):
    x = layers.conv2d(images, 4, 3, padding="same", activation=tf.nn.relu,
                      kernel_regularizer=l2(0.1), name="conv")
    x = layers.max_pooling2d(x, 2, 2)
    x = layers.separable_conv2d(x, 5, [3, 3], strides=(1, 1), depth_multiplier=2)
    x = layers.conv2d_transpose(x, 3, 3, strides=2, padding="same")
    x = layers.conv2d(x, 3, (2, 1), dilation_rate=2, use_bias=False)
    y = layers.conv1d(tf.reshape(images, [4, 24, 8]), 2, 3, strides=2)
    y = layers.average_pooling1d(y, 2, 1, padding="same")
    z = layers.conv3d(tf.reshape(images, [4, 4, 4, 4, 3]), 2, 2)
    z = layers.dropout(layers.average_pooling3d(z, 2, 1), 0.5, training=False)
    parts = [layers.flatten(part) for part in (x, y, z)]
    return layers.dense(tf.concat(parts, 1), 2)


def lstm(tf, layers, rnn_cell, images, training):
    x = tf.reshape(images, [4, 8, 24])
    cells = [rnn_cell.LSTMCell(5, use_peepholes=True, num_proj=3, cell_clip=0.5, proj_clip=0.4),
             rnn_cell.BasicLSTMCell(4), rnn_cell.GRUCell(3), rnn_cell.BasicRNNCell(2)]
    outputs, _ = tf.nn.dynamic_rnn(rnn_cell.MultiRNNCell(cells), x, dtype=tf.float32)
    with tf.variable_scope("both"):
        sides, _ = tf.nn.bidirectional_dynamic_rnn(
            rnn_cell.LSTMCell(2, forget_bias=0.0), rnn_cell.DropoutWrapper(rnn_cell.LSTMCell(2)),
            x, dtype=tf.float32)
    static, _ = tf.nn.static_rnn(rnn_cell.LSTMCell(2, state_is_tuple=False, name="plain"),
                                 tf.unstack(x, axis=1), dtype=tf.float32, scope="static")
    return tf.concat([outputs[:, -1], sides[0][:, -1], sides[1][:, 0], static[-1]], 1)


def batch_norm(tf, layers, rnn_cell, images, training):
    x = layers.batch_normalization(images, training=training, name="fused", momentum=0.9,
                                   gamma_regularizer=l2(0.3))
    x = layers.conv2d(x, 2, 3)
    x = layers.batch_normalization(x, training=training, fused=False, scale=False)
    x = layers.batch_normalization(x, axis=1, training=training, center=False, fused=False)
    return layers.batch_normalization(layers.dense(layers.flatten(x), 3), training=training)


def reuse(tf, layers, rnn_cell, images, training):
    x = tf.reshape(images, [4, 192])[:, :6]

    def block(x):
        kernel = tf.get_variable("kernel", [6, 6], regularizer=l2(0.5))
        return tf.matmul(x, kernel) + tf.get_variable("bias", [6])

    def doubled(getter, name, *args, **kwargs):
        return 2.0 * getter(name + "_half", *args, **kwargs)

    with tf.variable_scope("shared") as scope:
        x = block(x)
    with tf.variable_scope(scope, reuse=True):
        x = block(x)
    with tf.variable_scope("shared", reuse=tf.AUTO_REUSE):
        x = layers.dense(block(x), 6, name="dense")
        x = layers.dense(x, 6, name="dense")
    with tf.variable_scope("later"):
        x = block(x)
        tf.get_variable_scope().reuse_variables()
        x = block(x)
    with tf.variable_scope("halved", custom_getter=doubled):
        return block(x)


def scopes(tf, layers, rnn_cell, images, training):
    x = tf.reshape(images, [4, 192])[:, :4]
    with tf.variable_scope("a"):
        with tf.variable_scope("b/c"):
            x = x * tf.get_variable("scale", [4])
        with tf.variable_scope(None, default_name="part"):
            x = x + tf.get_variable("shift", [4])
        with tf.variable_scope(None, default_name="part") as part:
            x = x + tf.get_variable("shift", [4], trainable=False, regularizer=l2(0.7))
        with tf.name_scope("not_in_names"):
            x = layers.dense(x, 4)
    with tf.variable_scope(part, auxiliary_name_scope=False):
        x = x + tf.get_variable("again", [4], regularizer=lambda weights: None)
    split = tf.get_variable("split", [4, 5], partitioner=tf.fixed_size_partitioner(2),
                            regularizer=l2(0.1))
    tf.get_local_variable("count", [], initializer=tf.zeros_initializer())
    steps = tf.get_variable("steps", initializer=tf.constant(3, tf.int64), trainable=False)
    return tf.matmul(x, tf.convert_to_tensor(split)) * tf.cast(steps, tf.float32)


def renorm(tf, layers, rnn_cell, images, training):
    x = layers.batch_normalization(
        images, training=training, renorm=True, name="clipped", momentum=0.9, renorm_momentum=0.8,
        renorm_clipping={"rmin": 0.5, "rmax": 1.1, "dmax": 0.3}, gamma_regularizer=l2(0.3))
    x = layers.batch_normalization(x, training=training, renorm=True, fused=True, scale=False)
    x = layers.batch_normalization(x, axis=[1, 3], training=training, name="axes")
    x = layers.batch_normalization(
        x, training=training, adjustment=lambda shape: (
            tf.ones([shape[0], 1, 1, 3]) * 1.5, tf.ones([shape[0], 1, 1, 3]) * 0.25))
    x = layers.batch_normalization(x, training=training, virtual_batch_size=2)
    x = layers.dense(layers.flatten(x), 3)
    return layers.batch_normalization(x, training=training, virtual_batch_size=2, renorm=True)


def templates(tf, layers, rnn_cell, images, training):
    x = tf.reshape(images, [4, 192])[:, :6]

    def doubled(getter, name, *args, **kwargs):
        return 2.0 * getter(name, *args, **kwargs)

    def block(x, part, units=6):
        scale = tf.get_variable(part, [6], regularizer=l2(0.5))
        return layers.dense(x * scale, units)

    inner = tf.make_template("inner", block, part="s")
    twice = tf.make_template("outer", lambda x: inner(inner(x)) + tf.get_variable("shift", [6]))
    with tf.variable_scope("first"):
        other = tf.make_template("inner", block, create_scope_now_=True, part="t")
    x = other(twice(twice(x)) + inner(x))
    with tf.variable_scope("later"):
        x = inner(other(x))
        x = tf.make_template("inner", block, part="s", custom_getter_=doubled)(x)
        with tf.variable_scope("deeper"):
            x = tf.make_template("named", block, part="u", units=2)(other(x))
    return x


def partitioned(tf, layers, rnn_cell, images, training):
    x = tf.reshape(images, [4, 192])[:, :6]
    ids = tf.constant([[0, 6, 3], [1, 2, 4], [5, 5, 5], [6, 1, 0]])

    def norm(weights):
        return tf.sqrt(tf.reduce_sum(weights * weights))

    with tf.variable_scope("tower", partitioner=tf.fixed_size_partitioner(3), regularizer=norm):
        x = layers.dense(x, 5, name="dense", kernel_regularizer=norm)
        x = layers.batch_normalization(x, training=training)
        table = tf.get_variable("table", [7, 5], constraint=lambda weights: weights / norm(weights))
        rows = tf.nn.embedding_lookup(table, ids)
        rows += tf.nn.embedding_lookup(table, ids, partition_strategy="div")
        columns = tf.get_variable("columns", [5, 4], partitioner=tf.variable_axis_size_partitioner(
            40, axis=1))
        whole = tf.get_variable("whole", [5], partitioner=lambda shape, dtype: [1])
        tf.get_variable("scalar", [])
        x = rnn_cell.GRUCell(5)(x, tf.convert_to_tensor(whole) * x)[0]
    with tf.variable_scope("tower", reuse=True, partitioner=tf.fixed_size_partitioner(3)):
        parts = list(tf.get_variable("table", [7, 5]))
    parts = [tf.reduce_sum(part) * (number + 1) for number, part in enumerate(parts)]
    return tf.matmul(x + tf.reduce_sum(rows, 1), columns) * tf.add_n(parts)


def defaults(tf, layers, rnn_cell, images, training):
    x = tf.reshape(images, [4, 192])[:, :4]

    def clipped(weights):
        return tf.clip_by_value(weights, 0.0, 0.2)

    def shifted(getter, *args, **kwargs):
        return getter(*args, **kwargs) + 1.0

    def renamed(getter, name, *args, **kwargs):
        return getter(name + "_own", *args, **kwargs)

    with tf.variable_scope("outer", regularizer=l2(0.1), constraint=clipped,
                           custom_getter=shifted, initializer=tf.ones_initializer()):
        x = x * tf.get_variable("w", [4])
        with tf.variable_scope("inner", regularizer=l2(0.7), custom_getter=renamed) as inner:
            x = x * tf.get_variable("w", [4], constraint=lambda weights: weights)
            inner.set_regularizer(None)
            inner.set_custom_getter(None)
            x = x * tf.get_variable("v", [4])
        x = layers.dense(x, 3, name="dense")
    with tf.variable_scope("wide", dtype=tf.float64, constraint=clipped) as wide:
        y = tf.get_variable("w", [3], initializer=tf.zeros_initializer(), trainable=False)
        wide.set_dtype(tf.float32)
        x = x + tf.get_variable("v", [3])
    return x + tf.cast(y, tf.float32)


def collected(tf, layers, rnn_cell, images, training):
    x = tf.reshape(images, [4, 192])[:, :6]
    layer = layers.Dense(6, kernel_regularizer=l2(0.2), name="twice")
    with tf.variable_scope("tower", regularizer=l2(0.1)):
        x = layer(layers.dense(x, 6, kernel_regularizer=l2(0.3)))
        none = tf.get_variable("none", [2], regularizer=lambda weights: None)
    before = len(tf.losses.get_regularization_losses())
    with tf.variable_scope("tower", regularizer=l2(0.1), reuse=tf.AUTO_REUSE):
        x = layer(x) + tf.get_variable("split", [6], partitioner=tf.fixed_size_partitioner(2))
        tf.get_variable("none", [2], regularizer=l2(5.0))
    losses = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES, scope=None)
    return x * before + tf.add_n(losses) + tf.reduce_sum(none)
