"""The readers of encoders and the tokenizers they write."""

import json

import numpy as np
import pytest
import safetensors.numpy

from python_export import tiny
from python_export.config import ConfigError
from python_export.tests.conftest import GOLDENS
from python_export.tokenizer import TokenizerError, tokenizer_json, vocabulary_of
from python_export.weights import WeightsError, read_encoder


@pytest.fixture
def folder(tmp_path):
    """A folder in Hugging Face's layout with the weights of `tiny`."""
    write(tmp_path)
    return tmp_path


def write(folder, config=None, tensors=None, vocabulary=None):
    folder.mkdir(exist_ok=True)
    content = {"model_type": "bert", **tiny.config().to_json(), **(config or {})}
    (folder / "config.json").write_text(json.dumps(content))
    safetensors.numpy.save_file(
        tiny.tensors(0) if tensors is None else tensors, folder / "model.safetensors"
    )
    pieces = vocabulary or tiny.vocabulary()
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces))


def assert_same_tensors(left, right):
    assert set(left) == set(right)
    for name, value in left.items():
        np.testing.assert_array_equal(value, right[name])


def test_a_folder_reads_as_what_was_written(folder):
    checkpoint = read_encoder(str(folder))
    assert checkpoint.name == folder.name
    assert checkpoint.config == tiny.config()
    assert_same_tensors(checkpoint.tensors, tiny.tensors(0))
    assert checkpoint.vocabulary == read_encoder("tiny").vocabulary
    assert checkpoint.has_pooler and checkpoint.do_lower_case


def test_a_name_replaces_the_folders(folder):
    assert read_encoder(str(folder), name="mine").name == "mine"


def test_a_name_that_is_a_path_is_refused(folder):
    with pytest.raises(WeightsError, match=r"`\.\./mine` is not a name"):
        read_encoder(str(folder), name="../mine")


def test_a_prefix_and_a_head_around_the_encoder_do_not_matter(tmp_path):
    tensors = {f"bert.{name}": value for name, value in tiny.tensors(0).items()}
    tensors["cls.predictions.bias"] = np.zeros(7, np.float32)
    write(tmp_path, tensors=tensors)
    assert_same_tensors(read_encoder(str(tmp_path)).tensors, tiny.tensors(0))


def test_the_old_names_of_layer_normalisation_are_read(tmp_path):
    renamed = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): value
        for name, value in tiny.tensors(0).items()
    }
    write(tmp_path, tensors=renamed)
    assert_same_tensors(read_encoder(str(tmp_path)).tensors, tiny.tensors(0))


def test_half_precision_weights_are_read_as_float32(tmp_path):
    write(tmp_path, tensors={n: v.astype(np.float16) for n, v in tiny.tensors(0).items()})
    for value in read_encoder(str(tmp_path)).tensors.values():
        assert value.dtype == np.float32


def test_a_missing_pooler_is_no_error(tmp_path):
    kept = {n: v for n, v in tiny.tensors(0).items() if not n.startswith("pooler")}
    write(tmp_path, tensors=kept)
    assert not read_encoder(str(tmp_path)).has_pooler


def test_a_missing_tensor_is_named(tmp_path):
    tensors = tiny.tensors(0)
    del tensors["encoder.layer.1.output.dense.bias"]
    write(tmp_path, tensors=tensors)
    with pytest.raises(WeightsError, match=r"`encoder\.layer\.1\.output\.dense\.bias` is missing"):
        read_encoder(str(tmp_path))


def test_a_tensor_of_another_shape_is_named_with_both_shapes(tmp_path):
    tensors = {**tiny.tensors(0), "pooler.dense.bias": np.zeros(7, np.float32)}
    write(tmp_path, tensors=tensors)
    with pytest.raises(WeightsError, match=r"`pooler.dense.bias` has shape \[7\].*\[32\]"):
        read_encoder(str(tmp_path))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hidden_act", "relu"),
        ("position_embedding_type", "relative_key"),
        ("model_type", "roberta"),
        ("is_decoder", True),
    ],
)
def test_a_config_that_the_graph_does_not_compute_is_refused(tmp_path, key, value):
    write(tmp_path, config={key: value})
    with pytest.raises(ConfigError, match=f"config.json: `{key}` is {value!r}"):
        read_encoder(str(tmp_path))


def test_a_width_that_the_heads_do_not_divide_is_refused(tmp_path):
    write(tmp_path, config={"num_attention_heads": 5})
    with pytest.raises(ConfigError, match="hidden_size 32 is not a multiple"):
        read_encoder(str(tmp_path))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocab.txt"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(WeightsError, match=name):
        read_encoder(str(folder))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_file_that_ends_early_is_named(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(WeightsError, match=name):
        read_encoder(str(folder))


def test_an_encoder_that_is_nothing_known_says_what_is():
    with pytest.raises(WeightsError, match="neither `minilm-l6`, `tiny` nor a folder"):
        read_encoder("no-such-encoder")


def test_a_vocabulary_larger_than_the_table_is_refused(tmp_path):
    write(tmp_path, vocabulary=[*tiny.vocabulary(), "zebra"])
    with pytest.raises(ConfigError, match="`vocab_size` is"):
        read_encoder(str(tmp_path))


def test_a_vocabulary_without_a_special_token_is_refused(tmp_path):
    write(tmp_path, vocabulary=[p for p in tiny.vocabulary() if p != "[MASK]"])
    with pytest.raises(WeightsError, match=r"vocab.txt: .*`\[MASK\]`"):
        read_encoder(str(tmp_path))


def test_the_tokenizer_equals_the_one_of_the_tokenizers_package():
    golden = json.loads((GOLDENS / "export_tokenizer.json").read_text(encoding="utf-8"))
    uncased = json.loads(tokenizer_json(golden["vocabulary"]))
    cased = json.loads(tokenizer_json(golden["vocabulary"], False, False, False))
    assert uncased == golden["uncased"]
    assert cased == golden["cased"]
    assert vocabulary_of(uncased) == golden["vocabulary"]


def test_a_tokenizers_truncation_and_padding_are_dropped(folder):
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


def test_the_vocabulary_of_tiny_spells_every_lower_case_word():
    vocabulary = set(tiny.vocabulary())
    assert len(vocabulary) == len(tiny.vocabulary())
    for letter in "abcdefghijklmnopqrstuvwxyz0123456789":
        assert {letter, f"##{letter}"} <= vocabulary


def test_tiny_is_drawn_by_its_seed():
    first, again, other = (read_encoder("tiny", seed=seed) for seed in (0, 0, 1))
    assert first.sha256 == again.sha256 != other.sha256
