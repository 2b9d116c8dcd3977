"""Writes a fine-tuned RoBERTa for the tests of the binary: `python -m
python_export.tests.kept_checkpoint FOLDER`.

Its weights are random, its tokenizer is byte-level BPE, and its labels are those of SST-2 under
other names.
"""

import json
import shutil
import sys
from pathlib import Path

import safetensors.numpy

from python_export.config import EncoderConfig
from python_export.families import FAMILIES
from python_export.tests.drawn import draw

TOKENIZER = Path(__file__).parents[2] / "tests" / "golden" / "byte_level_tokenizer.json"
LABELS = {"0": "NEGATIVE", "1": "POSITIVE"}


def main(folder: Path):
    """Writes the checkpoint into `folder`: config.json, model.safetensors and tokenizer.json."""
    tokenizer = json.loads(TOKENIZER.read_text())
    config = EncoderConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        vocab_size=len(tokenizer["model"]["vocab"]),
        max_position_embeddings=130,
        type_vocab_size=1,
        pad_token_id=1,
    )
    family = FAMILIES["roberta"]
    # The first of a weight's names is that of a model for sequence classification.
    shapes = {family.names_in_file(n)[0]: s for n, s in family.tensor_shapes(config).items()}
    shapes["classifier.out_proj.weight"], shapes["classifier.out_proj.bias"] = (2, 32), (2,)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: draw(name, shape) for name, shape in shapes.items()}
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")
    values = {
        **config.to_json(),
        "model_type": "roberta",
        "architectures": ["RobertaForSequenceClassification"],
        "id2label": LABELS,
    }
    (folder / "config.json").write_text(json.dumps(values))
    shutil.copy(TOKENIZER, folder / "tokenizer.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
