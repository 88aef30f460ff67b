"""Where a network is trained: on the processor, on a GPU, or on all GPUs of this machine.

Each of several GPUs has a copy of the network and takes its share of every batch, by TensorFlow's
`MirroredStrategy`. A step is that of the whole batch on one device: gradients are added up before
the weights change, and BatchNormalization takes its statistics from all shares. Two things differ:
dropout draws the same numbers on every GPU, and a batch that cannot be shared evenly is filled up,
see `share_evenly`.
"""

import functools
import os

import keras
import tensorflow as tf

from vision101.terminal import count

# Photos of a step that a GPU should have: as many as one GPU has by default. With fewer, more GPUs
# mostly wait for each other.
LEAST_PHOTOS = 32


def choose_devices(batch_size: int) -> str:
    """Have all GPUs train the networks that are built from now on. Return where training takes
    place, in which precision, and a hint where batches are small for so many.
    """
    precision = keras.config.dtype_policy().name.replace("_", " ")
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


def count_replicas() -> int:
    """Return how many devices share a batch; 1 where GPUs were not chosen, or are not there."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def share_evenly(dataset: tf.data.Dataset, photos: int | None = None) -> tf.data.Dataset:
    """Make the batches of a dataset, pairs (inputs, labels), divisible by the number of devices:
    Keras takes no others. The last one of an epoch is filled up with photos of its own, and
    weights, float32 (batch,), let these count for nothing. (They do count in the statistics of
    BatchNormalization.) Where one device trains, the dataset is returned as it is.

    Keras divides by the number of rows. To make up for that, the other photos weigh a little more:
    of a batch, so that its gradient is right, or of a whole dataset of so many `photos`, so that
    loss and accuracy are; then all batches but the last one must be divisible.
    """
    replicas = count_replicas()

    def fill(inputs: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        size = tf.shape(labels)[0]
        total = size if photos is None else photos
        rows = tf.range(round_up(size, replicas))
        weight = tf.cast(round_up(total, replicas) / total, tf.float32)
        weights = weight * tf.cast(rows < size, tf.float32)
        return tf.gather(inputs, rows % size), tf.gather(labels, rows % size), weights

    return dataset if replicas == 1 else dataset.map(fill).prefetch(tf.data.AUTOTUNE)


def round_up(number: int | tf.Tensor, divisor: int) -> int | tf.Tensor:
    """Return the least multiple of a divisor that is not below a number."""
    return -(-number // divisor) * divisor


# Made once: TensorFlow fails to add up for a second one in a process, as of a notebook's next run
# (tensorflow#62790).
@functools.cache
def _mirror(names: tuple[str, ...]) -> tf.distribute.Strategy:
    return tf.distribute.MirroredStrategy(names)
