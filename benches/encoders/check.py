"""Takes each family of encoders and form of a checkpoint the whole way: `make check-encoders`.

A small random model of transformers is exported, compared with transformers, trained on the sample
of SST-2, exported to Hugging Face's layout and loaded by transformers again. Prints a table and
exits with 1 where a row fails. Runs in the peers' environment (PyTorch, transformers), and calls
python_export and tfbert as a user does.
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv" / "bin" / "python"
TFBERT = ROOT / "target" / "release" / "tfbert"
GOLDENS = ROOT / "tests" / "golden"
SENTENCES = ROOT / "data" / "SST-2" / "dev.tsv"

# The largest difference of a log probability in float32.
TOLERANCE = 2e-4
SIZES = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": 130,
    "initializer_range": 0.1,
}
DISTIL = {
    "dim": 64,
    "n_layers": 2,
    "n_heads": 4,
    "hidden_dim": 128,
    "max_position_embeddings": 130,
    "initializer_range": 0.1,
}
BERT_TOKENS = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
ROBERTA_TOKENS = {"pad": "<pad>", "unk": "<unk>", "cls": "<s>", "sep": "</s>", "mask": "<mask>"}


class Kind(NamedTuple):
    """A family: transformers' `model_type`, sizes, tokenizer.json and its special tokens."""

    model_type: str
    sizes: dict
    tokenizer: Path | None
    tokens: dict


FAMILIES = {
    "BERT": Kind("bert", SIZES, None, BERT_TOKENS),
    "DistilBERT": Kind("distilbert", DISTIL, None, BERT_TOKENS),
    "ELECTRA": Kind("electra", {**SIZES, "embedding_size": 32}, None, BERT_TOKENS),
    "RoBERTa": Kind("roberta", SIZES, GOLDENS / "byte_level_tokenizer.json", ROBERTA_TOKENS),
    "XLM-RoBERTa": Kind("xlm-roberta", SIZES, GOLDENS / "unigram_tokenizer.json", ROBERTA_TOKENS),
    "CamemBERT": Kind("camembert", SIZES, GOLDENS / "unigram_tokenizer.json", ROBERTA_TOKENS),
    "ModernBERT": Kind("modernbert", SIZES, GOLDENS / "modernbert_tokenizer.json", BERT_TOKENS),
}
# The forms of a checkpoint by the folders that hold them, with more arguments of the export.
FORMS = {
    "safetensors in shards": ("shards", []),
    "pytorch_model.bin": ("torch", []),
    "tf_model.h5": ("keras", []),
    "Google, TensorFlow 1": ("google", ["--do-lower-case", "true"]),
    "Model Garden": ("garden", ["--do-lower-case", "true"]),
    "TensorFlow Hub": ("hub", []),
}


class Failed(Exception):
    """A step of a row that did not work, with what it printed."""


class Row(NamedTuple):
    """What was measured of a form or family.

    `log_probabilities` is the largest difference of a log probability from transformers' before
    training, None for a form whose weights are compared. `accuracy` is that of the trained model.
    Of its `of` predictions `equal` are also transformers', and `difference` is the largest of a
    probability.
    """

    name: str
    export_seconds: float
    log_probabilities: float | None
    accuracy: float
    equal: int
    of: int
    difference: float

    def cells(self):
        known = self.log_probabilities
        start = "the same weights" if known is None else f"{known:.1e}"
        back = f"{self.equal} of {self.of}, {self.difference:.1e}"
        return (
            f"| {self.name} | {self.export_seconds:.1f} | {start} | {self.accuracy:.4f} | {back} |"
        )

    def is_right(self):
        differences = [self.difference, self.log_probabilities or 0.0]
        return self.equal == self.of and max(differences) <= TOLERANCE


def run(command):
    """The output of a command; raises Failed where it ends with an error."""
    done = subprocess.run(
        [str(word) for word in command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Failed(f"{' '.join(map(str, command))}\n{done.stderr[-2000:]}")
    return done.stdout


def sentences():
    with SENTENCES.open(newline="") as file:
        return [
            row["sentence"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        ]


def make_tokenizer(kind, folder):
    """The tokenizer of a family, also saved into `folder`."""
    from transformers import BertTokenizer, PreTrainedTokenizerFast

    tokens = {f"{name}_token": token for name, token in kind.tokens.items()}
    if kind.tokenizer:
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(kind.tokenizer), **tokens)
    else:
        vocabulary = run(
            [PYTHON, "-c", "from python_export import tiny; print(*tiny.vocabulary())"]
        )
        pieces = vocabulary.split()
        (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces))
        tokenizer = BertTokenizer(
            vocab={piece: index for index, piece in enumerate(pieces)}, **tokens
        )
    tokenizer.save_pretrained(folder)
    return tokenizer


def make_checkpoint(kind, folder):
    """A random model of transformers with a head for two labels, in `folder`."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    folder.mkdir(parents=True)
    tokenizer = make_tokenizer(kind, folder)
    token_ids = {
        name: tokenizer.convert_tokens_to_ids(kind.tokens[token])
        for name, token in (
            ("pad_token_id", "pad"),
            ("bos_token_id", "cls"),
            ("eos_token_id", "sep"),
            ("cls_token_id", "cls"),
            ("sep_token_id", "sep"),
        )
    }
    config = AutoConfig.for_model(
        kind.model_type,
        **kind.sizes,
        **token_ids,
        vocab_size=len(tokenizer),
        id2label={0: "negative", 1: "positive"},
        label2id={"negative": 0, "positive": 1},
        attn_implementation="eager",
    )
    torch.manual_seed(1)
    model = AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.1)
    model.save_pretrained(folder)


def reference(folder, texts):
    """transformers' log probabilities `[texts, labels]` by a model in `folder`, which must be
    complete."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model, loaded = AutoModelForSequenceClassification.from_pretrained(
        folder, output_loading_info=True
    )
    left = {key: sorted(found) for key, found in loaded.items() if found}
    if left:
        raise Failed(f"{folder}: transformers says {left}")
    model.eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    found = []
    with torch.no_grad():
        for text in texts:
            batch = tokenizer(text, truncation=True, max_length=128, return_tensors="pt")
            found.append(model(**batch).logits.log_softmax(-1)[0])
    return torch.stack(found).numpy()


def predicted(model, texts, work):
    """tfbert's log probabilities of the same."""
    import numpy as np

    source, output = work / "texts.jsonl", work / "predicted.jsonl"
    source.write_text("".join(json.dumps({"sentence": text}) + "\n" for text in texts))
    command = [TFBERT, "predict", "--model", model, "--file", source, "--text", "sentence"]
    run([*command, "--output", output, "--overwrite", "--precision", "f32"])
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    return np.log([list(row["probabilities"].values()) for row in rows])


def export(encoder, name, work, *arguments):
    """Exports an encoder as `work/exports/NAME`; the seconds that it took."""
    start = time.perf_counter()
    command = [PYTHON, "-m", "python_export", "--encoder", encoder, "--name", name]
    run([*command, "--output", work / "exports", *arguments])
    return time.perf_counter() - start


def train_and_return(export_folder, work):
    """Trains an export, exports the result to Hugging Face's layout and compares the predictions of
    both: the score, equal predictions, all of them, the largest difference."""
    import numpy as np

    trained, back = work / "run", work / "back"
    for folder in (trained, back):
        shutil.rmtree(folder, ignore_errors=True)
    command = [TFBERT, "train", "--task", "sst2", "--data-dir", "data", "--model", export_folder]
    command += ["--epochs", "8", "--learning-rate", "2e-3", "--precision", "f32", "--json"]
    score = json.loads(run([*command, "--output", trained]).splitlines()[-1])
    run([TFBERT, "export", trained, "--to", "hugging-face", back])
    texts = sentences()
    ours, theirs = predicted(trained, texts, work), reference(back, texts)
    equal = int((ours.argmax(-1) == theirs.argmax(-1)).sum())
    difference = float(np.abs(np.exp(ours) - np.exp(theirs)).max())
    return score["metrics"]["accuracy"], equal, len(texts), difference


def family_row(name, kind, work):
    import numpy as np

    folder = work / kind.model_type
    make_checkpoint(kind, folder)
    seconds = export(folder, f"{kind.model_type}-new", work, "--head", "classify")
    export(folder, kind.model_type, work, "--keep-head")
    texts = sentences()[:64]
    ours = predicted(work / "exports" / kind.model_type / "model", texts, work)
    difference = float(np.abs(ours - reference(folder, texts)).max())
    new = work / "exports" / f"{kind.model_type}-new" / "classify"
    return Row(name, seconds, difference, *train_and_return(new, work))


def make_forms(work):
    """The BERT of the families in all other forms."""
    import torch
    from transformers import AutoModelForSequenceClassification

    bert = work / "bert"
    model = AutoModelForSequenceClassification.from_pretrained(bert)
    shards, torch_file = work / "shards", work / "torch"
    model.save_pretrained(shards, max_shard_size="100KB")
    torch_file.mkdir()
    torch.save(model.state_dict(), torch_file / "pytorch_model.bin")
    for folder in (shards, torch_file):
        for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
            shutil.copy(bert / name, folder)
    run([PYTHON, ROOT / "benches" / "encoders" / "forms.py", bert, work])


def form_row(name, folder, arguments, work):
    export_name = f"{folder}-new"
    seconds = export(work / folder, export_name, work, "--head", "classify", *arguments)
    new = work / "exports" / export_name / "classify"
    data = "variables/variables.data-00000-of-00001"
    whole = work / "exports" / "bert-new" / "classify"
    if (new / data).read_bytes() != (whole / data).read_bytes():
        raise Failed(f"{name}: its weights are not those of model.safetensors")
    return Row(name, seconds, None, *train_and_return(new, work))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", help="families, by commas; the forms need `BERT`")
    args = parser.parse_args()
    # transformers' progress bars; it reads this when it is imported, so the functions import it.
    os.environ["TQDM_DISABLE"] = "1"
    chosen = args.only.split(",") if args.only else list(FAMILIES)
    if unknown := set(chosen) - set(FAMILIES):
        parser.error(f"unknown {', '.join(unknown)}; choose from {', '.join(FAMILIES)}")
    with tempfile.TemporaryDirectory() as folder:
        work, failed = Path(folder), []
        steps = [(name, lambda n=name: family_row(n, FAMILIES[n], work)) for name in chosen]
        if "BERT" in chosen:
            steps.append(("the other forms of BERT", lambda: make_forms(work)))
            steps += [(n, lambda n=n, f=f: form_row(n, *f, work)) for n, f in FORMS.items()]
        rows = []
        for number, (name, step) in enumerate(steps, 1):
            print(f"{number}/{len(steps)} {name}", file=sys.stderr, flush=True)
            try:
                row = step()
            except Failed as error:
                failed.append(name)
                print(f"FAILED {name}: {error}", file=sys.stderr, flush=True)
                continue
            if row is not None:
                rows.append(row)
                failed += [] if row.is_right() else [name]
    print("| family or form | export, s | log probabilities | accuracy | back in transformers |")
    print("| --- | ---: | ---: | ---: | --- |")
    print("\n".join(row.cells() for row in rows))
    if failed:
        print(f"{len(failed)} failed: {', '.join(failed)}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
