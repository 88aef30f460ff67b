"""Scores and their intervals."""

import json

import numpy as np
import pytest
from scipy.stats import binomtest

from vision101.evaluation.scores import measure_gap, score_predictions

NAMES = ["daisy", "roses", "tulips"]


def one_hot(positions) -> np.ndarray:
    return np.eye(len(NAMES))[positions]


def test_scores_of_a_small_example():
    scores = score_predictions(
        one_hot([0, 0, 0, 0, 1, 1, 2, 2]), one_hot([0, 0, 0, 1, 1, 1, 2, 0]), NAMES
    )
    assert scores["count"] == 8
    assert scores["accuracy"] == 6 / 8
    assert scores["balanced_accuracy"] == pytest.approx((3 / 4 + 1 + 1 / 2) / 3)
    roses = scores["classes"]["roses"]
    assert (roses["count"], roses["recall"]) == (2, 1.0)
    assert (roses["precision"], roses["f1"]) == pytest.approx((2 / 3, 0.8))
    for name in ("precision", "recall", "f1"):
        low, high = roses[f"{name}_interval"]
        assert 0 < low < roses[name] <= high <= 1
    assert scores["confusion"] == [[3, 1, 0], [0, 2, 0], [1, 0, 1]]
    json.dumps(scores)


@pytest.mark.parametrize(("hits", "count"), [(30, 40), (90, 100), (400, 460)])
def test_accuracy_interval_agrees_with_an_exact_one(hits, count):
    labels, predictions = np.zeros(count, int), np.zeros(count, int)
    predictions[hits:] = 1
    low, high = score_predictions(one_hot(labels), one_hot(predictions), NAMES)["accuracy_interval"]
    exact = binomtest(hits, count).proportion_ci(method="exact")
    # Clopper and Pearson's is never too short, Jeffreys' therefore lies within it, and close.
    assert exact.low <= low <= exact.low + 0.02
    assert exact.high - 0.02 <= high <= exact.high


@pytest.mark.parametrize(
    ("recalls", "photos"),
    [
        ((0.9, 0.8, 0.6), 40),
        ((0.98,) * 5, 20),
        ((0.9,) * 20, 20),
        ((0.7,) * 100, 1),
        ((0.7, 0.95, 0.95, 0.95), (50, 296, 116, 205)),
    ],
)
def test_balanced_interval_covers_as_often_as_it_says(recalls, photos):
    generator = np.random.default_rng(0)
    recalls, names = np.array(recalls), [f"class {number}" for number in range(len(recalls))]
    labels, identity = np.repeat(range(len(recalls)), photos), np.eye(len(recalls))
    covered = 0
    for _ in range(200):
        right = generator.random(len(labels)) < recalls[labels]
        predictions = np.where(right, labels, (labels + 1) % len(recalls))
        scores = score_predictions(identity[labels], identity[predictions], names)
        low, high = scores["balanced_accuracy_interval"]
        covered += low <= recalls.mean() <= high
    assert 0.90 <= covered / 200 <= 0.99


def test_f1_interval_covers_as_often_as_it_says():
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [60, 40, 20])
    confusion = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.3, 0.6]])
    hits, either = 60 * 0.8, 60 + 40 * 0.2 + 20 * 0.1
    true_f1 = 2 * hits / (either + hits)
    covered = 0
    for _ in range(300):
        predictions = np.array([generator.choice(3, p=confusion[label]) for label in labels])
        scores = score_predictions(one_hot(labels), one_hot(predictions), NAMES)
        low, high = scores["classes"]["daisy"]["f1_interval"]
        covered += low <= true_f1 <= high
    assert 0.90 <= covered / 300 <= 1


def test_gap_between_validation_and_unseen():
    labels = np.repeat([0, 1, 2], 30)
    worse = labels.copy()
    worse[[0, 1, 2, 30, 31, 60]] = [1, 1, 1, 2, 2, 0]
    subsets = [
        score_predictions(one_hot(labels), one_hot(predictions), NAMES)
        for predictions in (labels, worse)
    ]
    gap = measure_gap(*subsets)
    assert gap["balanced_accuracy"] == pytest.approx(6 / 90)
    low, high = gap["interval"]
    assert 0 < low < 6 / 90 < high < 0.2
    same = measure_gap(subsets[1], subsets[1])
    assert same["balanced_accuracy"] == 0
    assert same["interval"][0] < -0.02
    assert same["interval"][1] > 0.02


def test_perfect_score_of_few_photos_is_not_certain():
    scores = score_predictions(one_hot([0, 1, 2]), one_hot([0, 1, 2]), NAMES)
    assert scores["balanced_accuracy"] == 1
    assert scores["balanced_accuracy_interval"][0] < 0.9


@pytest.mark.parametrize(
    "predictions", [[0, 0, 1, 1, 2, 2], [1, 1, 2, 2, 0, 0], [0, 0, 1, 1, 2, 0]]
)
def test_scores_lie_within_their_intervals(predictions):
    scores = score_predictions(one_hot([0, 0, 1, 1, 2, 2]), one_hot(predictions), NAMES)
    entries = [(scores, "accuracy"), (scores, "balanced_accuracy")]
    for class_scores in scores["classes"].values():
        entries += [(class_scores, name) for name in ("precision", "recall", "f1")]
    for entry, name in entries:
        low, high = entry[f"{name}_interval"]
        assert 0 <= low <= entry[name] <= high <= 1


def test_missing_classes_and_no_photos_at_all():
    scores = score_predictions(one_hot([0, 0, 2]), one_hot([0, 1, 2]), NAMES)
    assert scores["balanced_accuracy"] == 0.75
    assert scores["classes"]["roses"]["recall"] is None
    scores = score_predictions(np.empty((0, 3)), np.empty((0, 3)), NAMES)
    assert scores["count"] == 0
    assert scores["accuracy"] is None
    assert scores["balanced_accuracy_interval"] is None
