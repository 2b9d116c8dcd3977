"""TensorFlow's checkpoints: Google's of TensorFlow 1, and those of TensorFlow 2 and SavedModels."""

import re

import numpy as np

from ..files import WeightsError
from . import garden
from .stored import StoredTensors

_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
# A table has no name of its own behind that of the layer.
_TABLES = ("word_embeddings", "position_embeddings", "token_type_embeddings")
_LAST = {"kernel": "weight", "gamma": "weight", "beta": "bias"}
# The heads of Google's run_pretraining.py, run_classifier.py and run_squad.py.
_HEADS = {
    "output_weights": "classifier.weight",
    "output_bias": "classifier.bias",
    "cls/squad/output_weights": "qa_outputs.weight",
    "cls/squad/output_bias": "qa_outputs.bias",
    "cls/predictions/output_bias": "cls.predictions.bias",
}
_OPTIMISER = re.compile(r"(^|/)(adam_[mv]|Adam(_1)?|global_step|beta[12]_power)(/|$)")


class TensorFlowCheckpoint(StoredTensors):
    """The variables under `prefix`, the path of the files without `.index`.

    `do_lower_case` is what the checkpoint itself says, or None.
    """

    def __init__(self, prefix):
        import tensorflow as tf

        index = prefix.with_name(f"{prefix.name}.index")
        self._errors = (tf.errors.OpError, ValueError, RuntimeError, IndexError)
        self.where = index
        shards = sorted(prefix.parent.glob(f"{prefix.name}.data-*-of-*"))
        self.files = sorted([index, *shards])
        _check_complete(prefix, index, shards)
        try:
            self._reader = tf.train.load_checkpoint(str(prefix))
            self._shapes = self._reader.get_variable_to_shape_map()
        except self._errors as error:
            raise WeightsError(f"{index} is not a TensorFlow checkpoint: {error}") from None
        self.is_object_based = _OBJECT_GRAPH in self._shapes
        # By PyTorch's name: the key, and whether it is a kernel of Model Garden.
        self._keys = self._garden_keys() if self.is_object_based else self._google_keys()
        self.do_lower_case = self._lower_case()

    def names(self):
        return self._keys.keys()

    def shape(self, name):
        """The shape of a variable as it is stored."""
        return tuple(self._shapes[self._keys[name]])

    def read(self, name):
        key = self._keys[name]
        try:
            value = self._reader.get_tensor(key)
        except self._errors as error:
            raise WeightsError(
                f"{self.place(name)} cannot be read: {error}\n"
                "hint: copy the checkpoint's files again"
            ) from None
        if value.dtype.kind == "V":
            value = value.astype(np.float32)
        if self.is_object_based:
            return garden.in_pytorchs_layout(name, value)
        return value.T if key.endswith("/kernel") else value

    def place(self, name):
        return f"{self.where}: `{self._keys[name].removesuffix(_VALUE)}`"

    def _google_keys(self):
        return {
            _pytorch_name(key): key for key in sorted(self._shapes) if not _OPTIMISER.search(key)
        }

    def _garden_keys(self):
        from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

        try:
            graph = TrackableObjectGraph.FromString(self._reader.get_tensor(_OBJECT_GRAPH))
        except Exception as error:
            raise WeightsError(f"{self.where}: the object graph is damaged: {error}") from None
        full_names = {
            attribute.checkpoint_key: attribute.full_name
            for node in graph.nodes
            for attribute in node.attributes
            if attribute.checkpoint_key in self._shapes
        }
        return garden.pytorch_names(full_names)

    def _lower_case(self):
        if not self.is_object_based:
            return None
        key = next((k for k in self._shapes if k.endswith(f"do_lower_case{_VALUE}")), None)
        return None if key is None else bool(self._reader.get_tensor(key))


def _check_complete(prefix, index, shards):
    if not shards:
        raise WeightsError(
            f"{index} lists weights, but there is no {prefix.name}.data-…\n"
            "hint: copy the checkpoint's data file into the folder"
        )
    total = int(shards[0].name.rpartition("-")[2])
    for number in range(total):
        name = f"{prefix.name}.data-{number:05}-of-{total:05}"
        if not (prefix.parent / name).exists():
            raise WeightsError(
                f"{prefix.parent / name} does not exist, but it is one of {total} shards\n"
                "hint: copy the missing shard into the folder"
            )


def _pytorch_name(key):
    """`bert/encoder/layer_0/output/dense/kernel` is `bert.encoder.layer.0.output.dense.weight`."""
    key = key.removeprefix("module/")
    if key in _HEADS:
        return _HEADS[key]
    *parts, last = re.sub(r"(^|/)layer_(\d+)/", r"\1layer/\2/", key).split("/")
    last = f"{last}.weight" if last in _TABLES else _LAST.get(last, last)
    return ".".join((*parts, last))
