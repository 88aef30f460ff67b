"""Pictures of a training run. Those of a whole run are PNG files in its folder `plots/`; the
functions return what the files hold.
"""

import math
import textwrap
from pathlib import Path

import numpy as np
from sklearn.metrics import ConfusionMatrixDisplay

from vision101.errors import UserError, shown_path
from vision101.evaluation.calibration import (
    accuracy_by_coverage,
    confidence_and_correctness,
    measure_calibration,
)
from vision101.evaluation.evaluate import Evaluation
from vision101.evaluation.grad_cam import compute_grad_cam, overlay_heatmap
from vision101.figures import BLUE, ORANGE, VERMILION, plt, save_figure
from vision101.finished_runs import FinishedRun
from vision101.runs import Run

GRID_ROWS, GRID_COLUMNS = 4, 5

# The confusion matrix has a number in each cell, and a name for each row, up to so many classes.
NUMBERED_CLASSES = 30


def plot_curves(run: Run) -> bytes:
    """Plot accuracy and loss of every epoch, in training and on validation photos."""
    figure, (accuracy_axes, loss_axes) = _build_panels()
    epochs = range(1, run.epochs + 1)
    for axes, name, scale in ((accuracy_axes, "accuracy", 100), (loss_axes, "loss", 1)):
        for key, label, style in (
            (name, "training", {"color": BLUE, "linestyle": "-"}),
            (f"val_{name}", "validation", {"color": ORANGE, "linestyle": "--"}),
        ):
            marker = "o" if run.epochs == 1 else None  # a line through one point is not seen
            values = scale * np.array(run.history[key])
            axes.plot(epochs, values, marker=marker, label=label, linewidth=2, **style)
        best = f"best epoch ({run.best_epoch})"
        axes.axvline(run.best_epoch, color="0.5", linestyle=":", label=best)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend()
    accuracy_axes.set(title="Accuracy", ylabel="accuracy (%)", ylim=(0, 102))
    # A first epoch may be far off; the rest should still be seen.
    highest = np.quantile(run.history["loss"] + run.history["val_loss"], 0.97)
    loss_axes.set(title="Loss", ylabel="cross-entropy (nats)", ylim=(0, 1.1 * highest))
    figure.suptitle(run.title, fontsize=14)
    return save_figure(figure, run.folder / "plots" / "curves.png")


def plot_confusion(run: Run, evaluation: Evaluation) -> bytes:
    """Plot how many unseen photos of each true class (rows) were predicted as which (columns)."""
    names = evaluation.class_names
    many = len(names) > NUMBERED_CLASSES  # more cells than a person reads, or Matplotlib draws soon
    side = 14.0 if many else max(6.0, 0.8 * len(names) + 2)
    figure, axes = plt.subplots(figsize=(side + 0.5, side), layout="constrained")
    confusion = np.array(evaluation.scores["unseen"]["confusion"])
    look = {"cmap": "Blues", "xticks_rotation": 90 if many else 30, "values_format": "d"}
    display = ConfusionMatrixDisplay(confusion, display_labels=names)
    display.plot(ax=axes, colorbar=many, include_values=not many, **look)
    if many:  # the names of some; the colours stand for numbers of photos
        step = math.ceil(len(names) / NUMBERED_CLASSES)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_ticks(range(0, len(names), step), names[::step])
    heading = textwrap.fill(f"{run.title}: unseen photos", 56)  # as wide as the picture
    axes.set(title=heading, xlabel="predicted class", ylabel="true class")
    return save_figure(figure, run.folder / "plots" / "confusion.png")


def plot_confidence(run: Run, evaluation: Evaluation) -> bytes:
    """Plot what confidence is worth on unseen photos: a reliability diagram, before calibration
    and after it, and the accuracy by coverage.
    """
    figure, (reliability_axes, coverage_axes) = _build_panels()
    labels, probabilities = evaluation.labels["unseen"], evaluation.probabilities["unseen"]
    reliability_axes.plot((0, 100), (0, 100), ":", color="0.5", label="perfectly calibrated")
    for name, values, colour, marker in (
        ("before", evaluation.uncalibrated["unseen"], ORANGE, "s"),
        ("after", probabilities, BLUE, "o"),
    ):
        calibration = measure_calibration(*confidence_and_correctness(labels, values))
        counts, confidences, accuracies = (
            np.array([entry[key] for entry in calibration["bins"]])
            for key in ("count", "confidence", "accuracy")
        )
        label = f"{name} temperature scaling: ECE {100 * calibration['error']:.1f} %"
        points, sizes = (100 * confidences, 100 * accuracies), 20 + 400 * counts / len(labels)
        reliability_axes.plot(*points, color=colour, linewidth=1.5)
        reliability_axes.scatter(*points, sizes, colour, marker=marker, alpha=0.8, label=label)
    reliability_axes.set(xlabel="confidence (%)", ylabel="accuracy (%)")
    reliability_axes.set(xlim=(0, 104), ylim=(0, 104))
    reliability_axes.set_title("Reliability diagram (larger marks: more photos)")
    # In the legend of one size, however many photos are in the first bin.
    for handle in reliability_axes.legend().legend_handles[1:]:
        handle.set_sizes([60])

    coverage, accuracy = accuracy_by_coverage(*confidence_and_correctness(labels, probabilities))
    lowest = 100 * accuracy[len(accuracy) // 20 :].min()
    confidence = evaluation.confidence
    target = 100 * confidence["target_accuracy"]
    coverage_axes.plot(100 * coverage, 100 * accuracy, color=BLUE, linewidth=2)
    coverage_axes.axhline(target, color=VERMILION, linestyle="--", label=f"target ({target:g} %)")
    if confidence["coverage"]:
        point = 100 * confidence["coverage"], 100 * confidence["accepted_accuracy"]
        label = f"accepted: confidence of {100 * confidence['threshold']:.1f} % or more"
        coverage_axes.plot(*point, "o", color=VERMILION, markersize=11, label=label)
    coverage_axes.set_title("Accuracy by coverage")
    coverage_axes.set_xlabel("coverage: predictions accepted, most confident first (%)")
    coverage_axes.set_ylabel("accuracy of accepted predictions (%)")
    coverage_axes.set(xlim=(0, 102), ylim=(min(lowest, target) - 5, 101))
    coverage_axes.legend(loc="lower left")
    figure.suptitle(f"{run.title}: confidence on unseen photos", fontsize=14)
    return save_figure(figure, run.folder / "plots" / "confidence.png")


def plot_predictions(run: Run, evaluation: Evaluation, images: np.ndarray) -> bytes:
    """Plot a grid of the unseen photos, uint8 (photos, height, width, 3), RGB, with predicted and
    true class; wrong predictions stand out. Those shown are drawn at random, but the same ones for
    all runs on one split.
    """
    names, probabilities = evaluation.class_names, evaluation.probabilities["unseen"]
    predicted, true = probabilities.argmax(axis=1), evaluation.labels["unseen"].argmax(axis=1)
    count = min(GRID_ROWS * GRID_COLUMNS, len(images))
    chosen = np.random.default_rng(0).choice(len(images), count, replace=False)
    rows = math.ceil(count / GRID_COLUMNS)
    size = (12, 0.6 + 2.75 * rows)
    figure, all_axes = plt.subplots(rows, GRID_COLUMNS, figsize=size, layout="constrained")
    for axes in all_axes.flat[count:]:
        axes.set_axis_off()
    for axes, index in zip(all_axes.flat, chosen, strict=False):
        right = predicted[index] == true[index]
        colour, weight, width = (BLUE, "normal", 2) if right else (VERMILION, "bold", 5)
        heading = f"{names[predicted[index]]} {100 * probabilities[index].max():.0f} %"
        lines = [f"✓ {heading}"] if right else [f"✗ {heading}", f"label: {names[true[index]]}"]
        text = "\n".join(textwrap.fill(line, 24) for line in lines)  # as wide as the photo
        axes.set_title(text, color=colour, fontsize=11, fontweight=weight)
        axes.imshow(images[index])
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set(color=colour, linewidth=width)
    figure.suptitle(f"{run.title}: unseen photos, drawn at random", fontsize=14)
    return save_figure(figure, run.folder / "plots" / "unseen.png")


def plot_side_by_side(run: Run, evaluation: Evaluation, other: FinishedRun) -> bytes:
    """Plot another run on the same split, and this one: accuracy by epoch, and on unseen photos."""
    figure, (curve_axes, score_axes) = _build_panels()
    titles = [textwrap.fill(title.replace("_", " "), 24) for title in (other.title, run.title)]
    histories = (other.read_history(), run.history)
    all_scores = (other.results["unseen"], evaluation.scores["unseen"])
    for row, colour in enumerate((BLUE, VERMILION)):
        for key, style, label in (("accuracy", "-", titles[row]), ("val_accuracy", "--", None)):
            values = 100 * np.array(histories[row][key])
            epochs = range(1, len(values) + 1)
            curve_axes.plot(epochs, values, style, color=colour, label=label, linewidth=2)
        score = 100 * all_scores[row]["balanced_accuracy"]
        low, high = (100 * end for end in all_scores[row]["balanced_accuracy_interval"])
        errors = [[score - low], [high - score]]
        score_axes.barh(row, score, xerr=errors, color=colour, capsize=6)
        # In the upper half of the bar, since the interval may take its middle.
        score_axes.text(2, row - 0.2, f"{score:.1f} %", color="white", va="center", size=14)
    curve_axes.set_title("Accuracy (solid: training, dashed: validation)")
    curve_axes.set(xlabel="epoch", ylabel="accuracy (%)", ylim=(0, 102))
    curve_axes.xaxis.get_major_locator().set_params(integer=True)
    curve_axes.legend(loc="lower right")
    label = "balanced accuracy (%), with 95 % interval"
    score_axes.set(title="Unseen photos", xlabel=label, xlim=(0, 102))
    score_axes.set_yticks(range(2), titles)
    score_axes.invert_yaxis()
    return save_figure(figure, run.folder / "plots" / "side-by-side.png")


def plot_grad_cam(path: Path, classifier, pixels: np.ndarray, prediction) -> None:
    """Plot a photo beside where a classifier found evidence for its prediction.

    Args:
        path: Of the picture, in any format that Matplotlib writes.
        classifier: What `load_classifier` returned, with Keras.
        pixels: uint8 (image_size, image_size, 3), RGB: the photo as it gets it.
        prediction: What `predict_photo` returned.

    Raises:
        UserError: Matplotlib does not write files with such an ending.
    """
    class_name, probability = prediction.classes[0]
    position = classifier.class_names.index(class_name)
    heatmap = compute_grad_cam(classifier.model, pixels[np.newaxis], np.array([position]))[0]
    figure, all_axes = plt.subplots(1, 2, figsize=(10, 5.6), layout="constrained")
    headings = "the photo, as the model gets it", f"bright: evidence for {class_name}"
    images = pixels, overlay_heatmap(pixels, heatmap)
    for axes, image, heading in zip(all_axes, images, headings, strict=True):
        axes.imshow(image)
        axes.set_title(heading)
        axes.set_axis_off()
    doubt = "" if prediction.accepted else " (not sure)"
    figure.suptitle(f"{class_name} {100 * probability:.0f} %{doubt}", fontsize=16)
    try:
        save_figure(figure, path)
    except ValueError as error:
        raise UserError(f"{shown_path(path)}: cannot be written ({error}); use .png") from error


def _build_panels() -> tuple[plt.Figure, np.ndarray]:
    """Return a figure with two axes side by side."""
    figure, all_axes = plt.subplots(1, 2, figsize=(12, 5.4), layout="constrained")
    for axes in all_axes:
        axes.grid(alpha=0.3)
    return figure, all_axes
