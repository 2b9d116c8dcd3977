"""Weights that are in memory only while they are needed.

Tracing and saving the graphs of a large encoder takes as much memory as its weights, and needs
only their shapes. So the graphs are made of variables without values, and the weights are read
after them, one at a time.
"""

from collections.abc import Mapping
from contextlib import contextmanager

import numpy as np

# A file that is mapped into memory counts as memory while it is open.
_OPEN_BYTES = 256 << 20


class FileTensors(Mapping):
    """The weights of an encoder in its files, float32 under the package's names. Each is read when
    it is asked for, and not kept."""

    def __init__(self, open_files, names: dict[str, str]):
        """`open_files` gives a `formats.StoredTensors`; `names` are the names in the files by the
        package's."""
        self._open_files, self._names = open_files, names
        self._stored, self._bytes = None, 0

    def __getitem__(self, name):
        key = self._names[name]
        if self._stored is None:
            self._stored, self._bytes = self._open_files(), 0
        tensor = np.ascontiguousarray(self._stored.read(key), np.float32)
        self._bytes += tensor.nbytes
        if self._bytes > _OPEN_BYTES:
            self.close()
        return tensor

    def __iter__(self):
        return iter(self._names)

    def __len__(self):
        return len(self._names)

    def close(self):
        """Closes the files; the next read opens them again."""
        if self._stored is not None:
            self._stored.close()
            self._stored = None


def blank(shapes) -> dict[str, np.ndarray]:
    """Weights of these shapes that are 0 and take no memory."""
    return {name: np.broadcast_to(np.float32(0.0), shape) for name, shape in shapes.items()}


@contextmanager
def variables_without_values():
    """Frees the memory of every `tf.Variable` that is created inside. Graphs that use them can be
    traced and saved, since their shapes stay known; their values cannot be read."""
    import tensorflow as tf

    def create(next_creator, **arguments):
        variable = next_creator(**arguments)
        # Unlike the variable's own `assign`, the operation checks no shape.
        empty = tf.zeros([0], variable.dtype)
        tf.raw_ops.AssignVariableOp(resource=variable.handle, value=empty)
        return variable

    with tf.variable_creator_scope(create):
        yield
