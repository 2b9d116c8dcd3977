"""Times tfbert and its peers by turns: training steps of the same shapes, an SST-2 epoch, the
evaluation of development sets, or the tokenisation of a training file.

Every measurement is a process of its own, and the contenders take turns (A B A B), so that other
load on the machine affects all of them alike. Ratios are formed within a round; the median of the
rounds counts. A ratio above 1 says that tfbert is faster, or takes less memory. The result is
written to `benches/runs/` with the commit and the processor.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import record

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORKERS = {"torch": "torch_step.py", "keras": "keras_step.py"}
# The batch size of every contender.
BATCH_SIZE = 32


def run(command: list[str], what: str) -> tuple[dict, float]:
    """The JSON object on a command's last line, and the seconds that the command took."""
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        sys.exit(f"error: {what} ended with {done.returncode}\n{done.stderr.strip()[-2000:]}")
    try:
        return json.loads(done.stdout.strip().splitlines()[-1]), seconds
    except (IndexError, json.JSONDecodeError):
        sys.exit(f"error: {what} printed no JSON:\n{done.stdout[-2000:]}")


def tfbert_step(args: argparse.Namespace, shape: str) -> dict:
    command = [str(args.tfbert), "bench", "--model", str(args.model), "--shapes", shape, "--json"]
    command += ["--precision", args.precision]
    command += ["--steps", str(args.steps), "--warmup", str(args.warmup)]
    return run(command, f"tfbert bench {shape}")[0]["shapes"][0]


def peer_step(args: argparse.Namespace, peer: str, shape: str) -> dict:
    command = [sys.executable, str(HERE / WORKERS[peer]), "--model", str(args.model)]
    command += ["--shape", shape, "--precision", args.precision]
    command += ["--steps", str(args.steps), "--warmup", str(args.warmup)]
    return run(command, f"{peer} {shape}")[0]["shapes"][0]


def steps(args: argparse.Namespace) -> dict:
    """Times a training step of each shape."""
    results = []
    print(f"one training step in {args.precision}, {args.rounds} rounds of {args.steps} steps")
    columns = f"{'shape':>9} {'peer':>6} {'tfbert s':>9} {'peer s':>9} {'ratio':>6}"
    print(f"{columns}  {'rounds':<20} memory")
    for shape in args.shapes:
        found: dict[str, list[dict]] = {name: [] for name in ["tfbert", *args.peers]}
        for _ in range(args.rounds):
            found["tfbert"].append(tfbert_step(args, shape))
            for peer in args.peers:
                found[peer].append(peer_step(args, peer, shape))
        for peer in args.peers:
            pairs = list(zip(found["tfbert"], found[peer], strict=True))
            ratios = [theirs["step_seconds"] / ours["step_seconds"] for ours, theirs in pairs]
            memory = statistics.median(
                theirs["peak_memory_bytes"] / ours["peak_memory_bytes"] for ours, theirs in pairs
            )
            result = {
                "shape": shape,
                "peer": peer,
                "step_seconds": statistics.median(ours["step_seconds"] for ours, _ in pairs),
                "peer_step_seconds": statistics.median(t["step_seconds"] for _, t in pairs),
                "ratio": statistics.median(ratios),
                "ratios": ratios,
                "first_step_seconds": statistics.median(o["first_step_seconds"] for o, _ in pairs),
                "peer_first_step_seconds": statistics.median(
                    t["first_step_seconds"] for _, t in pairs
                ),
                "memory_ratio": memory,
                "peak_memory_bytes": max(ours["peak_memory_bytes"] for ours, _ in pairs),
                "peer_peak_memory_bytes": max(t["peak_memory_bytes"] for _, t in pairs),
            }
            results.append(result)
            print(
                f"{shape:>9} {peer:>6} {result['step_seconds']:>9.4f} "
                f"{result['peer_step_seconds']:>9.4f} {result['ratio']:>6.2f}  "
                f"{' '.join(f'{ratio:.2f}' for ratio in ratios):<20} {memory:.2f}",
                flush=True,
            )
    return {"precision": args.precision, "steps": args.steps, "shapes": results}


def epoch(args: argparse.Namespace) -> dict:
    """Times an SST-2 epoch, and the peer's defaults for some steps."""
    train = args.data_dir / "SST-2" / "train.tsv"
    if not train.is_file():
        sys.exit(f"error: {train} is missing\nhint: name the folder of SST-2 with --data-dir")
    with tempfile.TemporaryDirectory() as scratch:
        ours_command = [
            *(str(args.tfbert), "train", "--task", "sst2", "--data-dir", str(args.data_dir)),
            *("--model", str(args.model), "--epochs", "1", "--batch-size", str(BATCH_SIZE)),
            *("--learning-rate", "1e-4", "--precision", args.precision, "--json"),
            *("--output", str(Path(scratch) / "tfbert"), "--overwrite"),
        ]
        peer_command = [
            *(sys.executable, str(HERE / "torch_epoch.py"), "--data-dir", str(args.data_dir)),
            *("--output", str(Path(scratch) / "torch")),
        ]
        if args.max_steps:
            ours_command += ["--max-steps", str(args.max_steps)]
            peer_command += ["--max-steps", str(args.max_steps)]
        defaults = [*peer_command[:6], "--defaults", "--max-steps", str(args.default_steps)]
        rounds = []
        for _ in range(args.rounds):
            ours, our_seconds = run(ours_command, "tfbert train")
            theirs, their_seconds = run(peer_command, "the Trainer, tuned")
            slow, _ = run(defaults, "the Trainer by its defaults")
            # By steps: an epoch by the defaults takes an hour or more.
            ours_rate = ours["steps"] / ours["train_seconds"]
            rounds.append(
                {
                    "seconds": our_seconds,
                    "peer_seconds": their_seconds,
                    "ratio": their_seconds / our_seconds,
                    "ratio_to_defaults": ours_rate / slow["steps_per_second"],
                    "tfbert": ours,
                    "tuned": theirs,
                    "defaults": slow,
                }
            )
            last = rounds[-1]
            print(
                f"tfbert {our_seconds:.1f} s (accuracy {ours['metrics']['accuracy']:.4f}), "
                f"Trainer tuned {their_seconds:.1f} s (accuracy {theirs['accuracy'] or 0:.4f}): "
                f"{last['ratio']:.2f}x; by its defaults {last['ratio_to_defaults']:.1f}x by steps",
                flush=True,
            )
    return {
        "epoch": "sst2",
        "ratio": statistics.median(found["ratio"] for found in rounds),
        "ratio_to_defaults": statistics.median(found["ratio_to_defaults"] for found in rounds),
        "rounds": rounds,
    }


def evaluations(args: argparse.Namespace) -> dict:
    """Times predicting the development sets of SST-2 and SQuAD in bf16, and the whole commands."""
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        for task, head in (("sst2", "classify"), ("squad", "span")):
            run_dir = Path(scratch) / task
            data = ("--task", task, "--data-dir", str(args.data_dir))
            model = str(args.model.parent / head)
            ours = [str(args.tfbert), "train", *data, "--model", model, "--output", str(run_dir)]
            ours += ["--precision", "bf16", "--max-steps", "1", "--limit-train", "64"]
            run([*ours, "--limit-dev", "8", "--json"], f"tfbert train {task}")
            batch = ("--batch-size", str(BATCH_SIZE))
            ours = [str(args.tfbert), "eval", *data, "--model", str(run_dir / "model"), *batch]
            theirs = [sys.executable, str(HERE / "torch_eval.py"), *data, *batch]
            theirs += ["--output", scratch]
            # All batches of the defaults are of one length, so that a few tell the time of all.
            defaults = [*theirs, "--defaults", "--limit", str(args.default_steps)]
            rounds = []
            for _ in range(args.rounds):
                our, whole = run([*ours, "--precision", "bf16", "--json"], f"tfbert eval {task}")
                their, their_whole = run(theirs, f"the Trainer, {task}")
                slow, _ = run(defaults, f"the Trainer by its defaults, {task}")
                found = {"seconds": our["seconds"], "peer_seconds": their["seconds"]}
                found["default_seconds"] = slow["seconds"] * slow["features"] / slow["timed"]
                ours_s, tuned_s, slow_s = found.values()
                found |= {"command_seconds": whole, "peer_command_seconds": their_whole}
                rounds.append(found)
                print(
                    f"{task}: {ours_s:.2f} s, the Trainer tuned {tuned_s:.2f} s "
                    f"({tuned_s / ours_s:.2f}x), by its defaults {slow_s:.1f} s "
                    f"({slow_s / ours_s:.1f}x); the commands {whole:.1f} s and "
                    f"{their_whole:.1f} s ({their_whole / whole:.1f}x)",
                    flush=True,
                )
            result = {"task": task, "rounds": rounds}
            for ratio, peer in (("ratio", "peer"), ("ratio_to_defaults", "default")):
                result[ratio] = statistics.median(
                    r[f"{peer}_seconds"] / r["seconds"] for r in rounds
                )
            results.append(result)
    return {"evaluations": results}


def tokenisation(args: argparse.Namespace) -> dict:
    """Times SQuAD's training file from text to windows, with the same threads."""
    data = ("--data-dir", str(args.data_dir))
    rounds = []
    with tempfile.TemporaryDirectory() as scratch:
        ours = [str(args.tfbert), "train", "--task", "squad", *data, "--no-cache", "--overwrite"]
        ours += ["--model", str(args.model.parent / "span"), "--output", scratch + "/run"]
        ours += ["--max-steps", "1", "--limit-dev", "8", "--json"]
        for _ in range(args.rounds):
            our, _ = run(ours, "tfbert train")
            their, _ = run([sys.executable, str(HERE / "hf_tokenise.py"), *data], "tokenizers")
            rounds.append(
                {
                    "seconds": our["tokenise_seconds"],
                    "peer_seconds": their["seconds"],
                    "ratio": their["seconds"] / our["tokenise_seconds"],
                }
            )
            seconds = f"{our['tokenise_seconds']:.2f} s to {their['seconds']:.2f} s"
            print(
                f"SQuAD's training file: {seconds} "
                f"({our['train_examples']} and {their['features']} windows): "
                f"{rounds[-1]['ratio']:.2f}x",
                flush=True,
            )
    return {"tokenisation": statistics.median(r["ratio"] for r in rounds), "rounds": rounds}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = {"type": lambda text: text.split(",")}
    parser.add_argument("--tfbert", type=Path, default=ROOT / "target" / "release" / "tfbert")
    parser.add_argument("--model", type=Path, default=ROOT / "saved_models/minilm-l6/classify")
    parser.add_argument("--shapes", default=["32x16", "32x32", "32x128"], **names)
    parser.add_argument("--peers", default=["torch"], help="torch, keras", **names)
    parser.add_argument("--precision", choices=["f32", "bf16"], default="bf16")
    parser.add_argument("--steps", type=int, default=9, help="timed steps of a shape and round")
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epoch", action="store_true", help="an SST-2 epoch instead of steps")
    parser.add_argument("--evaluate", action="store_true", help="development sets instead")
    parser.add_argument("--tokenise", action="store_true", help="SQuAD's training file instead")
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("TFBERT_DATA", "data"))
    parser.add_argument("--max-steps", type=int, help="with --epoch: only so many updates of it")
    parser.add_argument("--default-steps", type=int, default=30, help="batches by the defaults")
    parser.add_argument("--output", type=Path, help="the result's file [default: in benches/runs]")
    args = parser.parse_args()
    unknown = set(args.peers) - set(WORKERS)
    if unknown:
        parser.error(f"unknown peers: {', '.join(sorted(unknown))}; choose from torch, keras")
    chosen = [(args.epoch, epoch), (args.evaluate, evaluations), (args.tokenise, tokenisation)]
    measure = next((function for wanted, function in chosen if wanted), steps)
    result = measure(args)
    written = record.write(result, measure.__name__, sys.argv[1:], args.output)
    print(f"wrote {written}", file=sys.stderr)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
