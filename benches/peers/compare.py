"""Times tfbert and its peers by turns: training steps of the same shapes, whole runs, the
evaluation of development sets, or the tokenisation of a training file.

Every measurement is a process of its own, and the contenders take turns (A B A B), so that other
load on the machine affects all of them alike. Ratios are formed within a round; the median of the
rounds counts. A ratio above 1 says that tfbert is faster, or takes less memory. Each contender has
the number format in which it is the faster one here, and of a peer's forms (PyTorch eager or
compiled) the faster one counts. The result is written to `benches/runs/` with the commit and the
processor.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import record
from contenders import PEERS, PRECISIONS, ROOT
from evaluations import evaluations
from runs import runs, tasks
from steps import steps
from tokenisation import tokenisation

# oneDNN (both sides), MKL and ATen (PyTorch), and XLA (tfbert) choose instructions each for itself.
LIMITS = {
    "AVX2": {
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    }
}


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = {"type": lambda text: text.split(",")}
    parser.add_argument("--tfbert", type=Path, default=ROOT / "target" / "release" / "tfbert")
    parser.add_argument("--model", type=Path, default=ROOT / "saved_models/minilm-l6/classify")
    parser.add_argument("--shapes", default=["32x16", "32x32", "32x128"], **names)
    parser.add_argument("--peers", default=["torch"], help="torch, keras", **names)
    parser.add_argument("--forms", help="only these of: " + ", ".join(all_forms()), **names)
    precisions = ["auto", *PRECISIONS]
    parser.add_argument("--precision", choices=precisions, default="auto", help="of all")
    parser.add_argument("--peer-precision", choices=PRECISIONS, help="of the peers alone")
    parser.add_argument("--steps", type=int, default=9, help="timed steps of a shape and round")
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--limit", choices=LIMITS, help="as on a processor without later ones")
    mode = parser.add_mutually_exclusive_group()
    known = ", ".join(tasks())
    mode.add_argument(
        "--run", metavar="TASKS", help=f"whole runs instead of steps: {known}", **names
    )
    mode.add_argument("--evaluate", action="store_true", help="development sets instead")
    mode.add_argument("--tokenise", action="store_true", help="SQuAD's training file instead")
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("TFBERT_DATA"))
    parser.add_argument("--max-steps", type=int, help="with --run: only so many updates")
    parser.add_argument("--no-warm", action="store_true", help="with --run: only cold runs")
    parser.add_argument("--default-steps", type=int, default=30, help="batches by the defaults")
    parser.add_argument("--output", type=Path, help="the result's file [default: in benches/runs]")
    return parser


def all_forms() -> list[str]:
    return [form for peer in PEERS.values() for form in peer.forms]


def check(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Refuses names that are not known, and modes without data."""
    for flag, given, known in (
        ("--peers", args.peers, list(PEERS)),
        ("--forms", args.forms or [], all_forms()),
        ("--run", args.run or [], tasks()),
    ):
        if unknown := [name for name in given if name not in known]:
            parser.error(f"{flag}: unknown {', '.join(unknown)}; choose from {', '.join(known)}")
    if args.forms:
        compared = args.peers if not (args.run or args.evaluate) else ["torch"]
        for name in compared:
            if not set(args.forms) & set(PEERS[name].forms):
                parser.error(f"--forms leaves none of {name}: {', '.join(PEERS[name].forms)}")
    if (args.run or args.evaluate or args.tokenise) and args.data_dir is None:
        parser.error("no data: name the folder of the data sets with --data-dir or TFBERT_DATA")


def main() -> None:
    options = parser()
    args = options.parse_args()
    check(args, options)
    os.environ.update(LIMITS.get(args.limit, {}))
    chosen = [(args.run, runs), (args.evaluate, evaluations), (args.tokenise, tokenisation)]
    measure = next((function for wanted, function in chosen if wanted), steps)
    result = measure(args)
    written = record.write(result, measure.__name__, sys.argv[1:], args.output)
    print(f"wrote {written}", file=sys.stderr)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
