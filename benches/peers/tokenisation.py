"""SQuAD's training file from text to windows, beside Hugging Face's fast tokenizer."""

import argparse
import statistics
import sys
import tempfile

from contenders import HERE, run


def tokenisation(args: argparse.Namespace) -> dict:
    """Times SQuAD's training file from text to windows, with the same threads."""
    data = ("--data-dir", str(args.data_dir))
    rounds = []
    with tempfile.TemporaryDirectory() as scratch:
        ours = [str(args.tfbert), "train", "--task", "squad", *data, "--no-cache", "--overwrite"]
        ours += ["--model", str(args.model.parent / "span"), "--output", scratch + "/run"]
        ours += ["--max-steps", "1", "--limit-dev", "8", "--json"]
        for _ in range(args.rounds):
            our, _ = run(ours, "tfbert train")
            their, _ = run([sys.executable, str(HERE / "hf_tokenise.py"), *data], "tokenizers")
            rounds.append(
                {
                    "seconds": our["tokenise_seconds"],
                    "peer_seconds": their["seconds"],
                    "ratio": their["seconds"] / our["tokenise_seconds"],
                }
            )
            seconds = f"{our['tokenise_seconds']:.2f} s to {their['seconds']:.2f} s"
            print(
                f"SQuAD's training file: {seconds} "
                f"({our['train_examples']} and {their['features']} windows): "
                f"{rounds[-1]['ratio']:.2f}x",
                flush=True,
            )
    return {"tokenisation": statistics.median(r["ratio"] for r in rounds), "rounds": rounds}
