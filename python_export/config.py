"""The sizes of an encoder, under the names that Hugging Face's `config.json` gives them."""

from dataclasses import asdict, dataclass

# What the exported graph computes; a checkpoint that asks for anything else is refused.
_SUPPORTED = {
    "model_type": ("bert",),
    "hidden_act": ("gelu",),
    "position_embedding_type": ("absolute",),
    "is_decoder": (False,),
    "add_cross_attention": (False,),
}
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
    """A BERT encoder's sizes and constants."""

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

    def __post_init__(self):
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
    def from_hugging_face(cls, values: dict, path: str) -> "EncoderConfig":
        """Reads the content of a `config.json`; `path` is only named in errors.

        Raises ConfigError for a missing size and for anything that the graph does not compute.
        """
        for key, supported in _SUPPORTED.items():
            value = values.get(key, supported[0])
            if value not in supported:
                wanted = " or ".join(repr(choice) for choice in supported)
                raise ConfigError(f"{path}: `{key}` is {value!r}, but only {wanted} is supported")
        missing = [key for key in _REQUIRED if key not in values]
        if missing:
            raise ConfigError(f"{path}: `{missing[0]}` is missing")
        known = {
            name: values[name] for name in cls.__dataclass_fields__ if values.get(name) is not None
        }
        try:
            return cls(**known)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every weight under Hugging Face's name; dense kernels are
        `[outputs, inputs]`."""
        width, inner = self.hidden_size, self.intermediate_size
        shapes = {
            "embeddings.word_embeddings.weight": (self.vocab_size, width),
            "embeddings.position_embeddings.weight": (self.max_position_embeddings, width),
            "embeddings.token_type_embeddings.weight": (self.type_vocab_size, width),
        }

        def dense(name, outputs, inputs):
            shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (outputs, inputs), (outputs,)

        def norm(name):
            shapes[f"{name}.weight"] = shapes[f"{name}.bias"] = (width,)

        norm("embeddings.LayerNorm")
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
