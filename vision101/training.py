"""What the scripts' `compile` and `fit` need: arithmetic precision and learning-rate schedule."""

from pathlib import Path

import keras
import tensorflow as tf

# Processor flags of Linux for arithmetic on bfloat16 (x86, and Arm).
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}

# Large steps before the statistics of BatchNormalization have settled do harm.
WARM_UP_EPOCHS = 5


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


def build_learning_rate_schedule(
    peak: float, epochs: int, steps_per_epoch: int
) -> keras.optimizers.schedules.CosineDecay:
    """Build a schedule that rises linearly to `peak` and falls to zero along a cosine.

    After Loshchilov & Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts"
    (without the restarts), and Goyal et al. 2017, "Accurate, Large Minibatch SGD" (the warm-up,
    here at most a tenth of the training).
    """
    steps = epochs * steps_per_epoch
    warm_up_steps = min(WARM_UP_EPOCHS * steps_per_epoch, steps // 10)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warm_up_steps else peak,
        decay_steps=max(steps - warm_up_steps, 1),
        warmup_target=peak if warm_up_steps else None,
        warmup_steps=warm_up_steps,
    )
