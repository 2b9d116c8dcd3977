"""RoBERTa (Liu et al., 2019), and XLM-RoBERTa and CamemBERT, which have its graph and other
vocabularies: BERT's layers, one segment, and positions that begin behind the padding's."""

from typing import ClassVar

from ..config import ConfigError
from ..subword import read_subword
from .bert import Bert
from .family import MaskedHead, is_of_sequences, with_prefix

# The dense layer over the first token: that of a fine-tuned classifier comes first.
_POOLERS = ("classifier.dense", "roberta.pooler.dense", "pooler.dense")


class Roberta(Bert):
    """RoBERTa and its kin, by `model_type`; `class_prefix` is that of transformers' classes."""

    drops_pooler_input = True
    masked_head: ClassVar = MaskedHead("lm_head.dense", "lm_head.layer_norm", "lm_head", "gelu")
    has_vocab_txt = False
    special_tokens: ClassVar = {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "sep_token": "</s>",
        "pad_token": "<pad>",
        "cls_token": "<s>",
        "mask_token": "<mask>",
    }

    def __init__(self, model_type, title, class_prefix):
        self.model_type, self.title, self.class_prefix = model_type, title, class_prefix
        self.tokenizer_class = f"{class_prefix}Tokenizer"

    def read_config(self, values, path):
        # transformers' own defaults.
        values = {"layer_norm_eps": 1e-12, "pad_token_id": 1, **values}
        config = super().read_config(values, path)
        if self.max_length(config) < 1:
            raise ConfigError(
                f"{path}: `max_position_embeddings` is {config.max_position_embeddings}, but "
                f"positions begin at {_first_position(config)}"
            )
        return config

    def names_in_file(self, name):
        if name.startswith("pooler.dense."):
            return tuple(f"{layer}.{name.rpartition('.')[2]}" for layer in _POOLERS)
        return with_prefix("roberta", name)

    def hugging_face_name(self, name, head):
        if name.startswith("pooler.dense."):
            return f"{_POOLERS[not is_of_sequences(head)]}.{name.rpartition('.')[2]}"
        return f"roberta.{name}"

    def hugging_face_head(self, head):
        return "classifier.out_proj" if is_of_sequences(head) else super().hugging_face_head(head)

    def read_tokenizer(self, folder, lowercase):
        return read_subword(folder, lowercase)

    def max_length(self, config):
        return config.max_position_embeddings - _first_position(config)

    def embeddings(self, config, tensors):
        from ..encoder import Embeddings

        return Embeddings(config, tensors, first_position=_first_position(config))


def _first_position(config):
    return config.pad_token_id + 1
