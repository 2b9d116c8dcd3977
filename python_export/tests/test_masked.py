"""The head `masked` against Hugging Face's BertForMaskedLM in PyTorch.

The golden comes from `tests/golden/make_masked_golden.py`.
"""

import numpy as np
import pytest
import safetensors.numpy

from python_export import tiny
from python_export.export import ExportError, export, misfit
from python_export.masked import PADDING, TOP
from python_export.tests.conftest import GOLDENS
from python_export.tests.session import GRADIENT_DESCENT, ExportSession
from python_export.tests.test_hugging_face import read_table
from python_export.tests.test_weights import write
from python_export.weights import read_encoder

# A gradient read as a difference of weights: a large rate makes the rounding of the weights small.
RATE = 1024.0
# Object paths of the head's variables, and whether they are transposed.
HEAD = {
    "transform.dense.weight": "head/transform/kernel",
    "transform.dense.bias": "head/transform/bias",
    "transform.LayerNorm.weight": "head/norm/gamma",
    "transform.LayerNorm.bias": "head/norm/beta",
    "bias": "head/bias",
}


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDENS / "graph_masked.npz") as file:
        return {name: file[name] for name in file.files}


@pytest.fixture
def session(tiny_sessions, golden):
    """The export with the golden's head."""
    session = tiny_sessions["masked"]
    session.init(1)
    values = {path: golden[f"head_{name}"] for name, path in HEAD.items()}
    values["head/transform/kernel"] = values["head/transform/kernel"].T
    session.set_variables(**values)
    return session


def batch_of(golden):
    prefix = "batch_"
    return {n.removeprefix(prefix): v for n, v in golden.items() if n.startswith(prefix)}


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory, golden):
    """A folder as BertForMaskedLM is saved, with the golden's head."""
    folder = tmp_path_factory.mktemp("checkpoints") / "pretrained"
    tensors = {f"bert.{name}": value for name, value in tiny.tensors(0).items()}
    tensors |= {f"cls.predictions.{name}": golden[f"head_{name}"] for name in HEAD}
    write(folder, {"architectures": ["BertForMaskedLM"]}, tensors)
    return folder


def test_a_checkpoints_own_head_is_exported(pretrained, golden, tmp_path):
    checkpoint = read_encoder(str(pretrained))
    assert "its masked language modeling head found" in checkpoint.summary
    assert "left aside" not in checkpoint.summary
    with ExportSession(export(checkpoint, "masked", tmp_path)) as session:
        session.init(1)
        assert session.contract["head_seed"] is None
        batch = batch_of(golden)
        found = session.eval(batch)["logits"][..., 0]
    hidden, expected = batch["masked_positions"] > 0, golden["label_log_probability"]
    np.testing.assert_allclose(found[hidden], expected[hidden], rtol=0, atol=2e-4)


@pytest.mark.parametrize(
    ("config", "change"),
    [
        ({"tie_word_embeddings": False}, {}),
        ({}, {"cls.predictions.transform.dense.bias": None}),
    ],
)
def test_a_head_with_a_table_of_its_own_or_with_parts_missing_is_not_read(
    pretrained, tmp_path, config, change
):
    tensors = safetensors.numpy.load_file(pretrained / "model.safetensors") | change
    write(tmp_path / "other", config, {n: v for n, v in tensors.items() if v is not None})
    assert read_encoder(str(tmp_path / "other")).masked_head is None


def test_a_head_of_another_size_is_an_error_for_that_head_alone(pretrained, tmp_path):
    tensors = safetensors.numpy.load_file(pretrained / "model.safetensors")
    tensors["cls.predictions.bias"] = np.zeros(7, np.float32)
    write(tmp_path / "other", {}, tensors)
    checkpoint = read_encoder(str(tmp_path / "other"))
    assert misfit(checkpoint, "classify", False) is None
    with pytest.raises(ExportError, match=r"`cls.predictions.bias` .* has shape \[7\]"):
        export(checkpoint, "masked", tmp_path)


def test_the_bias_is_read_under_the_decoders_name_too(pretrained, tmp_path):
    tensors = safetensors.numpy.load_file(pretrained / "model.safetensors")
    bias = tensors.pop("cls.predictions.bias")
    write(tmp_path / "other", {}, tensors | {"cls.predictions.decoder.bias": bias})
    head = read_encoder(str(tmp_path / "other")).masked_head
    np.testing.assert_array_equal(head["cls.predictions.bias"], bias)


def test_log_probabilities_and_the_likeliest_entries_equal_the_references(session, golden):
    batch = batch_of(golden)
    found = session.eval(batch)
    logits, hidden = found["logits"], batch["masked_positions"] > 0
    assert logits.shape == (*hidden.shape, 1 + 2 * TOP)
    assert (logits[~hidden] == PADDING).all()
    expected = golden["label_log_probability"]
    np.testing.assert_allclose(logits[hidden][:, 0], expected[hidden], rtol=0, atol=2e-4)
    np.testing.assert_allclose(found["loss"][hidden], -expected[hidden], rtol=0, atol=2e-4)
    np.testing.assert_array_equal(logits[hidden][:, 1::2], golden["likeliest_ids"][hidden])
    np.testing.assert_allclose(
        logits[hidden][:, 2::2], golden["likeliest_log_probability"][hidden], rtol=0, atol=2e-4
    )


@pytest.mark.parametrize("halves", [False, True])
def test_loss_and_gradient_equal_the_references_with_the_shared_word_embeddings(
    session, golden, halves
):
    table, layers = session.contract["hugging_face"], session.layers

    def weights():
        found = read_table(table, session.variables(), layers)
        return {
            name.removeprefix("bert."): value.astype(np.float64) for name, value in found.items()
        }

    before = weights()
    result = session.train(
        batch_of(golden), learning_rate=RATE, **GRADIENT_DESCENT, step=None, halves=halves
    )
    after = weights()
    assert result["loss"] == pytest.approx(golden["loss"], rel=1e-5)
    total = np.sqrt(np.sum(golden["gradient_norms"] ** 2))
    assert result["grad_norm"] == pytest.approx(total, rel=1e-3)
    for name, norm, places, values in zip(
        golden["gradient_names"],
        golden["gradient_norms"],
        golden["gradient_places"],
        golden["gradient_values"],
        strict=True,
    ):
        gradient = ((before[name] - after[name]) / RATE).ravel()
        floor = 1e-6 * total
        assert np.sqrt(np.sum(gradient**2)) == pytest.approx(norm, rel=1e-3, abs=floor), name
        scale = max(1e-3 * norm / np.sqrt(gradient.size), floor)
        np.testing.assert_allclose(
            gradient[places], values, rtol=1e-3, atol=scale, err_msg=str(name)
        )


def test_init_keeps_the_heads_weights(session, golden):
    before = session.variables()["head/norm/gamma"]
    session("init", num_labels=1, seed=(5, 6))
    np.testing.assert_array_equal(session.variables()["head/norm/gamma"], before)
