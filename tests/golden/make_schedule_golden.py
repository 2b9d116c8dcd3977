"""The learning rates of Hugging Face's schedulers with warm-up, for `schedule.json`.

Needs torch and transformers. Run it from this folder: python make_schedule_golden.py
"""

import json
import math
from pathlib import Path

import torch
from transformers import get_scheduler

CASES = [
    ("linear", 1e-4, 0.1, 20),
    ("linear", 5e-5, 0.1, 33),
    ("linear", 2e-5, 0.0, 7),
    ("linear", 3e-5, 1.0, 5),
    ("linear", 5e-5, 0.06, 101),
    ("cosine", 1e-4, 0.1, 20),
    ("cosine", 5e-5, 0.06, 101),
    ("cosine", 2e-5, 0.0, 7),
    ("cosine", 3e-5, 1.0, 5),
    ("constant", 5e-5, 0.0, 9),
    ("constant_with_warmup", 5e-5, 0.1, 33),
]


def rates(name, peak, ratio, total):
    """The rate of each step, as the Trainer applies it."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=peak)
    schedule = get_scheduler(name, optimizer, math.ceil(total * ratio), total)
    found = []
    for _ in range(total):
        found.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return found


cases = [
    {
        "scheduler": name,
        "peak": peak,
        "warmup": ratio,
        "total": total,
        "learning_rates": rates(name, peak, ratio, total),
    }
    for name, peak, ratio, total in CASES
]
Path(__file__).with_name("schedule.json").write_text(json.dumps(cases, indent=1) + "\n")
