"""The forms in which checkpoints are stored: a module for each, all as `stored.StoredTensors`."""

import re
from pathlib import Path

from ..files import WeightsError, read_json
from .keras_h5 import KerasH5
from .safetensors_files import SafetensorsFiles
from .stored import StoredTensors
from .torch_files import TorchFiles

__all__ = ["HUGGING_FACE_FILES", "StoredTensors", "checkpoint_prefix", "open_tensors"]

# Files of weights in a folder in Hugging Face's layout, in the order in which they are looked for.
HUGGING_FACE_FILES = ("model.safetensors", "pytorch_model.bin", "tf_model.h5")
_FORMS = {"model.safetensors": SafetensorsFiles, "pytorch_model.bin": TorchFiles}


def open_tensors(folder: Path) -> StoredTensors | None:
    """The weights in a folder in Hugging Face's layout; None where it has none.

    Raises WeightsError for a file that is damaged or missing.
    """
    for name, form in _FORMS.items():
        whole, index = folder / name, folder / f"{name}.index.json"
        if whole.exists():
            return form([whole], whole)
        if index.exists():
            return form(_shards(folder, index), index)
    h5 = folder / "tf_model.h5"
    return KerasH5(h5) if h5.exists() else None


def _shards(folder, index):
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise WeightsError(f"{index}: `weight_map` with the shard of each tensor is missing")
    names = sorted(set(map(str, weight_map.values())))
    for name in names:
        if Path(name).name != name:
            raise WeightsError(f"{index}: the shard `{name}` is not a file name")
        if not (folder / name).exists():
            raise WeightsError(
                f"{folder / name} does not exist, but {index.name} lists it as one of "
                f"{len(names)} shards\nhint: copy the missing shard into the folder"
            )
    return [folder / name for name in names]


def checkpoint_prefix(folder: Path) -> Path | None:
    """The path, without `.index`, of the TensorFlow checkpoint in a folder; None where it has none.

    Of several the newest that the file `checkpoint` names is taken, else `bert_model.ckpt`. Raises
    WeightsError where neither tells.
    """
    names = sorted(path.name.removesuffix(".index") for path in folder.glob("*.index"))
    if len(names) < 2:
        return folder / names[0] if names else None
    state = folder / "checkpoint"
    said = state.exists() and re.search(
        r'^model_checkpoint_path: "([^"]+)"', state.read_text(errors="replace"), re.MULTILINE
    )
    for name in (Path(said[1]).name if said else "", "bert_model.ckpt"):
        if name in names:
            return folder / name
    raise WeightsError(
        f"{folder} has {len(names)} checkpoints: {', '.join(names[:4])}\n"
        "hint: move the one to export into a folder of its own, with bert_config.json and vocab.txt"
    )
