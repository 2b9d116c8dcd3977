"""What differs from one kind of encoder to another; everything else in this package is shared."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, NamedTuple

from ..config import ConfigError, EncoderConfig
from ..hugging_face import bert_variable
from ..tokenizer import Tokenizer, read_wordpiece


class MaskedHead(NamedTuple):
    """What transformers calls the parts of a family's masked language modeling head.

    It is a dense layer, an activation, a layer normalisation, and a product with the word
    embeddings plus a bias for each entry of the vocabulary, which the module `output` has. An
    `activation` of None is the encoder's own. `dense` and `norm` are None where the encoder ends
    with these layers, so that the head has its bias alone.
    """

    dense: str | None
    norm: str | None
    output: str
    activation: str | None = None

    def rename(self, name: str) -> str | None:
        """The name of the weight that BertForMaskedLM calls `name`; None where the head has no such
        weight."""
        owner, _, kind = name.rpartition(".")
        own = dict(zip(BERT_MASKED_HEAD[:3], self[:3], strict=True))[owner]
        return None if own is None else f"{own}.{kind}"


BERT_MASKED_HEAD = MaskedHead(
    dense="cls.predictions.transform.dense",
    norm="cls.predictions.transform.LayerNorm",
    output="cls.predictions",
)


class Family(ABC):
    """One kind of encoder: how its checkpoints are read and how its embeddings are computed.

    Most families share the layers of `encoder.Encoder`. Their weights go by the names of Hugging
    Face's `BertModel` throughout this package; a family maps them to the names in its files. A
    family with layers of its own has `encoder`, `reads_pooler` and `variable_of`, and names of its
    own for the weights.
    """

    # As in config.json.
    model_type: str
    # What the names of transformers' classes begin with: `Bert` in `BertForTokenClassification`.
    class_prefix: str
    # The class of its tokenizer in transformers.
    tokenizer_class: str
    # Whether transformers reads its vocabulary from a vocab.txt.
    has_vocab_txt = False
    # Its special tokens, as tokenizer_config.json names them.
    special_tokens: ClassVar[dict[str, str]]
    # What else transformers' tokenizer_config.json has.
    tokenizer_values: ClassVar[dict] = {}
    # As people write it.
    title: str
    # The masked language modeling head of its checkpoints.
    masked_head: ClassVar[MaskedHead]
    # What follows the dense layer over the first token: "tanh", "gelu" or "relu".
    pooler_activation = "tanh"
    # Whether that layer's input has dropout.
    drops_pooler_input = False
    # Values of config.json without which the exported graph is another model, with the default.
    required_values: ClassVar[dict] = {}

    @abstractmethod
    def read_config(self, values: dict, path: str) -> EncoderConfig:
        """The encoder's sizes from the content of a `config.json`.

        `path` is only named in errors. Raises ConfigError for a size that is missing and for
        anything that the exported graph does not compute.
        """

    def check_values(self, values: dict, path: str):
        """Raises ConfigError where a key of `required_values` has another value."""
        for key, wanted in self.required_values.items():
            value = values.get(key, wanted)
            if value != wanted:
                raise ConfigError(f"{path}: `{key}` is {value!r}, but only {wanted!r} is supported")

    def tensor_shapes(self, config: EncoderConfig) -> dict[str, tuple[int, ...]]:
        """The shape of every weight under BertModel's name. A checkpoint must hold all of them but
        `pooler.…`; dense kernels are `[outputs, inputs]`."""
        return config.tensor_shapes()

    @abstractmethod
    def names_in_file(self, name: str) -> tuple[str, ...]:
        """The names under which checkpoints store the weight that BertModel calls `name`, in the
        order in which they are looked for."""

    def read_tokenizer(self, folder: Path, lowercase: bool | None) -> Tokenizer:
        """Reads the tokenizer of a checkpoint's folder; this one is WordPiece.

        `lowercase` is the user's choice, or None: the folder decides. Raises TokenizerError.
        """
        return read_wordpiece(folder, lowercase)

    def max_length(self, config: EncoderConfig) -> int:
        """The number of tokens of the longest sequence."""
        return config.max_position_embeddings

    def embeddings(self, config: EncoderConfig, tensors):
        """The `encoder.Embeddings` of these weights, numpy arrays under BertModel's names.

        This is where a family states the position of the first token.
        """
        # Imported here: reading a checkpoint needs no TensorFlow.
        from ..encoder import Embeddings

        return Embeddings(config, tensors)

    def reads_pooler(self, head) -> bool:
        """Whether a class of `heads` reads the weights `pooler.…`."""
        return head.pooled

    def encoder(self, config: EncoderConfig, tensors, pooled: bool):
        """The `encoder.Encoder` of these weights, with the pooler where it is `pooled`, or a
        `tf.Module` with the same methods."""
        from ..encoder import Encoder, Pooler, dense_of

        pooler = None
        if pooled:
            dense = dense_of(tensors, "pooler.dense")
            pooler = Pooler(dense, self.pooler_activation, self.drops_pooler_input)
        return Encoder(config, self.embeddings(config, tensors), tensors, pooler)

    # How transformers stores a trained model of the family: `python_export.hugging_face`.

    def hugging_face_name(self, name: str, head) -> str:
        """The name in transformers' model with the class `head` of `heads` of the weight that
        BertModel calls `name`."""
        return f"{self.model_type}.{name}"

    def variable_of(self, name: str) -> dict:
        """What the weight that this package calls `name` is of a variable: its row in the table of
        `python_export.hugging_face` without its own name."""
        return bert_variable(name)

    def hugging_face_head(self, head) -> str | None:
        """The name of the dense layer in transformers' model that is `head`'s, a class of `heads`.

        None where that model computes something else from the encoder than this package does, so
        that a trained model cannot become one of transformers'.
        """
        return head.hugging_face_name

    def hugging_face_head_weight(self, name: str, head) -> str | None:
        """The name in transformers' model of a weight that `head.hugging_face_weights` lists; that
        list of the masked language modeling head has BertForMaskedLM's names. None where the
        family's head has no such weight."""
        return self.masked_head.rename(name) if head.name_in_contract == "masked" else name

    def hugging_face_config(self, config: EncoderConfig) -> dict:
        """The encoder's part of config.json, which `read_config` reads."""
        values = {"model_type": self.model_type, **config.to_json()}
        del values["embedding_size"]
        return values


def with_prefix(prefix: str, name: str) -> tuple[str, ...]:
    """A weight's names in files: models with a head store the encoder under a prefix."""
    return tuple(f"{before}{name}" for name in with_old_name(name) for before in ("", f"{prefix}."))


def with_old_name(name: str) -> tuple[str, ...]:
    """A weight's name, and that in checkpoints converted from TensorFlow 1, which have that
    library's names for layer normalisation."""
    converted = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
        "LayerNorm.bias", "LayerNorm.beta"
    )
    return tuple(dict.fromkeys((name, converted)))


def is_of_sequences(head) -> bool:
    """Whether a class of `heads` is a model for sequence classification in transformers."""
    return head.hugging_face_class == "ForSequenceClassification"
