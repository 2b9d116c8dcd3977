"""Writes an encoder's weights in the forms that `python_export.formats` reads.

The names and layouts are those that each writer outside this project has: PyTorch's serialization,
transformers' Keras models, Google's run_classifier.py, and Model Garden's BertEncoder.
"""

import io
import json
import pickle
import re
import sys
import types
import zipfile

import h5py
import numpy as np
import tensorflow as tf

_LAYER = re.compile(r"encoder\.layer\.(\d+)\.")


# PyTorch.


def write_torch(path, tensors, stream=False):
    """`pytorch_model.bin` as the archive of PyTorch 1.6 and later, or the stream before."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    utils._rebuild_tensor_v2 = _named("torch._utils", "_rebuild_tensor_v2")
    torch.FloatStorage = type("FloatStorage", (), {"__module__": "torch"})
    kept = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules |= {"torch": torch, "torch._utils": utils}
    try:
        _write_torch(path, tensors, stream, torch, utils)
    finally:
        for name, module in kept.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def _named(module, name):
    def function(*_):
        raise AssertionError("only its name is pickled")

    function.__module__, function.__qualname__, function.__name__ = module, name, name
    return function


def _write_torch(path, tensors, stream, torch, utils):
    class Storage:
        def __init__(self, key, size):
            self.key, self.size = key, size

    class View:
        def __init__(self, key, value):
            self.arguments = (
                Storage(str(key), value.size),
                0,
                value.shape,
                tuple(stride // 4 for stride in value.strides),
                False,
                None,
            )

        def __reduce__(self):
            return utils._rebuild_tensor_v2, self.arguments

    class Pickler(pickle.Pickler):
        def persistent_id(self, item):
            if not isinstance(item, Storage):
                return None
            legacy = (None,) if stream else ()
            return ("storage", torch.FloatStorage, item.key, "cpu", item.size, *legacy)

    def pickled(content):
        buffer = io.BytesIO()
        Pickler(buffer, 2).dump(content)
        return buffer.getvalue()

    values = [np.ascontiguousarray(value) for value in tensors.values()]
    named = zip(tensors, values, strict=True)
    content = pickled({name: View(k, v) for k, (name, v) in enumerate(named)})
    if not stream:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("pytorch_model/data.pkl", content)
            for key, value in enumerate(values):
                file.writestr(f"pytorch_model/data/{key}", value.tobytes())
        return
    with path.open("wb") as file:
        system = {"protocol_version": 1001, "little_endian": True}
        for head in (0x1950A86A20F9469CFC6C, 1001, system):
            file.write(pickled(head))
        file.write(content + pickled([str(key) for key in range(len(values))]))
        for value in values:
            file.write(np.int64(value.size).tobytes() + value.tobytes())


# transformers' Keras models.


def write_h5(path, tensors, model="tf_bert_model", group="bert"):
    """`tf_model.h5`; `tensors` are under `bert.…` or without a prefix."""
    with h5py.File(path, "w") as file:
        for name, value in tensors.items():
            key, value = _keras_name(name.removeprefix("bert."), value)
            file[f"{group}/{model}/bert/{key}:0"] = value


def _keras_name(name, value):
    name = re.sub(r"encoder/layer/(\d+)/", r"encoder/layer_._\1/", name.replace(".", "/"))
    if name.endswith("word_embeddings/weight"):
        return name, value
    if "_embeddings/" in name:
        return name.replace("/weight", "/embeddings"), value
    return _tensorflow_last(name, value)


def _tensorflow_last(name, value):
    if "LayerNorm" in name:
        return name.replace("/weight", "/gamma").replace("/bias", "/beta"), value
    return name.replace("/weight", "/kernel"), value.T if name.endswith("weight") else value


# Google's checkpoints of TensorFlow 1.


def write_google(folder, tensors, config, vocabulary, head=None):
    """`bert_model.ckpt`, `bert_config.json` and `vocab.txt`, with an optimiser's slots as those of
    run_classifier.py have them; `head` are variables beside, by their names."""
    variables = {"global_step": np.int64(7)}
    for name, value in tensors.items():
        key, value = _google_name(name, value)
        variables |= {key: value, f"{key}/adam_m": np.zeros_like(value)}
    save(folder / "bert_model.ckpt", variables | (head or {}))
    (folder / "bert_config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in vocabulary))


def _google_name(name, value):
    name = "bert/" + _LAYER.sub(r"encoder/layer_\1/", name).replace(".", "/")
    if "_embeddings/" in name:
        return name.removesuffix("/weight"), value
    return _tensorflow_last(name, value)


def save(prefix, variables):
    """A checkpoint of variables by name."""
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(variables),
        shape_and_slices=[""] * len(variables),
        tensors=[np.ascontiguousarray(value) for value in variables.values()],
    )


# Model Garden.

_GARDEN = {
    "attention.self.query": ("self_attention/query", "_attention_layer/_query_dense"),
    "attention.self.key": ("self_attention/key", "_attention_layer/_key_dense"),
    "attention.self.value": ("self_attention/value", "_attention_layer/_value_dense"),
    "attention.output.dense": (
        "self_attention/attention_output",
        "_attention_layer/_output_dense",
    ),
    "attention.output.LayerNorm": ("self_attention_layer_norm", "_attention_layer_norm"),
    "intermediate.dense": ("intermediate", "_intermediate_dense"),
    "output.dense": ("output", "_output_dense"),
    "output.LayerNorm": ("output_layer_norm", "_output_layer_norm"),
}
_GARDEN_TOP = {
    "embeddings.word_embeddings": ("word_embeddings", "_embedding_layer"),
    "embeddings.position_embeddings": ("position_embedding", "_position_embedding_layer"),
    "embeddings.token_type_embeddings": ("type_embeddings", "_type_embedding_layer"),
    "embeddings.LayerNorm": ("embeddings/layer_norm", "_embedding_norm_layer"),
    "pooler.dense": ("pooler_transform", "_pooler_layer"),
}


def garden_encoder(tensors, heads, named=True):
    """A `tf.Module` with the variables of Model Garden's BertEncoder: their layers' names (unless
    not `named`), paths, and shapes with an axis of heads."""
    root, layers = tf.Module(), {}
    for name, value in tensors.items():
        part, _, last = name.rpartition(".")
        if match := _LAYER.match(name):
            layer, path = _GARDEN[part.removeprefix(match[0])]
            layer = f"transformer/layer_{match[1]}/{layer}"
            at = layers.setdefault(int(match[1]), tf.Module())
        else:
            layer, path = _GARDEN_TOP[part]
            at = root
        if part.endswith("LayerNorm"):
            last = {"weight": "gamma", "bias": "beta"}[last]
        elif part.endswith("_embeddings"):
            last = "embeddings"
        elif last == "weight":
            last, value = "kernel", value.T
        value = _with_heads(part, last, value, heads)
        for step in path.split("/"):
            if not hasattr(at, step):
                setattr(at, step, tf.Module())
            at = getattr(at, step)
        label = f"{layer}/{last}" if named else "Variable"
        setattr(at, last, tf.Variable(np.ascontiguousarray(value), name=label))
    root._transformer_layers = [layers[index] for index in sorted(layers)]
    return root


def _with_heads(part, last, value, heads):
    if ".attention.self." in part:
        return value.reshape([*value.shape[:-1], heads, value.shape[-1] // heads])
    if part.endswith("attention.output.dense") and last == "kernel":
        return value.reshape([heads, value.shape[0] // heads, -1])
    return value


def write_garden_checkpoint(folder, tensors, heads, named=True):
    """Model Garden's checkpoint of an encoder, `bert_model.ckpt`."""
    encoder = garden_encoder(tensors, heads, named)
    tf.train.Checkpoint(encoder=encoder).write(str(folder / "bert_model.ckpt"))


def write_hub_module(folder, tensors, heads, vocabulary, do_lower_case=None):
    """A SavedModel as those on TensorFlow Hub: `assets/vocab.txt`, and the case as a variable."""
    root = garden_encoder(tensors, heads)
    vocab = folder.parent / "vocab.txt"
    vocab.write_text("".join(f"{piece}\n" for piece in vocabulary))
    root.vocab_file = tf.saved_model.Asset(str(vocab))
    if do_lower_case is not None:
        root.do_lower_case = tf.Variable(do_lower_case, trainable=False)
    tf.saved_model.save(root, str(folder))
