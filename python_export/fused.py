"""The element-wise operations of training outside attention, each with a gradient of its own.

Matrix products and soft-max are left to oneDNN (or the GPU's library). Everything between two of
them is one function here. XLA compiles it to few passes over memory, once for each shape, and all
layers share it. The gradients are written out because they are shorter than those that automatic
differentiation gives; a value that they need is computed in the forward function. For inference
see `plain`.

On a CPU with AVX2 the Rust binary computes most of these functions, and those of `attention`,
`optimizer` and `lazy_rows`, with kernels of its own (`docs/contract.md` lists them). Whoever
changes what such a function computes changes its kernel in `src/runtime/kernels` too, and
`CONTRACT_VERSION`.

Inside a compiled function all arithmetic is float32; a result that a matrix product reads has the
dtype of the argument that a matrix product wrote. `N` is batch * length, `H` a width.
"""

from typing import NamedTuple

import tensorflow as tf

from . import activations
from .elementwise import Hidden

_SQRT_HALF = 0.7071067811865476
_INV_SQRT_2PI = 0.3989422804014327
# Below this |h|, Phi(h) is one half to within float32's rounding.
_NEAR_ZERO = 1e-7
_PHILOX = 1


def xla_compiled(function):
    """A function that XLA compiles, once for each shape of its arguments."""
    return tf.function(function, jit_compile=True, autograph=False)


def not_compiled(function):
    """A function of plain operations. It is a function of the graph so that a call of it can be
    replaced by a kernel of `tfbert`."""
    return tf.function(function, autograph=False)


class Drop(NamedTuple):
    """Dropout at one place of the graph: the key of its mask, the threshold that a random byte must
    reach for its element to be kept, and the factor on kept elements."""

    key: tf.Tensor
    threshold: tf.Tensor
    scale: tf.Tensor


def kept_bytes(rate):
    """The threshold that a random byte must reach for its element to be kept, and the factor on
    kept elements; `rate` is rounded to a multiple of 1/256."""
    dropped = tf.clip_by_value(tf.round(rate * 256.0), 0.0, 255.0)
    return tf.cast(dropped, tf.uint8), 256.0 / (256.0 - dropped)


class Dropout:
    """Dropout whose masks depend on `seed` and on the place in the graph alone.

    Args:
        rate: float32 `[]`, rounded to a multiple of 1/256; 0 drops nothing.
        seed: int32 `[2]`.
    """

    def __init__(self, rate, seed):
        self._threshold, self._scale = kept_bytes(rate)
        self._seed = tf.reshape(tf.bitcast(seed, tf.uint64), [1])
        self._place = 0

    def next_place(self) -> Drop:
        """The next place's dropout. Places count up in the order in which the graph is built."""
        self._place += 1
        key = tf.raw_ops.StatelessRandomUniformFullIntV2(
            shape=[2],
            key=self._seed,
            # Philox counts up the low half; the high half gives each place its own stream.
            counter=tf.constant([0, self._place], tf.uint64),
            alg=_PHILOX,
            dtype=tf.uint32,
        )
        return Drop(key, self._threshold, self._scale)


def random_words(size, key):
    """uint32 words of `size` bytes, rounded up: a hash of each word's number and the key.

    Two rounds of multiplying and shifting, with the constants of Wellons' `lowbias32`; half of the
    key is added before each. This is much cheaper than Philox, and random enough for dropout.
    """

    def folded(word, by):
        return tf.bitwise.bitwise_xor(
            word, tf.bitwise.right_shift(word, tf.constant(by, tf.uint32))
        )

    word = tf.cast(tf.range((size + 3) // 4), tf.uint32)
    word = folded(word + key[0], 16) * tf.constant(0x21F0AAAD, tf.uint32)
    word = folded(word + key[1], 15) * tf.constant(0x735A2D97, tf.uint32)
    return folded(word, 15)


def bytes_of(words):
    """The words' bytes, uint8 of one dimension."""
    return tf.reshape(tf.bitcast(words, tf.uint8), [-1])


def first_bytes(random, like):
    """The first bytes of `random`, one for each element of `like` and in its static shape."""
    return tf.reshape(random[: tf.size(like)], tf.shape(like))


def _keep(x, random, drop: Drop):
    """x where its random byte keeps it, scaled, and 0 elsewhere."""
    return tf.where(random >= drop.threshold, x * drop.scale, 0.0)


def dropped(x, drop: Drop):
    """x after dropout. The gradient draws the same mask again, which is cheaper than keeping it."""
    random = bytes_of(random_words(tf.size(x), drop.key))
    return _keep(x, first_bytes(random, x), drop)


def as_f32(x):
    """x in float32."""
    return tf.cast(x, tf.float32)


@xla_compiled
def _drop(x, drop):
    return tf.cast(dropped(as_f32(x), drop), x.dtype)


# GELU: h * Phi(h) with Phi the normal distribution function (Hendrycks and Gimpel, 2016).


@xla_compiled
def _gelu_forward(x, bias):
    h = as_f32(x) + bias
    return tf.cast(h * (0.5 + 0.5 * tf.math.erf(h * _SQRT_HALF)), x.dtype)


@xla_compiled
def _gelu_backward(x, bias, y, dy):
    h = as_f32(x) + bias
    # y / h is Phi(h), which would be expensive to compute again; at 0 it is one half.
    probability = tf.where(tf.abs(h) > _NEAR_ZERO, as_f32(y) / h, 0.5)
    density = _INV_SQRT_2PI * tf.exp(-0.5 * h * h)
    return tf.cast(as_f32(dy) * (probability + h * density), x.dtype)


@xla_compiled
def _activate_forward(x, bias, activation):
    return tf.cast(activations.value(activation, as_f32(x) + bias), x.dtype)


@xla_compiled
def _activate_backward(x, bias, dy, activation):
    slope = activations.derivative(activation, as_f32(x) + bias)
    return tf.cast(as_f32(dy) * slope, x.dtype)


def column_sums(x):
    """The sums of x `[N, H]` over its rows, float32: a matrix product, quicker than a reduction."""
    ones = tf.ones([1, tf.shape(x)[0]], x.dtype)
    return tf.reshape(as_f32(tf.matmul(ones, x)), [-1])


# Layer normalisation (Ba, Kiros and Hinton, 2016) over the last axis.


def row_means(z):
    """The means of z's rows, `[N, 1]`, as a matrix product: XLA's own reduction on a CPU adds up a
    row element by element."""
    width = z.shape[-1]
    return tf.matmul(z, tf.ones([width, 1])) * (1.0 / width)


def standardise(z, epsilon):
    """z with mean 0 and variance 1, and the inverse of its standard deviation."""
    centred = z - row_means(z)
    inverse = tf.math.rsqrt(row_means(centred * centred) + epsilon)
    return centred * inverse, inverse


def _norm_backward(normed, inverse, dy, gamma):
    """The gradients of `_standardise`'s argument, of the scale and of the offset."""
    dnormed = dy * gamma
    dz = (dnormed - row_means(dnormed) - normed * row_means(dnormed * normed)) * inverse
    return dz, tf.reduce_sum(dy * normed, 0), tf.reduce_sum(dy, 0)


@xla_compiled
def _add_norm_forward(x, bias, residual, gamma, beta, epsilon, drop):
    kept = dropped(as_f32(x) + bias, drop)
    normed, inverse = standardise(as_f32(residual) + kept, epsilon)
    y = tf.cast(normed * gamma + beta, x.dtype)
    return y, tf.cast(normed, x.dtype), inverse


@xla_compiled
def _add_norm_backward(normed, inverse, gamma, dy, dresidual, drop):
    dtype = normed.dtype
    dy = as_f32(dy) + as_f32(dresidual)
    dz, dgamma, dbeta = _norm_backward(as_f32(normed), inverse, dy, gamma)
    dx = dropped(dz, drop)
    return tf.cast(dx, dtype), tf.reduce_sum(dx, 0), tf.cast(dz, dtype), dgamma, dbeta


# The sum of the three embeddings, normalised, with dropout.


@xla_compiled
def _embed_forward(words, positions, types, gamma, beta, epsilon, drop, dtype):
    z = tf.reshape(words + positions + types, [-1, words.shape[-1]])
    normed, inverse = standardise(z, epsilon)
    y = tf.cast(dropped(normed * gamma + beta, drop), dtype)
    return y, tf.cast(normed, dtype), inverse


@xla_compiled
def _embed_backward(normed, inverse, gamma, dy, dresidual, drop):
    dy = dropped(as_f32(dy) + as_f32(dresidual), drop)
    return _norm_backward(as_f32(normed), inverse, dy, gamma)


class FusedOps:
    """The part of `ElementwiseOps` outside attention, for training."""

    def run(self, function, *arguments):
        """Calls a compiled function, under its name in profiles."""
        with tf.name_scope(function.__name__.lstrip("_")):
            return function(*arguments)

    def run_plain(self, function, *arguments):
        """Calls a compiled function's body as plain operations."""
        with tf.name_scope(function.__name__.lstrip("_")):
            return function.python_function(*arguments)

    def drop(self, x, dropout):
        """Of `ElementwiseOps`."""
        drop = dropout.next_place()

        @tf.custom_gradient
        def call(x):
            # Dropout is linear: its gradient is dropout with the same mask.
            return self.run(_drop, x, drop), lambda dy: self.run(_drop, dy, drop)

        return call(x)

    def activate(self, x, bias, activation):
        """Of `ElementwiseOps`."""
        is_gelu = activation == "gelu"

        @tf.custom_gradient
        def call(x, bias):
            if is_gelu:
                y = self.run(_gelu_forward, x, bias)
            else:
                y = self.run(_activate_forward, x, bias, activation)

            def gradient(dy):
                if is_gelu:
                    dx = self.run(_gelu_backward, x, bias, y, dy)
                else:
                    dx = self.run(_activate_backward, x, bias, dy, activation)
                return dx, column_sums(dx)

            return y, gradient

        return call(x, bias)

    def add_norm(self, x, bias, hidden, gamma, beta, epsilon, dropout):
        """Of `ElementwiseOps`."""
        drop = dropout.next_place()

        @tf.custom_gradient
        def call(x, bias, residual, gamma, beta):
            y, normed, inverse = self.run(
                _add_norm_forward, x, bias, residual, gamma, beta, epsilon, drop
            )

            def gradient(dy, dresidual):
                kept = (normed, inverse, gamma)
                return self.run(_add_norm_backward, *kept, dy, dresidual, drop)

            return (y, tf.identity(y)), gradient

        return Hidden(*call(x, bias, hidden.residual, gamma, beta))

    def embed(self, words, positions, types, type_ids, gamma, beta, epsilon, dropout, dtype):
        """Of `ElementwiseOps`."""
        drop = dropout.next_place()
        if types is None:
            # The gradient of this constant is computed and left aside: it is a small product.
            types, type_ids = tf.zeros([1, words.shape[-1]]), tf.zeros_like(type_ids)
        kinds, width = types.shape

        @tf.custom_gradient
        def call(words, positions, types, gamma, beta):
            chosen = tf.gather(types, type_ids)
            y, normed, inverse = self.run(
                _embed_forward,
                *(words, positions, chosen, gamma, beta, epsilon, drop, dtype),
            )

            def gradient(dy, dresidual):
                kept = (normed, inverse, gamma)
                dz, dgamma, dbeta = self.run(_embed_backward, *kept, dy, dresidual, drop)
                is_kind = tf.one_hot(tf.reshape(type_ids, [-1]), kinds)
                dtypes = tf.matmul(is_kind, dz, transpose_a=True)
                dwords = tf.reshape(dz, tf.concat([tf.shape(type_ids), [width]], 0))
                return dwords, tf.reduce_sum(dwords, 0), dtypes, dgamma, dbeta

            return (y, tf.identity(y)), gradient

        return Hidden(*call(words, positions, types, gamma, beta))
