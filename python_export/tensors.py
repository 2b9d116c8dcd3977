"""Reading an encoder's weights from safetensors: one file, or shards with their index."""

import hashlib
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import safetensors

from .config import EncoderConfig
from .families.family import Family
from .files import WeightsError, read_json

_FILE = "model.safetensors"
_INDEX = "model.safetensors.index.json"


def read_tensors(
    folder: Path, family: Family, config: EncoderConfig
) -> tuple[dict[str, np.ndarray], str]:
    """The encoder's weights under BertModel's names in float32, and the SHA-256 of their file.

    Other tensors in the files, such as those of a task head, are left aside. Of shards the SHA-256
    is that of the lines `HASH  NAME` of all of them, as `sha256sum` prints them. Raises
    WeightsError where a file or a tensor is missing, damaged or of another shape.
    """
    paths, where = _files(folder)
    with ExitStack() as stack:
        stored = {}
        for path in paths:
            file = stack.enter_context(_open(path))
            stored |= {key: (file, path) for key in file.keys()}  # noqa: SIM118
        tensors = {}
        for name, shape in family.tensor_shapes(config).items():
            key = next((key for key in family.names_in_file(name) if key in stored), None)
            if key is not None:
                tensors[name] = _read(*stored[key], key, shape)
            elif not name.startswith("pooler."):
                raise WeightsError(f"{where}: the tensor `{name}` is missing")
    return tensors, _sha256(paths)


def _files(folder):
    """The files that hold the weights, and the path that an error about all of them names."""
    whole, index = folder / _FILE, folder / _INDEX
    if whole.exists() or not index.exists():
        return [whole], whole
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise WeightsError(f"{index}: `weight_map` with the shard of each tensor is missing")
    names = sorted(set(map(str, weight_map.values())))
    for name in names:
        if Path(name).name != name:
            raise WeightsError(f"{index}: the shard `{name}` is not a file name")
        if not (folder / name).exists():
            raise WeightsError(
                f"{folder / name} does not exist, but {_INDEX} lists it as one of "
                f"{len(names)} shards\nhint: copy the missing shard into the folder"
            )
    return [folder / name for name in names], index


def _open(path):
    try:
        return safetensors.safe_open(path, "numpy")
    except FileNotFoundError:
        raise WeightsError(
            f"{path} does not exist\n"
            "hint: a checkpoint in another format is converted by transformers' "
            "`save_pretrained(FOLDER, safe_serialization=True)`"
        ) from None
    except safetensors.SafetensorError as error:
        raise WeightsError(f"{path} is not a safetensors file: {error}") from None


def _read(file, path, key, shape):
    try:
        tensor = file.get_tensor(key)
    except (TypeError, AttributeError) as error:
        raise WeightsError(f"{path}: `{key}` cannot be read: {error}") from None
    if tensor.dtype.kind not in "fV":
        raise WeightsError(f"{path}: `{key}` is {tensor.dtype}, expected a floating-point type")
    if tensor.shape != shape:
        raise WeightsError(
            f"{path}: `{key}` has shape {list(tensor.shape)}, "
            f"but config.json asks for {list(shape)}"
        )
    return tensor.astype(np.float32)


def _sha256(paths):
    digests = []
    for path in paths:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    if len(paths) == 1:
        return digests[0]
    lines = [f"{digest}  {path.name}\n" for digest, path in zip(digests, paths, strict=True)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
