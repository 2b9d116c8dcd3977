"""The element-wise operations of training that encoders with pre-normalised blocks need.

They are written as those of `fused`: one compiled function between two matrix products, each with
a gradient of its own.
"""

import tensorflow as tf

from . import activations
from .elementwise import Hidden
from .fused import FusedOps, as_f32, dropped, row_means, standardise, xla_compiled


@xla_compiled
def _add_pre_norm_forward(x, residual, gamma, epsilon, drop):
    kept = as_f32(x) if drop is None else dropped(as_f32(x), drop)
    z = as_f32(residual) + kept
    normed, inverse = standardise(z, epsilon)
    return tf.cast(normed * gamma, x.dtype), z, tf.cast(normed, x.dtype), inverse


@xla_compiled
def _add_pre_norm_backward(normed, inverse, gamma, dy, dresidual, drop):
    """The gradients of x, of the residual before and of the scale."""
    dtype, normed, dy = normed.dtype, as_f32(normed), as_f32(dy)
    dnormed = dy * gamma
    dz = (dnormed - row_means(dnormed) - normed * row_means(dnormed * normed)) * inverse
    dz = dz + dresidual
    dx = dz if drop is None else dropped(dz, drop)
    return tf.cast(dx, dtype), dz, tf.reduce_sum(dy * normed, 0)


@xla_compiled
def _gate_forward(x, activation, drop):
    half = x.shape[-1] // 2
    y = activations.value(activation, as_f32(x[:, :half])) * as_f32(x[:, half:])
    return tf.cast(dropped(y, drop), x.dtype)


@xla_compiled
def _gate_backward(x, dy, activation, drop):
    half = x.shape[-1] // 2
    inner, gate, dy = as_f32(x[:, :half]), as_f32(x[:, half:]), dropped(as_f32(dy), drop)
    dinner = dy * gate * activations.derivative(activation, inner)
    dgate = dy * activations.value(activation, inner)
    return tf.cast(tf.concat([dinner, dgate], 1), x.dtype)


class FusedPreNormOps(FusedOps):
    """The part of `ElementwiseOps` outside attention, for training."""

    def add_pre_norm(self, x, hidden, gamma, epsilon, dropout):
        """Of `ElementwiseOps`."""
        drop = None if dropout is None else dropout.next_place()

        @tf.custom_gradient
        def call(x, residual, gamma):
            states, z, normed, inverse = self.run(
                _add_pre_norm_forward, x, residual, gamma, epsilon, drop
            )

            def gradient(dstates, dz):
                kept = (normed, inverse, gamma)
                dx, dresidual, dgamma = self.run(_add_pre_norm_backward, *kept, dstates, dz, drop)
                return dx, tf.cast(dresidual, residual.dtype), dgamma

            return (states, z), gradient

        return Hidden(*call(x, hidden.residual, gamma))

    def gate(self, x, activation, dropout):
        """Of `ElementwiseOps`."""
        drop = dropout.next_place()

        @tf.custom_gradient
        def call(x):
            y = self.run(_gate_forward, x, activation, drop)
            return y, lambda dy: self.run(_gate_backward, x, dy, activation, drop)

        return call(x)
