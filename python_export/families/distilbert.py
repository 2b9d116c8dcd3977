"""DistilBERT (Sanh et al., 2019): BERT's layers under other names, and no segments."""

import re
from typing import ClassVar

from ..config import EncoderConfig
from ..tokenizer import in_one_segment
from .bert import WORDPIECE_TOKENS
from .family import Family, MaskedHead

_SIZES = {
    "dim": "hidden_size",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "hidden_dim": "intermediate_size",
    "activation": "hidden_act",
}
_PARTS = {
    "attention.self.query": "attention.q_lin",
    "attention.self.key": "attention.k_lin",
    "attention.self.value": "attention.v_lin",
    "attention.output.dense": "attention.out_lin",
    "attention.output.LayerNorm": "sa_layer_norm",
    "intermediate.dense": "ffn.lin1",
    "output.dense": "ffn.lin2",
    "output.LayerNorm": "output_layer_norm",
}
# Constants of transformers' DistilBERT, which its config.json does not have.
_FIXED = {"layer_norm_eps": 1e-12, "type_vocab_size": 1}
_SEGMENTS = "embeddings.token_type_embeddings.weight"


class DistilBert(Family):
    """DistilBERT. Its inputs have one segment, whatever the tokenizer says."""

    model_type = "distilbert"
    title = "DistilBERT"
    # Of the dense layer `pre_classifier`.
    pooler_activation = "relu"
    class_prefix = "DistilBert"
    masked_head: ClassVar = MaskedHead("vocab_transform", "vocab_layer_norm", "vocab_projector")
    tokenizer_class = "DistilBertTokenizer"
    has_vocab_txt = True
    special_tokens: ClassVar = WORDPIECE_TOKENS

    def read_config(self, values, path):
        self.check_values(values, path)
        renamed = {ours: values[theirs] for theirs, ours in _SIZES.items() if theirs in values}
        return EncoderConfig.from_values({**values, **renamed, **_FIXED}, path)

    def tensor_shapes(self, config):
        shapes = config.tensor_shapes()
        del shapes[_SEGMENTS]
        return shapes

    def names_in_file(self, name):
        if name.startswith("pooler.dense."):
            return (f"pre_classifier.{name.rpartition('.')[2]}",)
        name = _renamed(name)
        return (name, f"distilbert.{name}")

    def hugging_face_name(self, name, head):
        return self.names_in_file(name)[-1]

    def hugging_face_config(self, config):
        values = super().hugging_face_config(config)
        renamed = {theirs: values.pop(ours) for theirs, ours in _SIZES.items()}
        return {key: value for key, value in values.items() if key not in _FIXED} | renamed

    def read_tokenizer(self, folder, lowercase):
        return in_one_segment(super().read_tokenizer(folder, lowercase))


def _renamed(name):
    """A weight of BertModel's, of any layer or of `{layer}`, under DistilBertModel's name."""
    match = re.fullmatch(r"encoder\.layer\.(\d+|\{layer\})\.(.+)\.(weight|bias)", name)
    return f"transformer.layer.{match[1]}.{_PARTS[match[2]]}.{match[3]}" if match else name
