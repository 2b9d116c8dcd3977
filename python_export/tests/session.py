"""Runs an export as the driver does: one session over the loaded graph, no eager execution."""

import json
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from python_export.__main__ import HEAD_NAMES
from python_export.tests.machine import run_traced

v1 = tf.compat.v1

# The heads whose logits and labels have the same form; `masked` has tests of its own.
LABELLING_HEADS = tuple(head for head in HEAD_NAMES if head != "masked")

_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_COMMON = ("input_ids", "attention_mask", "token_type_ids")
BETA1, BETA2 = 0.9, 0.999


class ExportSession:
    """A loaded SavedModel whose signatures are called by key with numpy arrays."""

    def __init__(self, folder, template=None, variables=True, collectives=False):
        """`template` is the folder of the `tfbert.json`, and of the weights that `init` restores,
        for a folder that has none; without `variables` the graph alone is loaded. `collectives`
        lets runs sum over workers."""
        self._options = v1.RunOptions()
        if collectives:
            self._options.experimental.collective_graph_key = 1
        self._weights = Path(template or folder) / "variables" / "variables"
        # The driver's setting: a session optimises no graph, each call does or does not by its own.
        config = v1.ConfigProto()
        config.graph_options.rewrite_options.disable_meta_optimizer = True
        self._session = v1.Session(graph=tf.Graph(), config=config)
        with self._session.graph.as_default():
            if variables:
                self.meta_graph = v1.saved_model.load(self._session, ["serve"], str(folder))
            else:
                self.meta_graph = load_graph(folder)
        contract = Path(template or folder) / "assets.extra" / "tfbert.json"
        self.contract = json.loads(contract.read_text()) if contract.exists() else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Frees the session."""
        self._session.close()

    @property
    def layers(self):
        """The encoder's number of layers."""
        return self.contract["encoder"]["num_hidden_layers"]

    def __call__(self, key, **inputs):
        """Runs a signature; every input must be given, and only those."""
        return self._session.run(*self._call(key, inputs), options=self._options)

    def executed(self, key, **inputs):
        """The operations that a run of a signature executes, each with its count."""
        return run_traced(self._session, *self._call(key, inputs))

    def _call(self, key, inputs):
        signature = self.meta_graph.signature_def[key]
        assert set(inputs) == set(signature.inputs), set(inputs) ^ set(signature.inputs)
        feeds = {
            tensor.name: np.asarray(inputs[name], tf.as_dtype(tensor.dtype).as_numpy_dtype)
            for name, tensor in signature.inputs.items()
        }
        return {name: tensor.name for name, tensor in signature.outputs.items()}, feeds

    def init(self, num_labels, seed=(1, 2)):
        """Restores the exported weights and runs `init`."""
        self.restore(self._weights)
        return self("init", num_labels=num_labels, seed=seed)

    def train(
        self, batch, precision="f32", step=1, dropout=0.0, seed=(0, 0), halves=False, **update
    ):
        """One `train` step; `batch` as of `batch_of`."""
        inputs = {**batch, "dropout": dropout, "seed": seed}
        inputs["weight_sum"] = inputs.get("weight_sum", np.sum(batch["sample_weight"]))
        if "label_smoothing" in self.meta_graph.signature_def["train_f32"].inputs:
            inputs.setdefault("label_smoothing", 0.0)
        else:
            inputs.pop("label_smoothing", None)
        key = _learning_key("train", precision, halves)
        return self(key, **inputs, **update_inputs(self.layers, step, **update))

    def accumulate(self, batch, first, weight_sum, seed=(0, 0), halves=False):
        """One `accumulate` call without dropout."""
        inputs = {"weight_sum": weight_sum, "dropout": 0.0, "seed": seed, "first": first}
        key = _learning_key("accumulate", "f32", halves)
        return self(key, **batch, **inputs, label_smoothing=0.0)

    def apply(self, step=1, **update):
        """Runs `apply`."""
        return self("apply", **update_inputs(self.layers, step, **update))

    def eval(self, batch, precision="f32"):
        """Runs `eval`, with all rows up to date."""
        self.flush()
        return self(f"eval_{precision}", **batch)

    def flush(self):
        """Runs `flush`."""
        return self("flush")

    def predict(self, batch, key="predict_f32"):
        """Runs a signature of the serving template on the inputs of `batch`."""
        return self(key, **{name: batch[name] for name in _COMMON})

    def save(self, prefix):
        """Saves every variable to a checkpoint and returns it as a dict by object path."""
        saver = self.meta_graph.saver_def
        Path(prefix).parent.mkdir(parents=True, exist_ok=True)
        self._session.run(saver.save_tensor_name, {saver.filename_tensor_name: str(prefix)})
        return read_checkpoint(prefix)

    def restore(self, prefix):
        """Restores every variable of this graph from a checkpoint."""
        saver = self.meta_graph.saver_def
        self._session.run(saver.restore_op_name, {saver.filename_tensor_name: str(prefix)})

    def variables(self, flush=True):
        """Every variable by object path; with `flush` all rows are brought up to date before."""
        if flush:
            self.flush()
        with tempfile.TemporaryDirectory() as folder:
            return self.save(Path(folder) / "now")

    def set_variables(self, **changes):
        """Replaces some variables, given by object path, by way of a checkpoint."""
        changes = {f"{path}{_VALUE}": value for path, value in changes.items()}
        with tempfile.TemporaryDirectory() as folder, v1.Session(graph=tf.Graph()) as session:
            prefix = str(Path(folder) / "changed")
            self.save(prefix)
            values = _read_all(prefix)
            assert set(changes) <= set(values), set(changes) - set(values)
            values |= changes
            with session.graph.as_default():
                tensors = [tf.constant(value) for value in values.values()]
                slices = [""] * len(tensors)
                save = tf.raw_ops.SaveV2(
                    prefix=prefix,
                    tensor_names=list(values),
                    shape_and_slices=slices,
                    tensors=tensors,
                )
            session.run(save)
            self.restore(prefix)


def _learning_key(call, precision, halves):
    return f"{call}_{precision}{'_halves' if halves else ''}"


def load_graph(folder):
    """Imports the graph of a `saved_model.pb` into the default graph, without its variables."""
    meta_graph = read_graph(folder)
    v1.train.import_meta_graph(meta_graph)
    return meta_graph


def read_graph(folder):
    """The graph and signatures of a `saved_model.pb`."""
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((Path(folder) / "saved_model.pb").read_bytes())
    return saved.meta_graphs[0]


def _read_all(prefix):
    reader = tf.train.load_checkpoint(str(prefix))
    return {key: reader.get_tensor(key) for key in reader.get_variable_to_shape_map()}


def read_checkpoint(prefix):
    """A checkpoint as a dict by object path."""
    return {
        key.removesuffix(_VALUE): np.asarray(value)
        for key, value in _read_all(prefix).items()
        if key.endswith(_VALUE)
    }


def update_inputs(layers, step=None, **changes):
    """The inputs of an update; `step` counts from 1, None leaves out bias correction."""
    inputs = {
        "learning_rate": 1e-3,
        "layer_scale": np.ones(layers + 2, np.float32),
        "weight_decay": 0.01,
        "beta1": BETA1,
        "beta2": BETA2,
        "epsilon": 1e-6,
        "beta1_power": BETA1**step if step else 0.0,
        "beta2_power": BETA2**step if step else 0.0,
        "max_grad_norm": 1.0,
    }
    return {**inputs, **changes}


# Adam with these constants is plain gradient descent: no momentum, no second moment, and an epsilon
# of 1. The weights after such a step of rate R are those before less R times the gradient.
GRADIENT_DESCENT = {
    "beta1": 0.0,
    "beta2": 1.0,
    "epsilon": 1.0,
    "weight_decay": 0.0,
    "max_grad_norm": 0.0,
}


def random_batch(rows=4, length=16, classes=3, vocabulary=1000, seed=0):
    """Sentences of random tokens and mixed lengths for `classify`."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, length + 1, rows)
    lengths[0] = length
    mask = (np.arange(length) < lengths[:, None]).astype(np.int32)
    return {
        "input_ids": rng.integers(5, vocabulary, (rows, length)) * mask,
        "attention_mask": mask,
        "token_type_ids": (np.arange(length) >= lengths[:, None] // 2) * mask,
        "labels": rng.integers(0, classes, rows),
        "sample_weight": np.ones(rows, np.float32),
    }


def rows_of(batch, chosen):
    """Some rows of a batch."""
    return {name: value[chosen] for name, value in batch.items()}
