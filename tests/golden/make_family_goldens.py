"""Makes the goldens of the families of encoders, and of activations, from Hugging Face's PyTorch.

    python tests/golden/make_family_goldens.py

Run from the repository's root with torch 2.15 and transformers 5.23. Writes `families.npz` beside
this script. Each case is a small model whose weights are drawn from their names
(`python_export/tests/drawn.py`), so the golden holds their names and shapes alone; with the
`config.json`, 64 rows of token ids, the logits for them, and of six rows the loss and gradient.
"""

import inspect
import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
from transformers import (
    AutoConfig,
    AutoModelForMultipleChoice,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent))

from python_export.tests.drawn import draw  # noqa: E402

MODELS = {
    "classify": AutoModelForSequenceClassification,
    "span": AutoModelForQuestionAnswering,
    "tag": AutoModelForTokenClassification,
    "choice": AutoModelForMultipleChoice,
}
VOCABULARY, LENGTH, ROWS, LEARNT, SAMPLES, MASKED = 320, 12, 64, 6, 6, -1e9
BERT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
}
DISTIL = {
    "vocab_size": VOCABULARY,
    "dim": 32,
    "n_layers": 2,
    "n_heads": 4,
    "hidden_dim": 48,
    "max_position_embeddings": 40,
}
# Sequences are longer than its window, and three layers have one.
MODERN = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 5,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
    "local_attention": 6,
    "pad_token_id": 1,
    "bos_token_id": 2,
    "cls_token_id": 2,
    "eos_token_id": 3,
    "sep_token_id": 3,
}
ROBERTA = {**BERT, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "type_vocab_size": 1}
CASES = {
    "bert": ("bert", BERT, ("classify", "span", "tag", "choice")),
    **{
        f"bert-{activation}": ("bert", {**BERT, "hidden_act": activation}, ("classify",))
        for activation in ("gelu_new", "gelu_pytorch_tanh", "relu", "silu")
    },
    "distilbert": ("distilbert", DISTIL, ("classify", "span", "tag", "choice")),
    "electra": ("electra", {**BERT, "embedding_size": 16}, ("classify", "span", "tag", "choice")),
    "electra-large": ("electra", {**BERT, "embedding_size": 32}, ("classify",)),
    "roberta": ("roberta", {**ROBERTA, "layer_norm_eps": 1e-5}, tuple(MODELS)),
    "xlm-roberta": ("xlm-roberta", ROBERTA, ("classify",)),
    "camembert": ("camembert", ROBERTA, ("classify",)),
    "modernbert": ("modernbert", {**MODERN, "classifier_pooling": "mean"}, tuple(MODELS)),
    "modernbert-cls": (
        "modernbert",
        {**MODERN, "classifier_pooling": "cls"},
        ("classify", "choice"),
    ),
}


def batch_of(head, config, rng):
    """Token ids of mixed lengths, with segments where the encoder has two."""
    pad = config.pad_token_id
    outer = (ROWS // 4, 4) if head == "choice" else (ROWS,)
    lengths = rng.integers(3, LENGTH + 1, outer)
    lengths[0] = LENGTH
    place = np.arange(LENGTH)
    mask = (place < lengths[..., None]).astype(np.int32)
    ids = np.where(mask, rng.integers(5, VOCABULARY, (*outer, LENGTH)), pad)
    has_segments = getattr(config, "type_vocab_size", 1) > 1
    types = (place >= lengths[..., None] // 2) * mask * has_segments
    found = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    return {name: value.astype(np.int32) for name, value in found.items()}


def forward(head, model, batch):
    names = ["input_ids", "attention_mask"]
    if "token_type_ids" in inspect.signature(model.forward).parameters:
        names.append("token_type_ids")
    output = model(**{name: torch.from_numpy(batch[name]).long() for name in names})
    if head != "span":
        return output.logits
    logits = torch.stack([output.start_logits, output.end_logits], -1)
    mask = torch.from_numpy(batch["attention_mask"])
    return logits.masked_fill(mask[..., None] == 0, MASKED)


def loss_of(head, logits, labels, mask):
    labels = torch.from_numpy(labels).long()
    if head == "span":
        return sum(functional.cross_entropy(logits[..., i], labels[:, i]) for i in range(2)) / 2
    if head == "tag":
        elements = functional.cross_entropy(
            logits.flatten(0, 1), labels.flatten(), reduction="none"
        )
        mask = torch.from_numpy(mask).flatten()
        return (elements * mask).sum() / mask.sum()
    return functional.cross_entropy(logits, labels)


def draw_weights(parameters):
    """Draws the weights of a model, given by name; returns their shapes by name."""
    for name, parameter in parameters.items():
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(draw(name, tuple(parameter.shape))))
    return {name: list(parameter.shape) for name, parameter in parameters.items()}


def summary(model, parameters, shapes, rng):
    """What a golden holds of every model: how it is made, and the gradients of its weights."""
    norms, places, found = [], [], []
    for parameter in parameters.values():
        gradient = parameter.grad
        gradient = torch.zeros_like(parameter) if gradient is None else gradient
        gradient = gradient.numpy().astype(np.float64).ravel()
        chosen = rng.integers(0, gradient.size, SAMPLES)
        norms.append(np.sqrt((gradient**2).sum()))
        places.append(chosen)
        found.append(gradient[chosen])
    model.config.architectures = [type(model).__name__]
    return {
        "config": np.array(model.config.to_json_string(use_diff=False)),
        "weights": np.array(json.dumps(shapes)),
        "gradient_norms": np.array(norms),
        "gradient_places": np.array(places, np.int32),
        "gradient_values": np.array(found, np.float32),
    }


def case(kind, values, head):
    rng = np.random.default_rng(len(kind) + len(head))
    labels = {"span": 2, "choice": 1}.get(head, 3)
    config = AutoConfig.for_model(kind, **values, num_labels=labels, attn_implementation="eager")
    model = MODELS[head].from_config(config).eval()
    parameters = dict(model.named_parameters())
    shapes = draw_weights(parameters)
    batch = batch_of(head, model.config, rng)
    few = {name: value[:LEARNT] for name, value in batch.items()}
    choices = {"choice": 4, "span": 3}.get(head, 3)
    outer = {"span": (LEARNT, 2), "tag": (LEARNT, LENGTH)}.get(head, (LEARNT,))
    targets = rng.integers(0, choices, outer).astype(np.int32)
    with torch.no_grad():
        logits = forward(head, model, batch).numpy()
    loss = loss_of(head, forward(head, model, few), targets, few["attention_mask"])
    loss.backward()
    return {
        **batch,
        **summary(model, parameters, shapes, rng),
        "logits": logits,
        "labels": targets,
        "loss": np.float64(loss.item()),
    }


def main():
    golden = {}
    for name, (kind, values, heads) in CASES.items():
        for head in heads:
            found = case(kind, values, head)
            golden |= {f"{name}/{head}/{key}": value for key, value in found.items()}
            print(name, head, found["loss"])
    path = HERE / "families.npz"
    np.savez_compressed(path, **golden)
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
