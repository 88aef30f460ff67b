"""Scores and their intervals."""

import json

from vision101.evaluation import score_predictions

import numpy as np
import pytest
from scipy.stats import binomtest

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
    assert scores["classes"]["roses"] == {
        "count": 2,
        "precision": pytest.approx(2 / 3),
        "recall": 1.0,
        "f1": pytest.approx(0.8),
    }
    assert scores["confusion"] == [[3, 1, 0], [0, 2, 0], [1, 0, 1]]
    json.dumps(scores)


@pytest.mark.parametrize(("hits", "count"), [(30, 40), (90, 100), (400, 460)])
def test_accuracy_interval_agrees_with_an_exact_one(hits, count):
    labels, answers = np.zeros(count, int), np.zeros(count, int)
    answers[hits:] = 1
    low, high = score_predictions(one_hot(labels), one_hot(answers), NAMES)["accuracy_interval"]
    exact = binomtest(hits, count).proportion_ci(method="exact")
    # Clopper and Pearson's is never too short, Jeffreys' therefore lies within it, and close.
    assert exact.low <= low <= exact.low + 0.02
    assert exact.high - 0.02 <= high <= exact.high


def test_balanced_interval_covers_as_often_as_it_says():
    generator = np.random.default_rng(0)
    recalls = np.array([0.9, 0.8, 0.6])
    labels = np.repeat([0, 1, 2], 40)
    covered = 0
    for _ in range(200):
        right = generator.random(120) < recalls[labels]
        answers = np.where(right, labels, (labels + 1) % 3)
        scores = score_predictions(one_hot(labels), one_hot(answers), NAMES)
        low, high = scores["balanced_accuracy_interval"]
        covered += low <= recalls.mean() <= high
    assert 0.90 <= covered / 200 <= 0.99


def test_perfect_score_of_few_photos_is_not_certain():
    scores = score_predictions(one_hot([0, 1, 2]), one_hot([0, 1, 2]), NAMES)
    assert scores["balanced_accuracy"] == 1
    assert scores["balanced_accuracy_interval"][0] < 0.9


def test_missing_classes_and_no_photos_at_all():
    scores = score_predictions(one_hot([0, 0, 2]), one_hot([0, 1, 2]), NAMES)
    assert scores["balanced_accuracy"] == 0.75
    assert scores["classes"]["roses"]["recall"] is None
    scores = score_predictions(np.empty((0, 3)), np.empty((0, 3)), NAMES)
    assert scores["count"] == 0
    assert scores["accuracy"] is None
    assert scores["balanced_accuracy_interval"] is None
