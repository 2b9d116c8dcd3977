"""The operations in the graphs: inference is plain operations that TensorFlow fuses, training has
compiled functions that its graph optimiser leaves alone."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from python_export.__main__ import HEAD_NAMES
from python_export.tests.machine import why_no_onednn
from python_export.tests.session import ExportSession, random_batch, read_graph


def reachable(meta_graph, signature):
    """Every node that a signature can reach, called functions included, and those functions."""
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    functions = {f.signature.name: f for f in meta_graph.graph_def.library.function}
    output = next(iter(meta_graph.signature_def[signature].outputs.values())).name
    pending, seen, called = [nodes[output.split(":")[0]]], [], []
    while pending:
        node = pending.pop()
        seen.append(node)
        for attribute in node.attr.values():
            function = functions.pop(attribute.func.name, None)
            if function:
                called.append(function)
                pending += function.node_def
    return seen, called


def compiled(meta_graph, signature):
    """The functions that a signature has compiled."""
    _, called = reachable(meta_graph, signature)
    return [f.signature.name for f in called if f.attr["_XlaMustCompile"].b]


def optimised(meta_graph, signature):
    """Whether TensorFlow's graph optimiser is on, for each of a signature's calls."""
    nodes, _ = reachable(meta_graph, signature)
    configs = [node.attr["config_proto"].s for node in nodes if "config_proto" in node.attr]
    options = [
        tf.compat.v1.ConfigProto.FromString(c).graph_options.rewrite_options for c in configs
    ]
    return {not found.disable_meta_optimizer for found in options}


@pytest.mark.parametrize("head", HEAD_NAMES)
def test_inference_compiles_nothing(tiny_exports, tiny_sessions, head):
    training, template = (
        tiny_sessions[head].meta_graph,
        read_graph(tiny_exports / head / "assets.extra" / "serving"),
    )
    for graph, signature in (
        (training, "eval_f32"),
        (training, "eval_bf16"),
        (template, "predict_f32"),
        (template, "predict_bf16"),
        (template, "serving_default"),
    ):
        assert not compiled(graph, signature)
        assert optimised(graph, signature) == {True}


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_training_calls_compiled_functions_and_is_not_optimised_again(classifier, precision):
    calls = (f"train_{precision}", f"accumulate_{precision}")
    for signature in (*calls, *(f"{call}_halves" for call in calls)):
        assert compiled(classifier.meta_graph, signature)
        assert optimised(classifier.meta_graph, signature) == {False}
    assert optimised(classifier.meta_graph, "apply") == {False}


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_tensorflow_finds_its_fused_kernels_in_inference(classifier, precision):
    reason = why_no_onednn({"f32": "float32", "bf16": "bfloat16"}[precision])
    if reason:
        pytest.skip(reason)
    classifier.init(3)
    batch = random_batch(8, 16)
    found = classifier.executed(f"eval_{precision}", **batch)
    layers = classifier.layers
    # One for the embeddings, two a layer.
    assert found["_MklLayerNorm"] == 1 + 2 * layers
    assert found["_MklFusedBatchMatMulV2"] == layers
    for apart in ("BiasAdd", "Erf", "Erfc", "FusedBatchNormV3", "_MklNativeFusedBatchNormV3"):
        assert not found[apart], apart
    # Words, positions and segments, the head's bias, in bf16 the pooler's: a residual is added by
    # the product before it.
    assert found["AddV2"] <= 4


@pytest.fixture
def served(tiny_exports, classifier, tmp_path):
    """A trained model, as the driver writes it."""
    classifier.init(3)
    classifier.save(tmp_path / "checkpoint")
    model = tmp_path / "model"
    model.mkdir()
    template = tiny_exports / "classify" / "assets.extra" / "serving" / "saved_model.pb"
    shutil.copy(template, model)
    with ExportSession(model, variables=False) as session:
        session.restore(tmp_path / "checkpoint")
        session.save(model / "variables" / "variables")
    return model


def test_a_served_model_rounds_its_weights_to_bf16_when_it_is_loaded_and_not_for_each_batch(
    served, classifier
):
    batch = random_batch(8, 16)
    training = classifier.executed("eval_bf16", **batch)
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
    with ExportSession(served) as session:
        found = session.executed("predict_bf16", **inputs)
    assert training["Cast"] - found["Cast"] >= 12 * classifier.layers
    # One vector, and what is float32: three tables, a norm, the pooler's bias and the head.
    assert found["ReadVariableOp"] + found["ResourceGather"] == 9


def test_python_loads_a_served_model_with_its_weights_rounded_to_bf16(served, classifier):
    batch = random_batch(8, 16)
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
    with ExportSession(served) as session:
        expected = session.predict(batch, "predict_bf16")["logits"]
    tensors = {name: tf.constant(value, tf.int32) for name, value in inputs.items()}
    loaded = tf.saved_model.load(str(served))
    found = loaded.signatures["predict_bf16"](**tensors)["logits"].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-2)


_EVALUATE = """
import sys
import numpy as np
from python_export.tests.session import ExportSession, random_batch
with ExportSession(sys.argv[1]) as session:
    session.init(3)
    batch = random_batch(8, 16)
    found = session.executed("eval_f32", **batch)
    assert not [name for name in found if name.startswith("_Mkl")], found
    np.save(sys.argv[2], session.eval(batch)["logits"])
"""


def test_inference_without_onednn_comes_to_the_same(tiny_exports, classifier, tmp_path):
    target = tmp_path / "logits.npy"
    subprocess.run(
        [sys.executable, "-c", _EVALUATE, str(tiny_exports / "classify"), str(target)],
        env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0"},
        cwd=Path(__file__).parents[2],
        check=True,
    )
    classifier.init(3)
    expected = classifier.eval(random_batch(8, 16))["logits"]
    np.testing.assert_allclose(np.load(target), expected, rtol=1e-5, atol=1e-5)
