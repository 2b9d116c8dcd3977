"""A training step as one function that XLA compiles, for GPUs.

`train_<p>` of the training graph leaves matrix products and soft-max to the library and compiles
what is between them, which is fastest on CPUs. Here XLA compiles gradients and update together: it
launches fewer kernels and fuses across them. The step is the same but for the order of sums: the
same dropout masks, the same update of the same variables.
"""

from functools import partial

import tensorflow as tf

from .forward import Inputs
from .fused import Drop, Dropout, kept_bytes
from .model import TrainingModel
from .optimizer import Update


class DrawnDropout:
    """`fused.Dropout` whose keys were drawn before.

    XLA has a random generator of its own, so the keys come from outside the compiled function.
    """

    def __init__(self, rate, keys):
        """`rate` as of `Dropout`; `keys` uint32 `[places, 2]`."""
        self._threshold, self._scale = kept_bytes(rate)
        self._keys = keys
        self._place = 0

    def next_place(self) -> Drop:
        """The next place's dropout, as `Dropout.next_place`."""
        self._place += 1
        return Drop(self._keys[self._place - 1], self._threshold, self._scale)


def draw_keys(seed, places: int):
    """The keys of the first `places` places of a `Dropout` with this seed, uint32 `[places, 2]`."""
    dropout = Dropout(tf.constant(0.0), seed)
    return tf.stack([dropout.next_place().key for _ in range(places)])


def learning_functions(model: TrainingModel, dtype):
    """`train` and `accumulate` as functions of inputs, batch and the update or `first`."""
    # Those of the encoder, and one of the head.
    places = model.encoder.dropout_places + 1

    def gradients(inputs, batch, keys):
        dropout = DrawnDropout(batch["dropout"], keys)
        return model.gradients(inputs, batch, dtype, dropout=dropout, sparse=False)

    @partial(tf.function, jit_compile=True, autograph=False)
    def compiled_train(inputs, batch, keys, update):
        return model.train(*gradients(inputs, batch, keys), update)

    @partial(tf.function, jit_compile=True, autograph=False)
    def compiled_gradients(inputs, batch, keys):
        return gradients(inputs, batch, keys)

    def train(inputs: Inputs, batch: dict, update: Update):
        return compiled_train(inputs, batch, draw_keys(batch["seed"], places), update)

    def accumulate(inputs: Inputs, batch: dict, first):
        found = compiled_gradients(inputs, batch, draw_keys(batch["seed"], places))
        return model.accumulate(*found, first)

    return train, accumulate
