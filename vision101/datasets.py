"""Decoded photos as `tf.data` pipelines: each photo is decoded once, before the first epoch."""

import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from vision101.command_line import DATA_FOLDER, UsageError, shown_path
from vision101.photos import Photo, UnreadablePhotoError, read_pixels

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

# Decoded photos beyond this are kept in a file: 2 GiB is 40,000 photos of 128 x 128 pixels, and
# leaves a laptop with 8 GB its other programs.
MEMORY_LIMIT_BYTES = 2 * 1024**3


class DecodedPhotos(NamedTuple):
    """Photos ready for a model.

    Attributes:
        pixels: uint8 array of shape (photos, image_size, image_size, 3), RGB, 0-255. It may be
            mapped from a file, so take from it what is needed.
        labels: float32 one-hot array of shape (photos, classes).
    """

    pixels: np.ndarray
    labels: np.ndarray


def decode_photos(
    photos: list[Photo],
    class_names: list[str],
    image_size: int,
    description: str,
    data_folder: Path = DATA_FOLDER,
    memory_limit: int = MEMORY_LIMIT_BYTES,
) -> DecodedPhotos:
    """Decode photos as `read_pixels` does, in memory, or on disk where they need more than
    `memory_limit` bytes (a file in `data_folder` that vanishes with the process).

    Raises:
        UsageError: A file was changed since it was indexed.
    """

    def read(photo: Photo) -> np.ndarray:
        try:
            return read_pixels(photo.path, image_size)
        except UnreadablePhotoError as error:
            raise UsageError(f"{shown_path(photo.path)}: {error}; start again") from error

    shape = (len(photos), image_size, image_size, 3)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        decoded = tqdm(
            pool.map(read, photos),
            desc=f"Decoding {description}",
            total=len(photos),
            unit=" photos",
        )
        if np.prod(shape) <= memory_limit:
            pixels = np.empty(shape, np.uint8)
            for position, photo_pixels in enumerate(decoded):
                pixels[position] = photo_pixels
        else:
            data_folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=data_folder) as file:
                # Written rather than mapped, so that a full disk is an error and no crash.
                for photo_pixels in decoded:
                    file.write(photo_pixels.tobytes())
                file.flush()
                pixels = np.memmap(file, np.uint8, "r", shape=shape)
    indices = [class_names.index(photo.class_name) for photo in photos]
    labels = keras.utils.to_categorical(indices, len(class_names)).astype("float32")
    return DecodedPhotos(pixels, labels)


def decode_split(
    split: dict[str, list[Photo]], class_names: list[str], image_size: int
) -> dict[str, DecodedPhotos]:
    """Decode every part of a split, as `decode_photos` does."""
    return {
        part: decode_photos(photos, class_names, image_size, description=part)
        for part, photos in split.items()
    }


def build_dataset(
    photos: DecodedPhotos,
    batch_size: int,
    augment: Callable | None = None,
    shuffle_seed: int | None = None,
) -> tf.data.Dataset:
    """Build a dataset of batches (images, labels).

    Args:
        photos: What `decode_photos` returned.
        batch_size: Photos in a batch; the last one of an epoch may be smaller.
        augment: Function of a batch (images, labels) that varies it; None leaves it as it is.
        shuffle_seed: If given, every epoch has another order, all decided by this seed.

    Returns:
        Dataset of pairs: images float32 (batch, image_size, image_size, 3), RGB, 0-255; labels
        float32 (batch, classes).
    """

    def take(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return photos.pixels[positions].astype(np.float32), photos.labels[positions]

    def look_up(positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels = tf.numpy_function(take, [positions], (tf.float32, tf.float32))
        images.set_shape((None, *photos.pixels.shape[1:]))
        labels.set_shape((None, *photos.labels.shape[1:]))
        return images, labels

    # Positions are shuffled rather than photos: any number of them in a full, cheap shuffle.
    dataset = tf.data.Dataset.range(len(photos.pixels))
    if shuffle_seed is not None:
        dataset = dataset.shuffle(len(photos.pixels), seed=shuffle_seed)
    dataset = dataset.batch(batch_size).map(look_up)
    if augment is not None:
        # One call at a time, or the random numbers would come in another order in every run.
        dataset = dataset.map(augment)
    return dataset.prefetch(tf.data.AUTOTUNE)
