"""Makes the golden of a whole loss curve: 100 steps of MiniLM-L6 on the shipped SST-2 sample.

    .venv-peers/bin/python tests/golden/make_loss_curve.py

Run from the repository's root after `make build`, `make test-exports` and `make reproduce-peers
ONLY=none` (or `make bench-peers`), which make the two environments. It writes `loss_curve.json`
beside this script: loss, learning rate and norm of the gradient before clipping of each step, as
PyTorch and transformers compute them in 32-bit floats without dropout.

Two things are taken from tfbert, since each side draws them in its own way: the rows of each step,
from its trace log, and the head's first weights, from a run of one step (whose learning rate is 0).
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch.nn.utils import clip_grad_norm_
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    get_linear_schedule_with_warmup,
)

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "benches" / "peers"))

from common import minilm_folder  # noqa: E402

STEPS = 100
RATE = 1e-4
FLAGS = [
    *("--task", "sst2", "--data-dir", "data", "--precision", "f32", "--dropout", "0"),
    *("--learning-rate", "1e-4", "--batch-size", "32", "--max-length", "128", "--seed", "1"),
    *("--epochs", "3", "--log-steps", "1", "--limit-dev", "8"),
]
HEAD = """
import sys, numpy, tensorflow
weights = tensorflow.train.load_checkpoint(sys.argv[1])
path = "head/{}/.ATTRIBUTES/VARIABLE_VALUE"
parts = {name: weights.get_tensor(path.format(name)) for name in ("kernel", "bias")}
numpy.savez(sys.argv[2], **parts)
"""


def run_tfbert(output: Path, steps: int) -> str:
    """Trains into a folder; the log."""
    command = [str(ROOT / "target" / "release" / "tfbert"), "train", *FLAGS]
    command += ["--model", "target/exports/minilm-l6/classify"]
    command += ["--output", str(output), "--max-steps", str(steps)]
    environment = {**os.environ, "RUST_LOG": "warn,tfbert=trace"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return done.stderr


def first_head(scratch: Path) -> dict[str, np.ndarray]:
    """The weights that tfbert's head starts from."""
    run_tfbert(scratch / "start", 1)
    weights = scratch / "start" / "checkpoints" / "step-000001" / "weights"
    python = ROOT / ".venv" / "bin" / "python"
    subprocess.run([python, "-c", HEAD, weights, scratch / "head.npz"], check=True)
    return dict(np.load(scratch / "head.npz"))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        trace = run_tfbert(Path(folder) / "run", STEPS)
        head = first_head(Path(folder))
    found = re.findall(r"step \d+: features \[([\d, ]+)\]", trace)
    steps = [[int(row) for row in rows.split(",")] for rows in found]
    assert len(steps) == STEPS
    lines = (ROOT / "data" / "SST-2" / "train.tsv").read_text(encoding="utf-8").splitlines()[1:]
    rows = [line.split("\t") for line in lines]

    tokenizer = AutoTokenizer.from_pretrained(minilm_folder())
    model = AutoModelForSequenceClassification.from_pretrained(
        minilm_folder(),
        num_labels=2,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        attn_implementation="eager",
    ).train()
    with torch.no_grad():
        model.classifier.weight.copy_(torch.from_numpy(head["kernel"].T))
        model.classifier.bias.copy_(torch.from_numpy(head["bias"]))
    spared = ("bias", "LayerNorm.weight")
    groups = [
        {"params": [p for n, p in model.named_parameters() if not n.endswith(spared)]},
        {
            "params": [p for n, p in model.named_parameters() if n.endswith(spared)],
            "weight_decay": 0.0,
        },
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE, eps=1e-6, weight_decay=0.01)
    schedule = get_linear_schedule_with_warmup(optimizer, STEPS // 10, STEPS)
    curve: dict[str, list[float]] = {"loss": [], "learning_rate": [], "grad_norm": []}
    for numbers in steps:
        batch = tokenizer(
            [rows[number][0] for number in numbers],
            padding=True,
            truncation=True,
            max_length=128,
            return_tensors="pt",
        )
        labels = torch.tensor([int(rows[number][1]) for number in numbers])
        loss = model(**batch, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        norm = clip_grad_norm_(model.parameters(), 1.0)
        curve["loss"].append(round(loss.item(), 7))
        curve["learning_rate"].append(schedule.get_last_lr()[0])
        curve["grad_norm"].append(round(norm.item(), 6))
        optimizer.step()
        schedule.step()
    golden = {
        "versions": {name: version(name) for name in ("torch", "transformers")},
        "flags": [*FLAGS, "--max-steps", str(STEPS)],
        **curve,
    }
    (HERE / "loss_curve.json").write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
