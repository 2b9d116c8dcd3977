"""Writes a comparison's result, with what was measured and where, below `benches/runs/`."""

import json
import os
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
RUNS = ROOT / "benches" / "runs"


def commit() -> str:
    """The checked-out commit; `-dirty` behind it where files differ from it."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=7", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


# The instructions that decide which kernels a library chooses, as Linux names them.
INSTRUCTIONS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_bf16")


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> dict:
    """The processor's model name, family and model, and its instructions for matrix products."""
    try:
        lines = cpuinfo.read_text().split("\n\n")[0].splitlines()
    except OSError:
        lines = []
    facts = {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)
    }
    flags = facts.get("flags", "").split()
    return {
        "name": facts.get("model name", "unknown processor"),
        "family": facts.get("cpu family"),
        "model": facts.get("model"),
        "instructions": [name for name in INSTRUCTIONS if name in flags],
        # A limit that the user set, as for an emulated processor.
        "limit": os.environ.get("ONEDNN_MAX_CPU_ISA"),
    }


def write(result: dict, mode: str, command: list[str], output: Path | None) -> Path:
    """Writes the result to `output`, or to `<date>-<machine>/<mode>.json` in `benches/runs/`.

    A run of the same mode, day and machine gets a number behind the mode.
    """
    now = datetime.now(UTC)
    cores, machine = len(os.sched_getaffinity(0)), processor()
    facts = {
        "mode": mode,
        "time": now.isoformat(timespec="seconds"),
        "commit": commit(),
        "processor": machine,
        "cores": cores,
        "command": command,
    }
    if output is None:
        name = re.sub(r"[^a-z0-9]+", "-", machine["name"].lower()).strip("-")
        folder = RUNS / f"{now:%Y-%m-%d}-{name}-{cores}"
        names = (f"{mode}{number}.json" for number in ["", *(f"-{n}" for n in range(2, 1000))])
        output = next(folder / name for name in names if not (folder / name).exists())
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(facts | {"result": result}, indent=1) + "\n")
    return output
