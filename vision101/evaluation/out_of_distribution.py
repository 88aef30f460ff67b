"""How far a photo is from all that a model learned from: it may show none of the classes."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from vision101.files import write_atomically

# Share of validation photos that may be taken for something else: what one would pay in false
# alarms for catching what is none of the classes.
FALSE_ALARM_RATE = 0.05

# Photos that are enough to learn what usual features are.
PHOTO_LIMIT = 5_000


class OutOfDistributionDetector(NamedTuple):
    """What the features of a class are usually like (Lee et al. 2018, "A Simple Unified Framework
    for Detecting Out-of-Distribution Samples and Adversarial Attacks", section 2.1).

    Attributes:
        means: Mean features of each class, float32 (classes, channels).
        precision: Inverse of the classes' common covariance, float32 (channels, channels).
        threshold: Distances above it are out of distribution.
    """

    means: np.ndarray
    precision: np.ndarray
    threshold: float

    def measure_distances(self, features: np.ndarray) -> np.ndarray:
        """Return the squared Mahalanobis distance to the nearest class, float (photos,)."""
        differences = (features - mean for mean in self.means)
        distances = [np.einsum("ij,ij->i", each @ self.precision, each) for each in differences]
        return np.min(distances, axis=0)

    def accept(self, features: np.ndarray) -> np.ndarray:
        """Return bool (photos,): whether each is like what the model learned from."""
        return self.measure_distances(features) <= self.threshold

    def save(self, path: Path) -> None:
        """Save it as a NumPy archive, atomically."""
        with write_atomically(path) as temporary:
            np.savez_compressed(temporary, **self._asdict())


def load_detector(path: Path) -> OutOfDistributionDetector:
    """Load a detector; a damaged file raises what NumPy raises."""
    with np.load(path) as content:
        threshold = float(content["threshold"])
        return OutOfDistributionDetector(content["means"], content["precision"], threshold)


def fit_detector(
    features: np.ndarray, labels: np.ndarray, validation_features: np.ndarray
) -> OutOfDistributionDetector:
    """Learn what usual features are, from training photos, and what is far, from validation photos.
    Features are float (photos, channels), labels one-hot (photos, classes).
    """
    # Takes a second to import; loading a detector needs none of it.
    from sklearn.covariance import LedoitWolf

    true_labels = labels.argmax(axis=1)
    means = np.stack(
        [features[true_labels == position].mean(axis=0) for position in range(labels.shape[1])]
    )
    # There may be more channels than photos; Ledoit and Wolf's estimate can be inverted even so.
    covariance = LedoitWolf(assume_centered=True).fit(features - means[true_labels])
    detector = OutOfDistributionDetector(
        means.astype(np.float32), covariance.precision_.astype(np.float32), np.inf
    )
    distances = detector.measure_distances(validation_features)
    # Of few photos, an interpolated quantile would lie too low: too many would lie beyond it.
    threshold = np.quantile(distances, 1 - FALSE_ALARM_RATE, method="higher")
    return detector._replace(threshold=float(threshold))
