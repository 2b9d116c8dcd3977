"""The kinds of encoder that can be exported, by `model_type` of Hugging Face's `config.json`.

A new kind is a module with a subclass of `Family`, and its row in `FAMILIES`.
"""

from ..config import ConfigError
from .bert import Bert
from .distilbert import DistilBert
from .electra import Electra
from .family import Family
from .modernbert import ModernBert
from .roberta import Roberta

FAMILIES: dict[str, Family] = {
    family.model_type: family
    for family in (
        Bert(),
        DistilBert(),
        Electra(),
        Roberta("roberta", "RoBERTa", "Roberta"),
        Roberta("xlm-roberta", "XLM-RoBERTa", "XLMRoberta"),
        Roberta("camembert", "CamemBERT", "Camembert"),
        ModernBert(),
    )
}


def family_of(values: dict, path: str) -> Family:
    """The family of a parsed `config.json`; one without `model_type` is BERT's.

    `path` is only named in the error. Raises ConfigError for a model type without a family.
    """
    model_type = values.get("model_type", Bert.model_type)
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        known = ", ".join(f"'{name}'" for name in FAMILIES)
        raise ConfigError(f"{path}: `model_type` is {model_type!r}, but only {known} are supported")
    return FAMILIES[model_type]
