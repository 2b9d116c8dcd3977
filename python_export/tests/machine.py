"""What this machine's processor and TensorFlow can do, found by trying it.

A test that needs something of this is skipped with the reason where it is missing.
"""

import os
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import tensorflow as tf

v1 = tf.compat.v1


def run_traced(session, fetches, feeds=None) -> Counter:
    """Runs a session and returns the operations that were executed, each with its count."""
    options = v1.RunOptions(trace_level=v1.RunOptions.FULL_TRACE)
    metadata = v1.RunMetadata()
    session.run(fetches, feeds, options=options, run_metadata=metadata)
    # A label is `name = Operation(its inputs)`.
    labels = [
        node.timeline_label
        for device in metadata.step_stats.dev_stats
        for node in device.node_stats
    ]
    return Counter(label.split(" = ")[-1].split("(")[0] for label in labels)


@cache
def why_no_bf16() -> str | None:
    """Why bf16 products cannot be computed here, or None where they can.

    TensorFlow asks the processor whether oneDNN has bf16 kernels. Where ONEDNN_MAX_CPU_ISA hides
    instructions from oneDNN alone, TensorFlow chooses kernels that oneDNN does not have, and the
    process aborts: so it is another process that tries.
    """
    command = [sys.executable, "-m", "python_export.tests.machine"]
    root = Path(__file__).parents[2]
    if subprocess.run(command, cwd=root, capture_output=True, check=False).returncode == 0:
        return None
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA")
    return f"oneDNN has no bf16 products here (ONEDNN_MAX_CPU_ISA={limit})"


@cache
def why_no_onednn(dtype: str) -> str | None:
    """Why TensorFlow does not compute with oneDNN in this dtype here, or None where it does."""
    if any(name.startswith("_Mkl") for name in _executed(dtype)):
        return None
    return (
        f"TensorFlow does not use oneDNN for {dtype} on this processor, or TF_ENABLE_ONEDNN_OPTS "
        "turns it off"
    )


@cache
def _executed(dtype):
    """The operations that TensorFlow executes for one matrix product."""
    with v1.Session(graph=tf.Graph()) as session, session.graph.as_default():
        x = v1.placeholder(dtype, [64, 64])
        product = tf.matmul(x, x)
        return run_traced(session, product, {x: [[1.0] * 64] * 64})


if __name__ == "__main__":
    _executed("bfloat16")
