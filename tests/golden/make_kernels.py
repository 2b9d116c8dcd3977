"""Makes the golden of `src/runtime/kernels` with numpy in float64.

    python tests/golden/make_kernels.py

Run from the repository's root with numpy 2. Writes `kernels.json` beside this script: the results
of each function for arguments that the test makes by the same rule (`values`). The formulas are
those of the papers that the functions name, and not the code of `python_export`; the gradients are
written out in full and not simplified. Dropout's hash is the one that `docs/contract.md` defines.
"""

import json
import math
from pathlib import Path

import numpy as np

BATCH, LENGTH, HEADS, SIZE = 2, 3, 2, 68
WIDTH, TOKENS = HEADS * SIZE, BATCH * LENGTH
EPSILON, THRESHOLD, DROP_SCALE = 1e-3, 77, 256 / 179
KEY = (0xDEADBEEF, 12345)
SCALE = 0.3
RATE, DECAY, BETA1, BETA2, ADAM_EPSILON, CLIP = 0.02, 0.01, 0.9, 0.98, 1e-3, 0.7
STEPS = 5
STORED = BETA1**STEPS, BETA2**STEPS


def values(salt, *shape):
    """Numbers from -1 to 1 that depend on their place and on `salt` alone."""
    places = np.arange(math.prod(shape), dtype=np.int64)
    numbers = (places * 7919 + salt * 104_729) % 2003
    return (numbers.astype(np.float32) / np.float32(1001.0) - np.float32(1.0)).reshape(shape)


def keep(shape):
    """1 where dropout keeps an element, and 0 elsewhere."""
    words = np.arange((math.prod(shape) + 3) // 4, dtype=np.uint32)

    def fold(word, by):
        return word ^ (word >> np.uint32(by))

    words = fold(words + np.uint32(KEY[0]), 16) * np.uint32(0x21F0AAAD)
    words = fold(words + np.uint32(KEY[1]), 15) * np.uint32(0x735A2D97)
    random = fold(words, 15).astype("<u4").view(np.uint8)
    return (random[: math.prod(shape)] >= THRESHOLD).astype(np.float64).reshape(shape)


def normal(h):
    """The normal distribution function and its density."""
    probability = 0.5 * (1 + np.vectorize(math.erf)(h / math.sqrt(2)))
    return probability, np.exp(-h * h / 2) / math.sqrt(2 * math.pi)


def standardise(z):
    deviation = np.sqrt(z.var(-1, keepdims=True) + EPSILON)
    return (z - z.mean(-1, keepdims=True)) / deviation, 1 / deviation


def norm_gradient(normed, inverse, gamma, dy):
    """By the Jacobian of `standardise`, row by row."""
    dz = np.empty_like(dy)
    for row, (n, d) in enumerate(zip(normed, dy * gamma, strict=True)):
        jacobian = np.eye(WIDTH) - 1 / WIDTH - np.outer(n, n) / WIDTH
        dz[row] = inverse[row] * (jacobian @ d)
    return dz, (dy * normed).sum(0), dy.sum(0)


def gelu():
    x, bias, dy = values(1, TOKENS, WIDTH) * 4, values(2, WIDTH), values(3, TOKENS, WIDTH)
    h = x.astype(np.float64) + bias
    probability, density = normal(h)
    return {"gelu_forward": h * probability, "gelu_backward": dy * (probability + h * density)}


def add_norm():
    x, bias, residual = values(1, TOKENS, WIDTH), values(2, WIDTH), values(3, TOKENS, WIDTH)
    gamma, beta = values(4, WIDTH), values(5, WIDTH)
    mask = keep(x.shape) * DROP_SCALE
    normed, inverse = standardise(residual + mask * (x.astype(np.float64) + bias))
    dy = values(6, TOKENS, WIDTH).astype(np.float64) + values(7, TOKENS, WIDTH)
    dz, dgamma, dbeta = norm_gradient(normed, inverse, gamma, dy)
    return {
        "drop": x * keep(x.shape) * DROP_SCALE,
        "add_norm_forward": [normed * gamma + beta, normed, inverse],
        "add_norm_backward": [dz * mask, (dz * mask).sum(0), dz, dgamma, dbeta],
    }


def embed():
    words, types = values(1, BATCH, LENGTH, WIDTH), values(2, BATCH, LENGTH, WIDTH)
    positions, gamma, beta = values(3, LENGTH, WIDTH), values(4, WIDTH), values(5, WIDTH)
    z = (words.astype(np.float64) + positions + types).reshape(TOKENS, WIDTH)
    mask = keep(z.shape) * DROP_SCALE
    normed, inverse = standardise(z)
    dy = values(6, TOKENS, WIDTH).astype(np.float64) + values(7, TOKENS, WIDTH)
    return {
        "embed_forward": [(normed * gamma + beta) * mask, normed, inverse],
        "embed_backward": norm_gradient(normed, inverse, gamma, dy * mask),
    }


def heads():
    product, bias = values(1, TOKENS, 3 * WIDTH), values(2, 3 * WIDTH)
    parts = (product.astype(np.float64) + bias).reshape(BATCH, LENGTH, 3, HEADS, SIZE)
    merged = [values(salt, BATCH, HEADS, LENGTH, SIZE) for salt in (3, 4)]
    merged = [part.transpose(0, 2, 1, 3).reshape(TOKENS, WIDTH) for part in merged]
    unmerged = values(5, BATCH, LENGTH, HEADS, SIZE).transpose(0, 2, 1, 3)
    return {
        "split": list(parts.transpose(2, 0, 3, 1, 4)),
        "merge": np.concatenate(merged, 1),
        "unmerge": unmerged,
    }


def attention():
    shape = (BATCH, HEADS, LENGTH, LENGTH)
    products = values(1, *shape).astype(np.float64)
    row, square = values(2, BATCH, 1, 1, LENGTH), values(3, BATCH, 1, LENGTH, LENGTH)
    p, mask = (values(4, *shape).astype(np.float64) + 1) / 2, keep(shape)
    merged, dmerged = values(5, TOKENS, WIDTH), values(6, TOKENS, WIDTH)
    dkept = values(7, *shape)
    both = (merged.astype(np.float64) * dmerged).reshape(BATCH, LENGTH, HEADS, SIZE)
    total = both.sum(-1).transpose(0, 2, 1)[..., None]
    dp = dkept * mask * DROP_SCALE
    return {
        "scale_and_offset": [products * SCALE + row, products * SCALE + square],
        "drop_probabilities": [p * mask * DROP_SCALE, np.where(mask == 1, p, -p)],
        "scores_gradient": [p * (dp - total) * SCALE, p * mask * DROP_SCALE],
    }


def adamw():
    """AdamW with a gradient of two terms, by Loshchilov and Hutter's algorithm 2; epsilon is added
    to the moment's root as it is, and `rate` has the bias correction."""
    weights, m, v = optimizer_state()
    gradient = CLIP * (values(4, TOKENS, WIDTH).astype(np.float64) + values(5, TOKENS, WIDTH))
    new_m = BETA1 * m + (1 - BETA1) * gradient
    new_v = BETA2 * v + (1 - BETA2) * gradient**2
    step = RATE * new_m / (np.sqrt(new_v) + ADAM_EPSILON)
    table_step = RATE * (STORED[0] * m) / (np.sqrt(STORED[1] * v) + ADAM_EPSILON)
    return {
        "update": [weights - step - DECAY * weights, new_m, new_v],
        "move": (1 - DECAY) * weights - table_step,
        "scale_moments": [STORED[0] * m, STORED[1] * v],
        "row_square_sums": ((gradient / CLIP) ** 2).sum(1),
    }


def optimizer_state():
    """Weights and two moments, the second positive."""
    weights, m, v = (values(salt, TOKENS, WIDTH).astype(np.float64) for salt in (1, 2, 3))
    return weights, m / 10, (v + 1.01) / 100


def caught_up():
    """Row i has the first i of five steps, and makes the others one by one, with moments that decay
    in each; `STORED` are their scales after the last."""
    weights, m, v = optimizer_state()
    for row in range(TOKENS):
        for step in range(row, STEPS):
            rate, epsilon, decay = 0.01 + 0.001 * step, 1e-3 + 5e-5 * step, 0.01 + 0.002 * step
            first, second = BETA1 ** (step + 1), BETA2 ** (step + 1)
            moved = rate * (first * m[row]) / (np.sqrt(second * v[row]) + epsilon)
            weights[row] = (1 - decay) * weights[row] - moved
    return {"caught_up": [weights, STORED[0] * m, STORED[1] * v]}


def plain(found):
    """Arrays as flat lists of as many digits as float32 has."""
    if isinstance(found, np.ndarray):
        return [float(f"{value:.8g}") for value in found.ravel()]
    return [plain(part) for part in found]


golden = {
    name: plain(found)
    for part in (gelu(), add_norm(), embed(), heads(), attention(), adamw(), caught_up())
    for name, found in part.items()
}
path = Path(__file__).with_name("kernels.json")
path.write_text(json.dumps(golden) + "\n", encoding="utf-8")
