"""Scaled dot-product attention (Vaswani et al., 2017) over heads, with its own gradient.

Heads are `[batch, A, length, head_size]`. The matrix products and the soft-max are the library's;
what is between them are islands as in `fused`.
"""

import tensorflow as tf

from .fused import Fused, as_f32, drop_forward, island

# Added to the scores of padding: exp() of it is exactly 0.
MASKED = -1e9


@island
def _split(product, bias, parts, heads, batch_like, scale):
    """The heads of each of `parts` equal parts of `product + bias`, the first part's scaled."""
    batch, width = tf.shape(batch_like)[0], product.shape[-1] // parts
    found = []
    for part in range(parts):
        columns = slice(part * width, (part + 1) * width)
        x = as_f32(product[:, columns]) + bias[columns]
        if part == 0:
            x *= scale
        x = tf.reshape(x, [batch, -1, heads, width // heads])
        found.append(tf.cast(tf.transpose(x, [0, 2, 1, 3]), product.dtype))
    return found


@island
def _merge(x, scale):
    """`[batch, A, length, head_size]` to `[batch * length, A * head_size]`, scaled."""
    width = x.shape[1] * x.shape[3]
    merged = tf.reshape(tf.transpose(as_f32(x), [0, 2, 1, 3]), [-1, width])
    return tf.cast(merged * scale, x.dtype)


@island
def _add_offset(scores, offset):
    return tf.cast(as_f32(scores) + offset, scores.dtype)


@island
def _scores_gradient(p, dkept, context, dcontext, random, drop):
    """The gradient of soft-max's input, from that of the probabilities after dropout.

    Its sum over keys, `sum(p * dp)`, equals `sum(context * dcontext)` over the head's width, since
    the context is linear in the probabilities: a pass less over the larger tensor.
    """
    total = tf.reduce_sum(as_f32(context) * as_f32(dcontext), -1, keepdims=True)
    dp = as_f32(dkept)
    if drop is not None:
        dp = tf.where(random >= drop.threshold, dp * drop.scale, 0.0)
    return tf.cast(as_f32(p) * (dp - total), p.dtype)


def split_heads(fused: Fused, product, bias, parts, heads, offset, scale):
    """Splits `product + bias`, `[N, parts * H]`, into the heads of each part.

    The first part is multiplied by `scale`. `offset` only gives the batch size.
    """

    @tf.custom_gradient
    def call(product, bias):
        def gradient(*dparts):
            scales = [scale] + [1.0] * (parts - 1)
            merged = [fused.run(_merge, *pair) for pair in zip(dparts, scales, strict=True)]
            dproduct = merged[0] if parts == 1 else tf.concat(merged, 1)
            # Summed as a matrix product, which is quicker than a reduction over rows.
            ones = tf.ones([1, tf.shape(dproduct)[0]], dproduct.dtype)
            return dproduct, tf.reshape(as_f32(tf.matmul(ones, dproduct)), [-1])

        return tuple(fused.run(_split, product, bias, parts, heads, offset, scale)), gradient

    return call(product, bias)


def attend(fused: Fused, query, key, value, offset, dropout):
    """`dropout(softmax(query @ key^T + offset)) @ value`, merged to `[N, H]`.

    Args:
        query: heads of `[batch, A, queries, head_size]`, already scaled.
        key, value: heads of `[batch, A, keys, head_size]`.
        offset: float32 `[batch, 1, 1, keys]`, 0 or `MASKED`.
        dropout: a `Dropout`, or None.
    """
    drop = dropout.next_place() if dropout else None

    @tf.custom_gradient
    def call(query, key, value):
        scores = tf.matmul(query, key, transpose_b=True)
        p = tf.nn.softmax(fused.run(_add_offset, scores, offset))
        kept, random = fused.run(drop_forward, p, drop) if drop else (p, None)
        context = tf.matmul(kept, value)

        def gradient(dmerged):
            dcontext = _unmerge(dmerged, context)
            dkept = tf.matmul(dcontext, value, transpose_b=True)
            dscores = fused.run(_scores_gradient, p, dkept, context, dcontext, random, drop)
            return (
                tf.matmul(dscores, key),
                tf.matmul(dscores, query, transpose_a=True),
                tf.matmul(kept, dcontext, transpose_a=True),
            )

        return fused.run(_merge, context, 1.0), gradient

    return call(query, key, value)


def _unmerge(x, like):
    """`[batch * length, A * head_size]` to the shape of `like`."""
    shape = tf.shape(like)
    split = tf.reshape(x, tf.stack([shape[0], shape[2], shape[1], shape[3]]))
    return tf.transpose(split, [0, 2, 1, 3])
