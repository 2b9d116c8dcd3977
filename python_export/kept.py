"""A checkpoint with its own head as a trained model: what its `tfbert.json` has under `trained`.

tfbert reads a task there: which texts an example has, the labels, and how to score them. The
checkpoint does not say, so the task is the plainest one with its head; `tfbert eval --task` takes
another.
"""

from .stored_head import StoredHead

# Labels of models that compare two texts.
_OF_PAIRS = {"entailment", "contradiction", "not_entailment", "equivalent", "duplicate"}
_LONGEST = 512
_METRICS = {
    "classify": ["accuracy"],
    "multilabel": ["micro_f1", "macro_f1"],
    "regress": ["pearson", "spearman"],
    "span": ["f1", "exact_match"],
    "tag": ["f1", "precision", "recall"],
    "choice": ["accuracy"],
}
_FORMATS = {"span": "squad", "tag": "conll"}


def reads_pairs(head: StoredHead) -> bool:
    """Whether the labels are those of a model that compares two texts."""
    return bool(_OF_PAIRS & {label.lower() for label in head.labels})


def training_record(head: StoredHead, name: str, max_length: int, pairs: bool) -> dict:
    """The object `trained` for a head; `pairs` is whether an example has two texts."""
    format_name = _FORMATS.get(head.name, "csv")
    ending = {"squad": "json", "conll": "txt"}.get(format_name, "csv")
    task = {
        "name": name,
        "description": "the head that the checkpoint brought",
        "head": head.name,
        "format": format_name,
        "dev": [{"name": "dev", "file": f"dev.{ending}"}],
        "columns": _columns(head.name, pairs),
        "metrics": _METRICS[head.name],
    }
    if head.labels:
        task["labels"] = list(head.labels)
    record = {
        "task": task,
        "labels": list(head.labels),
        "precision": "f32",
        "max_length": min(max_length, _LONGEST),
        "doc_stride": min(128, max_length // 4),
        "max_query_length": min(64, max_length // 4),
        "metrics": {},
    }
    if head.name == "multilabel":
        record["label_thresholds"] = [0.5] * len(head.labels)
    return record


def _columns(head, pairs):
    if head in ("span", "tag"):
        return {}
    if head == "choice":
        endings = [f"ending{index}" for index in range(4)]
        return {"context": "sent1", "start": "sent2", "endings": endings, "label": "label"}
    second = {"text_pair": "text_pair"} if pairs else {}
    return {"text": "text", **second, "label": "label"}
