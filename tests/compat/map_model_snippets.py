"""Models under the names that their first authors gave them, on TensorFlow; runs in ``tf2.21``.

Written for these tests from the models' papers, with nothing but variables and operations, so that
what is compared with another framework's port is the mathematics and not a library.
"""

import numpy as np
import tensorflow as tf

tf1 = tf.compat.v1


class _Model:
    """A graph that makes variables of random values where they are asked for."""

    def __init__(self, seed):
        self._random = np.random.default_rng(seed)
        self.values = {}

    def variable(self, name, *shape, scale=0.3, around=0.0):
        value = around + scale * self._random.standard_normal(shape)
        full_name = "/".join(filter(None, [tf1.get_variable_scope().name, name]))
        self.values[full_name] = value.astype(np.float32)
        return tf1.get_variable(name, dtype=tf.float32, initializer=self.values[full_name])

    def dense(self, x, units, name, kernel="kernel", bias="bias"):
        with tf1.variable_scope(name):
            y = tf.tensordot(x, self.variable(kernel, x.shape[-1], units), 1)
            return y + self.variable(bias, units) if bias else y

    def norm(self, x, name, epsilon, gamma="gamma", beta="beta"):
        with tf1.variable_scope(name):
            mean, variance = tf.nn.moments(x, [-1], keepdims=True)
            y = (x - mean) * tf.math.rsqrt(variance + epsilon)
            return y * self.variable(gamma, x.shape[-1], scale=0.2, around=1.0) + \
                self.variable(beta, x.shape[-1])


def _run(build, prefix, inputs):
    """Build a model, save it with TensorFlow's own Saver, and run it."""
    with tf.Graph().as_default(), tf1.Session() as session:
        placed = {name: tf.constant(value) for name, value in inputs.items()}
        outputs = build(**placed)
        session.run(tf1.global_variables_initializer())
        tf1.train.Saver().save(session, prefix, write_meta_graph=False, write_state=False)
        return {name: value.tolist() for name, value in session.run(outputs).items()}


def _gelu(x):
    """As google-research's BERT and OpenAI's GPT-2 have it: by the hyperbolic tangent."""
    return 0.5 * x * (1 + tf.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x ** 3)))


def _heads(x, heads):
    """[batch, length, heads x size] as [batch, heads, length, size]."""
    batch, length, width = x.shape
    return tf.transpose(tf.reshape(x, [batch, length, heads, width // heads]), [0, 2, 1, 3])


def _joined(x):
    batch, heads, length, size = x.shape
    return tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [batch, length, heads * size])


def bert(prefix, seed, width, layers, heads, inner, vocabulary, positions, inputs):
    """google-research's BERT with the heads of its pre-training, and state of its optimizer."""
    model = _Model(seed)

    def build(ids, mask, kinds):
        with tf1.variable_scope("bert"):
            with tf1.variable_scope("embeddings"):
                words = model.variable("word_embeddings", vocabulary, width)
                x = tf.gather(words, ids) + tf.gather(
                    model.variable("token_type_embeddings", 2, width), kinds)
                x += model.variable("position_embeddings", positions, width)[:ids.shape[1]]
                x = model.norm(x, "LayerNorm", 1e-12)
            away = (1.0 - tf.cast(mask, tf.float32))[:, None, None, :] * -10000.0
            for n in range(layers):
                with tf1.variable_scope(f"encoder/layer_{n}"):
                    x = _bert_layer(model, x, away, width, heads, inner)
            with tf1.variable_scope("pooler"):
                pooled = tf.tanh(model.dense(x[:, 0], width, "dense"))
        with tf1.variable_scope("cls"):
            with tf1.variable_scope("predictions"):
                with tf1.variable_scope("transform"):
                    y = model.norm(_gelu(model.dense(x, width, "dense")), "LayerNorm", 1e-12)
                words_out = tf.tensordot(y, tf.transpose(words), 1) + \
                    model.variable("output_bias", vocabulary)
            with tf1.variable_scope("seq_relationship"):
                next_out = tf.matmul(pooled, model.variable("output_weights", 2, width),
                                     transpose_b=True) + model.variable("output_bias", 2)
        for name, value in list(model.values.items()):
            for slot in ("adam_m", "adam_v"):
                tf1.get_variable(name + "/" + slot, initializer=np.zeros_like(value))
        tf1.train.get_or_create_global_step()
        return {"hidden": x, "pooled": pooled, "words": words_out, "next": next_out}

    return _run(build, prefix, inputs)


def _bert_layer(model, x, away, width, heads, inner):
    with tf1.variable_scope("attention"):
        with tf1.variable_scope("self"):
            query, key, value = (_heads(model.dense(x, width, name), heads)
                                 for name in ("query", "key", "value"))
            scores = tf.matmul(query, key, transpose_b=True) / np.sqrt(width / heads) + away
            y = _joined(tf.matmul(tf.nn.softmax(scores), value))
        with tf1.variable_scope("output"):
            x = model.norm(x + model.dense(y, width, "dense"), "LayerNorm", 1e-12)
    with tf1.variable_scope("intermediate"):
        y = _gelu(model.dense(x, inner, "dense"))
    with tf1.variable_scope("output"):
        return model.norm(x + model.dense(y, width, "dense"), "LayerNorm", 1e-12)


def gpt2(prefix, seed, width, layers, heads, vocabulary, positions, inputs):
    """OpenAI's GPT-2, whose dense layers are convolutions of width one."""
    model = _Model(seed)

    def conv1d(x, units, name):
        with tf1.variable_scope(name):
            weights = model.variable("w", 1, x.shape[-1], units)
            return tf.tensordot(x, weights[0], 1) + model.variable("b", units)

    def build(ids):
        length = ids.shape[1]
        with tf1.variable_scope("model"):
            positions_in = model.variable("wpe", positions, width)
            words = model.variable("wte", vocabulary, width)
            x = tf.gather(words, ids) + positions_in[:length]
            seen = tf.linalg.band_part(tf.ones([length, length]), -1, 0)
            for n in range(layers):
                with tf1.variable_scope(f"h{n}"):
                    y = model.norm(x, "ln_1", 1e-5, "g", "b")
                    with tf1.variable_scope("attn"):
                        query, key, value = (
                            _heads(part, heads)
                            for part in tf.split(conv1d(y, 3 * width, "c_attn"), 3, axis=2))
                        scores = tf.matmul(query, key, transpose_b=True) / np.sqrt(width / heads)
                        scores = scores * seen - 1e10 * (1 - seen)
                        y = _joined(tf.matmul(tf.nn.softmax(scores), value))
                        x += conv1d(y, width, "c_proj")
                    y = model.norm(x, "ln_2", 1e-5, "g", "b")
                    with tf1.variable_scope("mlp"):
                        x += conv1d(_gelu(conv1d(y, 4 * width, "c_fc")), width, "c_proj")
            x = model.norm(x, "ln_f", 1e-5, "g", "b")
            return {"hidden": x, "words": tf.tensordot(x, tf.transpose(words), 1)}

    return _run(build, prefix, inputs)


def t5(prefix, seed, width, layers, heads, size, inner, vocabulary, buckets, gated, inputs):
    """T5 under mesh-tensorflow's names: version 1.0, or 1.1 with gates and an output of its own."""
    model = _Model(seed)
    norm_name, last_name = ("rms_norm",) * 2 if gated else ("layer_norm", "final_layer_norm")

    def norm(x, name):
        with tf1.variable_scope(name):
            scale = model.variable("scale", width, scale=0.2, around=1.0)
            return x * tf.math.rsqrt(tf.reduce_mean(x ** 2, -1, keepdims=True) + 1e-6) * scale

    def attention(name, x, memory, bias):
        """`bias` is added to the scores, or says how far away words are, which is used again."""
        with tf1.variable_scope(name):
            query, key, value = (_heads(tf.tensordot(
                source, model.variable(what, width, heads * size), 1), heads)
                for what, source in (("q", x), ("k", memory), ("v", memory)))
            if isinstance(bias, tuple):
                places, away = bias
                weights = model.variable("relative_attention_bias", heads, buckets)
                bias = tf.gather(weights, places, axis=1)[None] + away
            y = _joined(tf.matmul(tf.nn.softmax(tf.matmul(query, key, transpose_b=True) + bias),
                                  value))
            return tf.tensordot(y, model.variable("o", heads * size, width), 1), bias

    def dense(name, x):
        with tf1.variable_scope(name):
            wide = [tf.tensordot(x, model.variable(what + "/kernel", width, inner), 1)
                    for what in (["wi_0", "wi_1"] if gated else ["wi"])]
            y = _gelu(wide[0]) * wide[1] if gated else tf.nn.relu(wide[0])
            return tf.tensordot(y, model.variable("wo/kernel", inner, width), 1)

    def stack(name, x, bias, memory=None):
        with tf1.variable_scope(name):
            for n in range(layers):
                with tf1.variable_scope(f"block_{n:03}"):
                    with tf1.variable_scope("layer_000"):
                        y = norm(x, norm_name)
                        y, bias = attention("SelfAttention", y, y, bias)
                        x += y
                    if memory is not None:
                        with tf1.variable_scope("layer_001"):
                            x += attention("EncDecAttention", norm(x, norm_name), memory, 0.0)[0]
                    with tf1.variable_scope("layer_001" if memory is None else "layer_002"):
                        x += dense("DenseReluDense", norm(x, norm_name))
            return norm(x, last_name)

    def build(ids, decoder_ids):
        with tf1.variable_scope("shared"):
            words = model.variable("embedding", vocabulary, width)
        far = np.zeros((ids.shape[1], ids.shape[1]))
        memory = stack("encoder", tf.gather(words, ids),
                       (_places(ids.shape[1], buckets, both=True), far))
        n = decoder_ids.shape[1]
        later = np.triu(np.full((n, n), -1e9), 1)
        x = stack("decoder", tf.gather(words, decoder_ids),
                  (_places(n, buckets, both=False), later), memory)
        if gated:
            with tf1.variable_scope("decoder/logits"):
                scores = tf.tensordot(x, model.variable("kernel", width, vocabulary), 1)
        else:
            scores = tf.tensordot(x * width ** -0.5, tf.transpose(words), 1)
        name = "encoder/block_000/layer_000/SelfAttention/q_slot_"
        tf1.get_variable(name + "vr", initializer=np.zeros(width, np.float32))
        tf1.get_variable(name + "vc", initializer=np.zeros(heads * size, np.float32))
        tf1.train.get_or_create_global_step()
        return {"memory": memory, "words": scores}

    return _run(build, prefix, inputs)


def _places(length, buckets, *, both):
    """The bucket of each distance from a word (rows) to another (columns), if all are near."""
    distance = np.arange(length)[None] - np.arange(length)[:, None]
    first = np.zeros_like(distance)
    if both:
        buckets //= 2
        first = np.where(distance > 0, buckets, 0)
        distance = np.abs(distance)
    else:
        distance = np.maximum(-distance, 0)
    exact = buckets // 2
    assert distance.max() <= exact, "short inputs need no logarithms"
    return first + distance
