"""The exported graphs against Hugging Face's PyTorch models.

The goldens come from `tests/golden/make_graph_goldens.py`.
"""

import numpy as np
import pytest

from python_export.tests.session import GRADIENT_DESCENT, LABELLING_HEADS

LOGIT_TOLERANCE = 2e-4
RELATIVE_TOLERANCE = 1e-3
# A gradient read as a difference of weights: a large rate makes the rounding of the weights small.
RATE = 1024.0


def batch_of(golden, prefix):
    names = ("input_ids", "attention_mask", "token_type_ids", "labels", "sample_weight")
    return {name: golden[f"{prefix}_{name}"] for name in names}


def start(session, golden):
    """Sets the head's weights to the golden's."""
    session.init(golden["bias"].size)
    session.set_variables(**{"head/kernel": golden["kernel"], "head/bias": golden["bias"]})


def hugging_face_variables(variables, layers):
    """A checkpoint's variables under Hugging Face's names and in its layout."""
    found = {}

    def dense(ours, theirs):
        found[f"{theirs}.weight"] = variables[f"{ours}/kernel"].T
        found[f"{theirs}.bias"] = variables[f"{ours}/bias"]

    def norm(ours, theirs):
        found[f"{theirs}.weight"] = variables[f"{ours}/gamma"]
        found[f"{theirs}.bias"] = variables[f"{ours}/beta"]

    for table in ("word", "position", "token_type"):
        name = f"{table}_embeddings"
        found[f"embeddings.{name}.weight"] = variables[f"encoder/embeddings/{name}"]
    norm("encoder/embeddings/norm", "embeddings.LayerNorm")
    for layer in range(layers):
        ours, theirs = f"encoder/layers/{layer}", f"encoder.layer.{layer}"
        kernels = np.split(variables[f"{ours}/query_key_value/kernel"], 3, 1)
        biases = np.split(variables[f"{ours}/query_key_value/bias"], 3)
        for part, kernel, bias in zip(("query", "key", "value"), kernels, biases, strict=True):
            found[f"{theirs}.attention.self.{part}.weight"] = kernel.T
            found[f"{theirs}.attention.self.{part}.bias"] = bias
        dense(f"{ours}/attention_output", f"{theirs}.attention.output.dense")
        norm(f"{ours}/attention_norm", f"{theirs}.attention.output.LayerNorm")
        dense(f"{ours}/intermediate", f"{theirs}.intermediate.dense")
        dense(f"{ours}/output", f"{theirs}.output.dense")
        norm(f"{ours}/output_norm", f"{theirs}.output.LayerNorm")
    if "encoder/pooler/kernel" in variables:
        dense("encoder/pooler", "pooler.dense")
    dense("head", "classifier")
    dense("head", "qa_outputs")
    return found


def check_logits(session, golden):
    start(session, golden)
    whole = batch_of(golden, "whole")
    logits = np.concatenate(
        [
            session.eval({name: value[rows] for name, value in whole.items()})["logits"]
            for rows in np.array_split(np.arange(len(whole["labels"])), 2)
        ]
    )
    # A row of padding has no meaning, and the reference masks it with another constant.
    rows = whole["attention_mask"].reshape(len(logits), -1).any(1)
    np.testing.assert_allclose(logits[rows], golden["logits"][rows], rtol=0, atol=LOGIT_TOLERANCE)


def check_gradients(session, golden, halves):
    start(session, golden)
    before = hugging_face_variables(session.variables(), session.layers)
    batch = {**batch_of(golden, "batch"), "label_smoothing": golden["label_smoothing"]}
    result = session.train(batch, learning_rate=RATE, **GRADIENT_DESCENT, step=None, halves=halves)
    after = hugging_face_variables(session.variables(), session.layers)
    assert result["loss"] == pytest.approx(golden["loss"], rel=1e-5)
    total = np.sqrt(np.sum(golden["gradient_norms"] ** 2))
    assert result["grad_norm"] == pytest.approx(total, rel=RELATIVE_TOLERANCE)
    for name, norm, places, values in zip(
        golden["gradient_names"],
        golden["gradient_norms"],
        golden["gradient_places"],
        golden["gradient_values"],
        strict=True,
    ):
        gradient = ((before[name].astype(np.float64) - after[name]) / RATE).ravel()
        # The gradient of a key's bias is 0 (soft-max does not see a constant), so all of it is
        # rounding, which is small against the whole gradient.
        floor = 1e-6 * total
        assert np.sqrt(np.sum(gradient**2)) == pytest.approx(
            norm, rel=RELATIVE_TOLERANCE, abs=floor
        ), name
        scale = max(RELATIVE_TOLERANCE * norm / np.sqrt(gradient.size), floor)
        np.testing.assert_allclose(
            gradient[places], values, rtol=RELATIVE_TOLERANCE, atol=scale, err_msg=str(name)
        )


def check_curve(session, golden, correction):
    start(session, golden)
    whole = batch_of(golden, "whole")
    losses, norms = [], []
    for step in range(golden[f"curve_{correction}"].size):
        chosen = golden["curve_rows"][step % len(golden["curve_rows"])]
        batch = {name: value[chosen] for name, value in whole.items()}
        result = session.train(
            batch,
            step=step + 1 if correction == "corrected" else None,
            learning_rate=golden["learning_rate"],
        )
        losses.append(result["loss"])
        norms.append(result["grad_norm"])
    np.testing.assert_allclose(losses, golden[f"curve_{correction}"], rtol=RELATIVE_TOLERANCE)
    np.testing.assert_allclose(norms, golden[f"norms_{correction}"], rtol=RELATIVE_TOLERANCE)


@pytest.mark.parametrize("head", LABELLING_HEADS)
def test_logits_equal_the_references(tiny_sessions, goldens, head):
    check_logits(tiny_sessions[head], goldens("tiny", head))


@pytest.mark.parametrize("halves", [False, True])
@pytest.mark.parametrize("head", LABELLING_HEADS)
def test_loss_and_gradient_equal_the_references(tiny_sessions, goldens, head, halves):
    check_gradients(tiny_sessions[head], goldens("tiny", head), halves)


@pytest.mark.parametrize("correction", ["corrected", "uncorrected"])
def test_thirty_steps_follow_the_references_loss(classifier, goldens, correction):
    check_curve(classifier, goldens("tiny", "classify"), correction)


def test_minilm_logits_equal_the_references_on_64_sentences(minilm_classifier, goldens):
    check_logits(minilm_classifier, goldens("minilm-l6", "classify"))


def test_minilm_gradient_of_two_halves_equals_the_references(minilm_classifier, goldens):
    check_gradients(minilm_classifier, goldens("minilm-l6", "classify"), halves=True)


# `tests/loss_curve.rs` follows 100 steps with the correction.
def test_thirty_minilm_steps_without_correction_follow_the_references_loss(
    minilm_classifier, goldens
):
    check_curve(minilm_classifier, goldens("minilm-l6", "classify"), "uncorrected")
