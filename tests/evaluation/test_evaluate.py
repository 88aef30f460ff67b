"""A model is predicted from once, calibrated, and evaluated as it will be saved."""

import numpy as np
import pytest
from scipy.special import softmax

from vision101.evaluation.evaluate import evaluate_model, predict
from vision101.training.datasets import Examples
from vision101.training.models import (
    CLASSIFIER_NAME,
    build_base_cnn,
    build_head,
    compile_prediction,
    expose_features,
)

NAMES = ["daisy", "roses", "tulips"]
COUNTS = {"train": 300, "validation": 2000, "unseen": 2000, "surplus": 0}


@pytest.fixture
def overconfident():
    """Return a head whose logits are three times what they should be, and features to tell by."""
    generator = np.random.default_rng(0)
    examples = {}
    for subset, count in COUNTS.items():
        features = generator.normal(size=(count, 3)).astype(np.float32)
        drawn = [generator.choice(3, p=row) for row in softmax(features, axis=1)]
        examples[subset] = Examples(features, np.eye(3, dtype=np.float32)[np.array(drawn, int)])
    head = build_head(3, 3)
    head.get_layer(CLASSIFIER_NAME).set_weights([3 * np.eye(3), np.zeros(3)])
    return head, examples


def test_the_temperature_is_in_the_model_that_is_saved(overconfident):
    head, examples = overconfident
    before = head.predict(examples["unseen"].inputs, verbose=0)
    evaluation = evaluate_model(head, examples, NAMES, target_accuracy=0.8)
    temperature = evaluation.confidence["temperature"]
    # BatchNormalization, which has seen nothing yet, scales by 1 / sqrt(1.001).
    assert temperature == pytest.approx(3, rel=0.1)
    kernel, bias = head.get_layer(CLASSIFIER_NAME).get_weights()
    np.testing.assert_allclose(kernel, 3 * np.eye(3) / temperature, atol=1e-6)
    np.testing.assert_allclose(bias, 0, atol=1e-6)

    after = head.predict(examples["unseen"].inputs, verbose=0)
    np.testing.assert_allclose(evaluation.probabilities["unseen"], after, atol=1e-6)
    np.testing.assert_allclose(evaluation.uncalibrated["unseen"], before, atol=1e-6)
    np.testing.assert_array_equal(after.argmax(axis=1), before.argmax(axis=1))
    assert evaluation.scores["unseen"]["accuracy"] == pytest.approx(
        np.mean(after.argmax(axis=1) == examples["unseen"].labels.argmax(axis=1))
    )
    confidence = evaluation.confidence
    assert confidence["uncalibrated_calibration_error"] > 0.15
    assert confidence["expected_calibration_error"] < 0.05


def test_accepted_predictions_reach_the_target(overconfident):
    head, examples = overconfident
    evaluation = evaluate_model(head, examples, NAMES, target_accuracy=0.8)
    probabilities, accepted = evaluation.probabilities["unseen"], evaluation.accepted["unseen"]
    confidence = evaluation.confidence
    right = probabilities.argmax(axis=1) == examples["unseen"].labels.argmax(axis=1)
    assert probabilities[accepted].max(axis=1).min() >= confidence["threshold"]
    assert confidence["coverage"] == accepted.mean() > 0.05
    assert confidence["accepted_accuracy"] == right[accepted].mean()
    assert right[accepted].mean() == pytest.approx(0.8, abs=0.05)
    # A confident prediction for a photo unlike the training photos is not accepted.
    _, features = predict(compile_prediction(expose_features(head)), examples["unseen"].inputs)
    far, unlike = (~flags for flags in evaluation.detector.check(features))
    assert (far & (probabilities.max(axis=1) >= confidence["threshold"])).any()
    assert not accepted[far | unlike].any()
    assert evaluation.out_of_distribution["false_alarms"] == far.mean()


def test_without_a_confident_prediction_none_is_accepted(overconfident):
    head, examples = overconfident
    evaluation = evaluate_model(head, examples, NAMES, target_accuracy=1)
    assert not evaluation.accepted["unseen"].any()
    assert evaluation.confidence["coverage"] == 0
    assert evaluation.confidence["accepted_accuracy"] is None


def test_of_several_views_the_first_counts(overconfident):
    head, examples = overconfident
    expected = evaluate_model(head, examples, NAMES, target_accuracy=0.8)
    inputs, labels, _ = examples["train"]
    views = np.stack([inputs, np.full_like(inputs, np.nan)], axis=1)
    evaluation = evaluate_model(
        head, examples | {"train": Examples(views, labels)}, NAMES, target_accuracy=0.8
    )
    np.testing.assert_array_equal(evaluation.detector.weights, expected.detector.weights)


def test_predictions_are_those_of_the_model_and_its_features():
    model = build_base_cnn(3, 32)
    call = compile_prediction(expose_features(model))
    images = np.random.default_rng(0).integers(0, 256, (70, 32, 32, 3), dtype=np.uint8)
    probabilities, features = predict(call, images)
    expected = model.predict(images.astype("float32"), verbose=0)
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)
    kernel, bias = model.get_layer(CLASSIFIER_NAME).get_weights()
    np.testing.assert_allclose(softmax(features @ kernel + bias, axis=1), expected, atol=1e-5)
    assert [output.shape for output in predict(call, images[:0])] == [(0, 3), (0, 128)]
