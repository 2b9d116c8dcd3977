"""The activations between a layer's two dense layers, by the names of Hugging Face's `hidden_act`.

BERT's `gelu` for training is in `fused`: its gradient reuses its value.
"""

import tensorflow as tf

_SQRT_2_OVER_PI = 0.7978845608028654
_CUBIC = 0.044715
_SQRT_HALF = 0.7071067811865476
_INV_SQRT_2PI = 0.3989422804014327


def plain(name, h):
    """The activation as plain operations, in h's dtype; those of `gelu` are the ones that
    TensorFlow's graph optimiser fuses into the product before."""
    if name == "gelu":
        return tf.nn.gelu(h, approximate=False)
    if name in _TANH_FORMS:
        return tf.nn.gelu(h, approximate=True)
    return tf.nn.relu(h) if name == "relu" else h * tf.sigmoid(h)


# Both names are GELU's approximation by tanh (Hendrycks and Gimpel, 2016).
_TANH_FORMS = ("gelu_new", "gelu_pytorch_tanh")


def value(name, h):
    """The activation of h, float32."""
    if name == "gelu":
        return h * _normal_distribution(h)
    if name in _TANH_FORMS:
        return h * (0.5 + 0.5 * tf.tanh(_inner(h)))
    return tf.maximum(h, 0.0) if name == "relu" else h * tf.sigmoid(h)


def derivative(name, h):
    """The derivative of `value` at h, float32."""
    if name == "gelu":
        return _normal_distribution(h) + h * _INV_SQRT_2PI * tf.exp(-0.5 * h * h)
    if name in _TANH_FORMS:
        tanh = tf.tanh(_inner(h))
        slope = _SQRT_2_OVER_PI * (1.0 + 3.0 * _CUBIC * h * h)
        return 0.5 + 0.5 * tanh + 0.5 * h * (1.0 - tanh * tanh) * slope
    if name == "relu":
        return tf.where(h > 0.0, 1.0, 0.0)
    sigmoid = tf.sigmoid(h)
    return sigmoid * (1.0 + h * (1.0 - sigmoid))


def _normal_distribution(h):
    return 0.5 + 0.5 * tf.math.erf(h * _SQRT_HALF)


def _inner(h):
    return _SQRT_2_OVER_PI * (h + _CUBIC * h * h * h)


def pooled(name, h):
    """What follows the dense layer over the first token."""
    return tf.tanh(h) if name == "tanh" else plain(name, h)
