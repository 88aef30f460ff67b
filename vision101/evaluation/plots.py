"""Pictures of a training run. Those of a whole run are PNG files in its folder `plots/`; the
functions return what the files hold.
"""

import math
from pathlib import Path

import numpy as np

from vision101.errors import UserError, shown_path
from vision101.evaluation.calibration import (
    CALIBRATION_BINS,
    accuracy_by_coverage,
    confidence_and_correctness,
    measure_calibration,
)
from vision101.evaluation.evaluate import Evaluation
from vision101.evaluation.grad_cam import compute_grad_cam, overlay_heatmap
from vision101.evaluation.scores import binomial_interval
from vision101.evaluation.verdict import find_fine_tuning
from vision101.figures import (
    BLUE,
    HEAT_COLOURS,
    ORANGE,
    VERMILION,
    name_classes,
    plt,
    save_figure,
    wrap,
)
from vision101.finished_runs import FinishedRun
from vision101.runs import Run

GRID_ROWS, GRID_COLUMNS = 4, 5

# The confusion matrix has numbers in each cell up to so many classes, and of every class the name
# up to so many more: beyond that, nobody could read them.
NUMBERED_CLASSES, NAMED_CLASSES = 16, 60

# With fewer photos in each bin of confidence, its accuracy would be mostly chance.
PHOTOS_IN_BIN = 20


def plot_curves(run: Run) -> bytes:
    """Plot accuracy and loss of every epoch, in training and on validation photos."""
    figure, (accuracy_axes, loss_axes) = _build_panels(run.title)
    epochs = range(1, run.epochs + 1)
    folds = run.config.get("folds")
    held_out = f"mean of {folds} folds, held out" if folds else "validation"
    for axes, name, scale in ((accuracy_axes, "accuracy", 100), (loss_axes, "loss", 1)):
        for key, label, style in (
            (name, "training", {"color": BLUE, "linestyle": "-"}),
            (f"val_{name}", held_out, {"color": ORANGE, "linestyle": "--"}),
        ):
            marker = "o" if run.epochs == 1 else None  # a line through one point is not seen
            values = scale * np.array(run.history[key])
            axes.plot(epochs, values, marker=marker, label=label, linewidth=2, **style)
        best = f"{'last' if folds else 'best'} epoch ({run.best_epoch})"
        axes.axvline(run.best_epoch, color="0.5", linestyle=":", label=best)
        if first := find_fine_tuning(run):
            label = f"fine-tuning, from epoch {first} on"
            axes.axvspan(first - 0.5, run.epochs, color="0.9", label=label)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    accuracy_axes.set(title="Accuracy", ylabel="accuracy (%)", ylim=(0, 102))
    # One wild epoch, often the first, must not flatten all others.
    losses = np.nan_to_num(run.history["loss"] + run.history["val_loss"])
    usual = np.quantile(losses, 0.9, method="lower" if run.epochs > 1 else "higher")
    highest = max(1e-6, min(losses.max(), 2 * usual))
    cut_off = (losses > 1.05 * highest).reshape(2, -1).any(axis=0).sum()
    most = np.format_float_positional(losses.max(), precision=2, fractional=False, trim="-")
    note = f" ({cut_off} of {run.epochs} epochs cut off, up to {most})" if cut_off else ""
    loss_axes.set(title=f"Loss{note}", ylabel="cross-entropy (nats)", ylim=(0, 1.05 * highest))
    loss_axes.yaxis.set_major_formatter("{x:,.10g}")
    return _save(figure, run, "curves")


def plot_confusion(run: Run, evaluation: Evaluation) -> bytes:
    """Plot how many unseen photos of each true class (rows) were predicted as which (columns)."""
    names = list(name_classes(evaluation.class_names).values())
    numbered = len(names) <= NUMBERED_CLASSES
    step = math.ceil(len(names) / NAMED_CLASSES)
    side = max(3.2, (0.62 if numbered else 0.18) * len(names[::step]))
    figure, axes = plt.subplots(figsize=(side + 3, side + 2.4), layout="constrained")
    counts = np.array(evaluation.scores["unseen"]["confusion"])
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    cells = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    if not numbered:
        figure.colorbar(cells, shrink=0.6, label="% of the photos of the true class")
    for (row, column), count in np.ndenumerate(counts) if numbered else ():
        text = f"{count}\n{shares[row, column]:.0f} %" if count else "0"
        colour = "white" if shares[row, column] > 50 else "black"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
    labels = [wrap(name, 20 if numbered else 28, 1 + numbered) for name in names[::step]]
    axes.set_xticks(range(0, len(names), step), labels, rotation=90)
    axes.set_yticks(range(0, len(names), step), labels)
    axes.tick_params(labelsize=10 if numbered else 8)
    some = f", {len(labels)} of {len(names):,} classes named" if step > 1 else ""
    axes.set(xlabel=f"predicted class{some}", ylabel=f"true class{some}")
    figure.suptitle(wrap(f"{run.title}: unseen photos", round(8 * (side + 3))))
    return _save(figure, run, "confusion")


def plot_confidence(run: Run, evaluation: Evaluation) -> bytes:
    """Plot what confidence is worth on unseen photos: a reliability diagram, before calibration
    and after it, and the accuracy by coverage.
    """
    title = f"{run.title}: confidence on unseen photos"
    figure, (reliability_axes, coverage_axes) = _build_panels(title)
    labels, probabilities = evaluation.labels["unseen"], evaluation.probabilities["unseen"]
    reliability_axes.plot((0, 100), (0, 100), ":", color="0.5", label="perfectly calibrated")
    for name, values, colour, style in (
        ("before", evaluation.uncalibrated["unseen"], ORANGE, "s--"),
        ("after", probabilities, BLUE, "o-"),
    ):
        confidences, right = confidence_and_correctness(labels, values)
        bins = _bin_by_confidence(confidences, right)
        error = 100 * measure_calibration(confidences, right)["error"]
        label = f"{name} temperature scaling: ECE {error:.1f} %"
        reliability_axes.plot(bins[:, 0], bins[:, 1], style, color=colour, label=label)
        if name == "after":
            label = "95 % interval, for chance in which photos were picked"
            reliability_axes.vlines(bins[:, 0], bins[:, 2], bins[:, 3], color=colour, label=label)
    reliability_axes.set(xlabel="confidence (%)", ylabel="accuracy (%)")
    reliability_axes.set(title="Reliability diagram", xlim=(0, 104), ylim=(-2, 104))

    coverage, accuracy = accuracy_by_coverage(*confidence_and_correctness(labels, probabilities))
    lowest = 100 * accuracy[len(accuracy) // 20 :].min()
    confidence = evaluation.confidence
    target = 100 * confidence["target_accuracy"]
    coverage_axes.plot(100 * coverage, 100 * accuracy, color=BLUE, linewidth=2)
    coverage_axes.axhline(target, color=VERMILION, linestyle="--", label=f"target ({target:g} %)")
    if confidence["coverage"]:
        point = 100 * confidence["coverage"], 100 * confidence["accepted_accuracy"]
        label = f"accepted: confidence of {100 * confidence['threshold']:.1f} % or more"
        coverage_axes.plot(*point, "o", color=VERMILION, markersize=10, label=label)
    coverage_axes.set_title("Accuracy by coverage")
    coverage_axes.set_xlabel("predictions accepted, most confident first (%)")
    coverage_axes.set_ylabel("accuracy of accepted ones (%)")
    coverage_axes.set(xlim=(0, 102), ylim=(min(lowest, target) - 5, 101))
    return _save(figure, run, "confidence")


def _bin_by_confidence(confidences: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return for each bin of confidence that has photos, fewer bins for fewer photos: mean
    confidence, accuracy, and the ends of its 95 % interval, in percent.
    """
    count = np.clip(len(right) // PHOTOS_IN_BIN, 3, CALIBRATION_BINS)
    positions = np.digitize(confidences, np.linspace(0, 1, count + 1)[1:-1], right=True)
    bins = []
    for position in np.unique(positions):
        inside = positions == position
        accuracy = right[inside].mean()
        interval = binomial_interval(accuracy, inside.sum())
        bins.append((confidences[inside].mean(), accuracy, *interval))
    return 100 * np.array(bins)


def plot_predictions(run: Run, evaluation: Evaluation, images: np.ndarray) -> bytes:
    """Plot a grid of the unseen photos, uint8 (photos, height, width, 3), RGB, with predicted and
    true class; wrong predictions stand out. Those shown are drawn at random, but the same ones for
    all runs on one split.
    """
    names, probabilities = evaluation.class_names, evaluation.probabilities["unseen"]
    shown_names = name_classes(names)
    predicted, true = probabilities.argmax(axis=1), evaluation.labels["unseen"].argmax(axis=1)
    count = min(GRID_ROWS * GRID_COLUMNS, len(images))
    chosen = np.random.default_rng(0).choice(len(images), count, replace=False)
    rows = math.ceil(count / GRID_COLUMNS)
    size = (10, 0.6 + 2.6 * rows)
    figure, all_axes = plt.subplots(rows, GRID_COLUMNS, figsize=size, layout="constrained")
    figure.get_layout_engine().set(wspace=0.04)
    for axes in all_axes.flat[count:]:
        axes.set_axis_off()
    for axes, index in zip(all_axes.flat, chosen, strict=False):
        right = predicted[index] == true[index]
        colour, weight, width = (BLUE, "normal", 2) if right else (VERMILION, "bold", 5)
        heading = f"{100 * probabilities[index].max():.0f} % {shown_names[names[predicted[index]]]}"
        label = f"label: {shown_names[names[true[index]]]}"
        lines = [f"✓ {heading}"] if right else [f"✗ {heading}", label]
        text = "\n".join(wrap(line, 23) for line in lines)  # as wide as the photo
        axes.set_title(text, color=colour, fontsize=9, fontweight=weight)
        axes.imshow(images[index])
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set(color=colour, linewidth=width)
    figure.suptitle(wrap(f"{run.title}: unseen photos, drawn at random", 90))
    return _save(figure, run, "unseen")


def plot_side_by_side(run: Run, evaluation: Evaluation, other: FinishedRun) -> bytes:
    """Plot another run on the same split, and this one: accuracy by epoch, and on unseen photos."""
    figure, (curve_axes, score_axes) = _build_panels(f"{run.title}, beside {other.title}")
    histories = (other.read_history(), run.history)
    all_scores = (other.results["unseen"], evaluation.scores["unseen"])
    labels = []
    for row, (one, colours) in enumerate(((other, ("0.35", "0.6")), (run, (BLUE, ORANGE)))):
        # How long it was trained: a short trial of a recipe is not what the recipe can do.
        epochs = range(1, 1 + len(histories[row]["accuracy"]))
        how = f"{len(epochs)} epoch{'s'[len(epochs) == 1 :]}, {one.config['image_size']} pixels"
        for key, style, colour, label in (
            ("accuracy", "-", colours[0], f"{one.title}, training"),
            ("val_accuracy", "--", colours[1], f"{one.title}, validation"),
        ):
            values = 100 * np.array(histories[row][key])
            style = "o" if len(values) == 1 else style
            curve_axes.plot(epochs, values, style, color=colour, label=wrap(label, 50), linewidth=2)
        score = 100 * all_scores[row]["balanced_accuracy"]
        low, high = (100 * end for end in all_scores[row]["balanced_accuracy_interval"])
        errors = [[score - low], [high - score]]
        score_axes.errorbar(score, row, xerr=errors, color=colours[0], fmt="o", ms=8, capsize=6)
        name = wrap(one.title.replace("_", " "), 24)
        labels.append(f"{name}\n{how}\n{score:.1f} % ({low:.0f} to {high:.0f})")
    curve_axes.set(title="Accuracy", xlabel="epoch", ylabel="accuracy (%)", ylim=(0, 102))
    curve_axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    guessing = 100 / len(evaluation.class_names)
    label = f"guessing ({guessing:.1f} %)"
    score_axes.axvline(guessing, color="black", linestyle=":", label=label)
    label = "balanced accuracy (%), with 95 % interval"
    score_axes.set(title="Unseen photos", xlabel=label, xlim=(0, 102), ylim=(1.5, -0.5))
    score_axes.set_yticks(range(2), labels)
    return _save(figure, run, "side-by-side")


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
    figure, all_axes = plt.subplots(1, 2, figsize=(9, 4.8), layout="constrained")
    name = name_classes(classifier.class_names)[class_name]
    evidence = f"evidence for {name}" if heatmap.any() else f"no evidence for {name} anywhere"
    images = pixels, overlay_heatmap(pixels, heatmap)
    headings = "the photo, as the model gets it", wrap(evidence, 40)
    for axes, image, heading in zip(all_axes, images, headings, strict=True):
        axes.imshow(image)
        axes.set_title(heading)
        axes.set_axis_off()
    scale = figure.colorbar(plt.cm.ScalarMappable(cmap=HEAT_COLOURS), ax=all_axes, shrink=0.8)
    scale.set_ticks((0, 1), labels=("none", "most"))
    doubt = "" if prediction.accepted else " (not sure)"
    figure.suptitle(f"{wrap(name, 60)} {100 * probability:.0f} %{doubt}", fontsize=15)
    try:
        save_figure(figure, path)
    except ValueError as error:
        raise UserError(f"{shown_path(path)}: cannot be written ({error}); use .png") from error


def _build_panels(title: str) -> tuple[plt.Figure, np.ndarray]:
    """Return a figure with two axes side by side."""
    figure, all_axes = plt.subplots(1, 2, figsize=(9, 5), layout="constrained")
    figure.suptitle(wrap(title, 90))
    for axes in all_axes:
        axes.grid(alpha=0.3)
        axes.title.set_fontsize(11)
    return figure, all_axes


def _save(figure: plt.Figure, run: Run, name: str) -> bytes:
    """Save a figure, with the legends that its axes have below them: there, they hide nothing."""
    for axes in figure.axes:
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False, fontsize=9)
    return save_figure(figure, run.folder / "plots" / f"{name}.png")
