"""WordPiece tokenizers: read from a folder in Hugging Face's layout, and written as
`tokenizer.json`.

The file is written out here, rather than by the `tokenizers` package, because that package brings
a dozen others with it. A golden that it made shows that the two are equal.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from .files import WeightsError, read_json, read_text

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


# Settings that tokenizer_config.json and the normalizer in tokenizer.json both have: the name in
# the one and in the other.
_SHARED_SETTINGS = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}


class TokenizerError(ValueError):
    """A vocabulary or a tokenizer that is not BERT's."""


@dataclass(frozen=True)
class Tokenizer:
    """A tokenizer as read.

    `json` is the content of a `tokenizer.json`, `vocabulary` the entries in the order of their ids.
    `notes` are sentences for the user: what was guessed, and which of two settings was used.
    """

    json: str
    vocabulary: list[str]
    do_lower_case: bool
    notes: tuple[str, ...] = ()


def read_wordpiece(folder: Path, lowercase: bool | None = None) -> Tokenizer:
    """Reads `tokenizer.json`, or else `vocab.txt`, with what `tokenizer_config.json` says.

    `lowercase` is the user's choice and overrides all files. Where tokenizer_config.json and
    tokenizer.json differ, the former counts, as in transformers. Where nobody says whether to
    lower-case, a vocabulary with capital letters keeps case and any other is lower-cased.

    Raises WeightsError where a file is missing, not readable or in contradiction to another.
    """
    settings_path = folder / "tokenizer_config.json"
    settings = _settings(settings_path) if settings_path.exists() else {}
    if lowercase is not None:
        settings["do_lower_case"] = lowercase
    said_by = "--do-lower-case" if lowercase is not None else settings_path.name
    json_path, vocab_path = folder / "tokenizer.json", folder / "vocab.txt"
    path = json_path if json_path.exists() else vocab_path
    try:
        if json_path.exists():
            found = _read_tokenizer_json(json_path, settings, said_by)
            _check_same_vocabulary(found.vocabulary, json_path, vocab_path)
        elif vocab_path.exists():
            found = _read_vocabulary(vocab_path, settings)
        else:
            raise WeightsError(f"{folder} has neither tokenizer.json nor vocab.txt")
    except TokenizerError as error:
        raise WeightsError(f"{path}: {error}") from None
    return found


def _settings(path):
    """What tokenizer_config.json says of the shared settings; null says nothing."""
    values = read_json(path)
    settings = {key: values[key] for key in _SHARED_SETTINGS if values.get(key) is not None}
    for key, value in settings.items():
        if not isinstance(value, bool):
            raise WeightsError(f"{path}: `{key}` is {value!r}, expected true or false")
    return settings


def _read_tokenizer_json(path, settings, said_by):
    tokenizer = read_json(path)
    vocabulary = vocabulary_of(tokenizer)
    # The driver truncates and pads by its own rules.
    tokenizer["truncation"] = tokenizer["padding"] = None
    normalizer = tokenizer.get("normalizer") or {}
    if not isinstance(normalizer, dict):
        raise TokenizerError("`normalizer` is not an object")
    notes = []
    for key, name in _SHARED_SETTINGS.items():
        found = lowercases(normalizer) if key == "do_lower_case" else normalizer.get(name)
        if key not in settings or found is None or found == settings[key]:
            continue
        if normalizer.get("type") != "BertNormalizer":
            raise TokenizerError(
                f"{said_by} says `{key}` {_shown(settings[key])}, but the normalizer "
                f"({normalizer.get('type')}) says {_shown(found)} and cannot be changed\n"
                "hint: make the two files agree"
            )
        normalizer[name] = settings[key]
        notes.append(
            f"{path}: `{name}` is {_shown(found)}, but {said_by} says `{key}` "
            f"{_shown(settings[key])}; {said_by} counts, as in transformers"
        )
    lowercase = lowercases(normalizer)
    notes += _unreachable(path, vocabulary, lowercase)
    return Tokenizer(json.dumps(tokenizer, ensure_ascii=False), vocabulary, lowercase, tuple(notes))


def _read_vocabulary(path, settings):
    vocabulary = read_text(path).split("\n")
    if vocabulary[-1] == "":
        vocabulary.pop()
    capitals = _capitals(vocabulary)
    if "do_lower_case" in settings:
        lowercase = settings["do_lower_case"]
        notes = _unreachable(path, vocabulary, lowercase)
    else:
        lowercase = not capitals
        found = f"has capital letters (`{capitals[0]}`)" if capitals else "has no capital letters"
        chosen = "text is lower-cased" if lowercase else "case is kept"
        notes = [
            f"{path} {found} and no tokenizer_config.json says `do_lower_case`: {chosen}; "
            f"to change that, give --do-lower-case {_shown(not lowercase)}"
        ]
    content = tokenizer_json(
        vocabulary,
        lowercase,
        settings.get("strip_accents"),
        settings.get("tokenize_chinese_chars", True),
    )
    return Tokenizer(content, vocabulary, lowercase, tuple(notes))


def _check_same_vocabulary(vocabulary, json_path, vocab_path):
    """Raises WeightsError where vocab.txt, if there is one, has other entries than tokenizer.json.
    The latter may have more: added tokens."""
    if not vocab_path.exists():
        return
    listed = read_text(vocab_path).split("\n")
    if listed[-1] == "":
        listed.pop()
    for index, entry in enumerate(listed):
        other = vocabulary[index] if index < len(vocabulary) else None
        if entry != other:
            found = f"has `{other}`" if other is not None else f"has {len(vocabulary)} entries"
            raise WeightsError(
                f"{vocab_path}:{index + 1}: the entry is `{entry}`, but {json_path.name} {found}\n"
                "hint: remove the file that does not belong to the weights"
            )


def lowercases(normalizer) -> bool:
    """Whether a normalizer of a `tokenizer.json` lower-cases."""
    kind = normalizer.get("type")
    if kind == "Sequence":
        return any(lowercases(part) for part in normalizer.get("normalizers", []))
    return kind == "Lowercase" or (kind == "BertNormalizer" and normalizer.get("lowercase", True))


def _capitals(vocabulary):
    """The entries with capital letters, if they are at least one in a hundred; else none.

    Special tokens such as `[CLS]` do not count. A few capitals are no sign of a cased model: some
    uncased vocabularies hold symbols that are letters to Unicode.
    """
    found = [
        piece
        for piece in vocabulary
        if piece != piece.lower() and not (piece.startswith("[") and piece.endswith("]"))
    ]
    return found if 100 * len(found) >= len(vocabulary) else []


def _unreachable(path, vocabulary, lowercase):
    """A note where text is lower-cased although the vocabulary is a cased one."""
    capitals = _capitals(vocabulary) if lowercase else []
    if not capitals:
        return []
    return [
        f"{path}: text is lower-cased, but {len(capitals)} of {len(vocabulary)} entries have "
        f"capital letters (`{capitals[0]}`) and can never occur; "
        "to keep case, give --do-lower-case false"
    ]


def _shown(value):
    return "true" if value else "false"


def tokenizer_json(
    vocabulary: list[str], lowercase=True, strip_accents=None, handle_chinese_chars=True
) -> str:
    """BERT's WordPiece tokenizer over `vocabulary`, as the JSON that `tokenizers` reads.

    `strip_accents` None strips them when lower-casing, as BERT does. Raises TokenizerError where
    one of BERT's special tokens is missing or an entry occurs twice.
    """
    ids = {piece: index for index, piece in enumerate(vocabulary)}
    for special in SPECIAL_TOKENS:
        if special not in ids:
            raise TokenizerError(f"the vocabulary lacks the special token `{special}`")
    for index, piece in enumerate(vocabulary):
        if ids[piece] != index:
            raise TokenizerError(f"line {index + 1} and line {ids[piece] + 1} are both `{piece}`")
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added_token(special, ids) for special in SPECIAL_TOKENS],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": handle_chinese_chars,
            "strip_accents": strip_accents,
            "lowercase": lowercase,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": template(ids),
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": ids,
        },
    }
    return json.dumps(tokenizer, ensure_ascii=False)


def _added_token(content, ids):
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": ids[content], "content": content, **flags, "special": True}


def template(ids: dict[str, int], cls: str = "[CLS]", sep: str = "[SEP]") -> dict:
    """The post-processor for `[CLS] A [SEP]` and `[CLS] A [SEP] B [SEP]`, segment 1 from B on."""

    def special(name, segment):
        return {"SpecialToken": {"id": name, "type_id": segment}}

    def sequence(name, segment):
        return {"Sequence": {"id": name, "type_id": segment}}

    single = [special(cls, 0), sequence("A", 0), special(sep, 0)]
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, sequence("B", 1), special(sep, 1)],
        "special_tokens": {
            name: {"id": name, "ids": [ids[name]], "tokens": [name]} for name in (cls, sep)
        },
    }


def vocabulary_of(tokenizer: dict, kinds: tuple[str, ...] = ("WordPiece",)) -> list[str]:
    """The entries of a parsed `tokenizer.json` in the order of their ids, added tokens included.

    Raises TokenizerError where its model is of none of `kinds` or its ids leave gaps.
    """
    model = tokenizer.get("model")
    if not isinstance(model, dict) or not isinstance(model.get("vocab"), dict | list):
        raise TokenizerError("`model` with its `vocab` is missing")
    vocab = model["vocab"]
    # Old files leave the type of the only model that there was out.
    kind = model.get("type", kinds[0])
    if kind not in kinds or isinstance(vocab, list) != (kind == "Unigram"):
        raise TokenizerError(f"the tokenizer is {kind}, but only {' or '.join(kinds)} is supported")
    is_list = isinstance(vocab, list)
    try:
        entries = (
            dict(enumerate(p for p, _ in vocab)) if is_list else {i: p for p, i in vocab.items()}
        )
    except (TypeError, ValueError):
        raise TokenizerError("`vocab` does not hold pieces with scores, or with ids") from None
    count = len(vocab)
    try:
        added = {token["content"]: token["id"] for token in tokenizer.get("added_tokens") or []}
        for content, index in added.items():
            # A unigram model lists special tokens too.
            if (is_list and index not in entries) or (not is_list and content not in vocab):
                count += 1
                entries.setdefault(index, content)
    except (TypeError, KeyError):
        raise TokenizerError(
            "`added_tokens` is not a list of tokens with `content` and `id`"
        ) from None
    if not all(type(index) is int for index in (*entries, *added.values())):
        raise TokenizerError("the ids of the tokenizer's vocabulary are not whole numbers")
    if sorted(entries) != list(range(count)):
        raise TokenizerError("the ids of the tokenizer's vocabulary leave gaps or occur twice")
    return [entries[index] for index in range(count)]


def in_one_segment(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer with every token in segment 0, for an encoder without segments."""
    content = json.loads(tokenizer.json)
    processor = content.get("post_processor") or {}
    if processor.get("type") == "BertProcessing":
        names = dict((processor["cls"], processor["sep"]))
        content["post_processor"] = template(names, *(processor[key][0] for key in ("cls", "sep")))
        processor = content["post_processor"]
    for form in ("single", "pair"):
        for part in processor.get(form) or ():
            for piece in part.values():
                piece["type_id"] = 0
    return replace(tokenizer, json=json.dumps(content, ensure_ascii=False))
