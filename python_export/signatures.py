"""The signatures of the graphs, as concrete functions: `docs/contract.md` lists them."""

from functools import partial
from itertools import count

import tensorflow as tf

from . import workers
from .heads import Head
from .model import ServedModel, TrainingModel
from .optimizer import Update
from .whole_step import learning_functions

PRECISIONS = {"f32": tf.float32, "bf16": tf.bfloat16}


def _spec(name, dtype, shape=()):
    return tf.TensorSpec(shape, dtype, name=name)


def _input_specs(head: Head):
    return {name: _spec(name, tf.int32, head.inputs_shape) for name in head.inputs_type._fields}


def _label_specs(head: Head):
    return {
        "labels": _spec("labels", head.labels_dtype, head.labels_shape),
        "sample_weight": _spec("sample_weight", tf.float32, head.weights_shape),
    }


def _batch_specs(head: Head):
    specs = {**_label_specs(head), "weight_sum": _spec("weight_sum", tf.float32)}
    if head.smooths_labels:
        specs["label_smoothing"] = _spec("label_smoothing", tf.float32)
    specs["dropout"] = _spec("dropout", tf.float32)
    specs["seed"] = _spec("seed", tf.int32, [2])
    return specs


def _update_specs(layers):
    specs = {name: _spec(name, tf.float32) for name in Update._fields}
    specs["layer_scale"] = _spec("layer_scale", tf.float32, [layers + 2])
    return specs


def _concrete(function, specs):
    """Traces `function` for keyword arguments of these dtypes and shapes."""
    return tf.function(function, autograph=False).get_concrete_function(**specs)


def _take(arguments, kind):
    """Removes the fields of the named tuple `kind` from keyword arguments and returns it."""
    return kind(**{name: arguments.pop(name) for name in kind._fields})


def training_signatures(model: TrainingModel, whole_step=False, learning=True) -> dict:
    """The concrete functions of the training SavedModel by signature key; with `whole_step` those
    of the whole-step graph, without `learning` those alone that compute no gradients."""
    head, inputs = model.head, _input_specs(model.head)
    batch, update = _batch_specs(head), _update_specs(model.encoder.config.num_hidden_layers)

    def evaluate(dtype, labels, sample_weight, **a):
        return model.evaluate(_take(a, model.head.inputs_type), labels, sample_weight, dtype)

    signatures = {
        "init": _concrete(
            lambda **a: model.initialise(**a),
            {"num_labels": _spec("num_labels", tf.int32), "seed": _spec("seed", tf.int32, [2])},
        ),
        "apply": _concrete(lambda **a: model.apply(_take(a, Update)), update),
        "flush": _concrete(lambda: model.flush(), {}),
    }
    for precision, dtype in PRECISIONS.items():
        if not learning:
            forms = {}
        elif whole_step:
            forms = {"": _whole_step(model, dtype)}
        else:
            forms = {"": _learning(model, dtype, False), "_halves": _learning(model, dtype, True)}
        for form, (train, accumulate) in forms.items():
            for name, function, specs in (
                ("train", train, update),
                ("accumulate", accumulate, {"first": _spec("first", tf.bool)}),
            ):
                traced = _concrete(function, {**inputs, **batch, **specs})
                signatures[f"{name}_{precision}{form}"] = traced
        signatures[f"eval_{precision}"] = _concrete(
            _with_dtype(evaluate, dtype), {**inputs, **_label_specs(head)}
        )
    return signatures


def _learning(model, dtype, halves):
    """The functions of `train` and `accumulate`. Both call one function for the gradients, so that
    the graph holds it once."""

    @partial(tf.function, autograph=False)
    def gradients(inputs, batch):
        return model.gradients(inputs, batch, dtype, halves)

    def train(**a):
        inputs, update = _take(a, model.head.inputs_type), _take(a, Update)
        return model.train(*gradients(inputs, a), update)

    def accumulate(**a):
        inputs, first = _take(a, model.head.inputs_type), a.pop("first")
        return model.accumulate(*gradients(inputs, a), first)

    return train, accumulate


def workers_signatures(model: TrainingModel) -> dict:
    """The concrete functions of the workers' graph by signature key."""
    head, inputs = model.head, _input_specs(model.head)
    batch = {**inputs, **_batch_specs(head)}
    update = _update_specs(model.encoder.config.num_hidden_layers)
    shared = workers.SHARED_SPECS
    keys = count(1)

    def apply(reduction, **a):
        loss, shared, update = a.pop("loss"), _take(a, workers.Shared), _take(a, Update)
        return workers.apply(model, loss, shared, update, reduction)

    plain = training_signatures(model, learning=False)
    signatures = {"checksum": _concrete(lambda: workers.checksum(model), {})}
    signatures |= {name: plain[name] for name in plain if name != "apply"}
    reductions = {r: workers.Reduction(keys, r) for r in workers.PRECISIONS}
    for name, reduction in reductions.items():
        specs = {**update, **shared, "loss": _spec("loss", tf.float32)}
        signatures[f"apply_reduce_{name}"] = _concrete(partial(apply, reduction), specs)
    for precision, dtype in PRECISIONS.items():
        for form, halves in (("", False), ("_halves", True)):
            train, accumulate = _workers_learning(model, dtype, halves)
            specs = {**batch, "token_rows": shared["token_rows"], "first": _spec("first", tf.bool)}
            signatures[f"accumulate_{precision}{form}"] = _concrete(accumulate, specs)
            for name, reduction in reductions.items():
                specs = {**batch, **update, **shared}
                key = f"train_{precision}{form}_reduce_{name}"
                signatures[key] = _concrete(partial(train, reduction), specs)
    return signatures


def _workers_learning(model, dtype, halves):
    """As `_learning`, of `python_export.workers`."""

    @partial(tf.function, autograph=False)
    def gradients(inputs, batch, token_rows):
        return workers.gradients(model, inputs, batch, token_rows, dtype, halves)

    def train(reduction, **a):
        inputs, update = _take(a, model.head.inputs_type), _take(a, Update)
        shared = _take(a, workers.Shared)
        found = gradients(inputs, a, shared.token_rows)
        return workers.train(model, *found, shared, update, reduction)

    def accumulate(**a):
        inputs, first, token_rows = (
            _take(a, model.head.inputs_type),
            a.pop("first"),
            a.pop("token_rows"),
        )
        return model.accumulate(*gradients(inputs, a, token_rows), first)

    return train, accumulate


def _whole_step(model, dtype):
    """As `_learning`, of `python_export.whole_step`."""
    compiled_train, compiled_accumulate = learning_functions(model, dtype)

    def train(**a):
        inputs, update = _take(a, model.head.inputs_type), _take(a, Update)
        return compiled_train(inputs, a, update)

    def accumulate(**a):
        inputs, first = _take(a, model.head.inputs_type), a.pop("first")
        return compiled_accumulate(inputs, a, first)

    return train, accumulate


def serving_signatures(model: ServedModel) -> dict:
    """The concrete functions of the serving template by signature key."""
    head = model.head
    inputs = _input_specs(head)
    labels = {"labels": _label_specs(head)["labels"]} if head.predict_reads_labels else {}

    def serve(**a):
        return model.serve(head.inputs_type(**a))

    def predict(dtype, **a):
        return model.predict(_take(a, head.inputs_type), dtype, **a)

    signatures = {"serving_default": _concrete(serve, inputs)}
    for precision, dtype in PRECISIONS.items():
        signatures[f"predict_{precision}"] = _concrete(
            _with_dtype(predict, dtype), {**inputs, **labels}
        )
    return signatures


def _with_dtype(function, dtype):
    return lambda **arguments: function(dtype, **arguments)


def describe(function):
    """A signature's inputs and outputs with dtype and shape, `null` for an open dimension."""

    def describe(tensors):
        return {
            name: {"dtype": tensor.dtype.name, "shape": tensor.shape.as_list()}
            for name, tensor in sorted(tensors.items())
        }

    return {
        "inputs": describe(function.structured_input_signature[1]),
        "outputs": describe(function.structured_outputs),
    }
