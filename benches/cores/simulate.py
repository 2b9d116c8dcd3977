"""What more than two cores give, reckoned from operations that are measured on one and two threads.

    .venv/bin/python benches/cores/simulate.py --model saved_models/minilm-l6/classify --shape 32x16

A training step is traced for parts of a half, a quarter … of the batch, with one and with two
threads for each operation. By Amdahl's law an operation takes `s + (t1 - s) / n` on n threads, with
`s = 2 t2 - t1`. A step of k parts on c cores takes the chain of a part's operations, each on c / k
threads, and then the update, once, on all c threads. The update reads the gradients of all parts:
each part above the measured one adds their bytes at `--bandwidth`.

What is left out: that cores share caches, memory's bandwidth and clock, and the handing out of
work. So no step is faster than this says. Only k = 2 is built.
"""

import argparse
import os
from collections import defaultdict
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

UPDATE = ("StatefulPartitionedCall", "Resource", "L2Loss", "AssignVariable", "AssignAdd")
CORES = (2, 4, 8, 16, 32, 64)


def operations(model: Path, rows: int, length: int, threads: int, precision: str, runs: int):
    """The operations of a training step by name: type, and the least seconds of some runs."""
    import json

    import numpy as np
    import tensorflow as tf

    v1 = tf.compat.v1
    config = v1.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=1)
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    encoder = json.loads((model / "assets.extra/tfbert.json").read_text())["encoder"]
    random = np.random.default_rng(1)
    values = {
        "input_ids": random.integers(0, encoder["vocab_size"], (rows, length)),
        "attention_mask": np.ones((rows, length)),
        "token_type_ids": np.zeros((rows, length)),
        "labels": random.integers(0, 2, rows),
        "sample_weight": np.ones(rows),
        "weight_sum": rows,
        "label_smoothing": 0.0,
        "dropout": 0.1,
        "seed": (1, 2),
        "learning_rate": 1e-6,
        "layer_scale": np.ones(encoder["num_hidden_layers"] + 2),
        "weight_decay": 0.01,
        "beta1": 0.9,
        "beta2": 0.999,
        "epsilon": 1e-6,
        "beta1_power": 0.9,
        "beta2_power": 0.999,
        "max_grad_norm": 1.0,
    }
    with v1.Session(graph=tf.Graph(), config=config) as session:
        meta = v1.saved_model.load(session, ["serve"], str(model))

        def call(key, given, **options):
            signature = meta.signature_def[key]
            feeds = {
                tensor.name: np.asarray(given[name], tf.as_dtype(tensor.dtype).as_numpy_dtype)
                for name, tensor in signature.inputs.items()
            }
            outputs = [tensor.name for tensor in signature.outputs.values()]
            return session.run(outputs, feeds, **options)

        call("init", {"num_labels": 2, "seed": (1, 2)})
        least: dict[str, tuple[str, float]] = {}
        for _ in range(runs):
            metadata = v1.RunMetadata()
            traced = v1.RunOptions(trace_level=v1.RunOptions.FULL_TRACE)
            call(f"train_{precision}", values, options=traced, run_metadata=metadata)
            for name, kind, seconds in nodes(metadata):
                before = least.get(name, (kind, float("inf")))[1]
                least[name] = (kind, min(before, seconds))
    return least


def nodes(metadata):
    """Name, type and seconds of what a run executed, without the call that holds all others."""
    found = [
        (
            f"{node.node_name} {node.timeline_label}",
            node.timeline_label.split(" = ")[-1].split("(")[0],
            (node.op_end_rel_micros - node.op_start_rel_micros) / 1e6,
        )
        for device in metadata.step_stats.dev_stats
        for node in device.node_stats
    ]
    whole = max((seconds for *_, seconds in found), default=0.0)
    return [one for one in found if not (one[1].endswith("PartitionedCall") and one[2] > whole / 2)]


def is_update(kind: str) -> bool:
    return any(part in kind for part in UPDATE)


def on_threads(one: float, two: float, threads: float) -> float:
    """An operation's seconds on `threads` threads, from those on one and on two."""
    serial = min(max(2 * two - one, 0.0), one)
    return serial + (one - serial) / max(threads, 1.0)


def step(part: dict, cores: int, parts: int, gradient_seconds: float) -> float:
    """The seconds of a step of `parts` parts; `part` has the seconds of a part's operations on one
    and on two threads, by whether they belong to the update."""
    threads = cores / parts
    chain = sum(on_threads(one, two, threads) for one, two in part[False])
    update = sum(on_threads(one, two, cores) for one, two in part[True])
    return chain + update + gradient_seconds * (parts - 1) / cores


def measured(args, rows: int, length: int) -> dict:
    """The pairs of seconds of a part's operations, by whether they are the update's."""
    one, two = (
        operations(args.model, rows, length, threads, args.precision, args.runs)
        for threads in (1, 2)
    )
    pairs = defaultdict(list)
    for name, (kind, seconds) in one.items():
        pairs[is_update(kind)].append((seconds, two.get(name, (kind, seconds))[1]))
    return pairs


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="an export")
    parser.add_argument("--shape", default="32x16", help="rows and length of a batch")
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--runs", type=int, default=7, help="runs of which the least time counts")
    parser.add_argument("--parts", default="1,2,4,8", help="numbers of parts of a batch")
    parser.add_argument("--bandwidth", type=float, default=10.0, help="GB/s of a core")
    args = parser.parse_args()
    rows, length = (int(number) for number in args.shape.split("x"))
    all_parts = [int(number) for number in args.parts.split(",") if rows % int(number) == 0]
    found = {parts: measured(args, rows // parts, length) for parts in all_parts}
    size = (args.model / "variables/variables.data-00000-of-00001").stat().st_size
    gradient = size * (0.5 if args.precision == "bf16" else 1.0) / (args.bandwidth * 1e9)
    for parts, part in found.items():
        sums = [sum(pair[i] for key in part for pair in part[key]) for i in (0, 1)]
        print(
            f"{parts} parts of {rows // parts} rows: {1e3 * sums[0]:.1f} ms on one thread, "
            f"{1e3 * sums[1]:.1f} on two"
        )
    print(f"{'cores':>6}" + "".join(f"{parts:>7} parts" for parts in all_parts) + "   ms a step")
    for cores in CORES:
        times = [
            f"{1e3 * step(found[parts], cores, parts, gradient):>13.1f}"
            if parts <= cores
            else f"{'-':>13}"
            for parts in all_parts
        ]
        print(f"{cores:>6}" + "".join(times))


if __name__ == "__main__":
    main()
