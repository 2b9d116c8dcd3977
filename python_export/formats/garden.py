"""Names and layout of Model Garden's BERT encoders, which are also those on TensorFlow Hub and
Kaggle: https://github.com/tensorflow/models, official/nlp/modeling.

A variable has two names: that of its layer (`transformer/layer_0/self_attention/query/kernel`),
which the checkpoint's object graph holds, and the path of objects that leads to it, the key. Older
releases name some layers otherwise. What has no known name of a layer is looked for by its path.
"""

import re

_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_NORM = {"gamma": "weight", "beta": "bias"}
_DENSE = {"kernel": "weight", "bias": "bias"}
_EMBEDDINGS = (
    (r"word_embeddings(/embeddings)?", "word_embeddings.weight"),
    (r"position_embeddings?(/(position_)?embeddings)?", "position_embeddings.weight"),
    (r"type_embeddings(/embeddings)?", "token_type_embeddings.weight"),
)
# The parts of a layer: by the name of the sublayer, and by the attribute in the object's path.
_PARTS = (
    ("self_attention/query", "_attention_layer/_query_dense", "attention.self.query"),
    ("self_attention/key", "_attention_layer/_key_dense", "attention.self.key"),
    ("self_attention/value", "_attention_layer/_value_dense", "attention.self.value"),
    (
        "self_attention(?:/attention)?_output",
        "(?:_attention_layer/_output_dense|_attention_output_dense)",
        "attention.output.dense",
    ),
    ("self_attention_layer_norm", "_attention_layer_norm", "attention.output.LayerNorm"),
    ("intermediate", "_intermediate_dense", "intermediate.dense"),
    ("output", "_output_dense", "output.dense"),
    ("output_layer_norm", "_output_layer_norm", "output.LayerNorm"),
)


def pytorch_names(full_names: dict[str, str]) -> dict[str, str]:
    """The key of each variable of an encoder, by the name that Hugging Face's BertModel has for it.

    `full_names` has the layer's name of each key. Other variables are left out.
    """
    by_layer = {}
    for key, name in full_names.items():
        found = _by_layer_name(name.removesuffix(":0"))
        if found:
            by_layer.setdefault(found, key)
    by_path = _by_path(sorted(full_names))
    return by_path | by_layer


def _by_layer_name(name):
    for pattern, ours in _EMBEDDINGS:
        if re.fullmatch(rf"(.*/)?{pattern}", name):
            return f"embeddings.{ours}"
    if match := re.fullmatch(r"(.*/)?(embeddings|embedding_postprocessor)/layer_norm/(\w+)", name):
        return f"embeddings.LayerNorm.{_NORM[match[3]]}" if match[3] in _NORM else None
    if match := re.fullmatch(r"(.*/)?embedding_projection/(kernel|bias)", name):
        return f"embeddings_project.{_DENSE[match[2]]}"
    if match := re.fullmatch(r"(.*/)?pooler_transform/(kernel|bias)", name):
        return f"pooler.dense.{_DENSE[match[2]]}"
    for part, _, ours in _PARTS:
        if match := re.fullmatch(rf"(?:.*/)?layer_(\d+)/{part}/(\w+)", name):
            return _of_layer(int(match[1]), ours, match[2])
    return None


def _of_layer(index, part, variable):
    last = (_NORM if part.endswith("LayerNorm") else _DENSE).get(variable)
    return last and f"encoder.layer.{index}.{part}.{last}"


def _by_path(keys):
    """What the paths alone tell. Layers are counted in the order of the numbers in their paths:
    `layer_with_weights-4` may be layer 0."""
    found, layers = {}, {}
    for key in keys:
        path = key.removesuffix(_VALUE)
        for _, part, ours in _PARTS:
            match = re.fullmatch(rf"(.*[/-](\d+))/{part}/(\w+)", path)
            if match:
                layers.setdefault((int(match[2]), match[1]), []).append((ours, match[3], key))
                break
        for pattern, ours in (
            (r"_(?:word_)?embedding_layer/embeddings", "embeddings.word_embeddings.weight"),
            (r"_position_embedding_layer/embeddings", "embeddings.position_embeddings.weight"),
            (r"_type_embedding_layer/embeddings", "embeddings.token_type_embeddings.weight"),
            (r"_embedding_norm_layer/gamma", "embeddings.LayerNorm.weight"),
            (r"_embedding_norm_layer/beta", "embeddings.LayerNorm.bias"),
            (r"_embedding_projection/kernel", "embeddings_project.weight"),
            (r"_embedding_projection/bias", "embeddings_project.bias"),
            (r"_pooler_layer/kernel", "pooler.dense.weight"),
            (r"_pooler_layer/bias", "pooler.dense.bias"),
        ):
            if re.fullmatch(rf"(.*/)?{pattern}", path):
                found[ours] = key
    for index, layer in enumerate(sorted(layers)):
        for part, variable, key in layers[layer]:
            if name := _of_layer(index, part, variable):
                found[name] = key
    return found


def in_pytorchs_layout(name, value):
    """A variable as PyTorch stores it: attention's kernels and biases have an axis of heads, and
    kernels are `[inputs, outputs]`."""
    if ".attention.self." in name:
        width = value.shape[0] if value.ndim > 2 else -1
        value = value.reshape([width, -1]).T if name.endswith(".weight") else value.reshape(-1)
        return value
    if name.endswith("attention.output.dense.weight"):
        return value.reshape([-1, value.shape[-1]]).T
    is_kernel = name.endswith((".dense.weight", "embeddings_project.weight"))
    return value.T if is_kernel else value
