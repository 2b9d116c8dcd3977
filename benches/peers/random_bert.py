"""A folder in Hugging Face's layout with an encoder of BERT-base's sizes, its weights drawn at
random: what a step takes does not depend on them.
"""

import argparse
import shutil
from pathlib import Path

from common import minilm_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    args = parser.parse_args()

    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(1)
    # The defaults are bert-base-uncased's.
    BertModel(BertConfig()).save_pretrained(args.output)
    shutil.copy(minilm_folder() / "vocab.txt", args.output / "vocab.txt")


if __name__ == "__main__":
    main()
