"""Runs what is missing of the settings, a seed after the other, and writes the reports.

    python reproduce.py [--side tfbert|trainer] [--only mrpc,rte] [--encoder FOLDER] [--seeds 1,2]

A seed's scores are written to runs/SETTING/ when it is finished, and every report after it. A seed
that has its file is left out; a run of tfbert that was stopped is resumed. One such command runs
at a time, with all cores. Standard library only.
"""

import argparse
import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import report
from machine import Watch, processor
from settings_file import HERE, ROOT, SIDES, Setting, read_settings, run_file

SCRATCH = ROOT / "runs" / "reproduce"
MINILM = "minilm-l6"


def chosen(only: list[str] | None, encoder: str) -> list[Setting]:
    """The settings to run: those named, or all that are made for the encoder."""
    name = Path(encoder).name
    settings = read_settings(only)
    fitting = [setting for setting in settings if Path(setting.encoder).name == name]
    if not fitting:
        wanted = sorted({setting.encoder for setting in settings})
        sys.exit(
            f"error: no setting is for the encoder `{encoder}`\n"
            f"hint: ENCODER is `{MINILM}`, or a folder that is named as one of: {', '.join(wanted)}"
        )
    return fitting


def folder_of(setting: Setting, encoder: str) -> Path:
    """The export that a setting starts from."""
    return ROOT / "saved_models" / Path(encoder).name / setting.head


def export(setting: Setting, encoder: str) -> None:
    """Makes the export that a setting starts from, where it is missing."""
    if not (folder_of(setting, encoder) / "saved_model.pb").is_file():
        command = [str(ROOT / ".venv" / "bin" / "python"), "-m", "python_export"]
        command += ["--encoder", encoder, "--head", setting.head, "--output", "saved_models"]
        run(command)


def run(command: list[str]) -> None:
    """Runs a command in the repository; what it prints goes to standard error."""
    done = subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False)
    if done.returncode != 0:
        sys.exit(f"error: exit code {done.returncode} of: {' '.join(command)}")


def run_tfbert(setting: Setting, seed: int, args: argparse.Namespace) -> dict:
    """Trains one seed, or goes on with it; its result."""
    output = args.scratch / setting.name / f"seed-{seed}"
    resumed = (output / "run.json").is_file()
    if not (output / "result.json").is_file():
        model = folder_of(setting, args.encoder)
        command = [str(args.tfbert), *setting.arguments(), "--seed", str(seed), "--json"]
        command += ["--data-dir", str(args.data_dir), "--model", str(model)]
        command += ["--output", str(output), "--threads", str(args.threads)]
        if resumed:
            command.append("--resume")
        run(command)
    result = collected(setting, seed, output, args.commit or commit())
    return result | ({"resumed": True} if resumed else {})


def collected(setting: Setting, seed: int, output: Path, of_commit: str) -> dict:
    """A result in the form of the Trainer's, from a run's folder."""
    with (output / "metrics.jsonl").open(encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    evaluations = [line for line in lines if "metrics" in line]
    # Of several development files the first counts.
    evaluations = [line for line in evaluations if line["split"] == evaluations[0]["split"]]
    result = json.loads((output / "result.json").read_text(encoding="utf-8"))
    record = json.loads((output / "run.json").read_text(encoding="utf-8"))
    if record["settings"]["seed"] != seed:
        sys.exit(f"error: {output} is of seed {record['settings']['seed']}, not {seed}")
    return {
        "setting": setting.name,
        "side": "tfbert",
        "seed": seed,
        "evaluations": [
            {
                "epoch": round(line["epoch"], 6),
                "step": line["step"],
                "loss": line["loss"],
                "metrics": {name: line["metrics"][name] for name in setting.metrics},
            }
            for line in evaluations
        ],
        "seconds": result["train_seconds"],
        "versions": {
            "tfbert": f"{record['tfbert_version']} at {of_commit}",
            "TensorFlow": record["tensorflow_version"],
        },
    }


def run_trainer(setting: Setting, seed: int, args: argparse.Namespace) -> dict:
    """Trains one seed with the Trainer; its result."""
    if setting.published:
        return {}
    output = run_file(setting, "trainer", seed)
    command = [sys.executable, str(HERE / "trainer.py")]
    command += [str(HERE / "settings" / f"{setting.name}.toml"), "--seed", str(seed)]
    command += ["--data-dir", str(args.data_dir), "--threads", str(args.threads)]
    run([*command, "--output", str(output)])
    return json.loads(output.read_text(encoding="utf-8"))


def commit() -> str:
    """The commit of the working tree, and whether it was changed."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "an unknown commit"


def write(path: Path, result: dict) -> None:
    """Writes a run's file, complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".part")
    aside.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    aside.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", choices=SIDES, default="tfbert")
    parser.add_argument("--only", type=lambda text: text.split(","), help="settings, by commas")
    parser.add_argument("--encoder", default=MINILM, help="`minilm-l6`, or an encoder's folder")
    parser.add_argument("--seeds", type=lambda text: [int(part) for part in text.split(",")])
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("TFBERT_DATA"))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--tfbert", type=Path, default=ROOT / "target" / "release" / "tfbert")
    parser.add_argument("--commit", help="the binary's commit [default: the working tree's]")
    parser.add_argument("--scratch", type=Path, default=SCRATCH, help="holds the runs' folders")
    args = parser.parse_args()
    if args.data_dir is None:
        sys.exit("error: no data\nhint: TFBERT_DATA=DIR make reproduce; DIR holds MRPC/, squad/ …")
    settings = chosen(args.only, args.encoder)
    args.scratch.mkdir(parents=True, exist_ok=True)
    lock = (args.scratch / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"error: another run holds {args.scratch / 'lock'}\nhint: wait until it ends")
    run_side = run_tfbert if args.side == "tfbert" else run_trainer
    for setting in settings:
        for seed in args.seeds or setting.seeds:
            path = run_file(setting, args.side, seed)
            if path.is_file():
                continue
            print(f"== {setting.name}, seed {seed}, {args.side}", file=sys.stderr, flush=True)
            if args.side == "tfbert":
                export(setting, args.encoder)
            facts = {"threads": args.threads, "processor": processor()}
            watch = Watch()
            if result := run_side(setting, seed, args):
                measured = watch.end()
                write(path, facts | result | measured)
                report.write()
                seconds = measured["command_seconds"]
                print(f"   {scores(result)}; {seconds:.0f} s", file=sys.stderr, flush=True)
    report.write()


def scores(result: dict) -> str:
    last = result["evaluations"][-1]["metrics"]
    return ", ".join(f"{name} {value:.4f}" for name, value in last.items())


if __name__ == "__main__":
    main()
