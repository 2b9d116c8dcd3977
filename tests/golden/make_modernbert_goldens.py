"""Makes the goldens of ModernBERT's tokenizer from Hugging Face's.

    python tests/golden/make_modernbert_goldens.py

Run from the repository's root with transformers 5.23 and tokenizers. Writes beside this script:

- `modernbert_tokenizer.json`: what `python_export` exports for a small tokenizer of ModernBERT's
  kind, which is trained here: byte-level BPE after NFC, special tokens as BERT's behind the pieces,
  `[MASK]` with the space before it, and a second segment in pairs, which its encoder has not
- `modernbert_text_ids.json`, `modernbert_word_ids.json`: the texts, pairs and sentences of
  `make_tag_goldens.py`, and their ids by `AutoTokenizer`; words have the space before them
"""

import json
import sys
import tempfile
from pathlib import Path

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from make_subword_goldens import sentences, text_cases, word_cases
from make_tag_goldens import write

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent))

from python_export.families import FAMILIES  # noqa: E402
from python_export.tokenizer import template  # noqa: E402

SPECIALS = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]


def trained() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        show_progress=False,
        special_tokens=["<|padding|>", "<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(sentences(), trainer)
    # A run of spaces is an added token of ModernBERT's, and so are its unused entries.
    tokenizer.add_tokens([AddedToken("   ", normalized=True)])
    tokenizer.add_special_tokens(
        [AddedToken(name, lstrip=name == "[MASK]", special=True) for name in SPECIALS]
    )
    tokenizer.add_tokens([AddedToken("[unused0]", normalized=True)])
    content = json.loads(tokenizer.to_str())
    content["post_processor"] = template({name: tokenizer.token_to_id(name) for name in SPECIALS})
    return Tokenizer.from_str(json.dumps(content))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        names = ("unk", "cls", "sep", "pad", "mask")
        special = {f"{n}_token": s for n, s in zip(names, SPECIALS, strict=True)}
        inputs = ["input_ids", "attention_mask"]
        wrapped = PreTrainedTokenizerFast(
            tokenizer_object=trained(), model_input_names=inputs, **special
        )
        wrapped.save_pretrained(folder)
        texts = {"modernbert": AutoTokenizer.from_pretrained(folder)}
        words = {"modernbert": AutoTokenizer.from_pretrained(folder)}
        # `add_prefix_space=True` would not reach the pre-tokenizer of this class.
        with_space = pre_tokenizers.ByteLevel(add_prefix_space=True)
        words["modernbert"].backend_tokenizer.pre_tokenizer = with_space
        exported = FAMILIES["modernbert"].read_tokenizer(Path(folder), None).json
    path = HERE / "modernbert_tokenizer.json"
    path.write_text(json.dumps(json.loads(exported)) + "\n", encoding="ascii")
    print(f"{path.name}: {path.stat().st_size:,} bytes")
    write("modernbert_text_ids.json", {"cases": text_cases(texts)})
    write("modernbert_word_ids.json", {"cases": word_cases(words)})


if __name__ == "__main__":
    main()
