"""The inputs and references of the goldens for question answering: `squad_scorer.py` on awkward
answers, on lists of questions with null odds, on every character, on SQuAD's development sets.

`make_metric_goldens.py` writes them.
"""

# ruff: noqa: RUF001 - look-alike characters are what is tested

import json
import random
import unicodedata
from pathlib import Path

import squad_scorer

SEED = 20240610


# fmt: off
AWKWARD = [
    *("a", "an", "the", "A", "An", "THE", "The", "apple", "Anna", "theme", "x", "7", "1,000"),
    *("İ", "ı", "I", "ΟΔΟΣ", "Σ", "ς", "ß", "ẞ", "ﬁ", "Ǆ", "é", "e\u0301", "a\u0301", "\u0301"),
    *("ａ", "Ｔｈｅ", "ｔｈｅ", "１", "東京", "。", "、", "！", "・", "ー", "नि", "a\u093e"),
    *("the\u0903", "ⓐ", "Ⓐ", "½", "²", "٣", "Ⅻ", "א", "ا", "🚀"),
    *("\u200b", "\u00ad", "\u200d", "\ufeff", "\x00"),
    *(".", ",", "-", "_", "'", '"', "(", ")", "$", "%", "/", "\\", "`", "^", "|", "~", "&", "#"),
    *("’", "“", "”", "–", "—", "…", "€", "°", "·", "«"),
    *(" ", " ", " ", " ", " ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u2009", "\u2028"),
    *("\u0085", "\x1c", "\x1f", "\x0b", "\x0c"),
]
# fmt: on


def span_case(prediction: str, golds: list[str]) -> dict:
    """A question's score by both versions, and how the texts are normalised."""
    case = {
        "prediction": prediction,
        "golds": golds,
        "normalized": [squad_scorer.normalize(text) for text in [prediction, *golds]],
        "2.0": squad_scorer.score("2.0", prediction, golds),
    }
    if golds:
        case["1.1"] = squad_scorer.score("1.1", prediction, golds)
    return case


def totals_case(name: str, rng: random.Random, size: int, odds, no_answer=0.5) -> dict:
    """Questions with null odds drawn by `odds`, and all that `evaluate-v2.0.py` prints."""
    words = ["red", "blue", "the", "moon", "Moon!", "rocket"]
    questions, predictions, null_odds = [], {}, {}
    for i in range(size):
        golds = (
            [] if rng.random() < no_answer else [" ".join(rng.choices(words, k=2)) for _ in "ab"]
        )
        prediction = " ".join(rng.choices(words, k=rng.choice([0, 1, 1, 2, 2, 3])))
        if golds and rng.random() < 0.4:
            prediction = golds[0]
        id = f"q{i}"
        questions.append(squad_scorer.Question(id, golds))
        predictions[id] = prediction
        null_odds[id] = odds(bool(golds))
    threshold = rng.choice([0.0, 1.0, -1.5])
    return {
        "name": name,
        "golds": [question.golds for question in questions],
        "predictions": list(predictions.values()),
        "null_odds": list(null_odds.values()),
        "threshold": threshold,
        "without_odds": squad_scorer.evaluate_v2(questions, predictions),
        "with_odds": squad_scorer.evaluate_v2(questions, predictions, null_odds, threshold),
    }


def span() -> dict:
    """Awkward answers one by one, and whole lists of questions with null odds."""
    rng = random.Random(SEED)
    by_hand = [
        ("", []),
        ("", [""]),
        ("", ["moon"]),
        ("moon", []),
        ("the", []),
        (" \t", []),
        ("The", ["a"]),
        ("the", ["a", "moon"]),
        ("...", ["!"]),
        ("The Who", ["Who"]),
        ("who", ["The Who", "the band"]),
        ("a b c", ["b"]),
        ("İstanbul", ["istanbul", "i\u0307stanbul"]),
        ("ISTANBUL", ["ıstanbul", "istanbul"]),
        ("ΟΔΟΣ", ["οδος", "οδοσ"]),
        ("Straße", ["STRASSE", "STRAẞE"]),
        ("café", ["cafe\u0301"]),
        ("à la carte", ["a\u0300 la carte", "la carte"]),
        ("a\u0300", ["\u0300"]),
        ("ｔｈｅ moon", ["moon"]),
        ("１９６９", ["1969"]),
        ("$1,000", ["1000", "1 000"]),
        ("1969–1972", ["1969-1972", "19691972"]),
        ("twenty-one", ["twentyone", "twenty one"]),
        ("U.S.A.", ["USA", "U S A"]),
        ("A.", ["a"]),
        ("rock 'n' roll", ["rock n roll"]),
        ("“the moon”", ["moon", "“ moon”"]),
        ("the\u00a0moon", ["moon"]),
        ("the\u200bmoon", ["moon", "themoon"]),
        ("moon\x1crocket", ["moon rocket"]),
        ("東京。", ["東京"]),
        ("red red blue", ["red blue blue"]),
        ("blue red", ["red blue"]),
        ("x" * 2000, ["x" * 2000 + "y"]),
        ("word " * 500, ["word " * 499 + "other"]),
    ]
    cases = [span_case(prediction, golds) for prediction, golds in by_hand]
    for _ in range(400):
        golds = ["".join(rng.choices(AWKWARD, k=rng.randrange(8))) for _ in range(rng.randrange(4))]
        prediction = "".join(rng.choices(AWKWARD, k=rng.randrange(8)))
        if golds and rng.random() < 0.7:
            pieces = list(rng.choice(golds))
            pieces.insert(rng.randrange(len(pieces) + 1), rng.choice(AWKWARD))
            prediction = "".join(pieces)
        cases.append(span_case(prediction, golds))

    def informed(has_answer: bool) -> float:
        return rng.gauss(-2.0 if has_answer else 2.0, 2.0)

    totals = [
        totals_case("odds that know", rng, 60, informed),
        totals_case("odds with ties", rng, 60, lambda a: float(round(informed(a)))),
        totals_case("random odds", rng, 40, lambda a: rng.gauss(0, 3)),
        totals_case("all odds equal", rng, 30, lambda a: 0.5),
        totals_case("odds of the wrong sign", rng, 30, lambda a: -informed(a)),
        totals_case("all odds positive", rng, 30, lambda a: 5 + rng.random()),
        totals_case("all odds negative", rng, 30, lambda a: -5 - rng.random()),
        totals_case("all have answers", rng, 20, informed, no_answer=0.0),
        totals_case("none has an answer", rng, 20, informed, no_answer=1.0),
        totals_case("one question", rng, 1, informed),
    ]  # fmt: skip
    return {"cases": cases, "totals": totals}


# Unicode


# Their general category changed after Unicode 14 (Ll to Lo, Mn to Mc), and with it whether
# a sigma before them ends a word: the result depends on Python's version.
CHANGED = {0x0295, 0x1171E}


def fnv(text: str) -> str:
    """FNV-1a of the UTF-8 bytes, 64 bits: a checksum that is a few lines in any language."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"


def unicode() -> dict:
    """Checksums of the normalised forms of `the` before and `a` after every assigned character,
    of the character alone, and of the character between capital sigmas, in blocks of 256.
    Surrogates and private use are left out."""
    blocks = []
    for start in range(0, 0x110000, 256):
        codes = [
            code
            for code in range(start, start + 256)
            if unicodedata.category(chr(code)) not in ("Cn", "Cs", "Co") and code not in CHANGED
        ]
        if not codes:
            continue
        ranges: list[list[int]] = []
        for code in codes:
            if ranges and ranges[-1][1] + 1 == code:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
        forms = (
            squad_scorer.normalize(f"x The{chr(code)}A x {chr(code)} ΑΣ{chr(code)}Σ")
            for code in codes
        )
        blocks.append({"ranges": ranges, "fnv": fnv("\n".join(forms))})
    return {"blocks": blocks}


# SQuAD's development sets


def rule_prediction(i: int, golds: list[str], context: str) -> str:
    """The prediction for the i-th question: right, partly right, wrong, empty, awkward."""
    words = context.split(" ")
    first = golds[0] if golds else ""
    passage = " ".join(words[i % len(words) :][: i % 7])
    return [first, passage, "", f"The {first}!", f"{passage} {first}", first.upper()][i % 6]


def rule_odds(i: int, golds: list[str]) -> float:
    """Null odds of the i-th question, with many ties and some sense."""
    return (i * 7919 % 1000 - 500) / 100 + (0.0 if golds else 6.0)


def squad_dev(folder: Path) -> dict:
    """Totals of the development sets with predictions and odds made by rule: no text of the data
    sets gets into the golden, only results."""
    cases = []
    for name in ["dev-v1.1.json", "dev-v2.0.json"]:
        dataset = json.loads((folder / "squad" / name).read_text(encoding="utf-8"))
        questions = squad_scorer.read_questions(dataset)
        contexts = {
            qa["id"]: paragraph["context"]
            for article in dataset["data"]
            for paragraph in article["paragraphs"]
            for qa in paragraph["qas"]
        }
        predictions = {
            q.id: rule_prediction(i, q.golds, contexts[q.id]) for i, q in enumerate(questions)
        }
        case = {"file": name, "questions": len(questions)}
        if name == "dev-v1.1.json":
            case["result"] = squad_scorer.evaluate_v1(questions, predictions)
        else:
            odds = {q.id: rule_odds(i, q.golds) for i, q in enumerate(questions)}
            case["threshold"] = 1.0
            case["result"] = squad_scorer.evaluate_v2(questions, predictions, odds)
        cases.append(case)
    return {"cases": cases}
