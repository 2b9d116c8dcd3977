"""SQuAD's training file to windows with Hugging Face's fast tokenizer in Python."""

import argparse
import json
import time
from pathlib import Path

from common import minilm_folder
from torch_eval import squad_texts, squad_windows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    args = parser.parse_args()

    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(minilm_folder())
    start = time.perf_counter()
    questions, contexts = squad_texts(args.data_dir / "squad" / "train-v1.1.json")
    read_seconds = time.perf_counter() - start
    encoded = squad_windows(tokenizer, questions, contexts)
    seconds = time.perf_counter() - start
    features = len(encoded["input_ids"])
    print(json.dumps({"features": features, "seconds": seconds, "read_seconds": read_seconds}))


if __name__ == "__main__":
    main()
