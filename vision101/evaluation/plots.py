"""Pictures of a training run: curves, confusion matrix, and photos with their answers."""

import math
import textwrap
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import ConfusionMatrixDisplay

from vision101.errors import UserError
from vision101.evaluation.calibration import (
    accuracy_by_coverage,
    confidence_and_correctness,
    measure_calibration,
)
from vision101.evaluation.evaluate import Evaluation
from vision101.evaluation.grad_cam import compute_grad_cam, overlay_heatmap
from vision101.figures import BLUE, ORANGE, VERMILION, save_figure
from vision101.prediction import Classifier, Prediction
from vision101.runs import FinishedRun
from vision101.training.datasets import Examples

GRID_ROWS, GRID_COLUMNS = 4, 5

# The confusion matrix has a number in each cell, and a name for each row, up to so many classes.
NUMBERED_CLASSES = 30


def plot_curves(
    run_folder: Path, history: dict[str, list[float]], best_epoch: int, title: str
) -> None:
    """Plot accuracy and loss of every epoch, for training and validation.

    Args:
        run_folder: The picture goes to `plots/curves.png` in it.
        history: `keras.callbacks.History.history`: values of `accuracy`, `loss`, `val_accuracy`
            and `val_loss`, one for each epoch.
        title: Title of the picture.
    """
    figure, (accuracy_axes, loss_axes) = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    epochs = range(1, len(history["loss"]) + 1)
    for axes, name, scale in ((accuracy_axes, "accuracy", 100), (loss_axes, "loss", 1)):
        marker = "o" if len(epochs) == 1 else None
        for key, label, colour, style in (
            (name, "training", BLUE, "-"),
            (f"val_{name}", "validation", ORANGE, "--"),
        ):
            values = scale * np.array(history[key])
            axes.plot(epochs, values, style, color=colour, marker=marker, label=label, linewidth=2)
        axes.axvline(best_epoch, color="0.5", linestyle=":", label=f"best epoch ({best_epoch})")
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    accuracy_axes.set(title="Accuracy", ylabel="accuracy (%)", ylim=(0, 102))
    loss_axes.set(title="Loss", ylabel="loss (nats)")
    # A first epoch may be far off; the rest should still be seen.
    highest = np.quantile(history["loss"] + history["val_loss"], 0.97)
    loss_axes.set_ylim(0, 1.1 * highest)
    figure.suptitle(title, fontsize=14)
    save_figure(figure, run_folder / "plots" / "curves.png")


def plot_confidence(
    run_folder: Path, labels, before, probabilities, confidence: dict, title: str
) -> None:
    """Plot what confidence is worth on unseen photos: whether answers are right as often as it
    says, and how accurate they are if only the most confident ones are given.

    Args:
        run_folder: The picture goes to `plots/confidence.png` in it.
        labels: One-hot array of shape (photos, classes).
        probabilities: float array of shape (photos, classes), 0-1, calibrated.
        confidence: `Evaluation.confidence`.
        title: Title of the picture.
    """
    figure, (reliability_axes, coverage_axes) = plt.subplots(
        1, 2, figsize=(12, 5.6), layout="constrained"
    )
    reliability_axes.plot((0, 100), (0, 100), ":", color="0.5", label="as it should be")
    for name, values, colour, marker in (
        ("before", before, ORANGE, "s"),
        ("after", probabilities, BLUE, "o"),
    ):
        calibration = measure_calibration(*confidence_and_correctness(labels, values))
        bins = calibration["bins"]
        reliability_axes.plot(
            [100 * entry["confidence"] for entry in bins],
            [100 * entry["accuracy"] for entry in bins],
            "-",
            color=colour,
            linewidth=1.5,
            label=f"{name} scaling: off by {100 * calibration['error']:.1f} %",
        )
        # Dots as large as their share of the photos.
        reliability_axes.scatter(
            [100 * entry["confidence"] for entry in bins],
            [100 * entry["accuracy"] for entry in bins],
            [20 + 400 * entry["count"] / len(labels) for entry in bins],
            color=colour,
            marker=marker,
            alpha=0.8,
        )
    reliability_axes.set(
        title="Is confidence deserved? (larger dots: more photos)",
        xlabel="confidence (%)",
        ylabel="right answers (%)",
        xlim=(0, 104),
        ylim=(0, 104),
    )
    coverage, accuracy = accuracy_by_coverage(*confidence_and_correctness(labels, probabilities))
    lowest = 100 * accuracy[len(accuracy) // 20 :].min()
    coverage_axes.plot(100 * coverage, 100 * accuracy, color=BLUE, linewidth=2, label="unseen")
    target = 100 * confidence["target_accuracy"]
    coverage_axes.axhline(target, color=VERMILION, linestyle="--", label=f"target ({target:g} %)")
    if confidence["coverage"]:
        coverage_axes.plot(
            100 * confidence["coverage"],
            100 * confidence["accepted_accuracy"],
            "o",
            color=VERMILION,
            markersize=11,
            label=f"sure: {100 * confidence['threshold']:.0f} % or more, and nothing novel",
        )
    coverage_axes.set(
        title="If it may say “not sure”",
        xlabel="photos that get an answer, most confident first (%)",
        ylabel="right ones among the answers (%)",
        xlim=(0, 102),
        ylim=(min(lowest, target) - 5, 101),
    )
    for axes, place in ((reliability_axes, "lower right"), (coverage_axes, "lower left")):
        axes.grid(alpha=0.3)
        axes.legend(loc=place)
    figure.suptitle(f"{title}: confidence on unseen photos", fontsize=14)
    save_figure(figure, run_folder / "plots" / "confidence.png")


def plot_side_by_side(
    run_folder: Path, first: FinishedRun, second: FinishedRun, second_history
) -> None:
    """Plot two runs on one split: their accuracy by epoch, and on unseen photos.

    Args:
        run_folder: The picture goes to `plots/side-by-side.png` in it.
        first, second: The runs, in the order in which they are to be shown.
    """
    figure, (curve_axes, score_axes) = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    histories = (first.read_history(), second_history)
    for position, (colour, run) in enumerate(((BLUE, first), (VERMILION, second))):
        history = histories[position]
        epochs = range(1, len(history["loss"]) + 1)
        title = textwrap.fill(run.title.replace("_", " "), 30)
        for key, style, label in (("accuracy", "-", title), ("val_accuracy", "--", None)):
            values = 100 * np.array(history[key])
            curve_axes.plot(epochs, values, style, color=colour, label=label, linewidth=2)
        score = run.results["unseen"]["balanced_accuracy"]
        low, high = run.results["unseen"]["balanced_accuracy_interval"]
        score_axes.barh(
            position,
            100 * score,
            xerr=[[100 * (score - low)], [100 * (high - score)]],
            color=colour,
            capsize=6,
        )
        # In the upper half of the bar, since the interval may take its middle.
        score_axes.text(
            2, position - 0.2, f"{100 * score:.1f} %", color="white", va="center", size=14
        )
    curve_axes.set(
        title="Accuracy (solid: training, dashed: validation)",
        xlabel="epoch",
        ylabel="accuracy (%)",
        ylim=(0, 102),
    )
    curve_axes.xaxis.get_major_locator().set_params(integer=True)
    curve_axes.grid(alpha=0.3)
    curve_axes.legend(loc="lower right")
    score_axes.set(
        title="Unseen photos",
        xlabel="balanced accuracy (%), with 95 % interval",
        xlim=(0, 102),
        yticks=(0, 1),
        yticklabels=[textwrap.fill(run.title.replace("_", " "), 20) for run in (first, second)],
    )
    score_axes.invert_yaxis()
    save_figure(figure, run_folder / "plots" / "side-by-side.png")


def plot_evaluation(run_folder: Path, evaluation: Evaluation, unseen: Examples, title: str) -> None:
    """Plot how a model does on unseen photos: confusion, confidence, and some of the answers.

    Args:
        run_folder: The pictures go to `plots/` in it.
        evaluation: What `evaluate_model` returned.
        unseen: The unseen photos as the model gets them.
        title: Title of the pictures.
    """
    class_names, answers = evaluation.class_names, evaluation.probabilities["unseen"]
    plot_confusion(run_folder, evaluation.scores["unseen"]["confusion"], class_names, title)
    plot_confidence(
        run_folder,
        unseen.labels,
        evaluation.uncalibrated["unseen"],
        answers,
        evaluation.confidence,
        title,
    )
    plot_predictions(run_folder, unseen, answers, class_names, title)


def plot_confusion(
    run_folder: Path, confusion: list[list[int]], class_names: list[str], title: str
) -> None:
    """Plot how many unseen photos of each true class (rows) got which answer (columns).

    Args:
        run_folder: The picture goes to `plots/confusion.png` in it.
        confusion: Counts of photos, one row for each true class.
        class_names: Names of rows and columns.
        title: Title of the picture.
    """
    many = len(class_names) > NUMBERED_CLASSES  # more cells than a person reads, or draws soon
    side = 14.0 if many else max(6.0, 0.8 * len(class_names) + 2)
    figure, axes = plt.subplots(figsize=(side + 0.5, side), layout="constrained")
    display = ConfusionMatrixDisplay(np.array(confusion), display_labels=class_names)
    display.plot(
        ax=axes,
        cmap="Blues",
        colorbar=many,
        include_values=not many,
        xticks_rotation=90 if many else 30,
        values_format="d",
    )
    if many:  # names of some of them; the colours are photos
        step = math.ceil(len(class_names) / NUMBERED_CLASSES)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_ticks(range(0, len(class_names), step), class_names[::step])
    heading = textwrap.fill(f"{title}: unseen photos by answer", 56)  # as wide as the picture
    axes.set(title=heading, xlabel="predicted class", ylabel="true class")
    save_figure(figure, run_folder / "plots" / "confusion.png")


def plot_predictions(
    run_folder: Path,
    photos: Examples,
    probabilities: np.ndarray,
    class_names: list[str],
    title: str,
) -> None:
    """Plot a grid of unseen photos with true and predicted class; wrong answers stand out.

    Args:
        run_folder: The picture goes to `plots/unseen.png` in it.
        photos: The unseen photos. Which of them are shown is decided by chance, but the same
            for all runs on one split.
        probabilities: float (photos, classes), 0-1.
        class_names: Names in the order of the columns.
        title: Title of the picture.
    """
    count = min(GRID_ROWS * GRID_COLUMNS, len(photos.inputs))
    chosen = np.random.default_rng(0).choice(len(photos.inputs), count, replace=False)
    true_labels = photos.labels.argmax(axis=1)
    figure, all_axes = plt.subplots(
        GRID_ROWS, GRID_COLUMNS, figsize=(12, 11.5), layout="constrained"
    )
    for axes in all_axes.flat:
        axes.set_axis_off()
    for axes, index in zip(all_axes.flat, chosen, strict=False):
        answer = probabilities[index].argmax()
        right = answer == true_labels[index]
        colour = BLUE if right else VERMILION
        axes.set_axis_on()
        axes.set(xticks=[], yticks=[])
        axes.imshow(photos.inputs[index])
        for spine in axes.spines.values():
            spine.set(color=colour, linewidth=2 if right else 5)
        confidence = f"{class_names[answer]} {100 * probabilities[index, answer]:.0f} %"
        true_name = class_names[true_labels[index]]
        axes.set_title(
            f"✓ {confidence}" if right else f"✗ {confidence}\nis: {true_name}",
            color=colour,
            fontsize=11,
            fontweight="normal" if right else "bold",
        )
    figure.suptitle(f"{title}: unseen photos, right and wrong", fontsize=14)
    save_figure(figure, run_folder / "plots" / "unseen.png")


def plot_grad_cam(path: Path, run: Classifier, pixels: np.ndarray, answer: Prediction) -> None:
    """Plot a photo beside where the model saw its answer in it.

    Args:
        path: The picture, in any format that Matplotlib writes.
        run: The run whose model it is.
        pixels: uint8 array (image_size, image_size, 3), RGB, 0-255: the photo as it gets it.
        answer: What it said of it.

    Raises:
        UserError: Matplotlib does not write files with such an ending.
    """
    class_name, probability = answer.classes[0]
    position = run.class_names.index(class_name)
    heat = compute_grad_cam(run.model, pixels[np.newaxis], np.array([position]))[0]
    figure, (photo_axes, heat_axes) = plt.subplots(1, 2, figsize=(10, 5.6), layout="constrained")
    photo_axes.imshow(pixels)
    photo_axes.set_title("the photo, as the model gets it")
    heat_axes.imshow(overlay_heatmap(pixels, heat))
    heat_axes.set_title(f"bright: speaks for {class_name}")
    for axes in (photo_axes, heat_axes):
        axes.set_axis_off()
    doubt = "" if answer.accepted else " (not sure)"
    figure.suptitle(f"{class_name} {100 * probability:.0f} %{doubt}", fontsize=16)
    try:
        save_figure(figure, path)
    except ValueError as error:
        plt.close(figure)
        raise UserError(f"{path}: no picture can be written there ({error}); use .png") from error
