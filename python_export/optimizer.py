"""AdamW (Loshchilov and Hutter, 2019) with gradient clipping and accumulation.

The moments and accumulators are exported empty, so that an export is as large as its weights;
`reset` gives them their shapes.

On a CPU with AVX2 the Rust binary does not run the functions marked `xla_compiled` below: it has
kernels that compute the same. Change both together, as the module `fused` says.
"""

from typing import NamedTuple

import tensorflow as tf

from .forward import Parameter
from .fused import xla_compiled
from .lazy_rows import LazyRows

# When a scale of the sparse parameters' moments falls below this, it is multiplied in.
_SMALLEST_SCALE = 1e-6


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
    """The optimiser's state: two moments and an accumulator for each parameter, and the step.

    The moments of sparse parameters are stored divided by `scales`. In a step all of their rows
    decay and a few get a gradient: the decay then changes only `scales`, and only those few rows
    are written. The parameter with the index `lazy` is a table whose weights, too, are written in
    those rows alone (`lazy_rows`): `catch_up` must come before some of its rows are read, `flush`
    before all are.

    The parameters are an argument of each method, not an attribute: an attribute would add a
    second object path to each variable, and the checkpoint names a variable by its shortest path.
    """

    def __init__(self, count: int, lazy: int | None = None):
        super().__init__()
        self._lazy = lazy
        self.lazy_rows = None if lazy is None else LazyRows()
        self.m = [_empty() for _ in range(count)]
        self.v = [_empty() for _ in range(count)]
        self.accumulated = [_empty() for _ in range(count)]
        self.scales = tf.Variable(tf.ones([2]))
        self.step = tf.Variable(0, dtype=tf.int64)

    def reset(self, parameters: list[Parameter]):
        """Zeroes the moments and the step, and empties the accumulators."""
        for parameter, m, v in zip(parameters, self.m, self.v, strict=True):
            zeros = tf.zeros(tf.shape(parameter.variable.read_value()))
            m.assign(zeros)
            v.assign(zeros)
        self.empty_accumulators()
        self.scales.assign(tf.ones([2]))
        if self.lazy_rows:
            self.lazy_rows.reset(parameters[self._lazy].variable.shape[0])
        self.step.assign(0)

    def catch_up(self, parameters, rows):
        """Brings rows of the lazy table up to date, int32 `[rows]`."""
        if self.lazy_rows:
            self.lazy_rows.catch_up(*self._lazy_table(parameters), rows)

    def flush(self, parameters):
        """Brings all rows up to date and makes `scales` 1."""
        is_behind = tf.reduce_any(self.scales.read_value() != 1.0)
        if self.lazy_rows:
            is_behind |= self.lazy_rows.count.read_value() > 0.0
        self._flush(parameters, is_behind)

    def _lazy_table(self, parameters):
        slot = self._lazy
        return parameters[slot].variable, self.m[slot], self.v[slot]

    def accumulate(self, parameters, gradients, first):
        """Adds gradients to the accumulators, or with `first` (bool `[]`) sets them."""

        def clear():
            for parameter, accumulator in zip(parameters, self.accumulated, strict=True):
                accumulator.assign(tf.zeros(tf.shape(parameter.variable.read_value())))

        tf.cond(first, clear, lambda: None)
        for accumulator, terms in zip(self.accumulated, gradients, strict=True):
            for gradient in terms:
                if isinstance(gradient, tf.IndexedSlices):
                    accumulator.scatter_add(gradient)
                else:
                    accumulator.assign_add(tf.cast(gradient, tf.float32))

    def apply_accumulated(self, parameters, update: Update):
        """Updates with the accumulated gradient and empties the accumulators.

        Returns the global norm of the gradient before clipping.
        """
        self.flush(parameters)
        norm = self.apply(parameters, self.accumulated_gradients(parameters), update)
        self.empty_accumulators()
        return norm

    def accumulated_gradients(self, parameters):
        """The accumulated gradient of each parameter, a list of one term."""
        return [
            [tf.ensure_shape(accumulator.read_value(), parameter.variable.shape)]
            for parameter, accumulator in zip(parameters, self.accumulated, strict=True)
        ]

    def apply(self, parameters, gradients, update: Update):
        """One update, unless the norm of the gradient is not finite: then nothing changes.

        Gradients without `tf.IndexedSlices` need all rows up to date (`flush`).

        Returns the global norm of the gradient before clipping.
        """
        sparse = any(isinstance(terms[0], tf.IndexedSlices) for terms in gradients)
        norm = tf.sqrt(_square_sum(gradients))
        limit = update.max_grad_norm
        factor = tf.where(limit > 0.0, tf.minimum(1.0, limit / (norm + 1e-6)), 1.0)
        clip = Clip(factor, tf.math.is_finite(norm))
        layers = [_constants(update, s, clip.finite) for s in tf.unstack(update.layer_scale)]
        if sparse:
            self._decay(parameters, layers[0])
        scales = tf.unstack(self.scales.read_value())
        if sparse and self.lazy_rows:
            c = layers[parameters[self._lazy].layer]
            self.lazy_rows.record(c.rate, c.epsilon, c.decay, scales, clip.finite)
        for slot, parameter in enumerate(parameters):
            constants = layers[parameter.layer]
            self._change(slot, parameter, gradients[slot], clip, constants, scales)
        self.step.assign_add(tf.cast(clip.finite, tf.int64))
        return norm

    def _decay(self, parameters, constants):
        """Decays the moments of the word and position embeddings by beta1 and beta2.

        They are stored divided by `scales`, so it is enough to multiply `scales`.

        Flushes if a scale becomes too small, or if the lazy rows' window is full.
        """
        scales = self.scales.read_value() * tf.stack([constants.beta1, constants.beta2])
        ends = tf.reduce_min(scales) < _SMALLEST_SCALE
        if self.lazy_rows:
            ends |= self.lazy_rows.is_full()
        self.scales.assign(scales)
        self._flush(parameters, ends)

    def _flush(self, parameters, when):
        """If `when`, brings all rows up to date and multiplies the sparse parameters' moments by
        the scales, which become 1."""

        def flush():
            scales = self.scales.read_value()
            for slot, parameter in enumerate(parameters):
                if slot == self._lazy:
                    self.lazy_rows.catch_up_all(*self._lazy_table(parameters), scales)
                elif parameter.sparse:
                    _scale_moments(self.m[slot], self.v[slot], scales)
            self.scales.assign(tf.ones([2]))

        tf.cond(when, flush, lambda: None)

    def _change(self, slot, parameter, terms, clip, constants, scales):
        variable, m, v = parameter.variable, self.m[slot], self.v[slot]
        gradient = terms[0]
        if isinstance(gradient, tf.IndexedSlices):
            first, second = _new_moments(clip(gradient.values), constants)
            m.scatter_add(tf.IndexedSlices(first / scales[0], gradient.indices))
            v.scatter_add(tf.IndexedSlices(second / scales[1], gradient.indices))
            if slot == self._lazy:
                self._move_rows(variable, m, v, gradient.indices, constants, scales)
            else:
                _move(variable, m, v, constants, scales)
        elif parameter.decays:
            _update(variable, m, v, terms, clip, constants)
        else:
            # Biases and normalisations are too short for a compiled function to be worth its call.
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=m.handle,
                v=v.handle,
                # `rate` and `epsilon` already contain the bias correction.
                beta1_power=0.0,
                beta2_power=0.0,
                lr=constants.rate,
                beta1=constants.beta1,
                beta2=constants.beta2,
                epsilon=constants.epsilon,
                grad=clip(total(terms)),
            )

    def _move_rows(self, variable, m, v, rows, constants, scales):
        weights, first, second = (tf.gather(table, rows) for table in (variable, m, v))
        moved = _moved(weights, scales[0] * first, scales[1] * second, constants)
        variable.scatter_update(tf.IndexedSlices(moved, rows))
        self.lazy_rows.mark(rows)

    def empty_accumulators(self):
        """Frees the accumulators' memory."""
        for accumulator in self.accumulated:
            accumulator.assign(tf.zeros([0]))


def _square_sum(gradients):
    """The sum of the squares of gradients, each of which is a list of terms to add up."""
    row_sums, others = [], []
    for terms in gradients:
        gradient = terms[0]
        if isinstance(gradient, tf.IndexedSlices):
            others.append(2.0 * tf.nn.l2_loss(gradient.values))
        elif gradient.shape.rank == 2:
            row_sums.append(tf.reshape(_row_square_sums(terms), [-1]))
        else:
            others.append(2.0 * tf.nn.l2_loss(total(terms)))
    return tf.add_n(others) + tf.reduce_sum(tf.concat(row_sums, 0))


def total(terms):
    """The terms of a gradient, added up in float32."""
    return tf.add_n([tf.cast(term, tf.float32) for term in terms])


class Clip(NamedTuple):
    """The factor on every gradient, and whether the norm is finite: if not, gradients become 0."""

    factor: tf.Tensor
    finite: tf.Tensor

    def __call__(self, gradient):
        return tf.where(self.finite, tf.cast(gradient, tf.float32) * self.factor, 0.0)


class Constants(NamedTuple):
    """The scalars of one update; `rate` and `epsilon` contain the bias correction."""

    decay: tf.Tensor
    rate: tf.Tensor
    beta1: tf.Tensor
    beta2: tf.Tensor
    epsilon: tf.Tensor


def _constants(update: Update, layer_scale, finite):
    """The scalars of a layer's update; unless `finite`, scalars that change nothing."""
    rate = update.learning_rate * layer_scale
    # The contract, like PyTorch, adds epsilon to the bias-corrected second moment. With this rate
    # and epsilon the same result comes from adding it to the uncorrected one.
    correction = tf.sqrt(1.0 - update.beta2_power)
    return Constants(
        decay=tf.where(finite, rate * update.weight_decay, 0.0),
        rate=tf.where(finite, rate * correction / (1.0 - update.beta1_power), 0.0),
        beta1=tf.where(finite, update.beta1, 1.0),
        beta2=tf.where(finite, update.beta2, 1.0),
        epsilon=update.epsilon * correction,
    )


@xla_compiled
def _row_square_sums(terms):
    """The sums of a gradient's squares over its columns, as a matrix product: XLA's own reduction
    on a CPU adds up a row element by element."""
    squares = tf.square(total(terms))
    return tf.matmul(squares, tf.ones([tf.shape(squares)[1], 1]))


def _new_moments(gradient, c):
    """The amounts that a gradient adds to the two moments."""
    return (1.0 - c.beta1) * gradient, (1.0 - c.beta2) * gradient * gradient


def _moved(variable, m, v, c):
    return (1.0 - c.decay) * variable - c.rate * m / (tf.sqrt(v) + c.epsilon)


# These are compiled so that each is one pass over memory; they write the variables in place.


@xla_compiled
def _update(variable, m, v, terms, clip, c):
    first, second = _new_moments(clip(total(terms)), c)
    m.assign(c.beta1 * m + first)
    v.assign(c.beta2 * v + second)
    variable.assign(_moved(variable, m, v, c))


@xla_compiled
def _scale_moments(m, v, scales):
    m.assign(scales[0] * m)
    v.assign(scales[1] * v)


@xla_compiled
def _move(variable, m, v, c, scales):
    variable.assign(_moved(variable, scales[0] * m, scales[1] * v, c))
