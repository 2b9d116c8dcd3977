"""Writes a small ModernBERT: `python -m python_export.tests.modernbert_checkpoint FOLDER`.

Its weights are random, and its tokenizer is byte-level BPE. As in the Hub's checkpoints it has the
prediction head of the pre-training, and config.json states rotary positions and layers as
transformers 4 does.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import safetensors.numpy

from python_export.families import FAMILIES

TOKENIZER = Path(__file__).parents[2] / "tests" / "golden" / "modernbert_tokenizer.json"


def main(folder: Path):
    """Writes the checkpoint into `folder`: config.json, model.safetensors and tokenizer.json."""
    tokens = json.loads(TOKENIZER.read_text())["added_tokens"]
    ids = {token["content"]: token["id"] for token in tokens}
    values = {
        "model_type": "modernbert",
        "architectures": ["ModernBertForMaskedLM"],
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "vocab_size": max(ids.values()) + 3,
        "max_position_embeddings": 512,
        "local_attention": 16,
        "global_attn_every_n_layers": 2,
        "global_rope_theta": 160000.0,
        "local_rope_theta": 10000.0,
        "classifier_pooling": "mean",
        "initializer_range": 0.1,
        "pad_token_id": ids["[PAD]"],
        "cls_token_id": ids["[CLS]"],
        "sep_token_id": ids["[SEP]"],
    }
    family, random = FAMILIES["modernbert"], np.random.default_rng(1)

    def draw(name, shape):
        if name.endswith("norm.weight"):
            return np.ones(shape, np.float32)
        return (0.1 * random.standard_normal(shape)).astype(np.float32)

    shapes = family.tensor_shapes(family.read_config(values, ""))
    tensors = {family.names_in_file(name)[-1]: draw(name, s) for name, s in shapes.items()}
    folder.mkdir(parents=True, exist_ok=True)
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(values))
    shutil.copy(TOKENIZER, folder / "tokenizer.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
