"""Decoded photos as `tf.data` pipelines: each photo is decoded once, before the first epoch."""

import hashlib
import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from vision101 import processes
from vision101.errors import UserError
from vision101.files import DATA_FOLDER
from vision101.photos.index import Photo
from vision101.photos.reading import read_ahead
from vision101.photos.split import Split
from vision101.training import devices
from vision101.training.augmentation import Augmentation
from vision101.training.records import Records
from vision101.training.views import read_view, read_whole

# Decoded photos of more than this are kept in files: 1 GiB is 20,000 photos of 128 x 128 pixels,
# and leaves a laptop with 8 GB its other programs.
MEMORY_LIMIT_BYTES = 2**30

# Tells the random numbers that shuffle photos in a file from those that augment them.
SHUFFLING = 1


class Examples(NamedTuple):
    """What a model is given, and what it should say.

    Inputs are images, uint8 (photos, image_size, image_size, 3), RGB, 0-255, or their features,
    float32 (photos, channels); where there are views, these are a second axis. They may lie in a
    file, so take from them what is needed.
    """

    inputs: np.ndarray | Records
    labels: np.ndarray  # one-hot, float32 (photos, classes)
    # Where images are whole photos, stretched to squares: their width by height, float (photos,).
    aspect_ratios: np.ndarray | None = None


def encode_labels(photos: list[Photo], class_names: list[str]) -> np.ndarray:
    """Return one-hot labels, float32 (photos, classes)."""
    positions = [class_names.index(photo.class_name) for photo in photos]
    return keras.utils.to_categorical(positions, len(class_names)).astype(np.float32)


def decode_split(
    split: Split,
    class_names: list[str],
    image_size: int,
    train_views: int | None = None,
    data_folder: Path = DATA_FOLDER,
) -> dict[str, Examples]:
    """Decode every subset of a split, as `decode_photos` does; only training photos have views."""
    views = {subset: train_views if subset == "train" else None for subset in split}
    pictures = sum(len(photos) * (views[subset] or 1) for subset, photos in split.items())
    folder = _choose_folder(pictures, image_size, data_folder)
    return {
        subset: decode_photos(
            *(photos, class_names, image_size, subset, views[subset]),
            folder=folder,
            mixed=subset == "train",
        )
        for subset, photos in split.items()
    }


def decode_whole(photos: list[Photo], class_names: list[str], image_size: int) -> Examples:
    """Decode whole photos, stretched to squares of `image_size` pixels per side, for `Augmentation`
    to take crops from, as `decode_photos` does.
    """
    folder = _choose_folder(len(photos), image_size, DATA_FOLDER)
    where = {"whole": True, "folder": folder, "mixed": True}
    examples = decode_photos(photos, class_names, image_size, "whole photos", **where)
    ratios = [photo.width / photo.height for photo in photos]
    return examples._replace(aspect_ratios=np.array(ratios))


def _choose_folder(pictures: int, image_size: int, data_folder: Path) -> Path | None:
    """Return the folder for files of so many pictures; None where they fit into memory."""
    return data_folder if pictures * image_size**2 * 3 > MEMORY_LIMIT_BYTES else None


def decode_photos(
    photos: list[Photo],
    class_names: list[str],
    image_size: int,
    description: str,
    views: int | None = None,
    whole: bool = False,
    folder: Path | None = None,
    mixed: bool = False,
) -> Examples:
    """Decode photos to square images of `image_size` pixels per side, into memory or, with
    `folder`, into a file there, which has no name and vanishes with the process; `mixed`, so that
    it can be shuffled.

    Images are the largest centred squares of photos; with `views`, so many variations of each,
    along a second axis; with `whole`, whole photos, stretched. Raises UserError where a file was
    changed since it was indexed.
    """

    def read(photo: Photo) -> np.ndarray:
        if whole:
            return read_whole(photo, image_size)
        pictures = [read_view(photo, view, image_size) for view in range(views or 1)]
        return np.stack(pictures) if views else pictures[0]

    shape = (len(photos), *([views] if views else []), image_size, image_size, 3)
    order = np.arange(len(photos))
    if folder and mixed:  # they are sorted by class; in the order of their hashes, by nothing
        order = np.argsort([photo.sha256 for photo in photos], kind="stable")
    decoded = read_ahead(read, [photos[place] for place in order], f"Decoding {description}")
    if folder:
        inputs = Records(folder, shape, order, decoded)
    else:
        inputs = np.empty(shape, np.uint8)
        for position, pixels in enumerate(decoded):
            inputs[position] = pixels
    return Examples(inputs, encode_labels(photos, class_names))


def take_share(split: Split, batch_size: int, seed: int) -> Split:
    """Return what this process decodes of a split. With TensorFlow, that is all of it. With JAX, it
    is the process's share of the photos to train and to validate on, and no others, since
    TensorFlow evaluates.

    A process has the photos that stand at its places in the batches of the first epoch. So these
    are the batches of a single process. In later epochs, every process draws from its own photos;
    from the first one on, if they are in a file.
    Raises UserError where the processes have different splits, or more processes than photos.
    """
    if keras.config.backend() != "jax":
        return split
    known = [[photo.class_name, photo.sha256] for photos in split.values() for photo in photos]
    told = known, batch_size, seed, keras.config.dtype_policy().name
    if len({*processes.gather(hashlib.sha256(repr(told).encode()).hexdigest())}) > 1:
        raise UserError(
            "the processes differ in photos, flags or precision; start all alike, on the same "
            "photos, and give --precision where machines differ"
        )
    share = {subset: [] for subset in split}
    rounded = devices.round_up(batch_size, devices.count_replicas())
    orders = {
        "train": (next(_shuffle(len(split["train"]), seed)).numpy(), batch_size),
        "validation": (np.arange(len(split["validation"])), rounded),
    }
    for subset, (order, size) in orders.items():
        own = _find_owners(order, size) == processes.rank
        share[subset] = [split[subset][position] for position in np.flatnonzero(own)]
        if not share[subset]:
            photos = f"{len(order)} photos for {subset}"
            raise UserError(f"{photos} are too few for {processes.count} processes; start fewer")
    return share


def count_steps(examples: Examples, batch_size: int) -> int:
    """Return how many batches an epoch of examples has, with those of all processes."""
    return math.ceil(processes.add_up(len(examples.labels)) / batch_size)


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
    any, for which photos must be whole; labels float32 (batch, classes). Where several devices
    train, weights are the third, see `devices.fill_up`; of several processes, each has its share of
    every batch. The seed decides the order of every epoch, the views, and all chance in `augment`,
    so that a dataset from `first_epoch` on, counted from 0, has the batches there that one from the
    start has.
    """
    count, class_count = processes.add_up(len(examples.labels)), examples.labels.shape[1]
    views = examples.inputs.shape[1] if examples.inputs.ndim in (3, 5) else None
    replicas = devices.count_replicas()

    def generate() -> Iterator[tuple[np.ndarray, ...]]:
        # Made here, since several devices start it twice: Keras looks at the first batch.
        order = _shuffle(count, seed)
        generator = np.random.default_rng(seed)
        for epoch in itertools.count():
            if epoch:
                next(order)  # as `fit` does with a dataset of one epoch: seeds keep their meaning
            positions = next(order).numpy()
            if epoch == 0:
                owners = _find_owners(positions, batch_size)
                rows = _find_rows(owners)
            if isinstance(examples.inputs, Records):
                photos = examples.inputs.shuffle((seed, epoch, processes.rank, SHUFFLING))
            else:
                own_rows = rows[positions[owners[positions] == processes.rank]]
                photos = ((row, examples.inputs[row]) for row in own_rows)
            for start in range(0, count, batch_size):
                size = min(batch_size, count - start)
                # Drawn for earlier epochs too, so that those after them are the same.
                view = None if views is None else generator.integers(views, size=size)
                if epoch >= first_epoch:
                    own = devices.find_own_rows(size)
                    # A process without any takes one, which counts for nothing.
                    taken = [*itertools.islice(photos, len(own))] or [(0, examples.inputs[0])]
                    own = own if len(own) else np.array([0])
                    chosen = [row for row, _ in taken]
                    inputs = np.stack(
                        [
                            photo if views is None else photo[view[place]]
                            for place, (_, photo) in zip(own, taken, strict=True)
                        ]
                    )
                    labels = examples.labels[chosen]
                    if augment is not None:
                        ratios = examples.aspect_ratios[chosen]
                        place = start + own[0]
                        inputs, labels = augment(inputs, labels, ratios, seed, epoch, place)
                    inputs = inputs.astype(np.float32, copy=False)
                    yield devices.fill_up(inputs, labels, size, replicas)

    shape = examples.inputs.shape[1 if views is None else 2 :]
    if augment is not None:
        sizes = {*augment.image_sizes}
        size = sizes.pop() if len(sizes) == 1 else None
        shape = (size, size, 3)
    return _build_from_batches(generate, shape, class_count, replicas)


def build_dataset(examples: Examples, batch_size: int) -> tf.data.Dataset | None:
    """Build a dataset of batches (inputs, labels), as `build_training_dataset` does, of examples in
    their order, once. Of none, Keras takes None.
    """
    count, class_count = processes.add_up(len(examples.labels)), examples.labels.shape[1]
    if not count:
        return None
    replicas = devices.count_replicas()
    batch_size = devices.round_up(batch_size, replicas)
    rows = _find_rows(_find_owners(np.arange(count), batch_size))

    def generate() -> Iterator[tuple[np.ndarray, ...]]:
        for start in range(0, count, batch_size):
            size = min(batch_size, count - start)
            own = devices.find_own_rows(size)
            chosen = rows[start + own] if len(own) else rows[:1]
            inputs = examples.inputs[chosen].astype(np.float32)
            yield devices.fill_up(inputs, examples.labels[chosen], size, replicas, count)

    dataset = _build_from_batches(generate, examples.inputs.shape[1:], class_count, replicas)
    if examples.inputs.ndim == 2:  # features are small, and an epoch of a head is soon over
        dataset = dataset.cache()
    # Keras warns of an end that it did not know of.
    return dataset.apply(tf.data.experimental.assert_cardinality(math.ceil(count / batch_size)))


def _shuffle(count: int, seed: int) -> Iterator[tf.Tensor]:
    """Yield the positions of photos, int64 (count,), endlessly, each time in another order."""
    # One iterator for all epochs: to make one costs as much as a step of a small head.
    return iter(tf.data.Dataset.range(count).shuffle(count, seed=seed).batch(count).repeat())


def _find_owners(order: np.ndarray, batch_size: int) -> np.ndarray:
    """Return the rank of the process that has each photo, int (photos,), by an order of them."""
    owners = np.empty(len(order), int)
    owners[order] = devices.find_owners(len(order), batch_size)
    return owners


def _find_rows(owners: np.ndarray) -> np.ndarray:
    """Return for each photo the row that it has in the arrays of this process; if it is not there,
    that of another one.
    """
    return np.cumsum(owners == processes.rank) - 1


def _build_from_batches(
    generate: Callable, shape: tuple[int, ...], class_count: int, replicas: int
) -> tf.data.Dataset:
    signature = tf.TensorSpec((None, *shape)), tf.TensorSpec((None, class_count))
    if replicas > 1:
        signature += (tf.TensorSpec((None,)),)
    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
    return dataset.prefetch(tf.data.AUTOTUNE)
