"""Where an encoder comes from: which files a folder holds, and what they say of the encoder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .config import ConfigError
from .files import WeightsError, read_json
from .formats import HUGGING_FACE_FILES, StoredTensors, checkpoint_prefix, open_tensors
from .formats.tensorflow_files import TensorFlowCheckpoint

_CASE_FILES = ("tokenizer.json", "tokenizer_config.json")


@dataclass(frozen=True)
class Source:
    """An encoder's folder as recognised.

    `values` are those of a `config.json` in Hugging Face's layout, and `config_path` is what an
    error about them names. `vocabulary` is the folder of the tokenizer's files, `lowercase` the
    user's choice or what the weights say, and `open` opens the weights.
    """

    form: str
    values: dict
    config_path: Path
    vocabulary: Path
    lowercase: bool | None
    open: Callable[[], StoredTensors]
    notes: tuple[str, ...] = ()


def recognise(folder: Path, lowercase: bool | None) -> Source:
    """What a folder holds, by its files. `lowercase` is the user's choice.

    Raises WeightsError or ConfigError where it is no form that is read, or is incomplete.
    """
    if (folder / "saved_model.pb").exists() or (folder / "tfhub_module.pb").exists():
        return _tensorflow(folder, folder / "variables" / "variables", lowercase)
    has_weights = any(
        (folder / name).exists() or (folder / f"{name}.index.json").exists()
        for name in HUGGING_FACE_FILES
    )
    prefix = None if has_weights else checkpoint_prefix(folder)
    if prefix is not None:
        return _tensorflow(folder, prefix, lowercase)
    config_path = folder / "config.json"
    values = read_json(config_path)

    def opened():
        tensors = open_tensors(folder)
        if tensors is None:
            raise WeightsError(
                f"{folder} has config.json but no weights: expected model.safetensors, "
                "pytorch_model.bin (or the shards of one with its index), tf_model.h5, or a "
                "TensorFlow checkpoint"
            )
        return tensors

    form = "Hugging Face's layout"
    return Source(form, values, config_path, folder, lowercase, opened)


def _tensorflow(folder, prefix, lowercase):
    """A checkpoint of TensorFlow: Google's, Model Garden's, or in a SavedModel."""
    tensors = TensorFlowCheckpoint(prefix)
    is_saved_model = prefix.parent != folder
    paths = [folder / "bert_config.json", folder / "config.json"]
    config_path = next((path for path in paths if path.exists()), None)
    notes = []
    if config_path:
        values = {**read_json(config_path)}
        if tensors.is_object_based and values.get("hidden_act") == "gelu":
            values["hidden_act"] = "gelu_new"
    elif tensors.is_object_based or is_saved_model:
        config_path = tensors.where
        values, notes = _sizes(tensors)
    else:
        raise WeightsError(
            f"{folder} has {tensors.where.name} but no bert_config.json, which says what the "
            "encoder's sizes are\nhint: copy it from the archive of the checkpoint"
        )
    if tensors.is_object_based:
        form = "a SavedModel of TensorFlow Hub" if is_saved_model else "Model Garden's checkpoint"
    else:
        form = "Google's TensorFlow 1 checkpoint"
    places = (folder, folder / "assets")
    vocabulary = next((p for p in places if (p / "vocab.txt").exists()), None)
    if vocabulary is None:
        raise WeightsError(f"{folder} has no vocab.txt")
    if lowercase is None and not any((vocabulary / name).exists() for name in _CASE_FILES):
        lowercase = tensors.do_lower_case
        if lowercase is None:
            raise WeightsError(
                f"{folder} does not say whether text is lower-cased\n"
                "hint: give --do-lower-case true for an uncased model, or --do-lower-case false "
                "for a cased, multilingual cased or Chinese one"
            )
    return Source(form, values, config_path, vocabulary, lowercase, lambda: tensors, tuple(notes))


def _sizes(tensors):
    """The sizes of an encoder as its weights show them."""

    def shape(name):
        for prefix in ("", "bert."):
            if f"{prefix}{name}" in tensors.names():
                return tensors.shape(f"{prefix}{name}")
        raise ConfigError(f"{tensors.where}: it has no weights of a BERT encoder (`{name}`)")

    vocab_size, embedding_size = shape("embeddings.word_embeddings.weight")
    query = shape("encoder.layer.0.attention.self.query.weight")
    layers = {
        int(name.partition("encoder.layer.")[2].partition(".")[0])
        for name in tensors.names()
        if "encoder.layer." in name
    }
    hidden, notes = query[0], []
    if len(query) == 3:
        heads = query[1]
    else:
        heads = max(hidden // 64, 1)
        notes.append(
            f"{tensors.where}: no bert_config.json says how many attention heads there are; "
            f"{heads} are assumed, of 64 each"
        )
    values = {
        "hidden_size": hidden,
        "num_hidden_layers": len(layers),
        "num_attention_heads": heads,
        "intermediate_size": shape("encoder.layer.0.intermediate.dense.weight")[-1],
        "vocab_size": vocab_size,
        "embedding_size": embedding_size,
        "max_position_embeddings": shape("embeddings.position_embeddings.weight")[0],
        "type_vocab_size": shape("embeddings.token_type_embeddings.weight")[0],
        # Model Garden's `gelu` is the form with tanh, as is that of Google's BERT since 2019.
        "hidden_act": "gelu_new",
    }
    return values, notes
