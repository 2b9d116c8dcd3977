"""A `tokenizer.json` from a vocabulary, and the vocabulary from a `tokenizer.json`."""

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def tokenizer_json(vocabulary: list[str], lowercase: bool) -> str:
    """BERT's WordPiece tokenizer over `vocabulary`, as the JSON that `tokenizers` reads.

    Raises ValueError where one of BERT's special tokens is missing.
    """
    ids = {piece: index for index, piece in enumerate(vocabulary)}
    for special in _SPECIALS:
        if special not in ids:
            raise ValueError(f"the vocabulary lacks the special token `{special}`")
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.add_special_tokens(list(_SPECIALS))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, ids[token]) for token in ("[CLS]", "[SEP]")],
    )
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer.to_str()


def vocabulary_of(tokenizer: dict) -> list[str]:
    """The entries of a parsed `tokenizer.json` in the order of their ids.

    Raises ValueError where it is not a WordPiece tokenizer.
    """
    model = tokenizer.get("model", {})
    if model.get("type", "WordPiece") != "WordPiece" or "vocab" not in model:
        raise ValueError(f"the tokenizer is {model.get('type')}, but only WordPiece is supported")
    ids = {entry["content"]: entry["id"] for entry in tokenizer.get("added_tokens", [])}
    ids.update(model["vocab"])
    return sorted(ids, key=ids.get)
