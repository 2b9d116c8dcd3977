"""Makes the goldens of byte-level BPE and unigram tokenizers from Hugging Face's.

    python tests/golden/make_subword_goldens.py

Run from the repository's root with transformers 5.23 and tokenizers. Writes beside this script:

- `byte_level_tokenizer.json`: what `python_export` exports for RoBERTa's two files, of a small
  vocabulary that is trained here
- `unigram_tokenizer.json`: the same for the tokenizer.json of a small XLM-RoBERTa
- `subword_text_ids.json`, `subword_word_ids.json`: awkward texts, pairs and sentences as in
  `make_tag_goldens.py`, and their ids by `RobertaTokenizer` and `XLMRobertaTokenizer`
- `subword_spans.json`: questions with passages, and the first and last piece that overlaps each
  answer. `run_qa.py` of transformers finds the same, but where several pieces share a character at
  an end (a unigram's `▁` and the piece behind it) it leaves out all but the innermost

The reference reads RoBERTa's vocabulary by itself and not through the exported tokenizer. The
trainer of the unigram vocabulary does not give the same one each time, so all files are made
together.
"""

import json
import sys
import tempfile
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import RobertaTokenizer, XLMRobertaTokenizer

from make_tag_goldens import TEXTS, WORDS, unit, whole, write

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent))

from python_export.subword import read_subword  # noqa: E402

SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
SPANS = [
    ("When did it land?", "The module landed on 20 July 1969 near the sea.", "20 July 1969"),
    ("Who?", "  Élodie   met Zürich's mayor (Åse), 東京 👍.", "Zürich"),
    ("Where?", "It ended in 東京大学, not in Oslo.", "東京"),
    ("What is big?", "New York is big", "New York"),
    ("", "one two three", "three"),
    ("Said who?", 'He said "yes", then left.', "yes"),
]


def sentences() -> list[str]:
    texts = (HERE / "graph_sentences.txt").read_text(encoding="utf-8").splitlines()
    return texts + [whole(text) for _, text, _ in TEXTS if isinstance(text, str)]


def byte_level(folder: Path) -> None:
    """Writes vocab.json and merges.txt."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        show_progress=False,
        special_tokens=SPECIALS[:-1],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(sentences(), trainer)
    tokenizer.add_special_tokens(["<mask>"])
    content = json.loads(tokenizer.to_str())["model"]
    vocabulary = {**content["vocab"], "<mask>": len(content["vocab"])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    merges = [" ".join(pair) for pair in content["merges"]]
    lines = "\n".join(["#version: 0.2", *merges])
    (folder / "merges.txt").write_text(lines + "\n", encoding="utf-8")


def unigram() -> XLMRobertaTokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=300, show_progress=False, special_tokens=SPECIALS[:-1], unk_token="<unk>"
    )
    tokenizer.train_from_iterator(sentences(), trainer)
    pieces = json.loads(tokenizer.to_str())["model"]["vocab"]
    return XLMRobertaTokenizer(
        vocab=[(piece, score) for piece, score in [*pieces, ["<mask>", 0.0]]]
    )


def text_cases(tokenizers) -> list[dict]:
    cases = []
    for name, text, pair in TEXTS:
        if "10,000" in name:
            continue
        texts = [[whole(text)]] if pair is None else [[whole(text)], [whole(pair)]]
        for kind, tokenizer in tokenizers.items():
            full = len(tokenizer(*texts)["input_ids"][0])
            for limit in {min(full, 128), min(full, 9)}:
                limit = max(limit, 5)
                ids = tokenizer(*texts, truncation=True, max_length=limit)["input_ids"][0]
                cases.append(
                    {
                        "name": name,
                        "tokenizer": kind,
                        "text": unit(text),
                        "text_pair": unit(pair),
                        "max_length": limit,
                        "input_ids": ids,
                        "second_segment": len(ids),
                        "truncated": limit < full,
                    }
                )
    return cases


def word_cases(tokenizers) -> list[dict]:
    cases = []
    for name, words in WORDS:
        for kind, tokenizer in tokenizers.items():
            encoding = tokenizer(words, is_split_into_words=True, add_special_tokens=False)
            cases.append(
                {
                    "name": name,
                    "tokenizer": kind,
                    "words": words,
                    "input_ids": encoding["input_ids"],
                    "word_ids": encoding.word_ids(0),
                }
            )
    return cases


def span_cases(tokenizers) -> list[dict]:
    cases = []
    for question, context, answer in SPANS:
        start = context.index(answer)
        end = start + len(answer)
        for kind, tokenizer in tokenizers.items():
            encoding = tokenizer([question], [context], return_offsets_mapping=True)
            offsets, parts = encoding["offset_mapping"][0], encoding.sequence_ids(0)
            inside = [
                index
                for index, (begin, stop) in enumerate(offsets)
                if parts[index] == 1 and stop > start and begin < end
            ]
            cases.append(
                {
                    "tokenizer": kind,
                    "question": question,
                    "context": context,
                    "answer": answer,
                    "answer_start": start,
                    "input_ids": encoding["input_ids"][0],
                    "span": [inside[0], inside[-1]],
                }
            )
    return cases


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        byte_level(folder)
        files = [str(folder / name) for name in ("vocab.json", "merges.txt")]
        texts = {"byte_level": RobertaTokenizer(*files)}
        words = {"byte_level": RobertaTokenizer(*files, add_prefix_space=True)}
        exported = {"byte_level": read_subword(folder).json}
    texts["unigram"] = words["unigram"] = unigram()
    with tempfile.TemporaryDirectory() as folder:
        texts["unigram"].save_pretrained(folder)
        exported["unigram"] = read_subword(Path(folder)).json
    for name, content in exported.items():
        path = HERE / f"{name}_tokenizer.json"
        path.write_text(json.dumps(json.loads(content)) + "\n", encoding="ascii")
        print(f"{path.name}: {path.stat().st_size:,} bytes")
    write("subword_text_ids.json", {"cases": text_cases(texts)})
    write("subword_word_ids.json", {"cases": word_cases(words)})
    write("subword_spans.json", {"cases": span_cases(texts)})


if __name__ == "__main__":
    main()
