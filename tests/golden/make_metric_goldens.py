"""Makes the goldens of the Rust metrics from independent references.

    python make_metric_goldens.py [FOLDER]

writes `metrics_*.json` beside this file (needs scikit-learn, SciPy, seqeval):

- `metrics_classification.json`: scikit-learn
- `metrics_label_sets.json`: scikit-learn
- `metrics_regression.json`: SciPy; exact arithmetic where SciPy itself loses digits
- `metrics_entity.json`: seqeval in its default mode, whose rules are conlleval's
- `metrics_schemes.json`: seqeval in its strict mode, for tags of each scheme
- `metrics_span.json`: `squad_scorer.py`, like the others below (see `span_goldens.py`)
- `metrics_unicode.json`: every assigned character
- `metrics_squad_dev.json`: SQuAD's development sets; only with FOLDER, which holds
  `squad/dev-v1.1.json` and `squad/dev-v2.0.json`

An undefined value is null. Inputs are random with a fixed seed, so that the same versions of the
libraries (noted in each file) make the same bytes.
"""

import json
import math
import random
import sys
import unicodedata
import warnings
from decimal import Decimal, localcontext
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path

import numpy
import scipy.stats
import seqeval.metrics
import seqeval.metrics.sequence_labeling
import seqeval.scheme
import sklearn.metrics
import sklearn.preprocessing

import span_goldens

HERE = Path(__file__).parent
SEED = 20240607


def write(name: str, libraries: list[str], content: dict) -> None:
    """Writes a golden, one case a line."""
    path = HERE / name
    lines = [f'  "made_by": {json.dumps(" ".join([Path(__file__).name, *libraries]))}']
    for key, value in content.items():
        if isinstance(value, list):
            rows = ",\n".join("    " + json.dumps(row, ensure_ascii=True) for row in value)
            lines.append(f'  "{key}": [\n{rows}\n  ]')
        else:
            lines.append(f'  "{key}": {json.dumps(value)}')
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="ascii")
    print(f"{path.name}: {path.stat().st_size:,} bytes")


def library(name: str) -> str:
    """A library and its version."""
    return f"{name}-{version(name)}"


def defined(value: float) -> float | None:
    """null for NaN."""
    return None if math.isnan(value) else float(value)


class Lcg:
    """Numbers that the Rust test can draw as well, for inputs too long to write down: Knuth's
    MMIX generator modulo 2**64, of which the upper 31 bits are given."""

    def __init__(self, seed: int):
        self.state = seed

    def next(self) -> int:
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return self.state >> 33


# Classification


def classification_case(name: str, pred: list[int], gold: list[int]) -> dict:
    """All metrics of classes; scikit-learn refuses empty input, for which nothing is defined."""
    result = dict.fromkeys(
        ["accuracy", "f1", "precision", "recall", "macro_f1", "matthews_correlation"]
    )
    if gold:
        # One label's macro average is its own value; "binary" refuses more than two classes.
        of_class_1 = {"labels": [1], "average": "macro", "zero_division": numpy.nan}
        result["accuracy"] = sklearn.metrics.accuracy_score(gold, pred)
        result["f1"] = defined(sklearn.metrics.f1_score(gold, pred, **of_class_1))
        result["precision"] = defined(sklearn.metrics.precision_score(gold, pred, **of_class_1))
        result["recall"] = defined(sklearn.metrics.recall_score(gold, pred, **of_class_1))
        result["macro_f1"] = defined(
            sklearn.metrics.f1_score(gold, pred, average="macro", zero_division=numpy.nan)
        )
        # scikit-learn gives 0 where the denominator is 0.
        if len(set(gold)) > 1 and len(set(pred)) > 1:
            result["matthews_correlation"] = float(sklearn.metrics.matthews_corrcoef(gold, pred))
    return {"name": name, "pred": pred, "gold": gold, **result}


def classification() -> dict:
    """Random, skewed and degenerate lists of two to nine classes."""
    rng = random.Random(SEED)
    cases = [
        classification_case("empty", [], []),
        classification_case("one example, right", [1], [1]),
        classification_case("one example, wrong", [0], [1]),
        classification_case("one example without positives", [0], [0]),
        classification_case("one class only, right", [1] * 7, [1] * 7),
        classification_case("one class only, not the positive one", [0] * 7, [0] * 7),
        classification_case("constant prediction 1", [1] * 6, [0, 1, 1, 0, 1, 0]),
        classification_case("constant prediction 0", [0] * 6, [0, 1, 1, 0, 1, 0]),
        classification_case("constant gold", [0, 1, 1, 0, 1, 0], [1] * 6),
        classification_case("all wrong", [1, 0, 1, 0], [0, 1, 0, 1]),
        classification_case("predicted class that is never gold", [0, 5, 1, 5], [0, 1, 1, 0]),
        classification_case("gold class that is never predicted", [0, 1, 1, 0], [0, 5, 1, 5]),
        classification_case("no class in common", [2, 3, 2, 3], [0, 1, 1, 0]),
    ]
    for classes in [2, 2, 2, 3, 4, 9]:
        for size in [2, 5, 40]:
            noise = rng.choice([0.1, 0.5, 1.0])
            weights = [rng.random() ** 3 + 0.01 for _ in range(classes)]
            gold = rng.choices(range(classes), weights, k=size)
            pred = [rng.randrange(classes) if rng.random() < noise else g for g in gold]
            cases.append(classification_case(f"{classes} classes, {size} examples", pred, gold))
    for classes in [2, 7]:
        lcg, size = Lcg(SEED + classes), 100_000
        pred, gold = [], []
        for _ in range(size):
            gold.append(lcg.next() % classes)
            pred.append(lcg.next() % classes if lcg.next() % 4 == 0 else gold[-1])
        case = classification_case(f"{classes} classes, long", pred, gold)
        del case["pred"], case["gold"]
        cases.append(case | {"lcg": {"seed": SEED + classes, "length": size, "classes": classes}})
    return {"cases": cases}


# Sets of labels


def label_sets_case(name: str, labels: int, pred: list[list[int]], gold: list[list[int]]) -> dict:
    """All metrics of examples with any number of labels."""
    result = dict.fromkeys(["micro_f1", "macro_f1", "samples_f1", "subset_accuracy"])
    if gold:
        binarizer = sklearn.preprocessing.MultiLabelBinarizer(classes=range(labels))
        of_gold, of_pred = binarizer.fit_transform(gold), binarizer.fit_transform(pred)

        def f1(average: str, undefined: float) -> float | None:
            options = {"average": average, "zero_division": undefined}
            return defined(sklearn.metrics.f1_score(of_gold, of_pred, **options))

        result["micro_f1"] = f1("micro", numpy.nan)
        result["macro_f1"] = f1("macro", numpy.nan)
        result["samples_f1"] = f1("samples", 1.0)
        result["subset_accuracy"] = float(sklearn.metrics.accuracy_score(of_gold, of_pred))
    return {"name": name, "labels": labels, "pred": pred, "gold": gold, **result}


def label_sets() -> dict:
    """Random and degenerate sets of two to twelve labels."""
    rng = random.Random(SEED + 3)
    cases = [
        label_sets_case("empty", 2, [], []),
        label_sets_case("no labels at all", 2, [[], []], [[], []]),
        label_sets_case("nothing predicted", 3, [[], []], [[0, 2], [1]]),
        label_sets_case("nothing to find", 3, [[0], [1, 2]], [[], []]),
        label_sets_case("all right", 3, [[0, 1], [], [2]], [[1, 0], [], [2]]),
        label_sets_case("a label that never occurs", 4, [[0], [1]], [[0], [0, 1]]),
        label_sets_case("a label that is only predicted", 3, [[2], [0]], [[0], [0]]),
    ]
    for labels, size, density in [(2, 20, 0.5), (5, 60, 0.3), (12, 40, 0.1), (6, 80, 0.8)]:
        gold = [[i for i in range(labels) if rng.random() < density] for _ in range(size)]
        pred = [[i for i in range(labels) if (i in row) != (rng.random() < 0.25)] for row in gold]
        cases.append(label_sets_case(f"{labels} labels, density {density}", labels, pred, gold))
    return {"cases": cases}


# Regression


def exact_pearson(x: list[float], y: list[float]) -> float:
    """Pearson's correlation in rational arithmetic and 60 digits."""
    dx, dy = (
        [Fraction(v) - sum(map(Fraction, values)) / len(values) for v in values]
        for values in (x, y)
    )
    with localcontext(prec=60):
        covariance, of_x, of_y = (
            Decimal(value.numerator) / Decimal(value.denominator)
            for value in (
                sum(a * b for a, b in zip(dx, dy, strict=True)),
                sum(a * a for a in dx),
                sum(b * b for b in dy),
            )
        )
        return float(covariance / (of_x.sqrt() * of_y.sqrt()))


def regression_case(name: str, pred: list[float], gold: list[float], exact=False) -> dict:
    """Both correlations."""
    pearson = spearman = None
    if len(gold) > 1:
        with warnings.catch_warnings():
            # Constant input, for which SciPy gives NaN.
            warnings.simplefilter("ignore")
            if exact:
                pearson = exact_pearson(pred, gold)
            else:
                pearson = defined(scipy.stats.pearsonr(pred, gold).statistic)
            spearman = defined(scipy.stats.spearmanr(pred, gold).statistic)
    return {"name": name, "pred": pred, "gold": gold, "pearson": pearson, "spearman": spearman}


def regression() -> dict:
    """Random scores, ties, constants, offsets and scales."""
    rng = random.Random(SEED + 1)
    cases = [
        regression_case("empty", [], []),
        regression_case("one pair", [1.0], [2.0]),
        regression_case("two pairs, rising", [1.0, 2.0], [0.5, 0.75]),
        regression_case("two pairs, falling", [1.0, 2.0], [0.5, -0.75]),
        regression_case("constant prediction", [2.5] * 5, [1.0, 2.0, 3.0, 4.0, 5.0]),
        regression_case("constant gold", [1.0, 2.0, 3.0, 4.0, 5.0], [0.1] * 5),
        regression_case("both constant", [0.1] * 4, [0.3] * 4),
        regression_case("zeros of both signs", [0.0, -0.0, 0.0], [1.0, 2.0, 3.0]),
        regression_case("not linear", [1.0, 2.0, 3.0, 4.0], [1.0, 8.0, 27.0, 64.0]),
    ]
    for size in [3, 10, 60]:
        gold = [rng.randrange(26) / 5 for _ in range(size)]
        pred = [g + rng.gauss(0, 0.8) for g in gold]
        cases.append(regression_case(f"scores from 0 to 5, {size} pairs", pred, gold))
        rounded = [float(round(p)) for p in pred]
        cases.append(regression_case(f"ties in both, {size} pairs", rounded, gold))
        unrelated = [rng.gauss(0, 1) for _ in range(size)]
        cases.append(regression_case(f"unrelated, {size} pairs", unrelated, gold))
    x = [rng.gauss(0, 1) for _ in range(20)]
    y = [a + rng.gauss(0, 1) for a in x]
    for name, offset, scale in [
        ("large offset", 1e8, 1.0),
        ("larger offset", -1e12, 1.0),
        ("large scale", 0.0, 1e180),
        ("small scale", 0.0, 1e-180),
    ]:
        moved = [offset + scale * a for a in x]
        cases.append(regression_case(name, moved, y, exact=True))
    lcg, size = Lcg(SEED), 100_000
    pred, gold = [], []
    for _ in range(size):
        gold.append(lcg.next() % 51 / 10)
        pred.append(gold[-1] + lcg.next() / 2**31 * 4 - 2)
    case = regression_case("long", pred, gold)
    del case["pred"], case["gold"]
    cases.append(case | {"lcg": {"seed": SEED, "length": size}})
    return {"cases": cases}


# Entities


def entity_case(name: str, pred: list[list[str]], gold: list[list[str]]) -> dict:
    """Counts, rates overall and by type; a sentence is written as its tags joined by spaces."""
    found = {
        key: set(seqeval.metrics.sequence_labeling.get_entities(tags))
        for key, tags in (("pred", pred), ("gold", gold))
    }

    def rates(precision: float, recall: float, f1: float, pred: set, gold: set) -> dict:
        # seqeval gives 0 for what is undefined.
        return {
            "correct": len(pred & gold),
            "predicted": len(pred),
            "gold": len(gold),
            "precision": float(precision) if pred else None,
            "recall": float(recall) if gold else None,
            "f1": float(f1) if pred or gold else None,
        }

    by_type = {}
    overall = (0.0, 0.0, 0.0)
    if found["pred"] or found["gold"]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            of_types = seqeval.metrics.classification_report(gold, pred, output_dict=True)
            overall = (
                seqeval.metrics.precision_score(gold, pred),
                seqeval.metrics.recall_score(gold, pred),
                seqeval.metrics.f1_score(gold, pred),
            )
        for entity_type in sorted({entity[0] for key in found for entity in found[key]}):
            of_type = of_types[entity_type]
            by_type[entity_type] = rates(
                of_type["precision"],
                of_type["recall"],
                of_type["f1-score"],
                *({e for e in found[key] if e[0] == entity_type} for key in ("pred", "gold")),
            )
    return {
        "name": name,
        "pred": [" ".join(tags) for tags in pred],
        "gold": [" ".join(tags) for tags in gold],
        "token_accuracy": float(seqeval.metrics.accuracy_score(gold, pred)) if any(gold) else None,
        "overall": rates(*overall, found["pred"], found["gold"]),
        "by_type": by_type,
    }


def entity() -> dict:
    """Well-formed and malformed sequences of tags in IOB1, IOB2 and IOBES."""
    rng = random.Random(SEED + 2)

    def tags(scheme: str, types: list[str], size: int) -> list[str]:
        """A well-formed sentence."""
        sentence, previous = [], None
        while len(sentence) < size:
            if rng.random() < 0.5:
                sentence.append("O")
                previous = None
                continue
            kind, length = rng.choice(types), min(rng.choice([1, 1, 2, 3]), size - len(sentence))
            prefixes = ["B"] + ["I"] * (length - 1)
            if scheme == "IOB1" and previous != kind:
                prefixes[0] = "I"
            if scheme == "IOBES":
                prefixes = ["S"] if length == 1 else [*prefixes[:-1], "E"]
            sentence += [f"{prefix}-{kind}" for prefix in prefixes]
            previous = kind
        return sentence

    def disturbed(sentence: list[str], alphabet: list[str], noise: float) -> list[str]:
        return [rng.choice(alphabet) if rng.random() < noise else tag for tag in sentence]

    cases = [
        entity_case("empty", [], []),
        entity_case("no entities", [["O", "O"]], [["O", "O"]]),
        entity_case("all missed", [["O", "O", "O"]], [["B-PER", "I-PER", "O"]]),
        entity_case("all invented", [["B-PER", "I-PER", "O"]], [["O", "O", "O"]]),
        entity_case("all right", [["B-PER", "O", "B-LOC"]], [["B-PER", "O", "B-LOC"]]),
        entity_case("right words, wrong type", [["B-PER", "I-PER"]], [["B-LOC", "I-LOC"]]),
        entity_case("too short", [["B-PER", "O"]], [["B-PER", "I-PER"]]),
        entity_case("two for one", [["B-PER", "B-PER"]], [["B-PER", "I-PER"]]),
        entity_case(
            "IOB1 against IOB2",
            [["I-PER", "I-PER", "B-PER"]],
            [["B-PER", "I-PER", "B-PER"]],
        ),
        entity_case(
            "type changes inside",
            [["B-PER", "I-LOC", "I-PER"]],
            [["B-PER", "I-PER", "I-PER"]],
        ),
        entity_case(
            "sentence begins inside",
            [["I-PER"], ["I-PER", "O"]],
            [["B-PER"], ["B-PER", "O"]],
        ),
        entity_case(
            "type with hyphens",
            [["B-work-of-art", "I-work-of-art"]],
            [["B-work-of-art", "O"]],
        ),
    ]  # fmt: skip
    types = ["PER", "ORG", "LOC", "MISC"]
    for scheme, prefixes in [("IOB1", "BI"), ("IOB2", "BI"), ("IOBES", "BIES")]:
        alphabet = ["O", *(f"{prefix}-{kind}" for prefix in prefixes for kind in types)]
        for noise in [0.1, 0.4, 1.0]:
            gold = [tags(scheme, types, rng.randrange(1, 14)) for _ in range(8)]
            pred = [disturbed(sentence, alphabet, noise) for sentence in gold]
            cases.append(entity_case(f"{scheme}, noise {noise}", pred, gold))
        gold = [disturbed(["O"] * 12, alphabet, 0.8) for _ in range(8)]
        pred = [disturbed(sentence, alphabet, 0.3) for sentence in gold]
        cases.append(entity_case(f"{scheme}, gold malformed too", pred, gold))
    return {"cases": cases}


# Schemes of tags


Span = tuple[str, int, int]


def tags_of(spans: list[Span], size: int, scheme: str) -> list[str]:
    """The tags of a sentence with these entities: type, first word, one past the last word."""
    inside = {"IOB1": "I", "IOB2": "B", "IOBES": "B", "BILOU": "B"}[scheme]
    last = {"IOBES": "E", "BILOU": "L"}.get(scheme, "I")
    only = {"IOBES": "S", "BILOU": "U"}.get(scheme, inside)
    tags, before = ["O"] * size, None
    for kind, start, end in spans:
        prefixes = [only] if end - start == 1 else [inside, *"I" * (end - start - 2), last]
        if scheme == "IOB1" and before == (kind, start):
            prefixes[0] = "B"
        tags[start:end] = [f"{prefix}-{kind}" for prefix in prefixes]
        before = (kind, end)
    return tags


def scheme_case(scheme: str, rng: random.Random) -> dict:
    """Sentences and predictions of a scheme, and seqeval's strict scores of them."""

    def sentence(size: int) -> list[Span]:
        spans, at = [], 0
        while at < size:
            length = min(rng.choice([1, 1, 2, 3]), size - at)
            if rng.random() < 0.6:
                spans.append((rng.choice(["PER", "LOC", "work-of-art"]), at, at + length))
            at += length
        return spans

    sizes = [rng.randrange(1, 14) for _ in range(30)]
    gold = [sentence(size) for size in sizes]
    # Some entities are missed, some have another type, some sentences are all wrong.
    pred = [
        sentence(size)
        if rng.random() < 0.2
        else [
            (rng.choice(["PER", kind]), start, end)
            for kind, start, end in spans
            if rng.random() < 0.8
        ]
        for spans, size in zip(gold, sizes, strict=True)
    ]
    gold, pred = (
        [tags_of(spans, size, scheme) for spans, size in zip(all_spans, sizes, strict=True)]
        for all_spans in (gold, pred)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = seqeval.metrics.classification_report(
            gold, pred, output_dict=True, mode="strict", scheme=getattr(seqeval.scheme, scheme)
        )

    def rates(row: dict) -> dict:
        keys = ("precision", "recall", "f1-score", "support")
        precision, recall, f1, support = (float(row[key]) for key in keys)
        return {"precision": precision, "recall": recall, "f1": f1, "support": int(support)}

    kinds = sorted(set(report) - {"micro avg", "macro avg", "weighted avg"})
    return {
        "name": scheme,
        "gold": [" ".join(tags) for tags in gold],
        "pred": [" ".join(tags) for tags in pred],
        "overall": rates(report["micro avg"]),
        "by_type": {kind: rates(report[kind]) for kind in kinds},
    }


def schemes() -> dict:
    """A case for each scheme."""
    rng = random.Random(SEED + 4)
    return {"cases": [scheme_case(scheme, rng) for scheme in ("IOB1", "IOB2", "IOBES", "BILOU")]}


def main() -> None:
    """Writes all goldens."""
    write("metrics_classification.json", [library("scikit-learn")], classification())
    write("metrics_label_sets.json", [library("scikit-learn")], label_sets())
    write("metrics_regression.json", [library("scipy")], regression())
    write("metrics_entity.json", [library("seqeval")], entity())
    write("metrics_schemes.json", [library("seqeval")], schemes())
    python = f"python-{sys.version.split()[0]} unicode-{unicodedata.unidata_version}"
    write("metrics_span.json", [python], span_goldens.span())
    write("metrics_unicode.json", [python], span_goldens.unicode())
    if len(sys.argv) > 1:
        write("metrics_squad_dev.json", [python], span_goldens.squad_dev(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
