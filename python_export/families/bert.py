"""BERT (Devlin et al., 2018): uncased, cased and multilingual, of any size."""

from typing import ClassVar

from ..config import EncoderConfig
from .family import BERT_MASKED_HEAD, Family, MaskedHead, with_prefix

# Of every WordPiece tokenizer here.
WORDPIECE_TOKENS = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}


class Bert(Family):
    """BERT. The package's own names are BertModel's, so nothing is renamed."""

    model_type = "bert"
    title = "BERT"
    class_prefix = "Bert"
    masked_head: ClassVar[MaskedHead] = BERT_MASKED_HEAD
    tokenizer_class = "BertTokenizer"
    has_vocab_txt = True
    special_tokens: ClassVar = WORDPIECE_TOKENS
    required_values: ClassVar = {
        "position_embedding_type": "absolute",
        "is_decoder": False,
        "add_cross_attention": False,
    }

    def read_config(self, values, path):
        self.check_values(values, path)
        # `EncoderConfig` has the keys of BERT's config.json.
        return EncoderConfig.from_values(values, path)

    def names_in_file(self, name):
        return with_prefix("bert", name)
