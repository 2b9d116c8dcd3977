"""Exports a BERT encoder and a task head as the SavedModels that `tfbert` trains and serves.

`docs/contract.md` is the agreement that the exports keep. In the order of the work:
`weights` reads an encoder, `encoder` and `heads` compute with it, `fused` and `attention` hold what
lies between matrix products in training, compiled, and `plain` the same for inference; `optimizer`
updates, `export` writes.
"""

__version__ = "0.1.0"
CONTRACT_VERSION = 1
