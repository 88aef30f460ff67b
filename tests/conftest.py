"""What several tests need: painted folders, scripts run as a user runs them, a real browser."""

import itertools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import keras
import pytest
from playwright.sync_api import sync_playwright

from vision101.cli import prepare_keras
from vision101.photos.index import index_photos
from vision101.photos.sample import paint_sample
from vision101.photos.sources import PAINTED_MARK, find_photos

prepare_keras()  # before it is imported


# Files of tests that take longest: first, or a core works on one of them while the others are idle.
LONGEST_FILES = (
    "test_jax.py",
    "test_readme.py",
    "test_resume.py",
    "test_quick_start.py",
    "test_scripts.py",
    "test_transfer.py",
    "test_notebook.py",
    "test_environment.py",
    "test_explore.py",
    "test_folds.py",
    "test_devices.py",
    "test_report.py",
    "test_portable.py",
)

PROJECT = Path(__file__).resolve().parent.parent

# What a Chromium is called on Debian and Ubuntu, and elsewhere.
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

# What TensorFlow writes while it is imported, whatever its log level.
TENSORFLOW_GREETING = r"^(WARNING: All log messages before absl|I0000 |\d{4}-.*: I |To enable ).*\n"

# From 3.13 on, which Python 3.10 cannot have, Keras exports model.tflite. Without it, Keras
# predicts, and a line says so.
EXPORTS = tuple(map(int, keras.__version__.split(".")[:2])) >= (3, 13)
FALLBACK = r"^Keras predicts, which takes longer: the run has no model.tflite\n"

# A desktop's window, and a phone's, in CSS pixels.
WINDOW_SIZES = ((1280, 900), (390, 844))
PAPER_WIDTH = 688  # A4 without margins of 14 mm, in CSS pixels

# Small enough to train on in seconds, and unequal, as photos in the wild are.
SMALL_COUNTS = {"daisy": 14, "dandelion": 20, "roses": 16}


def pytest_addoption(parser):
    parser.addoption(
        "--fuzz", type=int, default=300, metavar="N", help="damaged files of each kind to read"
    )


def pytest_collection_modifyitems(items):
    ranks = {name: rank for rank, name in enumerate(LONGEST_FILES)}
    items.sort(key=lambda item: ranks.get(item.path.name, len(ranks)))


class Outcome(NamedTuple):
    """What a script did: its exit code, and the text that it wrote, without the greeting."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def chance():
    """Let chance fall the same way in every run of the tests, and arithmetic be the same."""
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy("float32")


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
    scripts = [path.name for path in PROJECT.glob("*.py")]
    for name in (*scripts, "vision101", "data", "outputs"):
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
        errors = re.sub(TENSORFLOW_GREETING, "", finished.stderr.decode(), flags=re.MULTILINE)
        if not EXPORTS:
            errors = re.sub(FALLBACK, "", errors, flags=re.MULTILINE)
        return Outcome(finished.returncode, finished.stdout.decode(), errors)

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


@pytest.fixture(scope="session")
def browser():
    """Return a headless Chromium; without one, tests are skipped, but never where CI runs them."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        assert "CI" not in os.environ, "install Chromium: the pages must be tested here"
        pytest.skip("there is no Chromium")
    with sync_playwright() as playwright:
        # Without a sandbox, since tests may run as root; they open pages of ours only.
        yield playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])


@pytest.fixture
def check_page(browser):
    """Return a function that opens a page from disk, and checks what every page must hold to."""

    def check_in(window_size: tuple[int, int], path: Path, colour_scheme: str = "light") -> str:
        viewport = dict(zip(("width", "height"), window_size, strict=True))
        page = browser.new_page(viewport=viewport, color_scheme=colour_scheme)
        complaints, requests = [], []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url[:100]))
        page.goto(path.as_uri())
        assert not complaints
        assert all(url.startswith(("file:", "data:")) for url in requests), requests
        for _ in range(2):  # folded, and with all of it open
            overflow, smallest = page.evaluate(
                """() => [
                    document.documentElement.scrollWidth - window.innerWidth,
                    Math.min(...[...document.querySelectorAll("body *")]
                        .filter(element => element.checkVisibility() && element.innerText)
                        .map(element => parseFloat(getComputedStyle(element).fontSize))),
                ]"""
            )
            assert overflow <= 0  # one would have to scroll sideways
            assert smallest >= 11  # pixels
            page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
        if window_size == WINDOW_SIZES[1]:
            torn = page.evaluate(
                """() => [...document.querySelectorAll(".scroll th, .scroll td")].filter(cell => {
                    const {left, right} = cell.getBoundingClientRect();
                    const edge = cell.closest(".scroll").getBoundingClientRect().right;
                    return left < edge - 1 && right > edge + 1;
                }).map(cell => cell.innerText)"""
            )
            assert not torn  # a number of which one sees the first digits looks like another one
        pictures, unloaded, unnamed, levels = page.evaluate(
            """() => [
                document.images.length,
                [...document.images].filter(image => !image.naturalWidth).length,
                [...document.images].filter(image => !image.alt.trim()).length,
                [...document.querySelectorAll("h1, h2, h3, h4")].map(title => +title.tagName[1]),
            ]"""
        )
        assert pictures > 0
        assert unloaded == 0
        assert unnamed == 0  # a screen reader would have nothing to read
        assert levels[0] == 1
        assert all(below - above <= 1 for above, below in itertools.pairwise(levels))
        text = page.inner_text("body").replace("\u00a0", " ")
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        brightness = sum(map(int, re.findall(r"\d+", ground)[:3])) / 3
        assert (brightness < 64) == (colour_scheme == "dark")
        # On paper nothing scrolls, so what is too wide would be cut off.
        page.set_viewport_size({"width": PAPER_WIDTH, "height": 1000})
        page.emulate_media(media="print")
        cut_off = page.evaluate(
            """() => [...document.querySelectorAll(".scroll, body")]
                .filter(element => element.scrollWidth > element.clientWidth)
                .map(element => element.innerText.slice(0, 100))"""
        )
        assert not cut_off
        page.close()
        return text

    def check(path: Path) -> str:
        """Return the page's text, as a person sees it who opens all that is folded."""
        check_in(WINDOW_SIZES[1], path, "dark")
        return check_in(WINDOW_SIZES[0], path)

    return check
