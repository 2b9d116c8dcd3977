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

On a CPU with AVX2 the Rust binary does not run the functions marked `xla_compiled` below: it has
kernels that compute the same. Change both together, as the module `fused` says.
"""

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from .fused import xla_compiled

# After so many steps all rows are brought up to date.
WINDOW = 256
# Points at which 1 / (x + E) is interpolated.
NODES = 4
# All rows are brought up to date in blocks of so many, whose tensors stay in the caches.
_BLOCK_ROWS = 512
# A window takes no further step once its log E differ by more. The interpolation's error is then of
# the order of 25**-NODES of the sum (Trefethen, Approximation Theory and Approximation Practice,
# theorem 8.2, for the pole at log E = log x + i pi), and the sum is a small part of the weight.
_SPREAD = 0.5
# These keep logarithms and quotients finite where all E are the same, and where epsilon is 0.
_SMALLEST_HALF_SPREAD = 1e-4
_SMALLEST_EPSILON = 1e-30

# Chebyshev's points in [-1, 1].
_ANGLES = (np.arange(NODES) + 0.5) * math.pi / NODES
_POSITIONS = np.cos(_ANGLES).astype(np.float32)
_ORDERS = np.arange(NODES, dtype=np.float32)
# From Chebyshev polynomials at a point to the weights of the nodes there.
_FROM_POLYNOMIALS = (
    np.where(_ORDERS == 0.0, 1.0, 2.0)[:, None] * np.cos(_ORDERS[:, None] * _ANGLES) / NODES
).astype(np.float32)


class Missed(NamedTuple):
    """What a row needs to make up for the steps that it missed, float32.

    `coefficients` `[WINDOW + 1, NODES]` and `factors` `[WINDOW + 1]`, the product of the missed
    steps' 1 - d, are by the number of the window's steps that a row already has. `epsilons`
    `[NODES]` are the E of the nodes.
    """

    coefficients: tf.Tensor
    epsilons: tf.Tensor
    factors: tf.Tensor

    def of(self, done):
        """The values for each row: `coefficients` `[rows, NODES]` and `factors` `[rows]`.

        `done`, float32 `[rows]`, is how many of the window's steps a row already has.
        """
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
    """Which updates each row of a table still lacks.

    A window is the steps since all rows were last up to date. `count` is their number. `steps`
    `[WINDOW, 3]` has for each of them a, E, and the product of 1 - d of the window up to it.
    `done` `[rows]` is how many of them each row has. All are float32, which every device has
    operations for.
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
        before = tf.gather(_products(self.steps), index)
        root = tf.sqrt(scales[1])
        step = tf.stack([rate * scales[0] / root, epsilon / root, before * (1.0 - decay)])
        step = tf.where(finite, step, tf.gather(self.steps, index))
        self.steps.scatter_nd_update([[index]], step[None])
        self.count.assign(count + tf.cast(finite, tf.float32))

    def mark(self, rows):
        """Marks `rows` as up to date."""
        now = tf.fill(tf.shape(rows), self.count.read_value())
        self.done.scatter_update(tf.IndexedSlices(now, rows))

    def is_full(self):
        """Whether the window takes no further step."""
        count = self.count.read_value()
        ends = tf.gather(self.steps[:, 1], [0, tf.maximum(tf.cast(count, tf.int32) - 1, 0)])
        spread = tf.abs(tf.math.log(ends[1] / ends[0]))
        return (count >= WINDOW) | (spread > _SPREAD)

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
        tables, rows = (variable, m, v), variable.shape[0]

        def catch_up_block(begin, end, caught_up):
            block = tf.range(begin, end)
            of_block = missed.of(tf.gather(self.done, block))
            values = caught_up(of_block, *(tf.gather(table, block) for table in tables), scales)
            for table, value in zip(tables, values, strict=True):
                table.scatter_update(tf.IndexedSlices(value, block))
            return [end]

        whole = rows // _BLOCK_ROWS * _BLOCK_ROWS
        tf.while_loop(
            lambda begin: begin < whole,
            lambda begin: catch_up_block(begin, begin + _BLOCK_ROWS, _caught_up),
            [tf.constant(0)],
            # In parallel, several blocks would take memory at the same time.
            parallel_iterations=1,
        )
        # XLA would compile the function once more for the last block, which is shorter.
        catch_up_block(whole, rows, _caught_up.python_function)
        self.reset(rows)


def _products(steps):
    """The products of 1 - d of the window's first 0, 1, 2 … steps, `[WINDOW + 1]`."""
    return tf.concat([[1.0], steps[:, 2]], 0)


@xla_compiled
def _caught_up(missed, weights, m, v, scales):
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

    products = _products(steps)
    now = tf.reduce_sum(tf.where(tf.range(WINDOW + 1, dtype=tf.float32) == count, products, 0.0))
    amounts = tf.where(is_step, tf.math.divide_no_nan(steps[:, 0] * now, steps[:, 2]), 0.0)
    coefficients = tf.cumsum(amounts[:, None] * of_nodes, 0, reverse=True)
    coefficients = tf.concat([coefficients, tf.zeros([1, NODES])], 0)
    epsilons = tf.exp(middle + half * _POSITIONS)
    return Missed(coefficients, epsilons, tf.math.divide_no_nan(now, products))
