"""Runs that are interrupted: killed and resumed to the last bit, or completed on Ctrl-C."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

SECONDS = 120  # that a script may take here, at most

FLAGS = {
    "train_cnn.py": ("--recipe", "augmented", "--epochs", 40, "--image-size", 32),
    "train_transfer.py": (
        *("--backbone", "small.keras", "--epochs", 12, "--image-size", 32),
        *("--fine-tune", 2),
    ),
}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory) -> Path:
    """A folder with a backbone, with dropout in the network that is trained on it."""
    folder = tmp_path_factory.mktemp("workplace")
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    for _ in range(2):
        x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(x)
    keras.Model(inputs, x).save(folder / "small.keras")
    return folder


@pytest.fixture(scope="module")
def start(project, painted_folder, workplace):
    """Return a function that starts a training, and gives its process and where its run goes."""

    def start(script: str, name: str, *flags):
        command = [sys.executable, project / script, "--output-dir", workplace / name]
        flags = flags or ("--data", painted_folder, *FLAGS[script])
        with (workplace / f"{name}.txt").open("ab") as output:
            process = subprocess.Popen(
                [*command, *map(str, flags)], cwd=workplace, stdout=output, stderr=output
            )
        return process, workplace / name

    return start


@pytest.fixture(scope="module")
def whole(start):
    """Return the folder of an uninterrupted run of each script."""
    folders = {}
    for script in FLAGS:
        process, output = start(script, f"whole-{script}")
        assert process.wait(SECONDS) == 0
        (folders[script],) = output.iterdir()
    return folders


def wait_for_epoch(output: Path, epoch: int, process: subprocess.Popen) -> Path:
    """Wait until a run has logged so many epochs, and return its folder."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and process.poll() is None:
        for log in output.glob("*/log.csv"):
            if len(log.read_text().splitlines()) > epoch:
                return log.parent
        time.sleep(0.01)
    raise AssertionError(f"ended before epoch {epoch}: {(output.with_suffix('.txt')).read_text()}")


def read_json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("script", "epoch"), [("train_cnn.py", 3), ("train_transfer.py", 2), ("train_transfer.py", 14)]
)
def test_killed_run_goes_on_to_the_last_bit(script, epoch, start, whole):
    process, output = start(script, f"killed-{epoch}-{script}")
    folder = wait_for_epoch(output, epoch, process)
    process.kill()
    process.wait()
    assert not (folder / "results.json").exists()
    process, _ = start(script, f"killed-{epoch}-{script}", "--resume", folder)
    assert process.wait(SECONDS) == 0
    for name in ("split.csv", "log.csv", "predictions.csv"):
        assert (folder / name).read_bytes() == (whole[script] / name).read_bytes(), name
    weights, expected = (
        keras.saving.load_model(run / "best.keras", compile=False).get_weights()
        for run in (folder, whole[script])
    )
    for array, expected_array in zip(weights, expected, strict=True):
        np.testing.assert_array_equal(array, expected_array)
    # What is only needed to go on is gone, and so is the reason to.
    assert {path.name for path in folder.iterdir()} == {
        path.name for path in whole[script].iterdir()
    }
    process, output = start(script, f"killed-{epoch}-{script}", "--resume", folder)
    assert process.wait(SECONDS) == 2
    assert "finished" in output.with_suffix(".py.txt").read_text().splitlines()[-1]


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be sent Ctrl-C there")
def test_interrupted_training_is_completed_from_its_best_epoch_and_may_go_on(start, whole):
    process, output = start("train_cnn.py", "interrupted")
    folder = wait_for_epoch(output, 2, process)
    process.send_signal(signal.SIGINT)
    assert process.wait(SECONDS) == 0
    results = read_json(folder / "results.json")
    assert results["stopped"].startswith("stopped in epoch ")
    assert results["stopped"].endswith(" of 40")
    assert results["stopped"] in results["title"]
    assert results["stopped"] in (folder / "report.html").read_text(encoding="utf-8")
    assert "Ctrl-C again stops at once" in (output.with_suffix(".txt")).read_text()
    process, _ = start("train_cnn.py", "interrupted", "--resume", folder)
    assert process.wait(SECONDS) == 0
    assert "stopped" not in read_json(folder / "results.json")
    expected = (whole["train_cnn.py"] / "predictions.csv").read_bytes()
    assert (folder / "predictions.csv").read_bytes() == expected


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be sent Ctrl-C there")
def test_second_interruption_stops_at_once_and_says_how_to_go_on(start):
    process, output = start("train_cnn.py", "twice")
    folder = wait_for_epoch(output, 2, process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(SECONDS) == 130
    text = output.with_suffix(".txt").read_text()
    assert f"--resume twice/{folder.name}" in text.splitlines()[-1]
    assert "Traceback" not in text


def test_what_cannot_be_resumed_is_told_in_one_line(whole, run_script, tmp_path):
    run = shutil.copytree(whole["train_cnn.py"], tmp_path / "run")
    (run / "report.html").unlink()
    for script, flags, expected in [
        ("train_cnn.py", ("--resume", tmp_path), "not the folder of a run"),
        ("train_cnn.py", ("--resume", run, "--seed", 3), "--seed 0"),
        ("train_transfer.py", ("--resume", run), "train_cnn.py"),
    ]:
        outcome = run_script(script, *flags)
        assert outcome.code == 2
        assert expected in outcome.err
        assert len(outcome.err.splitlines()) == 1


def test_photos_that_are_gone_are_named_and_the_run_is_completed_without_them(
    start, run_script, photo_folder, tmp_path
):
    flags = ("--data", photo_folder, "--epochs", 200, "--image-size", 16)
    process, output = start("train_cnn.py", "vanished", *flags)
    folder = wait_for_epoch(output, 2, process)
    process.kill()
    process.wait()
    (photo_folder / "roses" / "roses-0001.jpg").unlink()
    config = read_json(folder / "config.json") | {"epochs": 3}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    outcome = run_script("train_cnn.py", "--resume", folder)
    assert outcome.code == 0, outcome.err
    assert "roses/roses-0001.jpg: missing, or changed" in outcome.out
    assert (folder / "report.html").exists()
