"""The scripts where a machine is set up for others: Keras, locale, streams, notebooks, paths."""

import json
import os
import re
import shutil
import subprocess
import sys

import keras
import pytest
from conftest import PROJECT

from vision101.environment import prepare_keras
from vision101.errors import UserError

# Blanks, quotes, what shells and formats expand, and letters of four scripts.
ODD_NAME = 'it\'s 100% $HOME "花" Ωß مرحبا'


@pytest.fixture(scope="module")
def odd_project(tmp_path_factory):
    """Return a copy of the project under a path that needs care everywhere."""
    folder = tmp_path_factory.mktemp("projects") / ODD_NAME
    ignored = shutil.ignore_patterns("*.pyc", ".*", "data", "outputs", "tests", "docs")
    return shutil.copytree(PROJECT, folder, ignore=ignored)


@pytest.fixture(scope="module")
def odd_environment(tmp_path_factory):
    """Return the variables of a machine on which everything is set up for others."""
    home = tmp_path_factory.mktemp("keras")
    others = {"image_data_format": "channels_first", "floatx": "float16", "epsilon": 0.1}
    (home / "keras.json").write_text(json.dumps(others | {"backend": "jax"}))
    inherited = {name: value for name, value in os.environ.items() if name != "HOME"}
    return inherited | {
        "KERAS_HOME": str(home),
        "KERAS_MAX_EPOCHS": "0",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONWARNINGS": "error",
        "LC_ALL": "C",
        "COLUMNS": "10",
    }


def run(script, *arguments, **options):
    command = [sys.executable, script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, cwd=script.parent, **options)


def close_streams():
    for number in range(3):
        os.close(number)


@pytest.fixture(scope="module")
def odd_run(odd_project, odd_environment, painted_folder):
    """Train in that environment, without any stream, and return the photos and the run's folder."""
    photos = shutil.copytree(painted_folder, odd_project / "photos")
    finished = run(
        odd_project / "train_cnn.py",
        *("--data", photos, "--epochs", 1, "--image-size", 32),
        env=odd_environment,
        preexec_fn=close_streams,
    )
    assert finished.returncode == 0
    (folder,) = (odd_project / "outputs").iterdir()
    return photos, folder


def test_settings_for_others_change_no_digit(odd_run, run_script, tmp_path):
    photos, folder = odd_run
    arguments = ("--data", photos, "--epochs", 1, "--image-size", 32, "--output-dir", tmp_path)
    assert run_script("train_cnn.py", *arguments).code == 0
    (usual,) = tmp_path.iterdir()
    for name in ("split.csv", "log.csv", "predictions.csv"):
        assert (folder / name).read_bytes() == (usual / name).read_bytes()


def test_prediction_and_comparison_run_to_their_end_everywhere(
    odd_run, odd_project, odd_environment
):
    photos, folder = odd_run
    photo = photos / "roses" / "roses-0001.jpg"
    finished = run(odd_project / "predict.py", photo, env=odd_environment)
    assert finished.returncode == 0, finished.stderr.decode()
    assert "█" in finished.stdout.decode()
    assert str(photo) in finished.stdout.decode()
    finished = run(odd_project / "compare.py", "--markdown", env=odd_environment)
    assert finished.returncode == 0, finished.stderr.decode()
    assert "CNN" in finished.stdout.decode()


def test_terminals_without_a_character_get_a_plain_one(odd_run, odd_project):
    photo = odd_run[0] / "roses" / "roses-0001.jpg"
    coding = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    shown = run(odd_project / "predict.py", photo, env=coding).stdout.decode("cp1252")
    assert "%  ##" in shown
    assert "\\u2588" not in shown
    assert "\\u82b1" in shown  # a letter has no other


def test_notebooks_may_replace_the_streams(odd_run, odd_project, tmp_path):
    """As `%run` in IPython does: their streams are no files, and Keras was imported before."""
    photo = odd_run[0] / "roses" / "roses-0001.jpg"
    program = (
        "import io, runpy, sys, keras\n"
        "class OutStream(io.TextIOBase):\n"
        "    written = []\n"
        "    def write(self, text): self.written.append(text)\n"
        "    def fileno(self): raise io.UnsupportedOperation('fileno')\n"
        "keras.config.set_image_data_format('channels_first')\n"
        "sys.stdout = OutStream()\n"
        f"sys.argv = ['predict.py', '--top', '1', {str(photo)!r}]\n"
        f"try: runpy.run_path({str(odd_project / 'predict.py')!r}, run_name='__main__')\n"
        "except SystemExit as ending: print(ending.code, file=sys.__stdout__)\n"
        "print(''.join(OutStream.written), file=sys.__stdout__)\n"
    )
    command = [sys.executable, "-c", program]
    finished = subprocess.run(command, capture_output=True, check=False, cwd=odd_project)
    assert finished.stdout.decode().startswith("0\n"), finished.stderr.decode()
    assert str(photo) in finished.stdout.decode()


def test_settings_that_keras_refuses_are_a_usage_error(odd_project, tmp_path):
    (tmp_path / "keras.json").write_text('{"floatx": "bfloat7"}')
    environment = {**os.environ, "KERAS_HOME": str(tmp_path)}
    finished = run(odd_project / "train_cnn.py", "--help", env=environment)
    assert finished.returncode == 2
    line = finished.stderr.decode().splitlines()[-1]
    assert re.search(
        r"keras\.json: .*(Invalid `floatx`|setting).*; correct or remove that file", line
    )


def test_scripts_that_python_cannot_find_by_name_say_so(odd_project):
    settings = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    finished = run(odd_project / "predict.py", "x.jpg", env={**os.environ, **settings})
    assert finished.returncode == 2
    assert "set PYTHONUTF8=1" in finished.stderr.decode()


def test_another_backend_that_was_loaded_is_a_usage_error(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(UserError, match="backend jax"):
        prepare_keras()
