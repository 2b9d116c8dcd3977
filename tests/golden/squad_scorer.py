"""An independent scorer for SQuAD 1.1 and 2.0, written from the published rules.

    python squad_scorer.py dev.json predictions.json [null_odds.json]

prints the numbers that the official evaluation script of the data set's version prints, under the
same names and, as there, in per cent. `predictions.json` maps question ids to answers and
`null_odds.json` to the odds that there is no answer; with it, SQuAD 2.0's best thresholds are
searched, and the predictions are to be the best answers before any threshold. Questions without a
prediction are named on standard error; version 1.1 counts them as wrong, version 2.0 leaves them
out (and cannot score the data set by kind of question then, so this scorer refuses).

It needs Python's standard library only. The Rust metrics are tested against it.
"""

import argparse
import itertools
import json
import re
import string
import sys
from collections import Counter
from typing import NamedTuple

ARTICLE = re.compile(r"\b(a|an|the)\b")
WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


class Question(NamedTuple):
    """A question of the data set: its id and the texts of its gold answers."""

    id: str
    golds: list[str]


class Score(NamedTuple):
    """Exact match and F1 of one question, from 0 to 1."""

    exact: float
    f1: float


def words(text: str) -> list[str]:
    """The words that count: lower case, no ASCII punctuation, no articles."""
    return ARTICLE.sub(" ", text.lower().translate(WITHOUT_PUNCTUATION)).split()


def normalize(text: str) -> str:
    """The form in which answers are compared."""
    return " ".join(words(text))


def f1_of_words(prediction: list[str], gold: list[str]) -> float:
    """Harmonic mean of precision and recall of the words, as multisets; 0 if none is shared."""
    shared = (Counter(prediction) & Counter(gold)).total()
    if not shared:
        return 0.0
    precision, recall = shared / len(prediction), shared / len(gold)
    return 2 * precision * recall / (precision + recall)


def score(version: str, prediction: str, golds: list[str]) -> Score:
    """The best score of `prediction` over the gold answers, by the rules of `version`."""
    given = words(prediction)
    wanted = [words(gold) for gold in golds]
    if version == "1.1":
        return Score(float(given in wanted), max(f1_of_words(given, gold) for gold in wanted))
    # 2.0: a gold answer without words does not count; without any, nothing is the right answer.
    wanted = [gold for gold in wanted if gold] or [[]]
    if not given or wanted == [[]]:
        return Score(float(given in wanted), float(given in wanted))
    return Score(float(given in wanted), max(f1_of_words(given, gold) for gold in wanted))


def read_questions(dataset: dict) -> list[Question]:
    """All questions in the order of the file."""
    return [
        Question(qa["id"], [answer["text"] for answer in qa["answers"]])
        for article in dataset["data"]
        for paragraph in article["paragraphs"]
        for qa in paragraph["qas"]
    ]


def evaluate_v1(questions: list[Question], predictions: dict[str, str]) -> dict:
    """What `evaluate-v1.1.py` prints."""
    scores = [
        score("1.1", predictions[question.id], question.golds)
        for question in questions
        if question.id in predictions
    ]
    return {
        "exact_match": 100.0 * sum(s.exact for s in scores) / len(questions),
        "f1": 100.0 * sum(s.f1 for s in scores) / len(questions),
    }


def evaluate_v2(
    questions: list[Question],
    predictions: dict[str, str],
    null_odds: dict[str, float] | None = None,
    threshold: float = 1.0,
) -> dict:
    """What `evaluate-v2.0.py` prints, `threshold` being its `--na-prob-thresh`."""
    raw = {q.id: score("2.0", predictions[q.id], q.golds) for q in questions}
    has_answer = {q.id: bool(q.golds) for q in questions}

    def final(id: str) -> Score:
        if null_odds is not None and null_odds[id] > threshold:
            return Score(float(not has_answer[id]), float(not has_answer[id]))
        return raw[id]

    def means(prefix: str, ids: list[str]) -> dict:
        scores = [final(id) for id in ids]
        return {
            f"{prefix}exact": 100.0 * sum(s.exact for s in scores) / len(scores),
            f"{prefix}f1": 100.0 * sum(s.f1 for s in scores) / len(scores),
            f"{prefix}total": len(scores),
        }

    result = means("", list(raw))
    for prefix, kind in [("HasAns_", True), ("NoAns_", False)]:
        if ids := [id for id in raw if has_answer[id] == kind]:
            result |= means(prefix, ids)
    if null_odds is not None:
        for field, name in [(0, "best_exact"), (1, "best_f1")]:
            values = {id: raw[id][field] for id in raw}
            best, at = best_threshold(values, predictions, null_odds, has_answer)
            result |= {name: 100.0 * best / len(raw), f"{name}_thresh": at}
    return result


def best_threshold(
    values: dict[str, float],
    predictions: dict[str, str],
    null_odds: dict[str, float],
    has_answer: dict[str, bool],
) -> tuple[float, float]:
    """The highest sum of `values` over how many questions are answered, and the last one's odds.

    Questions are answered by rising odds, equal ones in the order of `null_odds`. Answering one
    gains its value if it has an answer, and loses the point for saying nothing if it has none.
    """
    by_odds = sorted((id for id in null_odds if id in values), key=null_odds.__getitem__)
    gains = (values[id] if has_answer[id] else -float(predictions[id] != "") for id in by_odds)
    unanswerable = sum(not kind for kind in has_answer.values())
    sums = list(itertools.accumulate(gains, initial=float(unanswerable)))
    first_best = sums.index(max(sums))
    return sums[first_best], null_odds[by_odds[first_best - 1]] if first_best else 0.0


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Scores SQuAD predictions as the official scripts do."
    )
    parser.add_argument("dataset", help="SQuAD's JSON, such as dev-v1.1.json")
    parser.add_argument("predictions", help="JSON: question id to answer")
    parser.add_argument("null_odds", nargs="?", help="JSON: question id to null odds (2.0 only)")
    parser.add_argument(
        "--threshold", type=float, default=1.0, help="answer nothing above these odds"
    )
    parser.add_argument("--version", choices=["1.1", "2.0"], help="default: the data set's")
    options = parser.parse_args()

    def read(path: str) -> dict:
        with open(path, encoding="utf-8") as file:
            return json.load(file)

    dataset, predictions = read(options.dataset), read(options.predictions)
    null_odds = read(options.null_odds) if options.null_odds else None
    version = options.version or str(dataset.get("version", "1.1")).removeprefix("v")
    questions = read_questions(dataset)
    missing = [question.id for question in questions if question.id not in predictions]
    for id in missing:
        print(f"no prediction for {id}", file=sys.stderr)
    if version == "1.1":
        result = evaluate_v1(questions, predictions)
    elif version == "2.0":
        if missing:
            parser.error(f"{len(missing)} questions of {options.dataset} have no prediction")
        result = evaluate_v2(questions, predictions, null_odds, options.threshold)
    else:
        parser.error(f"unknown version {version!r} in {options.dataset}: give --version 1.1 or 2.0")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
