"""Small models that Keras 2 and Keras 3 both build, of the kinds that are hard to tell apart.

``order`` is how a program of the same function may be written otherwise.
"""

import numpy as np


def build(name, keras, order=""):
    """A built model, and inputs for it."""
    keras.backend.clear_session()
    return globals()[name](keras, keras.layers, order)


def data(*shape):
    return np.random.RandomState(7).standard_normal(shape).astype("float32")


def towers(keras, layers, order):
    """Two layers of equal shape, without names, whose sum is taken."""
    i = keras.Input((5,))
    if order in ("made in another order", "all in another order"):
        right = layers.Dense(4, activation="relu")(i)
        left = layers.Dense(4, activation="tanh")(i)
    else:
        left = layers.Dense(4, activation="tanh")(i)
        right = layers.Dense(4, activation="relu")(i)
    added = [right, left] if order in ("added in another order", "all in another order") else [
        left, right]
    return keras.Model(i, layers.Dense(2)(layers.Add()(added))), [data(3, 5)]


def named_towers(keras, layers, order):
    """The same with names, in a chain too."""
    i = keras.Input((4,))
    if order:
        b = layers.Dense(4, activation="relu", name="right")(i)
        a = layers.Dense(4, activation="tanh", name="left")(i)
        x = layers.Add()([b, a])
    else:
        a = layers.Dense(4, activation="tanh", name="left")(i)
        b = layers.Dense(4, activation="relu", name="right")(i)
        x = layers.Add()([a, b])
    return keras.Model(i, layers.Dense(4, name="last")(x)), [data(3, 4)]


def twins(keras, layers, order):
    """Two layers that compute the same: it doesn't matter which is which."""
    i = keras.Input((5,))
    a, b = layers.Dense(4, activation="tanh")(i), layers.Dense(4, activation="tanh")(i)
    return keras.Model(i, layers.Dense(2)(layers.Add()([a, b]))), [data(3, 5)]


def attention(keras, layers, order):
    """Query, value and key of equal shapes, without names: the graph says which is which."""
    i = keras.Input((6, 4))
    if order:
        k, v, q = layers.Dense(4)(i), layers.Dense(4)(i), layers.Dense(4)(i)
    else:
        q, v, k = layers.Dense(4)(i), layers.Dense(4)(i), layers.Dense(4)(i)
    x = layers.Attention()([q, v, k])
    return keras.Model(i, layers.Dense(2)(layers.GlobalAveragePooling1D()(x))), [data(2, 6, 4)]


def residual(keras, layers, order):
    """Blocks with shortcuts and no names at all."""
    def block(x, filters, stride):
        y = layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False)(x)
        y = layers.ReLU()(layers.BatchNormalization()(y))
        y = layers.Conv2D(filters, 3, padding="same", use_bias=False)(y)
        y = layers.BatchNormalization()(y)
        if stride != 1:
            x = layers.Conv2D(filters, 1, strides=stride, use_bias=False)(x)
            x = layers.BatchNormalization()(x)
        return layers.ReLU()(layers.Add()([x, y] if order else [y, x]))

    i = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(i)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    for filters, stride in ((4, 1), (4, 1), (8, 2), (8, 1)):
        x = block(x, filters, stride)
    return keras.Model(i, layers.Dense(3)(layers.GlobalAveragePooling2D()(x))), [data(2, 8, 8, 3)]


def pieces(keras, layers, order):
    """A subclassed model of models, lists and layers of its own."""
    class Gate(layers.Layer):
        def build(self, shape):
            self.gain = self.add_weight(shape=(shape[-1],), initializer="ones", name="gain")
            self.built = True

        def call(self, x):
            return x * self.gain

    class Whole(keras.Model):
        def __init__(self):
            super().__init__(name="whole")
            j = keras.Input((4,))
            self.body = keras.Model(j, layers.Dense(4)(layers.Dense(4, activation="tanh")(j)))
            self.steps = [layers.Dense(4, activation="relu"), Gate(), layers.Dense(4)]
            down = keras.Sequential([layers.Dense(2), layers.Dense(2)])
            self.ends = {"up": layers.Dense(2), "down": down}
            self.norm = layers.BatchNormalization()

        def call(self, x):
            x = self.norm(self.body(x))
            for step in self.steps:
                x = step(x)
            return self.ends["up"](x) + self.ends["down"](x)

    model, x = Whole(), data(3, 4)
    if order != "not built":
        model(x)
    return model, [x]


def kinds(keras, layers, order):
    """Layers of many kinds."""
    i = keras.Input((3, 6, 6, 2), name="frames")
    x = layers.ConvLSTM2D(4, 3, padding="same", recurrent_activation="sigmoid", name="film")(i)
    x = layers.GroupNormalization(2, name="groups")(x)
    x = layers.SeparableConv2D(6, 3, padding="same", name="separable")(x)
    x = layers.DepthwiseConv2D(2, name="depthwise")(x)
    x = layers.Conv2DTranspose(3, 2, name="up")(x)
    x = layers.PReLU(name="prelu")(x)
    x = layers.Reshape((6, -1))(x)
    x = layers.Bidirectional(layers.GRU(3, return_sequences=True), name="both")(x)
    x = layers.MultiHeadAttention(2, 3, name="heads")(x, x)
    x = layers.TimeDistributed(layers.Dense(3), name="timed")(x)
    x = layers.LSTM(3, name="memory")(x)
    n = layers.Normalization(name="scaled")
    n.adapt(data(20, 3) * 2 + 1)
    return keras.Model(i, n(x)), [data(2, 3, 6, 6, 2)]


def chain(keras, layers, order):
    """Layers of one shape, one after another, without names."""
    return keras.Sequential([keras.Input((4,)), layers.Dense(4, activation="tanh"),
                             layers.Dense(4, activation="relu"), layers.Dense(4)]), [data(3, 4)]
