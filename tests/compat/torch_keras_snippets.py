"""TensorFlow's side of test_torch.py: the same models in Keras 2, with PyTorch's attributes."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

layers = tf.keras.layers


class Block(tf.keras.Model):
    def __init__(self, outputs, stride):
        super().__init__()
        self.conv1 = layers.Conv2D(outputs, 3, stride, use_bias=False)
        self.bn1 = layers.BatchNormalization(epsilon=1e-5)
        self.conv2 = layers.Conv2D(outputs, 3, padding="same", use_bias=False)
        self.bn2 = layers.BatchNormalization(epsilon=1e-5)
        if stride > 1:
            self.short = layers.Conv2D(outputs, 1, stride)

    def call(self, x, training=False):
        # Not "same", which is another padding where steps are two.
        y = self.conv1(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]))
        y = self.conv2(tf.nn.relu(self.bn1(y, training=training)))
        y = self.bn2(y, training=training)
        return tf.nn.relu(y + (self.short(x) if hasattr(self, "short") else x))


class ResNet(tf.keras.Model):
    def __init__(self):
        super().__init__()
        self.conv1 = layers.Conv2D(8, 5, 2)
        self.bn1 = layers.BatchNormalization(epsilon=1e-5)
        self.pool = layers.MaxPool2D(2)
        self.blocks = [Block(8, 1), Block(12, 2)]
        self.fc = layers.Dense(12, activation="relu")
        self.head = layers.Dense(5)

    def call(self, image, training=False):
        x = tf.pad(tf.transpose(image, [0, 2, 3, 1]), [[0, 0], [2, 2], [2, 2], [0, 0]])
        x = self.pool(tf.nn.relu(self.bn1(self.conv1(x), training=training)))
        for block in self.blocks:
            x = block(x, training=training)
        return self.head(self.fc(tf.reduce_mean(x, [1, 2])))


class Kinds(tf.keras.Model):
    def __init__(self):
        super().__init__()
        self.emb = layers.Embedding(11, 8)
        self.lstm = layers.LSTM(6, return_sequences=True)
        self.gru = layers.GRU(5, return_sequences=True)
        self.both = layers.Bidirectional(layers.LSTM(4, return_sequences=True))
        self.rnn = layers.SimpleRNN(8, return_sequences=True)
        self.deep = layers.RNN(layers.StackedRNNCells([layers.LSTMCell(8), layers.LSTMCell(8)]),
                               return_sequences=True)
        self.mha = layers.MultiHeadAttention(2, 4)
        self.cross = layers.MultiHeadAttention(2, 4)
        self.norm = layers.LayerNormalization(epsilon=1e-5)
        self.conv = layers.Conv1D(6, 3)
        self.depthwise = layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu")
        self.up = layers.Conv2DTranspose(4, 2, 2, activation="tanh")
        self.flatten = layers.Flatten()
        self.fc = layers.Dense(8)

    def call(self, words, image):
        x = self.rnn(self.both(self.gru(self.lstm(self.emb(words)))))
        x = self.norm(self.deep(x) + self.mha(x, x))
        image = tf.transpose(image, [0, 2, 3, 1])
        x = x + self.cross(x, image[:, 0])
        line = tf.reduce_mean(self.conv(image[:, 0]), [1])
        y = self.fc(self.flatten(self.up(self.depthwise(image))))
        logits = tf.matmul(x, self.emb.embeddings, transpose_b=True)
        return (logits + tf.matmul(y, self.emb.embeddings, transpose_b=True)[:, None]
                + tf.reduce_mean(line))


class Images(tf.keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(24)
        self.batch = layers.BatchNormalization(epsilon=1e-5)
        self.unflatten = layers.Reshape((2, 3, 4))
        self.norm = layers.LayerNormalization([1, 2, 3], epsilon=1e-5)
        self.up = layers.Conv2DTranspose(3, (2, 1), use_bias=False)
        self.flatten = layers.Flatten()
        self.layer = layers.LayerNormalization(epsilon=1e-5)
        self.head = layers.Dense(2)

    def call(self, x, training=False):
        x = self.unflatten(self.batch(self.dense(x), training=training))
        return self.head(self.layer(self.flatten(self.up(self.norm(x)))))


def read_io(folder):
    io = np.load(f"{folder}/io.npz")
    return [io[f"arr_{n}"] for n in range(len(io.files) - 1)], io["y"]


def restore(folder, kind, path):
    """How far what Keras computes is from what PyTorch did, with every value restored."""
    given, wanted = read_io(folder)
    model = globals()[kind]()
    model(*map(tf.constant, given))
    status = tf.train.Checkpoint(model).restore(path)
    status.assert_consumed()
    return float(np.abs(model(*map(tf.constant, given)).numpy() - wanted).max())


def save(folder, kind, given):
    """A trained model as checkpoints of TensorFlow's, and what it computes."""
    tf.keras.utils.set_random_seed(7)
    model = globals()[kind]()
    given = [np.array(array, "i8" if n == 0 and kind == "Kinds" else "f4")
             for n, array in enumerate(given)]
    tensors = list(map(tf.constant, given))
    options = {} if kind == "Kinds" else {"training": True}
    for _ in range(2):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(*tensors, **options)))
        for variable, gradient in zip(model.trainable_variables,
                                      tape.gradient(loss, model.trainable_variables),
                                      strict=True):
            variable.assign_sub(0.05 * tf.convert_to_tensor(gradient))
    np.savez(f"{folder}/io.npz", *given, y=model(*tensors).numpy())
    return tf.train.Checkpoint(model).save(f"{folder}/keras")
