"""What a new kind of encoder has to bring, and what its layers may rely on."""

import inspect
import json

import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf

from python_export import tiny
from python_export.attention import TrainingOps
from python_export.config import ConfigError
from python_export.elementwise import ElementwiseOps
from python_export.encoder import Embeddings
from python_export.export import encoder_of
from python_export.families import FAMILIES
from python_export.families.bert import Bert
from python_export.forward import ForwardPass, Inputs
from python_export.plain import InferenceOps
from python_export.tests.session import random_batch
from python_export.tests.test_weights import write
from python_export.weights import read_encoder

# RoBERTa's first position is that after the padding's.
FIRST = 2


class Other(Bert):
    """BERT under other names, with the first token at position 2."""

    model_type = "other"

    def read_config(self, values, path):
        renamed = {"hidden_size": values["dim"], "num_hidden_layers": values["n_layers"]}
        return super().read_config({**values, **renamed}, path)

    def names_in_file(self, name):
        return (f"other.{name.replace('encoder.layer', 'transformer.blocks')}",)

    def max_length(self, config):
        return config.max_position_embeddings - FIRST

    def embeddings(self, config, tensors):
        return Embeddings(config, tensors, first_position=FIRST)


@pytest.fixture
def other(tmp_path, monkeypatch):
    """A checkpoint of a family that is one class and one row in the table."""
    monkeypatch.setitem(FAMILIES, "other", Other())
    write(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "other", "dim": config.pop("hidden_size")}
    config["n_layers"] = config.pop("num_hidden_layers")
    (tmp_path / "config.json").write_text(json.dumps(config))
    tensors = {Other().names_in_file(name)[0]: t for name, t in tiny.tensors(0).items()}
    safetensors.numpy.save_file(tensors, tmp_path / "model.safetensors")
    return read_encoder(str(tmp_path))


def pooled(checkpoint, tensors):
    """The encoder's output for a batch."""
    encoder = encoder_of(checkpoint, tensors, pooled=True)
    batch = random_batch()
    inputs = Inputs(*(tf.constant(batch[name], tf.int32) for name in Inputs._fields))
    return encoder.pooled(ForwardPass(), inputs).numpy()


def test_a_family_is_one_class_and_one_row(other):
    assert other.config == tiny.config()
    assert other.family.max_length(other.config) == tiny.config().max_position_embeddings - FIRST
    bert = read_encoder("tiny")
    moved = dict(bert.tensors)
    table = "embeddings.position_embeddings.weight"
    moved[table] = np.roll(moved[table], -FIRST, 0)
    np.testing.assert_array_equal(pooled(other, other.tensors), pooled(bert, moved))
    assert np.abs(pooled(other, other.tensors) - pooled(bert, bert.tensors)).max() > 0.01


@pytest.mark.parametrize("model_type", ["deberta", None, 3, ["bert"]])
def test_a_model_type_without_a_family_is_refused_with_those_that_have_one(tmp_path, model_type):
    write(tmp_path, config={"model_type": model_type})
    with pytest.raises(ConfigError, match=r"`model_type` is .*, but only 'bert', .* are supported"):
        read_encoder(str(tmp_path))


def test_every_family_stands_under_its_own_model_type():
    assert [family.model_type for family in FAMILIES.values()] == list(FAMILIES)


@pytest.mark.parametrize("ops", [TrainingOps, InferenceOps])
def test_both_forms_of_the_operations_have_the_methods_of_the_protocol(ops):
    names = [name for name in vars(ElementwiseOps) if not name.startswith("_")]
    assert len(names) == 9
    for name in names:
        wanted = inspect.signature(getattr(ElementwiseOps, name))
        found = inspect.signature(getattr(ops, name))
        assert list(found.parameters) == list(wanted.parameters), name
