"""Reading encoders: folders, checkpoints in one file or in shards, and `tiny`."""

import json

import numpy as np
import pytest
import safetensors.numpy

from python_export import tiny
from python_export.config import ConfigError
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


@pytest.mark.parametrize("name", ["../mine", ".mine", "a/b", ""])
def test_a_name_that_is_no_name_of_a_folder_is_refused(folder, name):
    with pytest.raises(WeightsError, match=f"`{name}` is not a name"):
        read_encoder(str(folder), name=name)


def test_a_prefix_and_a_head_around_the_encoder_do_not_matter(tmp_path):
    tensors = {f"bert.{name}": value for name, value in tiny.tensors(0).items()}
    tensors["cls.seq_relationship.bias"] = np.zeros(2, np.float32)
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


SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def write_shards(folder):
    """Replaces model.safetensors by two shards and their index."""
    (folder / "model.safetensors").unlink()
    tensors, weight_map = tiny.tensors(0), {}
    for index, shard in enumerate(SHARDS):
        part = {name: tensors[name] for name in sorted(tensors)[index::2]}
        safetensors.numpy.save_file(part, folder / shard)
        weight_map |= dict.fromkeys(part, shard)
    write_index(folder, weight_map)


def write_index(folder, weight_map):
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def test_shards_read_as_one_file_does(folder):
    write_shards(folder)
    checkpoint = read_encoder(str(folder))
    assert_same_tensors(checkpoint.tensors, tiny.tensors(0))
    first = checkpoint.sha256
    changed = {"embeddings.LayerNorm.bias": np.ones(32, np.float32)}
    kept = safetensors.numpy.load_file(folder / SHARDS[0])
    assert set(changed) <= set(kept)
    safetensors.numpy.save_file({**kept, **changed}, folder / SHARDS[0])
    assert read_encoder(str(folder)).sha256 != first


@pytest.mark.parametrize("shard", SHARDS)
def test_a_missing_shard_is_named(folder, shard):
    write_shards(folder)
    (folder / shard).unlink()
    with pytest.raises(WeightsError, match=f"{shard} does not exist, but .*one of 2 shards"):
        read_encoder(str(folder))


def test_a_shard_that_ends_early_is_named(folder):
    write_shards(folder)
    content = (folder / SHARDS[1]).read_bytes()
    (folder / SHARDS[1]).write_bytes(content[: len(content) // 2])
    with pytest.raises(WeightsError, match=f"{SHARDS[1]} is not a safetensors file"):
        read_encoder(str(folder))


def test_a_tensor_that_no_shard_holds_is_named_with_the_index(folder):
    write_shards(folder)
    tensors = safetensors.numpy.load_file(folder / SHARDS[0])
    tensors.pop("embeddings.LayerNorm.bias")
    safetensors.numpy.save_file(tensors, folder / SHARDS[0])
    with pytest.raises(WeightsError, match=r"index.json: the tensor `embeddings.LayerNorm.bias`"):
        read_encoder(str(folder))


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        (None, "`weight_map` with the shard of each tensor is missing"),
        ({}, "`weight_map` with the shard of each tensor is missing"),
        ({"a": "../other.safetensors"}, "is not a file name"),
    ],
)
def test_an_index_that_names_no_shards_of_the_folder_is_refused(folder, weight_map, message):
    write_shards(folder)
    write_index(folder, weight_map)
    with pytest.raises(WeightsError, match=message):
        read_encoder(str(folder))


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
        ("hidden_act", "gelu_10"),
        ("position_embedding_type", "relative_key"),
        ("model_type", "gpt2"),
        ("is_decoder", True),
        ("hidden_size", "32"),
        ("num_attention_heads", 0),
        ("type_vocab_size", 0),
        ("layer_norm_eps", -1.0),
        ("pad_token_id", 10_000),
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


@pytest.mark.parametrize("content", ["[]", "1", "null", "{", "[" * 100_000])
def test_a_config_that_is_no_json_object_is_one_message(folder, content):
    (folder / "config.json").write_text(content)
    with pytest.raises(WeightsError, match=r"config\.json"):
        read_encoder(str(folder))


def test_a_config_may_begin_with_a_byte_order_mark(folder):
    path = folder / "config.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_encoder(str(folder)).config == tiny.config()


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_file_that_ends_early_is_named(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(WeightsError, match=name):
        read_encoder(str(folder))


def test_an_encoder_that_is_nothing_known_says_what_is():
    with pytest.raises(WeightsError, match="neither `minilm-l6`, `tiny`, a folder nor a name"):
        read_encoder("no-such-encoder")


def test_a_vocabulary_larger_than_the_table_is_refused(tmp_path):
    write(tmp_path, vocabulary=[*tiny.vocabulary(), "zebra"])
    with pytest.raises(ConfigError, match="`vocab_size` is"):
        read_encoder(str(tmp_path))


def test_a_vocabulary_without_a_special_token_is_refused(tmp_path):
    write(tmp_path, vocabulary=[p for p in tiny.vocabulary() if p != "[MASK]"])
    with pytest.raises(WeightsError, match=r"vocab.txt: .*`\[MASK\]`"):
        read_encoder(str(tmp_path))


def test_the_vocabulary_of_tiny_spells_every_lower_case_word():
    vocabulary = set(tiny.vocabulary())
    assert len(vocabulary) == len(tiny.vocabulary())
    for letter in "abcdefghijklmnopqrstuvwxyz0123456789":
        assert {letter, f"##{letter}"} <= vocabulary


def test_tiny_is_drawn_by_its_seed():
    first, again, other = (read_encoder("tiny", seed=seed) for seed in (0, 0, 1))
    assert first.sha256 == again.sha256 != other.sha256
