"""The end of a run: saved, and shown on the terminal, in pictures and on a page."""

import math

import keras
import numpy as np

from vision101.errors import shown_name, shown_path
from vision101.evaluation import plots
from vision101.evaluation.calibration import (
    accuracy_by_coverage,
    confidence_and_correctness,
    measure_calibration,
)
from vision101.evaluation.evaluate import Evaluation, measure_seconds_per_photo
from vision101.evaluation.grad_cam import compute_grad_cam, overlay_heatmap
from vision101.finished_runs import find_run_on_split
from vision101.pages import embed_picture, write_report
from vision101.photos.split import EVALUATED_SUBSETS
from vision101.portable import export_model
from vision101.runs import PAGE_NAME, Run

# Photos on the page: of the mistakes, and of the correct predictions with the least confidence.
MISTAKES_SHOWN = 24
UNCERTAIN_SHOWN = 12

# Shares of predictions, the most confident ones, whose accuracy stands below the plot of all.
COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)


def finish_run(
    run: Run,
    model: keras.Model,
    evaluation: Evaluation,
    images: np.ndarray,
    beside: str | None = None,
) -> None:
    """Save a run, and show how good its model is: on the terminal, in pictures and on a page.

    Args:
        run: A started run.
        model: What was evaluated.
        evaluation: What `evaluate_model` returned.
        images: The unseen photos as the model gets them, uint8 (photos, height, width, 3), RGB.
        beside: The kind of run whose newest one on the same split is shown beside it, if any.

    Raises:
        UserError: A file cannot be written. If it is a picture or the page, the run is complete.
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

    print_scores(run.title, evaluation.scores)
    other = find_run_on_split(run.folder.parent, beside, run.split) if beside else None
    if other:
        print_scores(other.title, other.results)
    print("In brackets: 95 % intervals, for chance in which photos were picked.", end=" ")
    sentences = describe_evaluation(evaluation)
    print("Unseen photos are the test set.", *sentences, sep="\n")

    pictures = {
        "curves": plots.plot_curves(run),
        "confusion": plots.plot_confusion(run, evaluation),
        "confidence": plots.plot_confidence(run, evaluation),
        "unseen": plots.plot_predictions(run, evaluation, images),
    }
    if other:
        pictures["side_by_side"] = plots.plot_side_by_side(run, evaluation, other)
    labels, probabilities = evaluation.labels["unseen"], evaluation.probabilities["unseen"]
    confidences, right = confidence_and_correctness(labels, probabilities)
    _, accuracies = accuracy_by_coverage(confidences, right)
    by_confidence = np.argsort(-confidences, kind="stable")
    mistakes = by_confidence[~right[by_confidence]][:MISTAKES_SHOWN]
    uncertain = by_confidence[right[by_confidence]][::-1][:UNCERTAIN_SHOWN]
    write_report(
        run.folder / PAGE_NAME,
        "run.html",
        run=run,
        folder=shown_path(run.folder),
        results=results,
        sentences=sentences,
        subsets=EVALUATED_SUBSETS,
        pictures={name: embed_picture(picture) for name, picture in pictures.items()},
        bins=measure_calibration(confidences, right)["bins"],
        accuracies={share: accuracies[math.ceil(share * len(right)) - 1] for share in COVERAGES},
        mistake_count=int((~right).sum()),
        mistakes=explain_predictions(run, model, evaluation, images, mistakes),
        uncertain=explain_predictions(run, model, evaluation, images, uncertain),
    )
    export_model(run, model)
    run.remove_checkpoints()
    print(f"Pictures, model and scores are in {shown_path(run.folder)}")


def print_scores(title: str, scores: dict[str, dict]) -> None:
    """Print a table of subsets (rows) and their accuracies with 95 % intervals, in percent."""
    print(f"\n{title}\n{'':12}{'photos':>7}  {'accuracy':<21}  balanced accuracy")
    for subset in EVALUATED_SUBSETS:
        count, cells = scores[subset]["count"], ["-", "-"]
        if count:
            cells = [
                f"{_percent(scores[subset][name]):>7} ({100 * low:.1f} - {100 * high:.1f})"
                for name in ("accuracy", "balanced_accuracy")
                for low, high in [scores[subset][f"{name}_interval"]]
            ]
        print(f"{subset:12}{count:7}  {cells[0]:<21}  {cells[1]}")


def describe_evaluation(evaluation: Evaluation) -> list[str]:
    """Return what a person should know of a model beside its scores, an entry for each subject."""
    gap, confidence = evaluation.gap, evaluation.confidence
    low, high = (100 * end for end in gap["interval"])
    target = f"{100 * confidence['target_accuracy']:g} %"
    accepted = (
        "No prediction on an unseen photo is confident enough for the target accuracy of "
        f"{target}, so none is accepted."
    )
    if confidence["coverage"]:
        least, most = (_percent(end) for end in confidence["accepted_accuracy_interval"])
        accepted = (
            f"Of the others, predictions with a confidence of {_percent(confidence['threshold'])} "
            f"or more are accepted: {_percent(confidence['coverage'])} of all. Of these, "
            f"{_percent(confidence['accepted_accuracy'])} are right ({least} to {most}; target: "
            f"{target})."
        )
    return [
        f"Validation minus unseen: {100 * gap['balanced_accuracy']:+.1f} points ({low:+.1f} to "
        f"{high:+.1f}). Validation photos chose the best epoch, so their score tends to be "
        "optimistic.",
        "Expected calibration error on unseen photos: "
        f"{_percent(confidence['expected_calibration_error'])} "
        f"({_percent(confidence['uncalibrated_calibration_error'])} before temperature scaling; "
        f"temperature {confidence['temperature']:.2f}). With "
        f"{evaluation.scores['unseen']['count']} photos, even a perfectly calibrated model would "
        f"show {_percent(confidence['perfect_calibration_error'])}, by chance.",
        f"False alarms: {_percent(evaluation.out_of_distribution['false_alarms'])} of unseen "
        "photos are flagged as unlike the training photos.",
        accepted,
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def explain_predictions(
    run: Run, model: keras.Model, evaluation: Evaluation, images: np.ndarray, positions: np.ndarray
) -> list[dict]:
    """Return what the page shows of some unseen photos, with where the model looked (Grad-CAM)."""
    if not len(positions):
        return []
    labels, probabilities = evaluation.labels["unseen"], evaluation.probabilities["unseen"]
    predicted = probabilities.argmax(axis=1)
    heatmaps = compute_grad_cam(model, images[positions], predicted[positions])
    return [
        {
            "photo": embed_picture(images[position]),
            "heatmap": embed_picture(overlay_heatmap(images[position], heatmap)),
            "file": shown_name(run.split["unseen"][position].path),
            "label": evaluation.class_names[labels[position].argmax()],
            "predicted": evaluation.class_names[predicted[position]],
            "confidence": 100 * probabilities[position].max(),
        }
        for position, heatmap in zip(positions, heatmaps, strict=True)
    ]
