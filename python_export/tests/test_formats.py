"""The forms of checkpoints beside safetensors: each reads as the weights that were written."""

import json
import pickle
import zipfile

import numpy as np
import pytest

from python_export import tiny
from python_export.config import ConfigError
from python_export.families import FAMILIES
from python_export.masked import draw_head
from python_export.tests import checkpoints
from python_export.tests.conftest import GOLDENS
from python_export.tests.test_weights import assert_same_tensors, write
from python_export.weights import WeightsError, read_encoder

HEADS = tiny.config().num_attention_heads
CONFIG = {**tiny.config().to_json(), "hidden_dropout_prob": 0.1}


@pytest.fixture
def folder(tmp_path):
    """config.json and vocab.txt of `tiny`, without weights."""
    write(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    return tmp_path


@pytest.fixture
def google(tmp_path):
    """Google's checkpoint with the weights of `tiny`."""
    folder = tmp_path / "uncased_L-2_H-32"
    folder.mkdir()
    checkpoints.write_google(folder, tiny.tensors(0), CONFIG, tiny.vocabulary())
    return folder


def test_the_head_for_hidden_words_of_googles_checkpoint_is_read(tmp_path):
    head = draw_head(FAMILIES["bert"], tiny.config(), 3)
    names = {
        "cls.predictions.transform.dense.weight": "cls/predictions/transform/dense/kernel",
        "cls.predictions.transform.dense.bias": "cls/predictions/transform/dense/bias",
        "cls.predictions.transform.LayerNorm.weight": "cls/predictions/transform/LayerNorm/gamma",
        "cls.predictions.transform.LayerNorm.bias": "cls/predictions/transform/LayerNorm/beta",
        "cls.predictions.bias": "cls/predictions/output_bias",
    }
    # TensorFlow stores a kernel as [inputs, outputs].
    variables = {names[name]: value.T for name, value in head.items()}
    folder = tmp_path / "uncased_L-2_H-32"
    folder.mkdir()
    checkpoints.write_google(folder, tiny.tensors(0), CONFIG, tiny.vocabulary(), variables)
    checkpoint = read_encoder(str(folder), lowercase=True)
    assert_same_tensors(checkpoint.masked_head, head)


@pytest.mark.parametrize("stream", [False, True])
def test_a_pytorch_file_reads_as_what_was_written(folder, stream):
    path = folder / "pytorch_model.bin"
    checkpoints.write_torch(path, tiny.tensors(0), stream)
    checkpoint = read_encoder(str(folder))
    assert_same_tensors(checkpoint.tensors, tiny.tensors(0))
    assert "pytorch_model.bin" in checkpoint.summary


def test_pytorch_shards_read_as_one_file_does_and_a_missing_one_is_named(folder):
    tensors, weight_map = tiny.tensors(0), {}
    names = ("pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin")
    for index, shard in enumerate(names):
        part = {name: tensors[name] for name in sorted(tensors)[index::2]}
        checkpoints.write_torch(folder / shard, part)
        weight_map |= dict.fromkeys(part, shard)
    index = json.dumps({"weight_map": weight_map})
    (folder / "pytorch_model.bin.index.json").write_text(index)
    assert_same_tensors(read_encoder(str(folder)).tensors, tensors)
    (folder / names[1]).unlink()
    with pytest.raises(WeightsError, match=f"{names[1]} does not exist, but .*one of 2 shards"):
        read_encoder(str(folder))


class Command:
    def __reduce__(self):
        return print, ("this would be any command",)


@pytest.mark.parametrize("stream", [False, True])
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run_it(folder, capsys, stream):
    path, content = folder / "pytorch_model.bin", pickle.dumps({"a": Command()}, 2)
    if stream:
        path.write_bytes(content)
    else:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("archive/data.pkl", content)
    with pytest.raises(WeightsError, match=r"is refused: unpickling it would run `.*print`"):
        read_encoder(str(folder))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("stream", [False, True])
def test_a_pytorch_file_that_ends_early_is_named(folder, stream):
    path = folder / "pytorch_model.bin"
    checkpoints.write_torch(path, tiny.tensors(0), stream)
    content = path.read_bytes()
    for size in (0, 10, 1000, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(WeightsError, match=r"pytorch_model\.bin"):
            read_encoder(str(folder))


def test_a_damaged_pytorch_file_is_read_or_refused_and_nothing_else(folder):
    path = folder / "pytorch_model.bin"
    checkpoints.write_torch(path, {"a": np.ones((2, 3), np.float32)}, stream=True)
    content, random = path.read_bytes(), np.random.default_rng(0)
    for _ in range(300):
        changed = bytearray(content)
        for place in random.integers(0, len(changed), 3):
            changed[place] = random.integers(0, 256)
        path.write_bytes(changed)
        with pytest.raises(WeightsError):
            read_encoder(str(folder))


@pytest.mark.parametrize("name", ["archive", "stream"])
def test_the_files_of_pytorch_itself_read_as_their_tensors(folder, name):
    from python_export.formats.torch_files import TorchFiles

    path = GOLDENS / "torch_files" / f"{name}.bin"
    counted = np.arange(12, dtype=np.float32).reshape(3, 4)
    expected = {
        "float32": counted,
        "float16": counted.astype(np.float16),
        "bfloat16": counted,
        "float64": counted.astype(np.float64),
        "int64": np.arange(12).reshape(3, 4),
        "transposed": counted.T,
        "part": counted[1:, 2:],
        "parameter": counted,
        "scalar": np.float32(3.0),
    }
    with TorchFiles([path], path) as tensors:
        assert set(tensors.names()) == set(expected)
        for key, value in expected.items():
            np.testing.assert_array_equal(tensors.read(key), value, err_msg=key)


def test_a_keras_file_reads_as_what_was_written(folder):
    checkpoints.write_h5(folder / "tf_model.h5", tiny.tensors(0))
    assert_same_tensors(read_encoder(str(folder)).tensors, tiny.tensors(0))


def test_a_keras_file_that_ends_early_is_named(folder):
    path = folder / "tf_model.h5"
    checkpoints.write_h5(path, tiny.tensors(0))
    content = path.read_bytes()
    for size in (0, 100, len(content) // 2):
        path.write_bytes(content[:size])
        with pytest.raises(WeightsError, match=r"tf_model\.h5"):
            read_encoder(str(folder))


def test_a_keras_file_without_h5py_names_the_command(folder, monkeypatch):
    (folder / "tf_model.h5").write_bytes(b"")
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(WeightsError, match=r"needs the package h5py.*\nhint: pip install h5py"):
        read_encoder(str(folder))


def test_a_folder_without_weights_lists_the_forms(folder):
    with pytest.raises(WeightsError, match=r"no weights: expected model\.safetensors, .*tf_model"):
        read_encoder(str(folder))


def test_googles_checkpoint_reads_as_what_was_written(google):
    checkpoint = read_encoder(str(google), lowercase=True)
    assert_same_tensors(checkpoint.tensors, tiny.tensors(0))
    assert checkpoint.config == tiny.config() and checkpoint.do_lower_case
    assert "Google's TensorFlow 1 checkpoint" in checkpoint.summary
    assert "left aside" not in checkpoint.summary


def test_googles_checkpoint_says_nothing_of_case_and_both_choices_are_named(google):
    with pytest.raises(
        WeightsError, match=r"--do-lower-case true .*--do-lower-case false"
    ) as raised:
        read_encoder(str(google))
    assert "does not say whether text is lower-cased" in str(raised.value)
    (google / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    assert not read_encoder(str(google)).do_lower_case


def test_a_classifier_of_google_brings_its_head(tmp_path):
    kernel = np.arange(96, dtype=np.float32).reshape(3, 32)
    head = {"output_weights": kernel, "output_bias": np.ones(3, np.float32)}
    checkpoints.write_google(tmp_path, tiny.tensors(0), CONFIG, tiny.vocabulary(), head)
    found = read_encoder(str(tmp_path), lowercase=True, keep_head=True).head
    assert found.name == "classify" and found.labels == ("0", "1", "2")
    np.testing.assert_array_equal(found.kernel, kernel.T)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("bert_model.ckpt.data-00000-of-00001", "there is no bert_model.ckpt.data"),
        ("bert_config.json", "no bert_config.json"),
        ("vocab.txt", "no vocab.txt"),
    ],
)
def test_a_missing_file_of_googles_checkpoint_is_named(google, file, message):
    (google / file).unlink()
    with pytest.raises(WeightsError, match=message):
        read_encoder(str(google), lowercase=True)


def test_googles_checkpoint_that_ends_early_is_named(google):
    for file in ("bert_model.ckpt.index", "bert_model.ckpt.data-00000-of-00001"):
        content = (google / file).read_bytes()
        (google / file).write_bytes(content[: len(content) // 2])
        with pytest.raises(WeightsError, match=r"bert_model\.ckpt\.index"):
            read_encoder(str(google), lowercase=True)
        (google / file).write_bytes(content)


def test_of_several_checkpoints_the_one_that_training_named_last_is_read(google):
    checkpoints.save(google / "model.ckpt-7", {"a": np.zeros(1)})
    assert_same_tensors(read_encoder(str(google), lowercase=True).tensors, tiny.tensors(0))
    (google / "checkpoint").write_text('model_checkpoint_path: "/elsewhere/model.ckpt-7"\n')
    with pytest.raises(WeightsError, match=r"model\.ckpt-7\.index: the tensor .* is missing"):
        read_encoder(str(google), lowercase=True)


@pytest.mark.parametrize("named", [True, False])
def test_model_gardens_checkpoint_reads_as_what_was_written(tmp_path, named):
    write(tmp_path)
    for name in ("model.safetensors", "config.json"):
        (tmp_path / name).unlink()
    checkpoints.write_garden_checkpoint(tmp_path, tiny.tensors(0), HEADS, named)
    checkpoint = read_encoder(str(tmp_path), lowercase=True)
    assert_same_tensors(checkpoint.tensors, tiny.tensors(0))
    assert checkpoint.config.num_attention_heads == HEADS
    assert checkpoint.config.hidden_act == "gelu_new"
    assert "Model Garden's checkpoint" in checkpoint.summary


@pytest.mark.parametrize("lowercase", [True, False])
def test_a_saved_model_of_tensorflow_hub_brings_sizes_vocabulary_and_case(tmp_path, lowercase):
    folder = tmp_path / "bert_en"
    pieces = tiny.vocabulary()
    checkpoints.write_hub_module(folder, tiny.tensors(0), HEADS, pieces, lowercase)
    checkpoint = read_encoder(str(folder))
    assert_same_tensors(checkpoint.tensors, tiny.tensors(0))
    assert checkpoint.do_lower_case == lowercase
    assert checkpoint.vocabulary == read_encoder("tiny").vocabulary
    expected = {**tiny.config().to_json(), "hidden_act": "gelu_new", "initializer_range": 0.02}
    assert checkpoint.config.to_json() == expected
    assert "a SavedModel of TensorFlow Hub" in checkpoint.summary


def test_a_saved_model_of_something_else_is_refused(tmp_path):
    folder = tmp_path / "other"
    checkpoints.write_hub_module(folder, {}, HEADS, tiny.vocabulary(), True)
    with pytest.raises(ConfigError, match="no weights of a BERT encoder"):
        read_encoder(str(folder))
