"""Confidence that deserves its name."""

import numpy as np
import pytest
from scipy.special import softmax

from vision101.evaluation.calibration import (
    accuracy_by_coverage,
    apply_temperature,
    calibrate_model,
    choose_threshold,
    confidence_and_correctness,
    measure_calibration,
    perfect_calibration_error,
)
from vision101.evaluation.scores import predict
from vision101.training.datasets import Examples
from vision101.training.models import build_head, expose_features

CLASSES = 3


@pytest.fixture
def overconfident():
    """Return a head that is three times as sure as it should be, and examples to tell by."""
    generator = np.random.default_rng(0)
    features = generator.normal(size=(4000, CLASSES)).astype("float32")
    drawn = np.array([generator.choice(CLASSES, p=row) for row in softmax(features, axis=1)])
    head = build_head(CLASSES, CLASSES)
    head.get_layer("probabilities").set_weights([3 * np.eye(CLASSES), np.zeros(CLASSES)])
    return head, Examples(features, np.eye(CLASSES)[drawn])


def test_temperature_sets_confidence_right_and_keeps_every_answer(overconfident):
    head, examples = overconfident
    before, _ = predict(expose_features(head), examples.inputs)
    assert measure_calibration(*confidence_and_correctness(examples.labels, before))["error"] > 0.15
    # BatchNormalization, which has seen nothing yet, scales by 1 / sqrt(1.001).
    assert calibrate_model(head, examples) == pytest.approx(3, rel=0.1)
    after, _ = predict(expose_features(head), examples.inputs)
    assert measure_calibration(*confidence_and_correctness(examples.labels, after))["error"] < 0.03
    np.testing.assert_array_equal(after.argmax(axis=1), before.argmax(axis=1))


def test_few_photos_that_are_all_right_make_no_certainty(overconfident):
    head, examples = overconfident
    before, _ = predict(expose_features(head), examples.inputs)
    right = np.flatnonzero(before.argmax(axis=1) == examples.labels.argmax(axis=1))[:10]
    calibrate_model(head, Examples(*(array[right] for array in examples)))
    after, _ = predict(expose_features(head), examples.inputs)
    assert after.max(axis=1).mean() < 0.98


def test_calibration_can_be_undone(overconfident):
    head, examples = overconfident
    before, _ = predict(expose_features(head), examples.inputs)
    temperature = calibrate_model(head, examples)
    after, _ = predict(expose_features(head), examples.inputs)
    np.testing.assert_allclose(apply_temperature(after, 1 / temperature), before, atol=1e-4)


def test_calibration_error_of_a_small_example():
    # Two answers with 95 %, one of them right; two with 60 %, both right.
    probabilities = np.array([[0.95, 0.05], [0.95, 0.05], [0.4, 0.6], [0.4, 0.6]])
    labels = np.eye(2)[[0, 1, 1, 1]]
    calibration = measure_calibration(*confidence_and_correctness(labels, probabilities))
    assert calibration["error"] == pytest.approx((2 * 0.45 + 2 * 0.4) / 4)
    assert [entry["count"] for entry in calibration["bins"]] == [2, 2]
    assert measure_calibration(np.empty(0), np.empty(0, bool))["error"] is None


def test_noise_is_what_a_perfect_model_shows(overconfident):
    head, examples = overconfident
    head.get_layer("probabilities").set_weights([np.eye(CLASSES), np.zeros(CLASSES)])
    probabilities, _ = predict(expose_features(head), examples.inputs)
    few, labels = probabilities[:200], examples.labels[:200]
    measured = measure_calibration(*confidence_and_correctness(labels, few))["error"]
    noise = perfect_calibration_error(few.max(axis=1))
    assert noise == pytest.approx(measured, abs=0.03)
    assert noise > 2 * perfect_calibration_error(probabilities.max(axis=1))


def test_threshold_reaches_its_target_and_no_more(overconfident):
    head, examples = overconfident
    calibrate_model(head, examples)
    probabilities, _ = predict(expose_features(head), examples.inputs)
    confidences, right = confidence_and_correctness(examples.labels, probabilities)
    for target in (0.6, 0.7, 0.8):
        answered = confidences >= choose_threshold(confidences, target)
        assert right[answered].mean() == pytest.approx(target, abs=0.03)


def test_without_a_confident_answer_there_is_none():
    assert choose_threshold(np.full(5, 0.5), 0.95) == 1
    assert choose_threshold(np.array([0.99]), 0.95) == pytest.approx(0.99)


def test_answers_of_one_confidence_are_given_all_or_none():
    # Two answers with 90 % would do, but all six would be too many.
    assert choose_threshold(np.array([0.99, 0.99, *[0.9] * 6]), 0.95) == 0.99


def test_coverage_starts_with_the_most_confident():
    right = np.array([False, True, False, True])
    coverage, accuracy = accuracy_by_coverage(np.array([0.6, 0.9, 0.7, 0.8]), right)
    np.testing.assert_allclose(coverage, [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(accuracy, [1, 1, 2 / 3, 1 / 2])
