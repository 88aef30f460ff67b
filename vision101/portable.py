"""The portable model of a run, `model.tflite`: half a second to an answer, without TensorFlow.

It is the network of `best.keras`: from one raw photo, float32 (1, image_size, image_size, 3), RGB,
0-255, to calibrated `probabilities`, float32 (1, classes), and the `features` that the detector of
out-of-distribution photos needs, float32 (1, channels). LiteRT, formerly TensorFlow Lite, runs it
on computers, phones and in browsers.
"""

import contextlib
import hashlib
import logging
import os
import sys
from collections.abc import Callable, Iterator

import numpy as np

from vision101.errors import UserError
from vision101.files import write_atomically, write_json
from vision101.finished_runs import FinishedRun, check_checksum, read_json
from vision101.runs import RESULTS_NAME, Run

PORTABLE_NAME = "model.tflite"


def export_model(run: Run | FinishedRun, model) -> None:
    """Write the portable model of a run whose other files are written, given its Keras model, a
    calibrated classifier of ours. Where that fails, say so: the run is complete without.
    """
    import keras  # takes seconds; loading a portable model needs none of it

    from vision101.training.models import expose_features

    print(f"Writing {PORTABLE_NAME}, for predictions without TensorFlow", flush=True)
    inside = expose_features(model)
    names = ("probabilities", "features")
    network = keras.Model(inside.inputs[0], dict(zip(names, inside.outputs, strict=True)))
    # One photo at a time: of a fixed shape, more of the network runs in fast kernels, and a batch
    # would gain nothing.
    size = run.config["image_size"]
    photo = keras.InputSpec("float32", (1, size, size, 3), name="photo")
    try:
        with write_atomically(run.folder / PORTABLE_NAME) as temporary, _silence_converter():
            network.export(temporary, format="litert", verbose=False, input_signature=[photo])
            sha256 = hashlib.sha256(temporary.read_bytes()).hexdigest()
        results = read_json(run.folder / RESULTS_NAME)
        write_json(run.folder / RESULTS_NAME, results | {"portable_sha256": sha256})
    except Exception as error:  # converters raise all kinds, and the run must not be lost
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        print(f"No {PORTABLE_NAME} ({reason}): predict.py will use Keras, which takes longer")


def load_portable_model(run: FinishedRun) -> Callable[[np.ndarray], list[np.ndarray]]:
    """Return a function like that of `training.models.compile_prediction`: from a batch of photos
    of any length to a list of probabilities and features. Raises UserError where the run has no
    portable model, it is damaged, or LiteRT is missing.
    """
    path = run.folder / PORTABLE_NAME
    if not path.is_file():
        raise UserError(f"the run has no {PORTABLE_NAME}")
    check_checksum(path, run.results.get("portable_sha256"))
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise UserError("ai-edge-litert is not installed, or not for this system") from error
    try:
        with _silence_converter():
            interpreter = Interpreter(str(path), num_threads=1)
            interpreter.allocate_tensors()
        run_network = interpreter.get_signature_runner()
        (input_name,) = run_network.get_input_details()
    except (ValueError, RuntimeError, LookupError, OSError) as error:
        raise UserError(f"{PORTABLE_NAME} is damaged") from error

    def call(batch: np.ndarray) -> list[np.ndarray]:
        answers = [run_network(**{input_name: photo[np.newaxis].astype("f")}) for photo in batch]
        return [
            np.concatenate([answer[name] for answer in answers])
            for name in ("probabilities", "features")
        ]

    return call


@contextlib.contextmanager
def _silence_converter() -> Iterator[None]:
    """Drop inside the `with` what LiteRT and its converter tell of every step: C++ code, which has
    no setting for that, on the process's stderr, past Python, and TensorFlow to its logger.
    """
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.WARNING)
    sys.stderr.flush()
    terminal = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        logger.setLevel(level)
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(nowhere)
