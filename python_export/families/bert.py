"""BERT (Devlin et al., 2018): uncased, cased and multilingual, of any size."""

from typing import ClassVar

from ..config import ConfigError, EncoderConfig
from ..tokenizer import read_wordpiece
from .family import Family

# What the exported graph computes: a checkpoint with another value is refused.
_SUPPORTED = {
    "hidden_act": ("gelu",),
    "position_embedding_type": ("absolute",),
    "is_decoder": (False,),
    "add_cross_attention": (False,),
}


class Bert(Family):
    """BERT. The package's own names are BertModel's, so nothing is renamed."""

    model_type = "bert"
    class_prefix = "Bert"
    tokenizer_class = "BertTokenizer"
    has_vocab_txt = True
    special_tokens: ClassVar = {
        "unk_token": "[UNK]",
        "sep_token": "[SEP]",
        "pad_token": "[PAD]",
        "cls_token": "[CLS]",
        "mask_token": "[MASK]",
    }

    def read_config(self, values, path):
        for key, supported in _SUPPORTED.items():
            value = values.get(key, supported[0])
            if value not in supported:
                wanted = " or ".join(repr(choice) for choice in supported)
                raise ConfigError(f"{path}: `{key}` is {value!r}, but only {wanted} is supported")
        # `EncoderConfig` has the keys of BERT's config.json.
        return EncoderConfig.from_values(values, path)

    def tensor_shapes(self, config):
        return config.tensor_shapes()

    def names_in_file(self, name):
        # Models with a head store the encoder under `bert.`. Checkpoints converted from TensorFlow
        # 1 have that library's names for layer normalisation.
        converted = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        )
        names = dict.fromkeys((name, converted))
        return tuple(f"{prefix}{name}" for name in names for prefix in ("", "bert."))

    def read_tokenizer(self, folder, lowercase):
        return read_wordpiece(folder, lowercase)

    def max_length(self, config):
        return config.max_position_embeddings

    def embeddings(self, config, tensors):
        # Imported here: reading a checkpoint needs no TensorFlow.
        from ..encoder import Embeddings, weights_under

        return Embeddings(config, weights_under(tensors, "embeddings."))
