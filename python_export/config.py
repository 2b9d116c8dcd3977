"""The sizes of an encoder, under the names of BERT's `config.json` in Hugging Face's layout."""

from dataclasses import asdict, dataclass, fields

# Names as in `config.json`; `activations.py` has the functions.
ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu")
_REQUIRED = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "vocab_size",
    "max_position_embeddings",
)


class ConfigError(ValueError):
    """A `config.json` that does not describe an encoder this package can export."""


@dataclass(frozen=True)
class EncoderConfig:
    """An encoder's sizes and constants, all from its `config.json`.

    `embedding_size` is the width of the embeddings, which are projected to `hidden_size` where the
    two differ.
    """

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    vocab_size: int
    max_position_embeddings: int
    type_vocab_size: int = 2
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-12
    initializer_range: float = 0.02
    pad_token_id: int = 0
    embedding_size: int | None = None

    def __post_init__(self):
        if self.embedding_size is None:
            object.__setattr__(self, "embedding_size", self.hidden_size)
        for field in fields(EncoderConfig):
            kind = int if field.type == int | None else field.type
            _check(field.name, kind, getattr(self, field.name))
        if self.hidden_act not in ACTIVATIONS:
            wanted = ", ".join(f"'{name}'" for name in ACTIVATIONS)
            raise ConfigError(
                f"`hidden_act` is {self.hidden_act!r}, but only {wanted} are supported"
            )
        if self.pad_token_id >= self.vocab_size:
            raise ConfigError(
                f"`pad_token_id` is {self.pad_token_id}, but `vocab_size` is {self.vocab_size}"
            )
        if self.hidden_size % self.num_attention_heads:
            raise ConfigError(
                f"hidden_size {self.hidden_size} is not a multiple of "
                f"num_attention_heads {self.num_attention_heads}"
            )

    @property
    def head_size(self) -> int:
        """The width of one attention head."""
        return self.hidden_size // self.num_attention_heads

    @classmethod
    def from_values(cls, values: dict, path: str) -> "EncoderConfig":
        """Takes the fields out of `values`, where other keys do not matter and null counts as
        missing; `path` is only named in errors.

        Raises ConfigError for a size that is missing or that no encoder can have.
        """
        known = {
            name: values[name] for name in cls.__dataclass_fields__ if values.get(name) is not None
        }
        missing = [key for key in _REQUIRED if key not in known]
        if missing:
            raise ConfigError(f"{path}: `{missing[0]}` is missing")
        try:
            return cls(**known)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every weight under the name of Hugging Face's BertModel; dense kernels are
        `[outputs, inputs]`."""
        width, inner, narrow = self.hidden_size, self.intermediate_size, self.embedding_size
        shapes = {
            "embeddings.word_embeddings.weight": (self.vocab_size, narrow),
            "embeddings.position_embeddings.weight": (self.max_position_embeddings, narrow),
            "embeddings.token_type_embeddings.weight": (self.type_vocab_size, narrow),
        }

        def dense(name, outputs, inputs):
            shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (outputs, inputs), (outputs,)

        def norm(name, size=width):
            shapes[f"{name}.weight"] = shapes[f"{name}.bias"] = (size,)

        norm("embeddings.LayerNorm", narrow)
        if narrow != width:
            # ELECTRA's name.
            dense("embeddings_project", width, narrow)
        for layer in range(self.num_hidden_layers):
            prefix = f"encoder.layer.{layer}"
            for part in ("query", "key", "value"):
                dense(f"{prefix}.attention.self.{part}", width, width)
            dense(f"{prefix}.attention.output.dense", width, width)
            norm(f"{prefix}.attention.output.LayerNorm")
            dense(f"{prefix}.intermediate.dense", inner, width)
            dense(f"{prefix}.output.dense", width, inner)
            norm(f"{prefix}.output.LayerNorm")
        dense("pooler.dense", width, width)
        return shapes

    def to_json(self) -> dict:
        """The fields as `tfbert.json` lists them."""
        return asdict(self)


def _check(name, kind, value):
    """Raises ConfigError unless `value` is of the field's type and in its range."""
    least = 0 if name == "pad_token_id" else 1
    if kind is int and (type(value) is not int or value < least):
        raise ConfigError(f"`{name}` is {value!r}, expected a whole number of at least {least}")
    if kind is float and (type(value) not in (int, float) or not 0 <= value <= 1):
        raise ConfigError(f"`{name}` is {value!r}, expected a number from 0 to 1")
