"""Finds photos whose label is doubted by a classifier that has not learnt from them."""

from pathlib import Path
from typing import NamedTuple

from vision101.duplicates import number_groups
from vision101.files import write_table
from vision101.photos import Photo, list_classes
from vision101.sources import PhotoSource

import numpy as np
from cleanlab.filter import find_label_issues
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

# Each photo is judged by a classifier that has learnt from four fifths of the others.
FOLDS = 5

# Inverse strength of the classifier's regularisation, of standardised features. Weaker ones learn
# wrong labels by heart and so find fewer of them: with 5 % of tf_flowers' labels flipped, 0.003
# found about nine in ten, and two in three of its suspects had been flipped.
INVERSE_REGULARIZATION = 0.003


class Suspect(NamedTuple):
    """A photo whose label is doubted.

    Attributes:
        photo: The photo.
        suggested: Name of the class that the classifier takes it for.
        confidence: The classifier's probability of that class, 0-1.
        given_confidence: Its probability of the class that the photo lies in, 0-1.
    """

    photo: Photo
    suggested: str
    confidence: float
    given_confidence: float


class LabelCheck(NamedTuple):
    """What came of checking the labels.

    Attributes:
        suspects: Photos whose label is doubted, the most doubted first.
        accuracy: Share of photos that the classifier took for what their label says, 0-1; None
            if labels were not checked.
        note: With which network; or why labels were not checked.
    """

    suspects: list[Suspect]
    accuracy: float | None
    note: str


def check_labels(
    photos: list[Photo], features: np.ndarray, duplicates: list[tuple[int, int]], note: str
) -> LabelCheck:
    """Find photos with suspicious labels by confident learning.

    A logistic regression predicts each photo's class from the features of other photos; nearly
    identical photos are never on both sides, since they would vouch for each other's label.
    cleanlab then estimates how many labels of each class are wrong, and takes so many of the most
    doubted ones ("prune by class"; Northcutt, Jiang & Chuang 2021, "Confident Learning: Estimating
    Uncertainty in Dataset Labels", section 3.2). Its default, prune by noise rate, counts for each
    pair of classes, and misses photos that belong to no class at all: a ceiling among the roses.

    Args:
        photos: Readable photos.
        features: float32 (photos, channels), what a network makes of each.
        duplicates: Pairs of positions of photos that show the same picture.
        note: With which network the features were made.

    Returns:
        The suspects; or none, and why, if a class has too few photos to learn from others.
    """
    class_names = list_classes(photos)
    labels = np.array([class_names.index(photo.class_name) for photo in photos])
    groups = number_groups(len(photos), duplicates)
    for label, class_name in enumerate(class_names):
        different = len(set(groups[labels == label]))
        if different < FOLDS:
            reason = (
                f"Labels were not checked: class {class_name!r} has {different} different photos, "
                f"and at least {FOLDS} are needed."
            )
            return LabelCheck([], None, reason)
    probabilities = np.zeros((len(photos), len(class_names)))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    splits = folds.split(features, labels, groups)
    for learn_from, judge in tqdm(splits, desc="Checking labels", total=FOLDS, unit=" folds"):
        classifier = make_pipeline(
            StandardScaler(), LogisticRegression(C=INVERSE_REGULARIZATION, max_iter=1000)
        )
        classifier.fit(features[learn_from], labels[learn_from])
        known = classifier[-1].classes_  # groups may keep a small class out of a fold
        probabilities[np.ix_(judge, known)] = classifier.predict_proba(features[judge])
    suspected = find_label_issues(
        labels,
        probabilities,
        filter_by="prune_by_class",
        return_indices_ranked_by="self_confidence",
        n_jobs=1,
    )
    answers = probabilities.argmax(axis=1)
    suspects = [
        Suspect(
            photos[position],
            class_names[answers[position]],
            float(probabilities[position, answers[position]]),
            float(probabilities[position, labels[position]]),
        )
        for position in suspected
    ]
    return LabelCheck(suspects, float((answers == labels).mean()), note)


def write_suspects(folder: Path, suspects: list[Suspect], source: PhotoSource) -> None:
    """Write `suspects.csv`, which after a review can be given to `--exclude`."""
    rows = [
        (
            source.place(suspect.photo.path),
            suspect.photo.class_name,
            suspect.suggested,
            f"{suspect.confidence:.4f}",
            f"{suspect.given_confidence:.4f}",
            suspect.photo.sha256,
        )
        for suspect in suspects
    ]
    header = ("path", "label", "suggested", "confidence", "label_confidence", "sha256")
    write_table(folder / "suspects.csv", header, rows)
