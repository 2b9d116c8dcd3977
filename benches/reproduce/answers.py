"""Answers SQuAD's questions without tfbert, and compares them with tfbert's.

    python answers.py RUN/model --data dev-v1.1.json --predictions predictions.json [--limit 500]

The SavedModel runs in TensorFlow's Python, as TensorFlow Serving runs it. Word pieces, windows and
the choice of an answer are written here from the published descriptions: BERT's basic tokenizer and
WordPiece, and the rules of Google's `run_squad.py` for windows, the 20 best starts and ends, and a
longest answer of 30 pieces. Two answers are the same where they are equal as SQuAD's scorer
normalises them. The exit code is 1 where an answer differs whose passage fits into one window. It
needs TensorFlow and the standard library.
"""

import argparse
import json
import sys
import unicodedata
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests" / "golden"))

MAX_LENGTH, DOC_STRIDE, QUESTION_LENGTH = 384, 128, 64
N_BEST, LONGEST_ANSWER, LONGEST_WORD = 20, 30, 100
BATCH = 16
CJK = [(0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F)]
CJK += [(0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)]


def stands_alone(char: str) -> bool:
    """Whether a character is a word of its own: punctuation, ASCII symbols, Chinese characters."""
    code = ord(char)
    ascii_symbol = 33 <= code <= 126 and not char.isalnum()
    chinese = any(first <= code <= last for first, last in CJK)
    return ascii_symbol or chinese or unicodedata.category(char).startswith("P")


class WordPiece:
    """The uncased tokenizer of BERT. A piece is (id, first, last): characters of the text."""

    def __init__(self, vocabulary: Path):
        lines = vocabulary.read_text(encoding="utf-8").split("\n")
        self.ids = {piece: i for i, piece in enumerate(lines) if piece}
        self.unknown = self.ids["[UNK]"]

    def __call__(self, text: str) -> list[tuple[int, int, int]]:
        return [piece for word in self.words(text) for piece in self.pieces(word)]

    def words(self, text: str) -> list[list[tuple[str, int]]]:
        """Words as lists of normalised characters, each with its place in the text."""
        found: list[list[tuple[str, int]]] = [[]]
        for place, raw in enumerate(text):
            category = unicodedata.category(raw)
            if raw in "\t\n\r" or category == "Zs":
                found.append([])
                continue
            if raw in "\0\ufffd" or category.startswith("C"):
                continue
            for char in unicodedata.normalize("NFD", raw.lower()):
                if unicodedata.category(char) == "Mn":
                    continue
                if stands_alone(char):
                    found += [[(char, place)], []]
                else:
                    found[-1].append((char, place))
        return [word for word in found if word]

    def pieces(self, word: list[tuple[str, int]]) -> list[tuple[int, int, int]]:
        """The longest known pieces from the left; one unknown piece where there are none."""
        whole = [(self.unknown, word[0][1], word[-1][1] + 1)]
        if len(word) > LONGEST_WORD:
            return whole
        found, start = [], 0
        while start < len(word):
            prefix = "##" if start else ""
            for end in range(len(word), start, -1):
                piece = prefix + "".join(char for char, _ in word[start:end])
                if piece in self.ids:
                    found.append((self.ids[piece], word[start][1], word[end - 1][1] + 1))
                    start = end
                    break
            else:
                return whole
        return found


def windows(question: list, passage: list) -> list[tuple[int, list]]:
    """Parts of a passage that fit beside the question: where each begins, and its pieces.

    Two neighbours share DOC_STRIDE pieces.
    """
    room = MAX_LENGTH - len(question) - 3
    found, start = [], 0
    while True:
        found.append((start, passage[start : start + room]))
        if start + room >= len(passage):
            return found
        start += room - DOC_STRIDE


def has_most_context(place: int, window: int, spans: list[tuple[int, int]]) -> bool:
    """Whether, of all windows that hold a piece, this one has the most context around it."""
    scores = [
        min(place - start, start + length - 1 - place) + 0.01 * length
        if start <= place < start + length
        else -1.0
        for start, length in spans
    ]
    return scores.index(max(scores)) == window


def candidates(pieces: list, offset: int, start: np.ndarray, end: np.ndarray) -> list:
    """(score, first, last) of the spans of a window, in pieces of the window."""
    ends = np.argsort(-end)[:N_BEST]
    return [
        (float(start[s] + end[e]), int(s) - offset, int(e) - offset)
        for s in np.argsort(-start)[:N_BEST]
        for e in ends
        if offset <= s <= e < offset + len(pieces) and e - s < LONGEST_ANSWER
    ]


def answers(model: Path, questions: list[dict]) -> list[dict]:
    """For each question the id, the answer, and how many windows its passage takes."""
    import tensorflow as tf

    word_piece = WordPiece(model / "assets.extra" / "vocab.txt")
    cls, sep = word_piece.ids["[CLS]"], word_piece.ids["[SEP]"]
    serve = tf.saved_model.load(str(model)).signatures["serving_default"]
    rows, found = [], []
    for number, question in enumerate(questions):
        asked = word_piece(question["question"])[:QUESTION_LENGTH]
        parts = windows(asked, word_piece(question["context"]))
        spans = [(start, len(pieces)) for start, pieces in parts]
        found.append({"id": question["id"], "best": (-np.inf, ""), "windows": len(parts)})
        for window, (start, pieces) in enumerate(parts):
            ids = [cls, *(p[0] for p in asked), sep, *(p[0] for p in pieces), sep]
            rows.append((number, window, spans, start, pieces, len(asked) + 2, ids))
    rows.sort(key=lambda row: len(row[-1]))
    for first in range(0, len(rows), BATCH):
        batch = rows[first : first + BATCH]
        inputs = np.zeros((3, len(batch), max(len(row[-1]) for row in batch)), np.int32)
        for i, (*_, offset, ids) in enumerate(batch):
            inputs[0, i, : len(ids)] = ids
            inputs[1, i, : len(ids)] = 1
            inputs[2, i, offset : len(ids)] = 1
        names = ("input_ids", "attention_mask", "token_type_ids")
        out = serve(**{n: tf.constant(v) for n, v in zip(names, inputs, strict=True)})
        logits = zip(out["start_logits"].numpy(), out["end_logits"].numpy(), strict=True)
        for (number, window, spans, begin, pieces, offset, _), (start, end) in zip(
            batch, logits, strict=True
        ):
            context = questions[number]["context"]
            for score, s, e in candidates(pieces, offset, start, end):
                better = score > found[number]["best"][0]
                if better and has_most_context(begin + s, window, spans):
                    found[number]["best"] = score, context[pieces[s][1] : pieces[e][2]]
        print(f"\r{first + len(batch)} of {len(rows)} windows", end="", file=sys.stderr)
    print(file=sys.stderr)
    return found


def main() -> int:
    from squad_scorer import normalize

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="the SavedModel of a run, RUN/model")
    parser.add_argument("--data", type=Path, required=True, help="SQuAD 1.1's development file")
    parser.add_argument("--predictions", type=Path, required=True, help="what `tfbert eval` wrote")
    parser.add_argument("--limit", type=int, help="the first N questions only")
    args = parser.parse_args()
    data = json.loads(args.data.read_text(encoding="utf-8"))["data"]
    questions = [
        {"id": asked["id"], "question": asked["question"], "context": paragraph["context"]}
        for article in data
        for paragraph in article["paragraphs"]
        for asked in paragraph["qas"]
    ][: args.limit]
    theirs = json.loads(args.predictions.read_text(encoding="utf-8"))
    equal = {True: 0, False: 0}
    total = {True: 0, False: 0}
    for found in answers(args.model, questions):
        single, answer = found["windows"] == 1, found["best"][1]
        same = normalize(theirs[found["id"]]) == normalize(answer)
        total[single] += 1
        equal[single] += same
        if not same:
            print(f"{found['id']}: `{theirs[found['id']]}` is `{answer}` here", file=sys.stderr)
    print(f"one window: {equal[True]} of {total[True]} answers are the same")
    print(f"several windows: {equal[False]} of {total[False]} answers are the same")
    return 0 if equal[True] == total[True] else 1


if __name__ == "__main__":
    sys.exit(main())
