"""The end of a run: saved, and shown on the terminal, in pictures and on a page."""

import math
from pathlib import Path

import keras
import numpy as np

from vision101.errors import quote, shown_name, shown_path
from vision101.evaluation import plots, verdict
from vision101.evaluation.calibration import (
    accuracy_by_coverage,
    confidence_and_correctness,
    measure_calibration,
)
from vision101.evaluation.embeddings import describe_embeddings
from vision101.evaluation.evaluate import Evaluation, measure_seconds_per_photo
from vision101.evaluation.grad_cam import compute_grad_cam, overlay_heatmap
from vision101.figures import name_classes
from vision101.files import OUTPUTS_FOLDER
from vision101.finished_runs import FinishedRun, find_run_on_split
from vision101.pages import embed_picture, link_to, write_report
from vision101.photos.split import EVALUATED_SUBSETS
from vision101.portable import export_model
from vision101.runs import PAGE_NAME, Run
from vision101.terminal import build_table, lay_out, say

# Photos on the page: of the mistakes, and of the correct predictions that are not accepted.
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
        "folds": evaluation.folds,
        "confidence": evaluation.confidence,
        "out_of_distribution": evaluation.out_of_distribution,
        "parameters": model.count_params(),
        "best_epoch": run.best_epoch,
        "seconds_per_photo": measure_seconds_per_photo(model, images),
    }
    run.finish(model, evaluation, results)

    other = find_run_on_split(run.folder.parent, beside, run.split) if beside else None
    paragraphs = describe_evaluation(evaluation)

    newest = run.folder.parent == OUTPUTS_FOLDER  # where predict.py looks
    which = "" if newest else f"--run {quote(shown_path(run.folder))} "
    predict = f"python predict.py {which}photo.jpg"
    known = shown_path(run.folder / PAGE_NAME), predict, results["unseen"]
    options = verdict.suggest_epochs(run), run.source.painted
    commands = _name_cross_validation(run), "the page has the command"
    page_steps, steps = (
        verdict.suggest_next_steps(*known, None if evaluation.folds else command, *options)
        for command in commands
    )
    write_run_page(run, model, evaluation, images, results, paragraphs, other, page_steps[1:])
    export_model(run, model)
    run.remove_checkpoints()
    # In the end, and short: one screen should show the verdict too.
    print_results(run, evaluation, paragraphs, other)
    print("\nNext:", *steps, sep="\n- ")


def _name_cross_validation(run: Run) -> str:
    """Return the command that scores every photo, with the network of the run if it has one."""
    command = "python train_transfer.py"
    for name in ("data", "exclude", "backbone", "weights"):
        value = run.config.get(name)
        if value and value != "imagenet":  # which is the default
            words = value if isinstance(value, list) else [value]
            command += f" --{name} {' '.join(map(quote, words))}"
    return f"{command} --folds 5"


def describe_evaluation(evaluation: Evaluation) -> list[list[str]]:
    """Return the verdict in two paragraphs: how good it is, and when it is sure."""
    names, probabilities = evaluation.class_names, evaluation.probabilities["unseen"]
    never = verdict.find_never_accepted(names, probabilities, evaluation.accepted["unseen"])
    photos, folds = len(evaluation.labels["unseen"]), evaluation.folds
    return [
        verdict.describe_accuracy(names, evaluation.scores["unseen"])
        + verdict.describe_folds(photos, folds),
        verdict.describe_acceptance(evaluation.confidence, never),
    ]


def print_results(
    run: Run, evaluation: Evaluation, paragraphs: list[list[str]], other: FinishedRun | None
) -> None:
    """Print the verdict on a run, a table of its scores, and what its training took."""
    print()
    for paragraph in paragraphs:
        say(*paragraph)
    print()
    say(f"{run.title}, with 95 % intervals:")
    # Of surplus photos, the page tells more: their score does not compare with the others.
    scores = {subset: evaluation.scores[subset] for subset in ("validation", "unseen")}
    print(lay_out(build_table(*verdict.tabulate_scores(scores, evaluation.folds))))
    print()
    weakest = verdict.describe_weakest_class(evaluation.class_names, evaluation.scores["unseen"])
    for sentences in (weakest, verdict.describe_training(run)):
        if sentences:
            say(*sentences)
    if other:
        unseen = other.results["unseen"]
        right, interval = unseen["accuracy"], unseen["accuracy_interval"]
        beside = f"{verdict.format_percent(right)} right ({verdict.format_interval(interval)})."
        say(f"For comparison, an earlier run on the same split, {other.title}: {beside}")


def write_run_page(
    run: Run,
    model: keras.Model,
    evaluation: Evaluation,
    images: np.ndarray,
    results: dict,
    paragraphs: list[list[str]],
    other: FinishedRun | None,
    next_steps: list[str],
) -> None:
    """Draw all pictures of a run, and write its page. Beside the arguments of `finish_run`, it
    takes what `results.json` holds, the verdict, the run to show beside it, and what to do next.
    """
    print("Drawing pictures")
    pictures = {
        "curves": embed_picture(plots.plot_curves(run)),
        "confusion": embed_picture(plots.plot_confusion(run, evaluation)),
        "confidence": embed_picture(plots.plot_confidence(run, evaluation)),
        "unseen": embed_picture(plots.plot_predictions(run, evaluation, images), photographic=True),
    }
    if other:
        pictures["side_by_side"] = embed_picture(plots.plot_side_by_side(run, evaluation, other))
    names, probabilities = evaluation.class_names, evaluation.probabilities["unseen"]
    confidences, right = confidence_and_correctness(evaluation.labels["unseen"], probabilities)
    _, accuracies = accuracy_by_coverage(confidences, right)
    accepted = evaluation.accepted["unseen"]
    # Accepted mistakes come first, however confident the others are: nobody would check those.
    accepted_first = np.lexsort((-confidences, ~accepted))
    mistakes = accepted_first[~right[accepted_first]][:MISTAKES_SHOWN]
    unsure = right & ~accepted & (confidences < evaluation.confidence["threshold"])
    by_confidence = np.argsort(confidences, kind="stable")
    uncertain = by_confidence[unsure[by_confidence]][:UNCERTAIN_SHOWN]
    training = verdict.describe_training(run)
    print("Explaining predictions (Grad-CAM)")
    write_report(
        run.folder / PAGE_NAME,
        "run.html",
        run=run,
        folder=shown_path(run.folder),
        photos_name=shown_name(Path(run.config["photos"])),
        format_percent=verdict.format_percent,
        format_interval=verdict.format_interval,
        quote=quote,
        results=results,
        verdict=sum(paragraphs, []) + training[1:],
        guessing=verdict.guess_accuracy(results["unseen"]),
        scores=verdict.tabulate_scores(evaluation.scores, evaluation.folds),
        next_steps=next_steps,
        training_photos=len(run.split["train"]),
        training=training,
        sentences=verdict.describe_reliability(results),
        subsets=EVALUATED_SUBSETS,
        pictures=pictures,
        names_in_pictures=name_classes(names),
        bins=measure_calibration(confidences, right)["bins"],
        accuracies={share: accuracies[math.ceil(share * len(right)) - 1] for share in COVERAGES},
        weakest=verdict.describe_weakest_class(names, evaluation.scores["unseen"]),
        mistake_count=int((~right).sum()),
        accepted_mistakes=int((accepted & ~right).sum()),
        mistakes=explain_predictions(run, model, evaluation, images, mistakes),
        uncertain=explain_predictions(run, model, evaluation, images, uncertain),
        embeddings=describe_embeddings(run, evaluation, images),
    )


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
            "evidence": bool(heatmap.any()),
            "file": run.source.place(run.split["unseen"][position].path),
            "link": link_to(run.split["unseen"][position].path, run.folder),
            "label": evaluation.class_names[labels[position].argmax()],
            "predicted": evaluation.class_names[predicted[position]],
            "confidence": 100 * probabilities[position].max(),
            "accepted": evaluation.accepted["unseen"][position],
        }
        for position, heatmap in zip(positions, heatmaps, strict=True)
    ]
