"""safetensors: one file, or shards."""

from contextlib import ExitStack

import numpy as np
import safetensors

from ..files import WeightsError
from .stored import StoredTensors


class SafetensorsFiles(StoredTensors):
    """The tensors of all `files`."""

    def __init__(self, files, where):
        self.files, self.where = files, where
        self._stack = ExitStack()
        self._stored = {}
        try:
            for path in files:
                file = self._stack.enter_context(_open(path))
                self._stored |= {key: (file, path) for key in file.keys()}  # noqa: SIM118
        except BaseException:
            self.close()
            raise

    def names(self):
        return self._stored.keys()

    def read(self, name):
        file, path = self._stored[name]
        try:
            tensor = file.get_tensor(name)
        except (TypeError, AttributeError) as error:
            raise WeightsError(f"{path}: `{name}` cannot be read: {error}") from None
        # NumPy knows bf16 as a type without a kind of its own.
        return tensor.astype(np.float32) if tensor.dtype.kind == "V" else tensor

    def place(self, name):
        return f"{self._stored[name][1]}: `{name}`"

    def close(self):
        self._stack.close()


def _open(path):
    try:
        return safetensors.safe_open(path, "numpy")
    except (safetensors.SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is not a safetensors file: {error}") from None
