"""Scores with intervals: how good a model is, and how sure we are of that."""

from vision101.datasets import Examples

import keras
import numpy as np
from sklearn.metrics import accuracy_score, precision_recall_fscore_support
from tqdm import tqdm

# Parts of the split, in the order of what they tell: how the choice of the best epoch looked, how
# good the model is, and the same with the classes as frequent as they are among the photos.
JUDGED_PARTS = ("validation", "unseen", "surplus")

CONFIDENCE_LEVEL = 0.95

# Draws from the posterior: enough to settle the ends of the interval to a tenth of a percent.
POSTERIOR_DRAWS = 20_000

# Photos that are predicted at once.
BATCH_SIZE = 64


def judge_model(
    model: keras.Model, examples: dict[str, Examples], class_names: list[str]
) -> tuple[dict[str, dict], dict[str, np.ndarray]]:
    """Score a model on the photos that it was not trained on.

    Args:
        model: Takes the examples' inputs, and gives a probability for each class.
        examples: Those of each part of the split.
        class_names: Names in the order of the model's outputs.

    Returns:
        For each of `JUDGED_PARTS` what `score_predictions` returns, and the probabilities,
        float (photos, classes).
    """
    probabilities = {
        part: predict_probabilities(model, examples[part].inputs, f"Judging {part}")
        for part in JUDGED_PARTS
    }
    scores = {
        part: score_predictions(examples[part].labels, probabilities[part], class_names)
        for part in JUDGED_PARTS
    }
    return scores, probabilities


def predict_probabilities(
    model: keras.Model, inputs: np.ndarray, description: str | None = None
) -> np.ndarray:
    """Return the probability of each class for each photo.

    Args:
        model: Takes the inputs, and gives a probability for each class.
        inputs: Photos, uint8 (photos, image_size, image_size, 3), RGB, 0-255, or features.
        description: What the progress bar is for; None for no bar.

    Returns:
        float32 array of shape (photos, classes), 0-1, rows adding up to 1.
    """
    starts = tqdm(
        range(0, len(inputs), BATCH_SIZE),
        desc=description,
        unit=" batches",
        disable=description is None,
    )
    batches = [
        model.predict_on_batch(inputs[start : start + BATCH_SIZE].astype(np.float32))
        for start in starts
    ]
    return np.concatenate(batches) if batches else np.empty((0, model.output_shape[-1]))


def score_predictions(
    labels: np.ndarray, probabilities: np.ndarray, class_names: list[str]
) -> dict:
    """Score the predictions for one part of the photos.

    The intervals are Bayesian with Jeffreys' prior: of accuracy as in Brown, Cai & DasGupta 2001,
    "Interval Estimation for a Binomial Proportion", section 4.3, and of balanced accuracy as in
    Brodersen et al. 2010, "The Balanced Accuracy and Its Posterior Distribution", generalised
    from two classes. They stay honest with few photos and with a perfect score.

    Args:
        labels: One-hot array of shape (photos, classes).
        probabilities: float array of shape (photos, classes), 0-1.
        class_names: Names in the order of the columns.

    Returns:
        Ready for JSON: `count`, `accuracy`, `accuracy_interval`, `balanced_accuracy`,
        `balanced_accuracy_interval`, `classes` (for each name `count`, `precision`, `recall` and
        `f1`) and `confusion` (rows true, columns predicted). Balanced accuracy is the mean
        recall of the classes that have photos. With no photos at all the scores are None.
    """
    true_labels, predicted_labels = labels.argmax(axis=1), probabilities.argmax(axis=1)
    positions = list(range(len(class_names)))
    confusion = np.zeros((len(positions), len(positions)), int)
    np.add.at(confusion, (true_labels, predicted_labels), 1)
    counts, hits = confusion.sum(axis=1), confusion.diagonal()
    scores = {
        "count": len(true_labels),
        "accuracy": None,
        "accuracy_interval": None,
        "balanced_accuracy": None,
        "balanced_accuracy_interval": None,
        "classes": {},
        "confusion": confusion.tolist(),
    }
    if not len(true_labels):
        return scores
    present = counts > 0
    scores["accuracy"] = float(accuracy_score(true_labels, predicted_labels))
    scores["accuracy_interval"] = _interval_of_mean(hits.sum(keepdims=True), counts.sum())
    scores["balanced_accuracy"] = float(np.mean(hits[present] / counts[present]))
    scores["balanced_accuracy_interval"] = _interval_of_mean(hits[present], counts[present])
    precision, recall, f1, _ = precision_recall_fscore_support(
        true_labels, predicted_labels, labels=positions, zero_division=0
    )
    for position, class_name in enumerate(class_names):
        scores["classes"][class_name] = {
            "count": int(counts[position]),
            "precision": float(precision[position]),
            "recall": float(recall[position]) if present[position] else None,
            "f1": float(f1[position]) if present[position] else None,
        }
    return scores


def _interval_of_mean(hits: np.ndarray, counts: np.ndarray) -> list[float]:
    """Return the ends of the credible interval of the mean of several proportions."""
    generator = np.random.default_rng(0)
    draws = generator.beta(hits + 0.5, counts - hits + 0.5, (POSTERIOR_DRAWS, len(hits)))
    tail = (1 - CONFIDENCE_LEVEL) / 2
    return [float(end) for end in np.quantile(draws.mean(axis=1), (tail, 1 - tail))]


def print_scores(scores: dict[str, dict], title: str) -> None:
    """Print a table of parts (rows) and their accuracies with 95 % intervals, in percent."""
    print(f"\n{title}\n{'':12}{'photos':>7}  {'accuracy':<21}  balanced accuracy")
    for part, part_scores in scores.items():
        columns = [
            f"{100 * part_scores[name]:5.1f} % ({{:.1f}} - {{:.1f}})".format(
                *(100 * end for end in part_scores[f"{name}_interval"])
            )
            if part_scores["count"]
            else "-"
            for name in ("accuracy", "balanced_accuracy")
        ]
        print(f"{part:12}{part_scores['count']:7}  {columns[0]:<21}  {columns[1]}")
    print("In brackets: 95 % intervals, for chance in which photos were picked.")
