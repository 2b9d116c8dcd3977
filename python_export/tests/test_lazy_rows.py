"""Checks `lazy_rows`: updating the rows of the word embeddings only when a batch reads them gives
the same weights as an AdamW that updates every row in every step."""

import numpy as np
import pytest
import tensorflow as tf

from python_export.forward import Parameter
from python_export.lazy_rows import WINDOW
from python_export.optimizer import AdamW, Update

# More than one block, and no multiple of it: a flush goes through a whole and a shorter block.
ROWS, WIDTH, STEPS, READ = 600, 8, 400, 6
RATE = 1e-3


def rates(step):
    """Linear warm-up, then linear decay."""
    warmup = 40
    return RATE * min(step / warmup, (STEPS - step) / (STEPS - warmup))


class Reference:
    """AdamW of every row in every step, as the contract defines it, in float64."""

    def __init__(self, table):
        self.table = table.astype(np.float64)
        self.m, self.v = np.zeros_like(self.table), np.zeros_like(self.table)

    def apply(self, rows, gradient, u):
        whole = np.zeros_like(self.table)
        whole[rows] = gradient
        u = {name: np.float64(value) for name, value in u.items()}
        self.m = u["beta1"] * self.m + (1 - u["beta1"]) * whole
        self.v = u["beta2"] * self.v + (1 - u["beta2"]) * whole**2
        first, second = self.m / (1 - u["beta1_power"]), self.v / (1 - u["beta2_power"])
        self.table *= 1 - u["learning_rate"] * u["weight_decay"]
        self.table -= u["learning_rate"] * first / (np.sqrt(second) + u["epsilon"])


def update_of(step, constants, corrects):
    powers = {
        f"{beta}_power": constants[beta] ** step if corrects else 0.0 for beta in ("beta1", "beta2")
    }
    return {"learning_rate": rates(step), "weight_decay": 0.01, **constants, **powers}


def parameters_of(table):
    """The table, and a kernel, without which the norm has nothing dense."""
    kernel = tf.Variable(tf.zeros([2, 2]))
    return [Parameter(tf.Variable(table), 0, sparse=True), Parameter(kernel, 1)]


def applied(optimizer, parameters):
    """`AdamW.apply` of a step's rows and their gradient."""

    @tf.function(autograph=False)
    def apply(rows, gradient, update):
        optimizer.catch_up(parameters, rows)
        shape = tf.shape(parameters[0].variable)
        return optimizer.apply(
            parameters, [[tf.IndexedSlices(gradient, rows, shape)], [tf.zeros([2, 2])]], update
        )

    def run(rows, gradient, update):
        inputs = {name: tf.constant(value, tf.float32) for name, value in update.items()}
        scale = {"layer_scale": tf.ones([2]), "max_grad_norm": tf.constant(0.0)}
        apply(tf.constant(rows, tf.int32), tf.constant(gradient), Update(**inputs, **scale))

    return run


def farthest(parameters, reference, rows=slice(None)):
    """The largest difference of rows from the reference's."""
    return np.abs(parameters[0].variable.numpy()[rows] - reference.table[rows]).max()


def drawn(seed):
    """Each step's rows and their gradient, whose elements are of all sizes beside epsilon. Some
    rows are read often, others seldom or never."""
    rng = np.random.default_rng(seed)
    chances = 1.0 / np.arange(1, ROWS + 1) ** 1.5
    for _ in range(STEPS):
        rows = rng.choice(ROWS, READ, replace=False, p=chances / chances.sum())
        sizes = 10.0 ** rng.uniform(-9, 0, (READ, WIDTH))
        yield rows, (sizes * rng.standard_normal((READ, WIDTH))).astype(np.float32)


@pytest.mark.parametrize("corrects", [True, False], ids=["corrected", "uncorrected"])
@pytest.mark.parametrize(
    ("beta1", "beta2", "epsilon"), [(0.9, 0.999, 1e-6), (0.9, 0.999, 1e-8), (0.97, 0.98, 1e-6)]
)
def test_rows_are_as_exact_as_with_updates_of_all_in_every_step(beta1, beta2, epsilon, corrects):
    table = np.random.default_rng(0).normal(0, 0.05, (ROWS, WIDTH)).astype(np.float32)
    constants = {"beta1": beta1, "beta2": beta2, "epsilon": epsilon}
    errors = {}
    for lazy in (0, None):
        parameters = parameters_of(table)
        optimizer, reference = AdamW(2, lazy=lazy), Reference(table)
        optimizer.reset(parameters)
        apply = applied(optimizer, parameters)
        of_read, window = 0.0, 0
        for step, (rows, gradient) in enumerate(drawn(1), 1):
            update = update_of(step, constants, corrects)
            apply(rows, gradient, update)
            reference.apply(rows, gradient, update)
            # The rows of a step are up to date after it.
            of_read = max(of_read, farthest(parameters, reference, rows))
            window = max(window, int(optimizer.lazy_rows.count.numpy()) if lazy == 0 else 0)
        before_flush = farthest(parameters, reference)
        optimizer.flush(parameters)
        np.testing.assert_array_equal(optimizer.scales.numpy(), [1.0, 1.0])
        errors[lazy] = of_read, farthest(parameters, reference)
        if lazy == 0:
            assert 30 < window <= WINDOW
            assert before_flush > 10 * errors[lazy][1]
    for found, plain in zip(errors[0], errors[None], strict=True):
        assert found < 1.2 * plain
        assert plain < 3e-6
    assert np.abs(table - reference.table).max() > 1e-2


def test_a_second_flush_changes_nothing():
    table = np.full((ROWS, WIDTH), 0.05, np.float32)
    parameters = parameters_of(table)
    optimizer = AdamW(2, lazy=0)
    optimizer.reset(parameters)
    apply = applied(optimizer, parameters)
    constants = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-6}
    for step, (rows, gradient) in enumerate(drawn(2), 1):
        if step > 20:
            break
        apply(rows, gradient, update_of(step, constants, True))
    optimizer.flush(parameters)
    once = parameters[0].variable.numpy(), optimizer.m[0].numpy(), optimizer.v[0].numpy()
    optimizer.flush(parameters)
    optimizer.catch_up(parameters, tf.range(ROWS))
    twice = parameters[0].variable.numpy(), optimizer.m[0].numpy(), optimizer.v[0].numpy()
    for before, after in zip(once, twice, strict=True):
        np.testing.assert_array_equal(after, before)
