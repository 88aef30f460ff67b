"""Where a network is trained: on the processor, on a GPU, on all GPUs of this machine, or, with
JAX, on the devices of several processes.

Each of several devices has a copy of the network and takes its share of every batch, by
TensorFlow's `MirroredStrategy` or Keras's `DataParallel`. A step is that of the whole batch on one
device: gradients are added up before the weights change, and BatchNormalization takes its
statistics from all shares. Two things differ: with TensorFlow, dropout draws the same numbers on
every GPU, and a batch that cannot be shared evenly is filled up, see `fill_up`.
"""

import functools
import os

import keras
import numpy as np
import tensorflow as tf

from vision101 import processes
from vision101.errors import UserError
from vision101.terminal import count

# Photos of a step that a GPU should have: as many as one GPU has by default. With fewer, more GPUs
# mostly wait for each other.
LEAST_PHOTOS = 32


def choose_devices(batch_size: int) -> str:
    """Have all GPUs train the networks that are built from now on; with JAX, all devices of all
    processes. Return where training takes place, in which precision, and a hint where batches are
    small for so many GPUs. Raises UserError where batches have no photo for each device of JAX.
    """
    precision = keras.config.dtype_policy().name.replace("_", " ")
    if keras.config.backend() == "jax":
        return f"{_distribute(batch_size)}, {precision}"
    gpus = list_gpus()[:batch_size]
    if not gpus:
        # Containers and batch systems grant fewer cores than there are.
        cores = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count()))(0)
        return f"Training on CPU, {count(len(cores), 'thread')}, {precision}"
    if len(gpus) == 1:
        return f"Training on GPU, {name_gpu()}, {precision}"
    tf.distribute.experimental_set_strategy(_mirror(tuple(gpus)))
    told = f"Training on {len(gpus)} GPUs, {name_gpu()}, {precision}"
    if batch_size < (enough := len(gpus) * LEAST_PHOTOS):
        told += (
            f"\nEach GPU has {batch_size // len(gpus)} photos of a step, too few to keep it busy: "
            f"try --batch-size {enough} or more, or one GPU (CUDA_VISIBLE_DEVICES=0)"
        )
    return told


def list_gpus() -> list[str]:
    """Return Keras's, or TensorFlow's, names of the GPUs that JAX, or TensorFlow, sees."""
    if keras.config.backend() == "jax":
        return [name for name in keras.distribution.list_devices() if name.startswith("gpu")]
    return [device.name for device in tf.config.list_logical_devices("GPU")]


def name_gpu() -> str:
    """Return what the maker calls the first GPU."""
    if keras.config.backend() == "jax":
        import jax

        return jax.devices()[0].device_kind
    gpu = tf.config.list_physical_devices("GPU")[0]
    return tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)


def _distribute(batch_size: int) -> str:
    tf.config.set_visible_devices([], "GPU")  # it prepares photos, and would take the memory
    replicas = count_replicas()
    where = f"{count(replicas, 'device')} ({name_gpu()})"
    if processes.count > 1:
        where += f" of {processes.count} processes"
    if batch_size < replicas:
        raise UserError(f"--batch-size {batch_size}: too small for {where}; use {replicas} or more")
    if replicas > 1:
        shared = keras.distribution.DataParallel(auto_shard_dataset=False)  # by `find_owners`
        keras.distribution.set_distribution(shared)
    return f"Training with JAX on {where}"


def are_mirrored() -> bool:
    """Return whether TensorFlow has a copy of the network on each of several GPUs. There,
    BatchNormalization must be told to take its statistics from all of them; with JAX, it does.
    """
    return keras.config.backend() == "tensorflow" and count_replicas() > 1


def count_replicas() -> int:
    """Return how many devices share a batch; 1 where GPUs were not chosen, or are not there."""
    if keras.config.backend() == "jax":
        import jax

        return jax.device_count()
    return tf.distribute.get_strategy().num_replicas_in_sync


def find_owners(photos: int, batch_size: int) -> np.ndarray:
    """Return the rank of the process that has each place in the order of an epoch, int (photos,).
    Every batch is cut into as many pieces of one size, or of two that differ by one.
    """
    places = np.arange(photos) % batch_size
    sizes = np.minimum(batch_size, photos - np.arange(photos) + places)  # the last may be smaller
    return places * processes.count // sizes


def find_own_rows(size: int) -> np.ndarray:
    """Return which of the photos of a batch of that size this process has, int (rows,)."""
    return np.flatnonzero(find_owners(size, size) == processes.rank)


def fill_up(
    inputs: np.ndarray, labels: np.ndarray, size: int, replicas: int, photos: int | None = None
) -> tuple[np.ndarray, ...]:
    """Give a batch, or what this process has of it, as many rows as its devices take: all the same
    number, since Keras takes no others. It is filled up with photos of its own, and weights,
    float32 (rows,), let these count for nothing. (They do count in the statistics of
    BatchNormalization.) Where one device trains, the batch is returned as it is.

    Keras divides by the number of rows. To make up for that, the other photos weigh a little more:
    of a batch, so that its gradient is right, or of a whole dataset of so many `photos`, so that
    loss and accuracy are; then all batches but the last one must be divisible.

    Args:
        inputs, labels: (photos, ...), of at least one photo, which counts only if it is of the
            batch.
        size: Number of photos in the whole batch.
        replicas: Number of devices.
        photos: Number of photos in the whole dataset; None to weigh batch by batch.
    """
    if replicas == 1:
        return inputs, labels
    rows = np.arange(round_up(size, replicas) // processes.count)
    total = size if photos is None else photos
    counts = rows < len(find_own_rows(size))
    weights = counts.astype(np.float32) * np.float32(round_up(total, replicas) / total)
    return inputs[rows % len(inputs)], labels[rows % len(labels)], weights


def round_up(number: int | np.ndarray, divisor: int) -> int | np.ndarray:
    """Return the least multiple of a divisor that is not below a number."""
    return -(-number // divisor) * divisor


# Made once: TensorFlow fails to add up for a second one in a process, as of a notebook's next run
# (tensorflow#62790).
@functools.cache
def _mirror(names: tuple[str, ...]) -> tf.distribute.Strategy:
    return tf.distribute.MirroredStrategy(names)
