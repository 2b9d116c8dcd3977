"""Writes an export: the training SavedModel, the serving template and `tfbert.json`.

`docs/contract.md` describes them.
"""

import gc
import hashlib
import json
import shutil
import sys
import time
from collections import ChainMap
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow.python.saved_model.save import save_and_return_nodes

from . import CONTRACT_VERSION, __version__
from .deferred import blank, variables_without_values
from .folders import remove_leftovers, written_aside
from .heads import HEADS
from .hugging_face import description as hugging_face_description
from .kept import reads_pairs, training_record
from .masked import draw_head, head_shapes
from .model import ServedModel, TrainingModel
from .signatures import (
    PRECISIONS,
    describe,
    serving_signatures,
    training_signatures,
    workers_signatures,
)
from .weights import Checkpoint

CONTRACT_FILE = Path("assets.extra") / "tfbert.json"
TOKENIZER_FILE = Path("assets.extra") / "tokenizer.json"
# The folder of a model to use, beside the exports to train.
MODEL = "model"
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
    keep_head=False,
) -> Path:
    """Writes `output/<encoder>/<head>` and returns it, with `whole_step` the graph of
    `python_export.whole_step` too, with `for_workers` that of `python_export.workers`.

    With `keep_head` its head is the checkpoint's, which must be of that kind. See `export_model`
    for the model to use.

    An export that is what would be written is left as it is. Raises ExportError where anything else
    has the name and `force` is not given. What killed exports left in `output` is removed.
    """
    if problem := misfit(checkpoint, head, for_workers):
        raise ExportError(problem)
    folder = output / checkpoint.name / head
    kept = checkpoint.head if keep_head else None
    asked = {"whole_step": whole_step, "workers": for_workers}

    def is_same():
        facts = _facts(checkpoint, HEADS[head], seed) | _kept_facts(kept)
        _check_same(folder, checkpoint, facts, asked)

    with _to_write(folder, output, force, is_same) as aside:
        if aside is not None:
            graphs = [graph for graph, is_asked in asked.items() if is_asked]
            _write(checkpoint, HEADS[head], aside, seed, graphs, kept)
    return folder


def export_model(
    checkpoint: Checkpoint, output: Path, force=False, pairs: bool | None = None
) -> Path:
    """Writes `output/<encoder>/model`, the checkpoint with its own head as a trained model, and
    returns it.

    `pairs` is whether an example has two texts; None is guessed by the labels. Otherwise as
    `export`.
    """
    folder, head_class = output / checkpoint.name / MODEL, HEADS[checkpoint.head.name]
    pairs = reads_pairs(checkpoint.head) if pairs is None else pairs
    length = checkpoint.family.max_length(checkpoint.config)
    facts = _facts(checkpoint, head_class, 0)
    facts["trained"] = training_record(checkpoint.head, checkpoint.name, length, pairs)

    def is_same():
        _check_same(folder, checkpoint, facts, {})

    with _to_write(folder, output, force, is_same) as aside:
        if aside is not None:
            _write_model(checkpoint, head_class, aside, facts)
    return folder


def misfit(checkpoint: Checkpoint, head: str, for_workers: bool) -> str | None:
    """Why there is no such export of a checkpoint; None where there is."""
    if head != "masked":
        return None
    if for_workers:
        return "the head `masked` is trained by one worker\nhint: leave out --workers"
    shapes = head_shapes(checkpoint.family, checkpoint.config)
    for name, tensor in (checkpoint.masked_head or {}).items():
        if tensor.shape != shapes[name]:
            return (
                f"`{name}` of the checkpoint has shape {list(tensor.shape)}, but its config.json "
                f"asks for {list(shapes[name])}"
            )
    return None


def check_keepable(checkpoint: Checkpoint, head: str | None) -> str:
    """The name of the head that a checkpoint brings; raises ExportError where it has none, or has
    another than `head`, or not all that the head computes."""
    name = checkpoint.name
    if checkpoint.head is None:
        raise ExportError(
            f"{name}: the checkpoint has no head that can be kept\n"
            "hint: leave out --keep-head, and train a new head"
        )
    found = checkpoint.head.name
    if head not in (None, found):
        raise ExportError(
            f"{name}: the checkpoint's head is `{found}`, not `{head}`\n"
            f"hint: give --head {found}, or leave out --keep-head"
        )
    if checkpoint.family.reads_pooler(HEADS[found]) and not checkpoint.has_pooler:
        raise ExportError(
            f"{name}: the checkpoint has the head `{found}`, but not the dense layer before it\n"
            "hint: leave out --keep-head, and train a new head"
        )
    return found


@contextmanager
def _to_write(folder, output, force, check_same):
    """The folder to write into, which then becomes `folder`; None where that is complete."""
    for parent in output.glob("[!.]*/"):
        for leftover in remove_leftovers(parent):
            print(f"removed {leftover}, left by an export that was killed", file=sys.stderr)
    if folder.exists() and not force:
        check_same()
        print(f"{folder} is complete, left as it is", file=sys.stderr)
        yield None
        return
    with written_aside(folder) as aside:
        yield aside


def _check_same(folder, checkpoint, facts, asked):
    """Raises ExportError unless the folder holds exactly what would be written. `asked` maps
    the folder of each optional graph (whole step, workers) to whether the user asked for it."""
    hint = "hint: --force replaces it, --name NAME writes beside it"
    try:
        found = json.loads((folder / CONTRACT_FILE).read_text(encoding="utf-8"))
        files = dict(found.get("files") or {})
    except (OSError, ValueError, AttributeError, TypeError):
        raise ExportError(f"{folder} exists and is not a complete export\n{hint}") from None
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
    # What converts a trained model has no part in an export.
    sources.remove(package / "to_onnx.py")
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources))
    return {"tensorflow": tf.__version__, "sources_sha256": digest.hexdigest()}


def _draws_pooler(checkpoint, head_class):
    return checkpoint.family.reads_pooler(head_class) and not checkpoint.has_pooler


def _draws_head(checkpoint, head_class):
    """Whether the head is one that is trained further, and the checkpoint has none."""
    return head_class.name_in_contract == "masked" and checkpoint.masked_head is None


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
        "head_seed": seed if _draws_head(checkpoint, head_class) else None,
        "hugging_face": hugging_face_description(checkpoint, head_class),
    }


def _kept_facts(kept):
    """The fact `kept_labels`: which labels `init` keeps the head for, or null."""
    return {"kept_labels": None if kept is None else list(kept.labels)}


def _write(checkpoint, head_class, folder, seed, graphs, kept=None):
    head_name = head_class.name_in_contract
    label = f"{checkpoint.name}/{head_name}"
    tensors = checkpoint.tensors
    if _draws_pooler(checkpoint, head_class):
        print(f"{label}: the checkpoint has no pooler, one is drawn at random", file=sys.stderr)
        tensors = {**tensors, **_draw_pooler(checkpoint, seed)}
    if _draws_head(checkpoint, head_class):
        print(f"{label}: the checkpoint has no such head, one is drawn at random", file=sys.stderr)
        tensors = {**tensors, **draw_head(checkpoint.family, checkpoint.config, seed)}
    elif head_class.name_in_contract == "masked":
        # Not one dictionary: weights are read from their files one at a time.
        tensors = ChainMap(checkpoint.masked_head, tensors)

    def model_of(weights):
        encoder = encoder_of(checkpoint, weights, head_class.pooled)
        return TrainingModel(encoder, head_class.of(encoder, checkpoint.family, weights, kept))

    facts = _facts(checkpoint, head_class, seed) | _kept_facts(kept)
    facts |= _write_graphs(model_of, _blank(checkpoint, tensors), folder, label, graphs)
    # Makes room for the weights. What the first call frees deletes functions, which the second
    # frees.
    for _ in range(2):
        gc.collect()
    with progress(f"{label}: writing the weights"):
        tf.train.Checkpoint(root=model_of(tensors)).write(str(folder / "variables" / "variables"))
    with progress(f"{label}: hashing the files"):
        _write_texts(checkpoint, folder, facts)


def _blank(checkpoint, tensors):
    """Weights that stand for `tensors` while graphs are traced."""
    shapes = {
        **checkpoint.family.tensor_shapes(checkpoint.config),
        **head_shapes(checkpoint.family, checkpoint.config),
    }
    return blank({name: shapes[name] for name in tensors})


def _write_graphs(model_of, weights, folder, label, graphs):
    """Writes the graphs of the model that `model_of` makes of weights, whose values do not matter,
    and returns what `tfbert.json` says of their signatures. `graphs` names the optional ones."""
    with variables_without_values():
        model = model_of(weights)
    with progress(f"{label}: tracing the training graph"):
        training = training_signatures(model)
    with progress(f"{label}: tracing the serving graph"):
        template = ServedModel(model.encoder, model.head)
        serving = serving_signatures(template)
    optional = {}
    if "whole_step" in graphs:
        with progress(f"{label}: tracing the whole-step graph"):
            optional["whole_step"] = training_signatures(model, whole_step=True)
    if "workers" in graphs:
        with progress(f"{label}: tracing the workers' graph"):
            optional["workers"] = workers_signatures(model)
    with progress(f"{label}: writing the graphs"):
        _save(model, folder, training, weights=False)
        _optimise_only(folder, _plain(training))
        extra = folder / "assets.extra"
        _save_graph(template, extra / "serving", serving, serving)
        for name, signatures in optional.items():
            _save_graph(model, extra / name, signatures, _plain(signatures))
    described = {"": training, "serving_": serving}
    described |= {f"{graph}_": signatures for graph, signatures in optional.items()}
    return {
        f"{graph}signatures": {name: describe(f) for name, f in signatures.items()}
        for graph, signatures in described.items()
    }


def _write_model(checkpoint, head_class, folder, facts):
    label = f"{checkpoint.name}/{MODEL}"
    encoder = encoder_of(checkpoint, checkpoint.tensors, head_class.pooled)
    with progress(f"{label}: tracing the serving graph"):
        model = ServedModel(encoder, head_class(encoder, checkpoint.head))
        serving = serving_signatures(model)
    with progress(f"{label}: writing"):
        _save(model, folder, serving)
        _optimise_only(folder, serving)
        (folder / "assets.extra").mkdir()
        signatures = {name: describe(f) for name, f in serving.items()}
        _write_texts(checkpoint, folder, {**facts, "serving_signatures": signatures})


def _write_texts(checkpoint, folder, facts):
    """The tokenizer's files and `tfbert.json`, with the hash of every other file."""
    for path, (text, _) in _text_files(checkpoint).items():
        (folder / path).write_text(text, encoding="utf-8", newline="\n")
    written = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {str(path.relative_to(folder)): _sha256(path) for path in written}
    contract = json.dumps({**facts, "files": files}, indent=2, ensure_ascii=False)
    (folder / CONTRACT_FILE).write_text(contract + "\n", encoding="utf-8")


def encoder_of(checkpoint: Checkpoint, tensors, pooled: bool):
    """The encoder of a checkpoint with these weights, with the pooler where it is `pooled`."""
    return checkpoint.family.encoder(checkpoint.config, tensors, pooled)


def _plain(signatures):
    """The names of the signatures of plain operations, which TensorFlow's graph optimiser fuses."""
    return [name for name in signatures if name.startswith("eval_")]


def _draw_pooler(checkpoint, seed):
    """The weights `pooler.…`: a normal kernel, scales of 1, biases of 0."""
    random, deviation = np.random.default_rng(seed), checkpoint.config.initializer_range

    def draw(name, shape):
        if name.endswith("norm.weight"):
            return np.ones(shape, np.float32)
        if name.endswith(".bias"):
            return np.zeros(shape, np.float32)
        return (random.standard_normal(shape) * deviation).astype(np.float32)

    shapes = checkpoint.family.tensor_shapes(checkpoint.config)
    return {n: draw(n, shape) for n, shape in shapes.items() if n.startswith("pooler.")}


def _save(module, folder, signatures, weights=True):
    # The gradients are computed in the training signatures. Saving the custom gradients besides
    # would only make the file larger.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    # `tf.saved_model.save`, which always writes the variables too.
    save_and_return_nodes(
        module, str(folder), signatures, options, experimental_skip_checkpoint=not weights
    )
    for unused in ("assets", "fingerprint.pb"):
        path = folder / unused
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)


def _save_graph(module, folder, signatures, optimised):
    """Writes the graph alone: its variables are those of another SavedModel."""
    aside = folder.parent.parent / "graph"
    _save(module, aside, signatures, weights=False)
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
