"""The encoder of ModernBERT (Warner et al., 2024) as a plain `tf.Module`.

Against BERT's (`encoder`): a block normalises its input, not its output; positions are rotary (Su
et al., 2021); some layers attend only to tokens that are near; the feed-forward network is gated;
and there are no biases. Between the blocks the residual sum is float32, `[batch * length, hidden]`.
"""

import numpy as np
import tensorflow as tf

from . import activations
from .elementwise import MASKED, Hidden
from .encoder import weights_under
from .forward import ForwardPass, Inputs, Parameter


class Kernel(tf.Module):
    """`x @ kernel`."""

    def __init__(self, kernel):
        """`kernel` is a numpy array `[outputs, inputs]`."""
        super().__init__()
        self.kernel = tf.Variable(kernel.T)

    def product(self, forward: ForwardPass, x):
        """`x @ kernel`."""
        return tf.matmul(x, forward.kernel(self.kernel))

    def parameters(self, layer):
        """The kernel as a `Parameter` of `layer`."""
        return [Parameter(self.kernel, layer)]


class Norm(tf.Module):
    """A layer normalisation that has a scale (`gamma`) and no offset."""

    def __init__(self, gamma):
        super().__init__()
        self.gamma = tf.Variable(gamma)

    def parameters(self, layer):
        """The scale as a `Parameter` of `layer`."""
        return [Parameter(self.gamma, layer, decays=False)]


class Embeddings(tf.Module):
    """Word embeddings, normalised."""

    def __init__(self, config, weights):
        """`weights` are numpy arrays under the names of Hugging Face's ModernBertModel."""
        super().__init__()
        self._config = config
        self.word_embeddings = tf.Variable(weights["embeddings.tok_embeddings.weight"])
        self.norm = Norm(weights["embeddings.norm.weight"])

    def __call__(self, forward: ForwardPass, inputs: Inputs) -> Hidden:
        """The embeddings of a batch, `[batch * length, hidden]`."""
        width = self._config.hidden_size
        return forward.ops.embed(
            forward.rows(self.word_embeddings, inputs.input_ids),
            # It has neither positions nor segments to add.
            tf.zeros([tf.shape(inputs.input_ids)[1], width]),
            None,
            inputs.token_type_ids,
            forward.vector(self.norm.gamma),
            tf.zeros([width]),
            self._config.layer_norm_eps,
            forward.dropout,
            forward.dtype,
        )

    def parameters(self, layer):
        """Every variable as a `Parameter` of `layer`."""
        return [
            Parameter(self.word_embeddings, layer, sparse=True),
            *self.norm.parameters(layer),
        ]


class Layer(tf.Module):
    """Self-attention and gated feed-forward network.

    The normalisation before the attention belongs to the sum before it, which is that of the layer
    below: `Layer.__call__` takes the scale of the layer above. The lowest layer has none.
    """

    def __init__(self, config, weights):
        """`weights` are numpy arrays under the names of Hugging Face's ModernBertModel, `layers.N.`
        left out."""
        super().__init__()
        self._config = config
        has_norm = "attn_norm.weight" in weights
        self.attention_norm = Norm(weights["attn_norm.weight"]) if has_norm else None
        self.query_key_value = Kernel(weights["attn.Wqkv.weight"])
        self.attention_output = Kernel(weights["attn.Wo.weight"])
        self.output_norm = Norm(weights["mlp_norm.weight"])
        self.intermediate = Kernel(weights["mlp.Wi.weight"])
        self.output = Kernel(weights["mlp.Wo.weight"])

    def __call__(self, forward, hidden: Hidden, offset, rotation, next_norm, first_only=False):
        """The layer's `Hidden` for that of the layer below, `[batch * length, hidden]` both.

        With `first_only` it is that of the first tokens alone, `[batch, hidden]`.

        Args:
            forward: the `ForwardPass`.
            hidden: the input, normalised by `attention_norm`, and the residual sum.
            offset: of `ElementwiseOps.attend`.
            rotation: of `ElementwiseOps.split_rotated`.
            next_norm: the `Norm` of the result.
            first_only: as above.
        """
        epsilon, ops = self._config.layer_norm_eps, forward.ops
        heads = self._first_heads if first_only else self._heads
        query, key, value, hidden = heads(forward, hidden, offset, rotation)
        context = ops.attend(
            *(query, key, value, offset[:, :, :1] if first_only else offset, hidden),
            self._config.head_size**-0.5,
            forward.dropout,
            first_only,
        )
        product = self.attention_output.product(forward, context)
        gamma = forward.vector(self.output_norm.gamma)
        hidden = ops.add_pre_norm(product, hidden, gamma, epsilon, forward.dropout)
        inner = self.intermediate.product(forward, hidden.states)
        inner = ops.gate(inner, self._config.hidden_act, forward.dropout)
        product = self.output.product(forward, inner)
        # Dropout of the feed-forward network is inside `gate`.
        return ops.add_pre_norm(product, hidden, forward.vector(next_norm.gamma), epsilon, None)

    def _heads(self, forward, hidden, offset, rotation):
        """Query, key and value of every token, and the states that the result is added to."""
        product = self.query_key_value.product(forward, hidden.states)
        heads = self._config.num_attention_heads
        return *forward.ops.split_rotated(product, 3, heads, offset, rotation), hidden

    def _first_heads(self, forward, hidden, offset, rotation):
        """As `_heads`, with the queries and the states of the first tokens alone. Those have
        position 0, which turns nothing."""
        first = hidden.first_tokens(tf.shape(offset)[0])
        width, heads = self._config.hidden_size, self._config.num_attention_heads
        kernels = tf.split(forward.kernel(self.query_key_value.kernel), [width, 2 * width], -1)
        query = tf.matmul(first.states, kernels[0])
        key_value = tf.matmul(hidden.states, kernels[1])
        return (
            *forward.ops.split_rotated(query, 1, heads, offset, rotation),
            *forward.ops.split_rotated(key_value, 2, heads, offset, rotation),
            first,
        )

    def parameters(self, layer):
        """Every variable as a `Parameter` of `layer`."""
        parts = (
            self.query_key_value,
            self.attention_output,
            self.output_norm,
            self.intermediate,
            self.output,
        )
        before = self.attention_norm.parameters(layer) if self.attention_norm else []
        return before + [parameter for part in parts for parameter in part.parameters(layer)]


class PredictionHead(tf.Module):
    """A dense layer, an activation and a layer normalisation, in float32 but for the product. Every
    task head of ModernBERT has it before its own dense layer."""

    def __init__(self, config, weights):
        """`weights` are numpy arrays, `pooler.` left out."""
        super().__init__()
        self.kernel = tf.Variable(weights["dense.weight"].T)
        self.norm = Norm(weights["norm.weight"])
        self._activation = config.classifier_activation
        self._epsilon = config.layer_norm_eps

    def __call__(self, forward: ForwardPass, x):
        """Of hidden states `[…, hidden]`, float32 in the same shape."""
        product = tf.cast(tf.matmul(x, forward.kernel(self.kernel)), tf.float32)
        states = activations.plain(self._activation, product)
        mean, variance = tf.nn.moments(states, -1, keepdims=True)
        scale = tf.math.rsqrt(variance + self._epsilon)
        return (states - mean) * scale * forward.vector(self.norm.gamma)

    def parameters(self, layer):
        """Every variable as a `Parameter` of `layer`."""
        return [Parameter(self.kernel, layer), *self.norm.parameters(layer)]


class PreNormEncoder(tf.Module):
    """Embeddings, layers, the normalisation of the last one's output, and the prediction head. For
    its users it is as `encoder.Encoder`."""

    def __init__(self, config, weights):
        """`config` is a `families.modernbert.ModernBertConfig`; `weights` are numpy arrays under
        the names of Hugging Face's ModernBertModel, and `pooler.…` for the prediction head."""
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config, weights)
        self.layers = [
            Layer(config, weights_under(weights, f"layers.{index}."))
            for index in range(config.num_hidden_layers)
        ]
        self.final_norm = Norm(weights["final_norm.weight"])
        self.pooler = PredictionHead(config, weights_under(weights, "pooler."))

    def tokens(self, forward: ForwardPass, inputs: Inputs):
        """What the prediction head makes of every token, float32 `[batch * length, hidden]`."""
        return self.pooler(forward, self._encode(forward, inputs, first_only=False))

    def pooled(self, forward: ForwardPass, inputs: Inputs):
        """What the prediction head makes of the first tokens, or of the mean over a sequence's
        tokens, float32 `[batch, hidden]`."""
        if self.config.classifier_pooling == "cls":
            return self.pooler(forward, self._encode(forward, inputs, first_only=True))
        states = tf.cast(self._encode(forward, inputs, first_only=False), tf.float32)
        mask = tf.cast(inputs.attention_mask, tf.float32)[..., None]
        shape = tf.concat([tf.shape(inputs.input_ids), [self.config.hidden_size]], 0)
        total = tf.reduce_sum(tf.reshape(states, shape) * mask, 1)
        # A row of padding has no token; its mean is 0.
        mean = total / tf.maximum(tf.reduce_sum(mask, 1), 1.0)
        return self.pooler(forward, tf.cast(mean, forward.dtype))

    def _encode(self, forward, inputs, first_only):
        length = tf.shape(inputs.input_ids)[1]
        offsets = self._offsets(inputs.attention_mask, length)
        rotations = {
            kind: _rotation(theta, self.config.head_size, length)
            for kind, theta in self.config.rope_thetas.items()
        }
        hidden = self.embeddings(forward, inputs)
        norms = [*(layer.attention_norm for layer in self.layers[1:]), self.final_norm]
        last = len(self.layers) - 1
        for index, (layer, norm) in enumerate(zip(self.layers, norms, strict=True)):
            kind = self.config.layer_types[index]
            first = first_only and index == last
            hidden = layer(forward, hidden, offsets[kind], rotations[kind], norm, first)
        return hidden.states

    def _offsets(self, attention_mask, length):
        """What is added to the attention scores of each kind of layer."""
        padding = ((1.0 - tf.cast(attention_mask, tf.float32)) * MASKED)[:, None, None, :]
        place = tf.range(length)
        is_far = tf.abs(place[:, None] - place) > self.config.local_attention // 2
        return {
            "full_attention": padding,
            "sliding_attention": padding + tf.cast(is_far, tf.float32) * MASKED,
        }

    def parameters(self):
        """Every variable; `layer` is that of `encoder.Encoder.parameters`."""
        top = len(self.layers) + 1
        found = self.embeddings.parameters(0)
        for index, layer in enumerate(self.layers):
            found += layer.parameters(index + 1)
        return found + self.final_norm.parameters(top) + self.pooler.parameters(top)

    @property
    def dropout_places(self):
        """How many times a pass draws a dropout mask in the encoder."""
        return 1 + 3 * len(self.layers)

    def bf16_variables(self):
        """The variables that a bf16 pass of inference only reads as bf16."""
        found = [parameter.variable for layer in self.layers for parameter in layer.parameters(0)]
        return [*found, self.final_norm.gamma, self.pooler.kernel]


def _rotation(theta, head_size, length):
    """The cosines and sines of rotary positions, `[length, head_size / 2]` each: position p turns
    pair i by `p / theta^(2 i / head_size)`."""
    exponents = np.arange(0, head_size, 2, dtype=np.float32) / np.float32(head_size)
    frequencies = np.float32(1.0) / np.float32(theta) ** exponents
    angles = tf.cast(tf.range(length), tf.float32)[:, None] * frequencies
    return tf.cos(angles), tf.sin(angles)
