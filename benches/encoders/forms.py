"""Writes a BERT of Hugging Face's layout in the forms of TensorFlow.

    .venv/bin/python benches/encoders/forms.py CHECKPOINT OUTPUT

CHECKPOINT has `model.safetensors`, `config.json` and `vocab.txt`. OUTPUT gets the folders `keras`
(`tf_model.h5`), `google` (TensorFlow 1), `garden` (TensorFlow 2) and `hub` (a SavedModel).
"""

import json
import shutil
import sys
from pathlib import Path

import safetensors.numpy

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from python_export.tests import checkpoints  # noqa: E402


def main():
    checkpoint, output = (Path(argument) for argument in sys.argv[1:])
    stored = safetensors.numpy.load_file(checkpoint / "model.safetensors")
    config = json.loads((checkpoint / "config.json").read_text())
    vocabulary = (checkpoint / "vocab.txt").read_text().splitlines()
    tensors = {
        name.removeprefix("bert."): value
        for name, value in stored.items()
        if name.startswith("bert.")
    }
    heads = config["num_attention_heads"]
    keras, google, garden, hub = (output / n for n in ("keras", "google", "garden", "hub"))
    for folder in (keras, google, garden):
        folder.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(checkpoint / name, keras)
    checkpoints.write_h5(keras / "tf_model.h5", tensors)
    checkpoints.write_google(google, tensors, config, vocabulary)
    shutil.copy(google / "bert_config.json", garden)
    shutil.copy(checkpoint / "vocab.txt", garden)
    checkpoints.write_garden_checkpoint(garden, tensors, heads)
    checkpoints.write_hub_module(hub, tensors, heads, vocabulary, do_lower_case=True)


if __name__ == "__main__":
    main()
