"""PyTorch's `pytorch_model.bin`: one file, or shards, read without PyTorch.

Such a file is a pickle, which may call any function of Python. Here it may only do what a file of
weights needs: build dictionaries and describe tensors. Both layouts are read: the zip archive that
PyTorch writes since version 1.6, and the stream of pickles before.
"""

import io
import pickle
import zipfile
from typing import NamedTuple

import numpy as np

from ..files import WeightsError
from .stored import StoredTensors

# The number that begins a file of the older layout, from PyTorch's serialization.py.
_MAGIC = 0x1950A86A20F9469CFC6C
# Storage classes, with the dtype of one element. bf16 is read as its bits.
_STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "<u2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
# What a damaged pickle, or one of something else, raises.
_DAMAGED = (
    *(pickle.UnpicklingError, ValueError, EOFError, TypeError, KeyError, IndexError),
    *(AttributeError, zipfile.BadZipFile, OverflowError, MemoryError, RuntimeError),
    *(NotImplementedError, OSError, RecursionError, AssertionError),
)


class _StorageType(NamedTuple):
    name: str


class _Storage(NamedTuple):
    kind: str
    key: str


class _Tensor(NamedTuple):
    """A view of a storage, in elements."""

    storage: _Storage
    offset: int
    shape: tuple
    strides: tuple


class _Refused(Exception):
    """A pickle that asks for something that is no weight."""


def _rebuild_tensor(storage, offset, shape, strides, *_):
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _rebuild_parameter(tensor, *_):
    return tensor


class _Dict(dict):
    """In the place of `OrderedDict`, which takes a state: `_metadata` of modules, left aside."""

    def __setstate__(self, state):
        pass


_ALLOWED = {
    ("collections", "OrderedDict"): _Dict,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
} | {("torch", name): _StorageType(name) for name in _STORAGES}


class _Unpickler(pickle._Unpickler):
    """Unpickles tensors as descriptions, and nothing else. `storages` are those it met, by key.

    It is Python's form of the unpickler, because the one in C allocates as much memory as a damaged
    file asks for.
    """

    def __init__(self, file):
        super().__init__(file)
        self.storages = {}

    def find_class(self, module, name):
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise _Refused(f"{module}.{name}") from None

    def persistent_load(self, pid):
        kind, storage_type, key, _location, _size, *view = pid
        if kind != "storage" or not isinstance(storage_type, _StorageType) or any(view):
            raise _Refused(f"persistent object {kind!r}")
        return self.storages.setdefault(str(key), _Storage(storage_type.name, str(key)))


class TorchFiles(StoredTensors):
    """The tensors of all `files`."""

    def __init__(self, files, where):
        self.files, self.where = files, where
        self._stored = {}
        for path in files:
            archive = _opened(path)
            self._stored |= {name: (archive, tensor) for name, tensor in archive.tensors.items()}

    def names(self):
        return self._stored.keys()

    def read(self, name):
        archive, tensor = self._stored[name]
        try:
            return archive.array(tensor)
        except _DAMAGED as error:
            raise WeightsError(f"{self.place(name)} cannot be read: {error}") from None

    def place(self, name):
        return f"{self._stored[name][0].path}: `{name}`"

    def close(self):
        self._stored = {}


def _opened(path):
    try:
        archive = _Zip(path) if zipfile.is_zipfile(path) else _Stream(path)
        archive.tensors = _tensors(archive.content)
        return archive
    except _Refused as refused:
        raise WeightsError(
            f"{path} is refused: unpickling it would run `{refused}`, which no file of weights "
            "needs\nhint: in an environment where you trust it, load it with PyTorch and write it "
            "with `safetensors.torch.save_file`"
        ) from None
    except _DAMAGED as error:
        raise WeightsError(f"{path} is not a file of PyTorch weights: {error}") from None


def _tensors(content):
    """The tensors in a dictionary by name, or in the one that is its entry `state_dict`."""
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__}, expected tensors by name")
    found = {}
    for name, value in content.items():
        if isinstance(name, str) and isinstance(value, _Tensor):
            found[name] = value
    if not found:
        raise ValueError("it holds no tensors")
    return found


class _Archive:
    def __init__(self, path):
        self.path = path

    def array(self, tensor):
        """The elements of a tensor."""
        dtype = np.dtype(_STORAGES[tensor.storage.kind])
        elements = np.frombuffer(self.storage(tensor.storage.key), dtype)
        # Views past the end of their storage would read foreign memory.
        sizes = zip(tensor.shape, tensor.strides, strict=True)
        last = tensor.offset + sum((size - 1) * stride for size, stride in sizes)
        empty = 0 in tensor.shape
        negative = min((tensor.offset, *tensor.shape, *tensor.strides)) < 0
        if negative or (not empty and last >= len(elements)):
            raise ValueError("it lies outside its storage: the file ends early")
        view = np.lib.stride_tricks.as_strided(
            elements[tensor.offset :],
            tensor.shape,
            [stride * dtype.itemsize for stride in tensor.strides],
        )
        if tensor.storage.kind == "BFloat16Storage":
            return (view.astype(np.uint32) << 16).view(np.float32)
        return view


class _Zip(_Archive):
    """PyTorch 1.6 and later: `NAME/data.pkl`, and `NAME/data/KEY` for each storage."""

    def __init__(self, path):
        super().__init__(path)
        with zipfile.ZipFile(path) as file:
            pickles = [name for name in file.namelist() if name.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise ValueError("the archive has no `data.pkl`")
            self._folder = pickles[0].removesuffix("data.pkl")
            order = f"{self._folder}byteorder"
            if order in file.namelist() and file.read(order) != b"little":
                raise ValueError("its byte order is not little endian")
            self.content = _Unpickler(io.BytesIO(file.read(pickles[0]))).load()

    def storage(self, key):
        with zipfile.ZipFile(self.path) as file:
            return file.read(f"{self._folder}data/{key}")


class _Stream(_Archive):
    """Before PyTorch 1.6: pickles of a number, a version, the machine's byte order, the content
    and the keys of the storages; then for each its size (int64) and its elements."""

    def __init__(self, path):
        super().__init__(path)
        with path.open("rb") as file:
            if _Unpickler(file).load() != _MAGIC:
                raise ValueError("it does not begin with PyTorch's number")
            version, system = _Unpickler(file).load(), _Unpickler(file).load()
            if version != 1001 or not system.get("little_endian"):
                raise ValueError("its version or byte order is not supported")
            unpickler = _Unpickler(file)
            self.content = unpickler.load()
            self._places = {}
            for key in _Unpickler(file).load():
                count = int(np.frombuffer(file.read(8), "<i8")[0])
                size = count * np.dtype(_STORAGES[unpickler.storages[str(key)].kind]).itemsize
                if count < 0:
                    raise ValueError("a storage has a negative size")
                self._places[str(key)] = (file.tell(), size)
                file.seek(size, io.SEEK_CUR)

    def storage(self, key):
        start, size = self._places[key]
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(size)
