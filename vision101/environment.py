"""What a machine is set up to do for others, and these scripts must have otherwise."""

import codecs
import importlib.util
import json
import os
import shutil
import sys
import warnings
from pathlib import Path

from vision101.errors import UserError
from vision101.files import PROJECT_FOLDER

# What stands for a character that a terminal lacks, where it is more than a letter.
PLAIN = {"█": "#", "…": "...", "–": "-", "×": "x", "±": "+/-"}
BOX_DRAWING = range(0x2500, 0x2580)  # of Keras's tables and progress bars
LEAST_COLUMNS = 80  # in narrower terminals, Keras refuses to show a model

# Of Keras, in what ~/.keras/keras.json names for other projects.
KERAS_SETTINGS = {"image_data_format": "channels_last", "floatx": "float32", "epsilon": 1e-7}


def prepare_streams() -> None:
    """Let printing never fail: where a stream is closed, replaced as in a notebook, or lacks a
    character. Warnings of libraries are no errors here, whatever PYTHONWARNINGS says.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it takes the lowest free number, which is this one
    if shutil.get_terminal_size().columns < LEAST_COLUMNS:
        os.environ["COLUMNS"] = str(LEAST_COLUMNS)
    codecs.register_error("plain", _replace_characters)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="plain", line_buffering=True)
    if any(option.startswith("error") for option in sys.warnoptions):
        warnings.simplefilter("default")
        for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning):
            warnings.simplefilter("ignore", category)


def prepare_keras(may_use_jax: bool = False) -> None:
    """Choose Keras's backend and settings, and quieten TensorFlow, before either is imported. With
    `may_use_jax`, KERAS_BACKEND=jax is heeded; everything else is done by TensorFlow.

    Raises UserError where Keras was imported already, with another backend, as a notebook may have
    done; JAX is missing; Keras's settings file is damaged; or Python cannot name the folder of
    these scripts.
    """
    # With LC_ALL=C, Python takes UTF-8, unless PYTHONUTF8=0 forbids it. TensorFlow ends then.
    if any(0xD800 <= ord(character) < 0xE000 for character in str(PROJECT_FOLDER)):
        raise UserError(
            f"Python cannot read the letters of {PROJECT_FOLDER}: set PYTHONUTF8=1, or move it"
        )
    jax = may_use_jax and os.environ.get("KERAS_BACKEND") == "jax"
    backend = "jax" if jax else "tensorflow"
    if jax and not importlib.util.find_spec("jax"):
        raise UserError(
            "KERAS_BACKEND=jax: JAX is not installed; pip install -r requirements-jax.txt, or "
            "train with TensorFlow, without that variable"
        )
    loaded = sys.modules.get("keras")
    if loaded and loaded.config.backend() != backend:
        raise UserError(
            f"Keras was imported with the backend {loaded.config.backend()}, and this needs "
            f"{backend}: restart Python, or set KERAS_BACKEND={backend} before Keras is imported"
        )
    # What ~/.keras/keras.json or the environment names for other projects would not do.
    os.environ["KERAS_BACKEND"] = backend
    # The backend of a notebook may not be installed here, and Keras imports Matplotlib. These would
    # end every training early.
    for name in ("MPLBACKEND", "KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH"):
        os.environ.pop(name, None)
    # Lines about CPU instructions and absent GPUs would bury the one that tells what is wrong.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Keras reads its settings when it is imported, which takes seconds. So it is imported here only
    # where they have to be set back.
    home = os.environ.get("KERAS_HOME", "~/.keras")
    path = Path(os.path.expanduser(home), "keras.json")  # noqa: PTH111  Path's fails without a home
    try:
        settings = json.loads(path.read_bytes())
        usual = {**KERAS_SETTINGS, **settings} == {**settings, **KERAS_SETTINGS}
    except (OSError, ValueError):  # then Keras takes its own
        usual = True
    except TypeError:
        usual = False
    if loaded or not usual:
        try:
            import keras
        except (ValueError, AttributeError, AssertionError) as error:  # the last one of Keras 3.11
            reason = str(error) or "a setting that Keras does not know"
            raise UserError(f"{path}: {reason}; correct or remove that file") from error
        for name, value in KERAS_SETTINGS.items():
            getattr(keras.config, f"set_{name}")(value)


def _replace_characters(error: UnicodeEncodeError) -> tuple[str, int]:
    """Handle errors of encoding: give plain characters, or escapes, for those that are missing."""
    missing = error.object[error.start : error.end]
    plain = [
        PLAIN.get(character, "-" if ord(character) in BOX_DRAWING else character)
        for character in missing
    ]
    return "".join(plain).encode("ascii", "backslashreplace").decode(), error.end
