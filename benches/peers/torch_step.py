"""One training step of PyTorch + transformers, timed as `tfbert bench` times its own: with fused
AdamW, which is the Trainer's default, and `scaled_dot_product_attention`."""

import argparse
import time
from pathlib import Path

from common import encoder_config, guard_amx, minilm_folder, parse_shape, report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="the export of the same encoder")
    parser.add_argument("--shape", required=True, help="rows and length, 32x128")
    parser.add_argument("--precision", choices=["f32", "bf16"], required=True)
    parser.add_argument("--steps", type=int, default=9)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--device", default="cpu", help="cpu, or cuda")
    parser.add_argument("--compile", action="store_true", help="the model under torch.compile")
    args = parser.parse_args()

    guard_amx()
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(1)
    if args.threads:
        torch.set_num_threads(args.threads)
    sizes = encoder_config(args.model)
    if sizes["name"] == "minilm-l6":
        model = BertForSequenceClassification.from_pretrained(
            minilm_folder(), num_labels=2, attn_implementation="sdpa"
        )
    else:
        names = [
            *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads"),
            *("intermediate_size", "max_position_embeddings", "type_vocab_size"),
        ]
        config = BertConfig(**{name: sizes[name] for name in names}, attn_implementation="sdpa")
        model = BertForSequenceClassification(config)
    model.to(args.device).train()
    plain = ("bias", "LayerNorm.weight")
    decayed = [p for name, p in model.named_parameters() if not name.endswith(plain)]
    others = [p for name, p in model.named_parameters() if name.endswith(plain)]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-6, eps=1e-6, fused=True)
    compute = torch.compile(model) if args.compile else model

    rows, length = parse_shape(args.shape)
    seconds = []
    for _ in range(1 + args.warmup + args.steps):
        input_ids = torch.randint(0, sizes["vocab_size"], (rows, length))
        token_type_ids = (torch.arange(length) >= length // 2).long().expand(rows, length)
        labels = torch.randint(0, 2, (rows,))
        batch = (input_ids, torch.ones_like(input_ids), token_type_ids, labels)
        input_ids, attention_mask, token_type_ids, labels = (x.to(args.device) for x in batch)
        start = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast(args.device, torch.bfloat16, enabled=args.precision == "bf16"):
            loss = compute(
                input_ids=input_ids,
                attention_mask=attention_mask,
                token_type_ids=token_type_ids,
                labels=labels,
            ).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        loss.item()
        seconds.append(time.perf_counter() - start)
    report(args.shape, seconds, args.warmup)


if __name__ == "__main__":
    main()
