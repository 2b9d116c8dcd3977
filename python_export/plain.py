"""The element-wise operations of inference: plain TensorFlow operations, no gradients, no dropout.

They are written in the forms that TensorFlow's graph optimiser replaces by oneDNN's fused kernels
on CPUs: bias, GELU and residual sum become part of the matrix product before them, scale and mask
part of attention's product, and a layer normalisation is one kernel. Nothing is compiled, so a new
shape costs next to nothing. A TensorFlow without those kernels runs the operations one by one, to
the same values but for rounding.
"""

import tensorflow as tf

from . import activations
from .elementwise import Hidden


class InferenceOps:
    """`ElementwiseOps` for inference; `dropout` is always None."""

    def drop(self, x, dropout):
        """Of `ElementwiseOps`."""
        return x

    def activate(self, x, bias, activation):
        """Of `ElementwiseOps`."""
        return activations.plain(activation, _add_bias(x, bias))

    def add_norm(self, x, bias, hidden, gamma, beta, epsilon, dropout):
        """Of `ElementwiseOps`."""
        y = _normalise(_add_bias(x, bias) + hidden.residual, gamma, beta, epsilon)
        return Hidden(y, y)

    def embed(self, words, positions, types, type_ids, gamma, beta, epsilon, dropout, dtype):
        """Of `ElementwiseOps`."""
        z = words + positions
        z = z if types is None else z + tf.gather(types, type_ids)
        z = tf.reshape(z, [-1, words.shape[-1]])
        y = tf.cast(_normalise(z, gamma, beta, epsilon), dtype)
        return Hidden(y, y)

    def split_heads(self, product, bias, parts, heads, offset):
        """Of `ElementwiseOps`."""
        width = product.shape[-1] // parts // heads
        shape = [tf.shape(offset)[0], -1, parts, heads, width]
        split = tf.reshape(_add_bias(product, bias), shape)
        return tf.unstack(tf.transpose(split, [2, 0, 3, 1, 4]))

    def split_rotated(self, product, parts, heads, offset, rotation):
        """Of `ElementwiseOps`."""
        width = product.shape[-1] // parts // heads
        split = tf.reshape(product, [tf.shape(offset)[0], -1, parts, heads, width])
        *rotated, value = tf.unstack(tf.transpose(split, [2, 0, 3, 1, 4]))
        return [_rotated(x, *rotation) for x in rotated] + [value]

    def attend(self, query, key, value, offset, hidden, scale, dropout, first_only=False):
        """Of `ElementwiseOps`."""
        scores = tf.matmul(query, key, transpose_b=True) * tf.constant(scale, query.dtype)
        p = tf.nn.softmax(scores + tf.cast(offset, scores.dtype))
        # With the residual's own shape, TensorFlow knows that the next product and the residual are
        # equal in shape, and can fuse their sum into the product.
        merged = tf.transpose(tf.matmul(p, value), [0, 2, 1, 3])
        return tf.reshape(merged, tf.shape(hidden.residual))

    def add_pre_norm(self, x, hidden, gamma, epsilon, dropout):
        """Of `ElementwiseOps`."""
        z = tf.cast(hidden.residual, tf.float32) + tf.cast(x, tf.float32)
        return Hidden(tf.cast(_standardise(z, epsilon), x.dtype) * tf.cast(gamma, x.dtype), z)

    def gate(self, x, activation, dropout):
        """Of `ElementwiseOps`."""
        inner, gate = tf.split(x, 2, -1)
        return activations.plain(activation, inner) * gate


def _add_bias(x, bias):
    return tf.nn.bias_add(x, tf.cast(bias, x.dtype))


def _rotated(x, cosines, sines):
    """The heads `[batch, A, length, head_size]` turned by angles `[length, head_size / 2]`."""
    first, second = tf.split(tf.cast(x, tf.float32), 2, -1)
    turned = [first * cosines - second * sines, second * cosines + first * sines]
    return tf.cast(tf.concat(turned, -1), x.dtype)


def _normalise(x, gamma, beta, epsilon):
    """Layer normalisation of x `[N, H]`."""
    return _standardise(x, epsilon) * tf.cast(gamma, x.dtype) + tf.cast(beta, x.dtype)


def _standardise(x, epsilon):
    """x `[N, H]` with mean 0 and variance 1 in every row, written as the batch normalisation of N
    channels: Keras's form, which the graph optimiser knows. Its statistics are float32 whatever x's
    dtype is."""
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
    return tf.reshape(normed, shape)
