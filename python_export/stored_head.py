"""The task head that a fine-tuned checkpoint brings: its kind, weights and labels."""

import re
from dataclasses import dataclass

import numpy as np

from .config import ConfigError
from .files import WeightsError

# The end of a class's name in `architectures`, and the contract's name of the head.
_KINDS = {
    "ForSequenceClassification": "classify",
    "ForQuestionAnswering": "span",
    "ForTokenClassification": "tag",
    "ForMultipleChoice": "choice",
}
_OUTPUTS = {"span": 2, "regress": 1, "choice": 1}


@dataclass(frozen=True)
class StoredHead:
    """A head as stored.

    `name` is the contract's, `layer` what transformers calls its dense layer, `kernel`
    `[hidden_size, outputs]` and `bias` `[outputs]`. `labels` are in the order of the logits, and
    empty for heads without labels.
    """

    name: str
    layer: str
    kernel: np.ndarray
    bias: np.ndarray
    labels: tuple[str, ...]


def head_name(values: dict, names) -> str | None:
    """The contract's name of the head of a checkpoint with these values of `config.json` and these
    tensors; None where it has none that is known."""
    architectures = values.get("architectures")
    architecture = (
        str(architectures[0]) if isinstance(architectures, list) and architectures else ""
    )
    for ending, head in _KINDS.items():
        if architecture.endswith(ending):
            return _of_sequences(values) if head == "classify" else head
    # Google's checkpoints name no class.
    if not architecture and "qa_outputs.weight" in names:
        return "span"
    if not architecture and "model_type" not in values and "classifier.weight" in names:
        return "classify"
    return None


def head_of(family, values: dict, names) -> tuple[str | None, str | None]:
    """The contract's name of the head that a checkpoint brings, and what transformers calls its
    dense layer; None and None where there is none that is known."""
    # Imported here: the rest of reading a checkpoint needs no TensorFlow.
    from .heads import HEADS

    name = head_name(values, names)
    layer = name and family.hugging_face_head(HEADS[name])
    return (name, layer) if layer and f"{layer}.weight" in names else (None, None)


def read_head(name, layer, values, path, tensors, hidden_size) -> StoredHead:
    """The head of `head_of` in `tensors` (`formats.StoredTensors`).

    Raises ConfigError or WeightsError where it has no labels for its outputs, or another shape.
    """
    kernel = tensors.read(f"{layer}.weight").astype(np.float32).T
    if f"{layer}.bias" not in tensors.names():
        raise WeightsError(f"{tensors.where}: the tensor `{layer}.bias` is missing")
    bias = tensors.read(f"{layer}.bias").astype(np.float32)
    wanted = _OUTPUTS.get(name, bias.size)
    if kernel.shape != (hidden_size, wanted) or bias.shape != (wanted,):
        raise WeightsError(
            f"{tensors.place(f'{layer}.weight')} has shape {list(kernel.shape[::-1])} and its bias "
            f"{list(bias.shape)}, expected {[wanted, hidden_size]} and {[wanted]}"
        )
    labels = () if name in _OUTPUTS else _labels(values, path, wanted)
    return StoredHead(name, layer, np.ascontiguousarray(kernel), bias, labels)


def _of_sequences(values):
    """The head of a model for sequence classification."""
    problem = values.get("problem_type")
    if problem == "multi_label_classification":
        return "multilabel"
    return "regress" if problem == "regression" or _outputs(values) == 1 else "classify"


def _outputs(values):
    id2label = values.get("id2label")
    return len(id2label) if isinstance(id2label, dict) else values.get("num_labels")


def _labels(values, path, count):
    """The labels in the order of their ids; without `id2label` the ids themselves."""
    id2label = values.get("id2label")
    if id2label is None:
        return tuple(str(index) for index in range(count))
    if not isinstance(id2label, dict) or not all(re.fullmatch(r"\d+", k) for k in id2label):
        raise ConfigError(f"{path}: `id2label` is not an object of labels by their numbers")
    by_id = {int(key): str(label) for key, label in id2label.items()}
    if sorted(by_id) != list(range(count)):
        raise ConfigError(
            f"{path}: `id2label` has {len(by_id)} labels, but the head has {count} outputs"
        )
    labels = tuple(by_id[index] for index in range(count))
    if len(set(labels)) != count:
        raise ConfigError(f"{path}: `id2label` has a label twice")
    return labels
