"""The table of weights in `tfbert.json`: a trained model becomes one that transformers loads."""

import numpy as np
import pytest

from python_export.__main__ import HEAD_NAMES
from python_export.families import FAMILIES
from python_export.heads import HEADS
from python_export.hugging_face import description
from python_export.tests.session import read_checkpoint
from python_export.weights import read_encoder


def read_table(table, variables, layers):
    """The weights that a table makes of variables, as `tfbert export` does."""
    found = {}
    for row in table["weights"]:
        for layer in range(layers if "{layer}" in row["name"] else 1):
            value = variables[row["variable"].replace("{layer}", str(layer))]
            part, parts = row.get("part", (0, 1))
            value = np.split(value, parts, axis=-1)[part]
            name = row["name"].replace("{layer}", str(layer))
            assert name not in found
            found[name] = value.T if row.get("transposed") else value
    return found


def used_variables(table, layers):
    """The object paths that a table names."""
    paths = [row["variable"] for row in table["weights"]]
    return {path.replace("{layer}", str(layer)) for path in paths for layer in range(layers)}


@pytest.mark.parametrize("head", HEAD_NAMES)
def test_the_table_holds_every_variable_and_gives_back_the_weights_that_were_read(
    head, tiny_exports, tiny_sessions
):
    checkpoint = read_encoder("tiny")
    variables = read_checkpoint(tiny_exports / head / "variables" / "variables")
    table = tiny_sessions[head].contract["hugging_face"]
    assert table == description(checkpoint, HEADS[head])
    layers = checkpoint.config.num_hidden_layers
    weights = read_table(table, variables, layers)
    expected = {
        name: value
        for name, value in checkpoint.tensors.items()
        if HEADS[head].pooled or not name.startswith("pooler.")
    }
    for name, value in expected.items():
        np.testing.assert_array_equal(weights.pop(f"bert.{name}"), value, err_msg=name)
    assert len(weights) == len(HEADS[head].hugging_face_weights("head")), weights.keys()
    trained = {path for path in variables if path.split("/")[0] in ("encoder", "head")}
    assert used_variables(table, layers) == trained


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_every_family_says_how_transformers_calls_its_models_and_its_tokenizer(family):
    assert family.class_prefix and family.tokenizer_class.endswith(("Tokenizer", "TokenizerFast"))
    assert {"unk_token", "pad_token", "mask_token"} <= set(family.special_tokens)


def test_what_the_table_gives_as_config_is_read_as_the_same_encoder():
    checkpoint = read_encoder("tiny")
    config = description(checkpoint, HEADS["classify"])["config"]
    assert checkpoint.family.read_config(config, "config.json") == checkpoint.config
