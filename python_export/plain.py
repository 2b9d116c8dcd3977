"""What lies between matrix products in plain operations, for inference: no gradients, no dropout.

The forms are those in which TensorFlow's own graph optimiser finds the fused kernels of oneDNN on
CPUs: bias, GELU and residual become part of the matrix product before them, scale and mask part of
attention's, a layer normalisation is one kernel. Nothing is compiled, so a new shape costs next to
nothing, and every TensorFlow can run them: one by one where it has no such kernels, to the same
values but for rounding.
"""

import tensorflow as tf


class Plain:
    """As `attention.Islands`, for inference: `dropout` is None throughout."""

    def gelu(self, x, bias):
        """`GELU(x + bias)` for x `[N, H]`."""
        return tf.nn.gelu(_add_bias(x, bias), approximate=False)

    def add_norm(self, x, bias, residual, gamma, beta, epsilon, dropout):
        """`LayerNorm(residual + x + bias)` for x, residual `[N, H]`, returned twice."""
        y = _normalise(_add_bias(x, bias) + residual, gamma, beta, epsilon)
        return y, y

    def embed(self, words, positions, types, type_ids, gamma, beta, epsilon, dropout, dtype):
        """`LayerNorm(words + positions + types[type_ids])` as `[N, H]`, returned twice."""
        z = tf.reshape(words + positions + tf.gather(types, type_ids), [-1, words.shape[-1]])
        y = tf.cast(_normalise(z, gamma, beta, epsilon), dtype)
        return y, y

    def split_heads(self, product, bias, parts, heads, offset):
        """Splits `product + bias`, `[N, parts * H]`, into the heads of each part."""
        width = product.shape[-1] // parts // heads
        shape = [tf.shape(offset)[0], -1, parts, heads, width]
        split = tf.reshape(_add_bias(product, bias), shape)
        return tf.unstack(tf.transpose(split, [2, 0, 3, 1, 4]))

    def attend(self, query, key, value, offset, like, scale, dropout, compiled=True):
        """`softmax(scale * query @ key^T + offset) @ value`, merged to the shape of `like`."""
        scores = tf.matmul(query, key, transpose_b=True) * tf.constant(scale, query.dtype)
        p = tf.nn.softmax(scores + tf.cast(offset, scores.dtype))
        # Of this shape, the product that follows is known to be of the residual's, and takes it in.
        return tf.reshape(tf.transpose(tf.matmul(p, value), [0, 2, 1, 3]), tf.shape(like))


def _add_bias(x, bias):
    return tf.nn.bias_add(x, tf.cast(bias, x.dtype))


def _normalise(x, gamma, beta, epsilon):
    """Layer normalisation of x `[N, H]` as the batch normalisation of N channels, which is Keras's
    form of it; its statistics are float32 whatever the dtype."""
    shape = tf.shape(x)
    ones, zeros = tf.fill(shape[:1], 1.0), tf.fill(shape[:1], 0.0)
    empty = tf.constant([], tf.float32)
    normed = tf.raw_ops.FusedBatchNormV3(
        x=tf.reshape(x, [1, shape[0], shape[1], 1]),
        scale=ones,
        offset=zeros,
        mean=empty,
        variance=empty,
        epsilon=epsilon,
        data_format="NCHW",
        is_training=True,
    ).y
    return tf.reshape(normed, shape) * tf.cast(gamma, x.dtype) + tf.cast(beta, x.dtype)
