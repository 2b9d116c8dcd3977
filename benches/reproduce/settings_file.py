"""Reads the settings and the results of their runs. Standard library only."""

import json
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SIDES = ("tfbert", "trainer")
HEADS = {"stsb": "regress", "squad": "span", "squad2": "span", "swag": "choice"}
HEADS |= {"conll2003": "tag"}


class Setting(NamedTuple):
    """A setting file: what is trained how, with which seeds, and what it is compared with."""

    name: str
    description: str
    task: str
    encoder: str
    metrics: list[str]
    seeds: list[int]
    flags: dict
    reference: dict

    @property
    def head(self) -> str:
        """The head of the export."""
        return HEADS.get(self.task, "classify")

    @property
    def published(self) -> bool:
        """Whether the reference is a figure of somebody else's."""
        return self.reference["kind"] == "published"

    def command(self, seed: object = "N") -> str:
        """The command of a seed, as a user types it."""
        return " ".join(["tfbert", *self.arguments(), "--seed", str(seed)])

    def arguments(self) -> list[str]:
        """The arguments of `tfbert` but the seed and the folders."""
        flags = [part for name, value in self.flags.items() for part in (f"--{name}", plain(value))]
        return ["train", "--task", self.task, *flags]


def plain(value: object) -> str:
    """A flag's value as it is typed: 1e-4 rather than 0.0001."""
    if isinstance(value, float) and 0 < value < 0.01:
        mantissa, exponent = f"{value:e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return str(value)


def read_setting(path: Path) -> Setting:
    text = path.read_text(encoding="utf-8")
    try:
        found = tomllib.loads(text)
        description = text.splitlines()[0].removeprefix("#").strip()
        return Setting(name=path.stem, description=description, **found)
    except (tomllib.TOMLDecodeError, TypeError) as error:
        sys.exit(f"error: {path}: {error}\nhint: compare it with {HERE / 'settings' / 'mrpc.toml'}")


def read_settings(only: list[str] | None = None) -> list[Setting]:
    """The settings of the names, or all, in the order of their files."""
    found = {path.stem: path for path in sorted((HERE / "settings").glob("*.toml"))}
    unknown = [name for name in only or [] if name not in found]
    if unknown:
        sys.exit(f"error: no setting `{', '.join(unknown)}`\nhint: choose from {', '.join(found)}")
    return [read_setting(found[name]) for name in only or found]


def run_file(setting: Setting, side: str, seed: int) -> Path:
    """Where a run's scores are kept."""
    return HERE / "runs" / setting.name / f"{side}-seed-{seed}.json"


def read_runs(setting: Setting, side: str) -> list[dict]:
    """The runs of a side that are finished, in the order of the seeds."""
    paths = [run_file(setting, side, seed) for seed in setting.seeds]
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.is_file()]
