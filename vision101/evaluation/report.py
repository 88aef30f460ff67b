"""The page of a training run: what its accuracy hides, shown to a person."""

import math
from pathlib import Path

import keras
import numpy as np

from vision101.errors import shown_path
from vision101.evaluation.calibration import (
    accuracy_by_coverage,
    confidence_and_correctness,
    measure_calibration,
)
from vision101.evaluation.evaluate import Evaluation, measure_seconds_per_photo
from vision101.evaluation.grad_cam import compute_grad_cam, overlay_heatmap
from vision101.evaluation.plots import plot_curves, plot_evaluation, plot_side_by_side
from vision101.pages import embed_picture, write_report
from vision101.photos.index import Photo
from vision101.photos.split import EVALUATED_SUBSETS
from vision101.runs import FinishedRun, Run, find_run_on_split
from vision101.training.datasets import Examples

# Photos to show of the mistakes, and of the right answers that were nearly wrong.
MISTAKES_SHOWN = 24
UNCERTAIN_SHOWN = 12

# Shares of photos, in percent, for which the accuracy is written beside the plot of all.
COVERAGES = (100, 90, 80, 70, 60, 50)

# With more classes, the table of their confusion would be larger than the rest of the page.
CLASSES_IN_TABLE = 30

# What each picture of a run shows, for the caption and for people who cannot see it.
PICTURES = {
    "curves": "Accuracy and loss by epoch, in training and on validation photos.",
    "confusion": "How many unseen photos of each class (rows) got which answer (columns).",
    "confidence": "Left: the share of right answers at each confidence. Right: their accuracy if "
    "only the most confident ones are given; the dot stands for those that it does give, which "
    "leave out photos taken for none of the classes, too.",
    "unseen": "Some unseen photos, picked by chance, with the answers.",
    "side-by-side": "This run beside a network trained from scratch on the same split.",
}


def finish_run(
    run: Run,
    model: keras.Model,
    evaluation: Evaluation,
    images: np.ndarray,
    beside: str | None = None,
) -> None:
    """Finish a run, and show what its model can do: on the terminal, in pictures and on a page.

    Args:
        run: A started run.
        model: The calibrated model to save.
        evaluation: What `evaluate_model` returned for it.
        images: The unseen photos as the model gets them, uint8 (photos, height, width, 3), RGB.
        beside: The kind of run whose newest one on the same split is shown beside it, if any.
    """
    results = evaluation.scores | {
        "gap": evaluation.gap,
        "confidence": evaluation.confidence,
        "out_of_distribution": evaluation.out_of_distribution,
        "parameters": model.count_params(),
        "best_epoch": run.best_epoch,
        "seconds_per_photo": measure_seconds_per_photo(model, images),
    }
    run.finish(model, evaluation, results)
    results = results | {
        "title": run.title,
        "seconds": run.seconds,
        "painted": run.config["painted"],
    }
    plot_curves(run.folder, run.history, run.best_epoch, run.title)
    unseen = Examples(images, evaluation.labels["unseen"])
    plot_evaluation(run.folder, evaluation, unseen, run.title)
    print_evaluation(evaluation, run.title)
    if beside and (other := find_run_on_split(run.folder.parent, beside, run.split)):
        plot_side_by_side(
            run.folder, other, FinishedRun(run.folder, run.config, results), run.history
        )
        print_scores(other.results, other.title)
    write_run_report(run.folder, results, run.config, evaluation, model, unseen, run.split)
    run.remove_checkpoints()
    print(f"Pictures, model and scores are in {shown_path(run.folder)}")


def write_run_report(
    run_folder: Path,
    results: dict,
    config: dict,
    evaluation: Evaluation,
    model: keras.Model,
    unseen: Examples,
    split: dict[str, list[Photo]],
) -> None:
    """Write `report.html`: scores, curves, confidence, and the mistakes with where it looked."""
    class_names, probabilities = evaluation.class_names, evaluation.probabilities["unseen"]
    answers, true_labels = probabilities.argmax(axis=1), unseen.labels.argmax(axis=1)
    by_confidence = np.argsort(-probabilities.max(axis=1), kind="stable")
    wrong = [index for index in by_confidence if answers[index] != true_labels[index]]
    right = [index for index in by_confidence[::-1] if answers[index] == true_labels[index]]
    galleries = []
    for chosen in (wrong[:MISTAKES_SHOWN], right[:UNCERTAIN_SHOWN]):
        inputs = unseen.inputs[chosen]
        heats = compute_grad_cam(model, inputs, answers[chosen]) if len(chosen) else []
        galleries.append(
            [
                {
                    "photo": embed_picture(pixels),
                    "heat": embed_picture(overlay_heatmap(pixels, heat)),
                    "file": split["unseen"][index].path.name,
                    "label": class_names[true_labels[index]],
                    "answer": class_names[answers[index]],
                    "confidence": 100 * probabilities[index].max(),
                }
                for index, pixels, heat in zip(chosen, inputs, heats, strict=True)
            ]
        )
    plots = {
        name: {"source": embed_picture(path), "caption": caption}
        for name, caption in PICTURES.items()
        if (path := run_folder / "plots" / f"{name}.png").is_file()
    }
    write_report(
        run_folder / "report.html",
        "run.html",
        numbers=_put_plots_into_numbers(evaluation, unseen),
        results=results,
        parts=EVALUATED_SUBSETS,
        sentences=describe_evaluation(evaluation),
        plots=plots,
        mistakes=galleries[0],
        mistake_count=len(wrong),
        uncertain=galleries[1],
        config=config,
        folder=shown_path(run_folder),
    )


def _put_plots_into_numbers(evaluation: Evaluation, unseen: Examples) -> dict[str, list[dict]]:
    """Return for two plots the tables that say the same, for people who cannot see them."""
    confidences, right = confidence_and_correctness(
        unseen.labels, evaluation.probabilities["unseen"]
    )
    _, accuracies = accuracy_by_coverage(confidences, right)
    confusion = {
        "caption": "How many unseen photos of each class (rows) got which answer (columns)",
        "headings": ["class", *evaluation.class_names],
        "rows": [
            [class_name, *counts]
            for class_name, counts in zip(
                evaluation.class_names, evaluation.scores["unseen"]["confusion"], strict=True
            )
        ],
    }
    calibration = {
        "caption": "Share of right answers at each confidence, on unseen photos",
        "headings": ["mean confidence", "photos", "right"],
        "rows": [
            [
                f"{100 * entry['confidence']:.0f} %",
                entry["count"],
                f"{100 * entry['accuracy']:.0f} %",
            ]
            for entry in measure_calibration(confidences, right)["bins"]
        ],
    }
    coverage = {
        "caption": "Share of right answers if only the most confident are given, on unseen photos",
        "headings": ["answers given", "right"],
        "rows": [
            [f"{percent} %", f"{100 * accuracies[math.ceil(percent / 100 * len(right)) - 1]:.1f} %"]
            for percent in COVERAGES
        ],
    }
    few_classes = len(evaluation.class_names) <= CLASSES_IN_TABLE
    return {"confusion": [confusion] if few_classes else [], "confidence": [calibration, coverage]}


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
    if confidence["accepted_accuracy"] is not None:
        least, most = (100 * end for end in confidence["accepted_accuracy_interval"])
        answered = (
            f"{100 * confidence['accepted_accuracy']:.1f} % of those answers are right "
            f"({least:.1f} to {most:.1f} %; {target})"
        )
    return [
        f"Gap, validation less unseen: {points:+.1f} points ({low:+.1f} to {high:+.1f})"
        ". Validation chose the best epoch, so its score tends to be optimistic.",
        f"Confidence: off by {100 * confidence['uncalibrated_calibration_error']:.1f} % on unseen photos, and "
        f"by {100 * confidence['expected_calibration_error']:.1f} % after temperature scaling "
        f"({confidence['temperature']:.2f}); with "
        f"{evaluation.scores['unseen']['count']} photos, a perfect one would seem off by "
        f"{100 * confidence['perfect_calibration_error']:.1f} %.",
        "Wrongly taken for none of the classes: "
        f"{100 * evaluation.out_of_distribution['false_alarms']:.1f} % of unseen photos.",
        f"Of the others, it is sure from a confidence of {100 * confidence['threshold']:.0f} % on: "
        f"it answers for {100 * confidence['coverage']:.1f} % of all unseen photos, and "
        f"{answered}.",
    ]


def print_scores(scores: dict[str, dict], title: str) -> None:
    """Print a table of parts (rows) and their accuracies with 95 % intervals, in percent."""
    print(f"\n{title}\n{'':12}{'photos':>7}  {'accuracy':<21}  balanced accuracy")
    for part in EVALUATED_SUBSETS:
        part_scores = scores[part]
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
