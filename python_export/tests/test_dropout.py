"""Dropout's arithmetic: what is kept, and the gradient through it."""

import numpy as np
import pytest
import tensorflow as tf

from python_export import attention, fused
from python_export.tests.session import GRADIENT_DESCENT, random_batch

# A rate of 0.1 drops 26 of 256 bytes.
KEPT = 230 / 256


def drop():
    return fused.Dropout(tf.constant(0.1), tf.constant([1, 2])).next_place()


def test_what_is_kept_is_scaled_so_that_the_mean_stays():
    kept = fused.dropped(tf.ones([1000, 1000]), drop()).numpy()
    np.testing.assert_allclose(np.unique(kept), [0.0, 1 / KEPT], rtol=1e-6)
    # The mean's standard deviation is √(0.1 / 0.9) / 1000 = 0.0003.
    assert kept.mean() == pytest.approx(1.0, abs=0.002)


def test_attention_scales_the_probabilities_that_it_keeps():
    random = fused.bytes_of(fused.random_words(1_000_000, drop().key))
    probabilities = tf.fill([10, 10, 100, 100], 0.01)
    kept, signed = attention._drop_probabilities(probabilities, random, drop())
    np.testing.assert_allclose(np.unique(kept), [0.0, 0.01 / KEPT], rtol=1e-6)
    assert np.mean(kept) == pytest.approx(0.01, rel=0.002)
    assert np.array_equal(signed > 0, kept > 0)


def test_the_gradient_under_dropout_is_the_slope_of_the_loss(classifier):
    """A short step against the gradient lowers the loss by its length times the gradient's norm."""
    batch, rate = random_batch(4), 2e-4
    same = {**GRADIENT_DESCENT, "step": None, "dropout": 0.5, "seed": (3, 4)}
    classifier.init(3)
    before = classifier.train(batch, learning_rate=rate, **same)
    after = classifier.train(batch, learning_rate=0.0, **same)
    slope = (float(before["loss"]) - float(after["loss"])) / rate
    assert slope == pytest.approx(float(before["grad_norm"]) ** 2, rel=0.002)
