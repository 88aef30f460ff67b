"""Finds photos whose label is doubted by a classifier that has not learnt from them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from cleanlab.filter import find_label_issues as find_issues_with_cleanlab
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from vision101.files import write_table
from vision101.photos.duplicates import number_groups
from vision101.photos.index import Photo, list_classes
from vision101.photos.sources import PhotoSource

# Each photo is judged by a classifier that has learnt from four fifths of the others.
FOLDS = 5

# Inverse strength of the classifier's regularisation, of standardised features. Weaker ones learn
# wrong labels by heart and so find fewer of them: with 5 % of tf_flowers' labels flipped, 0.003
# found about nine in ten, and two in three of its label_issues had been flipped.
INVERSE_REGULARIZATION = 0.003


class LabelIssue(NamedTuple):
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
        label_issues: Photos whose label is doubted, the most doubted first.
        accuracy: Share of photos that the classifier took for what their label says, 0-1; None
            if labels were not checked.
        note: With which network; or why labels were not checked.
    """

    label_issues: list[LabelIssue]
    accuracy: float | None
    note: str


def find_label_issues(
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
        The label_issues; or none, and why, if a class has too few photos to learn from others.
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
    suspected = find_issues_with_cleanlab(
        labels,
        probabilities,
        filter_by="prune_by_class",
        return_indices_ranked_by="self_confidence",
        n_jobs=1,
    )
    answers = probabilities.argmax(axis=1)
    label_issues = [
        LabelIssue(
            photos[position],
            class_names[answers[position]],
            float(probabilities[position, answers[position]]),
            float(probabilities[position, labels[position]]),
        )
        for position in suspected
    ]
    return LabelCheck(label_issues, float((answers == labels).mean()), note)


def write_label_issues(folder: Path, label_issues: list[LabelIssue], source: PhotoSource) -> None:
    """Write `label_issues.csv`, which after a review can be given to `--exclude`."""
    rows = [
        (
            source.place(label_issue.photo.path),
            label_issue.photo.class_name,
            label_issue.suggested,
            f"{label_issue.confidence:.4f}",
            f"{label_issue.given_confidence:.4f}",
            label_issue.photo.sha256,
        )
        for label_issue in label_issues
    ]
    header = ("path", "label", "suggested", "confidence", "label_confidence", "sha256")
    write_table(folder / "label_issues.csv", header, rows)
