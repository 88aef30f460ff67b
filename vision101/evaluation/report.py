"""The page of a training run: what its accuracy hides, shown to a person."""

import json
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
from vision101.evaluation.evaluate import Evaluation, describe_evaluation
from vision101.evaluation.grad_cam import compute_grad_cam, overlay_heatmap
from vision101.evaluation.scores import EVALUATED_SUBSETS
from vision101.pages import embed_picture, write_report
from vision101.photos.index import Photo
from vision101.runs import CONFIG_NAME
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


def write_run_report(
    run_folder: Path,
    results: dict,
    evaluation: Evaluation,
    model: keras.Model,
    unseen: Examples,
    split: dict[str, list[Photo]],
) -> None:
    """Write `report.html`: scores, curves, confidence, and the mistakes with where it looked.

    Args:
        run_folder: Folder of the run, with its plots in it.
        results: What `summarize_run` returned.
        evaluation: What `evaluate_model` returned.
        model: The model that was saved.
        unseen: The unseen photos as the model gets them.
        split: What `split_photos` returned.
    """
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
        config=json.loads((run_folder / CONFIG_NAME).read_text(encoding="utf-8")),
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
