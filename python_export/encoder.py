"""BERT's encoder (Devlin et al., 2018) as a plain `tf.Module`.

Kernels are `[inputs, outputs]`; query, key and value are one kernel, since they are one matrix
product. Sequences are kept as `[batch * length, hidden]` between the attentions.
"""

from typing import NamedTuple

import tensorflow as tf

from .attention import MASKED, Islands
from .config import EncoderConfig
from .plain import Plain


class Inputs(NamedTuple):
    """One batch, int32 `[batch, length]` each."""

    input_ids: tf.Tensor
    attention_mask: tf.Tensor
    token_type_ids: tf.Tensor


class Parameter(NamedTuple):
    """A variable as the optimiser sees it.

    `layer` is its place in `layer_scale`; `decays` is false for biases and layer normalisation;
    `sparse` is true where a batch touches only some rows.
    """

    variable: tf.Variable
    layer: int
    decays: bool = True
    sparse: bool = False


class Pass:
    """One pass over a batch: the dtype of its matrix products, its dropout, its weights as read.

    Every variable is read, and cast, at most once in a pass. With `tape`, and `dropout` then, the
    pass is recorded, and `gradients` gives the gradient of what was read. `between` computes what
    lies between the matrix products. What `rounded` holds is read there, and not cast.
    """

    def __init__(self, dtype=tf.float32, dropout=None, tape=None, rounded=None):
        self.dtype = dtype
        self.dropout = dropout
        self.between = Islands() if tape else Plain()
        self._tape = tape
        self._reads = rounded.read() if rounded else {}
        # What each part of the batch takes of a variable, by the variable.
        self._kernels = {}
        self._rows = {}
        self._part = 0

    def begin_part(self):
        """Begins another part of the batch. Its kernels have gradients of their own: to add them
        here would be a pass over memory that the optimiser makes anyway."""
        self._part += 1

    def _watch(self, tensor):
        if self._tape:
            self._tape.watch(tensor)
        return tensor

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
        """A bias, scale or small table, float32, or rounded where the pass has it so."""
        return self._watch(self._read(variable, tf.float32))

    def _read(self, variable, dtype):
        key = variable.ref()
        if key not in self._reads:
            self._reads[key] = tf.cast(self._value(variable), dtype)
        return self._reads[key]

    def _value(self, variable):
        # A function's captures come without shapes, and the graph optimiser that `Plain` is written
        # for wants to know that shapes are equal.
        value = variable.read_value()
        return value if self._tape else tf.ensure_shape(value, variable.shape)

    def rows(self, variable, ids):
        """The rows `ids` of a table, float32."""
        rows = self._watch(tf.gather(variable, ids))
        self._rows.setdefault(variable.ref(), []).append((ids, rows))
        return rows

    def gradients(self, loss, parameters):
        """The gradient of `loss` for each parameter, as a list of terms: one for each part of the
        batch, or one alone.

        They are in the dtype in which the parameter was read. A sparse parameter's is one
        `tf.IndexedSlices` in which no row occurs twice.
        """
        sources = [self._sources(p.variable.ref()) for p in parameters]
        found = self._tape.gradient(loss, sources, unconnected_gradients="zero")
        return [
            [self._unique_rows(p.variable, terms)] if p.sparse else terms
            for p, terms in zip(parameters, found, strict=True)
        ]

    def _sources(self, key):
        if key in self._rows:
            return [rows for _, rows in self._rows[key]]
        return self._kernels.get(key) or [self._reads[key]]

    def _unique_rows(self, variable, gradients):
        ids = tf.concat([tf.reshape(ids, [-1]) for ids, _ in self._rows[variable.ref()]], 0)
        rows = [tf.reshape(gradient, [-1, variable.shape[-1]]) for gradient in gradients]
        ids, positions = tf.unique(ids)
        sums = tf.math.unsorted_segment_sum(tf.concat(rows, 0), positions, tf.size(ids))
        return tf.IndexedSlices(sums, ids, tf.constant(variable.shape.as_list()))


class Dense(tf.Module):
    """`x @ kernel + bias`; the bias is added by what follows the product."""

    def __init__(self, kernel, bias):
        super().__init__()
        self.kernel = tf.Variable(kernel)
        self.bias = tf.Variable(bias)

    def product(self, p: Pass, x):
        """`x @ kernel`."""
        return tf.matmul(x, p.kernel(self.kernel))

    def parameters(self, layer):
        return [Parameter(self.kernel, layer), Parameter(self.bias, layer, decays=False)]


class LayerNorm(tf.Module):
    """The scale and offset of a layer normalisation."""

    def __init__(self, gamma, beta):
        super().__init__()
        self.gamma = tf.Variable(gamma)
        self.beta = tf.Variable(beta)

    def read(self, p: Pass):
        return p.vector(self.gamma), p.vector(self.beta)

    def parameters(self, layer):
        return [Parameter(v, layer, decays=False) for v in (self.gamma, self.beta)]


class Embeddings(tf.Module):
    """Word, position and segment embeddings, summed and normalised."""

    def __init__(self, config: EncoderConfig, weights):
        super().__init__()
        self._config = config
        self.word_embeddings = tf.Variable(weights["word_embeddings.weight"])
        self.position_embeddings = tf.Variable(weights["position_embeddings.weight"])
        self.token_type_embeddings = tf.Variable(weights["token_type_embeddings.weight"])
        self.norm = LayerNorm(weights["LayerNorm.weight"], weights["LayerNorm.bias"])

    def __call__(self, p: Pass, inputs: Inputs):
        length = tf.shape(inputs.input_ids)[1]
        return p.between.embed(
            p.rows(self.word_embeddings, inputs.input_ids),
            p.rows(self.position_embeddings, tf.range(length)),
            p.vector(self.token_type_embeddings),
            inputs.token_type_ids,
            *self.norm.read(p),
            self._config.layer_norm_eps,
            p.dropout,
            p.dtype,
        )

    def parameters(self, layer):
        return [
            Parameter(self.word_embeddings, layer, sparse=True),
            Parameter(self.position_embeddings, layer, sparse=True),
            Parameter(self.token_type_embeddings, layer),
            *self.norm.parameters(layer),
        ]


def first_tokens(x, batch):
    """`[batch * length, H]` to the `[batch, H]` rows of the first tokens."""
    length, width = tf.shape(x)[0] // batch, x.shape[-1]

    @tf.custom_gradient
    def call(x):
        def gradient(dy):
            padded = tf.pad(dy[:, None], [[0, 0], [0, length - 1], [0, 0]])
            return tf.reshape(padded, [-1, width])

        return tf.reshape(x, [batch, length, width])[:, 0], gradient

    return call(x)


class Layer(tf.Module):
    """Self-attention and feed-forward network, each with residual, dropout and normalisation."""

    def __init__(self, config: EncoderConfig, weights):
        super().__init__()
        self._config = config
        self.query_key_value = Dense(
            tf.concat([weights[f"attention.self.{n}.weight"].T for n in _QKV], 1),
            tf.concat([weights[f"attention.self.{n}.bias"] for n in _QKV], 0),
        )
        self.attention_output = _dense(weights, "attention.output.dense")
        self.attention_norm = _norm(weights, "attention.output.LayerNorm")
        self.intermediate = _dense(weights, "intermediate.dense")
        self.output = _dense(weights, "output.dense")
        self.output_norm = _norm(weights, "output.LayerNorm")

    def __call__(self, p: Pass, x, skip, offset, first_only=False):
        """Maps x and its residual copy, `[batch * length, H]`, to the same two of the next layer.

        With `first_only` the result is that of the first tokens alone, `[batch, H]`: they need
        every token's key and value, but no other token's query, output or feed-forward network.
        """
        if first_only:
            heads = self._first_heads(p, x, offset)
            skip = first_tokens(skip, tf.shape(offset)[0])
        else:
            heads = self._heads(p, x, offset)
        scale = self._config.head_size**-0.5
        context = p.between.attend(*heads, offset, skip, scale, p.dropout, compiled=not first_only)
        x, skip = self._add_norm(p, self.attention_output, self.attention_norm, context, skip)
        hidden = p.between.gelu(self.intermediate.product(p, x), p.vector(self.intermediate.bias))
        return self._add_norm(p, self.output, self.output_norm, hidden, skip)

    def _heads(self, p, x, offset):
        product = self.query_key_value.product(p, x)
        bias = p.vector(self.query_key_value.bias)
        return p.between.split_heads(product, bias, 3, self._config.num_attention_heads, offset)

    def _first_heads(self, p, x, offset):
        """As `_heads`, with the first tokens' query alone."""
        width = self._config.hidden_size
        kernels = tf.split(p.kernel(self.query_key_value.kernel), [width, 2 * width], -1)
        biases = tf.split(p.vector(self.query_key_value.bias), [width, 2 * width], -1)
        query = tf.matmul(first_tokens(x, tf.shape(offset)[0]), kernels[0])
        key_value = tf.matmul(x, kernels[1])
        heads = self._config.num_attention_heads
        return (
            *p.between.split_heads(query, biases[0], 1, heads, offset),
            *p.between.split_heads(key_value, biases[1], 2, heads, offset),
        )

    def _add_norm(self, p, dense, norm, x, skip):
        epsilon = self._config.layer_norm_eps
        product = dense.product(p, x)
        return p.between.add_norm(
            product, p.vector(dense.bias), skip, *norm.read(p), epsilon, p.dropout
        )

    def parameters(self, layer):
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


def _dense(weights, name):
    return Dense(weights[f"{name}.weight"].T, weights[f"{name}.bias"])


def _norm(weights, name):
    return LayerNorm(weights[f"{name}.weight"], weights[f"{name}.bias"])


def _under(weights, prefix):
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


class Encoder(tf.Module):
    """Embeddings, layers and, with `pooler`, the dense layer over the first token."""

    def __init__(self, config: EncoderConfig, weights, pooler: bool):
        """`weights` are numpy arrays under Hugging Face's names, without a `bert.` prefix."""
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config, _under(weights, "embeddings."))
        self.layers = [
            Layer(config, _under(weights, f"encoder.layer.{index}."))
            for index in range(config.num_hidden_layers)
        ]
        self.pooler = _dense(weights, "pooler.dense") if pooler else None

    def tokens(self, p: Pass, inputs: Inputs):
        """The last hidden state of every token, `[batch * length, H]` in the pass's dtype."""
        return self._encode(p, inputs, first_only=False)

    def pooled(self, p: Pass, inputs: Inputs):
        """`tanh(dense(first token))`, float32 `[batch, H]`."""
        first = self._encode(p, inputs, first_only=True)
        product = tf.cast(self.pooler.product(p, first), tf.float32)
        return tf.tanh(product + p.vector(self.pooler.bias))

    def _encode(self, p, inputs, first_only):
        # What is added to attention's products is no product itself: the graph optimiser, which
        # looks for theirs, would take the wrong one.
        masked = (1.0 - tf.cast(inputs.attention_mask, tf.float32)) * MASKED
        offset = masked[:, None, None, :]
        x, skip = self.embeddings(p, inputs)
        for layer in self.layers[:-1]:
            x, skip = layer(p, x, skip, offset)
        return self.layers[-1](p, x, skip, offset, first_only)[0]

    def parameters(self):
        """Every variable; `layer` is 0 for the embeddings, then counts the layers from the bottom,
        and is `num_hidden_layers + 1` for the pooler."""
        found = self.embeddings.parameters(0)
        for index, layer in enumerate(self.layers):
            found += layer.parameters(index + 1)
        return found + (self.pooler.parameters(len(self.layers) + 1) if self.pooler else [])

    def rounded(self):
        """The variables that a pass in bf16 only reads as bf16: kernels, and what its sums and
        normalisations between two of them take."""
        layers = [p.variable for layer in self.layers for p in layer.parameters(0)]
        return layers + ([self.pooler.kernel] if self.pooler else [])
