"""Every family of encoders and every activation against Hugging Face's PyTorch models.

The goldens come from `tests/golden/make_family_goldens.py`, those of the head `masked` from
`tests/golden/make_masked_family_goldens.py`. The graph is run eagerly, without an
export: `test_parity.py` has the exports.
"""

import json

import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf

from python_export import tiny
from python_export.export import encoder_of
from python_export.families import FAMILIES
from python_export.forward import ForwardPass
from python_export.heads import HEADS
from python_export.hugging_face import description
from python_export.model import TrainingModel
from python_export.tests.conftest import GOLDENS
from python_export.tests.drawn import draw
from python_export.tests.test_hugging_face import read_table, used_variables
from python_export.tests.test_parity import LOGIT_TOLERANCE, RELATIVE_TOLERANCE
from python_export.tokenizer import template
from python_export.weights import read_encoder

# Those whose gradient no other case has: it compiles functions, which takes seconds.
LEARNT = [
    *((family, "classify") for family in ("bert", "distilbert", "electra", "roberta")),
    *(("bert", head) for head in ("span", "tag")),
    *(("modernbert", "classify"), ("modernbert-cls", "choice")),
    *((f"bert-{activation}", "classify") for activation in ("gelu_new", "relu", "silu")),
    *((family, "masked") for family in ("distilbert", "electra", "roberta", "modernbert")),
]


def goldens():
    """The goldens by case and head."""
    found = {}
    for file_name in ("families.npz", "families_masked.npz"):
        with np.load(GOLDENS / file_name) as file:
            for key in file.files:
                case, head, name = key.split("/")
                found.setdefault((case, head), {})[name] = file[key]
    return found


CASES = goldens()


def write(folder, golden):
    """The golden's checkpoint in Hugging Face's layout."""
    folder.mkdir(exist_ok=True)
    config = json.loads(str(golden["config"]))
    shapes = json.loads(str(golden["weights"]))
    tensors = {name: draw(name, shape) for name, shape in shapes.items()}
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    if "roberta" in config["model_type"] or config["model_type"] == "camembert":
        pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
        pieces += [f"Ġ{index}" for index in range(config["vocab_size"] - len(pieces))]
        ids = {piece: index for index, piece in enumerate(pieces)}
        (folder / "vocab.json").write_text(json.dumps(ids))
        (folder / "merges.txt").write_text("#version: 0.2\n")
    elif config["model_type"] == "modernbert":
        pieces = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]"]
        pieces += [f"Ġ{index}" for index in range(config["vocab_size"] - len(pieces))]
        ids = {piece: index for index, piece in enumerate(pieces)}
        model = {"type": "BPE", "vocab": ids, "merges": []}
        tokenizer = {"model": model, "post_processor": template(ids)}
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    else:
        pieces = tiny.vocabulary()[: config["vocab_size"]]
        (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces))
    return config


def model_of(folder, head):
    """The model of a checkpoint with its own head."""
    checkpoint = read_encoder(str(folder), keep_head=True)
    assert "left aside" not in checkpoint.summary
    if head == "masked":
        encoder = encoder_of(checkpoint, checkpoint.tensors, pooled=False)
        own = HEADS[head].of(encoder, checkpoint.family, checkpoint.masked_head)
        return checkpoint, TrainingModel(encoder, own)
    assert checkpoint.head.name == head
    head_class = HEADS[checkpoint.head.name]
    assert checkpoint.has_pooler or not checkpoint.family.reads_pooler(head_class)
    encoder = encoder_of(checkpoint, checkpoint.tensors, head_class.pooled)
    head = head_class(encoder)
    head.kernel.assign(checkpoint.head.kernel)
    head.bias.assign(checkpoint.head.bias)
    return checkpoint, TrainingModel(encoder, head)


def inputs_of(golden, head, rows=None):
    kind = HEADS[head].inputs_type
    return kind(*(tf.constant(golden[name][:rows]) for name in kind._fields))


def gradients_by_name(table, model, gradients):
    """The gradients under the names and in the layout of the checkpoint's file, by the table that
    `tfbert export` reads."""
    dense = {}
    for parameter, terms in zip(model.parameters(), gradients, strict=True):
        total = sum(tf.convert_to_tensor(term) for term in terms).numpy()
        dense[parameter.variable.ref()] = total
    layers = model.encoder.config.num_hidden_layers
    by_path = {}
    for path in used_variables(table, layers):
        found = model
        for step in path.split("/"):
            found = found[int(step)] if step.isdigit() else getattr(found, step)
        by_path[path] = dense[found.ref()]
    return read_table(table, by_path, layers)


@pytest.mark.parametrize(("case", "head"), CASES, ids=lambda value: value)
def test_logits_equal_the_references_on_64_rows(tmp_path, case, head):
    golden = CASES[case, head]
    config = write(tmp_path, golden)
    checkpoint, model = model_of(tmp_path, head)
    logits = model.logits(inputs_of(golden, head), ForwardPass()).numpy()
    expected = golden["logits"]
    if head == "tag":
        # RoBERTa gives padding another position, which no token sees.
        tokens = golden["attention_mask"] > 0
        logits, expected = logits[tokens], expected[tokens]
    np.testing.assert_allclose(logits, expected, rtol=0, atol=LOGIT_TOLERANCE)

    # And what is trained from it has the names of transformers' model again.
    table = description(checkpoint, HEADS[head])
    layers = range(checkpoint.config.num_hidden_layers)
    names = {row["name"].replace("{layer}", str(n)) for row in table["weights"] for n in layers}
    assert names == set(json.loads(str(golden["weights"])))
    assert table["config"]["architectures"] == config["architectures"]
    assert checkpoint.family.read_config(table["config"], "") == checkpoint.config


@pytest.mark.parametrize(("case", "head"), LEARNT, ids=lambda value: value)
def test_loss_and_gradient_equal_the_references(tmp_path, case, head):
    golden = CASES[case, head]
    write(tmp_path, golden)
    checkpoint, model = model_of(tmp_path, head)
    labels = golden["labels"]
    mask = golden["attention_mask"][: len(labels)]
    weight = mask.astype(np.float32) if head == "tag" else np.ones(len(labels), np.float32)
    weight = golden.get("sample_weight", weight)
    batch = {
        "labels": tf.constant(labels),
        "sample_weight": tf.constant(weight),
        "weight_sum": tf.reduce_sum(weight),
        "dropout": tf.constant(0.0),
        "seed": tf.constant([0, 0]),
    }
    inputs = inputs_of(golden, head, len(labels))
    loss, gradients = model.gradients(inputs, batch, tf.float32, sparse=False)
    assert float(loss) == pytest.approx(float(golden["loss"]), rel=1e-5)
    found = gradients_by_name(description(checkpoint, HEADS[head]), model, gradients)
    norms = golden["gradient_norms"]
    floor = 1e-6 * np.sqrt(np.sum(norms**2))
    for index, stored in enumerate(json.loads(str(golden["weights"]))):
        if stored not in found:
            assert norms[index] == 0.0, stored
            continue
        gradient = found[stored].astype(np.float64).ravel()
        norm = norms[index]
        assert np.sqrt(np.sum(gradient**2)) == pytest.approx(
            norm, rel=RELATIVE_TOLERANCE, abs=floor
        ), stored
        scale = max(RELATIVE_TOLERANCE * norm / np.sqrt(gradient.size), floor)
        np.testing.assert_allclose(
            gradient[golden["gradient_places"][index]],
            golden["gradient_values"][index],
            rtol=RELATIVE_TOLERANCE,
            atol=scale,
            err_msg=stored,
        )


def test_every_family_has_a_golden_and_the_activations_differ_by_more_than_the_tolerance():
    kinds = {"masked": set(), "other": set()}
    for (_, head), golden in CASES.items():
        kind = json.loads(str(golden["config"]))["model_type"]
        kinds["masked" if head == "masked" else "other"].add(kind)
    assert kinds["other"] == set(FAMILIES)
    assert kinds["masked"] == set(FAMILIES)
    exact = CASES["bert", "classify"]["logits"]
    for activation in ("gelu_new", "relu", "silu"):
        other = CASES[f"bert-{activation}", "classify"]["logits"]
        assert np.abs(exact - other).max() > LOGIT_TOLERANCE, activation
