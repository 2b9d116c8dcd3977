"""Makes the goldens of the masked language modeling heads of the families of encoders, from Hugging
Face's PyTorch.

    python tests/golden/make_masked_family_goldens.py

Run from the repository's root with torch 2.15 and transformers 5.23. Writes `families_masked.npz`
beside this script, in the form of `make_family_goldens.py`: the logits are those of two hidden
positions of eight rows.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
from transformers import AutoConfig, AutoModelForMaskedLM

from make_family_goldens import CASES, batch_of, draw_weights, forward, summary

HERE = Path(__file__).parent
FAMILIES = (
    "bert",
    "bert-relu",
    "distilbert",
    "electra",
    "roberta",
    "xlm-roberta",
    "camembert",
    "modernbert",
)
ROWS, PREDICTIONS = 8, 2


def case(kind, values):
    rng = np.random.default_rng(len(kind))
    config = AutoConfig.for_model(kind, **values, attn_implementation="eager")
    model = AutoModelForMaskedLM.from_config(config).eval()
    # Under the name that is saved, where a weight has two.
    parameters = dict(model.named_parameters(remove_duplicate=False))
    for name in model.all_tied_weights_keys:
        del parameters[name]
    shapes = draw_weights(parameters)
    batch = {name: value[:ROWS] for name, value in batch_of("masked", model.config, rng).items()}
    # Never the first token. The last row has one hidden word alone, so a position of 0.
    positions = np.tile(np.array([1, 2], np.int32), (ROWS, 1))
    positions[-1, 1] = 0
    weights = (positions > 0).astype(np.float32)
    labels = rng.integers(0, config.vocab_size, positions.shape).astype(np.int32)
    places = torch.from_numpy(positions).long()[..., None]
    logits = torch.take_along_dim(forward("masked", model, batch), places, 1)
    elements = functional.cross_entropy(
        logits.flatten(0, 1), torch.from_numpy(labels).long().flatten(), reduction="none"
    )
    loss = (elements * torch.from_numpy(weights).flatten()).sum() / weights.sum()
    loss.backward()
    return {
        **batch,
        "masked_positions": positions,
        **summary(model, parameters, shapes, rng),
        "logits": logits.detach().numpy(),
        "labels": labels,
        "sample_weight": weights,
        "loss": np.float64(loss.item()),
    }


def main():
    golden = {}
    for name in FAMILIES:
        kind, values, _ = CASES[name]
        found = case(kind, values)
        golden |= {f"{name}/masked/{key}": value for key, value in found.items()}
        print(name, found["loss"])
    path = HERE / "families_masked.npz"
    np.savez_compressed(path, **golden)
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
