"""Decoded photos as `tf.data` pipelines: each photo is decoded once, before the first epoch."""

import itertools
import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from vision101.files import DATA_FOLDER, disk_errors
from vision101.photos.index import Photo
from vision101.photos.reading import read_ahead
from vision101.photos.split import Split
from vision101.training import devices
from vision101.training.augmentation import Augmentation
from vision101.training.views import read_view

# Decoded photos of a subset of more than this are kept in a file: 1 GiB is 20,000 photos of 128 x
# 128 pixels, and leaves a laptop with 8 GB its other programs.
MEMORY_LIMIT_BYTES = 2**30


class Examples(NamedTuple):
    """What a model is given, and what it should say.

    Inputs are images, uint8 (photos, image_size, image_size, 3), RGB, 0-255, or their features,
    float32 (photos, channels); where there are views, these are a second axis. They may be mapped
    from a file, so take from them what is needed.
    """

    inputs: np.ndarray
    labels: np.ndarray  # one-hot, float32 (photos, classes)


def encode_labels(photos: list[Photo], class_names: list[str]) -> np.ndarray:
    """Return one-hot labels, float32 (photos, classes)."""
    positions = [class_names.index(photo.class_name) for photo in photos]
    return keras.utils.to_categorical(positions, len(class_names)).astype(np.float32)


def decode_split(
    split: Split, class_names: list[str], image_size: int, train_views: int | None = None
) -> dict[str, Examples]:
    """Decode every subset of a split, as `decode_photos` does; only training photos have views."""
    views = {"train": train_views}
    return {
        subset: decode_photos(photos, class_names, image_size, subset, views.get(subset))
        for subset, photos in split.items()
    }


def decode_photos(
    photos: list[Photo],
    class_names: list[str],
    image_size: int,
    description: str,
    views: int | None = None,
    data_folder: Path = DATA_FOLDER,
) -> Examples:
    """Decode photos to square images of `image_size` pixels per side, into memory, or what would
    not fit there into a file in `data_folder`, which has no name and vanishes with the process.

    With `views`, there are so many of each photo, along a second axis. Raises UserError where a
    file was changed since it was indexed.
    """

    def read(photo: Photo) -> np.ndarray:
        pictures = [read_view(photo, view, image_size) for view in range(views or 1)]
        return np.stack(pictures) if views else pictures[0]

    shape = (len(photos), *([views] if views else []), image_size, image_size, 3)
    decoded = read_ahead(read, photos, f"Decoding {description}")
    if math.prod(shape) <= MEMORY_LIMIT_BYTES:
        inputs = np.empty(shape, np.uint8)
        for position, pixels in enumerate(decoded):
            inputs[position] = pixels
    else:
        with disk_errors():
            data_folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=data_folder) as file:
                # Written rather than mapped, so that a full disk is an error and no crash.
                for pixels in decoded:
                    file.write(pixels.tobytes())
                file.flush()
                inputs = np.memmap(file, np.uint8, "r", shape=shape)
    return Examples(inputs, encode_labels(photos, class_names))


def build_training_dataset(
    examples: Examples,
    batch_size: int,
    seed: int,
    first_epoch: int = 0,
    augment: Augmentation | None = None,
) -> tf.data.Dataset:
    """Build an endless dataset of shuffled batches, epoch after epoch: `fit` needs to be told
    `steps_per_epoch`. Of views, an epoch has one of each photo; its last batch may be smaller.

    Batches are pairs: inputs float32 (batch, ...), images in RGB, 0-255, varied by `augment`, if
    any; labels float32 (batch, classes). The seed decides the order of every epoch, the views, and
    all chance in `augment`, so that a dataset from `first_epoch` on, counted from 0, has the
    batches there that one from the start has.
    """
    count, class_count = examples.labels.shape
    views = examples.inputs.shape[1] if examples.inputs.ndim in (3, 5) else None

    def generate() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        # Made here, since several devices start it twice: Keras looks at the first batch.
        order = tf.data.Dataset.range(count).shuffle(count, seed=seed).batch(count)
        generator = np.random.default_rng(seed)
        for epoch in itertools.count():
            if epoch:
                iter(order)  # as `fit` does with a dataset of one epoch: seeds keep their meaning
            positions = next(iter(order)).numpy()
            for start in range(0, count, batch_size):
                batch = positions[start : start + batch_size]
                # Drawn for earlier epochs too, so that those after them are the same.
                view = () if views is None else (generator.integers(views, size=len(batch)),)
                if epoch >= first_epoch:
                    inputs, labels = examples.inputs[(batch, *view)], examples.labels[batch]
                    if augment is not None:
                        inputs, labels = augment(inputs, labels, (seed, epoch, start))
                    yield inputs.astype(np.float32, copy=False), labels

    shape = examples.inputs.shape[1 if views is None else 2 :]
    if augment is not None:
        shape = (augment.image_size, augment.image_size, 3)
    return devices.share_evenly(_build_from_batches(generate, shape, class_count))


def build_dataset(examples: Examples, batch_size: int) -> tf.data.Dataset | None:
    """Build a dataset of batches (inputs, labels), as `build_training_dataset` does, of examples in
    their order, once. Of none, Keras takes None.
    """
    count, class_count = examples.labels.shape
    if not count:
        return None
    batch_size = devices.round_up(batch_size, devices.count_replicas())

    def generate() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, count, batch_size):
            batch = slice(start, start + batch_size)
            yield examples.inputs[batch].astype(np.float32), examples.labels[batch]

    dataset = _build_from_batches(generate, examples.inputs.shape[1:], class_count)
    dataset = devices.share_evenly(dataset, count)
    # Keras warns of an end that it did not know of.
    return dataset.apply(tf.data.experimental.assert_cardinality(math.ceil(count / batch_size)))


def _build_from_batches(
    generate: Callable, shape: tuple[int, ...], class_count: int
) -> tf.data.Dataset:
    signature = tf.TensorSpec((None, *shape)), tf.TensorSpec((None, class_count))
    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
    return dataset.prefetch(tf.data.AUTOTUNE)
