"""What must hold of every export, whatever its weights."""

import numpy as np
import pytest

from python_export.tests.session import (
    GRADIENT_DESCENT,
    LABELLING_HEADS,
    ExportSession,
    random_batch,
    read_checkpoint,
    rows_of,
)

# Largest difference of bf16 logits from fp32 ones, of the order of 1: bf16 keeps 8 bits, and two
# layers of rounding add up.
BF16_TOLERANCE = 0.05


def inputs_for(head, rows=4, length=16):
    """A batch of the head's shapes."""
    batch = random_batch(rows, length)
    rng = np.random.default_rng(1)
    if head == "regress":
        batch["labels"] = rng.uniform(0, 5, rows)
    elif head == "span":
        batch["labels"] = rng.integers(0, 3, (rows, 2))
    elif head == "tag":
        batch["labels"] = rng.integers(0, 3, (rows, length))
        batch["sample_weight"] = batch["attention_mask"].astype(np.float32)
    elif head == "multilabel":
        batch["labels"] = rng.integers(0, 2, (rows, LABELS[head]))
        batch["sample_weight"] = np.ones((rows, LABELS[head]), np.float32)
    elif head == "choice":
        batch["labels"] = rng.integers(0, 2, rows)
        for name in ("input_ids", "attention_mask", "token_type_ids"):
            batch[name] = np.stack([batch[name], batch[name][::-1]], 1)
    return batch


LABELS = {"classify": 3, "regress": 1, "span": 2, "tag": 3, "choice": 1, "multilabel": 3}


def assert_same_weights(left, right):
    assert set(left) == set(right)
    for name, value in left.items():
        np.testing.assert_array_equal(value, right[name], err_msg=name)


def test_a_row_equals_itself_in_any_batch(classifier):
    classifier.init(3)
    batch = random_batch(8)
    together = classifier.eval(batch)["logits"]
    for row in range(8):
        alone = classifier.eval(rows_of(batch, [row]))["logits"]
        np.testing.assert_allclose(alone[0], together[row], atol=1e-5)


@pytest.mark.parametrize("head", LABELLING_HEADS)
def test_padding_changes_nothing(tiny_sessions, head):
    session = tiny_sessions[head]
    session.init(LABELS[head])
    batch = inputs_for(head)
    longer = dict(batch)
    for name in ("input_ids", "attention_mask", "token_type_ids"):
        width = [(0, 0)] * (batch[name].ndim - 1) + [(0, 8)]
        longer[name] = np.pad(batch[name], width)
    if head == "tag":
        longer["labels"] = np.pad(batch["labels"], [(0, 0), (0, 8)])
        longer["sample_weight"] = np.pad(batch["sample_weight"], [(0, 0), (0, 8)])
    short, long = session.eval(batch), session.eval(longer)
    if head in ("span", "tag"):
        long["logits"] = long["logits"][:, :16]
        real = batch["attention_mask"] > 0
        np.testing.assert_allclose(long["logits"][real], short["logits"][real], atol=1e-5)
    else:
        np.testing.assert_allclose(long["logits"], short["logits"], atol=1e-5)
    assert long["loss"].sum() == pytest.approx(short["loss"].sum(), rel=1e-5)


def test_a_row_of_weight_0_changes_neither_loss_nor_update(classifier):
    batch = random_batch(4)
    padded = random_batch(4)
    for name in ("input_ids", "attention_mask", "token_type_ids", "sample_weight"):
        padded[name] = padded[name].copy()
        padded[name][3] = 0
    losses = []
    for chosen in (rows_of(batch, [0, 1, 2]), padded):
        classifier.init(3)
        results = [classifier.train(chosen, step=step) for step in (1, 2)]
        losses.append([float(r[name]) for r in results for name in ("loss", "grad_norm")])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


def whole(variables):
    """Variables with the scales of the embeddings' moments multiplied in."""
    scales = variables.pop("optimizer/scales")
    for slots, scale in zip(("m", "v"), scales, strict=True):
        for sparse in (0, 1):
            variables[f"optimizer/{slots}/{sparse}"] *= scale
    return variables


def test_accumulate_and_apply_equal_train(classifier):
    batch = random_batch(4)
    classifier.init(3)
    trained = [classifier.train(batch, step=step) for step in (1, 2)]
    expected = whole(classifier.variables())
    classifier.init(3)
    for step in (1, 2):
        losses = [
            classifier.accumulate(rows_of(batch, rows), first, weight_sum=4.0)["loss"]
            for rows, first in (([0, 1], True), ([2, 3], False))
        ]
        result = classifier.apply(step)
        assert sum(losses) == pytest.approx(trained[step - 1]["loss"], rel=1e-5)
        assert result["grad_norm"] == pytest.approx(trained[step - 1]["grad_norm"], rel=1e-4)
        assert result["step"] == step
    found = whole(classifier.variables())
    for name, value in expected.items():
        # Adam divides by the root of a second moment that may be all rounding.
        np.testing.assert_allclose(found[name], value, atol=2e-4, err_msg=name)


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("head", LABELLING_HEADS)
def test_two_halves_equal_the_whole_batch(tiny_sessions, head, rows):
    session, batch = tiny_sessions[head], inputs_for(head, rows)
    ends = []
    for halves in (False, True):
        session.init(LABELS[head])
        result = session.train(batch, halves=halves, **GRADIENT_DESCENT)
        ends.append({**session.variables(), **result})
    for name, value in ends[0].items():
        np.testing.assert_allclose(ends[1][name], value, rtol=1e-5, atol=1e-7, err_msg=name)


def test_two_halves_accumulate_what_the_whole_batch_does(classifier):
    ends = []
    for halves in (False, True):
        classifier.init(3)
        for seed, first in ((1, True), (2, False)):
            classifier.accumulate(random_batch(5, seed=seed), first, weight_sum=10.0, halves=halves)
        ends.append(classifier.variables())
    for name, value in ends[0].items():
        if "accumulated" in name:
            np.testing.assert_allclose(ends[1][name], value, rtol=1e-4, atol=1e-6, err_msg=name)


def test_bf16_gradients_of_halves_are_no_less_exact(classifier):
    batch = random_batch(8, 16)
    ends = {}
    for precision, halves in (("f32", False), ("bf16", False), ("bf16", True)):
        classifier.init(3)
        classifier.train(batch, precision, halves=halves, **GRADIENT_DESCENT)
        variables = classifier.variables()
        kernels = [v for name, v in variables.items() if name.endswith("kernel")]
        ends[precision, halves] = np.concatenate([kernel.ravel() for kernel in kernels])
    exact = ends["f32", False]
    whole, halved = (np.linalg.norm(ends["bf16", halves] - exact) for halves in (False, True))
    assert 0 < halved < 1.1 * whole


def test_the_halves_of_a_batch_draw_masks_of_their_own(classifier):
    # Twice the same row, the first in one half and the second in the other.
    batch = rows_of(random_batch(1), [0, 0])
    losses = []
    for weights in ([1.0, 0.0], [0.0, 1.0]):
        classifier.init(3)
        batch["sample_weight"] = np.array(weights, np.float32)
        losses.append(float(classifier.train(batch, dropout=0.5, halves=True)["loss"]))
    assert losses[0] != losses[1]


def test_steps_whose_moments_are_multiplied_in_equal_steps_that_keep_them_whole(classifier):
    # 0.2 ** 9 is below the smallest scale, so that training multiplies in at the ninth step;
    # `apply` keeps moments whole throughout. With this epsilon rounding moves no weight far.
    update = {"beta1": 0.2, "epsilon": 1e-2, "beta1_power": 0.0, "beta2_power": 0.0}
    batches = [random_batch(4, seed=seed) for seed in range(11)]
    ends, scales = [], []
    classifier.init(3)
    for batch in batches:
        classifier.train(batch, **update)
        scales.append(classifier.variables(flush=False)["optimizer/scales"][0])
    ends.append(whole(classifier.variables()))
    classifier.init(3)
    for batch in batches:
        classifier.accumulate(batch, True, weight_sum=4.0)
        classifier.apply(**update)
    ends.append(whole(classifier.variables()))
    assert scales[7:10] == pytest.approx([0.2**8, 1.0, 0.2])
    for name, value in ends[0].items():
        np.testing.assert_allclose(ends[1][name], value, atol=1e-5, err_msg=name)


def test_the_accumulators_are_empty_after_init_and_after_apply(classifier):
    def sizes():
        variables = classifier.variables()
        return [v.size for name, v in variables.items() if "accumulated" in name]

    classifier.init(3)
    assert set(sizes()) == {0}
    classifier.accumulate(random_batch(4), True, weight_sum=4.0)
    assert 0 not in sizes()
    classifier.apply()
    assert set(sizes()) == {0}


def test_a_gradient_that_is_not_finite_changes_nothing(classifier):
    classifier.init(3)
    classifier.train(random_batch(4))
    before = classifier.variables()
    result = classifier.train({**random_batch(4), "sample_weight": np.full(4, np.inf)}, step=2)
    assert not np.isfinite(result["grad_norm"])
    assert result["step"] == 1
    assert_same_weights(before, classifier.variables())


@pytest.mark.parametrize("head", ["classify", "tag"])
@pytest.mark.parametrize("labels", [1, 2, 7])
def test_init_gives_any_count_of_labels(tiny_sessions, head, labels):
    session = tiny_sessions[head]
    assert session.init(labels)["num_labels"] == labels
    batch = inputs_for(head)
    batch["labels"] = np.zeros_like(batch["labels"])
    assert session.train(batch)["step"] == 1
    assert session.eval(batch)["logits"].shape[-1] == labels


@pytest.mark.parametrize(("head", "wanted"), [("regress", 1), ("span", 2), ("choice", 1)])
def test_init_refuses_a_count_of_labels_that_the_head_does_not_have(tiny_sessions, head, wanted):
    with pytest.raises(Exception, match=f"must be {wanted}, not"):
        tiny_sessions[head].init(wanted + 1)


def test_init_draws_by_seed_with_the_deviation_of_the_encoder(classifier):
    kernels = []
    for seed in ((1, 2), (1, 2), (1, 3)):
        classifier.init(200, seed)
        kernels.append(classifier.variables()["head/kernel"])
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.abs(kernels[0] - kernels[2]).max() > 0
    deviation = classifier.contract["encoder"]["initializer_range"]
    assert kernels[0].std() == pytest.approx(deviation, rel=0.05)


def test_layer_scale_0_freezes_and_a_factor_scales_the_rate(classifier):
    batch, scale = random_batch(4), np.ones(4, np.float32)
    classifier.init(3)
    before = classifier.variables()
    classifier.train(batch)
    full = classifier.variables()
    scale[0], scale[1] = 0.0, 0.5
    classifier.init(3)
    classifier.train(batch, layer_scale=scale)
    scaled = classifier.variables()
    for name, value in before.items():
        if name.startswith("encoder/embeddings"):
            np.testing.assert_array_equal(scaled[name], value, err_msg=name)
        elif name.startswith("encoder/layers/0"):
            np.testing.assert_allclose(
                scaled[name] - value, (full[name] - value) / 2, atol=1e-6, err_msg=name
            )
        elif name.startswith(("encoder/", "head/")):
            np.testing.assert_array_equal(scaled[name], full[name], err_msg=name)


def test_decay_spares_biases_and_layer_normalisation(classifier):
    classifier.init(3)
    # Biases are exported as 0, which no decay would show.
    biases = {
        name: np.full_like(value, 0.5)
        for name, value in classifier.variables().items()
        if name.endswith("/bias") and not name.startswith("optimizer")
    }
    classifier.set_variables(**biases)
    before = classifier.variables()
    # No gradient reaches a weight when all sample weights are 0, so that decay is all that happens.
    batch = {**random_batch(4), "sample_weight": np.zeros(4), "weight_sum": 1.0}
    classifier.train(batch, learning_rate=0.1, weight_decay=0.5)
    after = classifier.variables()
    for name, value in before.items():
        if name.startswith("optimizer"):
            continue
        factor = 1.0 if name.endswith(("/bias", "/gamma", "/beta")) else 0.95
        np.testing.assert_allclose(after[name], value * factor, rtol=1e-6, err_msg=name)


def test_dropout_repeats_for_a_seed_and_differs_for_another(classifier):
    batch, losses = random_batch(4), []
    for seed in ((1, 2), (1, 2), (1, 3), (2, 2)):
        classifier.init(3)
        losses.append(float(classifier.train(batch, dropout=0.5, seed=seed)["loss"]))
    assert losses[0] == losses[1]
    assert len(set(losses)) == 3


def test_dropout_keeps_the_expectation(classifier):
    """The mean loss over many masks comes near the loss without dropout."""
    classifier.init(3)
    batch = random_batch(4)
    still = {"learning_rate": 0.0}
    exact = classifier.train(batch, **still)["loss"]
    drawn = [classifier.train(batch, dropout=0.1, seed=(1, i), **still)["loss"] for i in range(100)]
    assert np.std(drawn) > 0
    assert abs(np.mean(drawn) - exact) < 0.4 * np.std(drawn) + 0.02


def test_a_restored_checkpoint_continues_with_equal_losses(classifier, tmp_path):
    batch = random_batch(4)
    classifier.init(3)
    for step in (1, 2):
        classifier.train(batch, step=step, dropout=0.1, seed=(0, step))
    classifier.save(tmp_path / "checkpoint")
    continued = [classifier.train(batch, step=s, dropout=0.1, seed=(0, s)) for s in (3, 4)]
    classifier.init(3)
    classifier.restore(tmp_path / "checkpoint")
    resumed = [classifier.train(batch, step=s, dropout=0.1, seed=(0, s)) for s in (3, 4)]
    assert continued == resumed


@pytest.mark.parametrize("halves", [False, True])
@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_two_runs_of_one_seed_end_in_the_same_bytes(classifier, precision, halves):
    batch, ends = random_batch(8, 16), []
    for _ in range(2):
        classifier.init(3)
        for step in (1, 2, 3):
            drawn = {"dropout": 0.1, "seed": (0, step)}
            classifier.train(batch, precision, step=step, halves=halves, **drawn)
        ends.append(classifier.variables())
    assert_same_weights(*ends)


@pytest.mark.parametrize("head", LABELLING_HEADS)
def test_bf16_stays_near_fp32(tiny_sessions, head):
    session = tiny_sessions[head]
    session.init(LABELS[head])
    batch = inputs_for(head)
    exact, rounded = session.eval(batch), session.eval(batch, "bf16")
    assert rounded["logits"].dtype == np.float32
    real = exact["logits"] > -1e8
    difference = np.abs(exact["logits"] - rounded["logits"])[real].max()
    assert 0 < difference < BF16_TOLERANCE * max(1.0, np.abs(exact["logits"][real]).max())
    session.train(batch, "bf16")
    assert np.isfinite(session.train(batch, "bf16", step=2)["grad_norm"])


@pytest.mark.parametrize("precision", ["f32", "bf16"])
@pytest.mark.parametrize("head", LABELLING_HEADS)
def test_the_serving_template_holds_the_trained_weights_alone(
    tiny_exports, tiny_sessions, tmp_path, head, precision
):
    session, folder = tiny_sessions[head], tiny_exports / head
    batch = inputs_for(head)
    session.init(LABELS[head])
    session.train(batch)
    session.flush()
    session.save(tmp_path / "training")

    served = tmp_path / "model"
    (served / "variables").mkdir(parents=True)
    template = folder / "assets.extra" / "serving" / "saved_model.pb"
    (served / "saved_model.pb").write_bytes(template.read_bytes())
    # What the driver does: the template's restore on the training checkpoint, then its save.
    with ExportSession(served, template=folder, variables=False) as serving:
        serving.restore(tmp_path / "training")
        serving.save(served / "variables" / "variables")
    # What a server does.
    with ExportSession(served, template=folder) as serving:
        np.testing.assert_array_equal(
            serving.predict(batch, f"predict_{precision}")["logits"],
            session.eval(batch, precision)["logits"],
        )
        plain = serving.predict(batch, "serving_default")
        exact = serving.predict(batch, "predict_f32")["logits"]
        np.testing.assert_array_equal(plain["logits"], exact)
        check_serving_outputs(head, plain)

    kept = read_checkpoint(served / "variables" / "variables")
    assert not [name for name in kept if not name.startswith(("encoder/", "head/"))]
    trained = session.variables()
    assert_same_weights(kept, {name: trained[name] for name in kept})


def check_serving_outputs(head, outputs):
    logits = outputs["logits"]
    if head == "regress":
        np.testing.assert_array_equal(outputs["score"], logits[:, 0])
    elif head == "span":
        np.testing.assert_array_equal(outputs["start_logits"], logits[..., 0])
        np.testing.assert_array_equal(outputs["end_logits"], logits[..., 1])
    elif head == "multilabel":
        np.testing.assert_allclose(outputs["probabilities"], 1 / (1 + np.exp(-logits)), atol=1e-6)
    else:
        exponents = np.exp(logits - logits.max(-1, keepdims=True))
        expected = exponents / exponents.sum(-1, keepdims=True)
        np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-6)
