"""The statistics of a comparison, and its verdict. Standard library only."""

import math
import statistics
from typing import NamedTuple


class Sample(NamedTuple):
    """One metric of several seeds: the mean, the standard deviation, and how many seeds."""

    mean: float
    sd: float | None
    n: int


class Verdict(NamedTuple):
    """A difference of two means, the most that counts as agreement, and what follows."""

    difference: float
    limit: float | None
    word: str


def sample(values: list[float]) -> Sample:
    """Mean and standard deviation (of a sample: n - 1); one value has no deviation."""
    sd = statistics.stdev(values) if len(values) > 1 else None
    return Sample(statistics.fmean(values), sd, len(values))


def against_seeds(ours: Sample, theirs: Sample) -> Verdict:
    """Two sides with seeds of their own: the limit is twice the standard error of the difference.

    Two equal sides come to "differs" once in twenty, and more often with 3 seeds than with 5.
    """
    if ours.sd is None or theirs.sd is None:
        return verdict(ours.mean - theirs.mean, None)
    error = math.sqrt(ours.sd**2 / ours.n + theirs.sd**2 / theirs.n)
    return verdict(ours.mean - theirs.mean, 2 * error)


def against_value(ours: Sample, value: float) -> Verdict:
    """A published value of one run: the limit is twice the seeds' standard deviation."""
    return verdict(ours.mean - value, None if ours.sd is None else 2 * ours.sd)


def verdict(difference: float, limit: float | None) -> Verdict:
    if limit is None:
        return Verdict(difference, None, "one seed: no verdict")
    if abs(difference) < limit or difference == 0:
        return Verdict(difference, limit, "agrees")
    return Verdict(difference, limit, "differs: higher" if difference > 0 else "differs: lower")


def selected(evaluations: list[dict], metric: str, selection: str) -> dict:
    """The metrics of the last evaluation, or of the best by `metric` (the first of equal ones).

    An undefined value, null in tfbert's files, counts as 0, which scikit-learn and so the Trainer's
    script give for it.
    """
    found = [
        {name: 0.0 if value is None else value for name, value in evaluation["metrics"].items()}
        for evaluation in evaluations
    ]
    return found[-1] if selection == "last" else max(found, key=lambda values: values[metric])


def degenerate(evaluations: list[dict], task: str, labels: int | None) -> bool:
    """Whether a run of a classifier learned nothing: it scores as one class for all rows would.

    CoLA's correlation is then 0. Elsewhere the last loss is still that of a guess.
    """
    last = evaluations[-1]
    if task == "cola":
        return last["metrics"]["matthews_correlation"] in (None, 0)
    if labels is None or last.get("loss") is None:
        return False
    return last["loss"] > 0.99 * math.log(labels)
