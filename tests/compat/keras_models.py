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


def towers(keras, L, order):
    """Two layers of equal shape, without names, whose sum is taken."""
    i = keras.Input((5,))
    if order in ("made in another order", "all in another order"):
        right = L.Dense(4, activation="relu")(i)
        left = L.Dense(4, activation="tanh")(i)
    else:
        left = L.Dense(4, activation="tanh")(i)
        right = L.Dense(4, activation="relu")(i)
    added = [right, left] if order in ("added in another order", "all in another order") else [
        left, right]
    return keras.Model(i, L.Dense(2)(L.Add()(added))), [data(3, 5)]


def named_towers(keras, L, order):
    """The same with names, in a chain too."""
    i = keras.Input((4,))
    if order:
        b = L.Dense(4, activation="relu", name="right")(i)
        a = L.Dense(4, activation="tanh", name="left")(i)
        x = L.Add()([b, a])
    else:
        a = L.Dense(4, activation="tanh", name="left")(i)
        b = L.Dense(4, activation="relu", name="right")(i)
        x = L.Add()([a, b])
    return keras.Model(i, L.Dense(4, name="last")(x)), [data(3, 4)]


def twins(keras, L, order):
    """Two layers that compute the same: it doesn't matter which is which."""
    i = keras.Input((5,))
    a, b = L.Dense(4, activation="tanh")(i), L.Dense(4, activation="tanh")(i)
    return keras.Model(i, L.Dense(2)(L.Add()([a, b]))), [data(3, 5)]


def attention(keras, L, order):
    """Query, value and key of equal shapes, without names: the graph says which is which."""
    i = keras.Input((6, 4))
    if order:
        k, v, q = L.Dense(4)(i), L.Dense(4)(i), L.Dense(4)(i)
    else:
        q, v, k = L.Dense(4)(i), L.Dense(4)(i), L.Dense(4)(i)
    x = L.Attention()([q, v, k])
    return keras.Model(i, L.Dense(2)(L.GlobalAveragePooling1D()(x))), [data(2, 6, 4)]


def residual(keras, L, order):
    """Blocks with shortcuts and no names at all."""
    def block(x, filters, stride):
        y = L.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False)(x)
        y = L.ReLU()(L.BatchNormalization()(y))
        y = L.Conv2D(filters, 3, padding="same", use_bias=False)(y)
        y = L.BatchNormalization()(y)
        if stride != 1:
            x = L.Conv2D(filters, 1, strides=stride, use_bias=False)(x)
            x = L.BatchNormalization()(x)
        return L.ReLU()(L.Add()([x, y] if order else [y, x]))

    i = keras.Input((8, 8, 3))
    x = L.ReLU()(L.BatchNormalization()(L.Conv2D(4, 3, padding="same", use_bias=False)(i)))
    for filters, stride in ((4, 1), (4, 1), (8, 2), (8, 1)):
        x = block(x, filters, stride)
    return keras.Model(i, L.Dense(3)(L.GlobalAveragePooling2D()(x))), [data(2, 8, 8, 3)]


def pieces(keras, L, order):
    """A subclassed model of models, lists and layers of its own."""
    class Gate(L.Layer):
        def build(self, shape):
            self.gain = self.add_weight(shape=(shape[-1],), initializer="ones", name="gain")
            self.built = True

        def call(self, x):
            return x * self.gain

    class Whole(keras.Model):
        def __init__(self):
            super().__init__(name="whole")
            j = keras.Input((4,))
            self.body = keras.Model(j, L.Dense(4)(L.Dense(4, activation="tanh")(j)))
            self.steps = [L.Dense(4, activation="relu"), Gate(), L.Dense(4)]
            self.ends = {"up": L.Dense(2), "down": keras.Sequential([L.Dense(2), L.Dense(2)])}
            self.norm = L.BatchNormalization()

        def call(self, x):
            x = self.norm(self.body(x))
            for step in self.steps:
                x = step(x)
            return self.ends["up"](x) + self.ends["down"](x)

    model, x = Whole(), data(3, 4)
    if order != "not built":
        model(x)
    return model, [x]


def kinds(keras, L, order):
    """Layers of many kinds."""
    i = keras.Input((3, 6, 6, 2), name="frames")
    x = L.ConvLSTM2D(4, 3, padding="same", recurrent_activation="sigmoid", name="film")(i)
    x = L.GroupNormalization(2, name="groups")(x)
    x = L.SeparableConv2D(6, 3, padding="same", name="separable")(x)
    x = L.DepthwiseConv2D(2, name="depthwise")(x)
    x = L.Conv2DTranspose(3, 2, name="up")(x)
    x = L.PReLU(name="prelu")(x)
    x = L.Reshape((6, -1))(x)
    x = L.Bidirectional(L.GRU(3, return_sequences=True), name="both")(x)
    x = L.MultiHeadAttention(2, 3, name="heads")(x, x)
    x = L.TimeDistributed(L.Dense(3), name="timed")(x)
    x = L.LSTM(3, name="memory")(x)
    n = L.Normalization(name="scaled")
    n.adapt(data(20, 3) * 2 + 1)
    return keras.Model(i, n(x)), [data(2, 3, 6, 6, 2)]


def chain(keras, L, order):
    """Layers of one shape, one after another, without names."""
    return keras.Sequential([keras.Input((4,)), L.Dense(4, activation="tanh"),
                             L.Dense(4, activation="relu"), L.Dense(4)]), [data(3, 4)]
