"""The learning rates of Hugging Face's linear schedule with warm-up, for `schedule.json`.

Needs torch and transformers. Run it from this folder: python make_schedule_golden.py
"""

import json
import math
from pathlib import Path

import torch
from transformers import get_linear_schedule_with_warmup

CASES = [(1e-4, 0.1, 20), (5e-5, 0.1, 33), (2e-5, 0.0, 7), (3e-5, 1.0, 5), (5e-5, 0.06, 101)]


def rates(peak, ratio, total):
    """The rate of each step, as the Trainer applies it."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=peak)
    schedule = get_linear_schedule_with_warmup(optimizer, math.ceil(total * ratio), total)
    found = []
    for _ in range(total):
        found.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return found


cases = [
    {"peak": peak, "warmup": ratio, "total": total, "learning_rates": rates(peak, ratio, total)}
    for peak, ratio, total in CASES
]
Path(__file__).with_name("schedule.json").write_text(json.dumps(cases, indent=1) + "\n")
