"""`tf_model.h5`: the Keras models of transformers before its version 5."""

import re

import numpy as np

from ..files import WeightsError
from .stored import StoredTensors

_LAST = {"kernel": "weight", "embeddings": "weight", "gamma": "weight", "beta": "bias"}


class KerasH5(StoredTensors):
    """The weights of one file."""

    def __init__(self, path):
        try:
            import h5py
        except ImportError:
            raise WeightsError(
                f"{path} needs the package h5py, which is not installed\nhint: pip install h5py"
            ) from None
        self.files, self.where = [path], path
        self._keys = {}
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise WeightsError(f"{path} is not an HDF5 file: {error}") from None

        def visit(key, item):
            if isinstance(item, h5py.Dataset):
                self._keys[_pytorch_name(key)] = key

        try:
            self._file.visititems(visit)
        except (OSError, RuntimeError, KeyError) as error:
            self.close()
            raise WeightsError(f"{path} is damaged: {error}") from None

    def names(self):
        return self._keys.keys()

    def read(self, name):
        key = self._keys[name]
        try:
            value = np.asarray(self._file[key])
        except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
            raise WeightsError(f"{self.place(name)} cannot be read: {error}") from None
        return value.T if _last(key) == "kernel" else value

    def place(self, name):
        return f"{self.where}: `{self._keys[name]}`"

    def close(self):
        self._file.close()


def _last(key):
    return key.rpartition("/")[2].removesuffix(":0")


def _pytorch_name(key):
    """`bert/tf_bert_model/bert/encoder/layer_._0/output/dense/kernel:0` is
    `bert.encoder.layer.0.output.dense.weight`.

    The first part is the layer's group in the file, the second the name of the whole model. `_._`
    stands for a level, and what comes before `___` is not part of the name.
    """
    parts = key.removesuffix(":0").replace("_._", "/").split("/")[2:]
    if parts:
        parts[-1] = _LAST.get(parts[-1], parts[-1])
    return ".".join(re.sub(r"^.*___", "", part) for part in parts)
