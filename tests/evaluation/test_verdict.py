"""The verdict on a model: honest about chance, few photos, and what the model is never sure of."""

from types import SimpleNamespace

import numpy as np
import pytest

from vision101.evaluation.scores import binomial_interval
from vision101.evaluation.verdict import (
    describe_acceptance,
    describe_accuracy,
    describe_training,
    describe_weakest_class,
    find_never_accepted,
    format_percent,
    suggest_epochs,
    suggest_next_steps,
)

CLASSES = ["climbing roses (David Austin)", "Gänseblümchen", "sunflowers", "tulips"]


def score(right: int, *counts: int, favourite: int | None = None) -> dict:
    """Return the scores of a model that is right about so many of the photos. It predicts as many
    of each class as there are, or all as one.
    """
    photos, confusion = sum(counts), np.diag(counts)
    if favourite is not None:
        confusion[:] = 0
        confusion[:, favourite] = counts
    return {
        "confusion": confusion.tolist(),
        "count": photos,
        "accuracy": right / photos,
        "accuracy_interval": binomial_interval(right / photos, photos),
        "classes": {name: {"count": n} for name, n in zip(CLASSES, counts, strict=False)},
    }


def test_many_photos_need_no_warning():
    unseen = score(982, 282, 282, 282, 282)
    assert describe_accuracy(CLASSES, unseen) == [
        "climbing roses (David Austin) and 3 other classes: 87 % of unseen photos right (85 to "
        "89 %), guessing would be 25 %."
    ]
    steps = suggest_next_steps("report.html", "python predict.py", unseen)
    first, look, last = (
        "Open report.html",
        "Look at the mistakes first",
        "Predict: python predict.py",
    )
    assert [steps[0], steps[1].split(":")[0], *steps[2:]] == [first, look, last]
    perfect = score(400, 100, 100, 100, 100)
    assert suggest_next_steps("report.html", "python predict.py", perfect) == [first, last]


def test_few_photos_leave_a_score_uncertain():
    unseen = score(18, 6, 6, 6, 6)
    verdict, warning = describe_accuracy(CLASSES, unseen)
    assert "75 % of unseen photos right (56 to 89 %)" in verdict
    assert warning == "24 unseen photos: this score is uncertain by ± 17 points."
    surer = "python train_transfer.py --folds 5"
    steps = suggest_next_steps("report.html", "python predict.py", unseen, surer)
    assert "Add photos" in steps[2]
    assert steps[3].endswith(f": {surer}")
    # Of painted photos, more or surer ones would say no more about real ones.
    steps = suggest_next_steps("report.html", "python predict.py", unseen, surer, painted=True)
    assert "Use photos of your own" in steps[2]
    assert not any("Add photos" in step or surer in step for step in steps)


def test_guessing_is_named_as_such_and_knows_unequal_classes():
    assert "It may be no better than guessing." in describe_accuracy(CLASSES, score(6, 6, 6, 6, 6))
    assert (
        "Train for more" in suggest_next_steps("page", "python predict.py", score(6, 6, 6, 6, 6))[2]
    )
    verdict, *_ = describe_accuracy(CLASSES[:2], score(90, 90, 10))
    assert verdict.startswith("climbing roses (David Austin) and Gänseblümchen: 90 %")
    assert verdict.endswith("guessing would be 90 %.")


def test_a_model_that_calls_all_one_class_is_told_so():
    _, worse, favourite = describe_accuracy(CLASSES, score(300, *[300] * 4, favourite=3))
    assert worse == "It may be no better than guessing."
    assert favourite == "It calls 100 % of photos tulips; 25 % are."
    # Of unequal classes too, where that is right as often as not.
    sentences = describe_accuracy(CLASSES[:2], score(900, 900, 100, favourite=0))
    assert sentences[2] == ("It calls 100 % of photos climbing roses (David Austin); 90 % are.")
    unseen = score(300, *[300] * 4, favourite=3)
    for row in unseen["confusion"]:
        row[0], row[3] = 9, 291
    assert "It calls 97 % of photos tulips; 25 % are." in describe_accuracy(CLASSES, unseen)


def test_what_is_hardly_better_than_guessing_is_said_though_it_is_no_chance():
    assert "It is hardly better than guessing." in describe_accuracy(
        CLASSES, score(330, *[300] * 4)
    )
    assert len(describe_accuracy(CLASSES, score(480, *[300] * 4))) == 1


def test_the_weakest_class_is_named_with_what_it_is_taken_for():
    confusion = [[3, 1, 2, 0], [0, 6, 0, 0], [1, 0, 2, 0], [0, 0, 0, 0]]
    assert describe_weakest_class(CLASSES, {"confusion": confusion}) == [
        "Weakest class: climbing roses (David Austin), 3 of 6 right, 2 taken for sunflowers (1 the "
        "other way round)."
    ]
    confusion[1] = [1, 1, 0, 0]  # as weak
    (sentence,) = describe_weakest_class(CLASSES, {"confusion": confusion})
    assert sentence.startswith("One of the weakest classes: climbing")
    assert describe_weakest_class(CLASSES, score(24, 6, 6, 6, 6)) == []


@pytest.mark.parametrize(
    ("best_epoch", "said"),
    [
        (8, ["Fine-tuning, from epoch 11 on, did not help: the model is that of before."]),
        (11, []),
    ],
)
def test_fine_tuning_that_did_not_help_is_said(best_epoch, said):
    about = {"split": {"train": range(64)}, "seconds": {"training": 12.0, "fine-tuning": 8.0}}
    about |= {"config": {"fine_tune": 20, "epochs": 10}, "epochs": 22, "best_epoch": best_epoch}
    assert describe_training(SimpleNamespace(**about)) == [
        f"Trained on 64 photos; the best of 22 epochs was number {best_epoch}; 20 s in all.",
        *said,
    ]
    about["config"]["fine_tune"] = None
    assert len(describe_training(SimpleNamespace(**about))) == 1


@pytest.mark.parametrize(
    ("best_epoch", "config", "stopped", "epochs"),
    [
        (15, {}, "", 30),
        (14, {}, "", 30),
        (13, {}, "", None),
        (15, {"folds": 5}, "", None),  # of which the last epoch is always kept
        (15, {"fine_tune": 20, "epochs": 3}, "", None),  # whose epochs have no flag
        (15, {}, "stopped in epoch 15", None),  # to be gone on with
    ],
)
def test_a_run_that_was_still_improving_should_be_longer(best_epoch, config, stopped, epochs):
    about = {"best_epoch": best_epoch, "epochs": 15, "config": config, "stopped": stopped}
    assert suggest_epochs(SimpleNamespace(**about)) == epochs
    steps = suggest_next_steps(
        "page", "python predict.py", score(982, 282, 282, 282, 282), epochs=epochs
    )
    assert any("--epochs 30" in step for step in steps) == bool(epochs)


def test_one_epoch_tells_nothing_of_improvement():
    about = {"best_epoch": 1, "epochs": 1, "config": {}, "stopped": ""}
    assert suggest_epochs(SimpleNamespace(**about)) is None


def test_a_model_that_is_never_sure_is_said_in_words():
    confidence = {"coverage": 0.0, "target_accuracy": 0.95, "threshold": 1.0}
    (sentence,) = describe_acceptance(confidence, CLASSES)
    assert "never confident enough to meet the target accuracy of 95 %" in sentence
    assert "100" not in sentence


def test_classes_that_the_model_is_never_sure_of_are_named():
    confidence = {
        "coverage": 0.5,
        "target_accuracy": 0.95,
        "accepted_accuracy": 0.9,
        "accepted_accuracy_interval": [0.8, 0.95],
    }
    probabilities = np.eye(4)[[0, 0, 1, 2, 2]]
    never = find_never_accepted(CLASSES, probabilities, np.array([True, True, False, True, True]))
    assert describe_acceptance(confidence, never) == [
        "The model is sure of 50 % of unseen photos, and right on 90 % of these (80 to 95 %; "
        "target: 95 %, perhaps missed); it leaves the others to a person.",
        "It is never sure of Gänseblümchen, tulips.",
    ]


@pytest.mark.parametrize(
    ("accuracy", "interval", "told"),
    [
        (0.9, [0.85, 0.94], "95 %, missed)"),
        (0.94, [0.91, 0.97], "95 %, perhaps missed)"),
        (0.96, [0.93, 0.98], "95 %)"),
        (1, [0.78, 1], "95 %, too few photos to tell)"),
    ],
)
def test_a_target_is_called_missed_as_surely_as_it_was(accuracy, interval, told):
    confidence = {
        "coverage": 0.5,
        "target_accuracy": 0.95,
        "accepted_accuracy": accuracy,
        "accepted_accuracy_interval": interval,
    }
    (sentence,) = describe_acceptance(confidence, [])
    assert f"target: {told}; it leaves" in sentence


@pytest.mark.parametrize(
    ("share", "text"), [(1, "100 %"), (0.9999, "99.9 %"), (0.0001, "0.1 %"), (0.875, "88 %")]
)
def test_nothing_is_rounded_to_all_or_none(share, text):
    assert format_percent(share) == text
