"""Every command of the README runs, as it stands there."""

import re
import shlex
import shutil
import subprocess
import sys

import pytest
from conftest import PROJECT
from PIL import Image, ImageOps

import compare
import explore
import predict
import train_cnn
import train_transfer

README = (PROJECT / "README.md").read_text(encoding="utf-8")
MEASUREMENTS = (PROJECT / "docs" / "measurements.md").read_text(encoding="utf-8")
BLOCKS = "".join(re.findall(r"```bash\n(.*?)```", README, re.DOTALL))
SETUP_COMMANDS = [line for line in BLOCKS.splitlines() if "venv" in line and " && " in line]
SCRIPT_COMMANDS = sorted(
    {
        line.removeprefix(".venv/bin/")
        for line in BLOCKS.splitlines() + re.findall(r"`([^`\n]+)`", README)
        if re.match(r"(\.venv/bin/)?python \w+\.py", line)
    }
)

# What makes a command take seconds where it would take minutes, or a network.
FASTER = {
    "explore.py": ("--skip-labels",),
    "train_cnn.py": ("--epochs", "1", "--image-size", "32"),
    "train_transfer.py": ("--epochs", "1", "--image-size", "32", "--weights", "none"),
    "compare.py": (),
    "predict.py": (),
}


@pytest.fixture(scope="module")
def furnished_project(project, painted_folder):
    """Return the copied project with the photos that the README speaks of, and a finished run."""
    photo = painted_folder / "roses" / "roses-0001.jpg"
    for name in ("data/tf_flowers", "data/sample", "my_photos"):
        shutil.copytree(painted_folder, project / name, dirs_exist_ok=True)
    (project / "new_photos").mkdir()
    ImageOps.flip(Image.open(photo)).save(project / "new_photos" / "new.png")
    # What a person made of a list of photos to review.
    (project / "review.csv").write_text("path,label\nnew_photos/new.png,roses\n")
    (project / "data/sample/tulips").mkdir(exist_ok=True)
    for number in range(1, 15):
        original = painted_folder / "daisy" / f"daisy-{number:04}.jpg"
        shutil.copy(original, project / "data/sample/tulips" / f"tulips-{number:04}.jpg")
    for name in ("photo.jpg", "another_photo.jpg", "other.png"):
        Image.open(photo).save(project / name)
    (code,) = re.findall(r"```python\n(.*?)```", MEASUREMENTS, re.DOTALL)
    offline = code.replace("include_top=False", "include_top=False, weights=None")
    subprocess.run([sys.executable, "-c", offline], cwd=project, check=True, capture_output=True)
    assert (project / "mobilenet_v1.keras").is_file()
    run(project, "python train_cnn.py")
    yield project
    for name in ("data/tf_flowers", "data/sample", "my_photos"):
        shutil.rmtree(project / name)
    for folder in (project / "outputs").glob("2*"):
        shutil.rmtree(folder)


def run(folder, command: str) -> None:
    words = shlex.split(command.split(" < ")[0])
    stdin = folder / command.split(" < ")[1] if " < " in command else None
    finished = subprocess.run(
        [sys.executable, *words[1:], *FASTER[words[1]]],
        cwd=folder,
        stdin=stdin.open("rb") if stdin else subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr.decode()
    assert finished.stdout


def test_there_are_commands_to_test():
    assert len(SETUP_COMMANDS) == 2
    assert len(SCRIPT_COMMANDS) >= 8


@pytest.mark.parametrize("command", SCRIPT_COMMANDS)
def test_script_command_runs(command, furnished_project):
    if "--review" in command:
        (furnished_project / "review.csv").unlink()
    run(furnished_project, command)


def test_setup_commands_use_files_and_flags_that_are_there():
    for command in SETUP_COMMANDS:
        (requirements,) = re.findall(r"-r (\S+)", command)
        assert (PROJECT / requirements).is_file()
    # The developers' command is run as it stands by .ci/run, on a clean checkout.
    assert SETUP_COMMANDS[1] in (PROJECT / ".ci" / "run").read_text(encoding="utf-8")
    assert SETUP_COMMANDS[0].split(" && ")[-1].startswith(".venv/bin/python train_cnn.py")


def test_links_and_pictures_are_there():
    titles = re.findall(r"^## (.*)$", MEASUREMENTS, re.M)
    titles = [title.lower().replace(" ", "-") for title in titles]
    for target in re.findall(r"\]\(([^)]+)\)", README):
        if not target.startswith("http"):
            path, _, section = target.partition("#")
            assert (PROJECT / path).exists(), target
            assert not section or section in titles, target


@pytest.mark.parametrize("script", [train_cnn, train_transfer, compare, explore, predict])
def test_headers_of_the_scripts_show_commands_that_parse(script, monkeypatch):
    commands = re.findall(
        rf"^    python ({script.__name__}\.py.*?)(?:  .*| < .*)?$", script.__doc__, re.M
    )
    assert len(commands) >= 4
    for command in commands:
        monkeypatch.setattr(sys, "argv", shlex.split(command))
        script.parse_arguments()
