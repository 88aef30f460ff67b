"""A trained run asked about new photos."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vision101.errors import UserError, shown_path
from vision101.evaluation.out_of_distribution import (
    MahalanobisDetector,
    OutOfDistributionDetector,
    load_detector,
)
from vision101.finished_runs import (
    FORMER_DETECTOR_NAME,
    FinishedRun,
    check_checksum,
    read_run,
    refuse,
    refuse_damage,
)
from vision101.portable import PORTABLE_NAME, load_portable_model
from vision101.runs import DETECTOR_NAME, MODEL_NAME


class Classifier(NamedTuple):
    """The network of a complete run, ready to predict."""

    run: FinishedRun
    model: object  # its Keras model; None where the portable one predicts
    call: Callable[[np.ndarray], list[np.ndarray]]  # from images to probabilities and features
    class_names: list[str]  # in the order of the model's outputs
    image_size: int  # side of the square images that it takes, in pixels
    threshold: float  # confidence from which a prediction is accepted, 0-1
    detector: OutOfDistributionDetector | MahalanobisDetector


class Prediction(NamedTuple):
    """What a model says of a photo. Where it is not accepted, a person should look."""

    name: str  # of the photo, as the user gave it
    classes: list[tuple[str, float]]  # names and probabilities of all, most probable first
    accepted: bool
    out_of_distribution: bool  # unlike the training photos: it may well show none of the classes


def load_classifier(folder: Path, with_keras: bool = False) -> Classifier:
    """Load the network of a complete run: the portable one, if it can be used here, else, with a
    line that says why, Keras's, which `with_keras` asks for in any case. Raises UserError where it
    is no complete run, a file is damaged, or Keras is needed and missing.
    """
    run = read_run(folder)
    class_names, image_size = run.config["class_names"], run.config["image_size"]
    model, call, reason = None, None, ""
    try:
        call = None if with_keras else load_portable_model(run)
    except UserError as error:
        reason = str(error)
    if call is None:
        model, call = _load_keras_model(run, reason)
    with refuse_damage(folder / (MODEL_NAME if model else PORTABLE_NAME), "used"):
        probabilities, features = call(np.zeros((1, image_size, image_size, 3), np.uint8))
        if probabilities.shape != (1, len(class_names)):
            raise ValueError(f"it does not tell {len(class_names)} classes apart")
    path = folder / DETECTOR_NAME
    path = path if path.exists() else folder / FORMER_DETECTOR_NAME
    with refuse_damage(path, "loaded"):
        detector = load_detector(path)
        shapes = {name: array.shape for name, array in detector._asdict().items()}
        expected = detector.list_shapes(len(class_names), features.shape[-1])
        if shapes != expected:
            raise ValueError(f"its arrays are {shapes}; its model needs {expected}")
        if not all(np.isfinite(array).all() for array in detector):
            raise ValueError("it holds NaN or infinite numbers")
    threshold = run.results["confidence"]["threshold"]
    return Classifier(run, model, call, class_names, image_size, threshold, detector)


def _load_keras_model(
    run: FinishedRun, reason: str
) -> tuple[object, Callable[[np.ndarray], list[np.ndarray]]]:
    """Return the Keras model of a run, and a function to call it for probabilities and features.
    A reason why the portable one cannot be used is said before the seconds that this takes.
    """
    path = run.folder / MODEL_NAME
    check_checksum(path, run.results.get("model_sha256"))
    if reason:
        print(f"Keras predicts, which takes longer: {reason}", file=sys.stderr, flush=True)
    try:
        from vision101.training.models import compile_prediction, expose_features  # takes seconds
        from vision101.training.saved_models import WEIGHTS_BYTES, load_model
    except ModuleNotFoundError as error:
        raise UserError(
            f"{shown_path(path)}: needs Keras here; install it: pip install -r requirements.txt"
        ) from error
    versions = run.config.get("versions") or {}
    told = ", ".join(f"{name} {versions.get(name)!s:.20}" for name in ("keras", "tensorflow"))
    with refuse_damage(path, f"loaded; it was trained with {told}"):
        parameters = run.results["parameters"]
        # Of 4 bytes each; the structure around them takes little more.
        model = load_model(path, min(WEIGHTS_BYTES, 5 * parameters + 10_000_000))
        size = run.config["image_size"]
        # Some take photos of any size.
        if model.input_shape not in ((None, size, size, 3), (None, None, None, 3)):
            raise ValueError(f"it takes {model.input_shape}, and not photos of {size} pixels")
        if model.count_params() != parameters:
            raise ValueError(f"it has {model.count_params():,} weights, not {parameters:,}")
        return model, compile_prediction(expose_features(model))


def predict_photo(classifier: Classifier, name: str, pixels: np.ndarray) -> Prediction:
    """Predict the class of a photo, given as `read_pixels` returns it. Raises UserError where the
    model gives no probabilities.
    """
    probabilities, features = classifier.call(pixels[np.newaxis])
    if not np.isfinite(probabilities).all():
        raise refuse(classifier.run.folder / MODEL_NAME, "used (it does not give probabilities)")
    named = [*zip(classifier.class_names, probabilities[0].tolist(), strict=True)]
    classes = [named[position] for position in probabilities[0].argsort()[::-1]]
    usual, alike = (bool(flags[0]) for flags in classifier.detector.check(features))
    accepted = alike and classes[0][1] >= classifier.threshold
    return Prediction(name, classes, accepted, not usual)
