"""Features of a frozen backbone: the same for the same picture, so computed once and kept.

A view of a photo is the same picture in every run, so its features can be kept under `data/` and
used again, whatever the split, the seed and the head.
"""

import hashlib
import itertools
from pathlib import Path

import keras
import numpy as np

from vision101.files import DATA_FOLDER
from vision101.photos.index import Photo
from vision101.photos.reading import read_ahead
from vision101.training.backbones import Backbone, rebuild_backbone
from vision101.training.datasets import Examples, encode_labels
from vision101.training.feature_store import keep_vector, load_vector, open_store
from vision101.training.models import compile_prediction
from vision101.training.views import VIEWS_VERSION, read_view

# Pictures that go through the backbone, and into the store, at once.
BATCH_SIZE = 32


def compute_split_features(
    backbone: Backbone,
    split: dict[str, list[Photo]],
    class_names: list[str],
    views: int,
) -> dict[str, Examples]:
    """Return for every subset of a split the features of its photos, as `compute_features` does.

    The inputs of the training subset have the shape (photos, views, channels), those of the others,
    (photos, channels). Whatever the precision of training, those are computed in float32, as by the
    model that is saved: so that is what is evaluated.
    """
    as_saved = backbone
    if keras.config.dtype_policy().name != "float32":
        as_saved = rebuild_backbone(backbone, "float32")
    examples = {}
    for subset, photos in split.items():
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
    """Return the pooled features of photos in their views; only those not kept are computed.

    They are kept in a file for each backbone, precision and image size, under the photo's content
    and the view, so they are never out of date. What was computed when a run is stopped stays.
    A damaged file is noticed and made anew.

    Args:
        backbone: The frozen network.
        photos: Readable photos.
        views: Views of each photo; 1 for the photo as it is.
        description: What the progress bar is for.
        data_folder: Where features are kept.

    Returns:
        float32 array of shape (photos, views, channels): the mean of each channel's feature map.

    Raises:
        UserError: A photo was changed since it was indexed, or features cannot be kept.
    """
    image_size, channels = backbone.image_size, backbone.model.output_shape[-1]
    features = np.empty((len(photos), views, channels), np.float32)
    key = hashlib.sha256(f"{backbone.key} {image_size} {VIEWS_VERSION}".encode()).hexdigest()
    path = data_folder / "features" / f"{backbone.name}-{image_size}-{key[:16]}.sqlite"
    with open_store(path) as store:
        missing = []
        for view, index in itertools.product(range(views), range(len(photos))):
            vector = load_vector(store, photos[index].sha256, view, channels)
            if vector is None:
                missing.append((index, view))
            else:
                features[index, view] = vector
        pictures = read_ahead(
            lambda place: read_view(photos[place[0]], place[1], image_size),
            missing,
            f"Features of {description}",
            " views",
        )
        call = compile_prediction(backbone.model)
        for start in range(0, len(missing), BATCH_SIZE):
            batch = missing[start : start + BATCH_SIZE]
            (maps,) = call(np.stack(list(itertools.islice(pictures, len(batch)))))
            vectors = maps.astype(np.float32).mean(axis=(1, 2))
            with store:  # one transaction: all of the batch, or nothing
                for (index, view), vector in zip(batch, vectors, strict=True):
                    features[index, view] = vector
                    keep_vector(store, photos[index].sha256, view, vector)
    return features
