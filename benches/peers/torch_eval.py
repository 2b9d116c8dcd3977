"""A development set predicted by Hugging Face's Trainer, as `tfbert eval` predicts it:
tuned, which groups rows by length and pads each batch to its longest, or with the order and the
padding of transformers' example scripts.

The head is drawn anew: the time does not depend on its weights.
"""

import argparse
import csv
import json
from pathlib import Path

from common import guard_amx, minilm_folder, peak_memory_bytes


def sst2(folder: Path, tokenizer, padding) -> dict:
    with (folder / "SST-2" / "dev.tsv").open(encoding="utf-8", newline="\n") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
    texts = [row[0] for row in rows]
    return tokenizer(texts, truncation=True, max_length=128, padding=padding)


def squad(folder: Path, tokenizer, padding) -> dict:
    questions, contexts = squad_texts(folder / "squad" / "dev-v1.1.json")
    return squad_windows(tokenizer, questions, contexts, padding)


def squad_texts(path: Path) -> tuple[list[str], list[str]]:
    """Questions, and the passage of each."""
    articles = json.loads(path.read_text(encoding="utf-8"))["data"]
    pairs = [
        (question["question"], paragraph["context"])
        for article in articles
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    ]
    return [question for question, _ in pairs], [context for _, context in pairs]


def squad_windows(tokenizer, questions: list[str], contexts: list[str], padding=False) -> dict:
    """The windows of transformers' question-answering example."""
    return tokenizer(
        [question.lstrip() for question in questions],
        contexts,
        truncation="only_second",
        max_length=384,
        stride=128,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        padding=padding,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", choices=["sst2", "squad"], required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--defaults", action="store_true", help="the example scripts' defaults")
    parser.add_argument("--limit", type=int, help="only so many batches")
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--compile", action="store_true", help="the model under torch.compile")
    args = parser.parse_args()

    guard_amx()
    import torch
    from transformers import (
        AutoModelForQuestionAnswering,
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )

    if args.threads:
        torch.set_num_threads(args.threads)
    tokenizer = AutoTokenizer.from_pretrained(minilm_folder())
    task, kind = {
        "sst2": (sst2, AutoModelForSequenceClassification),
        "squad": (squad, AutoModelForQuestionAnswering),
    }[args.task]
    encoded = task(args.data_dir, tokenizer, "max_length" if args.defaults else False)
    names = ("input_ids", "attention_mask", "token_type_ids")
    features = [
        {name: encoded[name][i] for name in names} for i in range(len(encoded["input_ids"]))
    ]
    timed = features[: args.limit * args.batch_size] if args.limit else features
    tuned = {} if args.defaults else {"train_sampling_strategy": "group_by_length"}
    trainer = Trainer(
        model=kind.from_pretrained(minilm_folder(), attn_implementation="sdpa"),
        args=TrainingArguments(
            output_dir=str(args.output),
            use_cpu=True,
            bf16=args.precision == "bf16",
            torch_compile=args.compile,
            per_device_eval_batch_size=args.batch_size,
            report_to=[],
            disable_tqdm=True,
            **tuned,
        ),
        data_collator=DataCollatorWithPadding(tokenizer),
    )
    found = trainer.predict(timed).metrics
    result = {
        "features": len(features),
        "timed": len(timed),
        "seconds": found["test_runtime"],
        "peak_memory_bytes": peak_memory_bytes(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
