"""AdamW (Loshchilov and Hutter, 2019) over variables, with its clipping and accumulation.

The slots are exported empty, so that an export is as large as its weights; `reset` fills them.
"""

from typing import NamedTuple

import tensorflow as tf

from .encoder import Parameter


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
        factor = tf.where(limit > 0.0, tf.minimum(1.0, limit / (norm + 1e-6)), 1.0)

        def change():
            for slot, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True)):
                self._change(slot, parameter, _scaled(gradient, factor), update)
            self.step.assign_add(1)

        tf.cond(tf.math.is_finite(norm), change, lambda: None)
        return norm

    def _change(self, slot, parameter, gradient, update):
        rate = update.learning_rate * update.layer_scale[parameter.layer]
        variable = parameter.variable
        if parameter.decays:
            variable.assign_sub(rate * update.weight_decay * variable)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self.m[slot].handle,
            v=self.v[slot].handle,
            beta1_power=update.beta1_power,
            beta2_power=update.beta2_power,
            lr=rate,
            beta1=update.beta1,
            beta2=update.beta2,
            # TensorFlow adds epsilon before it corrects the second moment's bias, the contract
            # (as PyTorch) after.
            epsilon=update.epsilon * tf.sqrt(1.0 - update.beta2_power),
            grad=tf.convert_to_tensor(gradient),
        )

    def _empty_accumulators(self):
        for total in self.accumulated:
            total.assign(tf.zeros([0]))


def _values(gradient):
    return gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient


def _square_sum(gradient):
    return 2.0 * tf.nn.l2_loss(tf.cast(_values(gradient), tf.float32))


def _scaled(gradient, factor):
    scaled = tf.cast(_values(gradient), tf.float32) * factor
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(scaled, gradient.indices, gradient.dense_shape)
    return scaled
