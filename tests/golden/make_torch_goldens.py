"""Makes small files of PyTorch weights in both layouts, for the reader that does without PyTorch.

    python tests/golden/make_torch_goldens.py

Run with torch 2.15. Writes `torch_files/archive.bin`, the zip archive of PyTorch 1.6 and later, and
`torch_files/stream.bin`, the layout before, beside this script. Both hold the same tensors: number
formats, views of a shared storage, and a parameter.
"""

from collections import OrderedDict
from pathlib import Path

import torch

FOLDER = Path(__file__).parent / "torch_files"


def main():
    counted = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    tensors = OrderedDict(
        float32=counted,
        float16=counted.half(),
        bfloat16=counted.bfloat16(),
        float64=counted.double(),
        int64=counted.long(),
        transposed=counted.T,
        part=counted[1:, 2:],
        parameter=torch.nn.Parameter(counted.clone()),
        scalar=torch.tensor(3.0),
    )
    tensors._metadata = OrderedDict({"": {"version": 1}})
    FOLDER.mkdir(exist_ok=True)
    for name, is_archive in (("archive", True), ("stream", False)):
        path = FOLDER / f"{name}.bin"
        torch.save(tensors, path, _use_new_zipfile_serialization=is_archive)
        print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
