"""Makes the golden of `python_export.tokenizer` with the `tokenizers` package.

    python tests/golden/make_export_tokenizer.py

Run from the repository's root with tokenizers 0.23. Writes `export_tokenizer.json` beside this
script: for a small vocabulary, the tokenizers of an uncased and of a cased model.
"""

import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
# The special tokens are not first, as in BERT's own vocabularies.
VOCABULARY = ["[PAD]", "[unused0]", *SPECIAL_TOKENS[1:], "a", "##b", "é", "中", '"', "\\", "😀"]


def build(lowercase, strip_accents, chinese):
    ids = {piece: index for index, piece in enumerate(VOCABULARY)}
    model = models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100)
    tokenizer = Tokenizer(model)
    tokenizer.add_special_tokens(SPECIAL_TOKENS)
    tokenizer.normalizer = normalizers.BertNormalizer(
        lowercase=lowercase, strip_accents=strip_accents, handle_chinese_chars=chinese
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, ids[token]) for token in ("[CLS]", "[SEP]")],
    )
    tokenizer.decoder = decoders.WordPiece()
    return json.loads(tokenizer.to_str())


golden = {
    "vocabulary": VOCABULARY,
    "uncased": build(True, None, True),
    "cased": build(False, False, False),
}
path = Path(__file__).parent / "export_tokenizer.json"
path.write_text(json.dumps(golden, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
