"""Exports a BERT encoder and a task head as the SavedModels that `tfbert` trains and serves.

`docs/contract.md` says what an export holds. The modules in the order of the work:

- Reading an encoder: `weights`, with `source` and `hub` (where it is, and in which form), `formats`
  (how its tensors are stored), `families` (what differs between kinds of encoder), `config`,
  `tokenizer` and `subword`, `stored_head` (the head of a fine-tuned model), `files` and `tiny`.
- The graph: `encoder`, `heads` and `forward`; between matrix products `elementwise`, which
  `attention` and `fused` implement for training and `plain` for inference; `activations`;
  `optimizer` and `lazy_rows`.
- Writing: `model` (what is exported), `rounded`, `signatures`, `export`, `kept` (a model with the
  checkpoint's own head) and `hugging_face`.
"""

__version__ = "0.1.0"
CONTRACT_VERSION = 3
