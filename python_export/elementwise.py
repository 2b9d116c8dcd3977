"""What an encoder computes between its matrix products: the operations, and who implements them.

`attention.TrainingOps` implements them for training: compiled, with dropout and with gradients of
their own. `plain.InferenceOps` implements them for inference: plain TensorFlow operations, no
dropout. A layer is written once, against `ElementwiseOps`, and runs with either.

In the shapes `N` is batch * length, `H` a width and `A` the number of attention heads.
"""

from typing import NamedTuple, Protocol

import tensorflow as tf


class Hidden(NamedTuple):
    """The hidden states between two blocks, `[N, H]`: two tensors of equal value.

    A block uses its input twice, in a matrix product and in the residual sum. In training each
    use has its own tensor, so that the two gradients arrive apart and are added inside a compiled
    function, not in another pass over memory. In inference both are one tensor.
    """

    # For matrix products.
    states: tf.Tensor
    # For the residual sum; only implementations of `ElementwiseOps` read it.
    residual: tf.Tensor

    def first_tokens(self, batch) -> "Hidden":
        """Of `[batch * length, H]`, the `[batch, H]` rows of each sequence's first token."""
        return Hidden(first_tokens(self.states, batch), first_tokens(self.residual, batch))


class ElementwiseOps(Protocol):
    """The operations between the matrix products of an encoder.

    `dropout` is a `fused.Dropout` in training and None in inference. Biases and the scales and
    offsets of layer normalisation (`gamma`, `beta`) are vectors of `[H]`.
    """

    def drop(self, x, dropout):
        """`dropout(x)`; x in inference."""

    def activate(self, x, bias, activation):
        """`activation(x + bias)` of x `[N, H]`, in x's dtype; `activation` is a name."""

    def add_norm(self, x, bias, hidden: Hidden, gamma, beta, epsilon, dropout) -> Hidden:
        """`LayerNorm(hidden + dropout(x + bias))` of x `[N, H]`, in x's dtype."""

    def embed(
        self, words, positions, types, type_ids, gamma, beta, epsilon, dropout, dtype
    ) -> Hidden:
        """`dropout(LayerNorm(words + positions + types[type_ids]))` as `[N, H]`.

        Args:
            words: float32 `[batch, length, H]`.
            positions: float32 `[length, H]`.
            types: float32 `[type_vocab_size, H]`, or None where there are no segments.
            type_ids: int32 `[batch, length]`.
            gamma, beta, epsilon: of the layer normalisation.
            dropout: as above.
            dtype: of the result.
        """

    def split_heads(self, product, bias, parts, heads, offset):
        """Splits `product + bias`, `[N, parts * H]`, into `parts` tensors of
        `[batch, A, length, H / A]`. Only the batch size is taken from `offset`."""

    def split_rotated(self, product, parts, heads, offset, rotation):
        """As `split_heads` without a bias, with rotary positions (Su et al., 2021) in every part
        but the last, which is the value.

        `rotation` are the cosines and the sines of the angles, float32 `[length, H / A / 2]` each.
        Column i of a head and column i + H / A / 2 are one pair, turned by angle i.
        """

    def attend(self, query, key, value, offset, hidden: Hidden, scale, dropout, first_only=False):
        """`dropout(softmax(scale * query @ key^T + offset)) @ value`, its heads merged.

        Args:
            query: `[batch, A, queries, H / A]`.
            key, value: `[batch, A, keys, H / A]`.
            offset: float32 `[batch, 1, 1, keys]` or `[batch, 1, queries, keys]`, 0 where a query
                sees a key and at most `MASKED` where it does not.
            hidden: the states that the result is going to be added to; only their shape,
                `[batch * queries, H]`, is used, and is that of the result.
            scale: a number.
            dropout: as above.
            first_only: whether `query` is that of the first tokens alone.
        """

    # Of encoders that normalise the input of a block and not its output.

    def add_pre_norm(self, x, hidden: Hidden, gamma, epsilon, dropout) -> Hidden:
        """The residual sum `hidden + dropout(x)`, float32, and as states its layer normalisation
        with the scale `gamma` and no offset, in x's dtype. `dropout` None drops nothing."""

    def gate(self, x, activation, dropout):
        """`dropout(activation(a) * b)` of x = `[a, b]`, `[N, 2 * H]`, in x's dtype (GeGLU of
        Shazeer, 2020)."""


# Added to the attention scores of padding: exp() of the sum is exactly 0.
MASKED = -1e9


def first_tokens(x, batch):
    """`[batch * length, H]` to the `[batch, H]` rows of the first tokens."""
    length, width = tf.shape(x)[0] // batch, x.shape[-1]

    @tf.custom_gradient
    def call(x):
        def gradient(dy):
            padded = tf.pad(dy[:, None], [[0, 0], [0, length - 1], [0, 0]])
            return tf.reshape(padded, [-1, width])

        return tf.reshape(x, [batch, length, width])[:, 0], gradient

    return call(x)
