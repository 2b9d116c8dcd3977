"""Scaled dot-product attention (Vaswani et al., 2017) for training, with its own gradient.

Heads are `[batch, A, length, head_size]`. The matrix products and the soft-max are the library's;
the operations between them are compiled functions as in `fused`.
"""

import tensorflow as tf

from .fused import (
    as_f32,
    bytes_of,
    column_sums,
    first_bytes,
    not_compiled,
    random_words,
    xla_compiled,
)
from .fused_pre_norm import FusedPreNormOps


@xla_compiled
def _split(product, bias, parts, heads, batch_like):
    """The heads of each of `parts` equal parts of `product + bias`."""
    batch, width = tf.shape(batch_like)[0], product.shape[-1] // parts
    found = []
    for part in range(parts):
        columns = slice(part * width, (part + 1) * width)
        x = as_f32(product[:, columns]) + bias[columns]
        x = tf.reshape(x, [batch, -1, heads, width // heads])
        found.append(tf.cast(tf.transpose(x, [0, 2, 1, 3]), product.dtype))
    return found


@xla_compiled
def _split_rotated(product, parts, heads, batch_like, cosines, sines):
    """The heads of each of `parts` equal parts of `product`, all but the last of them turned."""
    batch, width = tf.shape(batch_like)[0], product.shape[-1] // parts
    found = []
    for part in range(parts):
        x = as_f32(product[:, part * width : (part + 1) * width])
        x = tf.transpose(tf.reshape(x, [batch, -1, heads, width // heads]), [0, 2, 1, 3])
        x = x if part == parts - 1 else _turned(x, cosines, sines)
        found.append(tf.cast(x, product.dtype))
    return found


@xla_compiled
def _merge_rotated(x, cosines, sines):
    """As `_merge`, of heads that are turned back first."""
    width = x.shape[1] * x.shape[3]
    turned = tf.cast(_turned(as_f32(x), cosines, -sines), x.dtype)
    return tf.reshape(tf.transpose(turned, [0, 2, 1, 3]), [-1, width])


def _turned(x, cosines, sines):
    """Rotary positions of x `[batch, A, length, head_size]`; angles `[length, head_size / 2]`."""
    half = x.shape[-1] // 2
    first, second = x[..., :half], x[..., half:]
    return tf.concat([first * cosines - second * sines, second * cosines + first * sines], -1)


@xla_compiled
def _merge(x):
    """`[batch, A, length, head_size]` to `[batch * length, A * head_size]`."""
    width = x.shape[1] * x.shape[3]
    return tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [-1, width])


@not_compiled
def _merge_parts(*parts):
    """The heads of several parts, merged and side by side: `[batch * length, parts * H]`."""
    return tf.concat([_merge(part) for part in parts], 1)


@not_compiled
def _unmerge(x, like):
    """`[batch * length, A * head_size]` to the shape of `like`, `[batch, A, length, head_size]`."""
    shape = tf.shape(like)
    split = tf.reshape(x, tf.stack([shape[0], shape[2], shape[1], shape[3]]))
    return tf.transpose(split, [0, 2, 1, 3])


@xla_compiled
def _scale_and_offset(products, offset, scale):
    return tf.cast(as_f32(products) * scale + offset, products.dtype)


@xla_compiled
def _draw(like, key):
    return random_words(tf.size(like), key)


@xla_compiled
def _drop_probabilities(p, random, drop):
    """p after dropout, and p with its sign changed where it was dropped.

    Probabilities are not negative, so their signs can hold the mask. The gradient then needs this
    one tensor, in place of p, the random bytes and p after dropout.
    """
    signed = tf.where(first_bytes(random, p) >= drop.threshold, as_f32(p), -as_f32(p))
    return _kept(signed, drop, p.dtype), tf.cast(signed, p.dtype)


def _kept(signed, drop, dtype):
    return tf.cast(tf.maximum(signed, 0.0) * drop.scale, dtype)


@xla_compiled
def _scores_gradient(signed, dkept, merged, dmerged, scale, drop):
    """The gradient of the scores, before scaling, and the probabilities after dropout again.

    `dkept` is the gradient of the latter. The soft-max's gradient needs `sum(p * dp)` over keys. It
    equals `sum(context * dcontext)` over the head's width, since the context is linear in the
    probabilities, and that is a pass less over the larger tensor.
    """
    batch, heads = tf.shape(signed)[0], signed.shape[1]
    products = tf.reshape(
        as_f32(merged) * as_f32(dmerged), [batch, -1, heads, merged.shape[1] // heads]
    )
    total = tf.transpose(tf.reduce_sum(products, -1), [0, 2, 1])[..., None]
    dtype, signed, dp = signed.dtype, as_f32(signed), as_f32(dkept)
    # Where p is 0 the gradient is too, whichever the mask.
    dp = tf.where(signed > 0.0, dp * drop.scale, 0.0)
    return tf.cast(tf.abs(signed) * (dp - total) * scale, dtype), _kept(signed, drop, dtype)


class TrainingOps(FusedPreNormOps):
    """`ElementwiseOps` for training: those outside attention, and those of attention."""

    def split_heads(self, product, bias, parts, heads, offset):
        """Of `ElementwiseOps`."""

        @tf.custom_gradient
        def call(product, bias):
            def gradient(*dparts):
                if parts == 1:
                    dproduct = self.run(_merge, *dparts)
                else:
                    dproduct = self.run(_merge_parts, *dparts)
                return dproduct, column_sums(dproduct)

            return tuple(self.run(_split, product, bias, parts, heads, offset)), gradient

        return call(product, bias)

    def split_rotated(self, product, parts, heads, offset, rotation):
        """Of `ElementwiseOps`."""

        @tf.custom_gradient
        def call(product):
            def gradient(*dparts):
                *drotated, dvalue = dparts
                merged = [self.run(_merge_rotated, dpart, *rotation) for dpart in drotated]
                merged.append(self.run(_merge, dvalue))
                return merged[0] if parts == 1 else tf.concat(merged, 1)

            return tuple(
                self.run(_split_rotated, product, parts, heads, offset, *rotation)
            ), gradient

        return call(product)

    def attend(self, query, key, value, offset, hidden, scale, dropout, first_only=False):
        """Of `ElementwiseOps`."""
        drop = dropout.next_place()
        # With the first tokens' queries alone there is so little to compute that compiling a new
        # length takes longer than it saves.
        run = self.run_plain if first_only else self.run

        @tf.custom_gradient
        def call(query, key, value):
            products = tf.matmul(query, key, transpose_b=True)
            p = tf.nn.softmax(run(_scale_and_offset, products, offset, scale))
            # Drawn by a function of its own: inside `_drop_probabilities`, XLA would draw a whole
            # word for each byte, and do so for each of the two results.
            random = bytes_of(run(_draw, p, drop.key))
            kept, signed = run(_drop_probabilities, p, random, drop)
            merged = run(_merge, tf.matmul(kept, value))

            def gradient(dmerged):
                dcontext = self.run(_unmerge, dmerged, query)
                dkept = tf.matmul(dcontext, value, transpose_b=True)
                dproducts, again = run(
                    _scores_gradient, signed, dkept, merged, dmerged, scale, drop
                )
                return (
                    tf.matmul(dproducts, key),
                    tf.matmul(dproducts, query, transpose_a=True),
                    tf.matmul(again, dcontext, transpose_a=True),
                )

            return merged, gradient

        return call(query, key, value)
