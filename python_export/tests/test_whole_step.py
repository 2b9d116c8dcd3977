"""The training step that XLA compiles whole computes what the training graph does."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from python_export.export import CONTRACT_FILE, ExportError, export
from python_export.tests.session import GRADIENT_DESCENT, random_batch, read_graph
from python_export.tests.test_export import described
from python_export.tests.test_graphs import compiled
from python_export.tests.test_parity import check_gradients
from python_export.weights import read_encoder


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_thirty_steps_have_the_losses_of_the_training_graph(classifier, whole_step, dropout):
    """With dropout this holds only where both draw the same masks."""
    batches = [random_batch(8, 16, seed=seed) for seed in range(4)]
    found = []
    for session in (classifier, whole_step):
        session.init(3)
        found.append(
            [
                session.train(batches[step % 4], step=step, dropout=dropout, seed=(0, step))
                for step in range(1, 31)
            ]
        )
    # The norm adds up the roundings of all gradients.
    for name, tolerance in (("loss", 1e-5), ("grad_norm", 1e-4), ("step", 0)):
        values = [[result[name] for result in results] for results in found]
        np.testing.assert_allclose(values[1], values[0], rtol=tolerance, err_msg=name)


def test_gradients_equal_the_references(whole_step, goldens):
    check_gradients(whole_step, goldens("tiny", "classify"), halves=False)


def test_accumulated_gradients_equal_those_of_the_training_graph(classifier, whole_step):
    ends = []
    for session in (classifier, whole_step):
        session.init(3)
        for seed, first in ((1, True), (2, False)):
            batch = random_batch(8, 16, seed=seed)
            session.accumulate(batch, first, weight_sum=16.0)
        session.apply(**GRADIENT_DESCENT)
        ends.append(session.variables())
    assert set(ends[0]) == set(ends[1])
    for name, value in ends[0].items():
        np.testing.assert_allclose(ends[1][name], value, rtol=1e-5, atol=1e-6, err_msg=name)


def test_bf16_stays_near_fp32(whole_step):
    losses = []
    for precision in ("f32", "bf16"):
        whole_step.init(3)
        result = whole_step.train(random_batch(8, 16), precision)
        assert np.isfinite(result["grad_norm"])
        losses.append(result["loss"])
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_a_checkpoint_of_the_training_graph_continues_in_the_whole_step(
    classifier, whole_step, tmp_path
):
    classifier.init(3)
    classifier.train(random_batch(8, 16))
    classifier.save(tmp_path / "checkpoint")
    expected = classifier.train(random_batch(8, 16, seed=1), step=2)
    whole_step.restore(tmp_path / "checkpoint")
    found = whole_step.train(random_batch(8, 16, seed=1), step=2)
    assert found["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    assert found["step"] == expected["step"] == 2


def test_the_contract_lists_the_signatures_of_the_whole_step_graph(whole_step_export, whole_step):
    contract = json.loads((whole_step_export / CONTRACT_FILE).read_text())
    found = {
        name: {"inputs": described(s.inputs), "outputs": described(s.outputs)}
        for name, s in whole_step.meta_graph.signature_def.items()
        if not name.startswith("__")
    }
    assert found == contract["whole_step_signatures"]
    without_halves = {n: s for n, s in contract["signatures"].items() if "halves" not in n}
    assert found == without_halves
    for name in ("train_f32", "train_bf16", "accumulate_f32", "accumulate_bf16"):
        assert compiled(whole_step.meta_graph, name)


def test_the_training_graph_is_the_same_with_and_without_the_whole_step(
    whole_step_export, tiny_exports
):
    found = []
    for folder in (whole_step_export, tiny_exports / "classify"):
        graph = read_graph(folder).graph_def
        # Not the functions' names: they end in numbers that count up while the process runs.
        nodes = [(node.name, node.op, list(node.input)) for node in graph.node]
        operations = [node.op for f in graph.library.function for node in f.node_def]
        found.append((nodes, Counter(operations)))
    assert found[0] == found[1]
    assert not (tiny_exports / "classify" / "assets.extra" / "whole_step").exists()


def test_an_export_without_the_whole_step_is_not_complete_where_it_is_asked_for(tiny_exports):
    with pytest.raises(ExportError, match="was exported without --whole-step"):
        export(read_encoder("tiny"), "classify", tiny_exports.parent, whole_step=True)


def test_an_export_with_the_whole_step_is_complete_where_it_is_not_asked_for(whole_step_export):
    checkpoint = replace(read_encoder("tiny"), name=whole_step_export.parent.name)
    assert export(checkpoint, "classify", whole_step_export.parents[1]) == whole_step_export
