"""The kinds of encoder that can be exported, by `model_type` of Hugging Face's `config.json`.

A new kind is a module with a subclass of `Family`, and its row in `FAMILIES`.
"""

from ..config import ConfigError
from .bert import Bert
from .family import Family

FAMILIES: dict[str, Family] = {family.model_type: family for family in (Bert(),)}


def family_of(values: dict, path: str) -> Family:
    """The family of a parsed `config.json`; one without `model_type` is BERT's.

    `path` is only named in the error. Raises ConfigError for a model type without a family.
    """
    model_type = values.get("model_type", Bert.model_type)
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        known = " or ".join(f"'{name}'" for name in FAMILIES)
        raise ConfigError(f"{path}: `model_type` is {model_type!r}, but only {known} is supported")
    return FAMILIES[model_type]
