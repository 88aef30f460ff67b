"""What goes with `compile` and `fit`: arithmetic precision, and what changes during training."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from vision101.training import devices

# Processor flags of Linux for arithmetic on bfloat16 (x86, and Arm). Elsewhere there is nothing to
# go by.
CPU_INFO = Path("/proc/cpuinfo")
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}

# Of all steps. Large ones before the statistics of BatchNormalization have settled do harm.
WARM_UP_SHARE = 0.05


def choose_precision(precision: str) -> str:
    """Return the name of the Keras dtype policy for a value of `--precision`.

    `auto` takes mixed float16 on a GPU, mixed bfloat16 on a processor that calculates in it
    (1.4 to 1.6 times as fast as float32 with the CNNs here), and float32 elsewhere.
    """
    if precision == "auto":
        precision = "float32"
        if devices.list_gpus():
            precision = "float16"
        elif CPU_INFO.exists() and BFLOAT16_FLAGS & {*CPU_INFO.read_text("utf-8").split()}:
            precision = "bfloat16"
    return precision if precision == "float32" else f"mixed_{precision}"


def build_learning_rate_schedule(peak: float, steps: int) -> keras.optimizers.schedules.CosineDecay:
    """Build a schedule that rises linearly to `peak` and falls to zero along a cosine, in `steps`
    batches.

    After Loshchilov & Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts"
    (without the restarts), and Goyal et al. 2017, "Accurate, Large Minibatch SGD" (the warm-up).
    """
    warm_up_steps = int(WARM_UP_SHARE * steps)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warm_up_steps else peak,
        decay_steps=steps - warm_up_steps,
        warmup_target=peak if warm_up_steps else None,
        warmup_steps=warm_up_steps,
    )


def list_crop_sizes(
    crops: Sequence[tuple[float, float]], image_size: int, epochs: int
) -> tuple[int, ...]:
    """Return the side of random crops in each epoch, in pixels. They may grow: small ones are
    faster, and vary less (Tan & Le 2021, "EfficientNetV2", section 4).

    Args:
        crops: Until which share of the epochs they have which side, as a share of `image_size`.
            The last one lasts to the end.
    """
    ends = np.array([round(end * epochs) for end, _ in crops[:-1]])
    sides = [max(1, round(side * image_size)) for _, side in crops]
    return tuple(sides[np.count_nonzero(ends <= epoch)] for epoch in range(epochs))
