"""Features of a frozen backbone: the same for the same picture, so computed once and kept.

A view of a photo is the same picture in every run, so its features can be kept under `data/` and
used again, whatever the split, the seed and the head.
"""

import contextlib
import hashlib
import itertools
from pathlib import Path

import keras
import numpy as np

from vision101.files import DATA_FOLDER, write_atomically
from vision101.photos.index import Photo
from vision101.photos.reading import READING_VERSION, read_ahead
from vision101.photos.split import SUBSETS, Split
from vision101.training.backbones import Backbone, rebuild_backbone
from vision101.training.datasets import Examples, encode_labels
from vision101.training.models import compile_prediction
from vision101.training.views import VIEWS_VERSION, read_view

# Pictures that go through the backbone at once.
BATCH_SIZE = 32


def compute_split_features(
    backbone: Backbone, split: Split, class_names: list[str], views: int
) -> dict[str, Examples]:
    """Return for every subset of a split the features of its photos: of the training subset in
    their views, (photos, views, channels), of the others plain, (photos, channels). Whatever the
    precision of training, those are computed in float32, as by the model that is saved.
    """
    as_saved = backbone
    if keras.config.dtype_policy().name != "float32":
        as_saved = rebuild_backbone(backbone, "float32")
    examples = {}
    for subset in SUBSETS:
        photos = split[subset]
        if subset == "train":
            inputs = compute_features(backbone, photos, views, subset)
        else:
            inputs = compute_features(as_saved, photos, 1, subset)[:, 0]
        examples[subset] = Examples(inputs, encode_labels(photos, class_names))
    return examples


def compute_features(
    backbone: Backbone,
    photos: list[Photo],
    views: int,
    description: str,
    data_folder: Path = DATA_FOLDER,
) -> np.ndarray:
    """Return the pooled features of photos in their views, float32 (photos, views, channels): the
    mean of each channel's feature map. Only those not kept are computed.

    They are kept in a folder for each backbone, precision and image size, in a file named after the
    photo's content, so they are never out of date. What was computed when a run is stopped stays.
    A damaged file is noticed and made anew. Raises UserError where a photo was changed since it was
    indexed, or features cannot be kept.
    """
    image_size, channels = backbone.image_size, backbone.model.output_shape[-1]
    white = max((photo.white for photo in photos), default=0)
    made = f"{backbone.key} {image_size} {VIEWS_VERSION} {READING_VERSION} {white:g}"
    key = hashlib.sha256(made.encode()).hexdigest()
    folder = data_folder / "features" / f"{backbone.name}-{image_size}-{key[:16]}"
    paths = [folder / f"{photo.sha256}.npz" for photo in photos]
    features = np.empty((len(photos), views, channels), np.float32)
    missing = []
    for position, path in enumerate(paths):
        kept = _load_features(path, channels)[:views]
        features[position, : len(kept)] = kept
        missing += [(position, view) for view in range(len(kept), views)]

    def read(place: tuple[int, int]) -> np.ndarray:
        return read_view(photos[place[0]], place[1], image_size)

    pictures = read_ahead(read, missing, f"Features of {description}", " views")
    call = compile_prediction(backbone.model)
    for start in range(0, len(missing), BATCH_SIZE):
        batch = missing[start : start + BATCH_SIZE]
        (maps,) = call(np.stack(list(itertools.islice(pictures, len(batch)))))
        for place, vector in zip(batch, maps.astype(np.float32).mean(axis=(1, 2)), strict=True):
            features[place] = vector
        for position, last in dict(batch).items():
            with write_atomically(paths[position]) as temporary:
                np.savez(temporary, features=features[position, : last + 1])
    return features


def _load_features(path: Path, channels: int) -> np.ndarray:
    """Return what is kept of a photo: of its first views, float32 (views, channels)."""
    # A file of this kind has a checksum. On damaged ones, NumPy raises errors of all kinds.
    with contextlib.suppress(Exception), np.load(path) as kept:
        return kept["features"]
    return np.empty((0, channels), np.float32)
