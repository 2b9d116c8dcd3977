"""One training step of KerasHub on TensorFlow, timed as `tfbert bench` times its own."""

import argparse
import os
import time
from pathlib import Path

from common import encoder_config, guard_amx, parse_shape, report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="the export of the same encoder")
    parser.add_argument("--shape", required=True, help="rows and length, 32x128")
    parser.add_argument("--precision", choices=["f32", "bf16"], required=True)
    parser.add_argument("--steps", type=int, default=9)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--jit-compile", action="store_true", help="the step compiled by XLA")
    args = parser.parse_args()

    guard_amx()
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import keras_hub
    import numpy as np
    import tensorflow as tf

    if args.threads:
        tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    keras.utils.set_random_seed(1)
    sizes = encoder_config(args.model)
    dtype = "mixed_bfloat16" if args.precision == "bf16" else "float32"
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=sizes["vocab_size"],
        num_layers=sizes["num_hidden_layers"],
        num_heads=sizes["num_attention_heads"],
        hidden_dim=sizes["hidden_size"],
        intermediate_dim=sizes["intermediate_size"],
        max_sequence_length=sizes["max_position_embeddings"],
        dropout=0.1,
        dtype=dtype,
    )
    model = keras_hub.models.BertTextClassifier(
        backbone=backbone, num_classes=2, preprocessor=None, dtype=dtype
    )
    optimizer = keras.optimizers.AdamW(1e-6, weight_decay=0.01, epsilon=1e-6, global_clipnorm=1.0)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        optimizer=optimizer,
        jit_compile=args.jit_compile,
    )

    rows, length = parse_shape(args.shape)
    random = np.random.default_rng(1)
    seconds = []
    for _ in range(1 + args.warmup + args.steps):
        second = np.arange(length) >= length // 2
        inputs = {
            "token_ids": random.integers(0, sizes["vocab_size"], (rows, length), dtype="int32"),
            "padding_mask": np.ones((rows, length), "int32"),
            "segment_ids": np.broadcast_to(second.astype("int32"), (rows, length)),
        }
        labels = random.integers(0, 2, rows)
        start = time.perf_counter()
        model.train_on_batch(inputs, labels)
        seconds.append(time.perf_counter() - start)
    report(args.shape, seconds, args.warmup)


if __name__ == "__main__":
    main()
