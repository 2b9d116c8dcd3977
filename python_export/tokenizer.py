"""A `tokenizer.json` from a vocabulary, and the vocabulary from a `tokenizer.json`.

The file is written out here, rather than by the `tokenizers` package, because that package brings
a dozen others with it. A golden that it made holds the two equal.
"""

import json

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


class TokenizerError(ValueError):
    """A vocabulary or a tokenizer that is not BERT's."""


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
        "post_processor": _template(ids),
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


def _template(ids):
    """`[CLS] A [SEP]` and `[CLS] A [SEP] B [SEP]`, segment 1 from B on."""

    def special(name, segment):
        return {"SpecialToken": {"id": name, "type_id": segment}}

    def sequence(name, segment):
        return {"Sequence": {"id": name, "type_id": segment}}

    single = [special("[CLS]", 0), sequence("A", 0), special("[SEP]", 0)]
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, sequence("B", 1), special("[SEP]", 1)],
        "special_tokens": {
            name: {"id": name, "ids": [ids[name]], "tokens": [name]} for name in ("[CLS]", "[SEP]")
        },
    }


def vocabulary_of(tokenizer: dict) -> list[str]:
    """The entries of a parsed `tokenizer.json` in the order of their ids.

    Raises TokenizerError where it is not a WordPiece tokenizer or its ids leave gaps.
    """
    model = tokenizer.get("model", {})
    if model.get("type", "WordPiece") != "WordPiece" or "vocab" not in model:
        raise TokenizerError(
            f"the tokenizer is {model.get('type')}, but only WordPiece is supported"
        )
    ids = {entry["content"]: entry["id"] for entry in tokenizer.get("added_tokens", [])}
    ids.update(model["vocab"])
    if sorted(ids.values()) != list(range(len(ids))):
        raise TokenizerError("the ids of the tokenizer's vocabulary leave gaps or occur twice")
    return sorted(ids, key=ids.get)
