"""Whole runs beside Hugging Face's Trainer: training with its evaluations, from command to result.

tfbert runs twice in a round: cold, with an empty cache, and warm, with what the cold run kept
(tokenised features and compiled programs). The Trainer keeps nothing between runs, so one run of it
stands against both. `--no-warm` leaves the warm run out.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from contenders import (
    HERE,
    PEERS,
    ROOT,
    best_form,
    fastest_precision,
    forms_to_repeat,
    run,
    timed,
)

sys.path.append(str(ROOT / "benches" / "reproduce"))

from settings_file import Setting, read_setting

SETTINGS = HERE / "settings"
TRAINER = ROOT / "benches" / "reproduce" / "trainer.py"


def tasks() -> list[str]:
    """The runs that have a setting file."""
    return sorted(path.stem for path in SETTINGS.glob("*.toml"))


def runs(args: argparse.Namespace) -> dict:
    """Times the runs of the tasks that `--run` names."""
    precision = fastest_precision(args, PEERS["torch"])
    return {"runs": [one_task(args, task, precision) for task in args.run]}


def one_task(args: argparse.Namespace, task: str, precision: str) -> dict:
    setting = read_setting(SETTINGS / f"{task}.toml")
    print(f"{task}: {setting.description} {args.rounds} rounds, {args.threads} threads", flush=True)
    forms = [form for form in PEERS["torch"].forms if not args.forms or form in args.forms]
    ours: list[dict] = []
    theirs: dict[str, list[dict]] = {form: [] for form in forms}
    for round_number in range(args.rounds):
        with tempfile.TemporaryDirectory() as scratch:
            cold = run_tfbert(args, setting, Path(scratch), "cold")
            seconds = {form: [one["seconds"] for one in of] for form, of in theirs.items()}
            for form in forms_to_repeat(seconds) if round_number else forms:
                found = run_trainer(args, setting, Path(scratch), precision, form)
                theirs[form].append(found)
                print_run(task, f"Trainer {form}", found)
            ours.append({"cold": cold})
            if not args.no_warm:
                ours[-1]["warm"] = run_tfbert(args, setting, Path(scratch), "warm")
    seconds = {form: [one["seconds"] for one in of] for form, of in theirs.items()}
    best = best_form(seconds)
    result = {"task": task, "best": best, "tfbert": ours, "trainer": theirs}
    for kind in ours[0]:
        pairs = zip(ours, theirs[best], strict=False)
        ratios = [their["seconds"] / our[kind]["seconds"] for our, their in pairs]
        result[f"{kind}_ratio"] = statistics.median(ratios)
        each = " ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"{task}: Trainer ({best}) / tfbert {kind}: {result[f'{kind}_ratio']:.2f} of {each}")
    if not args.no_warm:
        result["cold_by_warm"] = statistics.median(
            our["cold"]["seconds"] / our["warm"]["seconds"] for our in ours
        )
    return result


def run_tfbert(args: argparse.Namespace, setting: Setting, scratch: Path, kind: str) -> dict:
    command = [str(args.tfbert), *setting.arguments(), "--data-dir", str(args.data_dir)]
    command += ["--model", str(args.model.parent / setting.head), "--seed", "1", "--json"]
    command += ["--output", str(scratch / "run"), "--overwrite", "--threads", str(args.threads)]
    command += ["--precision", args.precision, *limits(args)]
    cache = {"TFBERT_CACHE": str(scratch / "cache")}
    found, seconds = run(command, f"tfbert train, {setting.task}", cache)
    log = (scratch / "run" / "metrics.jsonl").read_text(encoding="utf-8")
    evaluations = [line for line in map(json.loads, log.splitlines()) if "metrics" in line]
    result = {
        "seconds": seconds,
        "precision": found["precision"],
        "steps": found["steps"],
        "metrics": {name: evaluations[-1]["metrics"][name] for name in setting.metrics},
        "padding": found["padding"],
        "times": found["times"],
    }
    print_run(setting.task, f"tfbert {kind}", result)
    return result


def run_trainer(
    args: argparse.Namespace, setting: Setting, scratch: Path, precision: str, form: str
) -> dict:
    output = scratch / "trainer.json"
    command = [sys.executable, str(TRAINER), str(SETTINGS / f"{setting.name}.toml")]
    command += ["--data-dir", str(args.data_dir), "--seed", "1", "--threads", str(args.threads)]
    command += ["--precision", precision, "--save-model", str(scratch / "model")]
    command += ["--output", str(output), *limits(args), *PEERS["torch"].arguments(form)]
    _, seconds = timed(command, f"the Trainer ({form}), {setting.task}")
    found = json.loads(output.read_text(encoding="utf-8"))
    last = found["evaluations"][-1]
    return {
        "seconds": seconds,
        "precision": precision,
        "steps": last["step"],
        "metrics": last["metrics"],
        "train_seconds": found["seconds"],
        "versions": found["versions"],
    }


def limits(args: argparse.Namespace) -> list[str]:
    return ["--max-steps", str(args.max_steps)] if args.max_steps else []


def print_run(task: str, contender: str, found: dict) -> None:
    scores = ", ".join(f"{name} {value or 0:.4f}" for name, value in found["metrics"].items())
    print(
        f"{task:>10} {contender:>16} {found['precision']:>5} {found['seconds']:>8.1f} s  "
        f"{found['steps']} steps, {scores}",
        flush=True,
    )
