"""The scripts as a user runs them, from a folder elsewhere."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from conftest import EXPORTS, PROJECT

import predict
import train_cnn
import train_transfer
from vision101.cli import run_script as run_main
from vision101.finished_runs import list_runs, read_run
from vision101.photos.index import index_photos
from vision101.photos.reading import read_pixels
from vision101.training import augmentation, schedule

SUBSETS = ("train", "validation", "unseen", "surplus")


@pytest.fixture
def fail(monkeypatch, capsys, tmp_path):
    """Return a function that runs a `main` that ends badly, and gives its code and one line."""
    monkeypatch.setattr(
        train_cnn, "index_photos", lambda source: index_photos(source, tmp_path / "data")
    )

    def run(script, *arguments) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", [f"{script.__name__}.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            run_main(script.main)
        # Progress bars write over themselves with "\r"; the error is the only whole line.
        lines = [line for line in capsys.readouterr().err.split("\n") if line and "\r" not in line]
        assert len(lines) == 1
        assert lines[0].startswith(f"{script.__name__}.py: ")
        return caught.value.code, lines[0]

    return run


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_run_folder_is_complete(finished_run):
    run_folder, outcome = finished_run
    assert {path.name for path in run_folder.iterdir()} == {
        "best.keras",
        "config.json",
        "log.csv",
        *(["model.tflite"] if EXPORTS else []),
        "out_of_distribution.npz",
        "plots",
        "predictions.csv",
        "report.html",
        "results.json",
        "split.csv",
    }
    assert run_folder.name.endswith("-cnn-augmented-test")
    names = {path.name for path in (run_folder / "plots").iterdir()}
    assert names == {"curves.png", "confusion.png", "confidence.png", "unseen.png"}
    with (run_folder / "log.csv").open(newline="") as file:
        log = list(csv.DictReader(file))
    assert len(log) == 2
    assert {"accuracy", "loss", "val_accuracy", "val_loss"} <= set(log[0])


def test_terminal_shows_model_progress_scores_and_where_to_look(finished_run):
    run_folder, outcome = finished_run
    assert "Total params" in outcome.out
    # Nobody watches: a line an epoch, and nothing that writes over itself.
    assert re.search(r"^Epoch 2/2: accuracy .* %, validation .* %", outcome.out, re.MULTILINE)
    assert outcome.out.count("Epoch") == 2
    assert not re.search(r"[\r\b\x1b]", outcome.out + outcome.err)
    assert "daisy and 2 other classes: " in outcome.out
    assert str(run_folder / "report.html") in outcome.out.split("Next:")[1]
    assert "Traceback" not in outcome.err
    assert "WARNING" not in outcome.err.upper()


def test_config_tells_how_to_repeat_the_run(finished_run):
    config = read_json(finished_run[0] / "config.json")
    assert config["recipe"] == "augmented"
    assert config["epochs"] == 2
    assert config["learning_rate"] == train_cnn.RECIPES["augmented"].learning_rate
    assert config["image_size"] == 32
    assert config["class_names"] == ["daisy", "dandelion", "roses"]
    assert config["versions"]["keras"] == keras.__version__
    # What the recipe decides is there too; where a flag does, the flag.
    assert (config["network"], config["crops"]) == ("base_cnn", [[1.0, 1.0]])
    # So are the constants of modules, without which an edited script would pass for the same.
    assert config["warm_up_share"] == schedule.WARM_UP_SHARE
    assert config["hue_jitter"] == augmentation.HUE_JITTER
    assert config["epochs"] == 2
    assert len(config["split_hash"]) == 64


def test_results_score_every_part(finished_run):
    run_folder, _ = finished_run
    results = read_json(run_folder / "results.json")
    with (run_folder / "split.csv").open(newline="") as file:
        parts = [row["part"] for row in csv.DictReader(file)]
    # 80 % of the smallest class, 14, is 11; a fifth of that is 2.
    assert {part: parts.count(part) for part in SUBSETS} == dict(
        zip(SUBSETS, (27, 6, 9, 8), strict=True)
    )
    for part in SUBSETS[1:]:
        scores = results[part]
        assert scores["count"] == parts.count(part)
        low, high = scores["balanced_accuracy_interval"]
        assert 0 <= low <= scores["balanced_accuracy"] <= high <= 1
        assert low < high
        assert set(scores["classes"]) == {"daisy", "dandelion", "roses"}
    model = keras.saving.load_model(run_folder / "best.keras")
    assert results["parameters"] == model.count_params()
    assert results["best_epoch"] in (1, 2)
    assert list(results["seconds"]) == ["photos", "training", "evaluation"]


def test_predictions_of_every_photo_are_kept(finished_run):
    run_folder, _ = finished_run
    with (run_folder / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    results = read_json(run_folder / "results.json")
    for part in SUBSETS[1:]:
        right = [row["label"] == row["predicted"] for row in rows if row["part"] == part]
        assert np.mean(right) == pytest.approx(results[part]["accuracy"])
    names = ["daisy", "dandelion", "roses"]
    for row in rows:
        probabilities = {name: float(row[name]) for name in names}
        assert row["predicted"] == max(names, key=probabilities.get)
        assert float(row["confidence"]) == max(probabilities.values())
        assert row["path"].startswith(f"{row['label']}/")


def test_report_in_a_browser(finished_run, check_page):
    text = check_page(finished_run[0] / "report.html")
    results = read_json(finished_run[0] / "results.json")
    assert "augmented CNN on painted sample photos" in text
    assert "These scores say nothing about real ones" in text
    assert f"{100 * results['unseen']['balanced_accuracy']:.1f} %" in text
    assert "Grad-CAM" in text


def test_painted_photos_are_named_as_such_everywhere(finished_run, run_script, painted_folder):
    run_folder, outcome = finished_run
    assert "augmented CNN on painted sample photos" in outcome.out
    assert read_json(run_folder / "config.json")["painted"] is True
    outcome = run_script("predict.py", "--run", run_folder, painted_folder / "roses")
    assert "painted" in outcome.out


def test_saved_model_holds_preprocessing_and_no_augmentation(finished_run):
    model = keras.saving.load_model(finished_run[0] / "best.keras")
    kinds = {type(layer).__name__ for layer in model.layers}
    assert "Rescaling" in kinds
    assert not any("Random" in kind for kind in kinds)
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}


def test_same_seed_same_scores(finished_run, run_script, painted_folder, tmp_path):
    outcome = run_script(
        "train_cnn.py",
        *("--data", painted_folder, "--recipe", "augmented", "--epochs", 2),
        *("--image-size", 32, "--output-dir", tmp_path),
    )
    assert outcome.code == 0
    first, second = finished_run[0], next(tmp_path.iterdir())
    assert (first / "split.csv").read_text() == (second / "split.csv").read_text()
    assert (first / "log.csv").read_text() == (second / "log.csv").read_text()


def test_prediction_sees_exactly_what_validation_saw(finished_run, run_script, painted_folder):
    """The answers for all unseen photos, one by one from their files, repeat the evaluation."""
    run_folder, _ = finished_run
    with (run_folder / "split.csv").open(newline="") as file:
        unseen = [row for row in csv.DictReader(file) if row["part"] == "unseen"]
    paths = [painted_folder / row["path"] for row in unseen]
    outcome = run_script("predict.py", "--run", run_folder, "--json", "--top", 3, *paths)
    assert outcome.code == 0
    answers = [json.loads(line) for line in outcome.out.splitlines()]
    right = np.mean([a["class"] == row["label"] for a, row in zip(answers, unseen, strict=True)])
    assert right == pytest.approx(read_json(run_folder / "results.json")["unseen"]["accuracy"])
    # Whether it is sure, too.
    with (run_folder / "predictions.csv").open(newline="") as file:
        evaluated = {row["path"]: row["sure"] for row in csv.DictReader(file)}
    assert [a["sure"] for a in answers] == [evaluated[row["path"]] == "yes" for row in unseen]
    confidence = read_json(run_folder / "results.json")["confidence"]
    assert confidence["coverage"] == pytest.approx(np.mean([a["sure"] for a in answers]))
    # And the numbers are what the model says to the pixels that the datasets hold.
    model = keras.saving.load_model(run_folder / "best.keras")
    pixels = np.stack([read_pixels(path, 32) for path in paths])
    expected = model.predict(pixels.astype("float32"), verbose=0).max(axis=1)
    np.testing.assert_allclose([a["probability"] for a in answers], expected, atol=1e-5)


def test_other_keras_and_terminal_settings_change_nothing(
    finished_run, run_script, painted_folder, tmp_path
):
    photo = shutil.copy(painted_folder / "roses" / "roses-0001.jpg", tmp_path / "Löwe 🌻.jpg")
    settings = {"KERAS_BACKEND": "jax", "PYTHONIOENCODING": "cp1252"}
    settings["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"  # as notebooks set it
    outcome = run_script(
        "predict.py", "--run", finished_run[0], "--json", photo, env={**os.environ, **settings}
    )
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["photo"] == str(photo)


def test_prediction_of_a_folder_and_of_standard_input(finished_run, run_script, painted_folder):
    run_folder, _ = finished_run
    photo = painted_folder / "roses" / "roses-0001.jpg"
    outcome = run_script(
        "predict.py", "--run", run_folder, painted_folder / "daisy", "-", stdin=photo.read_bytes()
    )
    assert outcome.code == 0
    assert outcome.out.count("daisy-0") == 14
    assert "standard input" in outcome.out
    assert outcome.err == ""


def test_unreadable_photos_are_named_and_the_others_predicted(
    finished_run, run_script, painted_folder, tmp_path
):
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    photo = painted_folder / "roses" / "roses-0001.jpg"
    outcome = run_script(
        "predict.py", "--run", finished_run[0], "--json", text, tmp_path / "nothing.jpg", photo
    )
    assert outcome.code == 1
    assert [json.loads(line)["photo"] for line in outcome.out.splitlines()] == [str(photo)]
    assert outcome.err.splitlines() == [
        f"{text}: a text file, not a JPEG, PNG, WebP, BMP, GIF, TIFF, AVIF or HEIC picture",
        f"{tmp_path / 'nothing.jpg'}: no such file",
    ]


def test_newest_run_is_the_one_that_finished_last_whatever_copies_did(finished_run, tmp_path):
    for name, finished in (
        ("first", "2026-01-01"),
        ("last", "2026-03-01"),
        ("second", "2026-02-01"),
    ):
        run = shutil.copytree(finished_run[0], tmp_path / name)
        results = read_json(run / "results.json") | {"finished": f"{finished}T12:00:00+00:00"}
        (run / "results.json").write_text(json.dumps(results))
    assert list_runs(tmp_path)[-1] == tmp_path / "last"


def test_runs_of_earlier_versions_still_predict(finished_run, run_script, painted_folder, tmp_path):
    run = shutil.copytree(finished_run[0], tmp_path / "run")
    (run / "out_of_distribution.npz").rename(run / "novelty.npz")
    results = read_json(run / "results.json")
    results["novelty"] = results.pop("out_of_distribution")
    results["confidence"]["answered"] = results["confidence"].pop("coverage")
    del results["finished"]
    (run / "results.json").write_text(json.dumps(results))
    photo = painted_folder / "roses" / "roses-0001.jpg"
    outcomes = [run_script("predict.py", "--run", path, photo) for path in (finished_run[0], run)]
    assert outcomes[1].code == 0, outcomes[1].err
    assert outcomes[0].out.splitlines()[1:] == outcomes[1].out.splitlines()[1:]
    assert read_run(run).results["confidence"]["coverage"] == results["confidence"]["answered"]


@pytest.mark.parametrize("script", ["train_cnn", "train_transfer", "predict", "explore", "compare"])
def test_help_and_wrong_use_are_told_before_tensorflow_is_loaded(script, tmp_path):
    flags = {"--help": 0, "--nonsense": 2}
    if script in ("train_cnn", "train_transfer", "explore"):
        flags["--data=nowhere"] = 2
    for flag, code in flags.items():
        program = (
            "import runpy, sys\n"
            f"sys.argv = ['{script}.py', {flag!r}, '--output-dir', {str(tmp_path)!r}]\n"
            f"try: runpy.run_path('{script}.py', run_name='__main__')\n"
            "except SystemExit as ending: code = ending.code\n"
            "heavy = ('tensorflow', 'keras', 'matplotlib', 'sklearn', 'pandas')\n"
            "print('ended with', code, [name for name in heavy if name in sys.modules])"
        )
        command = [sys.executable, "-c", program]
        finished = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, check=False)
        assert finished.stdout.endswith(f"ended with {code} []\n"), finished.stderr


def test_first_flags_of_the_help_are_those_of_a_learner(run_script):
    text = run_script("train_cnn.py", "--help").out
    groups = [text.index(f"\n{heading}:\n") for heading in ("options", "photos", "training")]
    assert groups == sorted(groups)
    assert text.index("--recipe", groups[0]) < groups[1] < text.index("--per-class", groups[1])
    assert "base 15, augmented 40, tuned 160" in " ".join(text.split())


def test_newest_complete_run_is_used(finished_run, run_script, project, painted_folder):
    photo = painted_folder / "roses" / "roses-0001.jpg"
    outcome = run_script("predict.py", photo)
    assert outcome.code == 2
    assert outcome.err.startswith("predict.py: no complete run")
    assert "python train_cnn.py" in outcome.err
    assert len(outcome.err.splitlines()) == 1
    try:
        shutil.copytree(finished_run[0], project / "outputs" / "complete")
        shutil.copytree(finished_run[0], project / "outputs" / "stopped")
        (project / "outputs" / "stopped" / "results.json").unlink()
        outcome = run_script("predict.py", photo)
        assert outcome.code == 0
        assert "complete" in outcome.out.splitlines()[0]
    finally:
        for name in ("complete", "stopped"):
            shutil.rmtree(project / "outputs" / name)


def test_incomplete_or_missing_runs_are_usage_errors(fail, finished_run, tmp_path):
    code, line = fail(predict, "--run", tmp_path, "photo.jpg")
    assert (code, "not the folder of a run" in line) == (2, True)
    run = shutil.copytree(finished_run[0], tmp_path / "run")
    model = (run / "best.keras").read_bytes()
    (run / "model.tflite").unlink(missing_ok=True)
    for damaged in (b"damaged", model[:1000], model[:5000] + b"x" + model[5001:]):
        (run / "best.keras").write_bytes(damaged)
        code, line = fail(predict, "--run", run, "photo.jpg")
        assert (code, "cannot be loaded" in line) == (2, True)
    (run / "results.json").unlink()
    code, line = fail(predict, "--run", run, "photo.jpg")
    assert (code, "did not finish" in line) == (2, True)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--epochs", "0"),
        ("--epochs", "many"),
        ("--batch-size", "-1"),
        ("--image-size", "8"),
        ("--target-accuracy", "0"),
        ("--target-accuracy", "nan"),
        ("--seed", "-1"),
        ("--seed", "4294967296"),
        ("--per-class", "4"),
        ("--recipe", "best"),
        ("--precision", "float8"),
        ("--name", "../away"),
    ],
)
def test_values_out_of_range_are_usage_errors(fail, flag, value):
    code, line = fail(train_cnn, flag, value)
    assert code == 2
    assert flag in line
    assert value in line


@pytest.mark.parametrize(("script", "flags"), [(train_transfer, ()), (train_cnn, ("tuned",))])
def test_a_batch_of_one_photo_is_refused_where_the_network_normalizes(fail, script, flags):
    code, line = fail(script, "--batch-size", 1, *(f"--recipe={recipe}" for recipe in flags))
    assert (code, "--batch-size" in line) == (2, True)


def test_data_that_cannot_be_used_is_a_usage_error(fail, photo_folder, tmp_path):
    outputs = tmp_path / "outputs"
    for arguments, expected in [
        (("--data", tmp_path / "nothing"), "--data"),
        (("--data", photo_folder / "roses"), "at least two sub-folders"),
        (("--data", photo_folder, "--per-class", 20), "--per-class 20"),
    ]:
        code, line = fail(train_cnn, "--output-dir", outputs, *arguments)
        assert code == 2
        assert expected in line
    assert not outputs.exists()


def test_full_disk_and_unusable_folder_are_one_line(run_script, photo_folder, tmp_path):
    resource = pytest.importorskip("resource")
    arguments = ("--data", photo_folder, "--epochs", 1, "--image-size", 16)
    file = tmp_path / "file"
    file.write_text("")
    outcome = run_script("train_cnn.py", *arguments, "--output-dir", file / "outputs")
    assert outcome.code == 2
    assert outcome.err.splitlines()[-1].startswith(f"train_cnn.py: cannot use {file}")
    assert "Traceback" not in outcome.err

    outcome = run_script(
        "train_cnn.py",
        *arguments,
        *("--output-dir", tmp_path / "outputs"),
        # Stands in for a full disk: no file may grow beyond so many bytes.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )
    assert outcome.code == 2
    assert "no room to write" in outcome.err.splitlines()[-1]
    assert "Traceback" not in outcome.err
    assert not list(tmp_path.rglob("results.json"))
    assert not list(tmp_path.rglob("best.keras"))
    assert not list(tmp_path.rglob(".partial*"))


def test_braces_in_the_output_folder_are_a_usage_error(fail, painted_folder, tmp_path):
    code, line = fail(train_cnn, "--data", painted_folder, "--output-dir", tmp_path / "a{b}")
    assert (code, "braces" in line) == (2, True)


def test_training_heeds_the_list_of_photos_to_leave_out(fail, painted_folder, tmp_path):
    code, line = fail(train_cnn, "--data", painted_folder, "--exclude", tmp_path / "nothing.csv")
    assert code == 2
    assert "--exclude" in line
    assert "nothing.csv" in line
