"""ModernBERT (Warner et al., 2024): rotary positions, layers with local and global attention, gated
feed-forward networks, normalised inputs, no biases. Its graph is `pre_norm`."""

from dataclasses import dataclass
from typing import ClassVar

from ..config import ACTIVATIONS, ConfigError, EncoderConfig
from ..subword import read_subword
from ..tokenizer import in_one_segment
from .bert import WORDPIECE_TOKENS
from .family import Family, MaskedHead

_KINDS = ("full_attention", "sliding_attention")
_POOLINGS = ("cls", "mean")
# Names of config.json that are others than ours.
_RENAMED = {"hidden_activation": "hidden_act", "norm_eps": "layer_norm_eps"}
# transformers' own defaults.
_DEFAULTS = {"hidden_act": "gelu", "layer_norm_eps": 1e-5, "pad_token_id": 50283}
_THETAS = {
    "full_attention": ("global_rope_theta", 160_000.0),
    "sliding_attention": ("local_rope_theta", 10_000.0),
}
_EVERY = "global_attn_every_n_layers"
_LAYER_VARIABLES = {
    "attn_norm": "attention_norm/gamma",
    "attn.Wqkv": "query_key_value/kernel",
    "attn.Wo": "attention_output/kernel",
    "mlp_norm": "output_norm/gamma",
    "mlp.Wi": "intermediate/kernel",
    "mlp.Wo": "output/kernel",
}
_VARIABLES = {
    "embeddings.tok_embeddings": "embeddings/word_embeddings",
    "embeddings.norm": "embeddings/norm/gamma",
    "final_norm": "final_norm/gamma",
    "pooler.dense": "pooler/kernel",
    "pooler.norm": "pooler/norm/gamma",
}


@dataclass(frozen=True)
class ModernBertConfig(EncoderConfig):
    """The sizes and constants of a ModernBERT.

    A layer of type `sliding_attention` attends to at most `local_attention // 2` tokens on each
    side. `layer_types` and the two bases of the rotary positions are those of transformers. The
    ids of the special tokens are for its config.json only: the tokenizer has its own.
    """

    local_attention: int = 128
    layer_types: tuple[str, ...] = ()
    global_rope_theta: float = 160_000.0
    local_rope_theta: float = 10_000.0
    classifier_pooling: str = "cls"
    classifier_activation: str = "gelu"
    cls_token_id: int = 50281
    sep_token_id: int = 50282

    def __post_init__(self):
        super().__post_init__()
        _check_choice("classifier_pooling", self.classifier_pooling, _POOLINGS)
        _check_choice("classifier_activation", self.classifier_activation, ACTIVATIONS)
        if type(self.local_attention) is not int or self.local_attention < 0:
            raise ConfigError(
                f"`local_attention` is {self.local_attention!r}, expected a whole number"
            )
        if len(self.layer_types) != self.num_hidden_layers:
            raise ConfigError(
                f"`layer_types` has {len(self.layer_types)} layers, but `num_hidden_layers` is "
                f"{self.num_hidden_layers}"
            )
        for kind in self.layer_types:
            _check_choice("layer_types", kind, _KINDS)
        for name, theta in zip(("global", "local"), self.rope_thetas.values(), strict=True):
            if type(theta) not in (int, float) or not theta > 0:
                raise ConfigError(
                    f"`{name}_rope_theta` is {theta!r}, expected a number greater than 0"
                )
        if self.head_size % 2:
            raise ConfigError(
                f"the width of an attention head is {self.head_size}, but rotary positions need an "
                "even one"
            )

    @property
    def rope_thetas(self) -> dict[str, float]:
        """The base of the rotary positions of each type of layer."""
        return dict(zip(_KINDS, (self.global_rope_theta, self.local_rope_theta), strict=True))

    def tensor_shapes(self):
        width, inner = self.hidden_size, self.intermediate_size
        shapes = {
            "embeddings.tok_embeddings.weight": (self.vocab_size, width),
            "embeddings.norm.weight": (width,),
        }
        for layer in range(self.num_hidden_layers):
            # The embeddings are normalised already.
            before = {"attn_norm": (width,)} if layer else {}
            parts = {
                **before,
                "attn.Wqkv": (3 * width, width),
                "attn.Wo": (width, width),
                "mlp_norm": (width,),
                "mlp.Wi": (2 * inner, width),
                "mlp.Wo": (width, inner),
            }
            shapes |= {f"layers.{layer}.{part}.weight": shape for part, shape in parts.items()}
        shapes["final_norm.weight"] = (width,)
        shapes |= {"pooler.dense.weight": (width, width), "pooler.norm.weight": (width,)}
        return shapes

    def to_json(self):
        return {**super().to_json(), "layer_types": list(self.layer_types)}


class ModernBert(Family):
    """ModernBERT. Its weights go by the names of ModernBertModel, and the prediction head, which
    all its task heads have, by `pooler.…`."""

    model_type = "modernbert"
    title = "ModernBERT"
    class_prefix = "ModernBert"
    # Its models take no `token_type_ids`, which other classes would give them.
    tokenizer_class = "PreTrainedTokenizerFast"
    tokenizer_values: ClassVar = {"model_input_names": ["input_ids", "attention_mask"]}
    special_tokens: ClassVar = WORDPIECE_TOKENS
    # What it has of dense layer and normalisation is the prediction head.
    masked_head: ClassVar = MaskedHead(dense=None, norm=None, output="decoder")
    required_values: ClassVar = {
        "attention_bias": False,
        "mlp_bias": False,
        "norm_bias": False,
        "classifier_bias": False,
        "rope_scaling": None,
    }

    def read_config(self, values, path):
        self.check_values(values, path)
        known = {_RENAMED.get(key, key): v for key, v in values.items() if v is not None}
        known = {**_DEFAULTS, **known, "type_vocab_size": 1, "embedding_size": None}
        known["layer_types"] = _layer_types(known, path)
        known |= {name: _theta(known, kind, path) for kind, (name, _) in _THETAS.items()}
        if values.get("local_rope_theta", 0) is None:
            # As in transformers 4.
            known["local_rope_theta"] = known["global_rope_theta"]
        return ModernBertConfig.from_values(known, path)

    def names_in_file(self, name):
        if name.startswith("pooler."):
            return (f"head.{name.removeprefix('pooler.')}",)
        return (name, f"model.{name}")

    def hugging_face_name(self, name, head):
        return self.names_in_file(name)[-1]

    def hugging_face_head(self, head):
        is_masked = head.name_in_contract == "masked"
        return super().hugging_face_head(head) if is_masked else "classifier"

    def hugging_face_config(self, config):
        values = super().hugging_face_config(config)
        for theirs, ours in _RENAMED.items():
            values[theirs] = values.pop(ours)
        del values["type_vocab_size"]
        thetas = {kind: values[name] for kind, (name, _) in _THETAS.items()}
        rope = {kind: {"rope_type": "default", "rope_theta": t} for kind, t in thetas.items()}
        # Which layers are global is stated by transformers 4 as a number.
        types, layers = config.layer_types, config.num_hidden_layers
        every = [n for n in range(1, layers + 1) if types == _global_every(n, layers)]
        values |= {"bos_token_id": config.cls_token_id, "eos_token_id": config.sep_token_id}
        return {**values, "rope_parameters": rope, **({_EVERY: every[0]} if every else {})}

    def variable_of(self, name):
        part = name.removesuffix(".weight")
        if part.startswith("layers."):
            _, layer, part = part.split(".", 2)
            variable = f"encoder/layers/{layer}/{_LAYER_VARIABLES[part]}"
        else:
            variable = f"encoder/{_VARIABLES[part]}"
        transposed = {"transposed": True} if variable.endswith("/kernel") else {}
        return {"variable": variable, **transposed}

    def read_tokenizer(self, folder, lowercase):
        return in_one_segment(read_subword(folder, lowercase))

    def reads_pooler(self, head):
        return True

    def encoder(self, config, tensors, pooled):
        from ..pre_norm import PreNormEncoder

        return PreNormEncoder(config, tensors)


def _check_choice(name, value, choices):
    if value not in choices:
        wanted = ", ".join(f"'{choice}'" for choice in choices)
        raise ConfigError(f"`{name}` is {value!r}, but only {wanted} are supported")


def _global_every(number, layers):
    """The types of layers of which every `number`-th one, from the first on, attends globally."""
    return tuple(_KINDS[bool(index % number)] for index in range(layers))


def _layer_types(values, path):
    """The type of each layer, from the list of transformers 5 or the number of transformers 4."""
    types, layers = values.get("layer_types"), values.get("num_hidden_layers")
    if isinstance(types, list):
        return tuple(types)
    every = values.get(_EVERY, 3)
    if types is not None or type(every) is not int or every < 1:
        name, value = (_EVERY, every) if types is None else ("layer_types", types)
        wanted = "a whole number of at least 1" if types is None else "a list"
        raise ConfigError(f"{path}: `{name}` is {value!r}, expected {wanted}")
    return _global_every(every, layers) if type(layers) is int else ()


def _theta(values, kind, path):
    """The base of the rotary positions of a type of layer, as transformers 5 or 4 states it."""
    name, default = _THETAS[kind]
    every_kind = values.get("rope_parameters") or {}
    rope = every_kind.get(kind) or {} if isinstance(every_kind, dict) else None
    if not isinstance(rope, dict):
        raise ConfigError(f"{path}: `rope_parameters` is {every_kind!r}, expected objects by type")
    is_default = rope.get("rope_type", "default") == "default"
    if not is_default or rope.keys() - {"rope_type", "rope_theta"}:
        raise ConfigError(
            f"{path}: `rope_parameters` of `{kind}` is {rope!r}, but only the `rope_type` "
            "'default' with a `rope_theta` is supported"
        )
    return rope.get("rope_theta", values.get(name, default))
