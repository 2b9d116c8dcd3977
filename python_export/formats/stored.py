"""Tensors as a checkpoint's files store them."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Collection
from pathlib import Path

import numpy as np


class StoredTensors(ABC):
    """The tensors of a checkpoint, under the names and in the layout of Hugging Face's PyTorch
    models: dense kernels are `[outputs, inputs]`.

    A form that has other names or another layout translates both. It is a context manager, which
    closes the files.
    """

    # All files that hold tensors.
    files: list[Path]
    # What an error about all of them names.
    where: Path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @abstractmethod
    def names(self) -> Collection[str]:
        """The name of every tensor."""

    @abstractmethod
    def read(self, name: str) -> np.ndarray:
        """A tensor in the number format in which it is stored; bf16 may be float32.

        Raises WeightsError where it is damaged.
        """

    def place(self, name: str) -> str:
        """The file and the name in it, for errors."""
        return f"{self.where}: `{name}`"

    def close(self):  # noqa: B027
        """Closes the files."""

    def sha256(self) -> str:
        """The SHA-256 of the file; of several that of the lines `HASH  NAME` that `sha256sum`
        prints for them in the order of their names."""
        digests = []
        for path in self.files:
            with path.open("rb") as file:
                digests.append(hashlib.file_digest(file, "sha256").hexdigest())
        if len(digests) == 1:
            return digests[0]
        lines = [f"{d}  {path.name}\n" for d, path in zip(digests, self.files, strict=True)]
        return hashlib.sha256("".join(lines).encode()).hexdigest()
