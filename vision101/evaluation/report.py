"""The end of a run: saved, and shown on the terminal, in pictures and on a page."""

import math
import shlex

import keras
import numpy as np

from vision101.errors import shown_name, shown_path
from vision101.evaluation import plots, verdict
from vision101.evaluation.calibration import (
    accuracy_by_coverage,
    confidence_and_correctness,
    measure_calibration,
)
from vision101.evaluation.evaluate import Evaluation, measure_seconds_per_photo
from vision101.evaluation.grad_cam import compute_grad_cam, overlay_heatmap
from vision101.files import OUTPUTS_FOLDER
from vision101.finished_runs import FinishedRun, find_run_on_split
from vision101.pages import embed_picture, write_report
from vision101.photos.split import EVALUATED_SUBSETS
from vision101.portable import export_model
from vision101.runs import PAGE_NAME, Run
from vision101.terminal import build_table, lay_out, say

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
    print("Saving the model")
    results = evaluation.scores | {
        "gap": evaluation.gap,
        "confidence": evaluation.confidence,
        "out_of_distribution": evaluation.out_of_distribution,
        "parameters": model.count_params(),
        "best_epoch": run.best_epoch,
        "seconds_per_photo": measure_seconds_per_photo(model, images),
    }
    run.finish(model, evaluation, results)

    other = find_run_on_split(run.folder.parent, beside, run.split) if beside else None
    print_results(run, evaluation, other)

    print("Drawing pictures")
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
    print("Explaining predictions (Grad-CAM)")
    write_report(
        run.folder / PAGE_NAME,
        "run.html",
        run=run,
        folder=shown_path(run.folder),
        results=results,
        sentences=verdict.describe_reliability(results),
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
    newest = run.folder.parent == OUTPUTS_FOLDER  # where predict.py looks
    which = "" if newest else f"--run {shlex.quote(shown_path(run.folder))} "
    command = f"python predict.py {which}photo.jpg"
    page = shown_path(run.folder / PAGE_NAME)
    print("\nNext:", *verdict.suggest_next_steps(page, command, results["unseen"]), sep="\n- ")


def print_results(run: Run, evaluation: Evaluation, other: FinishedRun | None) -> None:
    """Print the verdict on a run, a table of its scores, and what its training took."""
    scores, names = evaluation.scores, evaluation.class_names
    accepted, probabilities = evaluation.accepted["unseen"], evaluation.probabilities["unseen"]
    print()
    say(*verdict.describe_accuracy(names, scores["unseen"]))
    never = verdict.find_never_accepted(names, probabilities, accepted)
    say(*verdict.describe_acceptance(evaluation.confidence, never))
    print()
    say(f"{run.title}, with 95 % intervals:")
    print(lay_out(build_table(*verdict.tabulate_scores(scores))))
    print()
    seconds = sum(run.seconds.values())
    say(verdict.describe_training(len(run.split["train"]), run.best_epoch, run.epochs, seconds))
    if other:
        unseen = other.results["unseen"]
        right, interval = unseen["accuracy"], unseen["accuracy_interval"]
        beside = f"{verdict.format_percent(right)} right ({verdict.format_interval(interval)})."
        say(f"For comparison, an earlier run on the same split, {other.title}: {beside}")


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
