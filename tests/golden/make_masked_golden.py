"""Makes the golden of the head `masked` from Hugging Face's BertForMaskedLM in PyTorch.

    python tests/golden/make_masked_golden.py

Run from the repository's root with torch 2.15 and transformers 5.23. Writes `graph_masked.npz`
beside this script: the head's weights, a batch, the log probabilities of labels and likeliest
entries, the loss, and of each gradient the norm and some entries.
"""

import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
from transformers import BertConfig, BertForMaskedLM

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent.parent), str(HERE)]

from python_export import tiny  # noqa: E402

from make_graph_goldens import gradient_summary  # noqa: E402

ROWS, LENGTH, PREDICTIONS, TOP = 5, 20, 3, 5


def batch_of(rng, vocab_size):
    """Rows of mixed lengths with up to three hidden positions each; a position of 0 is padding."""
    lengths = np.array([20, 13, 9, 5, 17])
    mask = (np.arange(LENGTH) < lengths[:, None]).astype(np.int32)
    positions = np.zeros((ROWS, PREDICTIONS), np.int32)
    for row, length in enumerate(lengths):
        count = rng.integers(1, PREDICTIONS + 1)
        positions[row, :count] = np.sort(rng.choice(np.arange(1, length), count, replace=False))
    return {
        "input_ids": (rng.integers(5, vocab_size, (ROWS, LENGTH)) * mask).astype(np.int32),
        "attention_mask": mask,
        "token_type_ids": np.zeros_like(mask),
        "masked_positions": positions,
        "labels": rng.integers(0, vocab_size, (ROWS, PREDICTIONS)).astype(np.int32),
        "sample_weight": (positions > 0).astype(np.float32),
    }


def main():
    config = tiny.config().to_json()
    rng = np.random.default_rng(7)
    model = BertForMaskedLM._from_config(BertConfig(**config), attn_implementation="eager").eval()
    tensors = {name: torch.from_numpy(value) for name, value in tiny.tensors(0).items()}
    model.bert.load_state_dict(tensors, strict=False)
    model.tie_weights()
    heads = {
        "transform.dense.weight": model.cls.predictions.transform.dense.weight,
        "transform.dense.bias": model.cls.predictions.transform.dense.bias,
        "transform.LayerNorm.weight": model.cls.predictions.transform.LayerNorm.weight,
        "transform.LayerNorm.bias": model.cls.predictions.transform.LayerNorm.bias,
        "bias": model.cls.predictions.bias,
    }
    found = {}
    for name, parameter in heads.items():
        value = rng.normal(1 if name.endswith("LayerNorm.weight") else 0, 0.1, parameter.shape)
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(value))
        found[f"head_{name}"] = value.astype(np.float32)
    batch = batch_of(rng, config["vocab_size"])
    found |= {f"batch_{name}": value for name, value in batch.items()}

    inputs = {n: torch.from_numpy(batch[n]).long() for n in list(batch)[:3]}
    positions = torch.from_numpy(batch["masked_positions"]).long()
    logits = torch.take_along_dim(model(**inputs).logits, positions[..., None], 1)
    labels, weights = torch.from_numpy(batch["labels"]).long(), batch["sample_weight"]
    elements = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    loss = (elements.reshape(labels.shape) * torch.from_numpy(weights)).sum() / weights.sum()
    loss.backward()
    likeliest = logits.log_softmax(-1).topk(TOP)
    found["label_log_probability"] = -elements.detach().reshape(labels.shape).numpy()
    found["likeliest_ids"] = likeliest.indices.numpy().astype(np.int32)
    found["likeliest_log_probability"] = likeliest.values.detach().numpy()
    found["loss"] = np.float64(loss.item())
    found |= gradient_summary(model, rng)
    path = HERE / "graph_masked.npz"
    np.savez_compressed(path, **found)
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
