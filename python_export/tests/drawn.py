"""Random weights that depend on their names alone, so that goldens need not hold them."""

import re
import zlib

import numpy as np


def draw(name: str, shape) -> np.ndarray:
    """The float32 weight of a name: normal, of deviation 0.3, around 1 for the scales of layer
    normalisation and around 0 for all others."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    is_scale = re.search(r"(?i)norm\.weight$", name)
    return (0.3 * random.standard_normal(shape) + bool(is_scale)).astype(np.float32)
