"""The evaluation of a trained model: its scores, what its confidence is worth, what is novel."""

from typing import NamedTuple

import keras
import numpy as np

from vision101.evaluation.calibration import (
    apply_temperature,
    choose_threshold,
    confidence_and_correctness,
    measure_calibration,
    perfect_calibration_error,
)
from vision101.evaluation.out_of_distribution import (
    PHOTO_LIMIT,
    OutOfDistributionDetector,
    fit_detector,
)
from vision101.evaluation.scores import (
    EVALUATED_SUBSETS,
    binomial_interval,
    measure_gap,
    predict,
    print_scores,
    score_predictions,
)
from vision101.training.datasets import Examples
from vision101.training.models import expose_features


class Evaluation(NamedTuple):
    """What is known of a model at the end of a run.

    Attributes:
        class_names: Names in the order of the model's outputs.
        scores: For each of `EVALUATED_SUBSETS` what `score_predictions` returned.
        gap: What `measure_gap` returned.
        confidence: Ready for JSON: `temperature`; `target_accuracy`, and the `threshold` chosen
            for it; of unseen photos the share `answered`, rather than left to a person, the
            `answered_accuracy` (None if none is), the `calibration_error`, that of before,
            `uncalibrated_error`, and the `calibration_noise` that it would show if it were perfect.
        novelty: Ready for JSON: of unseen photos the share `false_alarms` that is taken for none
            of the classes.
        probabilities: For each of `EVALUATED_SUBSETS`, float32 (photos, classes), 0-1.
        sure: For each of `EVALUATED_SUBSETS`, bool (photos,): whether it answers, being confident
            enough, and the photo not too far from all that it knows.
        detector: Tells photos that are like none of the classes.
    """

    class_names: list[str]
    scores: dict[str, dict]
    gap: dict
    confidence: dict
    novelty: dict
    probabilities: dict[str, np.ndarray]
    sure: dict[str, np.ndarray]
    detector: OutOfDistributionDetector


def evaluate_model(
    model: keras.Model,
    examples: dict[str, Examples],
    class_names: list[str],
    temperature: float,
    target_accuracy: float,
) -> Evaluation:
    """Judge a model on the photos that it was not trained on.

    All that is chosen is chosen on validation photos; the unseen ones only tell how good it is.

    Args:
        model: A calibrated classifier of ours, which takes the examples' inputs.
        examples: Those of each part of the split; of views, the first one of a photo counts.
        class_names: Names in the order of the model's outputs.
        temperature: What `calibrate_model` returned.
        target_accuracy: Share of the answers that should be right if it may say "not sure", 0-1.
    """
    model = expose_features(model)
    probabilities, features, scores = {}, {}, {}
    for part in EVALUATED_SUBSETS:
        inputs, labels = examples[part]
        probabilities[part], features[part] = predict(model, inputs, f"Judging {part}")
        scores[part] = score_predictions(labels, probabilities[part], class_names)

    # What is far from all that it knows gets no answer, so it has no say in the threshold either.
    detector = _fit_detector(model, examples["train"], features["validation"])
    known = {
        part: detector.measure_distances(features[part]) <= detector.threshold
        for part in EVALUATED_SUBSETS
    }
    confidences = {part: probabilities[part].max(axis=1) for part in EVALUATED_SUBSETS}
    threshold = choose_threshold(confidences["validation"][known["validation"]], target_accuracy)
    sure = {part: known[part] & (confidences[part] >= threshold) for part in EVALUATED_SUBSETS}

    labels, answered = examples["unseen"].labels, sure["unseen"]
    after = confidence_and_correctness(labels, probabilities["unseen"])
    before = confidence_and_correctness(
        labels, apply_temperature(probabilities["unseen"], 1 / temperature)
    )
    _, right = after
    answered_accuracy = float(right[answered].mean()) if answered.any() else None
    confidence = {
        "temperature": temperature,
        "calibration_error": measure_calibration(*after)["error"],
        "calibration_noise": perfect_calibration_error(confidences["unseen"]),
        "uncalibrated_error": measure_calibration(*before)["error"],
        "target_accuracy": target_accuracy,
        "threshold": threshold,
        "answered": float(answered.mean()),
        "answered_accuracy": answered_accuracy,
        "answered_accuracy_interval": binomial_interval(answered_accuracy, answered.sum()),
    }
    novelty = {"false_alarms": float((~known["unseen"]).mean())}
    gap = measure_gap(scores["validation"], scores["unseen"])
    return Evaluation(class_names, scores, gap, confidence, novelty, probabilities, sure, detector)


def _fit_detector(
    model: keras.Model, train: Examples, validation_features: np.ndarray
) -> OutOfDistributionDetector:
    # At even distances, so of every class: training photos are sorted by class.
    count = len(train.labels)
    chosen = np.linspace(0, count - 1, min(count, PHOTO_LIMIT)).round().astype(int)
    several_views = train.inputs.ndim == len(model.inputs[0].shape) + 1
    inputs = train.inputs[chosen, 0] if several_views else train.inputs[chosen]
    _, features = predict(model, inputs, "Learning what is usual")
    return fit_detector(features, train.labels[chosen], validation_features)


def print_evaluation(evaluation: Evaluation, title: str) -> None:
    """Print the scores of each part, and what confidence is worth, in percent."""
    print_scores(evaluation.scores, title)
    for line in describe_evaluation(evaluation):
        print(line)


def describe_evaluation(evaluation: Evaluation) -> list[str]:
    """Return what a person should know of a model beside its scores, a sentence each."""
    gap, confidence = evaluation.gap, evaluation.confidence
    points = 100 * gap["balanced_accuracy"]
    low, high = (100 * end for end in gap["interval"])
    target = f"target: {100 * confidence['target_accuracy']:g} %"
    answered = f"so it never answers ({target})"
    if confidence["answered_accuracy"] is not None:
        least, most = (100 * end for end in confidence["answered_accuracy_interval"])
        answered = (
            f"{100 * confidence['answered_accuracy']:.1f} % of those answers are right "
            f"({least:.1f} to {most:.1f} %; {target})"
        )
    return [
        f"Gap, validation less unseen: {points:+.1f} points ({low:+.1f} to {high:+.1f})"
        ". Validation chose the best epoch, so its score tends to be optimistic.",
        f"Confidence: off by {100 * confidence['uncalibrated_error']:.1f} % on unseen photos, and "
        f"by {100 * confidence['calibration_error']:.1f} % after temperature scaling "
        f"({confidence['temperature']:.2f}); with "
        f"{evaluation.scores['unseen']['count']} photos, a perfect one would seem off by "
        f"{100 * confidence['calibration_noise']:.1f} %.",
        "Wrongly taken for none of the classes: "
        f"{100 * evaluation.novelty['false_alarms']:.1f} % of unseen photos.",
        f"Of the others, it is sure from a confidence of {100 * confidence['threshold']:.0f} % on: "
        f"it answers for {100 * confidence['answered']:.1f} % of all unseen photos, and "
        f"{answered}.",
    ]
