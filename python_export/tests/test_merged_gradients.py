"""Large encoders: the optimiser gets the sum of the gradients of a batch's two halves."""

import numpy as np
import pytest
import tensorflow as tf

from python_export import forward, tiny
from python_export.export import encoder_of
from python_export.heads import HEADS
from python_export.model import TrainingModel
from python_export.tests.session import random_batch
from python_export.weights import read_encoder


@pytest.fixture
def terms(monkeypatch):
    """A function of a value for `MERGED_ELEMENTS` and a dtype that returns the gradient of each
    kernel, a list of terms, for one batch."""
    checkpoint = read_encoder("tiny")
    encoder = encoder_of(checkpoint, checkpoint.tensors, pooled=True)
    model = TrainingModel(encoder, HEADS["classify"](encoder))
    model.initialise(tf.constant(3), tf.constant([1, 0]))
    batch = random_batch(4)
    inputs = forward.Inputs(*(tf.constant(batch[n], tf.int32) for n in forward.Inputs._fields))
    labels = {
        "labels": tf.constant(batch["labels"], tf.int32),
        "sample_weight": tf.ones([4]),
        "weight_sum": tf.constant(4.0),
        "dropout": tf.constant(0.0),
        "seed": tf.constant([0, 0]),
    }

    def gradients(merged_elements, dtype=tf.float32):
        monkeypatch.setattr(forward, "MERGED_ELEMENTS", merged_elements)
        _, found = model.gradients(inputs, labels, dtype, halves=True)
        parameters = zip(model.parameters(), found, strict=True)
        return [
            terms for parameter, terms in parameters if parameter.decays and not parameter.sparse
        ]

    return gradients


def test_float32_gradients_of_a_large_encoders_halves_are_one_tensor_with_their_sum(terms):
    elements = sum(np.prod(shape) for shape in tiny.config().tensor_shapes().values())
    apart, merged = terms(2 * elements), terms(0)
    assert {len(found) for found in apart} == {1, 2}
    assert {len(found) for found in merged} == {1}
    for ours, sums in zip(merged, apart, strict=True):
        np.testing.assert_array_equal(ours[0], tf.add_n(sums))
    assert {len(found) for found in terms(0, tf.bfloat16)} == {1, 2}
