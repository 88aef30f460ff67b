"""Cross-validation: every photo is scored once, by a head that has not seen it, and runs say so."""

import csv
import hashlib
import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

import train_transfer
from vision101.cli import run_script as run_main
from vision101.comparison.grouping import group_by_recipe, group_by_split
from vision101.comparison.reading import load_runs
from vision101.errors import UserError
from vision101.evaluation.evaluate import evaluate_model
from vision101.photos.index import Photo
from vision101.photos.make_split import deal_folds
from vision101.photos.reading import read_pixels
from vision101.photos.sources import PhotoSource
from vision101.photos.split import hash_split, list_folds, read_split, split_photos, write_split
from vision101.prediction import load_classifier, predict_photo
from vision101.runs import Run
from vision101.training.datasets import Examples
from vision101.training.folds import train_folds, weigh_classes
from vision101.training.log import TrainingLog
from vision101.training.models import build_head

COUNTS = {"daisy": 30, "roses": 34, "tulips": 26}
NAMES = [*COUNTS]


def make_photo(class_name: str, number: int) -> Photo:
    digest = hashlib.sha256(f"{class_name} {number}".encode()).hexdigest()
    path = Path("/photos", class_name, f"{number}.jpg")
    return Photo(path, class_name, 320, 240, digest, digest * 8, "", 1, 1)


@pytest.fixture(scope="module")
def groups() -> list[list[Photo]]:
    """Return photos in groups, of which every third has two."""
    groups = []
    for name, count in COUNTS.items():
        photos = [make_photo(name, number) for number in range(count)]
        groups += [photos[first : first + 2] for first in range(0, count // 3, 2)]
        groups += [[photo] for photo in photos[-(-(count // 3) // 2) * 2 :]]
    return groups


def place(split) -> dict[str, str]:
    return {photo.sha256: fold for fold in list_folds(split) for photo in split[fold]}


def test_folds_hold_every_photo_once_and_keep_groups_together(groups):
    split = deal_folds(groups, 5, seed=0)
    assert list_folds(split) == [f"fold {number}" for number in (1, 2, 3, 4, 5)]
    dealt = [photo for fold in list_folds(split) for photo in split[fold]]
    assert len(dealt) == len({*dealt}) == sum(COUNTS.values())
    assert {*dealt} == {*split["train"]} == {*split["unseen"]}
    assert split["train"] == split["unseen"]
    folds = place(split)
    assert all(len({folds[photo.sha256] for photo in group}) == 1 for group in groups)
    for fold in list_folds(split):
        held = Counter(photo.class_name for photo in split[fold])
        assert all(abs(held[name] - COUNTS[name] / 5) < 2 for name in COUNTS), held


def test_folds_follow_from_content_and_seed(groups):
    split = deal_folds(groups, 4, seed=3)
    renamed = [
        [replace(photo, path=photo.path.with_suffix(".png")) for photo in group]
        for group in reversed(groups)
    ]
    assert place(deal_folds(renamed, 4, seed=3)) == place(split)
    hashes = {hash_split(deal_folds(groups, folds, seed)) for folds in (4, 5) for seed in (3, 4)}
    ordinary = split_photos([photo for group in groups for photo in group], 3)
    assert len(hashes | {hash_split(ordinary)}) == 5


def test_too_few_different_photos_for_a_fold_each_are_a_usage_error(groups):
    few = [*groups, [make_photo("lilies", 0), make_photo("lilies", 1)], [make_photo("lilies", 2)]]
    with pytest.raises(UserError, match="--folds 3: class 'lilies' has 2 different photos"):
        deal_folds(few, 3, seed=0)


def test_folds_are_read_back_as_they_were_written(groups, tmp_path, capsys):
    split = deal_folds(groups, 11, seed=0)
    source = PhotoSource(Path("/photos"), painted=False)
    write_split(tmp_path, split, source)
    assert read_split(tmp_path, split["train"], source) == split
    with (tmp_path / "split.csv").open(newline="") as file:
        assert Counter(row["sha256"] for row in csv.DictReader(file)).total() == len(split["train"])
    gone, *others = split["train"]
    rest = read_split(tmp_path, others, source)
    assert rest["train"] == rest["unseen"] == others
    assert hash_split(rest) != hash_split(split)
    assert gone.path.name in capsys.readouterr().out


@pytest.fixture
def trained(groups):
    """Return examples, folds, and what heads say that were trained without each, with a record of
    what they were trained on. Each photo has a feature of its own that gives it away.
    """
    split = deal_folds(groups, 3, seed=0)
    labels = np.eye(3, dtype=np.float32)[[NAMES.index(p.class_name) for p in split["train"]]]
    generator = np.random.default_rng(0)
    hints = 2 * labels + generator.normal(size=labels.shape)
    features = np.hstack([np.eye(len(labels)), hints]).astype(np.float32)
    views = np.stack([features, features], axis=1)
    nothing = Examples(features[:0], labels[:0])
    examples = {"train": Examples(views, labels), "unseen": Examples(features, labels)}
    head = build_head(3, features.shape[1])
    seen, starts = [], []

    def fit(part):
        starts.append(head.get_weights())
        seen.append({*part["train"].inputs[:, 0, : len(labels)].argmax(axis=1)})
        held = part["validation"].inputs[:, : len(labels)].argmax(axis=1)
        assert {*held} == {*range(len(labels))} - seen[-1]
        head.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
        # As if it learned the photos by heart: their own feature decides, or else the hint.
        kernel = np.vstack([9 * labels, np.eye(3)])
        kernel[[*held]] = 0
        head.get_layer("probabilities").set_weights([kernel, np.zeros(3)])
        curve = {"val_accuracy": [0.5, len(seen) / 4], "val_loss": [1.0, 1.0]}
        head.history = SimpleNamespace(history=curve)

    held_out = train_folds(head, examples, split, fit)
    return head, examples | {"validation": nothing, "surplus": nothing}, held_out, seen, starts


def test_predictions_are_those_of_heads_that_have_not_seen_the_photo(trained):
    head, examples, held_out, seen, starts = trained
    labels = examples["unseen"].labels
    assert len(seen) == 3
    for position, fold in enumerate(held_out.folds):
        assert [position in known for known in seen].count(False) == 1
        assert position not in seen[fold]
    # Who knew the photos would be certain of all of them.
    right = (held_out.probabilities * labels).sum(axis=1)
    assert right.max() < 0.99
    assert held_out.probabilities.argmax(axis=1).tolist() != labels.argmax(axis=1).tolist()
    # Each head, and the one that is saved, begins as an untrained one does.
    for start in [*starts, head.get_weights()]:
        for array, first in zip(start, starts[0], strict=True):
            np.testing.assert_array_equal(array, first)
    sizes = np.bincount(held_out.folds)
    expected = np.average([0.25, 0.5, 0.75], weights=sizes)
    assert held_out.curves["val_accuracy"] == pytest.approx([0.5, expected])


def test_classes_count_alike_in_training():
    labels = np.eye(3)[[0] * 10 + [1] * 30 + [2] * 5]
    weights = weigh_classes(labels)
    assert [weights[position] * count for position, count in enumerate((10, 30, 5))] == [15] * 3


def test_a_photo_has_no_say_in_how_it_is_evaluated(trained):
    head, examples, held_out, *_ = trained
    weights = head.get_weights()
    evaluation = evaluate_model(head, examples, NAMES, 0.8, held_out)
    scores, spread = evaluation.scores, evaluation.folds
    assert scores["unseen"]["count"] == len(held_out.folds) == sum(spread["photos"])
    assert scores["validation"]["count"] == 0
    assert evaluation.gap is None
    assert spread["mean"] == pytest.approx(scores["unseen"]["accuracy"], abs=0.02)
    np.testing.assert_array_equal(evaluation.uncalibrated["unseen"], held_out.probabilities)
    # The detector that is saved knows these photos: what is far was learned without them.
    assert evaluation.detector.check(evaluation.features["unseen"])[0].all()
    assert 0 < evaluation.out_of_distribution["false_alarms"] < 0.2
    # Other labels of a fold change the scores, but not what is said of its photos.
    other = examples["unseen"].labels.copy()
    other[held_out.folds == 1] = np.roll(other[held_out.folds == 1], 1, axis=1)
    head.set_weights(weights)
    changed = examples | {"unseen": Examples(examples["unseen"].inputs, other)}
    again = evaluate_model(head, changed, NAMES, 0.8, held_out)
    for told in ("probabilities", "accepted"):
        before, after = (getattr(one, told)["unseen"] for one in (evaluation, again))
        np.testing.assert_array_equal(before[held_out.folds == 1], after[held_out.folds == 1])
    before, after = (one.probabilities["unseen"] for one in (evaluation, again))
    assert (before[held_out.folds == 0] != after[held_out.folds == 0]).any()
    assert evaluation.confidence["temperature"] != again.confidence["temperature"]


def test_the_last_epoch_is_kept_and_what_was_held_out_is_logged(trained, tmp_path):
    head, _, held_out, *_ = trained
    run = SimpleNamespace(folder=tmp_path, history={}, stopped="", epochs=0)
    log = TrainingLog(run, epochs=2, held_out=held_out)
    log.set_model(head)
    log.set_params({"steps": 1})
    log.on_train_begin()
    for epoch in (0, 1):
        log.on_epoch_begin(epoch)
        head.set_weights([np.full_like(array, epoch) for array in head.get_weights()])
        log.on_epoch_end(epoch, {"accuracy": 1 - epoch / 2, "loss": 1.0})
    log.on_train_end()
    assert head.get_weights()[0][0] == 1
    assert run.history["val_accuracy"] == held_out.curves["val_accuracy"]
    # A resumed run begins again, rather than with a head that is half trained.
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]


@pytest.mark.parametrize(
    "flags",
    [
        ("--fine-tune", "3"),
        ("--use-split",),
        ("--per-class", "20"),
        ("--add", "more.csv"),
    ],
)
def test_flags_that_folds_contradict_are_refused_in_one_line(flags, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["train_transfer.py", "--folds", "5", *flags])
    with pytest.raises(SystemExit) as caught:
        run_main(train_transfer.main)
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--folds" in line
    assert flags[0] in line


@pytest.fixture(scope="module")
def outputs(run_script, painted_folder, tmp_path_factory):
    """Run the script, and return where its run lies and what it showed."""
    folder = tmp_path_factory.mktemp("folds")
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(8, 3, strides=4)(keras.layers.Rescaling(1 / 255)(inputs))
    keras.Model(inputs, x).save(folder / "small.keras")
    outcome = run_script(
        "train_transfer.py",
        *("--data", painted_folder, "--backbone", folder / "small.keras", "--image-size", 32),
        *("--epochs", 3, "--folds", 3, "--output-dir", folder / "outputs"),
    )
    assert outcome.code == 0, outcome.err
    return folder / "outputs", outcome


def test_a_run_says_what_was_trained_and_what_was_scored(outputs, painted_folder):
    (run_folder,) = outputs[0].glob("*-transfer-*")
    statement = "The saved model was trained on all 50 photos; its score is estimated by 3 models"
    assert statement in outputs[1].out
    assert "mean of 3 folds" in outputs[1].out
    page = (run_folder / "report.html").read_text(encoding="utf-8")
    assert statement in page
    assert "--folds 3" in page
    results = json.loads((run_folder / "results.json").read_text())
    assert sorted(results["folds"]["photos"]) == [16, 17, 17]
    assert results["best_epoch"] == 3
    with (run_folder / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["sha256"] for row in rows}) == len(rows) == 50
    right = np.mean([row["label"] == row["predicted"] for row in rows])
    assert results["unseen"]["accuracy"] == pytest.approx(right)


def test_a_run_predicts_and_is_compared_beside_ordinary_ones(outputs, painted_folder, finished_run):
    (run_folder,) = outputs[0].glob("*-transfer-*")
    classifier = load_classifier(run_folder)
    pixels = read_pixels(painted_folder / "daisy" / "daisy-0001.jpg", 32)
    prediction = predict_photo(classifier, "photo", pixels)
    assert sum(share for _, share in prediction.classes) == pytest.approx(1, abs=1e-5)
    runs, left_out = load_runs([run_folder, finished_run[0]], outputs[0])
    assert not left_out
    assert runs[0].photos_hash == runs[1].photos_hash
    splits = group_by_split(runs)
    assert [len(members) for members in splits.values()] == [1, 1]
    assert any("3 folds" in heading for heading in splits)
    seeds = [run._replace(config=run.config | {"seed": seed}) for run in runs for seed in (0, 1)]
    assert [len(recipes) for recipes in group_by_recipe(seeds).values()] == [1, 1]


def test_the_epoch_that_is_kept_is_the_last_one():
    run = Run.__new__(Run)
    run.arguments, run.history = SimpleNamespace(folds=5), {"loss": [1, 1], "val_accuracy": [1, 0]}
    assert run.best_epoch == 2
    run.arguments = SimpleNamespace()
    assert run.best_epoch == 1
