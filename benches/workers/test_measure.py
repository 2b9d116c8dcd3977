"""The parts of measure.py that run no training."""

import csv

import pytest

from measure import Shape, plain_words, write_rows


def test_rows_have_the_wanted_number_of_words_and_both_labels(tmp_path):
    path = tmp_path / "rows.csv"
    words = [f"word{letter}" for letter in "abcdefghij"]
    write_rows(path, words, 16, 6)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    # Two of the 16 tokens are special ones.
    assert [len(row["text"].split()) for row in rows] == [14] * 6
    assert {row["label"] for row in rows} == {"no", "yes"}
    assert len({row["text"] for row in rows}) == 6


def test_only_whole_words_are_taken_from_a_vocabulary(tmp_path):
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("[PAD]\n##ing\nthe\n12\ncafé\nfilm\n", encoding="utf-8")
    assert plain_words(vocabulary) == ["the", "film"]


def test_a_shape_is_read_as_it_is_shown():
    assert str(Shape.parse("32x128")) == "32x128"
    with pytest.raises(ValueError):
        Shape.parse("32")
