"""Writes the training SavedModel, its serving template and `tfbert.json`: `docs/contract.md`."""

import json
import os
import shutil
import sys
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from . import CONTRACT_VERSION, __version__
from .encoder import Encoder
from .forward import Inputs
from .heads import HEADS, Head
from .model import ServedModel, TrainingModel
from .optimizer import Update
from .weights import Checkpoint

PRECISIONS = {"f32": tf.float32, "bf16": tf.bfloat16}
CONTRACT_FILE = Path("assets.extra") / "tfbert.json"


class ExportError(Exception):
    """An export that cannot be written; the message says what to do."""


@contextmanager
def progress(what: str):
    """A line on stderr around a long step."""
    print(f"{what} …", end=" ", file=sys.stderr, flush=True)
    start = time.monotonic()
    yield
    print(f"{time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)


def export(checkpoint: Checkpoint, head: str, output: Path, force=False, seed=0) -> Path:
    """Writes `output/<encoder>/<head>` and returns it; a complete export is left as it is.

    Written aside and renamed, so that the folder is complete or absent. Raises ExportError where
    something else is in its place and `force` is not given.
    """
    folder = output / checkpoint.name / head
    if folder.exists() and not force:
        _check_same(folder, checkpoint, head)
        print(f"{folder} is complete, left as it is", file=sys.stderr)
        return folder
    aside = folder.with_name(f".{head}.partial-{os.getpid()}")
    try:
        _write(checkpoint, HEADS[head], aside, seed)
        _replace(folder, aside)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def _check_same(folder, checkpoint, head):
    """Raises ExportError unless the folder holds just what would be written."""
    hint = "hint: --force replaces it, --name NAME writes beside it"
    try:
        found = json.loads((folder / CONTRACT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ExportError(f"{folder} exists and is not a complete export\n{hint}") from None
    wanted = _facts(checkpoint, head)
    for key in ("contract_version", "head", "weights_sha256", "encoder"):
        if found.get(key) != wanted[key]:
            raise ExportError(
                f"{folder} holds another export: "
                f"`{key}` is {found.get(key)}, not {wanted[key]}\n{hint}"
            )


def _replace(folder, aside):
    """Puts the finished export in its place, by renames alone."""
    old = folder.with_name(f".{folder.name}.old-{os.getpid()}")
    if folder.exists():
        folder.rename(old)
    aside.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _facts(checkpoint, head):
    """What `tfbert.json` says apart from the signatures."""
    config = checkpoint.config
    return {
        "contract_version": CONTRACT_VERSION,
        "tfbert_version": __version__,
        "head": head,
        "encoder": {"name": checkpoint.name, **config.to_json()},
        "max_length": checkpoint.family.max_length(config),
        "do_lower_case": checkpoint.do_lower_case,
        "precisions": list(PRECISIONS),
        "weights_sha256": checkpoint.sha256,
    }


def _write(checkpoint, head_class, folder, seed):
    head_name = head_class.name_in_contract
    label = f"{checkpoint.name}/{head_name}"
    tensors = checkpoint.tensors
    if head_class.pooled and not checkpoint.has_pooler:
        print(f"{label}: the checkpoint has no pooler, one is drawn at random", file=sys.stderr)
        tensors = {**tensors, **_draw_pooler(checkpoint.config, seed)}
    embeddings = checkpoint.family.embeddings(checkpoint.config, tensors)
    encoder = Encoder(checkpoint.config, embeddings, tensors, pooler=head_class.pooled)
    model = TrainingModel(encoder, head_class(encoder))

    with progress(f"{label}: tracing the training graph"):
        training = training_signatures(model)
    with progress(f"{label}: tracing the serving graph"):
        template = ServedModel(model.encoder, model.head)
        serving = serving_signatures(template)
    with progress(f"{label}: writing"):
        _save(model, folder, training)
        _optimise_only(folder, [name for name in training if name.startswith("eval_")])
        extra = folder / "assets.extra"
        _save(template, folder / "template", serving)
        _optimise_only(folder / "template", serving)
        (extra / "serving").mkdir(parents=True)
        (folder / "template" / "saved_model.pb").rename(extra / "serving" / "saved_model.pb")
        shutil.rmtree(folder / "template")
        (extra / "tokenizer.json").write_text(checkpoint.tokenizer, encoding="utf-8")
        (extra / "vocab.txt").write_text(checkpoint.vocabulary, encoding="utf-8")
        facts = _facts(checkpoint, head_name)
        facts["signatures"] = {name: _describe(f) for name, f in training.items()}
        facts["serving_signatures"] = {name: _describe(f) for name, f in serving.items()}
        contract = json.dumps(facts, indent=2, ensure_ascii=False)
        (folder / CONTRACT_FILE).write_text(contract + "\n", encoding="utf-8")


def _draw_pooler(config, seed):
    random = np.random.default_rng(seed)
    shape = (config.hidden_size, config.hidden_size)
    kernel = random.standard_normal(shape) * config.initializer_range
    return {
        "pooler.dense.weight": kernel.astype(np.float32),
        "pooler.dense.bias": np.zeros(config.hidden_size, np.float32),
    }


def _save(module, folder, signatures):
    # The islands' gradients are for this graph alone; saving them again would only enlarge it.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, str(folder), signatures=signatures, options=options)
    for unused in ("assets", "fingerprint.pb"):
        path = folder / unused
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)


def _optimise_only(folder, signatures):
    """Turns TensorFlow's graph optimiser off for all calls but those of these signatures.

    It has nothing to gain between compiled islands, in restoring and in what is done once, and
    takes up to a third of a second and 40 MB of each start.
    """
    path = folder / "saved_model.pb"
    model = SavedModel.FromString(path.read_bytes())
    meta_graph = model.meta_graphs[0]
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    functions = {f.signature.name: f for f in meta_graph.graph_def.library.function}
    outputs = [next(iter(meta_graph.signature_def[s].outputs.values())).name for s in signatures]
    pending = [nodes.pop(name.split(":")[0]) for name in outputs]
    while pending:
        for attribute in pending.pop().attr.values():
            # Each function is entered once.
            function = functions.pop(attribute.func.name, None)
            pending += function.node_def if function else []
    # What is left is reached by none of them.
    for node in (*nodes.values(), *(node for f in functions.values() for node in f.node_def)):
        if "config_proto" in node.attr:
            config = tf.compat.v1.ConfigProto.FromString(node.attr["config_proto"].s)
            config.graph_options.rewrite_options.disable_meta_optimizer = True
            node.attr["config_proto"].s = config.SerializeToString(deterministic=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _spec(name, dtype, shape=()):
    return tf.TensorSpec(shape, dtype, name=name)


def _input_specs(head: Head):
    return {name: _spec(name, tf.int32, head.inputs_shape) for name in Inputs._fields}


def _label_specs(head: Head):
    return {
        "labels": _spec("labels", head.labels_dtype, head.labels_shape),
        "sample_weight": _spec("sample_weight", tf.float32, head.weights_shape),
    }


def _batch_specs(head: Head):
    specs = {**_label_specs(head), "weight_sum": _spec("weight_sum", tf.float32)}
    if head.smooths_labels:
        specs["label_smoothing"] = _spec("label_smoothing", tf.float32)
    specs["dropout"] = _spec("dropout", tf.float32)
    specs["seed"] = _spec("seed", tf.int32, [2])
    return specs


def _update_specs(layers):
    specs = {name: _spec(name, tf.float32) for name in Update._fields}
    specs["layer_scale"] = _spec("layer_scale", tf.float32, [layers + 2])
    return specs


def _concrete(function, specs):
    """Traces `function`, which takes keyword arguments, for these specifications."""
    return tf.function(function, autograph=False).get_concrete_function(**specs)


def _take(arguments, kind):
    """Takes the fields of a named tuple out of keyword arguments."""
    return kind(**{name: arguments.pop(name) for name in kind._fields})


def training_signatures(model: TrainingModel) -> dict:
    """The concrete functions of the training SavedModel by signature key."""
    head, inputs = model.head, _input_specs(model.head)
    batch, update = _batch_specs(head), _update_specs(model.encoder.config.num_hidden_layers)

    def evaluate(dtype, labels, sample_weight, **a):
        return model.evaluate(_take(a, Inputs), labels, sample_weight, dtype)

    signatures = {
        "init": _concrete(
            lambda **a: model.initialise(**a),
            {"num_labels": _spec("num_labels", tf.int32), "seed": _spec("seed", tf.int32, [2])},
        ),
        "apply": _concrete(lambda **a: model.apply(_take(a, Update)), update),
    }
    for precision, dtype in PRECISIONS.items():
        for form, halves in (("", False), ("_halves", True)):
            train, accumulate = _learning(model, dtype, halves)
            for name, function, specs in (
                ("train", train, update),
                ("accumulate", accumulate, {"first": _spec("first", tf.bool)}),
            ):
                traced = _concrete(function, {**inputs, **batch, **specs})
                signatures[f"{name}_{precision}{form}"] = traced
        signatures[f"eval_{precision}"] = _concrete(
            _with_dtype(evaluate, dtype), {**inputs, **_label_specs(head)}
        )
    return signatures


def _learning(model, dtype, halves):
    """`train` and `accumulate` of keyword arguments. Both call one function for the gradients, so
    that the graph holds it once."""

    @partial(tf.function, autograph=False)
    def gradients(inputs, batch):
        return model.gradients(inputs, batch, dtype, halves)

    def train(**a):
        inputs, update = _take(a, Inputs), _take(a, Update)
        return model.train(*gradients(inputs, a), update)

    def accumulate(**a):
        inputs, first = _take(a, Inputs), a.pop("first")
        return model.accumulate(*gradients(inputs, a), first)

    return train, accumulate


def serving_signatures(model: ServedModel) -> dict:
    """The concrete functions of the serving template by signature key."""
    inputs = _input_specs(model.head)

    def predict(dtype, **a):
        return model.predict(Inputs(**a), dtype)

    signatures = {"serving_default": _concrete(lambda **a: model.serve(Inputs(**a)), inputs)}
    for precision, dtype in PRECISIONS.items():
        signatures[f"predict_{precision}"] = _concrete(_with_dtype(predict, dtype), inputs)
    return signatures


def _with_dtype(function, dtype):
    return lambda **arguments: function(dtype, **arguments)


def _describe(function):
    """A signature's inputs and outputs with dtype and shape, `null` for an open dimension."""

    def describe(tensors):
        return {
            name: {"dtype": tensor.dtype.name, "shape": tensor.shape.as_list()}
            for name, tensor in sorted(tensors.items())
        }

    return {
        "inputs": describe(function.structured_input_signature[1]),
        "outputs": describe(function.structured_outputs),
    }
