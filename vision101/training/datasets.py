"""Decoded photos as `tf.data` pipelines: each photo is decoded once, before the first epoch."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from vision101.files import DATA_FOLDER
from vision101.photos.index import Photo
from vision101.photos.reading import read_ahead
from vision101.training.augmentation import read_view

# Decoded photos of more than this in all are kept in files: 2 GiB is 40,000 photos of 128 x 128
# pixels, and leaves a laptop with 8 GB its other programs.
MEMORY_LIMIT_BYTES = 2 * 1024**3


class Examples(NamedTuple):
    """What a model is given, and what it should say.

    Attributes:
        inputs: Photos, uint8 (photos, image_size, image_size, 3), RGB, 0-255, or their features,
            float32 (photos, channels); with a second axis for the views where there are several.
            It may be mapped from a file, so take from it what is needed.
        labels: float32 one-hot array of shape (photos, classes).
    """

    inputs: np.ndarray
    labels: np.ndarray


def encode_labels(photos: list[Photo], class_names: list[str]) -> np.ndarray:
    """Return one-hot labels, float32 (photos, classes)."""
    positions = [class_names.index(photo.class_name) for photo in photos]
    return keras.utils.to_categorical(positions, len(class_names)).astype(np.float32)


def decode_photos(
    photos: list[Photo],
    class_names: list[str],
    image_size: int,
    description: str,
    views: int | None = None,
    data_folder: Path = DATA_FOLDER,
    in_memory: bool = True,
) -> Examples:
    """Decode photos, into memory or into a file.

    Args:
        photos: Readable photos.
        class_names: Names in the order of the labels.
        image_size: Side of the square photos in pixels.
        description: What the progress bar is for.
        views: If given, so many views of each photo, along the second axis of the inputs.
        data_folder: Where the file goes. It has no name, and vanishes with the process.
        in_memory: Whether to keep them in memory.

    Raises:
        UserError: A file was changed since it was indexed.
    """
    view_axis = () if views is None else (views,)
    shape = (len(photos), *view_axis, image_size, image_size, 3)

    def read(photo: Photo) -> np.ndarray:
        pixels = [read_view(photo, view, image_size) for view in range(views or 1)]
        return np.reshape(pixels, shape[1:])

    decoded = read_ahead(read, photos, f"Decoding {description}")
    if in_memory or not photos:  # an empty file cannot be mapped
        inputs = np.empty(shape, np.uint8)
        for position, pixels in enumerate(decoded):
            inputs[position] = pixels
    else:
        data_folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=data_folder) as file:
            # Written rather than mapped, so that a full disk is an error and no crash.
            for pixels in decoded:
                file.write(pixels.tobytes())
            file.flush()
            inputs = np.memmap(file, np.uint8, "r", shape=shape)
    return Examples(inputs, encode_labels(photos, class_names))


def decode_split(
    split: dict[str, list[Photo]],
    class_names: list[str],
    image_size: int,
    train_views: int | None = None,
) -> dict[str, Examples]:
    """Decode every part of a split, as `decode_photos` does; the training part in views."""
    views = {part: train_views if part == "train" else None for part in split}
    pictures = sum(len(photos) * (views[part] or 1) for part, photos in split.items())
    fits = pictures * image_size * image_size * 3 <= MEMORY_LIMIT_BYTES
    return {
        part: decode_photos(photos, class_names, image_size, part, views[part], in_memory=fits)
        for part, photos in split.items()
    }


def build_dataset(
    examples: Examples,
    batch_size: int,
    augment: Callable | None = None,
    shuffle_seed: int | None = None,
    views: bool = False,
) -> tf.data.Dataset:
    """Build a dataset of batches (inputs, labels).

    Args:
        examples: Photos or features with their labels.
        batch_size: Photos in a batch; the last one of an epoch may be smaller.
        augment: Function of a batch (images, labels) that varies it; None leaves it as it is.
        shuffle_seed: If given, every epoch has another order, all decided by this seed.
        views: Whether the inputs' second axis are views: an epoch then has every photo once, in
            one of its views, drawn by `shuffle_seed`.

    Returns:
        Dataset of pairs: inputs float32 (batch, ...), photos in RGB, 0-255; labels float32
        (batch, classes).
    """
    generator = np.random.default_rng(shuffle_seed)
    shape = examples.inputs.shape[2 if views else 1 :]

    def take(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if views:
            chosen = generator.integers(examples.inputs.shape[1], size=len(positions))
            inputs = examples.inputs[positions, chosen]
        else:
            inputs = examples.inputs[positions]
        return inputs.astype(np.float32), examples.labels[positions]

    def take_in_graph(positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        inputs, labels = tf.numpy_function(take, [positions], (tf.float32, tf.float32))
        inputs.set_shape((None, *shape))
        labels.set_shape((None, examples.labels.shape[1]))
        return inputs, labels

    # Positions are shuffled rather than photos: any number of them in a full, cheap shuffle.
    dataset = tf.data.Dataset.range(len(examples.labels))
    if shuffle_seed is not None:
        dataset = dataset.shuffle(len(examples.labels), seed=shuffle_seed)
    # One call at a time, or random numbers would be drawn in another order in every run.
    dataset = dataset.batch(batch_size).map(take_in_graph)
    if augment is not None:
        dataset = dataset.map(augment)
    return dataset.prefetch(tf.data.AUTOTUNE)
