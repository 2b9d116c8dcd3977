"""Runs an export as the driver does: one session over the loaded graph, no eager execution."""

import json
from pathlib import Path

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1

# One AdamW update with Hugging Face's constants; `step` gives the bias correction.
BETA1, BETA2 = 0.9, 0.999


class ExportSession:
    """A loaded SavedModel whose signatures are called by key with numpy arrays."""

    def __init__(self, folder, threads=0):
        config = v1.ConfigProto(intra_op_parallelism_threads=threads)
        self._session = v1.Session(graph=tf.Graph(), config=config)
        with self._session.graph.as_default():
            self.meta_graph = v1.saved_model.load(self._session, ["serve"], str(folder))
        contract = Path(folder) / "assets.extra" / "tfbert.json"
        self.contract = json.loads(contract.read_text()) if contract.exists() else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._session.close()

    def __call__(self, key, **inputs):
        """Runs a signature; every input must be given, and only those."""
        signature = self.meta_graph.signature_def[key]
        assert set(inputs) == set(signature.inputs), set(inputs) ^ set(signature.inputs)
        feeds = {
            tensor.name: np.asarray(inputs[name], tf.as_dtype(tensor.dtype).as_numpy_dtype)
            for name, tensor in signature.inputs.items()
        }
        fetches = {name: tensor.name for name, tensor in signature.outputs.items()}
        return self._session.run(fetches, feeds)

    def save(self, prefix):
        """Saves every variable to a checkpoint and returns it as a reader."""
        saver = self.meta_graph.saver_def
        Path(prefix).parent.mkdir(parents=True, exist_ok=True)
        self._session.run(saver.save_tensor_name, {saver.filename_tensor_name: str(prefix)})
        return tf.train.load_checkpoint(str(prefix))

    def restore(self, prefix):
        """Restores every variable of this graph from a checkpoint."""
        saver = self.meta_graph.saver_def
        self._session.run(saver.restore_op_name, {saver.filename_tensor_name: str(prefix)})


def update_inputs(layers, step=None, **changes):
    """The inputs of an update; `step` counts from 1, None leaves out bias correction."""
    inputs = {
        "learning_rate": 1e-4,
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
