"""A checkpoint with its own head: the model to use, and the export from which training goes on."""

import json

import numpy as np
import pytest

from python_export.__main__ import main
from python_export.export import ExportError, check_keepable, export, export_model
from python_export.tests.session import ExportSession
from python_export.tests.test_family_parity import CASES, write
from python_export.tests.test_parity import LOGIT_TOLERANCE
from python_export.weights import ConfigError, WeightsError, read_encoder

GOLDEN = CASES["roberta", "classify"]
COMMON = ("input_ids", "attention_mask", "token_type_ids")
LABELS = {"0": "bad", "1": "good", "2": "fair"}


def checkpoint_of(folder, golden=GOLDEN, **changes):
    write(folder, golden)
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return read_encoder(str(folder), keep_head=True)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The checkpoint of a classifier, its model, and its export."""
    folder = tmp_path_factory.mktemp("kept")
    checkpoint = checkpoint_of(folder / "reviews", id2label=LABELS)
    output = folder / "out"
    return (
        checkpoint,
        export_model(checkpoint, output),
        export(checkpoint, "classify", output, keep_head=True),
    )


def test_the_model_gives_the_references_logits_and_names_its_labels(kept):
    _, folder, _ = kept
    with ExportSession(folder) as session:
        logits = session.predict(GOLDEN)["logits"]
        served = session.predict(GOLDEN, "serving_default")
    np.testing.assert_allclose(logits, GOLDEN["logits"], rtol=0, atol=LOGIT_TOLERANCE)
    np.testing.assert_allclose(served["probabilities"].sum(-1), 1.0, rtol=1e-5)
    trained = session.contract["trained"]
    assert trained["labels"] == trained["task"]["labels"] == ["bad", "good", "fair"]
    assert "signatures" not in session.contract and folder.name == "model"


def test_init_keeps_the_head_and_refuses_another_number_of_labels(kept):
    checkpoint, _, folder = kept
    with ExportSession(folder) as session:
        assert session.contract["kept_labels"] == ["bad", "good", "fair"]
        assert session.init(3)["num_labels"] == 3
        np.testing.assert_array_equal(session.variables()["head/kernel"], checkpoint.head.kernel)
        with pytest.raises(Exception, match="`num_labels` of head `classify` must be 3"):
            session.init(2)


def test_what_is_complete_is_left_as_it_is_and_another_head_is_pointed_out(kept, capsys):
    checkpoint, model, folder = kept
    output = folder.parent.parent
    assert export_model(checkpoint, output) == model
    assert export(checkpoint, "classify", output, keep_head=True) == folder
    assert capsys.readouterr().err.count("is complete, left as it is") == 2
    with pytest.raises(ExportError, match=r"`kept_labels` is .*, not null"):
        export(checkpoint, "classify", output)
    with pytest.raises(ExportError, match=r"hint: give --head classify, or leave out --keep-head"):
        check_keepable(checkpoint, "span")


@pytest.mark.parametrize(
    ("case", "head", "name"),
    [
        (("bert", "span"), "span", "span"),
        (("electra", "tag"), "tag", "tag"),
        (("distilbert", "choice"), "choice", "choice"),
    ],
    ids=str,
)
def test_the_head_is_told_by_the_architecture(tmp_path, case, head, name):
    checkpoint = checkpoint_of(tmp_path, CASES[case])
    assert check_keepable(checkpoint, None) == name == head
    assert len(checkpoint.head.labels) == (3 if head == "tag" else 0)


def test_problem_types_tell_the_heads_of_sequences_apart(tmp_path):
    several = checkpoint_of(tmp_path / "a", problem_type="multi_label_classification")
    assert several.head.name == "multilabel"
    with pytest.raises(WeightsError, match=r"has shape \[3, 32\] .*expected \[1, 32\]"):
        checkpoint_of(tmp_path / "b", problem_type="regression")


@pytest.mark.parametrize(
    ("id2label", "message"),
    [
        ({"0": "a", "1": "b"}, "`id2label` has 2 labels, but the head has 3 outputs"),
        ({"0": "a", "1": "b", "2": "b"}, "`id2label` has a label twice"),
        ({"a": "0", "b": "1", "c": "2"}, "`id2label` is not an object of labels by their numbers"),
    ],
)
def test_labels_that_do_not_fit_the_head_are_refused(tmp_path, id2label, message):
    with pytest.raises(ConfigError, match=message):
        checkpoint_of(tmp_path, id2label=id2label)


def test_a_head_that_is_not_kept_is_not_read_and_the_summary_names_it(tmp_path):
    checkpoint_of(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "id2label": None}))
    checkpoint = read_encoder(str(tmp_path))
    assert checkpoint.head is None
    assert "its head `classify` left aside (--keep-head keeps it)" in checkpoint.summary


def test_a_checkpoint_without_a_head_has_none_to_keep(capsys, tmp_path):
    assert main(["--encoder", "tiny", "--keep-head", "--output", str(tmp_path)]) == 1
    assert "the checkpoint has no head that can be kept\nhint:" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--encoder", "tiny"])
    assert "give --head NAME, or --keep-head" in capsys.readouterr().err
