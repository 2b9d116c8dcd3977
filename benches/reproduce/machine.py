"""What a result says of the machine that it was made on. Standard library only."""

import os
import time
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


class Watch:
    """Measures a command that this process starts and waits for: its time, and what else ran.

    `seconds` is the time of the whole command. `busy_elsewhere` is the number of cores that other
    processes, and other guests of the same host, used on average: above 0.1, a time says little.
    """

    def __init__(self, stat: Path = Path("/proc/stat")) -> None:
        self.stat = stat
        self.begin = (time.perf_counter(), self.busy(), own())

    def busy(self) -> float | None:
        """Seconds of all cores that were not idle, since the machine started."""
        try:
            fields = self.stat.read_text(encoding="utf-8").split("\n", 1)[0].split()[1:]
        except OSError:
            return None
        user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
        ticks = user + nice + system + irq + softirq + steal
        return ticks / os.sysconf("SC_CLK_TCK")

    def end(self) -> dict:
        """The facts for a run's file."""
        start, busy_before, own_before = self.begin
        seconds = time.perf_counter() - start
        facts: dict = {"command_seconds": seconds}
        busy = self.busy()
        if busy is not None and busy_before is not None:
            others = busy - busy_before - (own() - own_before)
            facts["busy_elsewhere"] = round(max(0.0, others) / seconds, 3)
        return facts


def own() -> float:
    """Seconds of processor time of this process and of its children that ended."""
    return sum(os.times()[:4])
