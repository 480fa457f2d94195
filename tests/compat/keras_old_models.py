"""Models that only Keras 2 builds here; Keras 3 gets them from their configs."""

import numpy as np


def build(name, keras):
    """A built model, and inputs for it."""
    import tensorflow as tf

    keras.backend.clear_session()
    return globals()[name](keras, keras.layers, tf)


def data(*shape):
    return np.random.RandomState(7).standard_normal(shape).astype("float32")


def words(high, *shape):
    return np.random.RandomState(8).randint(0, high, shape).astype("int32")


def recurrent(keras, layers, tf):
    """An encoder's states are a decoder's first; masks come from zeros and from an Embedding."""
    source, target = keras.Input((5, 3), name="source"), keras.Input((4,), dtype="int32")
    _, h, c = layers.LSTM(4, return_state=True)(layers.Masking()(source))
    x = layers.Embedding(6, 3, mask_zero=True, input_length=4)(target)
    x = layers.LSTM(4, return_sequences=True)(x, initial_state=[h, c])
    x = layers.Bidirectional(layers.GRU(3, return_sequences=True, go_backwards=True))(x)
    x = layers.SimpleRNN(3, unroll=True, return_sequences=True)(x)
    x = layers.RNN([layers.GRUCell(3, reset_after=False), layers.LSTMCell(2)])(x)
    return keras.Model([source, target], x), [data(2, 5, 3), words(6, 2, 4)]


def frames(keras, layers, tf):
    """A model inside TimeDistributed, and a film."""
    i = keras.Input((6, 6, 2))
    x = layers.Conv2D(3, 3, strides=2, activation="relu")(i)
    each = keras.Model(i, layers.BatchNormalization()(x), name="each")
    film = keras.Input((4, 6, 6, 2))
    x = layers.TimeDistributed(each)(film)
    x = layers.ConvLSTM2D(2, 2, padding="same", recurrent_activation="sigmoid")(x)
    x = layers.Conv2DTranspose(3, 2, strides=2, output_padding=1)(x)
    x = layers.SeparableConv2D(4, 2, depth_multiplier=2)(x)
    x = layers.DepthwiseConv2D(2)(layers.SpatialDropout2D(0.2)(x))
    x = layers.LeakyReLU(0.2)(layers.PReLU(shared_axes=[1, 2])(x))
    return keras.Model(film, layers.GlobalMaxPooling2D()(x)), [data(2, 4, 6, 6, 2)]


def attending(keras, layers, tf):
    """Attention of all kinds, of which Keras 2 remembers the shapes that it was built with."""
    i = keras.Input((5,), dtype="int32")
    x = layers.Embedding(7, 8, mask_zero=True)(i)
    x = x + layers.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True)
    x = layers.LayerNormalization(epsilon=1e-6)(x)
    y = layers.Attention(use_scale=True)([x, x])
    z = layers.AdditiveAttention()([x, y, y])
    x = layers.EinsumDense("abc,cd->abd", (None, 4), bias_axes="d")(layers.Add()([y, z]))
    x = layers.Dense(3, activation=tf.nn.softmax)(x)
    return keras.Model(i, x), [words(7, 2, 5)]


def functions(keras, layers, tf):
    """TensorFlow's functions among the layers."""
    i = keras.Input((4, 6))
    x = layers.Dense(6, kernel_regularizer="l2", bias_constraint="non_neg")(i)
    x = 1.0 - (x * 2.0 + i) / 3.0
    x = tf.concat([x[:, :2], tf.nn.relu(x[:, 2:, ...])], axis=1)
    x = tf.reshape(tf.transpose(x, [0, 2, 1]), (-1, 4, 6)) ** 2
    x = x @ tf.ones((6, 3)) - tf.constant([1.0, 2.0, 3.0])
    x = tf.clip_by_value(layers.Dense(3)(x), -0.9, 0.9)
    x = tf.cast(tf.stack([x, -x], axis=1), "float32")
    x = tf.squeeze(tf.expand_dims(tf.reduce_mean(x, axis=-1, keepdims=True), 1), 1)
    return keras.Model(i, [tf.math.maximum(x, 0.0), keras.backend.sqrt(tf.abs(x))]), [data(2, 4, 6)]


def nested(keras, layers, tf):
    """Models in models, called twice, with training=False, and inputs by name."""
    base = keras.Sequential([layers.Dense(4, activation="swish", input_shape=(4,)),
                             layers.BatchNormalization(momentum=0.9), layers.Dropout(0.1)])
    base.trainable = False
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    pair = keras.Model([a, b], [layers.Concatenate()([a, b]), layers.Subtract()([a, b])])
    inputs = {"left": keras.Input((4,), name="left"), "right": keras.Input((4,), name="right")}
    both, difference = pair([base(inputs["left"], training=False), base(inputs["right"])])
    head = keras.Sequential([layers.Dense(3, name="block/dense")])
    x = layers.Concatenate()([head(both), difference, head(both)])
    model = keras.Model(inputs, {"out": layers.Dense(2)(x)})
    return model, [data(2, 4), data(2, 4) + 1]


def deferred(keras, layers, tf):
    """A Sequential that was built by its first call; its config has the shape beside it."""
    model = keras.Sequential([
        layers.Reshape((6, 2)), layers.Conv1D(4, 2, padding="causal", dilation_rate=2),
        layers.UpSampling1D(2), layers.LayerNormalization(axis=[1, 2]), layers.ZeroPadding1D(1),
        layers.AveragePooling1D(2), layers.Conv1DTranspose(3, 2), layers.SeparableConv1D(2, 2),
        layers.GroupNormalization(1), layers.Activation(layers.ELU(0.5)), layers.Flatten(),
        layers.Dense(2, activation=keras.activations.gelu)])
    model(data(2, 12))
    return model, [data(2, 12)]


def numbers(keras, layers, tf):
    """Preprocessing whose state is in the config, or in weights."""
    i, n = keras.Input((3,)), keras.Input((1,), dtype="int64")
    normal = layers.Normalization()
    normal.adapt(data(20, 3) * 2 + 1)
    buckets = layers.Discretization([-1.0, 0.0, 1.0])(i)
    x = layers.Flatten()(layers.Embedding(4, 2)(buckets))
    codes = layers.CategoryEncoding(4, output_mode="one_hot")(n)
    x = layers.Concatenate()([x, normal(i), layers.Rescaling(0.5, 1)(i), codes])
    return keras.Model([i, n], layers.Dense(2)(layers.UnitNormalization()(x))), [
        data(2, 3), np.array([[1], [3]], "int64")]


def volumes(keras, layers, tf):
    """Three dimensions, and two with groups, paddings and croppings."""
    i = keras.Input((4, 4, 4, 2))
    x = layers.Conv3D(4, 2, padding="same", activation="tanh")(i)
    x = layers.MaxPooling3D(2)(x)
    x = layers.Conv3DTranspose(2, 2, strides=2)(x)
    x = layers.Permute((3, 1, 2, 4))(layers.BatchNormalization(scale=False)(x))
    x = layers.Reshape((8, 8, 2))(x)
    x = layers.Conv2D(4, 3, groups=2, dilation_rate=2)(layers.ZeroPadding2D(((1, 0), (0, 1)))(x))
    x = layers.Cropping2D(((1, 1), (0, 1)))(x)
    x = layers.RandomFlip()(layers.UpSampling2D((2, 1), interpolation="bilinear")(x))
    return keras.Model(i, layers.ReLU(1.5, 0.1, 0.2)(x)), [data(2, 4, 4, 4, 2)]


def mobile(keras, layers, tf):
    """A published architecture, with slashes in its names and functions between its layers."""
    model = keras.applications.MobileNetV3Small(
        (32, 32, 3), include_top=False, pooling="avg", weights=None)
    rng = np.random.RandomState(9)
    for weight in model.weights:
        if "variance" in weight.name:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif "mean" in weight.name or "beta" in weight.name:
            weight.assign(rng.standard_normal(weight.shape) * 0.1)
    return model, [data(1, 32, 32, 3)]


def shared(keras, layers, tf):
    """One layer called three times, on what others make of it."""
    dense, cell = layers.Dense(4, activation="elu"), layers.LSTM(4)
    i, j = keras.Input((4,)), keras.Input((4,))
    a = dense(i)
    b = dense(layers.Add()([a, j]))
    x = layers.RepeatVector(3)(dense(layers.Dot(1)([a, b]) * b))
    return keras.Model([i, j], layers.Average()([cell(x), layers.Multiply()([a, b])])), [
        data(2, 4), data(2, 4) - 1]


def half(keras, layers, tf):
    """A policy of mixed precision, in its layers' configs."""
    i = keras.Input((4,))
    x = layers.Dense(3, dtype=keras.mixed_precision.Policy("mixed_bfloat16"))(i)
    return keras.Model(i, layers.Dense(2, dtype="float32")(x)), [data(2, 4)]
