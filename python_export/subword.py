"""The tokenizers of RoBERTa and its kin: byte-level BPE, and unigram models (SentencePiece)."""

import json
from pathlib import Path

from .files import WeightsError, read_json, read_text
from .tokenizer import Tokenizer, TokenizerError, lowercases, vocabulary_of

_SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
_KINDS = ("BPE", "Unigram")


def read_subword(folder: Path, lowercase: bool | None = None) -> Tokenizer:
    """Reads `tokenizer.json`, or else RoBERTa's `vocab.json` and `merges.txt`.

    These tokenizers treat case as their `tokenizer.json` says; `lowercase`, the user's choice, can
    only repeat it. Raises WeightsError where a file is missing, not readable or no such tokenizer.
    """
    path, vocab_path = folder / "tokenizer.json", folder / "vocab.json"
    if not path.exists() and not vocab_path.exists():
        raise WeightsError(
            f"{folder} has neither tokenizer.json nor vocab.json with merges.txt\n"
            "hint: `AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)` of transformers "
            "writes tokenizer.json, also from a SentencePiece model"
        )
    notes = []
    try:
        if path.exists():
            tokenizer = read_json(path)
        else:
            path = vocab_path
            tokenizer = _byte_level(read_json(path), read_text(folder / "merges.txt"))
        vocabulary = vocabulary_of(tokenizer, _KINDS)
        normalizer = tokenizer.get("normalizer") or {}
        if not isinstance(normalizer, dict):
            raise TokenizerError("`normalizer` is not an object")
        found = lowercases(normalizer)
        if lowercase not in (None, found):
            raise TokenizerError(
                f"the tokenizer {'lower-cases text' if found else 'keeps case'}, which cannot be "
                "changed\nhint: leave out --do-lower-case"
            )
        notes += _set_prefix_space(tokenizer, folder / "tokenizer_config.json")
    except TokenizerError as error:
        raise WeightsError(f"{path}: {error}") from None
    # The driver truncates and pads by its own rules.
    tokenizer["truncation"] = tokenizer["padding"] = None
    return Tokenizer(json.dumps(tokenizer, ensure_ascii=False), vocabulary, found, tuple(notes))


def _set_prefix_space(tokenizer, settings_path):
    """Takes over `add_prefix_space` of tokenizer_config.json, as transformers does; a note where it
    differs."""
    wanted = read_json(settings_path).get("add_prefix_space") if settings_path.exists() else None
    pre_tokenizer = tokenizer.get("pre_tokenizer")
    is_byte_level = isinstance(pre_tokenizer, dict) and pre_tokenizer.get("type") == "ByteLevel"
    if not isinstance(wanted, bool) or not is_byte_level:
        return []
    if pre_tokenizer.get("add_prefix_space") == wanted:
        return []
    pre_tokenizer["add_prefix_space"] = wanted
    shown = json.dumps(wanted)
    return [f"{settings_path} says `add_prefix_space` {shown}, which counts, as in transformers"]


def _byte_level(ids, merges):
    """The `tokenizer.json` of RoBERTa's two files."""
    for token in _SPECIAL_TOKENS:
        if token not in ids:
            raise TokenizerError(f"the vocabulary has no `{token}`, which RoBERTa's has")
    lines = [line for line in merges.split("\n") if line and not line.startswith("#version")]
    pairs = [line.split(" ") for line in lines]
    for pair in pairs:
        if len(pair) != 2:
            raise TokenizerError(f"merges.txt has `{' '.join(pair)}`, expected two pieces a line")
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added_token(token, ids[token]) for token in _SPECIAL_TOKENS],
        "normalizer": None,
        "pre_tokenizer": {**byte_level, "use_regex": True},
        "post_processor": {
            "type": "RobertaProcessing",
            "sep": ["</s>", ids["</s>"]],
            "cls": ["<s>", ids["<s>"]],
            "trim_offsets": True,
            "add_prefix_space": False,
        },
        "decoder": {**byte_level, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "vocab": ids,
            "merges": pairs,
        },
    }


def _added_token(content, index):
    flags = dict.fromkeys(("single_word", "rstrip", "normalized"), False)
    # `<mask>` takes the space before it.
    return {
        "id": index,
        "content": content,
        **flags,
        "lstrip": content == "<mask>",
        "special": True,
    }
