"""The workers' graph with a group of one, which needs no cluster, computes what the training graph
does. `tests/workers.rs` has several workers."""

import json

import numpy as np
import pytest

from python_export.export import CONTRACT_FILE, ExportError, export
from python_export.tests.session import random_batch, rows_of, update_inputs
from python_export.tests.test_export import described
from python_export.weights import read_encoder


def _shared(batch, signals=(0.0, 0.0)):
    """The inputs that all workers feed alike, of a worker with the whole batch."""
    rows = np.unique(batch["input_ids"])
    return {"group_size": 1, "token_rows": rows, "signals": signals}


def _train(session, batch, step, key, shared=None):
    return session(
        key,
        **batch,
        **(shared or _shared(batch, signals=(3.0, 0.0))),
        **update_inputs(session.layers, step),
        weight_sum=np.sum(batch["sample_weight"]),
        dropout=0.1,
        seed=(0, step),
        label_smoothing=0.0,
    )


@pytest.mark.parametrize("halves", [False, True])
def test_steps_of_one_worker_are_those_of_the_training_graph(classifier, of_workers, halves):
    key = f"train_f32{'_halves' if halves else ''}_reduce_f32"
    for session in (classifier, of_workers):
        session.init(3)
    for step in range(1, 6):
        batch = random_batch(8, 16, seed=step)
        alone = classifier.train(batch, step=step, dropout=0.1, seed=(0, step), halves=halves)
        found = _train(of_workers, batch, step, key)
        for name in ("loss", "grad_norm", "step"):
            np.testing.assert_allclose(found[name], alone[name], rtol=1e-5, err_msg=name)
        assert found["own_loss"] == found["loss"]
        assert list(found["signals"]) == [3.0, 0.0]
    ends = [session.variables() for session in (classifier, of_workers)]
    assert set(ends[0]) == set(ends[1])
    for name, value in ends[0].items():
        np.testing.assert_allclose(ends[1][name], value, rtol=1e-4, atol=1e-6, err_msg=name)


def test_accumulated_gradients_are_those_of_the_training_graph(classifier, of_workers):
    batch = random_batch(8, 16)
    for session in (classifier, of_workers):
        session.init(3)
    alone = [
        classifier.accumulate(rows_of(batch, part), first, weight_sum=8.0)["loss"]
        for part, first in ((slice(0, 4), True), (slice(4, 8), False))
    ]
    expected = classifier.apply(step=1)
    found = []
    for part, first in ((slice(0, 4), True), (slice(4, 8), False)):
        inputs = {"weight_sum": 8.0, "dropout": 0.0, "seed": (0, 0), "label_smoothing": 0.0}
        rows = np.unique(batch["input_ids"])
        half = rows_of(batch, part)
        result = of_workers("accumulate_f32", **half, **inputs, first=first, token_rows=rows)
        found.append(result["loss"])
    np.testing.assert_allclose(found, alone, rtol=1e-6)
    update = update_inputs(of_workers.layers, 1)
    result = of_workers("apply_reduce_f32", loss=sum(found), **_shared(batch), **update)
    np.testing.assert_allclose(result["loss"], sum(alone), rtol=1e-6)
    np.testing.assert_allclose(result["grad_norm"], expected["grad_norm"], rtol=1e-5)
    ends = [_unscaled(session.variables()) for session in (classifier, of_workers)]
    for name, value in ends[0].items():
        np.testing.assert_allclose(ends[1][name], value, rtol=1e-4, atol=1e-6, err_msg=name)


def _unscaled(variables):
    """The variables with the embeddings' moments as they are, not divided by the scales."""
    scales = variables.pop("optimizer/scales")
    for name, scale in (("m", scales[0]), ("v", scales[1])):
        for slot in (0, 1):
            variables[f"optimizer/{name}/{slot}"] *= scale
    return variables


def test_gradients_summed_in_bf16_stay_near(of_workers):
    batch = random_batch(8, 16)
    norms = []
    for reduction in ("f32", "bf16"):
        of_workers.init(3)
        norms.append(_train(of_workers, batch, 1, f"train_f32_reduce_{reduction}")["grad_norm"])
    assert norms[0] != norms[1]
    assert norms[1] == pytest.approx(norms[0], rel=0.01)


def test_the_checksum_changes_with_one_bit_of_one_weight(of_workers):
    of_workers.init(3)
    before = of_workers("checksum")["sums"]
    assert list(of_workers("checksum")["sums"]) == list(before)
    (path, value) = ("head/bias", of_workers.variables()["head/bias"])
    value[1] = np.nextafter(np.float32(value[1]), np.float32(1.0))
    of_workers.set_variables(**{path: value})
    assert np.sum(of_workers("checksum")["sums"] != before) == 1


def test_the_contract_lists_the_signatures_of_the_workers_graph(workers_export, of_workers):
    contract = json.loads((workers_export / CONTRACT_FILE).read_text())
    found = {
        name: {"inputs": described(s.inputs), "outputs": described(s.outputs)}
        for name, s in of_workers.meta_graph.signature_def.items()
        if not name.startswith("__")
    }
    assert found == contract["workers_signatures"]


def test_the_last_token_row_may_be_repeated(of_workers):
    batch = random_batch(8, 16)
    ends = []
    for repeated in (0, 5):
        of_workers.init(3)
        shared = _shared(batch)
        rows = shared.pop("token_rows")
        shared["token_rows"] = np.append(rows, [rows[-1]] * repeated)
        _train(of_workers, batch, 1, "train_f32_reduce_f32", shared)
        ends.append(of_workers.variables())
    for name, value in ends[0].items():
        np.testing.assert_array_equal(ends[1][name], value, err_msg=name)


def test_an_export_without_the_workers_graph_is_not_complete_where_it_is_asked_for(tiny_exports):
    with pytest.raises(ExportError, match="was exported without --workers"):
        export(read_encoder("tiny"), "classify", tiny_exports.parent, for_workers=True)
