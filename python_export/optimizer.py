"""AdamW (Loshchilov and Hutter, 2019) over variables, with its clipping and accumulation.

The slots are exported empty, so that an export is as large as its weights; `reset` fills them.
"""

from typing import NamedTuple

import tensorflow as tf

from .encoder import Parameter
from .fused import island


class Update(NamedTuple):
    """The inputs of one update, float32; `docs/contract.md` defines them."""

    learning_rate: tf.Tensor
    layer_scale: tf.Tensor
    weight_decay: tf.Tensor
    beta1: tf.Tensor
    beta2: tf.Tensor
    epsilon: tf.Tensor
    beta1_power: tf.Tensor
    beta2_power: tf.Tensor
    max_grad_norm: tf.Tensor


def _empty():
    return tf.Variable(tf.zeros([0]), shape=tf.TensorShape(None))


class AdamW(tf.Module):
    """The state of the optimiser: two moments and an accumulator a parameter, and the step.

    The parameters are an argument of each method and not kept here, since what a module keeps
    becomes a path to it, and the checkpoint names a variable by the shortest one.
    """

    def __init__(self, count: int):
        super().__init__()
        self.m = [_empty() for _ in range(count)]
        self.v = [_empty() for _ in range(count)]
        self.accumulated = [_empty() for _ in range(count)]
        self.step = tf.Variable(0, dtype=tf.int64)

    def reset(self, parameters: list[Parameter]):
        """Zeroes the moments and the step, and empties the accumulators."""
        for parameter, m, v in zip(parameters, self.m, self.v, strict=True):
            zeros = tf.zeros(tf.shape(parameter.variable.read_value()))
            m.assign(zeros)
            v.assign(zeros)
        self._empty_accumulators()
        self.step.assign(0)

    def accumulate(self, parameters, gradients, first):
        """Adds gradients to the accumulators, or with `first` (bool `[]`) sets them."""

        def clear():
            for parameter, total in zip(parameters, self.accumulated, strict=True):
                total.assign(tf.zeros(tf.shape(parameter.variable.read_value())))

        tf.cond(first, clear, lambda: None)
        for total, gradient in zip(self.accumulated, gradients, strict=True):
            if isinstance(gradient, tf.IndexedSlices):
                total.scatter_add(gradient)
            else:
                total.assign_add(tf.cast(gradient, tf.float32))

    def apply_accumulated(self, parameters, update: Update):
        """Updates with the accumulated gradient and empties the accumulators.

        Returns the global norm of the gradient before clipping.
        """
        gradients = [
            tf.ensure_shape(total.read_value(), parameter.variable.shape)
            for parameter, total in zip(parameters, self.accumulated, strict=True)
        ]
        norm = self.apply(parameters, gradients, update)
        self._empty_accumulators()
        return norm

    def apply(self, parameters, gradients, update: Update):
        """One update, unless the norm of the gradient is not finite: then nothing changes.

        Returns the global norm of the gradient before clipping.
        """
        norm = tf.sqrt(tf.add_n([_square_sum(gradient) for gradient in gradients]))
        limit = update.max_grad_norm
        clip = tf.where(limit > 0.0, tf.minimum(1.0, limit / (norm + 1e-6)), 1.0)

        def change():
            for slot, parameter in enumerate(parameters):
                self._change(slot, parameter, gradients[slot], clip, update)
            self.step.assign_add(1)

        tf.cond(tf.math.is_finite(norm), change, lambda: None)
        return norm

    def _change(self, slot, parameter, gradient, clip, update):
        variable, m, v = parameter.variable, self.m[slot], self.v[slot]
        rate = update.learning_rate * update.layer_scale[parameter.layer]
        # The contract (as PyTorch) adds epsilon after the second moment's bias is corrected; with
        # this rate and epsilon it can be added before.
        correction = tf.sqrt(1.0 - update.beta2_power)
        constants = Constants(
            decay=rate * update.weight_decay,
            rate=rate * correction / (1.0 - update.beta1_power),
            beta1=update.beta1,
            beta2=update.beta2,
            epsilon=update.epsilon * correction,
        )
        if isinstance(gradient, tf.IndexedSlices):
            _scale_moments(m, v, constants)
            values = gradient.values * clip
            first, second = _new_moments(values, constants)
            m.scatter_add(tf.IndexedSlices(first, gradient.indices))
            v.scatter_add(tf.IndexedSlices(second, gradient.indices))
            _move(variable, m, v, constants)
        elif parameter.decays:
            _update(variable, m, v, gradient, clip, constants)
        else:
            # Biases and normalisations are too short for a compiled function to pay.
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=m.handle,
                v=v.handle,
                beta1_power=update.beta1_power,
                beta2_power=update.beta2_power,
                lr=rate,
                beta1=update.beta1,
                beta2=update.beta2,
                epsilon=constants.epsilon,
                grad=gradient * clip,
            )

    def _empty_accumulators(self):
        for total in self.accumulated:
            total.assign(tf.zeros([0]))


def _values(gradient):
    return gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient


def _square_sum(gradient):
    return 2.0 * tf.nn.l2_loss(tf.cast(_values(gradient), tf.float32))


class Constants(NamedTuple):
    """One update's scalars, so put that bias correction is in `rate` and `epsilon`."""

    decay: tf.Tensor
    rate: tf.Tensor
    beta1: tf.Tensor
    beta2: tf.Tensor
    epsilon: tf.Tensor


def _new_moments(gradient, c):
    """What a gradient adds to the two moments."""
    return (1.0 - c.beta1) * gradient, (1.0 - c.beta2) * gradient * gradient


def _moved(variable, m, v, c):
    return (1.0 - c.decay) * variable - c.rate * m / (tf.sqrt(v) + c.epsilon)


# Compiled, these write the variables in place, in one pass over memory for each. A sparse gradient
# takes three steps, so that the rows it does not touch are never made dense.


@island
def _update(variable, m, v, gradient, clip, c):
    first, second = _new_moments(tf.cast(gradient, tf.float32) * clip, c)
    m.assign(c.beta1 * m + first)
    v.assign(c.beta2 * v + second)
    variable.assign(_moved(variable, m, v, c))


@island
def _scale_moments(m, v, c):
    m.assign(c.beta1 * m)
    v.assign(c.beta2 * v)


@island
def _move(variable, m, v, c):
    variable.assign(_moved(variable, m.read_value(), v.read_value(), c))
