"""Fine-tunes a setting with the Trainer of Hugging Face, one seed, and writes its scores.

    python trainer.py SETTING.toml --seed 1 --data-dir DIR --output RESULT.json

The settings are those of tfbert's run: AdamW (fused), linear warm-up and decay, clipping, dropout,
batches of like length, on the CPU, in the number format of the setting unless `--precision` names
another. Each side draws its own head, order and dropout masks.
"""

import argparse
import json
import os
import sys
import tempfile
import time
import tomllib
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "peers"))

from common import guard_amx, minilm_folder

from machine import processor

PACKAGES = ("torch", "transformers", "accelerate", "numpy")


def train(setting: dict, encoder: Path, args: argparse.Namespace) -> dict:
    """The evaluations of a run, and the seconds that it took."""
    import torch
    from transformers import AutoTokenizer, Trainer, TrainingArguments, set_seed

    from peer_tasks import peer_task

    class SortedEvaluation(Trainer):
        """Evaluates the rows in their order, which is by length. Grouped by length by the Trainer
        itself, logits would come in an order that the task does not know."""

        def _get_eval_sampler(self, eval_dataset):
            return torch.utils.data.SequentialSampler(eval_dataset)

    torch.set_num_threads(args.threads)
    flags = setting["flags"]
    set_seed(args.seed)
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    task = peer_task(setting["task"], args.data_dir, tokenizer, flags)
    labels = {} if task.labels is None else {"num_labels": task.labels}
    model = task.model_class.from_pretrained(encoder, attn_implementation="sdpa", **labels)
    train_features = task.features("train", flags.get("limit-train"))
    dev_features = task.features("dev", flags.get("limit-dev"))
    dev_features.sort(key=lambda feature: len(feature["input_ids"]))
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        trainer = SortedEvaluation(
            model=model,
            args=TrainingArguments(
                output_dir=scratch,
                use_cpu=True,
                seed=args.seed,
                bf16=args.precision == "bf16",
                torch_compile=args.compile,
                optim="adamw_torch_fused",
                max_steps=args.max_steps or -1,
                num_train_epochs=flags["epochs"],
                per_device_train_batch_size=flags["batch-size"],
                per_device_eval_batch_size=32,
                learning_rate=flags["learning-rate"],
                lr_scheduler_type="linear",
                # Below 1 it is a share of the steps.
                warmup_steps=0.1,
                weight_decay=0.01,
                adam_epsilon=1e-6,
                max_grad_norm=1.0,
                train_sampling_strategy="group_by_length",
                eval_strategy="epoch",
                save_strategy="no",
                logging_steps=50,
                report_to=[],
                disable_tqdm=True,
            ),
            train_dataset=train_features,
            eval_dataset=dev_features,
            data_collator=task.collator,
            compute_metrics=lambda found: task.scores(found.predictions, found.label_ids),
        )
        trainer.train()
        if args.save_model:
            trainer.save_model(str(args.save_model))
        history = trainer.state.log_history
    evaluations = [
        {
            "epoch": round(line["epoch"], 6),
            "step": line["step"],
            "loss": line["eval_loss"],
            "metrics": {name: line[f"eval_{name}"] for name in setting["metrics"]},
        }
        for line in history
        if "eval_loss" in line
    ]
    return {"evaluations": evaluations, "seconds": time.perf_counter() - start}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("setting", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, help="its folder [default: MiniLM-L6's package]")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--precision", choices=["f32", "bf16"], help="default: the setting's")
    parser.add_argument("--compile", action="store_true", help="the model under torch.compile")
    parser.add_argument("--max-steps", type=int, help="only so many updates")
    parser.add_argument("--save-model", type=Path, help="a folder for the final weights")
    args = parser.parse_args()
    guard_amx()
    setting = tomllib.loads(args.setting.read_text(encoding="utf-8"))
    args.precision = args.precision or setting["flags"]["precision"]
    found = train(setting, args.encoder or minilm_folder(), args)
    result = {
        "setting": args.setting.stem,
        "side": "trainer",
        "precision": args.precision,
        "seed": args.seed,
        **found,
        "threads": args.threads,
        "processor": processor(),
        "versions": {name: version(name) for name in PACKAGES},
    }
    args.output.parent.mkdir(parents=True, exist_ok=True)
    aside = args.output.with_suffix(".part")
    aside.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    aside.replace(args.output)


if __name__ == "__main__":
    main()
