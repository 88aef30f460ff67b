"""Cross-validation of a head: every photo is scored once, by a head that has not seen it.

Of few photos, a split leaves so few unseen that the score is mostly luck. Here, each fold is scored
by a head that was trained on the others. The model that is saved is trained on all photos, so none
is left to score it: its score is estimated by those heads, which learned in the same way from fewer
photos. They are trained for a fixed number of epochs, so no photo has a say in its own score.
"""

import statistics
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np

from vision101.photos.split import Split, list_folds
from vision101.terminal import ProgressBar
from vision101.training.datasets import Examples
from vision101.training.models import compile_prediction


class HeldOut(NamedTuple):
    """What the heads say of the photos that they have not seen, in the order of the unseen ones.

    Attributes:
        folds: Number of each photo's fold, from 0 on: int (photos,).
        probabilities: Of the head trained without that fold, float32 (photos, classes), 0-1.
        curves: Of every epoch `val_accuracy` and `val_loss`: means over the photos, as lists.
    """

    folds: np.ndarray
    probabilities: np.ndarray
    curves: dict[str, list[float]]

    def list_folds(self) -> list[tuple[int, np.ndarray]]:
        """Return the number of each fold, and which photos it holds: bool (photos,)."""
        return [(fold, self.folds == fold) for fold in np.unique(self.folds)]

    def measure_spread(self, labels: np.ndarray) -> dict:
        """Measure how much the accuracy differs from fold to fold; labels are one-hot (photos,
        classes).

        Returns:
            Ready for JSON: of each fold the number of `photos` and the `accuracy`; `mean` and
            `standard_deviation` of these accuracies, 0-1.
        """
        right = self.probabilities.argmax(axis=1) == labels.argmax(axis=1)
        accuracies = [float(right[held].mean()) for _, held in self.list_folds()]
        return {
            "photos": np.bincount(self.folds).tolist(),
            "accuracy": accuracies,
            "mean": statistics.mean(accuracies),
            "standard_deviation": statistics.stdev(accuracies),
        }


def train_folds(
    head: keras.Model, examples: dict[str, Examples], split: Split, fit: Callable
) -> HeldOut | None:
    """Train a head without each fold, and predict that fold with it; in the end, the head is as it
    was, ready to be trained on all photos. Returns None for a split without folds.

    Args:
        head: An untrained model, which takes the examples' inputs.
        examples: Those of `train` and of `unseen`, which are of the same photos in the same order.
        split: As `join_folds` returned it.
        fit: Compiles the head, and trains it on the `train` of the examples that it is given; in
            every epoch, it measures accuracy and loss on their `validation`.
    """
    names, untrained = list_folds(split), head.get_weights()
    if not names:
        return None
    fold_of = {photo: fold for fold, name in enumerate(names) for photo in split[name]}
    folds = np.array([fold_of[photo] for photo in split["unseen"]])
    probabilities = np.empty_like(examples["unseen"].labels)
    curves = {}
    for fold in ProgressBar(range(len(names)), "Cross-validation", unit=" folds"):
        held = folds == fold
        without, unseen = (
            Examples(examples[subset].inputs[chosen], examples[subset].labels[chosen])
            for subset, chosen in (("train", ~held), ("unseen", held))
        )
        head.set_weights(untrained)
        fit({"train": without, "validation": unseen})
        (probabilities[held],) = compile_prediction(head)(unseen.inputs)
        for name in ("val_accuracy", "val_loss"):
            curves[name] = curves.get(name, 0) + held.mean() * np.array(head.history.history[name])
    head.set_weights(untrained)
    return HeldOut(folds, probabilities, {name: [*curves[name]] for name in curves})


def weigh_classes(labels: np.ndarray) -> dict[int, float]:
    """Return the weight of each class with which all count alike in training, however many photos
    they have, and all photos together as without; labels are one-hot (photos, classes).
    """
    counts = labels.sum(axis=0)
    return dict(enumerate((len(labels) / np.count_nonzero(counts) / counts.clip(min=1)).tolist()))
