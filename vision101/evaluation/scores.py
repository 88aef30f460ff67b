"""Scores with intervals: how good a model is, and how sure we are of that."""

import math

import numpy as np
from scipy.special import betaincinv
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

CONFIDENCE_LEVEL = 0.95


def score_predictions(
    labels: np.ndarray, probabilities: np.ndarray, class_names: list[str]
) -> dict:
    """Score the predictions for one subset of the photos.

    The intervals are Bayesian with Jeffreys' prior, and stay honest with few photos and with a
    perfect score: accuracy, precision and recall by `binomial_interval`; balanced accuracy
    likewise, on the effective sample size; F1 by the share J of hits among all photos that are of
    the class or taken for it, since F1 = 2 J / (1 + J).

    Args:
        labels: One-hot array (photos, classes).
        probabilities: float array (photos, classes), 0-1.
        class_names: In the order of the columns.

    Returns:
        Ready for JSON: `count`, `accuracy`, `accuracy_interval`, `balanced_accuracy`,
        `balanced_accuracy_interval`, `classes` (for each name `count`, and `precision`, `recall`
        and `f1`, each with its `..._interval`) and `confusion` (rows true, columns predicted).
        Balanced accuracy is the mean recall of the classes that have photos. What cannot be
        told, since there are no photos, is None.
    """
    true_labels, predicted_labels = labels.argmax(axis=1), probabilities.argmax(axis=1)
    positions = list(range(len(class_names)))
    scores = {
        "count": len(true_labels),
        "accuracy": None,
        "accuracy_interval": None,
        "balanced_accuracy": None,
        "balanced_accuracy_interval": None,
        "classes": {},
        "confusion": np.zeros((len(positions), len(positions)), int).tolist(),
    }
    if not len(true_labels):
        return scores
    confusion = confusion_matrix(true_labels, predicted_labels, labels=positions)
    counts, hits, predicted = confusion.sum(axis=1), confusion.diagonal(), confusion.sum(axis=0)
    present = counts > 0
    precision, recall, f1, _ = precision_recall_fscore_support(
        true_labels, predicted_labels, labels=positions, zero_division=0
    )
    for name, share, sample_size in (
        ("accuracy", hits.sum() / counts.sum(), counts.sum()),
        ("balanced_accuracy", recall[present].mean(), _effective_sample_size(hits, counts)),
    ):
        scores[name] = float(share)
        scores[f"{name}_interval"] = binomial_interval(share, sample_size)
    scores["confusion"] = confusion.tolist()
    for position, class_name in enumerate(class_names):
        either = counts[position] + predicted[position] - hits[position]
        jaccard_interval = binomial_interval(hits[position] / max(either, 1), either)
        scores["classes"][class_name] = {
            "count": int(counts[position]),
            "precision": float(precision[position]) if predicted[position] else None,
            "precision_interval": binomial_interval(precision[position], predicted[position]),
            "recall": float(recall[position]) if present[position] else None,
            "recall_interval": binomial_interval(recall[position], counts[position]),
            "f1": float(f1[position]) if either else None,
            "f1_interval": jaccard_interval and [2 * end / (1 + end) for end in jaccard_interval],
        }
    return scores


def measure_gap(validation: dict, unseen: dict) -> dict:
    """Measure how much worse a model is on unseen photos than validation said.

    The interval follows from those of both scores (Zou & Donner 2008, "Construction of Confidence
    Limits about Effect Measures: A General Approach"), which hold for different photos.

    Both are what `score_predictions` returned. The result is ready for JSON: `balanced_accuracy`,
    that of validation less that of unseen, and its `interval`.
    """
    first, second = validation["balanced_accuracy"], unseen["balanced_accuracy"]
    first_low, first_high = validation["balanced_accuracy_interval"]
    second_low, second_high = unseen["balanced_accuracy_interval"]
    gap = first - second
    below = math.hypot(first - first_low, second_high - second)
    above = math.hypot(first_high - first, second - second_low)
    return {"balanced_accuracy": gap, "interval": [gap - below, gap + above]}


def binomial_interval(share: float | None, count: float) -> list[float] | None:
    """Return the 95 % interval of a share, 0-1, that was measured on `count` photos; None if there
    are none (Brown, Cai & DasGupta 2001, "Interval Estimation for a Binomial Proportion", section
    4.3; where none or all are right, up to 0 or 1).
    """
    if not count:
        return None
    tail = (1 - CONFIDENCE_LEVEL) / 2
    low, high = betaincinv(share * count + 0.5, (1 - share) * count + 0.5, (tail, 1 - tail))
    # The prior moves an interval towards one half, but must not move it off the share.
    return [
        min(float(low), share) if share > 0 else 0.0,
        max(float(high), share) if share < 1 else 1.0,
    ]


def _effective_sample_size(hits: np.ndarray, counts: np.ndarray) -> float:
    """Return the effective number of photos behind a balanced accuracy: of as many, a plain
    accuracy would be as uncertain (Korn & Graubard 1998, "Confidence Intervals for Proportions
    with Small Expected Number of Positive Counts Estimated from Survey Data").

    It is all of them where there are as many of each class. Elsewhere it is fewer, and fewer still
    where a small class is a hard one.
    """
    hits, counts = hits[counts > 0], counts[counts > 0]
    if_equally_hard = len(counts) ** 2 / (1 / counts).sum()
    # Of few photos all may be right, or none: they are drawn towards the others.
    recalls = (hits + (hits.sum() + 0.5) / (counts.sum() + 1)) / (counts + 1)
    variance = (recalls * (1 - recalls) / counts).sum() / len(counts) ** 2
    return min(if_equally_hard, recalls.mean() * (1 - recalls.mean()) / variance)
