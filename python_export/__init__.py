"""Exports a BERT encoder and a task head as the SavedModels that `tfbert` trains and serves.

`docs/contract.md` says what an export holds. The modules in the order of the work:

- Reading an encoder: `weights`, with `families` (what differs between kinds of encoder), `config`,
  `tokenizer`, `tensors`, `files` and `tiny`.
- The graph: `encoder`, `heads` and `forward`; between matrix products `elementwise`, which
  `attention` and `fused` implement for training and `plain` for inference; `optimizer`.
- Writing: `model` (what is exported), `rounded` and `export`.
"""

__version__ = "0.1.0"
CONTRACT_VERSION = 1
