"""Evaluates a trained model: predicts once, calibrates, scores, and chooses when it is not sure."""

import time
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np

from vision101.evaluation.calibration import (
    choose_threshold,
    confidence_and_correctness,
    fit_temperature,
    measure_calibration,
    perfect_calibration_error,
)
from vision101.evaluation.out_of_distribution import (
    PHOTO_LIMIT,
    OutOfDistributionDetector,
    choose_thresholds,
    fit_detector,
)
from vision101.evaluation.scores import binomial_interval, measure_gap, score_predictions
from vision101.photos.split import EVALUATED_SUBSETS
from vision101.terminal import ProgressBar
from vision101.training.datasets import Examples
from vision101.training.folds import HeldOut
from vision101.training.models import CLASSIFIER_NAME, compile_prediction, expose_features

# Photos that are predicted at once.
BATCH_SIZE = 64

HEAD_NORMALIZATION = "head_normalization"  # of `training.models.build_head`


class Evaluation(NamedTuple):
    """What is known of a model at the end of a run; dictionaries of arrays have an entry for each
    of `EVALUATED_SUBSETS`.

    Attributes:
        class_names: In the order of the model's outputs.
        scores: For each of `EVALUATED_SUBSETS` what `score_predictions` returned.
        gap: What `measure_gap` returned; None without validation photos.
        confidence: Ready for JSON: `temperature`; `target_accuracy`, and the `threshold` chosen
            for it; of unseen photos the `coverage`, the share whose prediction is accepted, rather
            than left to a person, and the `accepted_accuracy` with its interval (None if none
            is); the `expected_calibration_error` on unseen photos, that of before calibration,
            `uncalibrated_calibration_error`, and the `perfect_calibration_error` that a perfectly
            calibrated model would show.
        out_of_distribution: Ready for JSON: of unseen photos the share `false_alarms` that is
            taken for none of the classes.
        labels: One-hot, float32 (photos, classes).
        uncalibrated: Probabilities as training left them, float32 (photos, classes), 0-1.
        probabilities: Likewise, calibrated.
        accepted: Whether the prediction counts, being confident enough, and the photo enough like
            those trained on: bool (photos,).
        detector: Tells photos that are unlike those trained on.
        features: What the last layer decides from, float32 (photos, channels).
        folds: What `HeldOut.measure_spread` returned; None without cross-validation.
    """

    class_names: list[str]
    scores: dict[str, dict]
    gap: dict | None
    confidence: dict
    out_of_distribution: dict
    labels: dict[str, np.ndarray]
    uncalibrated: dict[str, np.ndarray]
    probabilities: dict[str, np.ndarray]
    accepted: dict[str, np.ndarray]
    detector: OutOfDistributionDetector
    features: dict[str, np.ndarray]
    folds: dict | None


def evaluate_model(
    model: keras.Model,
    examples: dict[str, Examples],
    class_names: list[str],
    target_accuracy: float,
    held_out: HeldOut | None = None,
) -> Evaluation:
    """Calibrate a model on validation photos, and evaluate it on those it was not trained on.

    The temperature is put into the weights of the model's last layer, so whoever loads the model
    has it. All that is chosen is chosen on validation photos; the unseen ones (the test set) only
    tell how good it is. In cross-validation, all folds choose for the model that is saved, and each
    is evaluated with what the others choose.

    Args:
        model: A classifier of ours, which takes the examples' inputs; its last layer is changed.
        examples: Those of each subset of the split; of views, the first one of a photo counts.
        class_names: In the order of the model's outputs.
        target_accuracy: Share of the accepted predictions that should be right, 0-1.
        held_out: What `train_folds` returned: the predictions for unseen photos.
    """
    labels = {subset: examples[subset].labels for subset in EVALUATED_SUBSETS}
    call = compile_prediction(expose_features(model))
    uncalibrated, features = {}, {}
    for subset in EVALUATED_SUBSETS:
        uncalibrated[subset], features[subset] = predict(call, examples[subset].inputs, subset)
    # Of training photos enough, at even distances, so of every class: they are sorted by class.
    train = examples["train"]
    count = len(train.labels)
    chosen = np.linspace(0, count - 1, min(count, PHOTO_LIMIT)).round().astype(int)
    several_views = train.inputs.ndim == len(model.inputs[0].shape) + 1
    inputs = train.inputs[chosen, 0] if several_views else train.inputs[chosen]
    _, train_features = predict(call, inputs, "train")
    learned, normalization = (train_features, train.labels[chosen]), _find_normalization(model)
    detector = fit_detector(*learned, *normalization)
    distances = {subset: detector.measure_distances(features[subset]) for subset in labels}

    validation = "validation"
    if held_out:
        validation, uncalibrated["unseen"] = "unseen", held_out.probabilities
        for fold, held in held_out.list_folds():
            others = held_out.folds[chosen] != fold
            of_others = fit_detector(*(array[others] for array in learned), *normalization)
            distances["unseen"][held] = of_others.measure_distances(features["unseen"][held])
    classifier = model.get_layer(CLASSIFIER_NAME)
    temperature = fit_temperature(labels[validation], uncalibrated[validation])
    classifier.set_weights([weights / temperature for weights in classifier.get_weights()])
    last_layer = compile_prediction(keras.Model(classifier.input, classifier.output))
    probabilities = {subset: predict(last_layer, features[subset])[0] for subset in labels}

    if held_out:
        probabilities["unseen"] = _calibrate(held_out.probabilities, temperature)
    known = (array[validation] for array in (distances, probabilities, labels))
    limits = detector, threshold = _choose_limits(detector, target_accuracy, *known)
    checked = {s: _check(*limits, distances[s], probabilities[s]) for s in labels}
    if held_out:
        known = held_out, labels["unseen"], distances["unseen"], detector, target_accuracy
        probabilities["unseen"], checked["unseen"] = _cross_fit(*known)
    accepted = {subset: checked[subset][1] for subset in labels}

    scores = {
        subset: score_predictions(labels[subset], probabilities[subset], class_names)
        for subset in labels
    }
    before, after = (
        confidence_and_correctness(labels["unseen"], values["unseen"])
        for values in (uncalibrated, probabilities)
    )
    counted = accepted["unseen"]
    accepted_accuracy = float(after[1][counted].mean()) if counted.any() else None
    confidence = {
        "temperature": temperature,
        "expected_calibration_error": measure_calibration(*after)["error"],
        "perfect_calibration_error": perfect_calibration_error(after[0]),
        "uncalibrated_calibration_error": measure_calibration(*before)["error"],
        "target_accuracy": target_accuracy,
        "threshold": threshold,
        "coverage": float(counted.mean()),
        "accepted_accuracy": accepted_accuracy,
        "accepted_accuracy_interval": binomial_interval(accepted_accuracy, counted.sum()),
    }
    return Evaluation(
        class_names,
        scores,
        None if held_out else measure_gap(scores["validation"], scores["unseen"]),
        confidence,
        {"false_alarms": float((~checked["unseen"][0]).mean())},
        labels,
        uncalibrated,
        probabilities,
        accepted,
        detector,
        features,
        held_out and held_out.measure_spread(labels["unseen"]),
    )


def _choose_limits(
    detector: OutOfDistributionDetector,
    target_accuracy: float,
    distances: np.ndarray,
    probabilities: np.ndarray,
    labels: np.ndarray,
) -> tuple[OutOfDistributionDetector, float]:
    """Return the detector and the confidence that decide, chosen on photos not trained on."""
    detector = choose_thresholds(detector, distances)
    # A photo unlike those trained on is not accepted, so it has no say in the threshold either.
    _, alike = detector.check_distances(distances)
    told = confidence_and_correctness(labels[alike], probabilities[alike])
    return detector, choose_threshold(*told, target_accuracy)


def _check(
    detector: OutOfDistributionDetector,
    threshold: float,
    distances: np.ndarray,
    probabilities: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return whether each photo is usual, and whether its prediction is accepted."""
    usual, alike = detector.check_distances(distances)
    return usual, alike & (probabilities.max(axis=1) >= threshold)


def _calibrate(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return what the last layer would give after its weights are divided by the temperature."""
    powers = probabilities ** (1 / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


def _cross_fit(
    held_out: HeldOut,
    labels: np.ndarray,
    distances: np.ndarray,
    detector: OutOfDistributionDetector,
    target_accuracy: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the calibrated probabilities of each fold, and what `_check` says of it, with what the
    other folds chose: no photo has a say in how it is evaluated itself.
    """
    probabilities, checked = np.empty_like(held_out.probabilities), np.empty((2, len(labels)), bool)
    for _, held in held_out.list_folds():
        temperature = fit_temperature(labels[~held], held_out.probabilities[~held])
        calibrated = _calibrate(held_out.probabilities, temperature)
        known = (array[~held] for array in (distances, calibrated, labels))
        limits = _choose_limits(detector, target_accuracy, *known)
        probabilities[held] = calibrated[held]
        checked[:, held] = _check(*limits, distances[held], calibrated[held])
    return probabilities, checked


def _find_normalization(model: keras.Model) -> tuple[np.ndarray | float, np.ndarray | float]:
    """Return offset and scale of the normalization that the head of a backbone starts with."""
    if HEAD_NORMALIZATION not in [layer.name for layer in model.layers]:
        return 0.0, 1.0
    layer = model.get_layer(HEAD_NORMALIZATION)
    factor, shift, mean, variance = layer.get_weights()
    scale = factor / np.sqrt(variance + layer.epsilon)
    return shift - mean * scale, scale


def predict(call: Callable, inputs: np.ndarray, description: str | None = None) -> list[np.ndarray]:
    """Return a model's outputs for all inputs, float32 (photos, ...), batch by batch.

    Args:
        call: What `compile_prediction` returned for the model.
        inputs: Images, uint8 (photos, image_size, image_size, 3), RGB, 0-255, or features.
        description: Of the photos, for the progress bar; None for no bar.
    """
    if not len(inputs):  # XLA takes no empty batch; one of zeros tells the outputs' shapes
        return [output[:0] for output in call(np.zeros((1, *inputs.shape[1:]), np.float32))]
    starts, hidden = range(0, len(inputs), BATCH_SIZE), description is None
    progress = ProgressBar(starts, f"Predicting {description}", unit=" steps", disable=hidden)
    batches = [call(inputs[start : start + BATCH_SIZE]) for start in progress]
    return [np.concatenate(arrays).astype(np.float32) for arrays in zip(*batches, strict=True)]


def measure_seconds_per_photo(model: keras.Model, images: np.ndarray) -> float:
    """Measure the time of a prediction, one of a batch of at most BATCH_SIZE photos."""
    batch = images[:BATCH_SIZE]
    call = compile_prediction(model)
    call(batch)  # the first time, TensorFlow prepares itself
    start = time.perf_counter()
    call(batch)
    return (time.perf_counter() - start) / len(batch)
