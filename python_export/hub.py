"""Checkpoints from the Hugging Face Hub, through its package `huggingface_hub`."""

import re
from pathlib import Path

from .files import WeightsError

# What is read beside the weights.
_TEXTS = (
    *("config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"),
    *("vocab.json", "merges.txt"),
)
# The weights, in the order in which they are looked for: a repository may have several forms.
_WEIGHTS = (
    ("model.safetensors", "model.safetensors.index.json", "model-*.safetensors"),
    ("pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-*.bin"),
    ("tf_model.h5",),
)
_ID = re.compile(r"([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")


def is_hub_id(encoder: str) -> bool:
    """Whether it has the form `OWNER/NAME` or `OWNER/NAME@REVISION`."""
    return _ID.fullmatch(encoder) is not None


def name_of(encoder: str) -> str:
    """The name of a Hub id without owner and revision."""
    return _ID.fullmatch(encoder)[1].partition("/")[2]


def download(encoder: str) -> Path:
    """The folder with the files of a Hub id, in the cache of `huggingface_hub`.

    Only what is missing there is fetched, from `HF_ENDPOINT` if that is set, and one form of the
    weights alone. Raises WeightsError.
    """
    try:
        from huggingface_hub import constants, snapshot_download
        from huggingface_hub.errors import (
            GatedRepoError,
            HfHubHTTPError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )
    except ImportError:
        raise WeightsError(
            f"`{encoder}` is no folder, and to look for it on the Hub takes the package "
            "huggingface_hub, which is not installed\nhint: pip install huggingface_hub"
        ) from None
    repository, revision = _ID.fullmatch(encoder).groups()

    def fetch(patterns):
        return Path(snapshot_download(repository, revision=revision, allow_patterns=patterns))

    try:
        folder = fetch(_TEXTS)
        for patterns in _WEIGHTS:
            fetch(patterns)
            if any((folder / name).exists() for name in patterns):
                break
        return folder
    except GatedRepoError:
        raise WeightsError(
            f"`{repository}` asks for its terms to be accepted\nhint: accept them on its page at "
            f"{constants.ENDPOINT}/{repository}, then run `hf auth login`"
        ) from None
    except RevisionNotFoundError:
        raise WeightsError(f"`{repository}` has no revision `{revision}`") from None
    except RepositoryNotFoundError:
        raise WeightsError(
            f"`{repository}` is neither a folder nor a model that {constants.ENDPOINT} shows\n"
            "hint: check its name; a private one takes `hf auth login`"
        ) from None
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise WeightsError(
            f"`{encoder}` is no folder, is not in the cache {constants.HF_HUB_CACHE}, and could "
            f"not be fetched from {constants.ENDPOINT}: {reason}\n"
            "hint: on a machine with network run `hf download` for it and copy that cache, or give "
            "a folder with the model's files"
        ) from None
