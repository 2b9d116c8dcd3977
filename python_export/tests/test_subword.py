"""Reading the tokenizers of RoBERTa and its kin. That their ids are Hugging Face's is tested by
`tests/feature_goldens.rs`, with the tokenizers that this module reads."""

import json

import pytest

from python_export.files import WeightsError
from python_export.subword import read_subword
from python_export.tests.conftest import GOLDENS


def golden(name):
    return json.loads((GOLDENS / f"{name}_tokenizer.json").read_text())


@pytest.fixture
def folder(tmp_path):
    """RoBERTa's vocab.json and merges.txt."""
    model = golden("byte_level")["model"]
    (tmp_path / "vocab.json").write_text(json.dumps(model["vocab"]))
    lines = ["#version: 0.2", *(" ".join(pair) for pair in model["merges"])]
    (tmp_path / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def test_robertas_two_files_read_as_the_tokenizer_that_hugging_face_makes_of_them(folder):
    found = read_subword(folder)
    assert json.loads(found.json) == golden("byte_level")
    assert not found.do_lower_case
    assert found.vocabulary[:3] == ["<s>", "<pad>", "</s>"]
    assert len(found.vocabulary) == len(set(found.vocabulary)) == 421


@pytest.mark.parametrize("name", ["byte_level", "unigram"])
def test_a_tokenizer_json_is_read_without_its_truncation(tmp_path, name):
    content = {**golden(name), "truncation": {"max_length": 8}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    found = read_subword(tmp_path)
    assert json.loads(found.json) == golden(name)
    assert "<mask>" in found.vocabulary


def test_add_prefix_space_of_the_settings_counts(folder):
    (folder / "tokenizer_config.json").write_text('{"add_prefix_space": true}')
    found = read_subword(folder)
    assert json.loads(found.json)["pre_tokenizer"]["add_prefix_space"]
    assert "`add_prefix_space` true" in found.notes[0]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "neither tokenizer.json nor vocab.json"),
        ({"vocab.json": "{}", "merges.txt": ""}, r"vocab.json: the vocabulary has no `<s>`"),
        ({"vocab.json": "{}"}, r"merges.txt does not exist"),
        ({"tokenizer.json": '{"model": {"type": "WordPiece", "vocab": {}}}'}, "is WordPiece"),
        ({"tokenizer.json": '{"model": {"type": "Unigram", "vocab": [1]}}'}, "with scores"),
        ({"tokenizer.json": '{"model": {"type": "BPE", "vocab": {"a": 5}}}'}, "leave gaps"),
    ],
)
def test_a_folder_without_such_a_tokenizer_is_one_message(tmp_path, files, message):
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(WeightsError, match=message):
        read_subword(tmp_path)


def test_a_line_of_merges_that_is_no_pair_is_shown(folder):
    with (folder / "merges.txt").open("a") as file:
        file.write("a b c\n")
    with pytest.raises(WeightsError, match=r"merges.txt has `a b c`"):
        read_subword(folder)


def test_case_cannot_be_changed(folder):
    with pytest.raises(WeightsError, match="keeps case, which cannot be changed"):
        read_subword(folder, lowercase=True)
    assert read_subword(folder, lowercase=False).vocabulary
