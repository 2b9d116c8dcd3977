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


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's model name."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found.group(1).strip() if found else "unknown processor"


def write(result: dict, mode: str, command: list[str], output: Path | None) -> Path:
    """Writes the result to `output`, or to `<date>-<machine>/<mode>.json` in `benches/runs/`.

    A run of the same mode, day and machine gets a number behind the mode.
    """
    now = datetime.now(UTC)
    cores = len(os.sched_getaffinity(0))
    facts = {
        "mode": mode,
        "time": now.isoformat(timespec="seconds"),
        "commit": commit(),
        "processor": processor(),
        "cores": cores,
        "command": command,
    }
    if output is None:
        machine = re.sub(r"[^a-z0-9]+", "-", processor().lower()).strip("-")
        folder = RUNS / f"{now:%Y-%m-%d}-{machine}-{cores}"
        names = (f"{mode}{number}.json" for number in ["", *(f"-{n}" for n in range(2, 1000))])
        output = next(folder / name for name in names if not (folder / name).exists())
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(facts | {"result": result}, indent=1) + "\n")
    return output
