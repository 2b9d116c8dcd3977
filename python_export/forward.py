"""One forward pass over a batch: how variables are read, and the gradients of what was read."""

from functools import partial
from typing import NamedTuple

import tensorflow as tf

from .attention import TrainingOps
from .elementwise import ElementwiseOps
from .plain import InferenceOps

# An encoder whose kernels have at least so many elements adds up the float32 gradients of a batch's
# parts as soon as they are known. The optimiser would do it without another pass over memory (some
# 5 % of a step of BERT-large), but until then each part's gradients take as much memory as the
# weights.
MERGED_ELEMENTS = 150_000_000


class Inputs(NamedTuple):
    """One batch, int32 `[batch, length]` each."""

    input_ids: tf.Tensor
    attention_mask: tf.Tensor
    token_type_ids: tf.Tensor


class Parameter(NamedTuple):
    """A variable as the optimiser sees it.

    `layer` is its index in `layer_scale`; `decays` is false for biases and layer normalisation;
    `sparse` is true where a batch reads only some rows.
    """

    variable: tf.Variable
    layer: int
    decays: bool = True
    sparse: bool = False


class ForwardPass:
    """What a layer needs to know of the forward pass that it is called in.

    Every variable is read, and cast, at most once in a pass.

    Args:
        dtype: of the matrix products, float32 or bfloat16.
        dropout: a `fused.Dropout`, or None in inference.
        tape: the gradient tape, in training. What the pass reads is then watched, and `gradients`
            gives the gradient of each variable.
        rounded: a `rounded.Rounded`; variables that it holds are read from it, already cast.
    """

    def __init__(self, dtype=tf.float32, dropout=None, tape=None, rounded=None):
        self.dtype = dtype
        self.dropout = dropout
        self.ops: ElementwiseOps = TrainingOps() if tape else InferenceOps()
        self._tape = tape
        # By a variable's reference: its value, what each part of the batch reads of a kernel, and
        # the rows that were gathered of a table.
        self._values = rounded.read() if rounded else {}
        self._kernels = {}
        self._rows = {}
        self._part = 0

    def begin_part(self):
        """Begins the next part of the batch. Each part has kernel gradients of its own, which the
        optimiser adds up: it passes over that memory anyway. Large encoders are an exception
        (`MERGED_ELEMENTS`)."""
        self._part += 1

    def kernel(self, variable):
        """A weight for a matrix product, in the pass's dtype."""
        value = self._read(variable, self.dtype)
        if not self._tape:
            return value
        parts = self._kernels.setdefault(variable.ref(), [])
        if len(parts) <= self._part:
            parts.append(self._watch(tf.identity(value)))
        return parts[self._part]

    def vector(self, variable):
        """A bias, a scale or a small table: float32, or rounded where `rounded` holds it."""
        return self._watch(self._read(variable, tf.float32))

    def rows(self, variable, ids):
        """The rows `ids` of a table, float32."""
        rows = self._watch(tf.gather(variable, ids))
        self._rows.setdefault(variable.ref(), []).append((ids, rows))
        return rows

    def gradients(self, loss, parameters, sparse=True, rows=None):
        """The gradient of `loss` for each parameter, as a list of terms to add up: one for each
        part of the batch, or a single one.

        The terms have the dtype in which the parameter was read. A sparse parameter has one term,
        `tf.IndexedSlices` in which no row occurs twice; without `sparse` it is a whole table.
        `rows` says which rows those are, not what the batch reads: it has the ascending ids of a
        table, by its variable's reference, and of other tables they are all.
        """
        sources = [self._sources(parameter.variable.ref()) for parameter in parameters]
        found = self._tape.gradient(loss, sources, unconnected_gradients="zero")
        if rows is not None:
            of_rows = partial(self._given_rows, rows)
        else:
            of_rows = self._unique_rows if sparse else self._table
        add_up = self._part and self.dtype == tf.float32 and _is_large(parameters)

        def terms_of(parameter, terms):
            if parameter.sparse:
                return [of_rows(parameter.variable, terms)]
            return [tf.add_n(terms)] if add_up else terms

        return [terms_of(*pair) for pair in zip(parameters, found, strict=True)]

    def _watch(self, tensor):
        if self._tape:
            self._tape.watch(tensor)
        return tensor

    def _read(self, variable, dtype):
        key = variable.ref()
        if key not in self._values:
            self._values[key] = tf.cast(self._value(variable), dtype)
        return self._values[key]

    def _value(self, variable):
        # A variable captured by a function is read without a static shape. TensorFlow's graph
        # optimiser, which fuses the operations of `InferenceOps`, needs the shape.
        value = variable.read_value()
        return value if self._tape else tf.ensure_shape(value, variable.shape)

    def _sources(self, key):
        """The tensors that were read of a variable: rows first, then the whole of it."""
        rows = [rows for _, rows in self._rows.get(key, ())]
        return rows + self._kernels.get(key, []) or [self._values[key]]

    def _unique_rows(self, variable, gradients):
        """The sum of the gradients of gathered rows, as rows that occur once. Of a table that was
        also read as a kernel these are all rows."""
        if variable.ref() in self._kernels:
            ids = tf.range(variable.shape[0])
            shape = tf.constant(variable.shape.as_list())
            return tf.IndexedSlices(self._table(variable, gradients), ids, shape)
        ids, rows = self._gathered(variable, gradients)
        ids, positions = tf.unique(ids)
        sums = tf.math.unsorted_segment_sum(rows, positions, tf.size(ids))
        return tf.IndexedSlices(sums, ids, tf.constant(variable.shape.as_list()))

    def _given_rows(self, given, variable, gradients):
        """The sum of the gradients of gathered rows, as the rows that are given of a table, which
        include them, or as all."""
        wanted = given.get(variable.ref())
        if wanted is None:
            wanted = tf.range(variable.shape[0])
            sums = self._table(variable, gradients)
        else:
            ids, rows = self._gathered(variable, gradients)
            positions = tf.searchsorted(wanted, ids)
            sums = tf.math.unsorted_segment_sum(rows, positions, tf.size(wanted))
        return tf.IndexedSlices(sums, wanted, tf.constant(variable.shape.as_list()))

    def _table(self, variable, gradients):
        """The sum of the gradients of what was read of a table, in its shape."""
        gathered = len(self._rows[variable.ref()])
        ids, rows = self._gathered(variable, gradients[:gathered])
        tables = [tf.cast(gradient, tf.float32) for gradient in gradients[gathered:]]
        return tf.add_n([tf.math.unsorted_segment_sum(rows, ids, variable.shape[0]), *tables])

    def _gathered(self, variable, gradients):
        """The ids of all rows that were gathered of a variable, and their gradients."""
        ids = tf.concat([tf.reshape(ids, [-1]) for ids, _ in self._rows[variable.ref()]], 0)
        rows = [tf.reshape(gradient, [-1, variable.shape[-1]]) for gradient in gradients]
        return ids, tf.concat(rows, 0)


def _is_large(parameters):
    kernels = (p.variable.shape for p in parameters if not p.sparse)
    return sum(shape.num_elements() or 0 for shape in kernels) >= MERGED_ELEMENTS
