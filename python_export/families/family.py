"""What differs from one kind of encoder to another; everything else in this package is shared."""

from abc import ABC, abstractmethod
from pathlib import Path

from ..config import EncoderConfig
from ..tokenizer import Tokenizer


class Family(ABC):
    """One kind of encoder: how its checkpoints are read and how its embeddings are computed.

    All families share the layers of `encoder.Encoder`. Its weights go by the names of Hugging
    Face's `BertModel` throughout this package; a family maps them to the names in its files.
    """

    # As in config.json.
    model_type: str

    @abstractmethod
    def read_config(self, values: dict, path: str) -> EncoderConfig:
        """The encoder's sizes from the content of a `config.json`.

        `path` is only named in errors. Raises ConfigError for a size that is missing and for
        anything that the exported graph does not compute.
        """

    @abstractmethod
    def tensor_shapes(self, config: EncoderConfig) -> dict[str, tuple[int, ...]]:
        """The shape of every weight under BertModel's name. A checkpoint must hold all of them but
        `pooler.…`; dense kernels are `[outputs, inputs]`."""

    @abstractmethod
    def names_in_file(self, name: str) -> tuple[str, ...]:
        """The names under which checkpoints store the weight that BertModel calls `name`, in the
        order in which they are looked for."""

    @abstractmethod
    def read_tokenizer(self, folder: Path, lowercase: bool | None) -> Tokenizer:
        """Reads the tokenizer of a checkpoint's folder.

        `lowercase` is the user's choice, or None: the folder decides. Raises TokenizerError.
        """

    @abstractmethod
    def max_length(self, config: EncoderConfig) -> int:
        """The number of tokens of the longest sequence."""

    @abstractmethod
    def embeddings(self, config: EncoderConfig, tensors):
        """The `encoder.Embeddings` of these weights, numpy arrays under BertModel's names.

        This is where a family states the position of the first token.
        """
