"""What a result says of the machine that it was made on. Standard library only."""

import os
from pathlib import Path


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name as Linux tells it, and the cores that a process may use."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    name = facts.get("model name", "unknown processor")
    family, model = facts.get("cpu family"), facts.get("model")
    if family and model:
        name += f" (family {family}, model {model})"
    return f"{name}, {len(os.sched_getaffinity(0))} cores"


def load() -> float:
    """Processes that ran or waited over the last minute: above 0.5, a time says little."""
    return round(os.getloadavg()[0], 2)
