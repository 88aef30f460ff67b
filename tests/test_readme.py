"""The README and docs/ tell the truth: every link leads somewhere, and every command runs."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import pytest
from conftest import PROJECT
from PIL import Image, ImageOps

import compare
import demo
import explore
import predict
import train_cnn
import train_transfer

PAGES = {
    path: path.read_text(encoding="utf-8")
    for path in (PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md")))
}
README = PAGES[PROJECT / "README.md"]
GUIDE = PAGES[PROJECT / "docs" / "guide.md"]
MEASUREMENTS = PAGES[PROJECT / "docs" / "measurements.md"]

COMMANDS = re.findall(r"^```bash\n(.*?)```", README + GUIDE, re.DOTALL | re.MULTILINE)
COMMANDS = "".join(COMMANDS).splitlines() + re.findall(r"`([^`\n]+)`", README + GUIDE)
SETUP_COMMANDS = [command for command in COMMANDS if " && " in command]
# The first photo that a reader classifies, with the network of the first command.
QUICK_START_PREDICTION = re.search(r"^\.venv/bin/(python predict\.py .*)$", README, re.M)[1]
SCRIPT_COMMANDS = sorted(
    {command for command in COMMANDS if re.match(r"python \w+\.py", command)}
    - {QUICK_START_PREDICTION, "python demo.py"}  # which would wait for Ctrl-C
)
# Without those whose words another one has, too: they would take a minute and show nothing more.
LONGEST_COMMANDS = [
    command
    for command in SCRIPT_COMMANDS
    if not any(set(command.split()) < set(other.split()) for other in SCRIPT_COMMANDS)
]

# What makes a command take seconds where it would take minutes, or a network.
FASTER = {
    "explore.py": ("--skip-labels",),
    "train_cnn.py": ("--epochs", "1", "--image-size", "32"),
    "train_transfer.py": ("--epochs", "1", "--image-size", "32", "--weights", "none"),
    "compare.py": (),
    "predict.py": (),
}


def run(folder: Path, command: str, *more: str) -> str:
    """Run a command of the README in a copy of the project, and return what it prints."""
    command, _, stdin = command.partition(" < ")
    finished = subprocess.run(
        [sys.executable, *shlex.split(command)[1:], *more],
        cwd=folder,
        input=(folder / stdin).read_bytes() if stdin else b"",
        capture_output=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr.decode()
    assert finished.stdout
    return finished.stdout.decode()


def run_fast(folder: Path, command: str) -> str:
    flags = FASTER[command.split()[1]]
    if "train_transfer.py" in command and "--backbone" not in command:
        flags = (*flags, "--backbone", "small.keras")  # a ResNet50 takes most of a minute
    return run(folder, command, *flags)


def copy_project(folder: Path) -> Path:
    """Copy scripts and package, as after a fresh checkout: without photos and runs."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PROJECT / "vision101", folder / "vision101", ignore=ignored)
    for script in PROJECT.glob("*.py"):
        shutil.copy(script, folder)
    return folder


@pytest.fixture(scope="module")
def template(painted_folder, tmp_path_factory):
    """Return a folder with everything that the commands speak of: photos and lists of them, a
    finished run. Tests must not change it.
    """
    folder = copy_project(tmp_path_factory.mktemp("template") / "project")
    for name in ("data/tf_flowers", "data/sample", "my_photos"):
        shutil.copytree(painted_folder, folder / name)
    photo = Image.open(painted_folder / "roses" / "roses-0001.jpg")
    for name in ("photo.jpg", "another_photo.jpg", "other.png"):
        photo.save(folder / name)
    (folder / "new_photos").mkdir()
    ImageOps.flip(photo).save(folder / "new_photos" / "new.png")
    # What a person made of a list of photos to review.
    (folder / "review.csv").write_text("path,label\nnew_photos/new.png,roses\n")
    inputs = keras.Input((None, None, 3))
    features = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(inputs)
    keras.Model(inputs, features).save(folder / "small.keras")
    run_fast(folder, "python train_cnn.py")
    return folder


@pytest.fixture
def furnished_project(template, tmp_path):
    """Return a copy of the template, so that no command finds what another one left."""
    folder = tmp_path / "project"
    shutil.copytree(template, folder)
    yield folder
    shutil.rmtree(folder)


def list_anchors(page: str) -> set[str]:
    """Return what GitHub makes of the headings, to link to."""
    headings = re.findall(r"^#+ (.*)$", page, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_and_pictures_are_there(path):
    targets = re.findall(r"\]\(([^)]+)\)", PAGES[path].replace("\n", " "))
    for target in targets:
        if target.startswith("http"):
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        assert linked.exists(), target
        assert not anchor or anchor in list_anchors(PAGES[linked]), target


def test_flags_and_benchmarks_that_are_named_are_there():
    # What changed is the one place for those that are gone.
    text = README + GUIDE.partition("## What changed")[0] + MEASUREMENTS
    code = "".join(
        path.read_text(encoding="utf-8")
        for path in (
            *PROJECT.glob("*.py"),
            *PROJECT.glob("benchmarks/*.py"),
            PROJECT / "vision101/cli.py",
            PROJECT / "tests/conftest.py",
        )
    )
    flags = set(re.findall(r"`[^`]*?(--[a-z][a-z-]+)", text))
    assert len(flags) > 10
    for flag in flags:
        assert f'"{flag}"' in code, flag
    for script in set(re.findall(r"benchmarks/\w+\.py", text)):
        assert (PROJECT / script).is_file(), script


def test_setup_commands_use_files_and_flags_that_are_there():
    quick_start, development = SETUP_COMMANDS
    for command in SETUP_COMMANDS:
        (requirements,) = re.findall(r"-r (\S+)", command)
        assert (PROJECT / requirements).is_file()
    # The developers' command is run as it stands by .ci/run, on a clean checkout.
    assert development in (PROJECT / ".ci" / "run").read_text(encoding="utf-8")
    assert quick_start.split(" && ")[-1].startswith(".venv/bin/python train_cnn.py")


@pytest.mark.parametrize("script", [train_cnn, train_transfer, compare, explore, predict, demo])
def test_headers_of_the_scripts_show_commands_that_parse(script, monkeypatch, tmp_path):
    commands = re.findall(
        rf"^    python ({script.__name__}\.py.*?)(?:  .*| < .*)?$", script.__doc__, re.M
    )
    assert len(commands) >= 3
    (tmp_path / "names.txt").write_text("photo.jpg\n")
    monkeypatch.chdir(tmp_path)
    for command in commands:
        monkeypatch.setattr(sys, "argv", shlex.split(command))
        script.parse_arguments()


def test_commands_cover_all_scripts():
    assert {command.split()[1] for command in SCRIPT_COMMANDS} == set(FASTER)


@pytest.mark.parametrize("command", LONGEST_COMMANDS)
def test_script_command_runs(command, furnished_project):
    if "--review" in command:
        (furnished_project / "review.csv").unlink()  # it is what the command makes
    run_fast(furnished_project, command)
