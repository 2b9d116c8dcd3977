"""Measures what several workers cost on this machine, and over a network of a given rate.

    python benches/workers/measure.py [--shapes 32x16,32x128] [--rates 10gbit,1gbit] [--rounds 2]

For each shape (rows of one worker x tokens) steps are timed by turns: one worker with one thread,
the same while another run has the other core, two workers with one thread each and twice the rows,
and one process with two threads and twice the rows. Two runs that share nothing show what the
machine allows: its cores share caches and memory. With `--rates`, two workers also run in network
namespaces of their own, joined by a cable of that rate; this needs root and Linux's `tbf`.
`--delays` adds delays each way, in milliseconds, and needs `--rates` and `netem`.

The texts are made up: words of the encoder's vocabulary, common ones more often (Zipf's law), so
that every row has exactly the wanted number of tokens.
"""

import argparse
import csv
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
SETTINGS = ["--learning-rate", "1e-4", "--epochs", "1", "--seed", "1"]
ADDRESSES = ("10.213.78.1", "10.213.78.2")


class Shape(NamedTuple):
    """The batch of one worker."""

    rows: int
    length: int

    @classmethod
    def parse(cls, text: str) -> "Shape":
        rows, _, length = text.partition("x")
        return cls(int(rows), int(length))

    def __str__(self) -> str:
        return f"{self.rows}x{self.length}"


def write_rows(path: Path, words: list[str], length: int, rows: int) -> None:
    """A table of texts that have `length` tokens with the two special ones, and a label."""
    draw = random.Random(length)
    weights = [1 / (rank + 10) for rank in range(len(words))]
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["text", "label"])
        for row in range(rows):
            text = " ".join(draw.choices(words, weights, k=length - 2))
            table.writerow([text, ("no", "yes")[row % 2]])


def plain_words(vocabulary: Path) -> list[str]:
    """The entries of a vocabulary that are whole words, most frequent first."""
    entries = vocabulary.read_text(encoding="utf-8").split("\n")
    return [entry for entry in entries if entry.isascii() and entry.isalpha() and entry.islower()]


def step_seconds(run: Path) -> float:
    """The mean time of a run's steps, without the first, which compiles. All have one shape."""
    (shape,) = json.loads((run / "result.json").read_text(encoding="utf-8"))["times"]["shapes"]
    return shape["step_seconds"]


class Bench:
    """Runs of the driver on one shape's data."""

    def __init__(self, args, shape: Shape, folder: Path) -> None:
        self.args, self.shape, self.folder = args, shape, folder
        words = plain_words(args.model / "assets.extra" / "vocab.txt")
        self.train, self.dev = folder / f"train-{shape.length}.csv", folder / "dev.csv"
        write_rows(self.train, words, shape.length, 2 * shape.rows * args.steps)
        write_rows(self.dev, words, shape.length, 2 * shape.rows)

    def command(self, rows: int, run: Path) -> list[str]:
        command = ["train", "--data", str(self.train), "--dev", str(self.dev), *SETTINGS]
        command += ["--text", "text", "--label", "label", "--model", str(self.args.model)]
        command += ["--max-length", str(self.shape.length), "--batch-size", str(rows)]
        command += ["--precision", self.args.precision, "--max-steps", str(self.args.steps)]
        return [*command, "--output", str(run), "--overwrite"]

    def one(self, rows: int, threads: int) -> float:
        """Seconds of a step of one process."""
        run = self.folder / "run"
        execute([self.args.tfbert, *self.command(rows, run), "--threads", str(threads)])
        return step_seconds(run)

    def apart(self) -> float:
        """Seconds of a step of one worker while another run has the other core."""
        command = self.command(self.shape.rows, self.folder / "beside")
        for flag in ("--max-steps", "--epochs"):
            command[command.index(flag) + 1] = "1000000"  # It is killed before it ends.
        beside = start([self.args.tfbert, *command, "--threads", "1"])
        try:
            return self.one(self.shape.rows, 1)
        finally:
            beside.kill()
            beside.communicate()

    def two(self) -> float:
        """Seconds of a step of two workers with one thread each."""
        run = self.folder / "run"
        launch = [self.args.tfbert, "launch", "--workers", "2", "--threads", "1", "--"]
        execute([*launch, *self.command(2 * self.shape.rows, run)])
        return step_seconds(run)

    def over_network(self, rate: str, delay: float) -> float:
        """Seconds of a step of two workers, each in a network namespace of its own."""
        run = self.folder / "run"
        with network(rate, delay) as namespaces:
            cluster = ",".join(f"{address}:2222" for address in ADDRESSES)
            workers = []
            for index, namespace in enumerate(namespaces):
                inside = ["ip", "netns", "exec", namespace, self.args.tfbert]
                command = self.command(2 * self.shape.rows, run)
                command += ["--cluster", cluster, "--worker-index", str(index), "--threads", "1"]
                workers.append(start([*inside, *command]))
            for worker in workers:
                finish(worker)
        return step_seconds(run)


@contextmanager
def network(rate: str, delay: float):
    """Two network namespaces, joined by a cable of a rate and with a delay of milliseconds."""
    names = [f"tfbert-bench-{os.getpid()}-{end}" for end in "ab"]
    try:
        for name in names:
            execute(["ip", "netns", "add", name])
        a, b = names
        cable = ["ip", "link", "add", "cable", "netns", a, "type", "veth"]
        execute([*cable, "peer", "name", "cable", "netns", b])
        for name, address in zip(names, ADDRESSES, strict=True):
            execute(["ip", "-n", name, "address", "add", f"{address}/24", "dev", "cable"])
            execute(["ip", "-n", name, "link", "set", "cable", "up"])
            execute(["ip", "-n", name, "link", "set", "lo", "up"])
            queue = ["tc", "-n", name, "qdisc", "add", "dev", "cable"]
            limit = ["rate", rate, "burst", "256kb", "latency", "100ms"]
            execute([*queue, "root", "handle", "1:", "tbf", *limit])
            if delay:
                execute([*queue, "parent", "1:1", "netem", "delay", f"{delay}ms"])
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def start(command: list) -> subprocess.Popen:
    words = [str(word) for word in command]
    pipe = subprocess.PIPE
    return subprocess.Popen(words, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)


def finish(process: subprocess.Popen) -> None:
    _, errors = process.communicate()
    if process.returncode != 0:
        last = "\n".join(errors.splitlines()[-5:])
        sys.exit(f"error: exit code {process.returncode} of: {' '.join(process.args)}\n{last}")


def execute(command: list) -> None:
    finish(start(command))


def shown(name: str, seconds: list[float]) -> float:
    """Prints a line; the median."""
    median = statistics.median(seconds)
    every = ", ".join(f"{value:.3f}" for value in seconds)
    print(f"  {name:<42} {median:.3f} s  ({every})", flush=True)
    return median


def measure(args, shape: Shape, folder: Path) -> dict:
    bench = Bench(args, shape, folder)
    kinds = {
        f"1 worker x 1 thread, {shape}": lambda: bench.one(shape.rows, 1),
        f"the same beside another run, {shape}": bench.apart,
        f"2 workers x 1 thread, {shape} each": bench.two,
        f"1 process x 2 threads, {2 * shape.rows}x{shape.length}": lambda: bench.one(
            2 * shape.rows, 2
        ),
    }
    for rate in args.rates:
        for delay in args.delays:
            name = f"2 workers, cable of {rate}, {delay} ms"
            kinds[name] = lambda rate=rate, delay=delay: bench.over_network(rate, delay)
    found: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(args.rounds):
        for name, run in kinds.items():
            found[name].append(run())
    print(f"{shape}, {args.precision}", flush=True)
    medians = [shown(name, seconds) for name, seconds in found.items()]
    alone, apart, two, threads = medians[:4]
    print(f"  efficiency of 2 workers: {alone / two:.2f}; of 2 runs apart: {alone / apart:.2f}")
    print(f"  2 workers beside 1 process of 2 threads: {threads / two:.2f}", flush=True)
    return {"shape": str(shape), "precision": args.precision, "steps": args.steps} | {
        "seconds": found
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shapes = [Shape(32, 16), Shape(32, 128)]
    parser.add_argument("--shapes", type=lambda t: list(map(Shape.parse, t.split(","))))
    parser.add_argument("--rates", type=lambda t: t.split(","), default=[], help="as tc takes them")
    parser.add_argument("--delays", type=lambda t: list(map(float, t.split(","))), default=[0.0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--tfbert", type=Path, default=ROOT / "target" / "release" / "tfbert")
    model = ROOT / "saved_models" / "workers" / "minilm-l6" / "classify"
    parser.add_argument("--model", type=Path, default=model, help="an export with --workers")
    parser.add_argument("--json", type=Path, help="a file for all times")
    args = parser.parse_args()
    if any(args.delays) and not args.rates:
        parser.error("--delays needs --rates")
    if not (args.model / "saved_model.pb").is_file():
        sys.exit(
            f"error: {args.model} is no export\nhint: .venv/bin/python -m python_export --encoder "
            "minilm-l6 --head classify --workers --output saved_models/workers"
        )
    os.environ.setdefault("TFBERT_CLUSTER_TOKEN", str(random.getrandbits(64)))
    with tempfile.TemporaryDirectory() as folder:
        found = [measure(args, shape, Path(folder)) for shape in args.shapes or shapes]
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
