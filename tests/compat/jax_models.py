"""The same nets in TensorFlow 1, in Keras 2, in Flax's linen and in its NNX.

Each takes images [2, 6, 6, 3] and numbers [2], and is run by functions that return what it
computes. Names of layers are the same everywhere, those of their weights are each framework's.
"""

import numpy as np

IMAGES = np.random.RandomState(0).normal(size=[2, 6, 6, 3]).astype("float32")
IDS = np.array([3, 1])


def filled(name, shape, seed=0):
    """A value for a variable, the same for the same name."""
    random = np.random.RandomState((sum(map(ord, name)) + seed) % 1000)
    value = random.normal(size=shape).astype("float32") * 0.4
    return np.abs(value) + 0.5 if name.endswith(("variance", "var")) else value


def tf1_net():
    """TensorFlow 1: layers, and cells that add 1 to their forget gates."""
    import tensorflow as tf

    tf = tf.compat.v1
    with tf.variable_scope("net"):
        x = tf.layers.conv2d(tf.constant(IMAGES), 4, 3, padding="same", name="conv")
        x = tf.layers.batch_normalization(x, name="norm")
        x = tf.layers.conv2d_transpose(x, 6, 3, 2, padding="same", name="up")
        x = tf.nn.depthwise_conv2d(x, tf.get_variable("depth/depthwise_weights", [3, 3, 6, 2]),
                                   [1, 1, 1, 1], "SAME")
        x = tf.reduce_mean(x, [1, 2])
        table = tf.get_variable("embed/embedding_table", [9, 12])
        x = x + tf.gather(table, IDS)
        mean, variance = tf.nn.moments(x, [1], keep_dims=True)
        x = tf.nn.batch_normalization(x, mean, variance, tf.get_variable("layer_norm/beta", [12]),
                                      tf.get_variable("layer_norm/gamma", [12]), 1e-3)
        x, _ = tf.nn.dynamic_rnn(tf.nn.rnn_cell.BasicLSTMCell(5, name="cell"),
                                 tf.stack([x, x * 2], 1), dtype="float32")
        return tf.layers.dense(x[:, -1], 2, name="head")


def keras_net():
    """Keras 2, in a tf.Module, that each TensorFlow 2 has in one of two places."""
    import tensorflow as tf

    try:
        import tf_keras as keras
    except ImportError:
        keras = tf.keras
    layers = keras.layers

    class Net(tf.Module):
        def __init__(self):
            super().__init__()
            self.conv = layers.Conv2D(4, 3, padding="same")
            self.norm = layers.BatchNormalization()
            self.up = layers.Conv2DTranspose(6, 3, 2, padding="same")
            self.depth = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)
            self.embed = layers.Embedding(9, 12)
            self.layer_norm = layers.LayerNormalization()
            self.attention = layers.MultiHeadAttention(2, 6)
            self.lstm = layers.LSTM(5, return_sequences=True)
            self.gru = layers.GRU(4, return_sequences=True)
            self.rnn = layers.SimpleRNN(3)
            self.head = layers.Dense(2)

        def __call__(self, images, ids):
            x = self.depth(self.up(self.norm(self.conv(images), training=False)))
            x = self.layer_norm(tf.reduce_mean(x, [1, 2]) + self.embed(ids))
            x = tf.stack([x, x * 2], 1)
            x = self.rnn(self.gru(self.lstm(self.attention(x, x))))
            return self.head(x)

    return Net()


def keras_cells():
    """Cells of Keras 2, and an attention as dense layers with heads and sizes in one axis."""
    import tensorflow as tf

    try:
        import tf_keras as keras
    except ImportError:
        keras = tf.keras
    layers = keras.layers

    class Net(tf.Module):
        def __init__(self):
            super().__init__()
            self.attention = tf.Module()
            for name in ("query", "key", "value", "out"):
                setattr(self.attention, name, layers.Dense(12))
            self.lstm = layers.LSTMCell(12)
            self.gru = layers.GRUCell(12, reset_after=True)
            self.simple = layers.SimpleRNNCell(12)
            self.conv = layers.Conv1D(12, 3, padding="same")

        def __call__(self, images, ids):
            x = tf.reshape(images[:, :2, :, :1], [2, 1, 12])
            x = tf.concat([x, x * 2], 1)
            query, key, value = (tf.reshape(layer(x), [2, 2, 2, 6]) for layer in (
                self.attention.query, self.attention.key, self.attention.value))
            scores = tf.nn.softmax(tf.einsum("bqhd,bkhd->bhqk", query, key) / 6 ** 0.5)
            x = self.attention.out(tf.reshape(tf.einsum("bhqk,bkhd->bqhd", scores, value),
                                              [2, 2, 12]))
            x = self.conv(x)
            zeros = tf.zeros([2, 12])
            y, _ = self.lstm(x[:, 0], [zeros, zeros])
            y, _ = self.gru(y, [x[:, 1]])
            return self.simple(y, [x[:, 1]])[0]

    return Net()


def linen_cells():
    import jax.numpy as jnp
    from flax import linen as nn

    class Net(nn.Module):
        @nn.compact
        def __call__(self, images, ids):
            x = jnp.reshape(images[:, :2, :, :1], [2, 1, 12])
            x = jnp.concatenate([x, x * 2], 1)
            x = nn.MultiHeadDotProductAttention(2, name="attention")(x)
            x = nn.Conv(12, (3,), name="conv")(x)
            zeros = jnp.zeros([2, 12])
            _, y = nn.OptimizedLSTMCell(12, name="lstm")((zeros, zeros), x[:, 0])
            _, y = nn.GRUCell(12, name="gru")(x[:, 1], y)
            return nn.SimpleCell(12, name="simple")(x[:, 1], y)[1]

    return Net()


def linen_net():
    import jax
    from flax import linen as nn

    class Net(nn.Module):
        @nn.compact
        def __call__(self, images, ids):
            x = nn.Conv(4, (3, 3), name="conv")(images)
            x = nn.BatchNorm(use_running_average=True, epsilon=1e-3, name="norm")(x)
            x = nn.ConvTranspose(6, (3, 3), strides=(2, 2), name="up")(x)
            x = nn.Conv(12, (3, 3), feature_group_count=6, use_bias=False, name="depth")(x)
            x = x.mean((1, 2)) + nn.Embed(9, 12, name="embed")(ids)
            x = nn.LayerNorm(epsilon=1e-3, name="layer_norm")(x)
            cell = nn.LSTMCell(5, name="cell")
            carry = cell.initialize_carry(jax.random.key(0), x.shape)
            for factor in (1, 2):
                carry, y = cell(carry, x * factor)
            return nn.Dense(2, name="head")(y)

    return Net()


def drawn(net):
    """Parameters for a net of linen, drawn by numpy: JAX would compile each kind of them."""
    import jax

    random = np.random.RandomState(5)
    shapes = jax.eval_shape(net.init, jax.random.key(0), IMAGES, IDS)
    return jax.tree.map(lambda leaf: jax.numpy.asarray(
        np.abs(random.normal(size=leaf.shape)).astype("float32")), shapes)


def nnx_class():
    import jax.numpy as jnp
    from flax import nnx

    class Net(nnx.Module):
        def __init__(self):
            rngs = nnx.Rngs(0)
            self.conv = nnx.Conv(3, 4, (3, 3), rngs=rngs)
            self.norm = nnx.BatchNorm(4, use_running_average=True, epsilon=1e-3, rngs=rngs)
            self.up = nnx.ConvTranspose(4, 6, (3, 3), strides=(2, 2), rngs=rngs)
            self.depth = nnx.Conv(6, 12, (3, 3), feature_group_count=6, rngs=rngs)
            self.embed = nnx.Embed(9, 12, rngs=rngs)
            self.layer_norm = nnx.LayerNorm(12, epsilon=1e-3, rngs=rngs)
            self.attention = nnx.MultiHeadAttention(2, 12, decode=False, rngs=rngs)
            self.lstm = nnx.RNN(nnx.OptimizedLSTMCell(12, 5, rngs=rngs), rngs=rngs)
            self.gru = nnx.RNN(nnx.GRUCell(5, 4, rngs=rngs), rngs=rngs)
            self.rnn = nnx.RNN(nnx.SimpleCell(4, 3, rngs=rngs), rngs=rngs)
            self.head = nnx.Linear(3, 2, rngs=rngs)

        @nnx.jit
        def __call__(self, images, ids):
            x = self.depth(self.up(self.norm(self.conv(images))))
            x = self.layer_norm(x.mean((1, 2)) + self.embed(ids))
            x = jnp.stack([x, x * 2], 1)
            x = self.rnn(self.gru(self.lstm(self.attention(x))))
            return self.head(x[:, -1])

    return Net


def nnx_net():
    """The net of NNX, drawn by numpy as `drawn` does."""
    import jax.numpy as jnp
    from flax import nnx

    net, random = seeded(nnx.eval_shape(nnx_class())), np.random.RandomState(6)
    for _, variable in nnx.iter_graph(net):
        if isinstance(variable, nnx.Variable) and not isinstance(variable, nnx.RngState):
            value = np.abs(random.normal(size=variable.get_value().shape)) * 0.5
            variable.set_value(jnp.asarray(value, variable.get_value().dtype))
    return net


def seeded(net):
    """A net that is only described, with random generators that aren't."""
    import jax
    import jax.numpy as jnp
    from flax import nnx

    for _, variable in nnx.iter_graph(net):
        if isinstance(variable, nnx.RngState):
            is_key = isinstance(variable, nnx.RngKey)
            variable.set_value(jax.random.key(0) if is_key else jnp.uint32(0))
    return net
