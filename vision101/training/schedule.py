"""What goes with `compile` and `fit`: arithmetic precision, and the learning-rate schedule."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from vision101.errors import UserError

# Processor flags of Linux for arithmetic on bfloat16 (x86, and Arm).
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}

# Of all steps. Large ones before the statistics of BatchNormalization have settled do harm.
WARM_UP_SHARE = 0.05


def choose_precision(precision: str) -> str:
    """Return the name of the Keras dtype policy for a value of `--precision`.

    `auto` takes mixed float16 on a GPU, mixed bfloat16 on a processor that calculates in it
    (1.4 to 1.6 times as fast as float32 with the CNNs here), and float32 elsewhere.
    """
    if precision == "auto":
        if tf.config.list_physical_devices("GPU"):
            precision = "float16"
        elif BFLOAT16_FLAGS & _processor_flags():
            precision = "bfloat16"
        else:
            precision = "float32"
    return precision if precision == "float32" else f"mixed_{precision}"


def _processor_flags() -> set[str]:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            for line in file:
                if line.lower().startswith(("flags", "features")):
                    return set(line.split())
    except OSError:
        # Not Linux: nothing to go by.
        pass
    return set()


def build_learning_rate_schedule(peak: float, steps: int) -> keras.optimizers.schedules.CosineDecay:
    """Build a schedule that rises linearly to `peak` and falls to zero along a cosine.

    After Loshchilov & Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts"
    (without the restarts), and Goyal et al. 2017, "Accurate, Large Minibatch SGD" (the warm-up).

    Args:
        peak: The largest learning rate.
        steps: Batches in all of the training.
    """
    warm_up_steps = int(WARM_UP_SHARE * steps)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warm_up_steps else peak,
        decay_steps=steps - warm_up_steps,
        warmup_target=peak if warm_up_steps else None,
        warmup_steps=warm_up_steps,
    )


def check_convergence(history: dict[str, list[float]]) -> None:
    """Check that the loss is a number in every epoch.

    Raises:
        UserError: It is not, so the weights are none either.
    """
    for epoch, losses in enumerate(zip(history["loss"], history["val_loss"], strict=True), 1):
        if not np.isfinite(losses).all():
            raise UserError(
                f"training diverged in epoch {epoch}, where the loss became infinite or NaN; "
                "give a smaller --learning-rate (or --fine-tune), or --precision float32"
            )


def find_best_epoch(history: dict[str, list[float]]) -> int:
    """Return the epoch of the best validation accuracy, the first of several, counted from 1."""
    return 1 + history["val_accuracy"].index(max(history["val_accuracy"]))
