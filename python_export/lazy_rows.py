"""AdamW's updates of a table's rows, made when a row is next read.

A row without a gradient still moves in each step, by what its moments hold and by weight decay. Of
the word embeddings a batch reads some hundred rows of some 30,000, so a pass over all of them in
each step is mostly spent on rows that nothing reads. Here the steps that a row missed are made up
for together, before it is next read; the result is that of a pass in every step, but for rounding
(TensorFlow Addons' LazyAdam leaves such updates out).

The moments are stored divided by their decay (`AdamW.scales`), so they stay as they are while a row
has no gradient. With M and V the stored moments, s and z the scales after step i, r, e and d the
step's rate, epsilon and decay, step i subtracts

    r s M / (sqrt(z V) + e) = a M / (sqrt(V) + E)   with a = r s / sqrt(z) and E = e / sqrt(z)

and the later steps multiply that by their 1 - d. So the sum over the missed steps is M times
f(sqrt(V)), where f(x) = sum a' / (x + E), with a' those decayed a. Only the E differ from step to
step, and little: 1 / (x + E) is interpolated in log E at a few nodes for all steps (Chebyshev's),
so that f takes one division for each node, not for each step. The terms' coefficients are the
sums of a' times the interpolation's weights, over the steps from a row's first missed one on.
"""

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from .fused import xla_compiled

# After so many steps all rows are brought up to date.
WINDOW = 256
NODES = 4
# All rows are brought up to date in blocks of so many, whose tensors stay in the caches.
_BLOCK_ROWS = 512
# Largest difference of the window's log E. The interpolation's error is then below 4 * 25**-NODES
# of the sum (Trefethen, Approximation Theory and Approximation Practice, theorem 8.2, for the pole
# at log E = log x + i pi), and the sum is itself a small part of the weight.
_SPREAD = 0.5
_SMALLEST_HALF_SPREAD = 1e-4
_SMALLEST_EPSILON = 1e-30

_ANGLES = (np.arange(NODES) + 0.5) * math.pi / NODES
_POSITIONS = np.cos(_ANGLES).astype(np.float32)
_ORDERS = np.arange(NODES, dtype=np.float32)
# From Chebyshev polynomials at a point to the weights of the nodes there.
_FROM_POLYNOMIALS = (
    np.where(_ORDERS == 0.0, 1.0, 2.0)[:, None] * np.cos(_ORDERS[:, None] * _ANGLES) / NODES
).astype(np.float32)


class Missed(NamedTuple):
    """What a row needs to make up for steps, by how many steps of the window it has: float32.

    `coefficients` `[WINDOW + 1, NODES]`; `epsilons` `[NODES]`, the nodes; `factors`
    `[WINDOW + 1]`, the weight decay.
    """

    coefficients: tf.Tensor
    epsilons: tf.Tensor
    factors: tf.Tensor

    def of(self, done):
        """As `Missed`, of rows that have `done` steps, float32 `[rows]`."""
        index = tf.cast(done, tf.int32)
        coefficients = tf.gather(self.coefficients, index)
        return Missed(coefficients, self.epsilons, tf.gather(self.factors, index))

    def moved(self, weights, m, v):
        """Rows after the steps that they missed; `m` and `v` are the stored moments."""
        root = tf.sqrt(v)
        terms = [
            self.coefficients[:, node : node + 1] / (root + self.epsilons[node])
            for node in range(NODES)
        ]
        return self.factors[:, None] * weights - m * sum(terms[1:], terms[0])


class LazyRows(tf.Module):
    """The steps of a window, and which of them each row of a table has.

    `count` is the number of steps since all rows were up to date. `steps` has a row for each: a, E,
    and the product of 1 - d up to it. `done` `[rows]` is the number of steps that a row has.
    All are float32, which every device has operations for.
    """

    def __init__(self):
        super().__init__()
        self.count = tf.Variable(0.0)
        self.steps = tf.Variable(tf.zeros([WINDOW, 3]))
        self.done = tf.Variable(tf.zeros([0]), shape=tf.TensorShape(None))

    def reset(self, rows):
        """Begins a window in which all rows are up to date."""
        self.count.assign(0.0)
        self.steps.assign(tf.zeros([WINDOW, 3]))
        self.done.assign(tf.zeros([rows]))

    def record(self, rate, epsilon, decay, scales, finite):
        """Adds a step to the window, unless it is not `finite`. The arguments are scalars, those of
        the step; `scales` are the moments' after it."""
        count = self.count.read_value()
        index = tf.cast(count, tf.int32)
        before = tf.gather(self._factors(), index)
        root = tf.sqrt(scales[1])
        step = tf.stack([rate * scales[0] / root, epsilon / root, before * (1.0 - decay)])
        step = tf.where(finite, step, tf.gather(self.steps, index))
        self.steps.scatter_nd_update([[index]], step[None])
        self.count.assign(count + tf.cast(finite, tf.float32))

    def mark(self, rows):
        """Notes that `rows` have all steps of the window."""
        now = tf.fill(tf.shape(rows), self.count.read_value())
        self.done.scatter_update(tf.IndexedSlices(now, rows))

    def is_full(self):
        """Whether the window takes no further step."""
        count = self.count.read_value()
        ends = tf.gather(self.steps[:, 1], [0, tf.maximum(tf.cast(count, tf.int32) - 1, 0)])
        spread = tf.abs(tf.math.log(ends[1] / ends[0]))
        return (count >= WINDOW) | (spread > _SPREAD)

    def _factors(self):
        """The product of 1 - d of the first steps, `[WINDOW + 1]`."""
        return tf.concat([[1.0], self.steps[:, 2]], 0)

    def catch_up(self, variable, m, v, rows):
        """Brings `rows` of a table up to date; they may repeat."""
        missed = _missed(self.steps.read_value(), self.count.read_value())
        missed = missed.of(tf.gather(self.done, rows))
        moved = missed.moved(*(tf.gather(table, rows) for table in (variable, m, v)))
        variable.scatter_update(tf.IndexedSlices(moved, rows))
        self.mark(rows)

    def catch_up_all(self, variable, m, v, scales):
        """Brings all rows up to date, multiplies the moments by `scales`, and begins a window."""
        missed = _missed(self.steps.read_value(), self.count.read_value())
        rows = tf.shape(self.done.read_value())[0]

        def of_block(begin):
            self._move_block(missed, variable, m, v, scales, begin, begin + _BLOCK_ROWS, _moved)
            return [begin + _BLOCK_ROWS]

        # Not in parallel: that would take the memory of several blocks.
        blocks = rows // _BLOCK_ROWS * _BLOCK_ROWS
        first = [tf.constant(0)]
        tf.while_loop(lambda begin: begin < blocks, of_block, first, parallel_iterations=1)
        # A compiled function would be compiled again for the shorter block.
        plain = _moved.python_function
        self._move_block(missed, variable, m, v, scales, blocks, rows, plain)
        self.reset(rows)

    def _move_block(self, missed, variable, m, v, scales, begin, end, moved):
        block = tf.range(begin, end)
        missed = missed.of(tf.gather(self.done, block))
        tables = (variable, m, v)
        after = moved(missed, *(tf.gather(table, block) for table in tables), scales)
        for table, values in zip(tables, after, strict=True):
            table.scatter_update(tf.IndexedSlices(values, block))


@xla_compiled
def _moved(missed, weights, m, v, scales):
    return missed.moved(weights, m, v), scales[0] * m, scales[1] * v


@xla_compiled
def _missed(steps, count):
    index = tf.range(WINDOW, dtype=tf.float32)
    is_step = index < count
    log_epsilons = tf.math.log(tf.maximum(steps[:, 1], _SMALLEST_EPSILON))
    log_epsilons = tf.where(is_step, log_epsilons, log_epsilons[0])
    least, most = tf.reduce_min(log_epsilons), tf.reduce_max(log_epsilons)
    middle = 0.5 * (least + most)
    half = tf.maximum(0.5 * (most - least), _SMALLEST_HALF_SPREAD)
    angles = tf.acos(tf.clip_by_value((log_epsilons - middle) / half, -1.0, 1.0))
    of_nodes = tf.matmul(tf.cos(angles[:, None] * _ORDERS), _FROM_POLYNOMIALS)

    factors = tf.concat([[1.0], steps[:, 2]], 0)
    now = tf.reduce_sum(tf.where(tf.range(WINDOW + 1, dtype=tf.float32) == count, factors, 0.0))
    amounts = tf.where(is_step, tf.math.divide_no_nan(steps[:, 0] * now, steps[:, 2]), 0.0)
    coefficients = tf.cumsum(amounts[:, None] * of_nodes, 0, reverse=True)
    coefficients = tf.concat([coefficients, tf.zeros([1, NODES])], 0)
    epsilons = tf.exp(middle + half * _POSITIONS)
    return Missed(coefficients, epsilons, tf.math.divide_no_nan(now, factors))
