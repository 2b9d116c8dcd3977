"""What the head `masked` has beyond other heads: inputs, weights, and a report of its logits.

The head predicts hidden words (Devlin et al., 2018, section 3.1), as Hugging Face's
`BertForMaskedLM` does, and that of other families under their names (`families.family.MaskedHead`).
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

# How many of the likeliest entries of the vocabulary are listed for a position.
TOP = 5
# A number in the logits of a position that is padding.
PADDING = -1.0


class MaskedInputs(NamedTuple):
    """One batch: as `forward.Inputs`, and the positions to predict.

    `masked_positions` is int32 `[batch, predictions]`; a position of 0 is padding, since the first
    token of a sequence is never hidden.
    """

    input_ids: tf.Tensor
    attention_mask: tf.Tensor
    token_type_ids: tf.Tensor
    masked_positions: tf.Tensor


def head_shapes(family, config) -> dict[str, tuple[int, ...]]:
    """The shape of each of the weights of a family's head, under BertForMaskedLM's names. The head
    is as wide as the word embeddings, by which it multiplies."""
    width = config.embedding_size
    shapes = {
        "cls.predictions.transform.dense.weight": (width, config.hidden_size),
        "cls.predictions.transform.dense.bias": (width,),
        "cls.predictions.transform.LayerNorm.weight": (width,),
        "cls.predictions.transform.LayerNorm.bias": (width,),
        "cls.predictions.bias": (config.vocab_size,),
    }
    return {name: shape for name, shape in shapes.items() if family.masked_head.rename(name)}


def draw_head(family, config, seed) -> dict[str, np.ndarray]:
    """Weights for a checkpoint that brings none: a normal kernel, scales of 1, biases of 0."""
    random = np.random.default_rng(seed)

    def draw(name, shape):
        if name.endswith("LayerNorm.weight"):
            return np.ones(shape, np.float32)
        if name.endswith("dense.weight"):
            return (random.standard_normal(shape) * config.initializer_range).astype(np.float32)
        return np.zeros(shape, np.float32)

    return {name: draw(name, shape) for name, shape in head_shapes(family, config).items()}


def reported(logits, labels, positions):
    """What `eval` and `predict` return of logits `[batch, predictions, vocab_size]`, which would
    not fit into memory for a data set: `[batch, predictions, 1 + 2 * TOP]`, the log probability of
    the label, then the likeliest entries, each with its log probability."""
    log_probabilities = tf.nn.log_softmax(logits)
    label = tf.gather(log_probabilities, labels, batch_dims=2)[..., None]
    values, ids = tf.math.top_k(log_probabilities, TOP)
    pairs = tf.stack([tf.cast(ids, tf.float32), values], -1)
    shape = tf.concat([tf.shape(labels), [2 * TOP]], 0)
    found = tf.concat([label, tf.reshape(pairs, shape)], -1)
    return tf.where(positions[..., None] > 0, found, PADDING)
