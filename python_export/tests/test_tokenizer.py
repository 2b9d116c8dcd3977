"""Reading and writing WordPiece tokenizers: which file counts, and what is said of it."""

import json

import pytest

from python_export import tiny
from python_export.__main__ import main
from python_export.tests.conftest import GOLDENS
from python_export.tests.test_weights import write
from python_export.tokenizer import TokenizerError, tokenizer_json, vocabulary_of
from python_export.weights import WeightsError, read_encoder

CASED = [*tiny.vocabulary()[:-22], "House", "Paris", *(f"City{i}" for i in range(20))]


@pytest.fixture
def folder(tmp_path):
    """A folder with a cased vocabulary and nothing that says whether to lower-case."""
    write(tmp_path, vocabulary=CASED)
    return tmp_path


def say(folder, **settings):
    """Writes tokenizer_config.json."""
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def write_json(folder, lowercase=True, vocabulary=None, **changes):
    """Writes tokenizer.json."""
    tokenizer = json.loads(tokenizer_json(vocabulary or CASED, lowercase))
    (folder / "tokenizer.json").write_text(json.dumps({**tokenizer, **changes}))


def normalizer_of(checkpoint):
    return json.loads(checkpoint.tokenizer)["normalizer"]


def test_a_cased_vocabulary_keeps_case_where_nothing_is_said_and_a_note_says_so(folder):
    checkpoint = read_encoder(str(folder))
    assert not checkpoint.do_lower_case and not normalizer_of(checkpoint)["lowercase"]
    (note,) = checkpoint.notes
    assert "vocab.txt has capital letters (`House`)" in note and "case is kept" in note
    assert "--do-lower-case true" in note


def test_an_uncased_vocabulary_is_lower_cased_where_nothing_is_said_and_a_note_says_so(tmp_path):
    write(tmp_path)
    checkpoint = read_encoder(str(tmp_path))
    assert checkpoint.do_lower_case
    (note,) = checkpoint.notes
    assert "has no capital letters" in note and "--do-lower-case false" in note


def test_a_few_capitals_do_not_make_a_vocabulary_cased(tmp_path):
    write(tmp_path, vocabulary=[*tiny.vocabulary()[:-2], "Ω", "##Ⅳ"])
    assert read_encoder(str(tmp_path)).do_lower_case


@pytest.mark.parametrize("lowercase", [True, False])
def test_what_tokenizer_config_says_of_case_counts(folder, lowercase):
    say(folder, do_lower_case=lowercase)
    checkpoint = read_encoder(str(folder))
    assert checkpoint.do_lower_case == lowercase
    assert normalizer_of(checkpoint)["lowercase"] == lowercase


def test_lower_casing_a_cased_vocabulary_as_told_is_pointed_out(folder):
    say(folder, do_lower_case=True)
    (note,) = read_encoder(str(folder)).notes
    assert f"22 of {len(CASED)} entries have capital letters" in note


@pytest.mark.parametrize(("config", "in_json"), [(False, True), (True, False)])
def test_tokenizer_config_counts_where_tokenizer_json_differs_and_a_note_says_so(
    folder, config, in_json
):
    say(folder, do_lower_case=config)
    write_json(folder, lowercase=in_json)
    checkpoint = read_encoder(str(folder))
    assert checkpoint.do_lower_case == config
    assert normalizer_of(checkpoint)["lowercase"] == config
    assert "tokenizer_config.json counts" in checkpoint.notes[0]


def test_accents_and_chinese_characters_are_settled_as_case_is(folder):
    say(folder, strip_accents=True, tokenize_chinese_chars=False)
    write_json(folder, lowercase=False)
    normalizer = json.loads((folder / "tokenizer.json").read_text())["normalizer"]
    normalizer["strip_accents"] = False
    write_json(folder, normalizer=normalizer)
    checkpoint = read_encoder(str(folder))
    assert normalizer_of(checkpoint)["strip_accents"] is True
    assert normalizer_of(checkpoint)["handle_chinese_chars"] is False
    assert len(checkpoint.notes) == 2


def test_nothing_is_said_where_the_files_agree(folder):
    say(folder, do_lower_case=False, strip_accents=None, model_max_length=512)
    write_json(folder, lowercase=False)
    assert read_encoder(str(folder)).notes == ()


@pytest.mark.parametrize("lowercase", [True, False])
def test_the_flag_overrides_every_file(folder, lowercase):
    say(folder, do_lower_case=not lowercase)
    write_json(folder, lowercase=not lowercase)
    checkpoint = read_encoder(str(folder), lowercase=lowercase)
    assert checkpoint.do_lower_case == lowercase
    assert normalizer_of(checkpoint)["lowercase"] == lowercase
    assert "--do-lower-case" in checkpoint.notes[0]


def test_a_normalizer_that_cannot_be_changed_is_refused_by_name(folder):
    say(folder, do_lower_case=False)
    write_json(folder, normalizer={"type": "Sequence", "normalizers": [{"type": "Lowercase"}]})
    with pytest.raises(WeightsError, match=r"tokenizer_config.json says `do_lower_case` false"):
        read_encoder(str(folder))


def test_a_setting_that_is_not_true_or_false_is_refused_by_name(folder):
    say(folder, do_lower_case="no")
    with pytest.raises(WeightsError, match="`do_lower_case` is 'no', expected true or false"):
        read_encoder(str(folder))


def test_vocabularies_that_differ_are_refused_with_the_line(folder):
    write_json(folder, vocabulary=[*CASED[:-1], "Town"])
    with pytest.raises(WeightsError, match=rf"vocab.txt:{len(CASED)}: .*`City19`.*`Town`"):
        read_encoder(str(folder))


def test_tokens_added_to_tokenizer_json_need_not_be_in_vocab_txt(tmp_path):
    write(tmp_path, vocabulary=tiny.vocabulary()[:-1])
    write_json(tmp_path, vocabulary=tiny.vocabulary())
    assert read_encoder(str(tmp_path)).vocabulary.splitlines() == tiny.vocabulary()


def test_a_vocabulary_reads_alike_whatever_its_line_ends_and_byte_order_mark(tmp_path):
    write(tmp_path)
    expected = read_encoder(str(tmp_path))
    text = (tmp_path / "vocab.txt").read_text()
    for content in (
        text.replace("\n", "\r\n"),
        text.replace("\n", "\r"),
        f"\ufeff{text}",
        text[:-1],
    ):
        (tmp_path / "vocab.txt").write_bytes(content.encode())
        assert read_encoder(str(tmp_path)).tokenizer == expected.tokenizer


@pytest.mark.parametrize(
    ("encoding", "message"), [("utf-16", "is UTF-16"), ("latin-1", r"vocab.txt:3: not UTF-8")]
)
def test_a_vocabulary_that_is_not_utf_8_is_named(tmp_path, encoding, message):
    write(tmp_path)
    (tmp_path / "vocab.txt").write_bytes("[PAD]\n[UNK]\né\n".encode(encoding))
    with pytest.raises(WeightsError, match=message):
        read_encoder(str(tmp_path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "expected a JSON object, found list"),
        ("{}", "`model` with its `vocab` is missing"),
        ('{"model": {"vocab": []}}', "only WordPiece is supported"),
        ('{"model": {"vocab": {"a": "0"}}}', "are not whole numbers"),
        ('{"model": {"vocab": {"a": 0}}, "added_tokens": [1]}', "`added_tokens` is not a list"),
        ('{"model": {"vocab": {"a": 0}}, "normalizer": 1}', "`normalizer` is not an object"),
    ],
)
def test_a_tokenizer_json_of_another_form_is_one_message(tmp_path, content, message):
    write(tmp_path)
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(WeightsError, match=f"tokenizer.json: .*{message}"):
        read_encoder(str(tmp_path))


def test_the_command_prints_the_notes(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("python_export.export.export", lambda *_: "written")
    arguments = ["--encoder", str(folder), "--head", "regress", "--do-lower-case", "true"]
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 0
    out, err = capsys.readouterr()
    assert out == "written\n" and "note: " in err and "can never occur" in err


def test_the_tokenizer_equals_the_one_of_the_tokenizers_package():
    golden = json.loads((GOLDENS / "export_tokenizer.json").read_text(encoding="utf-8"))
    uncased = json.loads(tokenizer_json(golden["vocabulary"]))
    cased = json.loads(tokenizer_json(golden["vocabulary"], False, False, False))
    assert uncased == golden["uncased"]
    assert cased == golden["cased"]
    assert vocabulary_of(uncased) == golden["vocabulary"]


def test_a_tokenizers_truncation_and_padding_are_dropped(tmp_path):
    folder = tmp_path
    write(folder)
    tokenizer = json.loads(tokenizer_json(tiny.vocabulary(), lowercase=False))
    tokenizer["truncation"], tokenizer["padding"] = {"max_length": 8}, {"pad_id": 0}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    checkpoint = read_encoder(str(folder))
    found = json.loads(checkpoint.tokenizer)
    assert found["truncation"] is None and found["padding"] is None
    assert not checkpoint.do_lower_case


def test_a_tokenizer_that_is_not_word_piece_is_refused(folder):
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE", "vocab": {}}}))
    with pytest.raises(WeightsError, match=r"tokenizer.json: the tokenizer is BPE"):
        read_encoder(str(folder))


def test_an_entry_that_occurs_twice_names_both_lines():
    with pytest.raises(TokenizerError, match="line 6 and line 7 are both `a`"):
        tokenizer_json(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "a"])
