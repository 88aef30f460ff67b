"""What several tests need: small painted folders, and the scripts run as a user runs them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from vision101.photos import index_photos
from vision101.sample import paint_sample
from vision101.sources import PAINTED_MARK, find_photos

import keras
import pytest

PROJECT = Path(__file__).resolve().parent.parent

# Small enough to train on in seconds, and unequal, as photos in the wild are.
SMALL_COUNTS = {"daisy": 14, "dandelion": 20, "roses": 16}


class Outcome(NamedTuple):
    """What a script did: its exit code, and the text that it wrote."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def chance():
    """Let chance fall the same way in every run of the tests."""
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def painted_folder(tmp_path_factory) -> Path:
    """Return a folder of three painted classes, marked as painted; tests must not change it."""
    folder = tmp_path_factory.mktemp("painted") / "photos"
    folder.mkdir()
    paint_sample(folder, seed=7, counts=SMALL_COUNTS)
    (folder / PAINTED_MARK).write_text("painted")
    return folder


@pytest.fixture
def photo_folder(painted_folder, tmp_path) -> Path:
    """Return a copy of the painted folder that a test may change, without the mark."""
    folder = tmp_path / "my photos"
    shutil.copytree(painted_folder, folder, ignore=shutil.ignore_patterns(PAINTED_MARK))
    return folder


@pytest.fixture(scope="session")
def project(tmp_path_factory) -> Path:
    """Return a fresh copy of the project, so that no test reads or fills the real data/."""
    copy = tmp_path_factory.mktemp("project")
    for name in ("train_cnn.py", "train_transfer.py", "predict.py", "vision101", "data", "outputs"):
        source = PROJECT / name
        if source.is_file():
            shutil.copy(source, copy)
        else:
            ignored = ("*.pyc",) if name == "vision101" else ("[!.]*",)
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns(*ignored))
    return copy


@pytest.fixture(scope="session")
def run_script(project, tmp_path_factory):
    """Return a function that runs a script of the copied project from another folder."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")

    def run(script: str, *arguments, stdin: bytes | None = None, **options) -> Outcome:
        finished = subprocess.run(
            [sys.executable, project / script, *map(str, arguments)],
            cwd=elsewhere,
            input=stdin,
            capture_output=True,
            check=False,
            **options,
        )
        return Outcome(finished.returncode, finished.stdout.decode(), finished.stderr.decode())

    return run


@pytest.fixture(scope="session")
def finished_run(run_script, painted_folder, tmp_path_factory):
    """Train once, briefly, and return the run's folder and what the terminal showed."""
    outputs = tmp_path_factory.mktemp("outputs")
    outcome = run_script(
        "train_cnn.py",
        *("--data", painted_folder, "--recipe", "augmented", "--epochs", 2),
        *("--image-size", 32, "--name", "test", "--output-dir", outputs),
    )
    assert outcome.code == 0, outcome.err
    (run_folder,) = outputs.iterdir()
    return run_folder, outcome


@pytest.fixture(scope="session")
def flower_photos(tmp_path_factory):
    """Return the index of the real photos in the folder that FLOWER_PHOTOS names."""
    folder = os.environ.get("FLOWER_PHOTOS")
    if not folder:
        pytest.skip("FLOWER_PHOTOS is not set")
    return index_photos(find_photos(folder), tmp_path_factory.mktemp("data"))
