"""Writes an export: the training SavedModel, the serving template and `tfbert.json`.

`docs/contract.md` describes them.
"""

import hashlib
import json
import shutil
import sys
import time
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from . import CONTRACT_VERSION, __version__, workers
from .encoder import Encoder, Pooler, dense_of
from .folders import remove_leftovers, written_aside
from .forward import Inputs
from .heads import HEADS, Head
from .hugging_face import description as hugging_face_description
from .model import ServedModel, TrainingModel
from .optimizer import Update
from .weights import Checkpoint
from .whole_step import learning_functions

PRECISIONS = {"f32": tf.float32, "bf16": tf.bfloat16}
CONTRACT_FILE = Path("assets.extra") / "tfbert.json"
TOKENIZER_FILE = Path("assets.extra") / "tokenizer.json"
VOCABULARY_FILE = Path("assets.extra") / "vocab.txt"


class ExportError(Exception):
    """An export that cannot be written; the message says what to do."""


@contextmanager
def progress(what: str):
    """A line on stderr around a long step."""
    print(f"{what} …", end=" ", file=sys.stderr, flush=True)
    start = time.monotonic()
    yield
    print(f"{time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)


def export(
    checkpoint: Checkpoint,
    head: str,
    output: Path,
    force=False,
    seed=0,
    whole_step=False,
    for_workers=False,
) -> Path:
    """Writes `output/<encoder>/<head>` and returns it, with `whole_step` the graph of
    `python_export.whole_step` too, with `for_workers` that of `python_export.workers`.

    An export that is what would be written is left as it is. Raises ExportError where anything else
    has the name and `force` is not given. What killed exports left in `output` is removed.
    """
    folder = output / checkpoint.name / head
    for parent in output.glob("[!.]*/"):
        for leftover in remove_leftovers(parent):
            print(f"removed {leftover}, left by an export that was killed", file=sys.stderr)
    if folder.exists() and not force:
        asked = {"whole_step": whole_step, "workers": for_workers}
        _check_same(folder, checkpoint, HEADS[head], seed, asked)
        print(f"{folder} is complete, left as it is", file=sys.stderr)
        return folder
    with written_aside(folder) as aside:
        _write(checkpoint, HEADS[head], aside, seed, whole_step, for_workers)
    return folder


def _check_same(folder, checkpoint, head_class, seed, asked):
    """Raises ExportError unless the folder holds exactly what would be written. `asked` says of
    each graph that is optional, by its folder's name, whether it is asked for."""
    hint = "hint: --force replaces it, --name NAME writes beside it"
    try:
        found = json.loads((folder / CONTRACT_FILE).read_text(encoding="utf-8"))
        files = dict(found.get("files") or {})
    except (OSError, ValueError, AttributeError, TypeError):
        raise ExportError(f"{folder} exists and is not a complete export\n{hint}") from None
    facts = _facts(checkpoint, head_class, seed)
    for key, value in _flat(facts).items():
        other = _flat(found).get(key)
        if other != value:
            raise ExportError(
                f"{folder} holds another export: `{key}` is {json.dumps(other)}, "
                f"not {json.dumps(value)}\n{hint}"
            )
    for path in (TOKENIZER_FILE, VOCABULARY_FILE):
        if files.get(str(path)) != _text_files(checkpoint)[path][1]:
            raise ExportError(f"{folder} holds another export: {path} is not the encoder's\n{hint}")
    for graph, wanted in asked.items():
        if wanted and not found.get(f"{graph}_signatures"):
            flag = f"--{graph.replace('_', '-')}"
            raise ExportError(f"{folder} was exported without {flag}\n{hint}")
    for path, sha256 in files.items():
        if not (folder / path).is_file():
            raise ExportError(f"{folder} is not a complete export: {path} is missing\n{hint}")
        if _sha256(folder / path) != sha256:
            raise ExportError(f"{folder} is damaged: {path} was changed\n{hint}")


def _flat(facts):
    """The facts with those of `encoder` and `exporter` beside the others, as `encoder.name`."""
    nested = {key: facts.get(key) for key in ("encoder", "exporter")}
    inner = {
        f"{outer}.{key}": value
        for outer, values in nested.items()
        if isinstance(values, dict)
        for key, value in values.items()
    }
    return {key: value for key, value in facts.items() if key not in nested} | inner


def _text_files(checkpoint):
    """The content and the SHA-256 of the files that are copied from the checkpoint."""
    texts = {TOKENIZER_FILE: checkpoint.tokenizer, VOCABULARY_FILE: checkpoint.vocabulary}
    return {path: (t, hashlib.sha256(t.encode()).hexdigest()) for path, t in texts.items()}


def _sha256(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _exporter():
    """What wrote an export: versions, and the SHA-256 of this package's source files, since the
    graph changes with them between two versions."""
    package = Path(__file__).parent
    folders = (package, package / "families", package / "formats")
    sources = [path for folder in folders for path in sorted(folder.glob("*.py"))]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources))
    return {"tensorflow": tf.__version__, "sources_sha256": digest.hexdigest()}


def _draws_pooler(checkpoint, head_class):
    return head_class.pooled and not checkpoint.has_pooler


def _facts(checkpoint, head_class, seed):
    """What `tfbert.json` says apart from signatures and files."""
    config = checkpoint.config
    return {
        "contract_version": CONTRACT_VERSION,
        "tfbert_version": __version__,
        "exporter": _exporter(),
        "head": head_class.name_in_contract,
        "encoder": {
            "name": checkpoint.name,
            "model_type": checkpoint.family.model_type,
            **config.to_json(),
        },
        "max_length": checkpoint.family.max_length(config),
        "do_lower_case": checkpoint.do_lower_case,
        "precisions": list(PRECISIONS),
        "weights_sha256": checkpoint.sha256,
        "pooler_seed": seed if _draws_pooler(checkpoint, head_class) else None,
        "hugging_face": hugging_face_description(checkpoint, head_class),
    }


def _write(checkpoint, head_class, folder, seed, whole_step, for_workers):
    head_name = head_class.name_in_contract
    label = f"{checkpoint.name}/{head_name}"
    tensors = checkpoint.tensors
    if _draws_pooler(checkpoint, head_class):
        print(f"{label}: the checkpoint has no pooler, one is drawn at random", file=sys.stderr)
        tensors = {**tensors, **_draw_pooler(checkpoint.config, seed)}
    encoder = encoder_of(checkpoint, tensors, head_class.pooled)
    model = TrainingModel(encoder, head_class(encoder))

    with progress(f"{label}: tracing the training graph"):
        training = training_signatures(model)
    with progress(f"{label}: tracing the serving graph"):
        template = ServedModel(model.encoder, model.head)
        serving = serving_signatures(template)
    optional = {}
    if whole_step:
        with progress(f"{label}: tracing the whole-step graph"):
            optional["whole_step"] = training_signatures(model, whole_step=True)
    if for_workers:
        with progress(f"{label}: tracing the workers' graph"):
            optional["workers"] = workers_signatures(model)
    with progress(f"{label}: writing"):
        _save(model, folder, training)
        _optimise_only(folder, _plain(training))
        extra = folder / "assets.extra"
        _save_graph(template, extra / "serving", serving, serving)
        for name, signatures in optional.items():
            _save_graph(model, extra / name, signatures, _plain(signatures))
        for path, (text, _) in _text_files(checkpoint).items():
            (folder / path).write_text(text, encoding="utf-8", newline="\n")
        facts = _facts(checkpoint, head_class, seed)
        facts["signatures"] = {name: _describe(f) for name, f in training.items()}
        facts["serving_signatures"] = {name: _describe(f) for name, f in serving.items()}
        for graph, signatures in optional.items():
            described = {name: _describe(f) for name, f in signatures.items()}
            facts[f"{graph}_signatures"] = described
        written = sorted(path for path in folder.rglob("*") if path.is_file())
        facts["files"] = {str(path.relative_to(folder)): _sha256(path) for path in written}
        contract = json.dumps(facts, indent=2, ensure_ascii=False)
        (folder / CONTRACT_FILE).write_text(contract + "\n", encoding="utf-8")


def encoder_of(checkpoint: Checkpoint, tensors, pooled: bool) -> Encoder:
    """The encoder of a checkpoint with these weights, with the pooler where it is `pooled`."""
    family, config = checkpoint.family, checkpoint.config
    pooler = None
    if pooled:
        dense = dense_of(tensors, "pooler.dense")
        pooler = Pooler(dense, family.pooler_activation, family.drops_pooler_input)
    return Encoder(config, family.embeddings(config, tensors), tensors, pooler)


def _plain(signatures):
    """The names of the signatures of plain operations, which TensorFlow's graph optimiser fuses."""
    return [name for name in signatures if name.startswith("eval_")]


def _draw_pooler(config, seed):
    random = np.random.default_rng(seed)
    shape = (config.hidden_size, config.hidden_size)
    kernel = random.standard_normal(shape) * config.initializer_range
    return {
        "pooler.dense.weight": kernel.astype(np.float32),
        "pooler.dense.bias": np.zeros(config.hidden_size, np.float32),
    }


def _save(module, folder, signatures):
    # The gradients are computed in the training signatures. Saving the custom gradients besides
    # would only make the file larger.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, str(folder), signatures=signatures, options=options)
    for unused in ("assets", "fingerprint.pb"):
        path = folder / unused
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)


def _save_graph(module, folder, signatures, optimised):
    """Writes the graph alone: its variables are those of another SavedModel."""
    aside = folder.parent.parent / "graph"
    _save(module, aside, signatures)
    _optimise_only(aside, optimised)
    folder.mkdir(parents=True)
    (aside / "saved_model.pb").rename(folder / "saved_model.pb")
    shutil.rmtree(aside)


def _optimise_only(folder, signatures):
    """Turns TensorFlow's graph optimiser off for all calls but those of these signatures.

    In the other calls (training, restoring, `init`) it improves nothing, and costs up to a third of
    a second and 40 MB at each start.
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
            # Removed when found, so that each function is visited once.
            function = functions.pop(attribute.func.name, None)
            pending += function.node_def if function else []
    # None of the signatures reaches what is left.
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
    """Traces `function` for keyword arguments of these dtypes and shapes."""
    return tf.function(function, autograph=False).get_concrete_function(**specs)


def _take(arguments, kind):
    """Removes the fields of the named tuple `kind` from keyword arguments and returns it."""
    return kind(**{name: arguments.pop(name) for name in kind._fields})


def training_signatures(model: TrainingModel, whole_step=False, learning=True) -> dict:
    """The concrete functions of the training SavedModel by signature key; with `whole_step` those
    of the whole-step graph, without `learning` those alone that compute no gradients."""
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
        if not learning:
            forms = {}
        elif whole_step:
            forms = {"": _whole_step(model, dtype)}
        else:
            forms = {"": _learning(model, dtype, False), "_halves": _learning(model, dtype, True)}
        for form, (train, accumulate) in forms.items():
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
    """The functions of `train` and `accumulate`. Both call one function for the gradients, so that
    the graph holds it once."""

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


def workers_signatures(model: TrainingModel) -> dict:
    """The concrete functions of the workers' graph by signature key."""
    head, inputs = model.head, _input_specs(model.head)
    batch = {**inputs, **_batch_specs(head)}
    update = _update_specs(model.encoder.config.num_hidden_layers)
    shared = workers.SHARED_SPECS
    keys = count(1)

    def apply(reduction, **a):
        loss, shared, update = a.pop("loss"), _take(a, workers.Shared), _take(a, Update)
        return workers.apply(model, loss, shared, update, reduction)

    plain = training_signatures(model, learning=False)
    signatures = {"checksum": _concrete(lambda: workers.checksum(model), {})}
    signatures |= {name: plain[name] for name in plain if name != "apply"}
    reductions = {r: workers.Reduction(keys, r) for r in workers.PRECISIONS}
    for name, reduction in reductions.items():
        specs = {**update, **shared, "loss": _spec("loss", tf.float32)}
        signatures[f"apply_reduce_{name}"] = _concrete(partial(apply, reduction), specs)
    for precision, dtype in PRECISIONS.items():
        for form, halves in (("", False), ("_halves", True)):
            train, accumulate = _workers_learning(model, dtype, halves)
            specs = {**batch, "token_rows": shared["token_rows"], "first": _spec("first", tf.bool)}
            signatures[f"accumulate_{precision}{form}"] = _concrete(accumulate, specs)
            for name, reduction in reductions.items():
                specs = {**batch, **update, **shared}
                key = f"train_{precision}{form}_reduce_{name}"
                signatures[key] = _concrete(partial(train, reduction), specs)
    return signatures


def _workers_learning(model, dtype, halves):
    """As `_learning`, of `python_export.workers`."""

    @partial(tf.function, autograph=False)
    def gradients(inputs, batch, token_rows):
        return workers.gradients(model, inputs, batch, token_rows, dtype, halves)

    def train(reduction, **a):
        inputs, update = _take(a, Inputs), _take(a, Update)
        shared = _take(a, workers.Shared)
        found = gradients(inputs, a, shared.token_rows)
        return workers.train(model, *found, shared, update, reduction)

    def accumulate(**a):
        inputs, first, token_rows = _take(a, Inputs), a.pop("first"), a.pop("token_rows")
        return model.accumulate(*gradients(inputs, a, token_rows), first)

    return train, accumulate


def _whole_step(model, dtype):
    """As `_learning`, of `python_export.whole_step`."""
    compiled_train, compiled_accumulate = learning_functions(model, dtype)

    def train(**a):
        inputs, update = _take(a, Inputs), _take(a, Update)
        return compiled_train(inputs, a, update)

    def accumulate(**a):
        inputs, first = _take(a, Inputs), a.pop("first")
        return compiled_accumulate(inputs, a, first)

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
