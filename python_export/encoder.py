"""The transformer encoder of BERT (Devlin et al., 2018) as a plain `tf.Module`.

Kernels are `[inputs, outputs]`. Query, key and value are one kernel, since they are one matrix
product. Between the attentions hidden states are `[batch * length, hidden]`.
"""

import tensorflow as tf

from . import activations
from .config import EncoderConfig
from .elementwise import MASKED, Hidden
from .forward import ForwardPass, Inputs, Parameter


class Dense(tf.Module):
    """`x @ kernel + bias`. The operation that follows the product adds the bias."""

    def __init__(self, kernel, bias):
        super().__init__()
        self.kernel = tf.Variable(kernel)
        self.bias = tf.Variable(bias)

    def product(self, forward: ForwardPass, x):
        """`x @ kernel`."""
        return tf.matmul(x, forward.kernel(self.kernel))

    def parameters(self, layer):
        """The kernel and the bias as `Parameter`s of `layer`."""
        return [Parameter(self.kernel, layer), Parameter(self.bias, layer, decays=False)]


class LayerNorm(tf.Module):
    """The scale and the offset of a layer normalisation."""

    def __init__(self, gamma, beta):
        super().__init__()
        self.gamma = tf.Variable(gamma)
        self.beta = tf.Variable(beta)

    def read(self, forward: ForwardPass):
        """Scale and offset, `[H]` each."""
        return forward.vector(self.gamma), forward.vector(self.beta)

    def parameters(self, layer):
        """Scale and offset as `Parameter`s of `layer`."""
        return [Parameter(v, layer, decays=False) for v in (self.gamma, self.beta)]


class Embeddings(tf.Module):
    """Word, position and segment embeddings, summed and normalised, and projected to the layers'
    width where theirs is another.

    The first token of a sequence has the row `first_position` of the position table.
    """

    def __init__(self, config: EncoderConfig, weights, first_position: int = 0):
        """`weights` are numpy arrays under Hugging Face's names, without a `bert.` prefix. Without
        a table of segments the encoder has none."""
        super().__init__()
        self._config = config
        self._first_position = first_position
        tables = weights_under(weights, "embeddings.")
        self.word_embeddings = tf.Variable(tables["word_embeddings.weight"])
        self.position_embeddings = tf.Variable(tables["position_embeddings.weight"])
        segments = tables.get("token_type_embeddings.weight")
        self.token_type_embeddings = None if segments is None else tf.Variable(segments)
        self.norm = norm_of(tables, "LayerNorm")
        is_wide = config.embedding_size == config.hidden_size
        self.projection = None if is_wide else dense_of(weights, "embeddings_project")

    def __call__(self, forward: ForwardPass, inputs: Inputs) -> Hidden:
        """The embeddings of a batch, `[batch * length, hidden]`."""
        length = tf.shape(inputs.input_ids)[1]
        segments = self.token_type_embeddings
        hidden = forward.ops.embed(
            forward.rows(self.word_embeddings, inputs.input_ids),
            forward.rows(self.position_embeddings, self._positions(length)),
            None if segments is None else forward.vector(segments),
            inputs.token_type_ids,
            *self.norm.read(forward),
            self._config.layer_norm_eps,
            forward.dropout,
            forward.dtype,
        )
        return hidden if self.projection is None else self._projected(forward, hidden)

    def _projected(self, forward, hidden):
        product = self.projection.product(forward, hidden.states)
        bias = forward.vector(self.projection.bias)
        projected = tf.nn.bias_add(product, tf.cast(bias, product.dtype))
        return Hidden(projected, projected)

    def _positions(self, length):
        first = self._first_position
        return tf.range(first, first + length) if first else tf.range(length)

    def parameters(self, layer):
        """Every variable as a `Parameter` of `layer`."""
        segments, projection = self.token_type_embeddings, self.projection
        return [
            Parameter(self.word_embeddings, layer, sparse=True),
            Parameter(self.position_embeddings, layer, sparse=True),
            *([] if segments is None else [Parameter(segments, layer)]),
            *self.norm.parameters(layer),
            *([] if projection is None else projection.parameters(layer)),
        ]


class Layer(tf.Module):
    """Self-attention and feed-forward network, each with residual sum, dropout and layer
    normalisation."""

    def __init__(self, config: EncoderConfig, weights):
        """`weights` are numpy arrays under Hugging Face's names, `encoder.layer.N.` left out."""
        super().__init__()
        self._config = config
        self.query_key_value = Dense(
            tf.concat([weights[f"attention.self.{n}.weight"].T for n in _QKV], 1),
            tf.concat([weights[f"attention.self.{n}.bias"] for n in _QKV], 0),
        )
        self.attention_output = dense_of(weights, "attention.output.dense")
        self.attention_norm = norm_of(weights, "attention.output.LayerNorm")
        self.intermediate = dense_of(weights, "intermediate.dense")
        self.output = dense_of(weights, "output.dense")
        self.output_norm = norm_of(weights, "output.LayerNorm")

    def __call__(self, forward: ForwardPass, hidden: Hidden, offset, first_only=False) -> Hidden:
        """The layer's output for its input, `[batch * length, hidden]` both.

        With `first_only` the output is that of the first tokens alone, `[batch, hidden]`: they
        need every token's key and value, but no other token's query, output or feed-forward
        network.

        `offset` is added to the attention scores: `[batch, 1, 1, length]`.
        """
        heads = self._first_heads if first_only else self._heads
        query, key, value, hidden = heads(forward, hidden, offset)
        context = forward.ops.attend(
            *(query, key, value, offset, hidden),
            self._config.head_size**-0.5,
            forward.dropout,
            first_only,
        )
        hidden = self._add_norm(
            forward, self.attention_output, self.attention_norm, context, hidden
        )
        inner = forward.ops.activate(
            self.intermediate.product(forward, hidden.states),
            forward.vector(self.intermediate.bias),
            self._config.hidden_act,
        )
        return self._add_norm(forward, self.output, self.output_norm, inner, hidden)

    def _heads(self, forward, hidden, offset):
        """Query, key and value of every token, and the states that the result is added to."""
        product = self.query_key_value.product(forward, hidden.states)
        bias = forward.vector(self.query_key_value.bias)
        heads = self._config.num_attention_heads
        return *forward.ops.split_heads(product, bias, 3, heads, offset), hidden

    def _first_heads(self, forward, hidden, offset):
        """As `_heads`, with the queries and the states of the first tokens alone."""
        first = hidden.first_tokens(tf.shape(offset)[0])
        width, heads = self._config.hidden_size, self._config.num_attention_heads
        kernels = tf.split(forward.kernel(self.query_key_value.kernel), [width, 2 * width], -1)
        biases = tf.split(forward.vector(self.query_key_value.bias), [width, 2 * width], -1)
        query = tf.matmul(first.states, kernels[0])
        key_value = tf.matmul(hidden.states, kernels[1])
        return (
            *forward.ops.split_heads(query, biases[0], 1, heads, offset),
            *forward.ops.split_heads(key_value, biases[1], 2, heads, offset),
            first,
        )

    def _add_norm(self, forward, dense, norm, x, hidden):
        """`LayerNorm(hidden + dropout(dense(x)))`."""
        product = dense.product(forward, x)
        return forward.ops.add_norm(
            product,
            forward.vector(dense.bias),
            hidden,
            *norm.read(forward),
            self._config.layer_norm_eps,
            forward.dropout,
        )

    def parameters(self, layer):
        """Every variable as a `Parameter` of `layer`."""
        parts = (
            self.query_key_value,
            self.attention_output,
            self.attention_norm,
            self.intermediate,
            self.output,
            self.output_norm,
        )
        return [parameter for part in parts for parameter in part.parameters(layer)]


_QKV = ("query", "key", "value")


def dense_of(weights, name) -> Dense:
    """The dense layer under a name of Hugging Face's, whose kernels are `[outputs, inputs]`."""
    return Dense(weights[f"{name}.weight"].T, weights[f"{name}.bias"])


def norm_of(weights, name) -> LayerNorm:
    """The layer normalisation under a name of Hugging Face's."""
    return LayerNorm(weights[f"{name}.weight"], weights[f"{name}.bias"])


def weights_under(weights, prefix) -> dict:
    """The weights whose names begin with `prefix`, without it."""
    names = [name for name in weights if name.startswith(prefix)]
    return {name.removeprefix(prefix): weights[name] for name in names}


class Pooler(tf.Module):
    """A dense layer over the first token, with what a family does before and after it.

    `activation` is one of `activations.pooled`; with `drops_input` its input has dropout.
    """

    def __init__(self, dense: Dense, activation: str = "tanh", drops_input: bool = False):
        super().__init__()
        # Checkpoints name the variables `encoder/pooler/kernel` and `encoder/pooler/bias`.
        self.kernel, self.bias = dense.kernel, dense.bias
        self._activation, self.drops_input = activation, drops_input

    def __call__(self, forward: ForwardPass, first):
        """Of the first tokens `[batch, hidden]`, float32 `[batch, hidden]`."""
        if self.drops_input:
            first = forward.ops.drop(first, forward.dropout)
        product = tf.cast(tf.matmul(first, forward.kernel(self.kernel)), tf.float32)
        return activations.pooled(self._activation, product + forward.vector(self.bias))

    def parameters(self, layer):
        """The kernel and the bias as `Parameter`s of `layer`."""
        return [Parameter(self.kernel, layer), Parameter(self.bias, layer, decays=False)]


class Encoder(tf.Module):
    """Embeddings, layers and, where a head needs it, the dense layer over the first token."""

    def __init__(
        self, config: EncoderConfig, embeddings: Embeddings, weights, pooler: Pooler | None
    ):
        """`weights` are numpy arrays under Hugging Face's names, without a `bert.` prefix."""
        super().__init__()
        self.config = config
        self.embeddings = embeddings
        self.layers = [
            Layer(config, weights_under(weights, f"encoder.layer.{index}."))
            for index in range(config.num_hidden_layers)
        ]
        self.pooler = pooler

    def tokens(self, forward: ForwardPass, inputs: Inputs):
        """The last hidden state of every token, `[batch * length, hidden]` in the pass's dtype."""
        return self._encode(forward, inputs, first_only=False)

    def pooled(self, forward: ForwardPass, inputs: Inputs):
        """What the pooler makes of the first tokens, float32 `[batch, hidden]`."""
        return self.pooler(forward, self._encode(forward, inputs, first_only=True))

    def _encode(self, forward, inputs, first_only):
        # The slice comes last: TensorFlow's graph optimiser fuses the `Mul` before attention's
        # `Add`, and without the slice it would find this `Mul`, not that of the scores.
        masked = (1.0 - tf.cast(inputs.attention_mask, tf.float32)) * MASKED
        offset = masked[:, None, None, :]
        hidden = self.embeddings(forward, inputs)
        for layer in self.layers[:-1]:
            hidden = layer(forward, hidden, offset)
        return self.layers[-1](forward, hidden, offset, first_only).states

    def parameters(self):
        """Every variable; `layer` is 0 for the embeddings, then counts the layers from the bottom,
        and is `num_hidden_layers + 1` for the pooler."""
        found = self.embeddings.parameters(0)
        for index, layer in enumerate(self.layers):
            found += layer.parameters(index + 1)
        return found + (self.pooler.parameters(len(self.layers) + 1) if self.pooler else [])

    @property
    def dropout_places(self):
        """How many times a pass draws a dropout mask in the encoder."""
        in_pooler = self.pooler is not None and self.pooler.drops_input
        return 1 + 3 * len(self.layers) + in_pooler

    def bf16_variables(self):
        """The variables that a bf16 pass of inference only reads as bf16: every kernel, bias and
        normalisation of the layers, and the kernels of pooler and projection."""
        found = [parameter.variable for layer in self.layers for parameter in layer.parameters(0)]
        others = (self.pooler, self.embeddings.projection)
        return found + [dense.kernel for dense in others if dense is not None]
