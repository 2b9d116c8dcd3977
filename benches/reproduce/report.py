"""Writes results.json, docs/RESULTS.md and README's tables of scores from the runs' files.

    python report.py [--check]

With `--check` nothing is written, and a file that differs from what would be written is named.
Standard library only.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import NamedTuple

from compare import against_seeds, against_value, degenerate, sample, selected
from settings_file import HERE, ROOT, SIDES, Setting, read_runs, read_settings

# README's tables, each between two lines.
BLOCKS = ("summary", "scores")
METRICS = {
    "f1": "F1",
    "accuracy": "accuracy",
    "matthews_correlation": "Matthews correlation",
    "pearson": "Pearson",
    "spearman": "Spearman",
    "precision": "precision",
    "recall": "recall",
    "exact_match": "exact match",
}
# Where other processes used more cores than this on average, a time says little.
QUIET = 0.1

INTRODUCTION = """\
# Results

Made by `make reproduce` and `make reproduce-peers` from the settings in
`benches/reproduce/settings/`; do not edit it by hand. The scores of every seed are in
`benches/reproduce/runs/`, all numbers below also in `benches/reproduce/results.json`.

**The rule.** Two sides with seeds of their own agree where their means differ by less than twice
the standard error of the difference, √(sd₁²/n₁ + sd₂²/n₂). One published value agrees where it is
less than twice the seeds' standard deviation away. The limit is printed beside the difference. Two
equal sides "differ" by this rule about once in twenty comparisons, with 3 seeds more often than
with 5. One seed has no standard deviation, and no verdict.

**The selection** is the same on both sides: the evaluation after the last epoch, or the best of the
evaluations after each epoch, chosen by the first metric.
"""


def compared(setting: Setting, runs: dict[str, list[dict]], selection: str) -> dict:
    """For each metric both sides' values and what their comparison comes to."""
    first = setting.metrics[0]
    found = {}
    for metric in setting.metrics:
        sides = {}
        for side, of_side in runs.items():
            values = [selected(run["evaluations"], first, selection)[metric] for run in of_side]
            if values:
                sides[side] = {**sample(values)._asdict(), "values": values}
        line: dict = {"sides": sides}
        ours = sides.get("tfbert")
        verdict = None
        if ours and setting.published:
            verdict = against_value(sample(ours["values"]), setting.reference["values"][metric])
        elif ours and "trainer" in sides:
            theirs = sample(sides["trainer"]["values"])
            verdict = against_seeds(sample(ours["values"]), theirs)
        if verdict:
            line |= verdict._asdict()
        found[metric] = line
    return found


def results() -> dict:
    """All that is known, by setting."""
    found = {}
    for setting in read_settings():
        runs = {side: read_runs(setting, side) for side in SIDES}
        labels = None if setting.head != "classify" else 3 if setting.task == "mnli" else 2
        found[setting.name] = {
            "command": setting.command(),
            "encoder": setting.encoder,
            "reference": setting.reference,
            "last": compared(setting, runs, "last"),
            "best": compared(setting, runs, "best"),
            "runs": {
                side: [
                    {
                        "seed": run["seed"],
                        "degenerate": degenerate(run["evaluations"], setting.task, labels),
                        "seconds": run["seconds"],
                        "command_seconds": run.get("command_seconds"),
                        "quiet": quiet(run),
                        "threads": run["threads"],
                        "processor": run["processor"],
                        "versions": run["versions"],
                    }
                    for run in of_side
                ]
                for side, of_side in runs.items()
            },
        }
    return found


def quiet(run: dict) -> bool:
    """Whether the time of a run's whole command was measured, alone on the machine."""
    return not run.get("resumed") and run.get("busy_elsewhere", QUIET + 1) <= QUIET


def quiet_time(runs: list[dict]) -> float | None:
    """The mean time of the runs' whole commands, of those that were alone on the machine."""
    times = [run["command_seconds"] for run in runs if run["quiet"]]
    return statistics.fmean(times) if times else None


def spread(side: dict | None) -> str:
    """`0.8912 ± 0.0061 (5)`: the mean, the standard deviation, and the number of seeds."""
    if side is None:
        return ""
    deviation = "" if side["sd"] is None else f" ± {side['sd']:.4f}"
    return f"{side['mean']:.4f}{deviation} ({side['n']})"


def difference(line: dict) -> str:
    if "word" not in line:
        return ""
    limit = "" if line["limit"] is None else f" (limit {line['limit']:.4f})"
    return f"{line['difference']:+.4f}{limit}"


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def comparison_table(settings: list[Setting], found: dict, selection: str) -> str:
    header = ["setting", "metric", "tfbert", "Trainer", "difference", "verdict"]
    rows = []
    for setting in settings:
        for metric, line in found[setting.name][selection].items():
            sides = line["sides"]
            if sides:
                rows.append(
                    [
                        *(setting.name, METRICS[metric]),
                        *(spread(sides.get(side)) for side in SIDES),
                        *(difference(line), line.get("word", "one side not run yet")),
                    ]
                )
    return table(header, rows) if rows else "Nothing has been run yet.\n"


def seeds_table(settings: list[Setting], found: dict) -> str:
    rows = []
    for setting in settings:
        entry = found[setting.name]
        metric = setting.metrics[0]
        for side, line in entry["last"][metric]["sides"].items():
            runs = entry["runs"][side]
            values = [
                f"{run['seed']}: {value:.4f}{' (degenerate)' if run['degenerate'] else ''}"
                for run, value in zip(runs, line["values"], strict=True)
            ]
            seconds = quiet_time(runs)
            time = "the machine was shared" if seconds is None else f"{seconds:.0f} s"
            threads = ", ".join(sorted({str(run["threads"]) for run in runs}))
            rows.append([setting.name, side, METRICS[metric], ", ".join(values), time, threads])
    return table(["setting", "side", "metric", "seed: value", "mean time", "threads"], rows)


class Times(NamedTuple):
    """The times of both sides' whole commands on one kind of processor: their means in seconds."""

    processor: str
    seconds: dict[str, float]
    runs: dict[str, int]

    @property
    def ratio(self) -> float:
        """The Trainer's time divided by tfbert's."""
        return self.seconds["trainer"] / self.seconds["tfbert"]


def times_of(runs: dict) -> list[Times]:
    """The times of a setting, for each processor on which both sides ran alone."""
    found = []
    for processor in sorted({run["processor"] for side in SIDES for run in runs[side]}):
        of_side = {
            side: [run for run in runs[side] if run["processor"] == processor and run["quiet"]]
            for side in SIDES
        }
        if all(of_side.values()):
            seconds = {side: quiet_time(of_side[side]) for side in SIDES}
            found.append(Times(processor, seconds, {s: len(of_side[s]) for s in SIDES}))
    return found


def times_table(settings: list[Setting], found: dict) -> str:
    """The times of the whole commands."""
    rows = [
        [
            setting.name,
            *(f"{times.seconds[side]:.0f} s ({times.runs[side]})" for side in SIDES),
            f"{times.ratio:.2f}",
            times.processor,
        ]
        for setting in settings
        for times in times_of(found[setting.name]["runs"])
    ]
    header = ["setting", "tfbert", "Trainer", "Trainer / tfbert", "processor"]
    return table(header, rows) if rows else "No setting has a time of both sides yet.\n"


def machines(found: dict) -> str:
    """Where and with what the runs were made."""
    lines = set()
    for entry in found.values():
        for side, runs in entry["runs"].items():
            for run in runs:
                versions = ", ".join(f"{name} {what}" for name, what in run["versions"].items())
                lines.add(f"- {side}: {versions}; {run['processor']}")
    return "\n".join(sorted(lines)) + "\n"


def published_table(settings: list[Setting], found: dict) -> str:
    rows = []
    for setting in settings:
        for metric, line in found[setting.name]["last"].items():
            ours = line["sides"].get("tfbert")
            rows.append(
                [
                    *(setting.task, setting.encoder, METRICS[metric]),
                    f"{setting.reference['values'][metric]:.4f}",
                    spread(ours) or "not run here",
                    difference(line),
                    line.get("word", ""),
                    f"[source]({setting.reference['source']})",
                    f"`make reproduce ONLY={setting.name} ENCODER=FOLDER`",
                ]
            )
    header = ["task", "encoder", "metric", "published", "tfbert", "difference", "verdict"]
    return table([*header, "source", "command"], rows)


def markdown(settings: list[Setting], found: dict) -> str:
    """docs/RESULTS.md."""
    ours = [setting for setting in settings if not setting.published]
    notes: dict[str, list[str]] = {}
    for setting in settings:
        if "note" in setting.reference:
            notes.setdefault(setting.reference["note"], []).append(setting.name)
    parts = [
        INTRODUCTION,
        "## Beside Hugging Face's Trainer\n",
        "The same weights (MiniLM-L6) and settings, number format included; mean ± standard "
        "deviation (seeds).\n",
        "### After the last epoch\n",
        comparison_table(ours, found, "last"),
        "### The best epoch\n",
        comparison_table(ours, found, "best"),
        "### By seed, after the last epoch\n",
        seeds_table(ours, found),
        "A run is degenerate where it learned nothing: its last loss is that of a guess, or (CoLA) "
        "its correlation is 0. Such runs are counted like the others.\n",
        "### Times\n",
        "From the command's start to its end, evaluations included; the mean (seeds). Only runs "
        "that were alone on the machine count. The two sides did not run by turns, so a virtual "
        "machine whose host is busier at one time than at another shifts the ratio.\n",
        times_table(ours, found),
        "### Settings\n",
        table(
            ["setting", "what it is", "command"],
            [[s.name, s.description, f"`{s.command()}`"] for s in ours],
        ),
        "### Versions and processors\n",
        machines(found),
        "## Published figures\n",
        "For encoders that you bring: FOLDER holds the encoder in Hugging Face's layout. The "
        "published figures are of one run, or of the best of a few.\n",
        published_table([s for s in settings if s.published], found),
        "\n".join(f"- {', '.join(names)}: {note}." for note, names in notes.items()) + "\n",
    ]
    return "\n".join(parts)


def readme_summary(settings: list[Setting], found: dict) -> str:
    """README's first table: scores and times beside the Trainer's, by the first metric, of the
    settings that both sides ran."""
    rows = []
    for setting in settings:
        entry = found[setting.name]
        sides = entry["last"][setting.metrics[0]]["sides"]
        if setting.published or len(sides) < len(SIDES):
            continue
        times = times_of(entry["runs"])
        # Of several processors the one of most runs.
        best = max(times, key=lambda time: sum(time.runs.values()), default=None)
        seconds = [f"{best.seconds[side]:.0f} s" for side in SIDES] if best else ["", ""]
        rows.append(
            [
                *(setting.name, METRICS[setting.metrics[0]]),
                *(spread(sides[side]) for side in SIDES),
                *seconds,
                f"{best.ratio:.2f}" if best else "",
            ]
        )
    header = ["setting", "metric", "tfbert", "Trainer", "time of tfbert", "of the Trainer", "ratio"]
    return table(header, rows)


def readme_table(settings: list[Setting], found: dict) -> str:
    """README's table of scores: each setting that tfbert ran, by its first metric."""
    rows = []
    for setting in settings:
        line = found[setting.name]["last"][setting.metrics[0]]
        if not setting.published and "tfbert" in line["sides"]:
            sides = line["sides"]
            rows.append(
                [
                    *(setting.name, METRICS[setting.metrics[0]]),
                    *(spread(sides.get(side)) for side in SIDES),
                    line.get("word", "not compared yet"),
                    f"`{setting.command()}`",
                ]
            )
    header = ["setting", "metric", "tfbert", "Trainer", "verdict", "command"]
    return table(header, rows)


def limits(block: str) -> tuple[str, str]:
    """The lines before and behind one of README's tables."""
    begin = f"<!-- {block}: written by benches/reproduce/report.py from results.json -->"
    return begin, f"<!-- {block}: end -->"


def replaced(readme: str, block: str, text: str) -> str:
    """README with another text in one of its blocks."""
    begin, end = limits(block)
    if begin not in readme or end not in readme:
        sys.exit(f"error: README.md lacks the lines\n{begin}\n{end}\nhint: put them back")
    before, rest = readme.split(begin, 1)
    return f"{before}{begin}\n\n{text}\n{end}{rest.split(end, 1)[1]}"


def files() -> dict[Path, str]:
    """Every file that is written, and its text."""
    settings, found = read_settings(), results()
    path = ROOT / "README.md"
    readme = path.read_text(encoding="utf-8")
    for block, made in zip(BLOCKS, (readme_summary, readme_table), strict=True):
        readme = replaced(readme, block, made(settings, found))
    return {
        HERE / "results.json": json.dumps(found, indent=1) + "\n",
        ROOT / "docs" / "RESULTS.md": markdown(settings, found),
        path: readme,
    }


def write() -> None:
    """Writes every file that changed."""
    for path, text in files().items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"written: {path.relative_to(ROOT)}", file=sys.stderr)


def stale() -> list[str]:
    """The files that differ from what would be written."""
    return [
        str(path.relative_to(ROOT))
        for path, text in files().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing, name what differs")
    if not parser.parse_args().check:
        write()
    elif found := stale():
        sys.exit(f"error: not what the runs say: {', '.join(found)}\nhint: make results")


if __name__ == "__main__":
    main()
