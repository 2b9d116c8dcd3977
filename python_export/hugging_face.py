"""How transformers stores what an export holds: `hugging_face` in `tfbert.json`.

`tfbert export --to hugging-face` writes config.json, model.safetensors and tokenizer_config.json
from it, so that the driver knows no family of encoders.
"""

import json

# Where an encoder's object paths differ from the names of Hugging Face's BertModel, the longest
# name first.
_PARTS = {
    "attention.output.LayerNorm": "attention_norm",
    "attention.output.dense": "attention_output",
    "intermediate.dense": "intermediate",
    "output.LayerNorm": "output_norm",
    "output.dense": "output",
    "pooler.dense": "pooler",
    "embeddings_project": "embeddings/projection",
    "LayerNorm": "norm",
}
_QKV = ("query", "key", "value")
# What stands for the number of a layer in the rows that all layers have.
_LAYER = "{layer}"


def description(checkpoint, head_class) -> dict | None:
    """The object `hugging_face`, or None where transformers has no model that computes the same."""
    family = checkpoint.family
    head_name = family.hugging_face_head(head_class)
    if head_name is None:
        return None
    names = [
        name
        for name in family.tensor_shapes(checkpoint.config)
        if family.reads_pooler(head_class) or not name.startswith("pooler.")
    ]
    rows = [
        {"name": family.hugging_face_name(_any_layer(name), head_class), **family.variable_of(name)}
        for name in names
        if not name.startswith("encoder.layer.") or name.startswith("encoder.layer.0.")
    ]
    rows += [
        {**row, "name": name}
        for row in head_class.hugging_face_weights(head_name)
        if (name := family.hugging_face_head_weight(row["name"], head_class))
    ]
    config = {
        **family.hugging_face_config(checkpoint.config),
        "architectures": [family.class_prefix + head_class.hugging_face_class],
        "dtype": "float32",
    }
    if head_class.problem_type:
        config["problem_type"] = head_class.problem_type
    return {
        "config": config,
        "tokenizer_config": _tokenizer_config(checkpoint),
        "has_vocab_txt": family.has_vocab_txt,
        "weights": rows,
    }


def _any_layer(name):
    return name.replace("encoder.layer.0.", f"encoder.layer.{_LAYER}.")


def bert_variable(name: str) -> dict:
    """The row of a weight under BertModel's name, without its own name: the variable's object path,
    whether it is stored as `[inputs, outputs]`, and which part of the variable it is."""
    owner, _, kind = name.rpartition(".")
    path, part = owner.replace("encoder.layer.0", f"layers/{_LAYER}"), None
    for index, projection in enumerate(_QKV):
        if path.endswith(f"attention.self.{projection}"):
            path = path.replace(f"attention.self.{projection}", "query_key_value")
            part = [index, len(_QKV)]
    for known, own in _PARTS.items():
        if path.endswith(known):
            path = path.removesuffix(known) + own
            break
    is_norm = path.endswith("norm")
    path = "encoder/" + path.replace(".", "/")
    if path.endswith("_embeddings"):
        return {"variable": path}
    if is_norm:
        return {"variable": f"{path}/{'gamma' if kind == 'weight' else 'beta'}"}
    row = {"variable": f"{path}/{'kernel' if kind == 'weight' else 'bias'}"}
    if kind == "weight":
        row["transposed"] = True
    if part:
        row["part"] = part
    return row


def _tokenizer_config(checkpoint):
    """The content of a tokenizer_config.json."""
    family = checkpoint.family
    settings = {
        "tokenizer_class": family.tokenizer_class,
        "model_max_length": family.max_length(checkpoint.config),
        **family.special_tokens,
        **family.tokenizer_values,
    }
    normalizer = json.loads(checkpoint.tokenizer).get("normalizer") or {}
    if normalizer.get("type") == "BertNormalizer":
        settings["do_lower_case"] = checkpoint.do_lower_case
        settings["strip_accents"] = normalizer.get("strip_accents")
        settings["tokenize_chinese_chars"] = normalizer.get("handle_chinese_chars", True)
    return settings
