"""The two modules that are exported: the one to train, with the optimiser, and the one to serve."""

import tensorflow as tf

from .encoder import Encoder
from .forward import ForwardPass, Inputs
from .fused import Dropout
from .heads import Head
from .optimizer import AdamW, Update
from .rounded import Rounded


class Model(tf.Module):
    """An encoder and a head. The object paths `encoder` and `head` are the checkpoint's keys."""

    def __init__(self, encoder: Encoder, head: Head):
        super().__init__()
        self.encoder = encoder
        self.head = head

    def logits(self, inputs: Inputs, forward: ForwardPass):
        """The head's logits, float32."""
        return self.head.logits(self.encoder, forward, inputs)


class ServedModel(Model):
    """A model that predicts; its bf16 weights are computed when it is loaded."""

    def __init__(self, encoder: Encoder, head: Head):
        super().__init__(encoder, head)
        self._rounded = Rounded(encoder.bf16_variables(), tf.bfloat16)

    def predict(self, inputs: Inputs, dtype, labels=None):
        """`predict_<p>`; `labels` for a head that reads them."""
        rounded = self._rounded if dtype == self._rounded.dtype else None
        logits = self.logits(inputs, ForwardPass(dtype, rounded=rounded))
        return {"logits": self.head.reported(logits, labels, inputs)}

    def serve(self, inputs: Inputs):
        """`serving_default`: float32."""
        logits = self.logits(inputs, ForwardPass())
        return {"logits": logits, **self.head.serve(logits)}


class TrainingModel(Model):
    """A model with its optimiser."""

    def __init__(self, encoder: Encoder, head: Head):
        super().__init__(encoder, head)
        parameters = self.parameters()
        self.optimizer = AdamW(len(parameters), self._lazy_table(parameters))

    def _lazy_table(self, parameters):
        """The index of the word embeddings among the parameters. None if the head multiplies by
        all of them, since every row then has a gradient in every step."""
        if self.head.reads_word_embeddings:
            return None
        table = self.encoder.embeddings.word_embeddings
        return next(i for i, p in enumerate(parameters) if p.variable is table)

    def parameters(self):
        """Every trained variable."""
        top = self.encoder.config.num_hidden_layers + 1
        return self.encoder.parameters() + self.head.parameters(top)

    def initialise(self, num_labels, seed):
        """`init`."""
        self.head.initialise(num_labels, seed, self.encoder.config.initializer_range)
        self.optimizer.reset(self.parameters())
        return {"num_labels": tf.shape(self.head.bias.read_value())[0]}

    def evaluate(self, inputs: Inputs, labels, sample_weight, dtype):
        """`eval_<p>`."""
        logits = self.logits(inputs, ForwardPass(dtype))
        loss = self.head.element_loss(logits, labels, inputs) * sample_weight
        return {"logits": self.head.reported(logits, labels, inputs), "loss": loss}

    def train(self, loss, gradients, update: Update):
        """`train_<p>` and `train_<p>_halves`, from what `gradients` returns."""
        return {
            "loss": loss,
            **self._updated(self.optimizer.apply(self.parameters(), gradients, update)),
        }

    def accumulate(self, loss, gradients, first):
        """`accumulate_<p>` and `accumulate_<p>_halves`, from what `gradients` returns."""
        self.optimizer.accumulate(self.parameters(), gradients, first)
        return {"loss": loss}

    def apply(self, update: Update):
        """`apply`."""
        return self._updated(self.optimizer.apply_accumulated(self.parameters(), update))

    def flush(self):
        """`flush`."""
        self.optimizer.flush(self.parameters())
        return {"step": self.optimizer.step.read_value()}

    def _updated(self, norm):
        return {"grad_norm": norm, "step": self.optimizer.step.read_value()}

    def gradients(
        self, inputs: Inputs, batch: dict, dtype, halves=False, dropout=None, sparse=True, rows=None
    ):
        """The loss of a batch and each parameter's gradient.

        With `halves` the batch is computed as two halves of its rows that do not wait for each
        other. `dropout` takes the place of a `Dropout` of the batch's rate and seed. `sparse` and
        `rows` are those of `ForwardPass.gradients`; without `sparse` all rows of the tables must be
        up to date.
        """
        if sparse:
            self._catch_up(inputs.input_ids, rows or {})
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            dropout = dropout or Dropout(batch["dropout"], batch["seed"])
            forward = ForwardPass(dtype, dropout=dropout, tape=tape)
            compute = self._logits_by_halves if halves else self.logits
            logits = compute(inputs, forward)
            smoothing = batch.get("label_smoothing")
            elements = self.head.element_loss(logits, batch["labels"], inputs, smoothing)
            loss = tf.reduce_sum(elements * batch["sample_weight"]) / batch["weight_sum"]
        return loss, forward.gradients(loss, self.parameters(), sparse, rows)

    def _catch_up(self, input_ids, rows):
        """Brings the rows that a batch reads of the word embeddings up to date, or those that
        `rows` names."""
        given = rows.get(self.encoder.embeddings.word_embeddings.ref())
        if given is None:
            given = tf.unique(tf.reshape(input_ids, [-1])).y
        self.optimizer.catch_up(self.parameters(), given)

    def _logits_by_halves(self, inputs, forward):
        rows = tf.shape(inputs.input_ids)[0]
        second_rows = rows // 2
        # A batch of one row has an empty second half, which not every kernel accepts: both halves
        # are then that row, and the second's logits are left out.
        begin = rows - tf.maximum(second_rows, 1)
        first = self.logits(type(inputs)(*(x[: rows - second_rows] for x in inputs)), forward)
        forward.begin_part()
        second = self.logits(type(inputs)(*(x[begin:] for x in inputs)), forward)
        return tf.concat([first, second[tf.shape(second)[0] - second_rows :]], 0)
