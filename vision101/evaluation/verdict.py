"""The verdict on a model, in sentences, for the terminal and the pages.

Shares are 0-1, intervals are those of 95 %, and `unseen` and `confidence` are those entries of
`results.json`.
"""

from collections.abc import Sequence

import numpy as np

from vision101.runs import Run
from vision101.terminal import count, format_seconds

# A score that may be off by more than this share, for chance in which photos were picked, needs a
# warning beside it. With a score of 87 %, it takes 220 photos to stay below.
UNCERTAIN_BY = 0.05

# From guessing to all right, a model that comes no farther than this share learned hardly anything.
LEARNED_LITTLE = 0.1
# A class that is predicted for more photos than it has, by this share of all, hides the others.
FAVOURED_BY = 0.3

# Classes that a sentence names before it counts the others.
NAMED_CLASSES = 3


def format_percent(share: float) -> str:
    """Return a share in whole percent, but never as 0 or 100 % what is not quite."""
    rounded = round(100 * share)
    if rounded in (0, 100) and share not in (0, 1):
        return f"{np.clip(100 * share, 0.1, 99.9):.1f} %"
    return f"{rounded} %"


def format_interval(interval: Sequence[float]) -> str:
    low, high = map(format_percent, interval)
    return f"{low.removesuffix(' %')} to {high}"


def guess_accuracy(unseen: dict) -> float:
    """Return how often one would be right who always names the most frequent class."""
    return max(scores["count"] for scores in unseen["classes"].values()) / unseen["count"]


def describe_accuracy(class_names: list[str], unseen: dict) -> list[str]:
    """Return the verdict: how many unseen photos are right, beside guessing; where nearly all are
    taken for one class, that; and where few photos leave the score uncertain, that.
    """
    first, *others = class_names
    classes = f"{first} and {others[0] if len(others) == 1 else f'{len(others):,} other classes'}"
    right, interval = format_percent(unseen["accuracy"]), unseen["accuracy_interval"]
    guess = guess_accuracy(unseen)
    sentences = [
        f"{classes}: {right} of unseen photos right ({format_interval(interval)}), guessing would "
        f"be {format_percent(guess)}."
    ]
    if interval[0] <= guess:
        sentences.append("It may be no better than guessing.")
    elif learned_little(unseen):
        sentences.append("It is hardly better than guessing.")
    true, predicted = (np.sum(unseen["confusion"], axis) / unseen["count"] for axis in (1, 0))
    favourite = (predicted - true).argmax()
    called, are = (format_percent(shares[favourite]) for shares in (predicted, true))
    if predicted[favourite] - true[favourite] > FAVOURED_BY or called == "100 %":
        sentences.append(f"It calls {called} of photos {class_names[favourite]}; {are} are.")
    if (points := _measure_uncertainty(unseen)) > UNCERTAIN_BY:
        photos = count(unseen["count"], "unseen photo")
        sentences.append(f"{photos}: this score is uncertain by ± {100 * points:.0f} points.")
    return sentences


def describe_weakest_class(class_names: list[str], unseen: dict) -> list[str]:
    """Return which class is recognised least often, and what it is mostly taken for; nothing where
    there are no mistakes.
    """
    confusion = np.array(unseen["confusion"])
    counts, hits = confusion.sum(axis=1), confusion.diagonal()
    if (hits == counts).all():
        return []
    recalls = np.where(counts, hits / np.maximum(counts, 1), np.inf)
    weakest = recalls.argmin()
    others = np.where(np.arange(len(counts)) == weakest, 0, confusion[weakest])
    other = others.argmax()
    back = confusion[other, weakest]
    back = f" ({back:,} the other way round)" if back else ""
    alone = (recalls == recalls.min()).sum() == 1
    lead = "Weakest class" if alone else "One of the weakest classes"
    return [
        f"{lead}: {class_names[weakest]}, {hits[weakest]:,} of {counts[weakest]:,} right, "
        f"{others.max():,} taken for {class_names[other]}{back}."
    ]


def learned_little(unseen: dict) -> bool:
    """Whether a model is hardly better than guessing."""
    guess = guess_accuracy(unseen)
    return unseen["accuracy"] - guess < LEARNED_LITTLE * (1 - guess)


def _measure_uncertainty(unseen: dict) -> float:
    low, high = unseen["accuracy_interval"]
    return (high - low) / 2


def describe_acceptance(confidence: dict, never_accepted: Sequence[str]) -> list[str]:
    """Return how many predictions the model is sure of, and how many of these are right; and which
    classes it is never sure of, as `find_never_accepted` returns them.
    """
    target = f"{100 * confidence['target_accuracy']:g} %"
    if not confidence["coverage"]:
        return [
            f"It is never confident enough to meet the target accuracy of {target}: it is "
            "not sure of any unseen photo, and leaves all of them to a person."
        ]
    accuracy = confidence["accepted_accuracy"]
    right = "all of these" if accuracy == 1 else f"{format_percent(accuracy)} of these"
    low, high = confidence["accepted_accuracy_interval"]
    if high < confidence["target_accuracy"]:
        target += ", missed"
    elif accuracy < confidence["target_accuracy"]:
        target += ", perhaps missed"
    elif low < confidence["target_accuracy"] and high - low > 2 * UNCERTAIN_BY:
        target += ", too few photos to tell"
    sentences = [
        f"The model is sure of {format_percent(confidence['coverage'])} of unseen photos, and "
        f"right on {right} ({format_interval((low, high))}; target: {target}); it leaves the "
        "others to a person."
    ]
    if never_accepted:
        names, more = never_accepted[:NAMED_CLASSES], never_accepted[NAMED_CLASSES:]
        others = f", and {len(more)} more" if more else ""
        sentences.append(f"It is never sure of {', '.join(names)}{others}.")
    return sentences


def find_never_accepted(
    class_names: list[str], probabilities: np.ndarray, accepted: np.ndarray
) -> list[str]:
    """Return the classes that no accepted prediction names.

    Args:
        class_names: In the order of the columns.
        probabilities: Float array (photos, classes).
        accepted: Whether the prediction counts: bool (photos,).
    """
    named = set(probabilities[accepted].argmax(axis=1))
    return [name for label, name in enumerate(class_names) if label not in named]


def describe_folds(photos: int, folds: dict | None) -> list[str]:
    """Return what a score means after cross-validation, given `folds` of `results.json`."""
    if not folds:
        return []
    number = len(folds["photos"])
    return [
        f"The saved model was trained on all {count(photos, 'photo')}; its score is estimated by "
        f"{number} models, each trained on {number - 1} of {number} folds and scored on the other."
    ]


def tabulate_scores(
    scores: dict[str, dict], folds: dict | None = None
) -> tuple[list[str], list[list[str]]]:
    """Return headings and rows of a table of the subsets that have photos, with their accuracies;
    balanced accuracy only where it is another number. The last row says how much folds differ.
    """
    rows = []
    for subset, found in scores.items():
        if found["count"]:
            accuracy, balanced = (
                f"{100 * found[name]:.1f} % ({100 * low:.1f} – {100 * high:.1f})"
                for name in ("accuracy", "balanced_accuracy")
                for low, high in [found[f"{name}_interval"]]
            )
            balanced = balanced if balanced != accuracy else ""
            rows.append([subset, f"{found['count']:,}", accuracy, balanced])
    if folds:
        name = f"mean of {len(folds['photos'])} folds"
        mean, deviation = 100 * folds["mean"], 100 * folds["standard_deviation"]
        rows.append([name, "", f"{mean:.1f} % ± {deviation:.1f} points", ""])
    headings = ["subset", "photos", "accuracy", "balanced accuracy"]
    if not any(row[-1] for row in rows):
        headings, *rows = (row[:-1] for row in (headings, *rows))
    return headings, rows


def describe_training(run: Run) -> list[str]:
    """Return what the training of a run took, and which of its epochs was the best; and where
    fine-tuning did not help, that.
    """
    photos, epochs = count(len(run.split["train"]), "photo"), f"{run.epochs:,} epochs"
    best = f"the best of {epochs} was number {run.best_epoch}"
    best = f"the last of {epochs} was kept" if run.config.get("folds") else best
    best = best if run.epochs > 1 else "one epoch"
    seconds = format_seconds(sum(run.seconds.values()))
    sentences = [f"Trained on {photos}; {best}; {seconds} in all."]
    if run.best_epoch < (first := find_fine_tuning(run)):
        sentences.append(
            f"Fine-tuning, from epoch {first} on, did not help: the model is that of before."
        )
    return sentences


def find_fine_tuning(run: Run) -> int:
    """Return the epoch with which fine-tuning began, counted from 1; 0 where it did not."""
    first = run.config["epochs"] + 1 if run.config.get("fine_tune") else 0
    return first if run.epochs >= first else 0


def describe_reliability(results: dict) -> list[str]:
    """Return from `results.json` what a person may want to know beside the verdict: how far the
    score on validation photos and the confidence can be trusted.
    """
    gap, confidence = results["gap"], results["confidence"]
    photos = results["unseen"]["count"]
    false_alarms = results["out_of_distribution"]["false_alarms"]
    sentences = []
    if gap:
        low, high = (100 * end for end in gap["interval"])
        sentences.append(
            f"Validation minus unseen: {100 * gap['balanced_accuracy']:+.1f} points ({low:+.1f} to "
            f"{high:+.1f}). Validation photos chose the best epoch, so their score tends to be "
            "optimistic."
        )
    error, before, by_chance = (
        f"{100 * confidence[f'{kind}_calibration_error']:.1f} %"
        for kind in ("expected", "uncalibrated", "perfect")
    )
    return [
        *sentences,
        f"Expected calibration error on unseen photos: {error} ({before} before temperature "
        f"scaling; temperature {confidence['temperature']:.2f}). With {photos:,} photos, even a "
        f"perfectly calibrated model would show {by_chance}, by chance.",
        f"False alarms: {100 * false_alarms:.1f} % of unseen photos are flagged as unlike the "
        "training photos.",
    ]


def suggest_epochs(run: Run) -> int | None:
    """Return for how many epochs to train next time; None where the best one was not among the last
    two, or --epochs decides nothing of that.
    """
    early = run.best_epoch < max(2, run.epochs - 1)
    if early or find_fine_tuning(run) or run.config.get("folds") or run.stopped:
        return None
    return 2 * run.epochs


def suggest_next_steps(
    page: str,
    predict: str,
    unseen: dict,
    cross_validate: str | None = None,
    epochs: int | None = None,
    painted: bool = False,
) -> list[str]:
    """Return what to do after a run.

    Args:
        page: Path of the run's page, as a person would type it.
        predict: The command that predicts with the run.
        unseen: As above.
        cross_validate: The command that scores every photo; None if that was done.
        epochs: What `suggest_epochs` returned.
        painted: Whether the photos are painted ones.
    """
    steps = [f"Open {page}"]
    if unseen["accuracy"] < 1:
        labels = "" if painted else ": is the model wrong, or the label?"
        steps.append(f"Look at the mistakes first{labels}")
    if epochs:
        steps.append(f"Train longer, with --epochs {epochs}: it was still improving at the end")
    if painted:
        steps.append("Use photos of your own, with --data: painted ones only show that all works")
        return [*steps, f"Predict: {predict}"]
    if learned_little(unseen):
        start = "Train" if epochs else "Train for more --epochs,"
        source = "a pretrained network (train_transfer.py)"
        steps.append(f"{start} on more photos, or from {source}")
    if _measure_uncertainty(unseen) > UNCERTAIN_BY:
        steps.append("Add photos of each class: with so few, the score is partly luck")
        if cross_validate:
            steps.append(f"Surer score, by testing every photo: {cross_validate}")
    return [*steps, f"Predict: {predict}"]
