"""The training graph of several workers: each computes the gradients of its own rows, and all sum
them before the update, which is then the same on every worker.

The sums are TensorFlow's collective all-reduces, over a few flat vectors, the gradients of the
upper layers first: those are known while the lower layers are still computed. Of the word
embeddings only the rows of tokens that occur in the step are summed.
"""

from typing import NamedTuple

import tensorflow as tf

from .model import TrainingModel
from .optimizer import Update, total

# Elements of a vector that is summed at once. Shorter ones cost more calls, longer ones wait longer
# for their first gradients.
_BUCKET_ELEMENTS = 6_000_000
_GROUP_KEY = 1
# TensorFlow takes vectors of one length only under a key. A vector with rows of embeddings has a
# key for each number of rows, above those of all others.
_KEYS = 64
PRECISIONS = {"f32": tf.float32, "bf16": tf.bfloat16}


class Shared(NamedTuple):
    """What all workers feed alike, but for `signals`.

    `group_size` int32 `[]` is the number of workers; `token_rows` int32 `[rows]` are the ids of all
    tokens in all workers' batches of the step, ascending, of which the last may be repeated;
    `signals` float32 `[2]` are summed over the workers.
    """

    group_size: tf.Tensor
    token_rows: tf.Tensor
    signals: tf.Tensor


SHARED_SPECS = {
    "group_size": tf.TensorSpec([], tf.int32, name="group_size"),
    "token_rows": tf.TensorSpec([None], tf.int32, name="token_rows"),
    "signals": tf.TensorSpec([2], tf.float32, name="signals"),
}


class Reduction:
    """The sums of one signature. Each has a key that no other of the graph has."""

    def __init__(self, keys, precision):
        """`keys` is an iterator of integers that all reductions of a graph share; gradients are
        summed in `precision`, a key of `PRECISIONS`."""
        self._keys = keys
        self._dtype = PRECISIONS[precision]

    def numbers(self, loss, shared: Shared):
        """The sum of the losses, and of the signals."""
        sums = self._sum(tf.concat([[loss], shared.signals], 0), shared.group_size, 0)
        return sums[0], sums[1:]

    def gradients(self, parameters, gradients, shared: Shared):
        """The sum over all workers of each parameter's gradient, a list of one term, as
        `AdamW.apply` takes it."""
        found = [None] * len(parameters)
        for bucket in _buckets(parameters):
            dense = [_dense(gradients[place]) for place in bucket]
            flat = tf.concat([tf.cast(tf.reshape(d, [-1]), self._dtype) for d in dense], 0)
            sparse = any(parameters[place].sparse for place in bucket)
            rows = tf.size(shared.token_rows) if sparse else 0
            sums = self._sum(flat, shared.group_size, rows)
            sums = tf.split(sums, [tf.size(d) for d in dense], num=len(dense))
            for place, own, summed in zip(bucket, dense, sums, strict=True):
                found[place] = [_like(gradients[place], tf.reshape(summed, tf.shape(own)), own)]
        return found

    def _sum(self, flat, group_size, rows):
        key = next(self._keys)
        assert key < _KEYS, key
        return tf.raw_ops.CollectiveReduceV2(
            input=flat,
            group_size=group_size,
            group_key=_GROUP_KEY,
            instance_key=key + _KEYS * rows,
            ordering_token=[],
            merge_op="Add",
            final_op="Id",
            communication_hint="auto",
        )


def _buckets(parameters):
    """The places of the parameters in groups, in the order in which backpropagation gives their
    gradients. A size that is not known, that of the head, counts as 0."""
    buckets, size = [[]], 0
    for place in reversed(range(len(parameters))):
        elements = (
            0 if parameters[place].sparse else parameters[place].variable.shape.num_elements()
        )
        if size + (elements or 0) > _BUCKET_ELEMENTS and buckets[-1]:
            buckets.append([])
            size = 0
        buckets[-1].append(place)
        size += elements or 0
    return buckets


def _dense(terms):
    return terms[0].values if isinstance(terms[0], tf.IndexedSlices) else total(terms)


def _like(terms, summed, own):
    """A summed gradient in the form of a worker's own."""
    summed = tf.ensure_shape(summed, own.shape)
    if isinstance(terms[0], tf.IndexedSlices):
        values = tf.cast(summed, tf.float32)
        return tf.IndexedSlices(values, terms[0].indices, terms[0].dense_shape)
    return summed


def gradients(model: TrainingModel, inputs, batch, token_rows, dtype, halves):
    """As `TrainingModel.gradients`, with rows of embeddings that are the same on every worker."""
    rows = {model.encoder.embeddings.word_embeddings.ref(): token_rows}
    return model.gradients(inputs, batch, dtype, halves, rows=rows)


def train(model: TrainingModel, loss, found, shared: Shared, update: Update, reduction):
    """`train_<p>…` from a worker's own loss and gradients."""
    sum_of_losses, signals = reduction.numbers(loss, shared)
    sums = reduction.gradients(model.parameters(), found, shared)
    return {"own_loss": loss, "signals": signals, **model.train(sum_of_losses, sums, update)}


def apply(model: TrainingModel, loss, shared: Shared, update: Update, reduction):
    """`apply_…`: `train` with the accumulated gradients, and `loss` the sum of their losses."""
    parameters = model.parameters()
    word_embeddings = model.encoder.embeddings.word_embeddings
    found = model.optimizer.accumulated_gradients(parameters)
    for place, parameter in enumerate(parameters):
        if parameter.sparse:
            (table,) = found[place]
            is_word = parameter.variable is word_embeddings
            rows = shared.token_rows if is_word else tf.range(tf.shape(table)[0])
            shape = tf.constant(parameter.variable.shape.as_list())
            found[place] = [tf.IndexedSlices(tf.gather(table, rows), rows, shape)]
    outputs = train(model, loss, found, shared, update, reduction)
    model.optimizer.empty_accumulators()
    return outputs


def checksum(model: TrainingModel):
    """`checksum`: for each variable the sum of its values' bits as int32, which wraps around."""
    optimizer = model.optimizer
    variables = [parameter.variable for parameter in model.parameters()]
    variables += [*optimizer.m, *optimizer.v, optimizer.scales]
    variables += optimizer.lazy_rows.variables if optimizer.lazy_rows else ()
    bits = [tf.reduce_sum(tf.bitcast(variable.read_value(), tf.int32)) for variable in variables]
    return {"sums": tf.stack(bits)}
