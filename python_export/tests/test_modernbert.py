"""ModernBERT beyond its parity with transformers (`test_family_parity.py`): what its config.json
may say, and its export."""

import json

import numpy as np
import pytest
import tensorflow as tf

from python_export.config import ConfigError
from python_export.export import encoder_of, export
from python_export.families import FAMILIES
from python_export.forward import ForwardPass, Inputs
from python_export.tests import modernbert_checkpoint
from python_export.tests.session import ExportSession, random_batch, rows_of
from python_export.weights import WeightsError, read_encoder

FAMILY = FAMILIES["modernbert"]
ROPE = {
    "full_attention": {"rope_type": "default", "rope_theta": 160000.0},
    "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkpoint."""
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny-modernbert"
    modernbert_checkpoint.main(folder)
    return folder


@pytest.fixture(scope="module")
def values(folder):
    """Its config.json, which has the form of transformers 4."""
    return json.loads((folder / "config.json").read_text())


def test_the_forms_of_transformers_4_and_5_are_read_as_the_same_encoder(values):
    config = FAMILY.read_config(values, "config.json")
    assert config.layer_types == ("full_attention", "sliding_attention")
    names = ("global_attn_every_n_layers", "global_rope_theta", "local_rope_theta")
    newer = {key: value for key, value in values.items() if key not in names}
    newer |= {"rope_parameters": ROPE, "layer_types": list(config.layer_types)}
    assert FAMILY.read_config(newer, "config.json") == config
    same_bases = FAMILY.read_config({**values, "local_rope_theta": None}, "config.json")
    assert set(same_bases.rope_thetas.values()) == {160000.0}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"norm_bias": True}, "`norm_bias` is True, but only False is supported"),
        ({"rope_scaling": {"factor": 2}}, "`rope_scaling` is"),
        ({"rope_parameters": [1]}, r"`rope_parameters` is \[1\], expected objects by type"),
        (
            {"rope_parameters": {"full_attention": {"rope_type": "yarn"}}},
            "`rope_parameters` of `full_attention` is .*, but only the `rope_type` 'default'",
        ),
        ({"global_rope_theta": "big"}, "`global_rope_theta` is 'big', expected a number"),
        ({"layer_types": ["full_attention"]}, "`layer_types` has 1 layers, but"),
        ({"layer_types": ["full_attention", "flash"]}, "`layer_types` is 'flash', but only"),
        ({"layer_types": "full_attention"}, "`layer_types` is 'full_attention', expected a list"),
        ({"global_attn_every_n_layers": 0}, "`global_attn_every_n_layers` is 0, expected"),
        ({"local_attention": -1}, "`local_attention` is -1, expected a whole number"),
        ({"classifier_pooling": "max"}, "`classifier_pooling` is 'max', but only 'cls', 'mean'"),
        ({"hidden_size": 30}, "the width of an attention head is 15"),
        ({"num_hidden_layers": None}, "`num_hidden_layers` is missing"),
    ],
)
def test_a_config_that_the_graph_does_not_compute_is_one_message(values, changes, message):
    with pytest.raises(ConfigError, match=f"config.json: {message}"):
        FAMILY.read_config({**values, **changes}, "config.json")


def test_a_folder_without_tokenizer_json_is_one_message(folder, tmp_path):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(WeightsError, match=r"has neither tokenizer.json nor vocab.json"):
        read_encoder(str(tmp_path))


def test_padding_changes_nothing_and_a_row_of_padding_is_finite(folder):
    checkpoint = read_encoder(str(folder))
    encoder = encoder_of(checkpoint, checkpoint.tensors, pooled=True)
    batch = random_batch(rows=3, length=40, vocabulary=400)
    batch["attention_mask"][1] = 0
    whole = Inputs(*(tf.constant(batch[name], tf.int32) for name in Inputs._fields))
    length = int(tf.reduce_sum(whole.attention_mask[2]))
    alone = Inputs(*(x[2:, :length] for x in whole))
    pooled = encoder.pooled(ForwardPass(), whole).numpy()
    assert np.isfinite(pooled).all()
    np.testing.assert_allclose(pooled[2:], encoder.pooled(ForwardPass(), alone), atol=1e-5)


def test_an_export_trains_in_bf16_and_serves_what_it_evaluates(folder, tmp_path):
    checkpoint = read_encoder(str(folder))
    path = export(checkpoint, "classify", tmp_path)
    batch = random_batch(rows=6, length=24, vocabulary=400)
    with ExportSession(path) as session:
        session.init(3)
        steps = [
            session.train(batch, "bf16", step, 0.1, (step, 0), halves=True, learning_rate=1e-2)
            for step in range(1, 13)
        ]
        losses = [float(step["loss"]) for step in steps]
        assert losses[-1] < 0.7 * losses[0], losses
        evaluated = session.eval(batch)["logits"]
        alone = session.eval(rows_of(batch, slice(0, 1)))["logits"]
        np.testing.assert_allclose(alone, evaluated[:1], atol=1e-5)
        bf16 = session.eval(batch, "bf16")["logits"]
        np.testing.assert_allclose(bf16, evaluated, atol=0.1)
        trained = tmp_path / "trained" / "variables"
        session.save(trained)
    with ExportSession(path / "assets.extra" / "serving", path, variables=False) as served:
        served.restore(trained)
        np.testing.assert_array_equal(served.predict(batch)["logits"], evaluated)


def test_what_the_table_gives_as_config_is_read_as_the_same_encoder(folder):
    checkpoint = read_encoder(str(folder))
    config = FAMILY.hugging_face_config(checkpoint.config)
    assert FAMILY.read_config(json.loads(json.dumps(config)), "config.json") == checkpoint.config
    assert config["global_attn_every_n_layers"] == 2
