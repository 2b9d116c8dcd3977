"""Converts a trained model's signature `serving_default` to ONNX and compares the two.

    python to_onnx.py MODEL REQUEST FILE

MODEL is a SavedModel, REQUEST a JSON file with a request to it (`inputs`: a tensor by name), FILE
the ONNX file to write. ONNX Runtime and TensorFlow compute the request; where an output differs by
more than 1e-4, the file is refused. The last line of standard output is a JSON object: names and
shapes of inputs and outputs, the operator set, and the largest difference.

`tfbert export --to onnx` runs this file, which imports nothing else of the package. The packages it
needs besides are pinned in requirements-onnx.lock.
"""

import json
import logging
import os
import signal
import sys
from pathlib import Path

# The driver, which starts this file, may have set these for itself. TensorFlow logs that oneDNN is
# on before it reads its log level.
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import onnxruntime
import tensorflow as tf
from tf2onnx import convert
from tf2onnx.handler import tf_op

SIGNATURE = "serving_default"
# The newest that tf2onnx 1.17 writes.
OPSET = 18
# The largest difference of an output, logits included.
TOLERANCE = 1e-4


@tf_op("Erfc")
class Erfc:
    """GELU's 1 - erf(x), for which tf2onnx has no rule."""

    @classmethod
    def version_9(cls, context, node, **_):
        output, (x,) = node.output[0], node.input
        types = {"dtypes": [context.get_dtype(output)], "shapes": [context.get_shape(output)]}
        context.remove_node(node.name)
        erf = context.make_node("Erf", [x], **types)
        one = context.make_const(f"{node.name}_one", np.array(1, np.float32))
        inputs = [one.output[0], erf.output[0]]
        context.make_node("Sub", inputs, name=node.name, outputs=[output], **types)


def to_onnx(model: Path, file: Path) -> None:
    """Writes the ONNX file."""
    command = ["--saved-model", str(model), "--tag", "serve", "--signature_def", SIGNATURE]
    sys.argv = ["tf2onnx", *command, "--opset", str(OPSET), "--output", str(file)]
    convert.main()


def largest_difference(serve, inputs: dict, session: onnxruntime.InferenceSession) -> float:
    """The largest absolute difference between an output of ONNX Runtime and that of TensorFlow."""
    names = [node.name for node in session.get_outputs()]
    worst = 0.0
    # All rows, and the first alone: another shape.
    for rows in (slice(None), slice(1)):
        feed = {name: values[rows] for name, values in inputs.items()}
        wanted = serve(**{name: tf.constant(values) for name, values in feed.items()})
        known = {node.name for node in session.get_inputs()}
        found = session.run(names, {name: feed[name] for name in known})
        for name, values in zip(names, found, strict=True):
            difference = np.abs(wanted[name].numpy().astype(np.float64) - values)
            worst = max(worst, float(difference.max()))
    return worst


def shapes(nodes) -> dict:
    """Names, types and shapes; a size that may differ is null."""
    return {
        node.name: {
            "type": node.type.removeprefix("tensor(").removesuffix(")"),
            "shape": [size if isinstance(size, int) else None for size in node.shape],
        }
        for node in nodes
    }


def main() -> None:
    # Ctrl-C ends the conversion without Python's traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    model, request, file = map(Path, sys.argv[1:])
    # TensorFlow and tf2onnx warn of what converting for inference does not need.
    logging.disable(logging.WARNING)
    to_onnx(model, file)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    serve = tf.saved_model.load(str(model)).signatures[SIGNATURE]
    signature = serve.structured_input_signature[1]
    tensors = json.loads(request.read_text(encoding="utf-8"))["inputs"]
    inputs = {
        name: np.array(values, signature[name].dtype.as_numpy_dtype)
        for name, values in tensors.items()
    }
    difference = largest_difference(serve, inputs, session)
    if not difference <= TOLERANCE:
        sys.exit(f"error: ONNX Runtime's outputs differ by {difference:.1e}, more than {TOLERANCE}")
    facts = {
        "inputs": shapes(session.get_inputs()),
        "outputs": shapes(session.get_outputs()),
        "opset": OPSET,
        "difference": difference,
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
