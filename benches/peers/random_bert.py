"""A folder in Hugging Face's layout with an encoder of BERT-base's or BERT-large's sizes, its
weights drawn at random: what a step takes does not depend on them.
"""

import argparse
import shutil
from pathlib import Path

from common import minilm_folder

# The defaults of transformers are bert-base-uncased's.
LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16}
SIZES = {"base": {}, "large": {**LARGE, "intermediate_size": 4096}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--size", choices=SIZES, default="base")
    args = parser.parse_args()

    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(1)
    BertModel(BertConfig(**SIZES[args.size])).save_pretrained(args.output)
    shutil.copy(minilm_folder() / "vocab.txt", args.output / "vocab.txt")


if __name__ == "__main__":
    main()
