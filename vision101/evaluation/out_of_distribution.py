"""How unlike all that a model learned from a photo is: it may show none of the classes.

Distances from the usual features notice photos of everyday things, but are blind to another kind of
flower, which lies no further off; the confidence of a classifier is the other way round. So a
second classifier does both: its support for any class fades with the distance from the training
photos, slowly to notice what lies between the classes, and fast to notice what is far from all.
"""

import math
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vision101.files import write_atomically

# Shares of validation photos that may be taken for something else, and that may be too unlike the
# training photos for a prediction to be accepted, however confident.
FALSE_ALARM_RATE, UNSURE_RATE = 0.05, 1 / 6

# How fast support fades: to exp(-5) and exp(-24) at the median squared distance of two photos. The
# second, which is for everyday photos, may raise fewer false alarms.
SHARPNESS = (5.0, 24.0)
ALARM_SHARES = (1.0, 0.4)

RIDGE = 0.1  # on the diagonal: labels may be wrong. From 0.01 to 1, it hardly matters

# Training photos that are kept. With 1,280 channels, 2,025 take 4 MB.
PHOTO_LIMIT = 2_500
BYTES_LIMIT = 500_000_000  # of a detector's arrays in its file
BATCH_SIZE = 1_000  # photos that are measured at once


class OutOfDistributionDetector(NamedTuple):
    """Kernel ridge regression of labels on the directions of features (Rifkin et al. 2003,
    "Regularized Least-Squares Classification"), with a wide and a narrow Gaussian kernel. The wide
    one takes their square roots first: Hellinger distance (Arandjelović & Zisserman 2012, "Three
    things everyone should know to improve object retrieval", section 3).

    Attributes:
        offset, scale: Of the normalization of features, which hides directions and is undone,
            float32 (channels,).
        examples: Directions of training photos, for both kernels, float32 (2, photos, channels).
        weights: What each of them says for every class, float32 (2, photos, classes).
        widths: Squared distances at which support fades to exp(-1), float32 (2,).
        threshold: Distances above either are out of distribution, float32 (2,).
        sure_threshold: Where the first distance is above it, no prediction is accepted.
    """

    offset: np.ndarray
    scale: np.ndarray
    examples: np.ndarray
    weights: np.ndarray
    widths: np.ndarray
    threshold: np.ndarray
    sure_threshold: np.ndarray

    def measure_distances(self, features: np.ndarray) -> np.ndarray:
        """Return how far from all classes photos are, float (photos, 2): about 0 where everything
        near is of one class, about 1 where nothing is near. Features are float (photos, channels).
        """
        distances = []
        for batch in np.array_split(features, len(features) // BATCH_SIZE + 1):
            directions = _find_directions((batch - self.offset) / self.scale)
            squares = 2 - 2 * directions @ self.examples.transpose(0, 2, 1)
            supports = np.exp(-squares / self.widths[:, np.newaxis, np.newaxis]) @ self.weights
            distances.append(1 - supports.max(axis=2).T)
        return np.concatenate(distances)

    def check(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return whether each photo is like what the model learned from, and whether it is enough
        so for a prediction to be accepted; bool (photos,).
        """
        return self.check_distances(self.measure_distances(features))

    def check_distances(self, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the same of photos at these distances."""
        usual = (distances <= self.threshold).all(axis=1)
        return usual, usual & (distances[:, 0] <= self.sure_threshold)

    def list_shapes(self, classes: int, channels: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes that its arrays must have to fit a model."""
        photos = self.weights.shape[1] if self.weights.ndim == 3 else 0
        shapes = {"offset": (channels,), "scale": (channels,), "examples": (2, photos, channels)}
        shapes |= {"weights": (2, photos, classes), "widths": (2,), "threshold": (2,)}
        return shapes | {"sure_threshold": ()}

    def save(self, path: Path) -> None:
        """Save it as a NumPy archive, atomically."""
        arrays = self._asdict() | {"examples": self.examples[1].astype(np.float16)}
        with write_atomically(path) as temporary:
            np.savez_compressed(temporary, **arrays)


class MahalanobisDetector(NamedTuple):
    """The detector of earlier versions (Lee et al. 2018, "A Simple Unified Framework for Detecting
    Out-of-Distribution Samples and Adversarial Attacks", section 2.1): means of the classes, and
    the inverse of their common covariance.
    """

    means: np.ndarray
    precision: np.ndarray
    threshold: np.ndarray

    @property
    def sure_threshold(self) -> np.ndarray:
        return self.threshold

    def measure_distances(self, features: np.ndarray) -> np.ndarray:
        """Return the squared Mahalanobis distance to the nearest class, float (photos, 1)."""
        differences = (features - mean for mean in self.means)
        distances = [np.einsum("ij,ij->i", each @ self.precision, each) for each in differences]
        return np.min(distances, axis=0)[:, np.newaxis]

    def list_shapes(self, classes: int, channels: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes that its arrays must have to fit a model."""
        return {"means": (classes, channels), "precision": (channels, channels), "threshold": ()}

    check = OutOfDistributionDetector.check
    check_distances = OutOfDistributionDetector.check_distances


def load_detector(path: Path) -> OutOfDistributionDetector | MahalanobisDetector:
    """Load a detector; a damaged file raises what NumPy raises, or ValueError."""
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > BYTES_LIMIT:
            raise ValueError(f"it unpacks to more than {BYTES_LIMIT:,} bytes")
    with np.load(path) as content:
        arrays = {name: content[name].astype(np.float32) for name in content}
    if "means" in arrays:
        return MahalanobisDetector(**arrays)
    return OutOfDistributionDetector(**arrays | {"examples": _find_directions(arrays["examples"])})


def fit_detector(
    features: np.ndarray,
    labels: np.ndarray,
    offset: np.ndarray | float = 0.0,
    scale: np.ndarray | float = 1.0,
) -> OutOfDistributionDetector:
    """Learn from training photos what is usual; what is far, `choose_thresholds` says. Features are
    float (photos, channels), labels one-hot (photos, classes).
    """
    ones = np.ones(features.shape[1], np.float32)
    offset, scale = ones * offset, ones * scale
    # Rounded as they will be once they are saved.
    rounded = _find_directions((features - offset) / scale)[1].astype(np.float16)
    examples = _find_directions(rounded.astype(np.float32))
    squares = 2 - 2 * examples @ examples.transpose(0, 2, 1)
    widths = np.maximum(np.median(squares, axis=(1, 2)), 1e-6) / np.float32(SHARPNESS)
    kernels = np.exp(-squares / widths[:, np.newaxis, np.newaxis])
    ridge = RIDGE * np.eye(len(features), dtype=np.float32)
    weights = np.linalg.solve(kernels + ridge, np.stack([labels, labels]).astype(np.float32))
    return OutOfDistributionDetector(offset, scale, examples, weights, widths, np.inf, np.inf)


def choose_thresholds(
    detector: OutOfDistributionDetector, distances: np.ndarray
) -> OutOfDistributionDetector:
    """Return the detector with thresholds for the distances of photos that it did not learn from,
    as `measure_distances` returns them.
    """
    # A photo is an alarm if it is among the first, from the largest distance on, by either one.
    ranks = (-distances).argsort(axis=0).argsort(axis=0)
    shared = np.sort((ranks / ALARM_SHARES).min(axis=1))[int(FALSE_ALARM_RATE * len(ranks))]
    distances = -np.sort(-distances, axis=0)
    threshold = [distances[math.ceil(shared * share), i] for i, share in enumerate(ALARM_SHARES)]
    sure_threshold = distances[int(UNSURE_RATE * len(ranks)), 0]
    return detector._replace(threshold=np.array(threshold), sure_threshold=sure_threshold)


def _find_directions(features: np.ndarray) -> np.ndarray:
    both = np.stack([np.sign(features) * np.sqrt(np.abs(features)), features])
    return both / np.maximum(np.linalg.norm(both, axis=2, keepdims=True), 1e-6)
