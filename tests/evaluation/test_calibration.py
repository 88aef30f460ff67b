"""Confidence that deserves its name."""

import numpy as np
import pytest
from scipy.special import softmax

from vision101.evaluation.calibration import (
    accuracy_by_coverage,
    choose_threshold,
    confidence_and_correctness,
    fit_temperature,
    measure_calibration,
    perfect_calibration_error,
)

CLASSES = 3


@pytest.fixture
def drawn():
    """Return logits, and one-hot labels that are drawn with the probabilities they stand for."""
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(4000, CLASSES))
    labels = [generator.choice(CLASSES, p=row) for row in softmax(logits, axis=1)]
    return logits, np.eye(CLASSES)[labels]


def calibration_error(labels, probabilities) -> float:
    return measure_calibration(*confidence_and_correctness(labels, probabilities))["error"]


def test_temperature_sets_overconfidence_right(drawn):
    logits, labels = drawn
    overconfident = softmax(3 * logits, axis=1)
    assert calibration_error(labels, overconfident) > 0.15
    temperature = fit_temperature(labels, overconfident)
    assert temperature == pytest.approx(3, rel=0.1)
    assert calibration_error(labels, softmax(3 * logits / temperature, axis=1)) < 0.03


def test_few_photos_that_are_all_right_make_no_certainty(drawn):
    logits, labels = drawn
    right = np.flatnonzero(logits.argmax(axis=1) == labels.argmax(axis=1))[:10]
    temperature = fit_temperature(labels[right], softmax(3 * logits[right], axis=1))
    assert softmax(3 * logits[right] / temperature, axis=1).max(axis=1).mean() < 0.98


def test_probabilities_of_zero_do_not_break_the_temperature():
    temperature = fit_temperature(np.eye(2)[[0, 1, 1]], np.eye(2)[[0, 1, 0]])
    assert 0.05 < temperature <= 20


def test_calibration_error_of_a_small_example():
    # Two predictions with 95 %, one of them right; two with 60 %, both right.
    probabilities = np.array([[0.95, 0.05], [0.95, 0.05], [0.4, 0.6], [0.4, 0.6]])
    labels = np.eye(2)[[0, 1, 1, 1]]
    calibration = measure_calibration(*confidence_and_correctness(labels, probabilities))
    assert calibration["error"] == pytest.approx((2 * 0.45 + 2 * 0.4) / 4)
    assert [entry["count"] for entry in calibration["bins"]] == [2, 2]
    assert measure_calibration(np.empty(0), np.empty(0, bool))["error"] is None


def test_a_perfect_model_shows_the_error_that_chance_makes(drawn):
    logits, labels = drawn
    probabilities = softmax(logits, axis=1)
    few = probabilities[:200]
    by_chance = perfect_calibration_error(few.max(axis=1))
    assert by_chance == pytest.approx(calibration_error(labels[:200], few), abs=0.03)
    assert by_chance > 2 * perfect_calibration_error(probabilities.max(axis=1))


@pytest.mark.parametrize("target", [0.6, 0.7, 0.8])
def test_threshold_reaches_its_target_and_no_more(drawn, target):
    logits, labels = drawn
    confidences, right = confidence_and_correctness(labels, softmax(logits, axis=1))
    accepted = confidences >= choose_threshold(confidences, right, target)
    assert right[accepted].mean() == pytest.approx(target, abs=0.03)


def test_without_a_confident_prediction_none_is_accepted():
    assert choose_threshold(np.full(5, 0.5), np.arange(5) < 2, 0.95) == 1
    assert choose_threshold(np.empty(0), np.empty(0, bool), 0.95) == 1
    assert choose_threshold(np.array([0.99]), np.array([True]), 0.95) == pytest.approx(0.99)


def test_predictions_of_one_confidence_are_accepted_all_or_none():
    # Two predictions with 90 % would do, but all six would be too many.
    confidences, right = np.array([0.99, 0.99, *[0.9] * 6]), np.arange(8) > 0
    assert choose_threshold(confidences, right, 0.95) == 0.99


def test_coverage_starts_with_the_most_confident():
    right = np.array([False, True, False, True])
    coverage, accuracy = accuracy_by_coverage(np.array([0.6, 0.9, 0.7, 0.8]), right)
    np.testing.assert_allclose(coverage, [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(accuracy, [1, 1, 2 / 3, 1 / 2])


def test_fewer_mistakes_than_confidence_says_let_more_be_accepted():
    confidences = np.linspace(0.5, 1, 400)
    as_it_says = np.random.default_rng(0).random(400) < confidences
    usual, better = (
        choose_threshold(confidences, right, 0.95) for right in (as_it_says, np.arange(400) > 40)
    )
    assert better < usual
    # Of few photos, that all are right may be chance.
    assert choose_threshold(confidences[::40], np.ones(10, bool), 0.95) > 0.6
