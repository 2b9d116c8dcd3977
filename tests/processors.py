"""Runs the tests that depend on the processor as on other processors: `make test-processors`.

oneDNN's kernels follow ONEDNN_MAX_CPU_ISA, and TF_ENABLE_ONEDNN_OPTS turns them on and off. TensorFlow's
own kernels and XLA's follow the processor itself, so this emulates what differs most, not all.
Processors that this machine cannot emulate are left out with the reason. Standard library only.

    python tests/processors.py [--only AVX2,SSE41] [--onednn 0,1]
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What oneDNN's limits need of the processor, as Linux names it.
PROCESSORS = {
    "SSE41": "sse4_1",
    "AVX2": "avx2",
    "AVX512_CORE": "avx512f",
    "AVX512_CORE_BF16": "avx512_bf16",
    "AVX512_CORE_AMX": "amx_bf16",
}
# The test crates that start the binary, and the tests of the graphs.
RUST = ["whole_way", "every_task", "question_answering", "resume", "seeds", "serving"]
RUST += ["loss_curve", "bench", "whole_step", "processors"]
PYTHON = ["test_graphs.py", "test_parity.py", "test_dropout.py", "test_whole_step.py"]
# The highest CPUID leaf that describes AMX's tiles; some hypervisors hide it.
AMX_PALETTES_LEAF = 0x1D


def why_not(name: str, cpuinfo: Path = Path("/proc/cpuinfo")) -> str | None:
    """Why this machine cannot emulate a processor, or None where it can."""
    try:
        lines = cpuinfo.read_text().split("\n\n")[0].splitlines()
    except OSError:
        return f"{cpuinfo} cannot be read"
    facts = {
        key.strip(): value for key, _, value in (line.partition(":") for line in lines)
    }
    if PROCESSORS[name] not in facts.get("flags", "").split():
        return f"this processor has no {PROCESSORS[name]}"
    palettes = int(facts.get("cpuid level", AMX_PALETTES_LEAF)) >= AMX_PALETTES_LEAF
    if name.endswith("AMX") and not palettes:
        return "the hypervisor hides the layout of AMX's tiles"
    return None


def commands() -> list[tuple[str, list[str]]]:
    rust = [argument for name in RUST for argument in ("--test", name)]
    python = [f"python_export/tests/{name}" for name in PYTHON]
    return [
        ("Rust", ["cargo", "test", "--quiet", "--locked", *rust]),
        (
            "Python",
            [str(ROOT / ".venv/bin/python"), "-m", "pytest", "-q", "-rs", *python],
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", default=",".join(PROCESSORS), help="the limits to test, by commas"
    )
    parser.add_argument(
        "--onednn", default="0,1", help="values of TF_ENABLE_ONEDNN_OPTS"
    )
    args = parser.parse_args()
    names = args.only.split(",")
    if unknown := [name for name in names if name not in PROCESSORS]:
        parser.error(
            f"unknown {', '.join(unknown)}; choose from {', '.join(PROCESSORS)}"
        )
    outcomes = []
    for name in names:
        if reason := why_not(name):
            outcomes.append(f"skipped  {name}: {reason}")
            continue
        for onednn in args.onednn.split(","):
            limits = {"ONEDNN_MAX_CPU_ISA": name, "TF_ENABLE_ONEDNN_OPTS": onednn}
            for what, command in commands():
                start = time.monotonic()
                done = subprocess.run(
                    command, cwd=ROOT, env={**os.environ, **limits}, check=False
                )
                word = "ok      " if done.returncode == 0 else "FAILED  "
                seconds = time.monotonic() - start
                outcomes.append(
                    f"{word} {name}, oneDNN {onednn}, {what} ({seconds:.0f} s)"
                )
                print(outcomes[-1], file=sys.stderr, flush=True)
    print("\n".join(outcomes))
    sys.exit(any(outcome.startswith("FAILED") for outcome in outcomes))


if __name__ == "__main__":
    main()
