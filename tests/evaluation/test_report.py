"""The end of a run: nothing after training loses the model, and the page says what is so."""

import argparse
import re
import subprocess
import sys
import urllib.parse
import warnings

import numpy as np
import pytest

import train_cnn
from vision101.errors import UserError
from vision101.evaluation.embeddings import HEIGHT, WIDTH, move_apart, project_features
from vision101.evaluation.evaluate import evaluate_model
from vision101.evaluation.report import finish_run
from vision101.finished_runs import read_run
from vision101.photos.index import index_photos, list_classes
from vision101.photos.reading import read_pixels
from vision101.photos.sources import find_photos
from vision101.photos.split import split_photos
from vision101.prediction import load_classifier, predict_photo
from vision101.runs import Run
from vision101.training.datasets import decode_split
from vision101.training.models import build_base_cnn

SETTINGS = {
    "jitter": {"brightness_factor": 0.2, "saturation_factor": (0.35, 0.65)},
    "largest_ratio": 4 / 3,
    "mixup": False,
    "crops": None,
}


@pytest.fixture
def start_run(photo_folder, monkeypatch, tmp_path):
    """Return a function that starts a run with a model nobody trained, and evaluates it."""
    monkeypatch.setattr(Run, "unfinished", None)  # which a run that is started here would set
    source = find_photos(str(photo_folder))
    photos = index_photos(source, tmp_path / "data")
    split = split_photos(photos, seed=0)
    examples = decode_split(split, list_classes(photos), 32)

    def start(kind: str, target_accuracy: float):
        flags = {"output_dir": tmp_path / "outputs", "name": None, "resume": None}
        run = Run(kind, argparse.Namespace(**flags, seed=0, image_size=32))
        run.start("test", f"{kind} <b>&", SETTINGS, source, split)
        run.history = {
            "accuracy": [0.4, 0.6],
            "loss": [1.2, 0.9],
            "val_accuracy": [0.3, 0.7],
            "val_loss": [1.3, 0.8],
        }
        run.end_stage("training")
        (run.folder / "log.csv").write_text(
            "accuracy,loss,val_accuracy,val_loss\n0.4,1.2,0.3,1.3\n0.6,0.9,0.7,0.8\n"
        )
        (run.folder / "checkpoint-2.npz").write_bytes(b"")
        model = build_base_cnn(3, 32)
        evaluation = evaluate_model(model, examples, run.class_names, target_accuracy)
        return run, model, evaluation, examples["unseen"].inputs

    return start


def test_features_that_are_all_the_same_have_a_place():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        places, share = project_features(np.ones((5, 3), np.float32))
    assert np.isfinite(places).all() and share == 0


def test_points_that_would_hide_each_other_are_moved_apart_and_others_stay():
    crowd = np.random.default_rng(0).normal((200, 100), 15, (200, 2))
    places = np.vstack([crowd, crowd[:3], [[700, 400]]])
    moved = move_apart(places, 10)
    distances = np.hypot(*(moved[:, None] - moved).T) + 10 * np.eye(len(moved))
    assert distances.min() > 9
    assert (moved[-1] == places[-1]).all()
    assert np.hypot(*(moved - places).T).max() < 100
    assert (moved > 0).all() and (moved < (WIDTH, HEIGHT)).all()


def test_a_full_disk_costs_pictures_and_no_model(start_run, photo_folder, capsys):
    run, model, evaluation, images = start_run("cnn", 0.95)
    (run.folder / "plots").rmdir()
    (run.folder / "plots").write_text("a file, so no picture can be written below it")
    with pytest.raises(UserError, match="plots"):
        finish_run(run, model, evaluation, images)
    assert "unseen" in capsys.readouterr().out

    # It can be resumed, which makes up for the pictures, and predicts as it is.
    assert (run.folder / "checkpoint-2.npz").exists()
    assert read_run(run.folder).results["best_epoch"] == 2
    classifier = load_classifier(run.folder)
    photo = run.split["unseen"][0]
    prediction = predict_photo(classifier, "photo", read_pixels(photo.path, 32))
    assert dict(prediction.classes) == pytest.approx(
        dict(zip(run.class_names, evaluation.probabilities["unseen"][0], strict=True)), abs=1e-5
    )


def test_page_tells_what_the_run_was_and_is(start_run, check_page, browser, monkeypatch):
    given = ["--data", 'it\'s "mine" $HOME', "--recipe", "tuned", "--epochs", "7", "--use-split"]
    given += ["--group-by=-(\\d+)-", "--exclude", "a b.csv", "c.csv", "--seed", "0"]
    monkeypatch.setattr(sys, "argv", ["train_cnn.py", *given])
    arguments = train_cnn.parse_arguments()
    # Low enough that predictions are accepted, even from a model that nobody trained.
    run, model, evaluation, images = start_run("cnn", 0.1)
    assert evaluation.confidence["coverage"] > 0
    run.config |= vars(arguments)
    finish_run(run, model, evaluation, images)
    assert not (run.folder / "checkpoint-2.npz").exists()
    text = check_page(run.folder / "report.html")
    assert "cnn <b>& on my photos" in text
    assert "unseen photos (the test set)" in text
    assert f"{100 * evaluation.confidence['expected_calibration_error']:.1f} %" in text
    assert "the best of 2 epochs was number 2" in text
    # Of a class that has no photos among the surplus ones, nothing is told.
    assert evaluation.scores["surplus"]["classes"]["daisy"]["count"] == 0
    assert re.search(r"daisy\s0\s–\s–\s–", text)
    settings = " ".join(text.split())
    assert "jitter brightness factor 0.2; saturation factor 0.35, 0.65" in settings
    assert "largest ratio 1.33333" in settings
    assert "mixup no" in settings
    assert "crops" not in settings.split("Settings, versions")[1]
    right = np.mean(
        evaluation.probabilities["unseen"].argmax(axis=1)
        == evaluation.labels["unseen"].argmax(axis=1)
    )
    mistakes = round(len(images) * (1 - right))
    assert f"{mistakes} of {len(images)} unseen photos were misclassified" in text
    wrong = [
        photo.path.name
        for photo, label, probabilities in zip(
            run.split["unseen"],
            evaluation.labels["unseen"],
            evaluation.probabilities["unseen"],
            strict=True,
        )
        if label.argmax() != probabilities.argmax()
    ]
    assert all(name in text.split("were misclassified")[1] for name in wrong)
    assert text.index("were misclassified") < text.index("Confidence\n\n")
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    for address in re.findall(r'href="(\.\./[^"]+)"', page):
        assert (run.folder / urllib.parse.unquote(address)).is_file()

    # The command that it shows repeats the run, in a shell.
    opened = browser.new_page()
    opened.goto((run.folder / "report.html").as_uri())
    command = opened.inner_text(".command")
    opened.close()
    words = subprocess.check_output(["sh", "-c", f"printf '%s\\n' {command}"], text=True)
    assert words.splitlines()[:2] == ["python", "train_cnn.py"]
    monkeypatch.setattr(sys, "argv", words.splitlines()[1:])
    assert train_cnn.parse_arguments() == arguments


def test_a_model_that_accepts_nothing_says_so(start_run, capsys, check_page):
    run, model, evaluation, images = start_run("cnn", 1.0)
    finish_run(run, model, evaluation, images)
    shown = capsys.readouterr().out
    assert "never confident enough to meet the target accuracy of 100 %" in shown
    text = check_page(run.folder / "report.html")
    assert "0 %\nof predictions are accepted, since none is confident enough" in text
    for words in (shown, text):
        assert not re.search(r"confidence (below|of) 100", words)


def test_accepted_mistakes_come_first_and_others_say_why_not(start_run, check_page):
    run, model, evaluation, images = start_run("cnn", 0.1)
    probabilities, labels = (
        values["unseen"] for values in (evaluation.probabilities, evaluation.labels)
    )
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels.argmax(axis=1))
    confidences = probabilities[wrong].max(axis=1)
    least, most = wrong[confidences.argmin()], wrong[confidences.argmax()]
    accepted = np.zeros(len(labels), bool)
    accepted[least] = True
    threshold = float(np.nextafter(confidences.max(), 0))  # so that one is confident, and unlike
    evaluation = evaluation._replace(
        accepted=evaluation.accepted | {"unseen": accepted},
        confidence=evaluation.confidence | {"threshold": threshold},
    )
    finish_run(run, model, evaluation, images)
    text = " ".join(check_page(run.folder / "report.html").split("were misclassified")[1].split())
    assert f"The model was sure of 1 of the {len(wrong)}, which comes first" in text
    names = [run.split["unseen"][position].path.name for position in (least, most)]
    first, second = map(text.index, names)
    assert (
        first
        < second
        == min(text.index(run.split["unseen"][i].path.name) for i in wrong if i != least)
    )
    assert "accepted as sure" in text[:first]
    assert "not sure: unlike the training photos" in text[first:second]
    assert text.count("accepted as sure") == 1
    assert f"not sure: below {100 * threshold:.1f} %" in text[second:]


def test_another_run_on_the_split_is_shown_beside(start_run, capsys):
    finish_run(*start_run("cnn", 0.95))
    assert "For comparison" not in capsys.readouterr().out
    run, *rest = start_run("transfer", 0.95)
    finish_run(run, *rest, beside="cnn")
    shown = capsys.readouterr().out
    assert "For comparison, an earlier run on the same split, cnn <b>&: " in shown
    assert shown.index("transfer <b>&") < shown.index("For comparison")
    assert (run.folder / "plots" / "side-by-side.png").is_file()
    assert "This run beside" in (run.folder / "report.html").read_text(encoding="utf-8")
