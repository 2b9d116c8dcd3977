"""ELECTRA (Clark et al., 2020): BERT's layers, embeddings that may be narrower, and no pooler of
its own. The discriminator is what is fine-tuned; a generator has the same names and reads too."""

from typing import ClassVar

from .bert import Bert
from .family import MaskedHead, is_of_sequences, with_prefix

# The dense layer over the first token, in models for sequences and for multiple choice.
_POOLERS = ("classifier.dense", "sequence_summary.summary")


class Electra(Bert):
    """ELECTRA."""

    model_type = "electra"
    title = "ELECTRA"
    class_prefix = "Electra"
    pooler_activation = "gelu"
    drops_pooler_input = True
    # The generator's. As wide as the embeddings.
    masked_head: ClassVar = MaskedHead(
        "generator_predictions.dense",
        "generator_predictions.LayerNorm",
        "generator_lm_head",
        activation="gelu",
    )

    def read_config(self, values, path):
        # transformers' own default.
        return super().read_config({"embedding_size": 128, **values}, path)

    def names_in_file(self, name):
        if name.startswith("pooler.dense."):
            return tuple(f"{layer}.{name.rpartition('.')[2]}" for layer in _POOLERS)
        return with_prefix("electra", name)

    def hugging_face_name(self, name, head):
        if name.startswith("pooler.dense."):
            return f"{_POOLERS[not is_of_sequences(head)]}.{name.rpartition('.')[2]}"
        return super().hugging_face_name(name, head)

    def hugging_face_head(self, head):
        return "classifier.out_proj" if is_of_sequences(head) else super().hugging_face_head(head)

    def hugging_face_config(self, config):
        return {**super().hugging_face_config(config), "embedding_size": config.embedding_size}
