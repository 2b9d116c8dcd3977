"""The task heads: from the encoder's output to logits, and the loss of one element.

Logits are float32 and the head's kernel is multiplied in float32 whatever the pass's dtype: the
kernel is small, and the last rounding before the loss counts most.
"""

import tensorflow as tf

from .activations import plain
from .elementwise import MASKED
from .encoder import Encoder, dense_of, norm_of
from .forward import ForwardPass, Inputs, Parameter
from .masked import TOP, MaskedInputs, reported


class Head(tf.Module):
    """A dense layer with `num_labels` outputs, its loss, and what it serves."""

    name_in_contract: str
    # What the name of transformers' class ends with, what it calls the head's dense layer, and the
    # `problem_type` of its config.json.
    hugging_face_class: str
    hugging_face_name = "classifier"
    problem_type: str | None = None
    # Whether the head reads the encoder's pooled first token, or every token.
    pooled = True
    # The only number of labels that `init` takes; None takes any.
    fixed_labels: int | None = 1
    # Whether the loss has label smoothing.
    smooths_labels = False
    # Whether the logits are products with all of the word embeddings.
    reads_word_embeddings = False
    # What it reads of a batch.
    inputs_type: type = Inputs
    # Whether `predict` needs the labels too, for `reported`.
    predict_reads_labels = False
    # Shapes of the inputs, the labels and the sample weights; None is an open dimension.
    inputs_shape: tuple = (None, None)
    labels_shape: tuple = (None,)
    labels_dtype = tf.int32
    weights_shape: tuple = (None,)

    def __init__(self, encoder: Encoder, kept=None):
        """`kept` has the `kernel` and the `bias` of a head that is trained already, numpy arrays;
        without it they are 0 until `initialise`."""
        super().__init__()
        width, labels = encoder.config.hidden_size, self.fixed_labels
        self._kept_labels = None if kept is None else len(kept.bias)
        kernel = tf.zeros([width, labels or 1]) if kept is None else kept.kernel
        bias = tf.zeros([labels or 1]) if kept is None else kept.bias
        self.kernel = tf.Variable(kernel, shape=tf.TensorShape([width, labels]))
        self.bias = tf.Variable(bias, shape=tf.TensorShape([labels]))

    @classmethod
    def of(cls, encoder: Encoder, family, weights, kept=None):
        """The head on an encoder of a family; `weights` are the checkpoint's, of which most heads
        take none. `kept` is that of `__init__`."""
        return cls(encoder, kept)

    @classmethod
    def hugging_face_weights(cls, name: str) -> list[dict]:
        """The head's rows in the table of weights (`python_export.hugging_face`), where
        transformers calls it `name`."""
        return _dense_rows(name, "head")

    def initialise(self, num_labels, seed, deviation):
        """Draws the kernel from a normal distribution and sets the bias to 0; a kept head stays as
        it is.

        Args:
            num_labels: int32 `[]`.
            seed: int32 `[2]`.
            deviation: the standard deviation.
        """
        wanted = self.fixed_labels or self._kept_labels
        valid = tf.equal(num_labels, wanted) if wanted else tf.greater(num_labels, 0)
        message = (
            f"`num_labels` of head `{self.name_in_contract}` must be {wanted or 'at least 1'}, not"
        )
        check = tf.debugging.Assert(valid, [message, num_labels])
        if self._kept_labels is not None:
            return
        with tf.control_dependencies([check]):
            shape = tf.stack([self.kernel.shape[0], num_labels])
            kernel = tf.random.stateless_normal(shape, seed, stddev=deviation)
            bias = tf.zeros([num_labels])
        if wanted:
            kernel, bias = tf.ensure_shape(kernel, [None, wanted]), tf.ensure_shape(bias, [wanted])
        self.kernel.assign(kernel)
        self.bias.assign(bias)

    def logits(self, encoder: Encoder, forward: ForwardPass, inputs: Inputs):
        """The head's output in the shape of the contract."""
        raise NotImplementedError

    def element_loss(self, logits, labels, inputs: Inputs, label_smoothing=None):
        """The unweighted loss of each element, in the shape of the sample weights."""
        raise NotImplementedError

    def reported(self, logits, labels, inputs: Inputs):
        """What `eval` and `predict` return as `logits`."""
        return logits

    def serve(self, logits):
        """The outputs of `serving_default` beside the logits, by name."""
        raise NotImplementedError

    def parameters(self, layer):
        """Kernel and bias as `Parameter`s of `layer`."""
        return [Parameter(self.kernel, layer), Parameter(self.bias, layer, decays=False)]

    def _project(self, forward: ForwardPass, x):
        return tf.matmul(x, forward.vector(self.kernel)) + forward.vector(self.bias)

    def _pooled_logits(self, encoder, forward, inputs):
        pooled = encoder.pooled(forward, inputs)
        return self._project(forward, forward.ops.drop(pooled, forward.dropout))


def _dense_rows(name, variable):
    """The rows of a dense layer in the table of weights."""
    return [
        {"name": f"{name}.weight", "variable": f"{variable}/kernel", "transposed": True},
        {"name": f"{name}.bias", "variable": f"{variable}/bias"},
    ]


def _cross_entropy(logits, labels, label_smoothing):
    """Soft-max cross entropy over the last axis, the target mixed with the uniform distribution
    (Szegedy et al., 2016), as PyTorch's `CrossEntropyLoss(label_smoothing=…)`."""
    nll = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    if label_smoothing is None:
        return nll
    uniform = -tf.reduce_mean(tf.nn.log_softmax(logits), -1)
    return (1.0 - label_smoothing) * nll + label_smoothing * uniform


class Classify(Head):
    """One label of several for a sentence or a pair."""

    name_in_contract = "classify"
    hugging_face_class = "ForSequenceClassification"
    problem_type = "single_label_classification"
    fixed_labels = None
    smooths_labels = True

    def logits(self, encoder, forward, inputs):
        return self._pooled_logits(encoder, forward, inputs)

    def element_loss(self, logits, labels, inputs, label_smoothing=None):
        return _cross_entropy(logits, labels, label_smoothing)

    def serve(self, logits):
        return {"probabilities": tf.nn.softmax(logits)}


class Regress(Head):
    """A number for a sentence or a pair."""

    name_in_contract = "regress"
    hugging_face_class = "ForSequenceClassification"
    problem_type = "regression"
    labels_dtype = tf.float32

    def logits(self, encoder, forward, inputs):
        return self._pooled_logits(encoder, forward, inputs)

    def element_loss(self, logits, labels, inputs, label_smoothing=None):
        return tf.square(logits[:, 0] - labels)

    def serve(self, logits):
        return {"score": logits[:, 0]}


class Span(Head):
    """The first and the last token of an answer."""

    name_in_contract = "span"
    hugging_face_class = "ForQuestionAnswering"
    hugging_face_name = "qa_outputs"
    pooled = False
    fixed_labels = 2
    labels_shape = (None, 2)

    def logits(self, encoder, forward, inputs):
        tokens = tf.cast(encoder.tokens(forward, inputs), tf.float32)
        mask = inputs.attention_mask[..., None]
        logits = tf.reshape(self._project(forward, tokens), tf.concat([tf.shape(mask)[:2], [2]], 0))
        return tf.where(mask > 0, logits, MASKED)

    def element_loss(self, logits, labels, inputs, label_smoothing=None):
        start, end = (_cross_entropy(logits[..., i], labels[:, i], None) for i in range(2))
        return (start + end) / 2.0

    def serve(self, logits):
        return {"start_logits": logits[..., 0], "end_logits": logits[..., 1]}


class Tag(Head):
    """One label of several for each token."""

    name_in_contract = "tag"
    hugging_face_class = "ForTokenClassification"
    pooled = False
    fixed_labels = None
    smooths_labels = True
    labels_shape = (None, None)
    weights_shape = (None, None)

    def logits(self, encoder, forward, inputs):
        tokens = tf.cast(encoder.tokens(forward, inputs), tf.float32)
        tokens = forward.ops.drop(tokens, forward.dropout)
        logits = self._project(forward, tokens)
        shape = tf.concat([tf.shape(inputs.input_ids), tf.shape(logits)[-1:]], 0)
        return tf.reshape(logits, shape)

    def element_loss(self, logits, labels, inputs, label_smoothing=None):
        return _cross_entropy(logits, labels, label_smoothing)

    def serve(self, logits):
        return {"probabilities": tf.nn.softmax(logits)}


class Choice(Head):
    """One of several continuations: each is a sequence of its own and gets one score."""

    name_in_contract = "choice"
    hugging_face_class = "ForMultipleChoice"
    smooths_labels = True
    inputs_shape = (None, None, None)

    def logits(self, encoder, forward, inputs):
        shape = tf.shape(inputs.input_ids)
        rows = Inputs(*(tf.reshape(x, tf.stack([-1, shape[2]])) for x in inputs))
        return tf.reshape(self._pooled_logits(encoder, forward, rows), shape[:2])

    def element_loss(self, logits, labels, inputs, label_smoothing=None):
        return _cross_entropy(logits, labels, label_smoothing)

    def serve(self, logits):
        return {"probabilities": tf.nn.softmax(logits)}


class Multilabel(Head):
    """Any number of labels for a sentence or a pair: each label is there or not."""

    name_in_contract = "multilabel"
    hugging_face_class = "ForSequenceClassification"
    problem_type = "multi_label_classification"
    fixed_labels = None
    smooths_labels = True
    labels_shape = (None, None)
    labels_dtype = tf.float32
    weights_shape = (None, None)

    def logits(self, encoder, forward, inputs):
        return self._pooled_logits(encoder, forward, inputs)

    def element_loss(self, logits, labels, inputs, label_smoothing=None):
        """Sigmoid cross entropy, as PyTorch's `BCEWithLogitsLoss`; smoothing mixes a label's target
        with 1/2."""
        if label_smoothing is not None:
            labels = (1.0 - label_smoothing) * labels + label_smoothing / 2.0
        return tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)

    def serve(self, logits):
        return {"probabilities": tf.sigmoid(logits)}


class Masked(Head):
    """The entries of the vocabulary at hidden positions: a dense layer, an activation and a layer
    normalisation, unless the encoder ends with those, then a product with the word embeddings,
    which head and encoder share."""

    name_in_contract = "masked"
    hugging_face_class = "ForMaskedLM"
    hugging_face_name = "cls.predictions"
    pooled = False
    inputs_type = MaskedInputs
    labels_shape = (None, None)
    weights_shape = (None, None)
    predict_reads_labels = True
    reads_word_embeddings = True

    def __init__(self, encoder: Encoder, weights, activation):
        """`weights` are numpy arrays under BertForMaskedLM's names, as of `masked.draw_head`;
        `activation` is a name of `config.ACTIVATIONS`, or None for a head without a layer of its
        own before the product."""
        tf.Module.__init__(self)
        self.transform = self.norm = None
        if activation is not None:
            self.transform = dense_of(weights, "cls.predictions.transform.dense")
            self.norm = norm_of(weights, "cls.predictions.transform.LayerNorm")
        self.bias = tf.Variable(weights["cls.predictions.bias"])
        self._epsilon = encoder.config.layer_norm_eps
        self._activation = activation

    @classmethod
    def of(cls, encoder, family, weights, kept=None):
        kind = family.masked_head
        activation = kind.activation or encoder.config.hidden_act
        return cls(encoder, weights, None if kind.dense is None else activation)

    @classmethod
    def hugging_face_weights(cls, name):
        return [
            *_dense_rows(f"{name}.transform.dense", "head/transform"),
            {"name": f"{name}.transform.LayerNorm.weight", "variable": "head/norm/gamma"},
            {"name": f"{name}.transform.LayerNorm.bias", "variable": "head/norm/beta"},
            {"name": f"{name}.bias", "variable": "head/bias"},
        ]

    def initialise(self, num_labels, seed, deviation):
        """Leaves the head as the export has it: it is trained further, not anew."""

    def logits(self, encoder, forward, inputs):
        tokens = encoder.tokens(forward, inputs)
        positions = inputs.masked_positions
        rows, length = tf.unstack(tf.shape(inputs.input_ids))
        flat = tf.reshape(positions + tf.range(rows)[:, None] * length, [-1])
        logits = self._decode(encoder, forward, tf.gather(tokens, flat))
        return tf.reshape(logits, tf.concat([tf.shape(positions), tf.shape(logits)[-1:]], 0))

    def _decode(self, encoder, forward, tokens):
        """The logits of hidden states, float32 `[positions, vocab_size]`."""
        states = tokens if self.transform is None else self._transformed(forward, tokens)
        table = forward.kernel(encoder.embeddings.word_embeddings)
        logits = tf.matmul(tf.cast(states, table.dtype), table, transpose_b=True)
        return tf.cast(logits, tf.float32) + forward.vector(self.bias)

    def _transformed(self, forward, tokens):
        product = tf.cast(self.transform.product(forward, tokens), tf.float32)
        states = plain(self._activation, product + forward.vector(self.transform.bias))
        mean, variance = tf.nn.moments(states, -1, keepdims=True)
        gamma, beta = self.norm.read(forward)
        return (states - mean) * tf.math.rsqrt(variance + self._epsilon) * gamma + beta

    def element_loss(self, logits, labels, inputs, label_smoothing=None):
        return _cross_entropy(logits, labels, None)

    def reported(self, logits, labels, inputs):
        return reported(logits, labels, inputs.masked_positions)

    def serve(self, logits):
        probabilities, ids = tf.math.top_k(tf.nn.softmax(logits), TOP)
        return {"probabilities": probabilities, "token_ids": ids}

    def parameters(self, layer):
        own = [] if self.transform is None else [self.transform, self.norm]
        found = [parameter for part in own for parameter in part.parameters(layer)]
        return [*found, Parameter(self.bias, layer, decays=False)]


HEADS = {
    head.name_in_contract: head
    for head in (Classify, Regress, Span, Tag, Choice, Multilabel, Masked)
}
