"""Checks tfbert on a GPU, and times it beside PyTorch: `make gpu-check`.

1. A GPU is there and TensorFlow uses it. Without one the check ends here, with exit code 0.
2. Parity: 100 steps of MiniLM-L6 follow PyTorch's losses in 32-bit floats (without TF32) and stay
   near them in bf16, with the training graph and with the whole-step graph.
3. Training on the shipped sample is interrupted and resumed, and `tfbert eval` repeats the scores.
4. Training steps of four shapes in bf16, by turns with PyTorch (SDPA attention, fused AdamW, eager
   and compiled): sequences a second, and the share of the card's measured rate of matrix products.

The result is written to `benches/runs/`. Standard library only; the peers run in `.venv-peers`.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

sys.path.append(str(Path(__file__).resolve().parents[1] / "peers"))

import record

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / "benches" / "peers"
PYTHON = ROOT / ".venv" / "bin" / "python"
PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
EXPORTS = ROOT / "saved_models" / "whole-step"
# The most that a loss of the curve may differ from PyTorch's.
LOSS = {"f32": 1e-3, "bf16": 5e-2}


class Encoder(NamedTuple):
    """What is timed: an export's name, the sizes of a random encoder, the batches."""

    name: str
    size: str | None
    shapes: list[str]


ENCODERS = [
    Encoder("minilm-l6", None, ["256x128"]),
    Encoder("random-bert-base", "base", ["64x128", "32x384"]),
    Encoder("random-bert-large", "large", ["16x384"]),
]


class Problem(Exception):
    """What a check found wrong."""


def call(command: list, what: str, environment: dict | None = None) -> str:
    """What a command printed; a Problem where it failed."""
    variables = {**os.environ, **(environment or {})}
    command = [str(part) for part in command]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env=variables
    )
    if done.returncode != 0:
        raise Problem(f"{what} ended with {done.returncode}:\n{done.stderr.strip()[-1500:]}")
    return done.stdout


def last_json(printed: str) -> dict:
    return json.loads(printed.strip().splitlines()[-1])


def gpu_of(doctor: str) -> str | None:
    """The GPU that `tfbert doctor` names, None where there is none to use; a Problem where
    TensorFlow cannot use the one that is there."""
    lines = [line.strip() for line in doctor.splitlines()]
    gpus = [line.partition("GPU: ") for line in lines if "GPU: " in line]
    for word, _, rest in gpus:
        if word.startswith("FIX"):
            raise Problem(f"the GPU cannot be used: {rest}")
    if not gpus or any(rest.startswith("not used") for *_, rest in gpus):
        return None
    return gpus[0][2]


def find_gpu(tfbert: Path) -> str | None:
    command = [str(tfbert), "doctor"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if not done.stdout:
        raise Problem(f"tfbert doctor: {done.stderr.strip()}")
    return gpu_of(done.stdout)


def prepare() -> None:
    """Makes the exports, each with its whole-step graph, and the peers' environment."""
    call(["make", ".venv-peers/.installed"], "installing PyTorch")
    for encoder in ENCODERS:
        source = encoder.name
        if encoder.size:
            source = ROOT / "target" / encoder.name
            if not (source / "config.json").is_file():
                script = [PEERS_PYTHON, PEERS / "random_bert.py", source, "--size", encoder.size]
                call(script, f"drawing {encoder.name}")
        print(f"exporting {encoder.name} …", file=sys.stderr, flush=True)
        command = [PYTHON, "-m", "python_export", "--encoder", source, "--head", "classify"]
        call([*command, "--whole-step", "--output", EXPORTS], f"exporting {encoder.name}")


def model(encoder: Encoder) -> Path:
    return EXPORTS / encoder.name / "classify"


def losses(run: Path) -> list[float]:
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [line["loss"] for line in map(json.loads, lines) if "grad_norm" in line]


def parity(tfbert: Path, scratch: Path) -> list[dict]:
    """The largest distance of a loss from PyTorch's, for each number format and graph."""
    golden = json.loads((ROOT / "tests/golden/loss_curve.json").read_text(encoding="utf-8"))
    flags = list(golden["flags"])
    at = flags.index("--precision")
    found = []
    for precision in ("f32", "bf16"):
        for whole_step in ("off", "on"):
            flags[at + 1] = precision
            run = scratch / f"{precision}-{whole_step}"
            command = [tfbert, "train", *flags, "--whole-step", whole_step]
            command += ["--model", model(ENCODERS[0]), "--output", run]
            what = f"parity in {precision}, whole step {whole_step}"
            call(command, what, {"NVIDIA_TF32_OVERRIDE": "0"})
            pairs = zip(losses(run), golden["loss"], strict=True)
            distance = max(abs(ours - theirs) for ours, theirs in pairs)
            if not distance < LOSS[precision]:
                raise Problem(f"{what}: a loss is {distance:.2e} from PyTorch's")
            print(f"ok   {what}: losses within {distance:.1e} of PyTorch's", flush=True)
            found.append({"precision": precision, "whole_step": whole_step, "distance": distance})
    return found


def interrupted(tfbert: Path, scratch: Path) -> dict:
    """Interrupts a run at its first checkpoint, resumes it, and evaluates its model."""
    run = scratch / "resumed"
    data = ["--task", "sst2", "--data-dir", "data"]
    command = [str(tfbert), "train", *data, "--model", str(model(ENCODERS[0]))]
    command += ["--learning-rate", "1e-4", "--save-steps", "10", "--json", "--output", str(run)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 600
    while process.poll() is None and not list(run.glob("checkpoints/step-*")):
        if time.monotonic() > deadline:
            process.kill()
            raise Problem("training wrote no checkpoint in ten minutes")
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.wait()
    trained = last_json(call([*command, "--resume"], "resuming"))
    evaluate = [tfbert, "eval", *data, "--model", run / "model", "--json"]
    again = last_json(call(evaluate, "tfbert eval"))
    for name, value in trained["metrics"].items():
        if abs(again["metrics"][name] - value) > 0.01:
            raise Problem(f"tfbert eval: {name} {again['metrics'][name]}, training had {value}")
    print(f"ok   interrupted and resumed: {trained['metrics']}", flush=True)
    return {"metrics": trained["metrics"], "seconds": trained["seconds"]}


def bench(tfbert: Path, encoder: Encoder, shape: str, whole_step: str) -> dict:
    command = [tfbert, "bench", "--model", model(encoder), "--shapes", shape, "--json"]
    command += ["--precision", "bf16", "--whole-step", whole_step]
    found = last_json(call(command, f"tfbert bench {encoder.name} {shape}"))
    shape_found = found["shapes"][0]
    return {**shape_found, "peak_gflops_per_second": found["peak_gflops_per_second"]}


def peer(encoder: Encoder, shape: str, compiled: bool) -> dict:
    command = [PEERS_PYTHON, PEERS / "torch_step.py", "--model", model(encoder)]
    command += ["--shape", shape, "--precision", "bf16", "--device", "cuda"]
    command += ["--steps", "15"] + (["--compile"] if compiled else [])
    return last_json(call(command, f"PyTorch {encoder.name} {shape}"))["shapes"][0]


def steps(tfbert: Path, rounds: int) -> list[dict]:
    """Steps of each shape by turns; a row of the table for each contender, of its fastest round."""
    print(
        f"{'encoder':>18} {'shape':>8} {'contender':>20} {'step ms':>9} {'seq/s':>8} {'of rate':>8}"
    )
    results = []
    for encoder in ENCODERS:
        for shape in encoder.shapes:
            contenders = {
                "tfbert": lambda e=encoder, s=shape: bench(tfbert, e, s, "off"),
                "tfbert whole step": lambda e=encoder, s=shape: bench(tfbert, e, s, "on"),
                "PyTorch": lambda e=encoder, s=shape: peer(e, s, False),
                "PyTorch compiled": lambda e=encoder, s=shape: peer(e, s, True),
            }
            found = {name: [] for name in contenders}
            for _ in range(rounds):
                for name, measure in contenders.items():
                    found[name].append(measure())
            results += rows(encoder, shape, found)
    return results


def rows(encoder: Encoder, shape: str, found: dict[str, list[dict]]) -> list[dict]:
    sequences = int(shape.split("x")[0])
    ours = found["tfbert"][0]
    result = []
    for name, measured in found.items():
        seconds = min(one["step_seconds"] for one in measured)
        # The operations that a step needs. PyTorch computes more: every position of the last layer.
        share = ours["step_gflop"] / seconds / ours["peak_gflops_per_second"]
        row = {"encoder": encoder.name, "shape": shape, "contender": name}
        row |= {"step_seconds": seconds, "sequences_per_second": sequences / seconds}
        row |= {"share_of_rate": share, "rounds": [one["step_seconds"] for one in measured]}
        result.append(row)
        print(
            f"{encoder.name:>18} {shape:>8} {name:>20} {1e3 * seconds:>9.2f} "
            f"{sequences / seconds:>8.0f} {share:>8.1%}",
            flush=True,
        )
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tfbert", type=Path, default=ROOT / "target" / "release" / "tfbert")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--output", type=Path, help="the result's file [default: in benches/runs]")
    args = parser.parse_args()
    try:
        gpu = find_gpu(args.tfbert)
        if gpu is None:
            print("no GPU: nothing was checked")
            return
        print(f"ok   GPU: {gpu}", flush=True)
        prepare()
        with tempfile.TemporaryDirectory() as scratch:
            result = {"gpu": gpu, "parity": parity(args.tfbert, Path(scratch))}
            result["resumed"] = interrupted(args.tfbert, Path(scratch))
        result["steps"] = steps(args.tfbert, args.rounds)
    except Problem as problem:
        sys.exit(f"error: {problem}")
    written = record.write(result, "gpu-check", sys.argv[1:], args.output)
    print(f"wrote {written}", file=sys.stderr)


if __name__ == "__main__":
    main()
