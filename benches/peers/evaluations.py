"""The evaluation of development sets beside Hugging Face's Trainer, which groups rows by length
(tuned) or has the order and padding of transformers' example scripts (defaults)."""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from contenders import HERE, PEERS, best_form, fastest_precision, forms_to_repeat, run

# The batch size of every contender.
BATCH_SIZE = 32
HEADS = {"sst2": "classify", "squad": "span"}


def evaluations(args: argparse.Namespace) -> dict:
    """Times predicting the development sets of SST-2 and SQuAD, and the whole commands."""
    precision = fastest_precision(args, PEERS["torch"])
    with tempfile.TemporaryDirectory() as scratch:
        return {"evaluations": [one_set(args, task, precision, Path(scratch)) for task in HEADS]}


def one_set(args: argparse.Namespace, task: str, precision: str, scratch: Path) -> dict:
    data = ("--task", task, "--data-dir", str(args.data_dir))
    threads = ("--threads", str(args.threads))
    batch = ("--batch-size", str(BATCH_SIZE))
    model = str(args.model.parent / HEADS[task])
    ours = [str(args.tfbert), "train", *data, "--model", model, "--output", str(scratch / task)]
    ours += ["--precision", args.precision, "--max-steps", "1", "--limit-train", "64"]
    run([*ours, "--limit-dev", "8", "--json"], f"tfbert train {task}")
    ours = [str(args.tfbert), "eval", *data, "--model", str(scratch / task / "model"), *batch]
    ours += [*threads, "--precision", args.precision, "--json"]
    theirs = [sys.executable, str(HERE / "torch_eval.py"), *data, *batch, *threads]
    theirs += ["--output", str(scratch), "--precision", precision]
    # All batches of the defaults are of one length, so that a few tell the time of all.
    defaults = [*theirs, "--defaults", "--limit", str(args.default_steps)]
    forms = [form for form in PEERS["torch"].forms if not args.forms or form in args.forms]
    found: dict[str, list[dict]] = {"tfbert": [], **{form: [] for form in forms}}
    for round_number in range(args.rounds):
        our, whole = run(ours, f"tfbert eval {task}")
        found["tfbert"].append({"seconds": our["seconds"], "command_seconds": whole})
        seconds = {form: [one["seconds"] for one in found[form]] for form in forms}
        for form in forms_to_repeat(seconds) if round_number else forms:
            command = [*theirs, *PEERS["torch"].arguments(form)]
            their, whole = run(command, f"the Trainer ({form}), {task}")
            found[form].append({"seconds": their["seconds"], "command_seconds": whole})
    slow, _ = run(defaults, f"the Trainer by its defaults, {task}")
    seconds = {form: [one["seconds"] for one in found[form]] for form in forms}
    best = best_form(seconds)
    result = {"task": task, "precision": precision, "best": best, "rounds": found}
    result["default_seconds"] = slow["seconds"] * slow["features"] / slow["timed"]
    for form in forms:
        pairs = list(zip(found["tfbert"], found[form], strict=False))
        for kind in ("seconds", "command_seconds"):
            ratio = statistics.median(their[kind] / our[kind] for our, their in pairs)
            if form == best:
                result["ratio" if kind == "seconds" else "command_ratio"] = ratio
            ours_s, theirs_s = (statistics.median(pair[i][kind] for pair in pairs) for i in (0, 1))
            what = "the set" if kind == "seconds" else "the command"
            print(
                f"{task}, {what}: tfbert {ours_s:.2f} s, the Trainer ({form}, {precision}) "
                f"{theirs_s:.2f} s: {ratio:.2f}",
                flush=True,
            )
    print(f"{task}: the Trainer by its defaults {result['default_seconds']:.1f} s", flush=True)
    return result
