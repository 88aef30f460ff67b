"""What a model's confidence is worth: calibrated, and with "not sure" where it is too small.

A model's confidence in a prediction is the probability that it gives it. Of predictions made with
80 %, four in five should be right. Trained networks seldom keep to that by themselves.
"""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

# Range of temperatures to search, wider than any network needs.
TEMPERATURES = (0.05, 20.0)

# Standard deviation of a weak prior on the logarithm of the temperature. Without it, confidence
# would go to 100 % where all validation photos are right, which happens with few.
LOG_TEMPERATURE_DEVIATION = 0.5

# Mistakes added to both those made and those expected, so that few photos prove little.
PRIOR_MISTAKES = 3

# Bins of confidence of one width, as Guo et al. and most others have it.
CALIBRATION_BINS = 15

# Draws of which predictions might be right: enough for a tenth of a percent.
NOISE_DRAWS = 200


def fit_temperature(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the temperature that sets a model's confidence right without changing any prediction
    (Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2).

    It divides what goes into the last softmax; above 1, it makes the model less confident. Here it
    is the most probable one, given photos and a normal prior on its logarithm. With many photos,
    that is the one with the smallest cross-entropy. Labels, one-hot, and probabilities, 0-1, are
    (photos, classes), of photos that were not trained on.
    """
    # Softmax forgets a constant that is added to all of its inputs, so logarithms of its outputs
    # are as good as its inputs. Probabilities may be zero, their logarithms may not.
    logits = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny).astype(float))
    right = labels.astype(bool)

    def negative_log_posterior(log_temperature: float) -> float:
        cross_entropy = -log_softmax(logits / np.exp(log_temperature), axis=1)[right].sum()
        return cross_entropy + (log_temperature / LOG_TEMPERATURE_DEVIATION) ** 2 / 2

    best = minimize_scalar(negative_log_posterior, bounds=np.log(TEMPERATURES), method="bounded")
    return float(np.exp(best.x))


def confidence_and_correctness(
    labels: np.ndarray, probabilities: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return how confident each prediction is, float (photos,), 0-1, and whether it is right."""
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == labels.argmax(axis=1)


def measure_calibration(confidences: np.ndarray, right: np.ndarray) -> dict:
    """Measure how far confidence is from the share of right predictions (Guo et al. 2017, section
    2), given what `confidence_and_correctness` returned.

    Returns:
        Ready for JSON: `error`, the expected calibration error, 0-1 (None without photos), and
        `bins`, those with photos in them, each with its `count`, mean `confidence` and
        `accuracy`.
    """
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)[1:-1]
    positions = np.digitize(confidences, edges, right=True)
    bins = [
        {
            "count": int(chosen.sum()),
            "confidence": float(confidences[chosen].mean()),
            "accuracy": float(right[chosen].mean()),
        }
        for chosen in (positions == position for position in np.unique(positions))
    ]
    gaps = [entry["count"] * abs(entry["confidence"] - entry["accuracy"]) for entry in bins]
    return {"error": sum(gaps) / len(right) if bins else None, "bins": bins}


def perfect_calibration_error(confidences: np.ndarray) -> float:
    """Return the expected calibration error, 0-1, that a perfectly calibrated model would show:
    with few photos in a bin, chance alone moves the share of right predictions off the confidence.
    """
    generator = np.random.default_rng(0)
    draws = generator.random((NOISE_DRAWS, len(confidences))) < confidences
    return float(np.mean([measure_calibration(confidences, right)["error"] for right in draws]))


def choose_threshold(confidences: np.ndarray, right: np.ndarray, target_accuracy: float) -> float:
    """Return the confidence from which predictions are accepted; below it, ask a person.

    It is the smallest with which the mean confidence of the accepted ones reaches the target. On
    photos that the model was calibrated on, mean confidence is close to accuracy, but smoother:
    all photos decide, and not the few wrong ones that happen to lie near the threshold. If these
    were chosen to be like the training photos, predictions are wrong less often (half as often, of
    a frozen MobileNetV2) than confidence says, and so may be accepted with less of it.

    Args:
        confidences: Of photos that the model was calibrated on, float (photos,), 0-1.
        right: Whether these predictions are, bool (photos,).
        target_accuracy: Share of the accepted ones that should be right, 0-1.

    Returns:
        The threshold, 0-1: 1 if no prediction is confident enough.
    """
    made, expected = (~right).sum() + PRIOR_MISTAKES, (1 - confidences).sum() + PRIOR_MISTAKES
    target_accuracy = 1 - (1 - target_accuracy) * expected / made
    confidences = np.sort(confidences)[::-1]
    means = np.cumsum(confidences) / np.arange(1, len(confidences) + 1)
    # Photos of one confidence are accepted all or none.
    last_of_its_kind = np.append(confidences[1:] < confidences[:-1], True)
    enough = np.flatnonzero((means >= target_accuracy) & last_of_its_kind)
    return float(confidences[enough[-1]]) if len(enough) else 1.0


def accuracy_by_coverage(
    confidences: np.ndarray, right: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the accuracy of the most confident predictions, the more of them are accepted, given
    what `confidence_and_correctness` returned.

    Returns:
        Coverage, the share of photos whose prediction is accepted, and accuracy, the share of
        right ones among them; float arrays of shape (photos,), 0-1 (El-Yaniv & Wiener 2010, "On
        the Foundations of Noise-free Selective Classification": 1 - accuracy is their risk).
    """
    accepted = np.arange(1, len(right) + 1)
    return accepted / max(len(right), 1), np.cumsum(right[np.argsort(-confidences)]) / accepted
