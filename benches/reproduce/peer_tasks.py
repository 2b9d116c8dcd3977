"""What the references need of each task: rows of its files, features of its texts, its scores.

Each of the task's functions follows transformers' example scripts (`run_glue.py`, `run_ner.py`,
`run_qa.py`, `run_swag.py`). Scores are by SciPy, scikit-learn, seqeval, and the scorer of
tests/golden.
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests" / "golden"))

# folder, columns of the texts, column of the label (names, or numbers in a file without a header)
GLUE = {
    "cola": ("CoLA", [3], 1),
    "sst2": ("SST-2", ["sentence"], "label"),
    "mrpc": ("MRPC", ["#1 String", "#2 String"], "Quality"),
    "stsb": ("STS-B", ["sentence1", "sentence2"], "score"),
    "qnli": ("QNLI", ["question", "sentence"], "label"),
    "rte": ("RTE", ["sentence1", "sentence2"], "label"),
}
LABELS = {name: ["0", "1"] for name in GLUE} | {
    "qnli": ["entailment", "not_entailment"],
    "rte": ["entailment", "not_entailment"],
}
SQUAD_VERSIONS = {"squad": "1.1", "squad2": "2.0"}


class Glue:
    """A task of GLUE with two classes, or with a number."""

    def __init__(self, name: str, data_dir: Path, tokenizer, flags: dict):
        from transformers import AutoModelForSequenceClassification, DataCollatorWithPadding

        self.name, self.data_dir, self.tokenizer, self.flags = name, data_dir, tokenizer, flags
        self.model_class = AutoModelForSequenceClassification
        self.labels = 1 if name == "stsb" else 2
        self.collator = DataCollatorWithPadding(tokenizer)

    def features(self, split: str, limit: int | None) -> list[dict]:
        folder, texts, label = GLUE[self.name]
        path = self.data_dir / folder / f"{split}.tsv"
        with path.open(encoding="utf-8-sig", newline="\n") as file:
            rows = [line.rstrip("\r\n").split("\t") for line in file]
        if isinstance(label, str):
            header, *rows = rows
            texts, label = [header.index(name) for name in texts], header.index(label)
        rows = rows[:limit]
        encoded = self.tokenizer(
            *([row[column] for row in rows] for column in texts),
            truncation=True,
            max_length=self.flags["max-length"],
        )
        number = float if self.name == "stsb" else LABELS[self.name].index
        return [
            {"label": number(row[label]), **{key: encoded[key][i] for key in encoded}}
            for i, row in enumerate(rows)
        ]

    def scores(self, logits: np.ndarray, labels: np.ndarray) -> dict:
        from scipy.stats import pearsonr, spearmanr
        from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

        if self.name == "stsb":
            values = logits[:, 0]
            return {
                "pearson": float(pearsonr(values, labels).statistic),
                "spearman": float(spearmanr(values, labels).statistic),
            }
        classes = logits.argmax(-1)
        if self.name == "cola":
            return {"matthews_correlation": float(matthews_corrcoef(labels, classes))}
        accuracy = {"accuracy": float(accuracy_score(labels, classes))}
        f1 = {"f1": float(f1_score(labels, classes))} if self.name == "mrpc" else {}
        return f1 | accuracy


class Tagging:
    """CoNLL-2003: a word's first piece carries its tag."""

    TAGS = ("O", *(f"{p}-{kind}" for kind in ("PER", "ORG", "LOC", "MISC") for p in "BI"))

    def __init__(self, data_dir: Path, tokenizer, flags: dict):
        from transformers import AutoModelForTokenClassification, DataCollatorForTokenClassification

        self.data_dir, self.tokenizer, self.flags = data_dir, tokenizer, flags
        self.model_class = AutoModelForTokenClassification
        self.labels = len(self.TAGS)
        self.collator = DataCollatorForTokenClassification(tokenizer)

    def sentences(self, split: str) -> list[list[tuple[str, str]]]:
        name = {"train": "train", "dev": "valid"}[split]
        text = (self.data_dir / "conll2003" / f"{name}.txt").read_text(encoding="utf-8")
        found = []
        for block in text.split("\n\n"):
            lines = [line.split(" ") for line in block.splitlines() if line.strip()]
            words = [(line[0], line[-1]) for line in lines if line[0] != "-DOCSTART-"]
            if words:
                found.append(words)
        return found

    def features(self, split: str, limit: int | None) -> list[dict]:
        found = []
        for sentence in self.sentences(split)[:limit]:
            encoded = self.tokenizer(
                [word for word, _ in sentence],
                is_split_into_words=True,
                truncation=True,
                max_length=self.flags["max-length"],
            )
            labels, before = [], None
            for word in encoded.word_ids():
                first = word is not None and word != before
                labels.append(self.TAGS.index(sentence[word][1]) if first else -100)
                before = word
            found.append({**encoded, "labels": labels})
        return found

    def scores(self, logits: np.ndarray, labels: np.ndarray) -> dict:
        from seqeval.metrics import f1_score, precision_score, recall_score

        tags = np.array(self.TAGS)
        gold = [list(tags[row[row >= 0]]) for row in labels]
        found = [
            list(tags[row[mask]]) for row, mask in zip(logits.argmax(-1), labels >= 0, strict=True)
        ]
        functions = {"f1": f1_score, "precision": precision_score, "recall": recall_score}
        return {name: float(function(gold, found)) for name, function in functions.items()}


class MultipleChoice:
    """SWAG: which of four endings follows from the context?"""

    CHOICES = 4

    def __init__(self, data_dir: Path, tokenizer, flags: dict):
        from transformers import AutoModelForMultipleChoice, DataCollatorForMultipleChoice

        self.data_dir, self.tokenizer, self.flags = data_dir, tokenizer, flags
        self.model_class, self.labels = AutoModelForMultipleChoice, None
        self.collator = DataCollatorForMultipleChoice(tokenizer)

    def features(self, split: str, limit: int | None) -> list[dict]:
        name = {"train": "train", "dev": "val"}[split]
        path = self.data_dir / "swag" / f"{name}.csv"
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))[:limit]
        endings = [f"ending{i}" for i in range(self.CHOICES)]
        encoded = self.tokenizer(
            [row["sent1"] for row in rows for _ in endings],
            [f"{row['sent2']} {row[ending]}" for row in rows for ending in endings],
            truncation=True,
            max_length=self.flags["max-length"],
        )
        return [
            {"label": int(row["label"])}
            | {
                key: encoded[key][i * self.CHOICES : (i + 1) * self.CHOICES]
                for key in ("input_ids", "attention_mask", "token_type_ids")
            }
            for i, row in enumerate(rows)
        ]

    def scores(self, logits: np.ndarray, labels: np.ndarray) -> dict:
        return {"accuracy": float((logits.argmax(-1) == labels).mean())}


class Squad:
    """SQuAD 1.1 or 2.0 in windows."""

    N_BEST, LONGEST_ANSWER = 20, 30

    def __init__(self, name: str, data_dir: Path, tokenizer, flags: dict):
        from transformers import AutoModelForQuestionAnswering, DataCollatorWithPadding

        self.version = SQUAD_VERSIONS[name]
        self.data_dir, self.tokenizer, self.flags = data_dir, tokenizer, flags
        self.model_class, self.labels = AutoModelForQuestionAnswering, None
        self.collator = DataCollatorWithPadding(tokenizer)
        self.windows: list[dict] = []

    def questions(self, split: str, limit: int | None) -> list[dict]:
        path = self.data_dir / "squad" / f"{split}-v{self.version}.json"
        return [
            {"context": paragraph["context"], **question}
            for article in json.loads(path.read_text(encoding="utf-8"))["data"]
            for paragraph in article["paragraphs"]
            for question in paragraph["qas"]
        ][:limit]

    def features(self, split: str, limit: int | None) -> list[dict]:
        questions = self.questions(split, limit)
        encoded = self.tokenizer(
            [question["question"].lstrip() for question in questions],
            [question["context"] for question in questions],
            truncation="only_second",
            max_length=self.flags["max-length"],
            stride=self.flags["doc-stride"],
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        features, windows = [], []
        for i, sample in enumerate(encoded["overflow_to_sample_mapping"]):
            question = questions[sample]
            offsets = [
                offset if sequence == 1 else None
                for offset, sequence in zip(
                    encoded["offset_mapping"][i], encoded.sequence_ids(i), strict=True
                )
            ]
            # A question of SQuAD 2.0 without an answer is trained to point at [CLS].
            answers = question["answers"]
            start, end = answer_span(offsets, answers[0]) if answers else (0, 0)
            names = ("input_ids", "attention_mask", "token_type_ids")
            feature = {name: encoded[name][i] for name in names}
            features.append({**feature, "start_positions": start, "end_positions": end})
            windows.append({"question": question, "offsets": offsets})
        if split == "dev":
            # Sorted, as trainer.py sorts features, so that window and feature stay together.
            order = sorted(range(len(features)), key=lambda i: len(features[i]["input_ids"]))
            features, self.windows = [features[i] for i in order], [windows[i] for i in order]
        return features

    def scores(self, logits: tuple[np.ndarray, np.ndarray], labels) -> dict:
        import squad_scorer

        best: dict[str, tuple[float, str]] = {}
        null: dict[str, float] = {}
        golds = {}
        for window, start, end in zip(self.windows, *logits, strict=True):
            question = window["question"]
            id = question["id"]
            golds[id] = [answer["text"] for answer in question["answers"]]
            score, text = self.best_answer(window, start, end)
            if score > best.get(id, (-np.inf, ""))[0]:
                best[id] = score, text
            null[id] = min(null.get(id, np.inf), float(start[0] + end[0]))
        questions = [squad_scorer.Question(id, texts) for id, texts in golds.items()]
        found = {id: best.get(id, (-np.inf, "")) for id in golds}
        if self.version == "1.1":
            predictions = {id: text for id, (_, text) in found.items()}
            scores = squad_scorer.evaluate_v1(questions, predictions)
            return {"f1": scores["f1"] / 100, "exact_match": scores["exact_match"] / 100}
        # No answer where the window that believes in it least scores it above the best answer.
        predictions = {id: "" if null[id] > score else text for id, (score, text) in found.items()}
        scores = squad_scorer.evaluate_v2(questions, predictions)
        return {"f1": scores["f1"] / 100, "exact_match": scores["exact"] / 100}

    def best_answer(self, window: dict, start: np.ndarray, end: np.ndarray) -> tuple[float, str]:
        """The best of the best starts with the best ends, as `run_qa.py` pairs them."""
        offsets, context = window["offsets"], window["question"]["context"]
        best = (-np.inf, "")
        ends = np.argsort(-end[: len(offsets)])[: self.N_BEST]
        for s in np.argsort(-start[: len(offsets)])[: self.N_BEST]:
            for e in ends:
                if offsets[s] is None or offsets[e] is None:
                    continue
                if s <= e < s + self.LONGEST_ANSWER and start[s] + end[e] > best[0]:
                    best = float(start[s] + end[e]), context[offsets[s][0] : offsets[e][1]]
        return best


def answer_span(offsets: list, answer: dict) -> tuple[int, int]:
    """First and last position of an answer; [CLS] twice where the window does not hold it."""
    first = answer["answer_start"]
    last = first + len(answer["text"])
    inside = [i for i, offset in enumerate(offsets) if offset is not None]
    if not inside or offsets[inside[0]][0] > first or offsets[inside[-1]][1] < last:
        return 0, 0
    start = max(i for i in inside if offsets[i][0] <= first)
    end = min(i for i in inside if offsets[i][1] >= last)
    return start, end


def peer_task(name: str, data_dir: Path, tokenizer, flags: dict):
    """The task of a name."""
    if name == "conll2003":
        return Tagging(data_dir, tokenizer, flags)
    if name == "swag":
        return MultipleChoice(data_dir, tokenizer, flags)
    if name in SQUAD_VERSIONS:
        return Squad(name, data_dir, tokenizer, flags)
    if name in GLUE:
        return Glue(name, data_dir, tokenizer, flags)
    known = ", ".join([*GLUE, "conll2003", *SQUAD_VERSIONS, "swag"])
    sys.exit(f"error: no reference is made for the task `{name}`; known: {known}")
