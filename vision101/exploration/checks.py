"""Finds what is wrong with photos: files that are broken or odd, and label issues."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from vision101.files import write_table
from vision101.photos.duplicates import number_groups
from vision101.photos.index import Photo, list_classes
from vision101.photos.sources import PhotoSource
from vision101.terminal import ProgressBar, count

EXTREME_SHAPE = 3.0  # longer side over shorter: the centred square shows less than a third
LARGEST_ENLARGEMENT = 2.0  # a larger one invents most of what a network would see
PLAIN_CONTRAST = 2.0  # standard deviation of L* (0-100) of a photo of nothing but a plain area

# Each photo's label is checked by a classifier trained on four fifths of the others.
FOLDS = 5

# Inverse strength of the classifier's regularisation, on standardised features. A weaker one
# overfits wrong labels and so finds fewer of them: with 5 % of tf_flowers' labels flipped, 0.003
# found about nine in ten, and six in ten of its label issues were flipped ones.
INVERSE_REGULARIZATION = 0.003


class FileProblem(NamedTuple):
    """A file that a person should look at."""

    photo: Photo
    kind: str  # "broken" (left out of training), "tiny", "extreme shape" or "plain"
    reason: str


class LabelIssue(NamedTuple):
    """A photo whose label a person should check."""

    photo: Photo
    suggested: str  # the class that the classifier takes it for
    confidence: float  # the probability of that class, 0-1
    label_confidence: float  # the probability of the class that it is labelled as, 0-1


class LabelCheck(NamedTuple):
    """What came of checking the labels; `accuracy` is None if they were not checked."""

    issues: list[LabelIssue]  # the least plausible label first
    accuracy: float | None  # share of photos taken for what their label says, 0-1
    note: str  # with which network, or why not


def check_files(
    files: list[Photo], photos: list[Photo], contrast: np.ndarray, image_size: int
) -> list[FileProblem]:
    """List broken, tiny, extreme and plain files, in this order: of all `files` those that are
    broken, and of the readable `photos` the others. The contrast, float (photos,), is the standard
    deviation of their lightness L*; training makes each a square of `image_size` pixels per side.
    """
    broken = [FileProblem(file, "broken", file.problem) for file in files if file.problem]
    tiny, extreme, plain = [], [], []
    for photo, deviation in zip(photos, contrast, strict=True):
        size = f"{photo.width} x {photo.height} pixels"
        shorter, longer = sorted((photo.width, photo.height))
        if image_size > LARGEST_ENLARGEMENT * shorter:
            reason = f"{size}, enlarged {image_size / shorter:.1f} times to {image_size}"
            tiny.append(FileProblem(photo, "tiny", reason))
        if longer > EXTREME_SHAPE * shorter:
            reason = f"{size}, of which the centred square shows {100 * shorter / longer:.0f} %"
            extreme.append(FileProblem(photo, "extreme shape", reason))
        if deviation < PLAIN_CONTRAST:
            reason = f"hardly any contrast: lightness varies by {deviation:.1f} of 100"
            plain.append(FileProblem(photo, "plain", reason))
    return broken + tiny + extreme + plain


def check_labels(
    photos: list[Photo], features: np.ndarray, duplicates: list[tuple[int, int]], note: str
) -> LabelCheck:
    """Find label issues by confident learning.

    A logistic regression predicts each photo's class from the features of other photos; nearly
    identical photos are never on both sides, since they would vouch for each other's label.
    cleanlab then estimates how many labels of each class are wrong, and takes as many of the least
    plausible ones ("prune by class"; Northcutt, Jiang & Chuang 2021, "Confident Learning:
    Estimating Uncertainty in Dataset Labels", section 3.2). Its default, prune by noise rate,
    counts pairs of classes, and misses photos of no class at all: a ceiling among the roses.

    Args:
        photos: Readable photos.
        features: float32 (photos, channels), what a network makes of each.
        duplicates: Pairs of positions of photos that show the same picture.
        note: With which network the features were computed.
    """
    # Two seconds to load, and of no use with --skip-labels.
    import cleanlab
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    class_names = list_classes(photos)
    labels = np.array([class_names.index(photo.class_name) for photo in photos])
    groups = number_groups(len(photos), duplicates)
    for label, class_name in enumerate(class_names):
        different = len(set(groups[labels == label]))
        if different < FOLDS:
            photos = count(different, "different photo")
            reason = f"class {class_name!r} has {photos}, and needs {FOLDS}."
            return LabelCheck([], None, f"Labels were not checked: {reason}")
    probabilities = np.zeros((len(photos), len(class_names)))
    regression = LogisticRegression(C=INVERSE_REGULARIZATION, max_iter=1000)
    classifier = make_pipeline(StandardScaler(), regression)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    splits = folds.split(features, labels, groups)
    for train, test in ProgressBar(splits, desc="Checking labels", total=FOLDS, unit=" folds"):
        classifier.fit(features[train], labels[train])
        known = classifier[-1].classes_  # groups may keep a small class out of a fold
        probabilities[np.ix_(test, known)] = classifier.predict_proba(features[test])
    predicted = probabilities.argmax(axis=1)
    options = {"return_indices_ranked_by": "self_confidence", "n_jobs": 1}
    positions = cleanlab.filter.find_label_issues(
        labels, probabilities, filter_by="prune_by_class", **options
    )
    issues = []
    for i in positions:
        confidence, label_confidence = probabilities[i, [predicted[i], labels[i]]].tolist()
        suggested = class_names[predicted[i]]
        issues.append(LabelIssue(photos[i], suggested, confidence, label_confidence))
    return LabelCheck(issues, float((predicted == labels).mean()), note)


def write_file_problems(folder: Path, problems: list[FileProblem], source: PhotoSource) -> None:
    """Write `files.csv`, which can be given to `--exclude` once a person has gone through it."""
    rows = [
        (source.place(problem.photo.path), problem.kind, problem.reason, problem.photo.sha256)
        for problem in problems
    ]
    write_table(folder / "files.csv", ("path", "problem", "reason", "sha256"), rows)


def write_label_issues(folder: Path, issues: list[LabelIssue], source: PhotoSource) -> None:
    """Write `label_issues.csv`, which can be given to `--exclude` like `files.csv`."""
    rows = [
        (source.place(photo.path), photo.class_name, suggested)
        + (f"{confidence:.4f}", f"{label_confidence:.4f}", photo.sha256)
        for photo, suggested, confidence, label_confidence in issues
    ]
    header = ("path", "label", "suggested", "confidence", "label_confidence", "sha256")
    write_table(folder / "label_issues.csv", header, rows, "utf-8-sig")
