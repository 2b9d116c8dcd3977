"""SST-2 with Hugging Face's Trainer: one epoch tuned for the CPU, or steps with the defaults of
transformers' example script (32-bit floats, every sentence padded to 128).
"""

import argparse
import csv
import json
import time
from pathlib import Path

from common import guard_amx, minilm_folder, peak_memory_bytes

MAX_LENGTH = 128


def main() -> None:
    start = time.perf_counter()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="holds SST-2/train.tsv")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--defaults", action="store_true", help="the example script's defaults")
    parser.add_argument("--max-steps", type=int, default=-1, help="stop after so many updates")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    guard_amx()
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    set_seed(args.seed)
    tokenizer = AutoTokenizer.from_pretrained(minilm_folder())
    model = AutoModelForSequenceClassification.from_pretrained(minilm_folder(), num_labels=2)

    def features(split: str) -> list[dict]:
        with (args.data_dir / "SST-2" / f"{split}.tsv").open(
            encoding="utf-8", newline="\n"
        ) as file:
            rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
        encoded = tokenizer(
            [row[0] for row in rows],
            truncation=True,
            max_length=MAX_LENGTH,
            padding="max_length" if args.defaults else False,
        )
        return [
            {"label": int(row[1]), **{key: encoded[key][i] for key in encoded}}
            for i, row in enumerate(rows)
        ]

    train, dev = features("train"), features("dev")
    tuned = {} if args.defaults else {"bf16": True, "train_sampling_strategy": "group_by_length"}
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(args.output),
            use_cpu=True,
            num_train_epochs=1,
            max_steps=args.max_steps,
            per_device_train_batch_size=32,
            per_device_eval_batch_size=128,
            learning_rate=1e-4,
            warmup_steps=0.1,
            weight_decay=0.01,
            seed=args.seed,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            **tuned,
        ),
        train_dataset=train,
        eval_dataset=dev,
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=lambda p: {"accuracy": float((p[0].argmax(-1) == p[1]).mean())},
    )
    train_start = time.perf_counter()
    found = trainer.train()
    train_seconds = time.perf_counter() - train_start
    scores = trainer.evaluate() if not args.defaults else {}
    if not args.defaults:
        trainer.save_model(str(args.output / "model"))
    result = {
        "steps": found.global_step,
        "train_seconds": train_seconds,
        "steps_per_second": found.global_step / train_seconds,
        "eval_seconds": scores.get("eval_runtime"),
        "accuracy": scores.get("eval_accuracy"),
        "seconds": time.perf_counter() - start,
        "peak_memory_bytes": peak_memory_bytes(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
