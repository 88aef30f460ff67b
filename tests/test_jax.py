"""Training with JAX, in one process and in several, on loopback.

Processes that train together are this file, run as a script, or the scripts of the project.
"""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from vision101.files import write_json
from vision101.photos.index import Photo
from vision101.photos.reading import read_pixels

pytest.importorskip("jax")

PROJECT = Path(__file__).resolve().parent.parent

SECONDS = 900  # that processes may take here, at most: none of them may wait for good

FLAGS = ("--epochs", 2, "--image-size", 32, "--precision", "float32")
BATCH_SIZE, EPOCHS, VALIDATION_PHOTOS = 6, 2, 7


def start(count: int, program: Path, *arguments, cwd: Path) -> list[subprocess.Popen]:
    """Start a program in so many processes that find each other; one finds nobody."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": str(PROJECT)}
    if count > 1:
        environment |= {
            "KERAS_DISTRIBUTION_JOB_ADDRESSES": f"127.0.0.1:{port}",
            "KERAS_DISTRIBUTION_NUM_PROCESSES": str(count),
        }
    return [
        subprocess.Popen(
            [sys.executable, program, *map(str, arguments)],
            env=environment | ({"KERAS_DISTRIBUTION_PROCESS_ID": str(rank)} if count > 1 else {}),
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]


def finish(processes: list[subprocess.Popen]) -> list[tuple[str, str]]:
    """Wait for all, and return what each wrote to stdout and stderr."""
    written = [process.communicate(timeout=SECONDS) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), written
    return written


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return for each number of processes what each of them came to, see `train_all`."""
    results = {}
    for count in (1, 2, 3):
        folder = tmp_path_factory.mktemp(f"of-{count}")
        finish(start(count, Path(__file__), folder, cwd=folder))
        paths = [folder / f"{rank}.json" for rank in range(count)]
        results[count] = [json.loads(path.read_text()) for path in paths]
    return results


@pytest.mark.parametrize("count", [2, 3])
def test_processes_have_the_losses_of_one_and_equal_weights(count, trained):
    (alone,) = trained[1]
    for network in ("normalized", "head"):
        for each in trained[count]:
            for name in ("loss", "val_loss", "val_accuracy"):
                first, expected = each[network][name][0], alone[network][name][0]
                assert first == pytest.approx(expected, abs=1e-3), (network, name)
            assert each[network]["weights"] == trained[count][0][network]["weights"]
            assert each[network]["steps"] == alone[network]["steps"]


@pytest.mark.parametrize("count", [2, 3])
def test_every_photo_is_kept_by_one_process(count, trained):
    (alone,) = trained[1]
    for subset in ("train", "validation"):
        kept = [photo for each in trained[count] for photo in each["kept"][subset]]
        assert sorted(kept) == alone["kept"][subset]


@pytest.mark.parametrize("count", [2, 3])
def test_batches_that_cannot_be_shared_evenly_change_the_weights_alike(count, trained):
    (alone,) = trained[1]
    for each in trained[count]:
        # Without BatchNormalization, whose statistics know of what a batch is filled up with.
        weights, expected = each["uneven"]["first_weights"], alone["uneven"]["first_weights"]
        np.testing.assert_allclose(weights, expected, atol=1e-5)


@pytest.fixture(scope="module")
def runs(project, painted_folder, tmp_path_factory):
    """Return of one process and of two the run's folder, and what process 0 and 1 wrote."""
    outcomes = {}
    for count in (1, 2):
        folder = tmp_path_factory.mktemp(f"run-of-{count}")
        arguments = ("--data", painted_folder, *FLAGS, "--output-dir", "outputs")
        written = finish(start(count, project / "train_cnn.py", *arguments, cwd=folder))
        (run,) = (folder / "outputs").iterdir()
        outcomes[count] = run, written
    return outcomes


def test_processes_train_a_run_like_that_of_one(runs):
    (alone, _), (run, written) = runs[1], runs[2]
    assert {path.name for path in run.iterdir()} == {path.name for path in alone.iterdir()}
    assert (run / "report.html").exists()
    assert (run / "split.csv").read_bytes() == (alone / "split.csv").read_bytes()
    logs = [list(csv.DictReader((folder / "log.csv").open())) for folder in (run, alone)]
    for name, value in logs[1][0].items():
        assert float(logs[0][0][name]) == pytest.approx(float(value), abs=1e-3)
    # Shown once.
    assert written[0][0].count("Epoch 1/2: accuracy") == 1
    assert written[1] == ("", "")


def test_network_trained_with_jax_predicts_the_same_everywhere(runs, painted_folder):
    from vision101.prediction import load_classifier

    run, _ = runs[2]
    photos = sorted(painted_folder.glob("*/*.jpg"))[::4]
    pixels = np.stack([read_pixels(photo, 32) for photo in photos])
    np.save(run.parent / "pixels.npy", pixels.astype(np.float32))
    program = (
        "import keras, numpy\n"
        "assert keras.config.backend() == 'jax'\n"
        f"model = keras.saving.load_model({str(run / 'best.keras')!r}, compile=False)\n"
        "numpy.save('told.npy', model.predict(numpy.load('pixels.npy'), verbose=0))\n"
    )
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    subprocess.run([sys.executable, "-c", program], env=environment, cwd=run.parent, check=True)
    expected = np.load(run.parent / "told.npy")
    for with_keras in (True, False):  # TensorFlow, and LiteRT
        classifier = load_classifier(run, with_keras)
        assert (classifier.model is None) == (not with_keras)
        np.testing.assert_allclose(classifier.call(pixels)[0], expected, atol=1e-4)


@pytest.mark.parametrize("victim", [0, 1])
def test_process_that_is_killed_ends_the_others_and_any_number_goes_on(
    victim, project, painted_folder, tmp_path
):
    flags = ("--data", painted_folder, "--epochs", 1000, "--image-size", 32)
    arguments = (*flags, "--output-dir", "outputs")
    processes = start(2, project / "train_cnn.py", *arguments, cwd=tmp_path)
    end, log = time.monotonic() + SECONDS, []
    while len(log) < 3 and time.monotonic() < end:
        time.sleep(0.1)
        log = [line for path in tmp_path.glob("outputs/*/log.csv") for line in path.open()]
    processes[victim].send_signal(signal.SIGKILL)
    killed = time.monotonic()
    _, errors = processes[1 - victim].communicate(timeout=SECONDS)
    assert time.monotonic() - killed < 60
    assert processes[1 - victim].returncode != 0
    (line,) = errors.splitlines()
    assert "another" in line
    assert "--resume" in line
    processes[victim].communicate(timeout=SECONDS)
    if victim == 0:
        return
    (run,) = (tmp_path / "outputs").iterdir()
    epochs = len((run / "log.csv").read_text().splitlines()) - 1
    config = json.loads((run / "config.json").read_text()) | {"epochs": epochs + 1}
    write_json(run / "config.json", config)
    kept = (run / "log.csv").read_text()
    written = finish(start(3, project / "train_cnn.py", "--resume", run, cwd=tmp_path))
    assert f"Epoch {epochs + 1}/{epochs + 1}" in written[0][0]
    assert (run / "log.csv").read_text().startswith(kept)
    assert (run / "results.json").exists()


def test_flag_that_only_tensorflow_knows_is_a_usage_error(project, tmp_path):
    (process,) = start(1, project / "train_transfer.py", "--folds", 5, cwd=tmp_path)
    _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 2
    assert "KERAS_BACKEND" in errors.splitlines()[-1]


def make_photo(number: int, class_names: list[str]) -> Photo:
    name = class_names[number % len(class_names)]
    return Photo(Path(str(number)), name, 8, 8, f"{number:x}", "", "", 0, 0)


def train_all() -> dict:
    """Train a network with BatchNormalization, the head of a backbone, and a network on batches
    that cannot be shared evenly, by the steps of the scripts.
    """
    from vision101.training import datasets, devices, models

    keras.utils.set_random_seed(0)
    devices.choose_devices(BATCH_SIZE)
    models.HEAD_DROPOUT = 0.0  # of a batch that is filled up, it drops others
    names = ["daisy", "roses", "tulips"]

    def train(build, photos: int, *shape: int) -> tuple[dict, dict]:
        keras.utils.set_random_seed(0)
        split = {"train": photos, "validation": VALIDATION_PHOTOS}
        split = {subset: [make_photo(n, names) for n in range(split[subset])] for subset in split}
        share = datasets.take_share(split, BATCH_SIZE, 0)
        examples = {}
        for subset, members in share.items():
            inputs = [
                np.random.default_rng(int(photo.sha256, 16)).integers(0, 200, shape, np.uint8)
                for photo in members
            ]
            if subset == "validation" and len(shape) == 2:
                inputs = [views[0] for views in inputs]
            labels = datasets.encode_labels(members, names)
            examples[subset] = datasets.Examples(np.stack(inputs), labels)
        model = build()
        model.compile("adam", "categorical_crossentropy", weighted_metrics=["accuracy"])
        steps = datasets.count_steps(examples["train"], BATCH_SIZE)
        weights = []
        keep = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: weights.append(
                np.concatenate([*map(np.ravel, model.get_weights())]).tolist()
            )
        )
        history = model.fit(
            datasets.build_training_dataset(examples["train"], BATCH_SIZE, seed=0),
            validation_data=datasets.build_dataset(examples["validation"], BATCH_SIZE),
            **{"epochs": EPOCHS, "steps_per_epoch": steps, "shuffle": False, "verbose": 0},
            callbacks=[keep],
        ).history
        kept = {subset: [photo.path.name for photo in share[subset]] for subset in share}
        return history | {"weights": weights[-1], "first_weights": weights[0], "steps": steps}, kept

    def build_small(normalize: bool):
        inputs = keras.Input((8, 8, 3))
        x = keras.layers.Conv2D(4, 3)(keras.layers.Rescaling(1 / 255)(inputs))
        x = keras.layers.BatchNormalization()(x) if normalize else x
        x = keras.layers.Flatten()(keras.layers.Activation("relu")(x))
        return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))

    results = {}
    results["normalized"], _ = train(lambda: build_small(True), 3 * BATCH_SIZE, 8, 8, 3)
    results["head"], _ = train(lambda: models.build_head(3, 5), 3 * BATCH_SIZE, 2, 5)
    results["uneven"], kept = train(lambda: build_small(False), 2 * BATCH_SIZE + 1, 8, 8, 3)
    return results | {"kept": {name: sorted(photos) for name, photos in kept.items()}}


if __name__ == "__main__":
    from vision101 import processes
    from vision101.cli import run_script

    def main() -> None:
        path = Path(sys.argv[1]) / f"{processes.rank}.json"
        path.write_text(json.dumps(train_all()))

    run_script(main, may_use_jax=True)
