"""Scaled dot-product attention (Vaswani et al., 2017) over heads, with its own gradient.

Heads are `[batch, A, length, head_size]`. The matrix products and the soft-max are the library's;
what is between them are islands as in `fused`.
"""

import tensorflow as tf

from .fused import Fused, as_f32, bytes_of, column_sums, first_bytes, island, random_words

# Added to the scores of padding: exp() of it is exactly 0.
MASKED = -1e9


@island
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


@island
def _merge(x):
    """`[batch, A, length, head_size]` to `[batch * length, A * head_size]`."""
    width = x.shape[1] * x.shape[3]
    return tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [-1, width])


@island
def _scale_and_offset(products, offset, scale):
    return tf.cast(as_f32(products) * scale + offset, products.dtype)


@island
def _draw(like, key):
    return random_words(tf.size(like), key)


@island
def _drop_probabilities(p, random, drop):
    """p after dropout, and p with the sign turned where it was dropped.

    Probabilities are not negative, so their signs can hold the mask: one tensor is kept for the
    gradient where else there were p, its random bytes, and what dropout left of it.
    """
    signed = tf.where(first_bytes(random, p) >= drop.threshold, as_f32(p), -as_f32(p))
    return _kept(signed, drop, p.dtype), tf.cast(signed, p.dtype)


def _kept(signed, drop, dtype):
    return tf.cast(tf.maximum(signed, 0.0) * drop.scale, dtype)


@island
def _scores_gradient(signed, dkept, merged, dmerged, scale, drop):
    """The gradient of query's and key's products, from that of the probabilities after dropout; and
    these.

    Its sum over keys, `sum(p * dp)`, equals `sum(context * dcontext)` over the head's width, since
    the context is linear in the probabilities: a pass less over the larger tensor.
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


class Islands(Fused):
    """All runs between the matrix products of an encoder in training."""

    def split_heads(self, product, bias, parts, heads, offset):
        """Splits `product + bias`, `[N, parts * H]`, into the heads of each part.

        `offset` only gives the batch size.
        """

        @tf.custom_gradient
        def call(product, bias):
            def gradient(*dparts):
                merged = [self.run(_merge, dpart) for dpart in dparts]
                dproduct = merged[0] if parts == 1 else tf.concat(merged, 1)
                return dproduct, column_sums(dproduct)

            return tuple(self.run(_split, product, bias, parts, heads, offset)), gradient

        return call(product, bias)

    def attend(self, query, key, value, offset, like, scale, dropout, compiled=True):
        """`dropout(softmax(scale * query @ key^T + offset)) @ value`, merged to `[N, H]`.

        Args:
            query: heads of `[batch, A, queries, head_size]`.
            key, value: heads of `[batch, A, keys, head_size]`.
            offset: float32 `[batch, 1, 1, keys]`, 0 or `MASKED`.
            like: a tensor of the shape of the result.
            scale: a number.
            dropout: a `Dropout`.
            compiled: false where there are so few queries that a new length would take longer to
                compile than it wins.
        """
        drop = dropout.next_place()
        run = self.run if compiled else self.run_plain

        @tf.custom_gradient
        def call(query, key, value):
            products = tf.matmul(query, key, transpose_b=True)
            p = tf.nn.softmax(run(_scale_and_offset, products, offset, scale))
            # Drawn apart: inside, each of the two results would draw a word for each of its bytes.
            random = bytes_of(run(_draw, p, drop.key))
            kept, signed = run(_drop_probabilities, p, random, drop)
            merged = run(_merge, tf.matmul(kept, value))

            def gradient(dmerged):
                dcontext = _unmerge(dmerged, query)
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


def _unmerge(x, like):
    """`[batch * length, A * head_size]` to the shape of `like`."""
    shape = tf.shape(like)
    split = tf.reshape(x, tf.stack([shape[0], shape[2], shape[1], shape[3]]))
    return tf.transpose(split, [0, 2, 1, 3])
