"""The element-wise runs between matrix products, each a compiled island with its own gradient.

Matrix products are left to oneDNN (or the GPU's library). Everything between two of them is one
function here: XLA compiles it to a single pass over memory, once for each shape, shared by all
layers. The gradients are written out because they are shorter than what differentiation of the
forward pass gives, and need less kept from it.

Inside an island all arithmetic is float32; what goes out to a matrix product has the dtype that
came in. `N` is batch * length, `H` a width, `A` the number of attention heads, `T` the length.
"""

from dataclasses import dataclass

import tensorflow as tf

# Added to the attention scores of padding: exp() of it is exactly 0.
MASKED = -1e9
_SQRT_HALF = 0.7071067811865476
_INV_SQRT_2PI = 0.3989422804014327
_PHILOX = 1


def island(function):
    """Compiles an element-wise function with XLA; `.python_function` is the same in plain ops."""
    return tf.function(function, jit_compile=True, autograph=False)


@dataclass(frozen=True)
class Mask:
    """What one dropout needs: random bytes, the number of byte values dropped, and the scale of
    what is kept."""

    random: tf.Tensor
    threshold: tf.Tensor
    scale: tf.Tensor

    def parts(self):
        return self.random, self.threshold, self.scale


class Dropout:
    """Dropout whose masks depend on `seed` and on the place in the graph alone.

    Args:
        rate: float32 `[]`, rounded to a multiple of 1/256; 0 drops nothing.
        seed: int32 `[2]`.
    """

    def __init__(self, rate, seed):
        dropped = tf.clip_by_value(tf.round(rate * 256.0), 0.0, 255.0)
        self._threshold = tf.cast(dropped, tf.uint8)
        self._scale = 256.0 / (256.0 - dropped)
        self._key = tf.reshape(tf.bitcast(seed, tf.uint64), [1])
        self._place = 0

    def mask(self, shape) -> Mask:
        """The next place's mask. Places count up in the order in which the graph is built."""
        self._place += 1
        size = tf.reduce_prod(shape)
        words = tf.raw_ops.StatelessRandomUniformFullIntV2(
            shape=tf.reshape((size + 7) // 8, [1]),
            key=self._key,
            # Philox counts in the low half; the high half gives each place a stream of its own.
            counter=tf.constant([0, self._place], tf.uint64),
            alg=_PHILOX,
            dtype=tf.uint64,
        )
        random = tf.reshape(tf.bitcast(words, tf.uint8), [-1])[:size]
        return Mask(tf.reshape(random, shape), self._threshold, self._scale)


def _keep(x, mask):
    if mask is None:
        return x
    random, threshold, scale = mask
    return tf.where(random >= threshold, x * scale, 0.0)


def _f32(x):
    return tf.cast(x, tf.float32)


@island
def _drop(x, mask):
    return tf.cast(_keep(_f32(x), mask), x.dtype)


# GELU: x * Phi(x) with Phi the normal distribution function (Hendrycks and Gimpel, 2016).


@island
def _gelu_forward(x, bias):
    h = _f32(x) + bias
    return tf.cast(h * (0.5 + 0.5 * tf.math.erf(h * _SQRT_HALF)), x.dtype)


@island
def _gelu_backward(x, bias, dy):
    h = _f32(x) + bias
    density = _INV_SQRT_2PI * tf.exp(-0.5 * h * h)
    dh = _f32(dy) * (0.5 + 0.5 * tf.math.erf(h * _SQRT_HALF) + h * density)
    return tf.cast(dh, x.dtype), tf.reduce_sum(dh, 0)


# Layer normalisation (Ba, Kiros and Hinton, 2016) over the last axis.


def _standardise(z, epsilon):
    centred = z - tf.reduce_mean(z, -1, keepdims=True)
    inverse = tf.math.rsqrt(tf.reduce_mean(centred * centred, -1, keepdims=True) + epsilon)
    return centred * inverse, inverse


def _norm_backward(z, dy, gamma, epsilon):
    """The gradients of the normalised sum `z` and of the scale and offset."""
    normed, inverse = _standardise(z, epsilon)
    dnormed = dy * gamma
    mean = tf.reduce_mean(dnormed, -1, keepdims=True)
    slope = tf.reduce_mean(dnormed * normed, -1, keepdims=True)
    dz = (dnormed - mean - normed * slope) * inverse
    return dz, tf.reduce_sum(dy * normed, 0), tf.reduce_sum(dy, 0)


@island
def _add_norm_forward(x, bias, residual, gamma, beta, epsilon, mask):
    z = _f32(residual) + _keep(_f32(x) + bias, mask)
    normed, _ = _standardise(z, epsilon)
    return tf.cast(normed * gamma + beta, x.dtype), tf.cast(z, x.dtype)


@island
def _add_norm_backward(z, gamma, dy, dskip, epsilon, mask):
    dz, dgamma, dbeta = _norm_backward(_f32(z), _f32(dy) + _f32(dskip), gamma, epsilon)
    dx = _keep(dz, mask)
    return tf.cast(dx, z.dtype), tf.reduce_sum(dx, 0), tf.cast(dz, z.dtype), dgamma, dbeta


# Soft-max of masked scores; the scores are [batch, A, queries, keys], `offset` [batch, 1, 1, keys].


@island
def _softmax_forward(scores, offset, scale, mask):
    p = tf.nn.softmax(_f32(scores) * scale + offset)
    return tf.cast(p, scores.dtype), tf.cast(_keep(p, mask), scores.dtype)


@island
def _softmax_backward(p, dp, scale, mask):
    dtype = p.dtype
    p, dp = _f32(p), _keep(_f32(dp), mask)
    return tf.cast(p * (dp - tf.reduce_sum(dp * p, -1, keepdims=True)) * scale, dtype)


# The sum of the three embeddings, normalised, with dropout.


def _sum_embeddings(words, positions, types, type_ids):
    z = words + positions[None]
    for index in range(types.shape[0]):
        z += tf.where(type_ids[..., None] == index, types[index], 0.0)
    return tf.reshape(z, [-1, words.shape[-1]])


@island
def _embed_forward(words, positions, types, type_ids, gamma, beta, epsilon, mask, dtype):
    normed, _ = _standardise(_sum_embeddings(words, positions, types, type_ids), epsilon)
    return tf.cast(_keep(normed * gamma + beta, mask), dtype)


@island
def _embed_backward(words, positions, types, type_ids, gamma, dy, dskip, epsilon, mask):
    z = _sum_embeddings(words, positions, types, type_ids)
    dy = _keep(_f32(dy) + _f32(dskip), mask)
    dz, dgamma, dbeta = _norm_backward(z, dy, gamma, epsilon)
    dz = tf.reshape(dz, tf.shape(words))
    dtypes = [
        tf.reduce_sum(tf.where(type_ids[..., None] == index, dz, 0.0), [0, 1])
        for index in range(types.shape[0])
    ]
    return dz, tf.reduce_sum(dz, 0), tf.stack(dtypes), dgamma, dbeta


class Fused:
    """The element-wise runs, as compiled islands or (`compiled=False`) in plain operations."""

    def __init__(self, compiled: bool = True):
        self._compiled = compiled

    def _run(self, function, *arguments):
        with tf.name_scope(function.__name__.lstrip("_")):
            return (function if self._compiled else function.python_function)(*arguments)

    def drop(self, x, dropout):
        """Dropout alone."""
        mask = dropout.mask(tf.shape(x)).parts()

        @tf.custom_gradient
        def call(x):
            return self._run(_drop, x, mask), lambda dy: self._run(_drop, dy, mask)

        return call(x)

    def gelu(self, x, bias):
        """`GELU(x + bias)` for x `[N, H]`."""

        @tf.custom_gradient
        def call(x, bias):
            def gradient(dy):
                return self._run(_gelu_backward, x, bias, dy)

            return self._run(_gelu_forward, x, bias), gradient

        return call(x, bias)

    def add_norm(self, x, bias, residual, gamma, beta, epsilon, dropout):
        """`LayerNorm(residual + dropout(x + bias))` for x, residual `[N, H]`.

        Returned twice, for the branch and for the residual path beside it, so that the two
        gradients are added inside the island.
        """
        mask = dropout.mask(tf.shape(x)).parts() if dropout else None

        @tf.custom_gradient
        def call(x, bias, residual, gamma, beta):
            y, z = self._run(_add_norm_forward, x, bias, residual, gamma, beta, epsilon, mask)

            def gradient(dy, dskip):
                return self._run(_add_norm_backward, z, gamma, dy, dskip, epsilon, mask)

            return (y, tf.identity(y)), gradient

        return call(x, bias, residual, gamma, beta)

    def attention_probabilities(self, scores, offset, scale, dropout):
        """`dropout(softmax(scores * scale + offset))` over the last axis."""
        mask = dropout.mask(tf.shape(scores)).parts() if dropout else None

        @tf.custom_gradient
        def call(scores):
            p, kept = self._run(_softmax_forward, scores, offset, scale, mask)
            return kept, lambda dp: self._run(_softmax_backward, p, dp, scale, mask)

        return call(scores)

    def embed(self, words, positions, types, type_ids, gamma, beta, epsilon, dropout, dtype):
        """`dropout(LayerNorm(words + positions + types[type_ids]))` as `[N, H]`, returned twice.

        Args:
            words: float32 `[batch, length, H]`.
            positions: float32 `[length, H]`.
            types: float32 `[type_vocab_size, H]`.
            type_ids: int32 `[batch, length]`.
            dtype: of the result.
        """
        shape = tf.stack([tf.size(type_ids), words.shape[-1]])
        mask = dropout.mask(shape).parts() if dropout else None

        @tf.custom_gradient
        def call(words, positions, types, gamma, beta):
            parts = (words, positions, types, type_ids, gamma)
            y = self._run(_embed_forward, *parts, beta, epsilon, mask, dtype)

            def gradient(dy, dskip):
                return self._run(_embed_backward, *parts, dy, dskip, epsilon, mask)

            return (y, tf.identity(y)), gradient

        return call(words, positions, types, gamma, beta)
