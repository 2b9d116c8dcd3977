"""The contenders of `make bench-peers`: how each is run, its forms, and its fastest number format.

Every measurement is a process of its own. Standard library only.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TFBERT = "tfbert"
PRECISIONS = ("f32", "bf16")
# The batch that decides which number format is the faster one.
PROBE_SHAPE = "16x32"
# A form that takes longer than the best one by more than this is not measured again.
WORTH_REPEATING = 1.1


class Peer:
    """A program that tfbert is compared with, and the forms that it can be run in."""

    def __init__(self, name: str, script: str, forms: dict[str, list[str]]):
        self.name, self.script, self.forms = name, script, forms

    def arguments(self, form: str) -> list[str]:
        """The arguments of its scripts that choose a form."""
        return self.forms[form]


PEERS = {
    peer.name: peer
    for peer in (
        Peer("torch", "torch_step.py", {"eager": [], "compile": ["--compile"]}),
        Peer("keras", "keras_step.py", {"graph": [], "jit_compile": ["--jit-compile"]}),
    )
}


def timed(command: list[str], what: str, environment: dict | None = None) -> tuple[str, float]:
    """What a command printed, and the seconds that it took."""
    start = time.perf_counter()
    variables = {**os.environ, **(environment or {})}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        sys.exit(f"error: {what} ended with {done.returncode}\n{done.stderr.strip()[-2000:]}")
    return done.stdout, seconds


def run(command: list[str], what: str, environment: dict | None = None) -> tuple[dict, float]:
    """The JSON object on a command's last line, and the seconds that the command took."""
    printed, seconds = timed(command, what, environment)
    try:
        return json.loads(printed.strip().splitlines()[-1]), seconds
    except (IndexError, json.JSONDecodeError):
        sys.exit(f"error: {what} printed no JSON:\n{printed[-2000:]}")


def tfbert_step(args: argparse.Namespace, shape: str) -> dict:
    """What `tfbert bench` measures of a shape."""
    command = [str(args.tfbert), "bench", "--model", str(args.model), "--shapes", shape, "--json"]
    command += ["--precision", args.precision, "--threads", str(args.threads)]
    command += ["--steps", str(args.steps), "--warmup", str(args.warmup)]
    found = run(command, f"tfbert bench {shape}")[0]
    return {**found["shapes"][0], "precision": found["precision"]}


def peer_step(
    args: argparse.Namespace, peer: Peer, form: str, shape: str, precision: str, probe=False
) -> dict:
    """What a peer's script measures of a shape."""
    steps, warmup = (3, 1) if probe else (args.steps, args.warmup)
    command = [sys.executable, str(HERE / peer.script), "--model", str(args.model)]
    command += ["--shape", shape, "--precision", precision, "--threads", str(args.threads)]
    command += ["--steps", str(steps), "--warmup", str(warmup), *peer.arguments(form)]
    found = run(command, f"{peer.name} ({form}) {shape}")[0]
    return {**found["shapes"][0], "precision": precision}


def fastest_precision(args: argparse.Namespace, peer: Peer) -> str:
    """The number format in which a peer's step is the faster one on this machine.

    `auto` is measured: on some processors bf16 is emulated and many times slower. Where
    `--precision` or `--peer-precision` names one, that one counts.
    """
    chosen = args.peer_precision or args.precision
    if chosen != "auto":
        return chosen
    form = next(iter(peer.forms))
    seconds = {
        precision: peer_step(args, peer, form, PROBE_SHAPE, precision, probe=True)["step_seconds"]
        for precision in PRECISIONS
    }
    fastest = min(seconds, key=seconds.get)
    shown = ", ".join(f"{name} {value:.3f} s" for name, value in seconds.items())
    print(f"{peer.name}: a step of {PROBE_SHAPE} takes {shown}: {fastest}", file=sys.stderr)
    return fastest


def forms_to_repeat(seconds: dict[str, list[float]]) -> list[str]:
    """The forms that a further round measures: the best so far, and those near it."""
    middle = {form: statistics.median(values) for form, values in seconds.items() if values}
    best = min(middle.values())
    return [form for form, value in middle.items() if value <= WORTH_REPEATING * best]


def best_form(seconds: dict[str, list[float]]) -> str:
    """The form of the least median."""
    return min(
        (form for form, values in seconds.items() if values),
        key=lambda form: statistics.median(seconds[form]),
    )
