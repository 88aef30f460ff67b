"""A trained run asked about new photos, and the list of those that a person should look at."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vision101.errors import UserError, shown_path
from vision101.evaluation.out_of_distribution import OutOfDistributionDetector, load_detector
from vision101.files import write_table
from vision101.finished_runs import FORMER_DETECTOR_NAME, FinishedRun, read_run
from vision101.portable import PORTABLE_NAME, NotPortableError, load_portable_model
from vision101.run_format import check_checksum, check_detector, refuse, refuse_damage
from vision101.runs import DETECTOR_NAME, MODEL_NAME

REVIEW_COLUMNS = ("path", "label", "sure", "predicted", "confidence", "out_of_distribution")


class Classifier(NamedTuple):
    """The network of a complete run, ready to predict.

    Attributes:
        run: The run.
        model: Its Keras model; None where the portable one predicts.
        call: From a batch of images to a list of probabilities and features.
        fallback: Why Keras predicts and not the portable model; "" if nothing is wrong with it.
        class_names: In the order of the model's outputs.
        image_size: Side of the square images that it takes, in pixels.
        threshold: Confidence from which a prediction is accepted, 0-1.
        detector: Tells photos that are unlike those trained on.
    """

    run: FinishedRun
    model: object
    call: Callable[[np.ndarray], list[np.ndarray]]
    fallback: str
    class_names: list[str]
    image_size: int
    threshold: float
    detector: OutOfDistributionDetector


class Prediction(NamedTuple):
    """What a model says of a photo.

    Attributes:
        name: Of the photo, as the user gave it.
        classes: Names and probabilities (0-1) of all classes, most probable first.
        accepted: Whether to take the first one for what the photo shows. If not, a person should
            look.
        out_of_distribution: Whether the photo is unlike those trained on, so that it may well show
            none of the classes; then the prediction is not accepted either.
    """

    name: str
    classes: list[tuple[str, float]]
    accepted: bool
    out_of_distribution: bool


def load_classifier(folder: Path, with_keras: bool = False) -> Classifier:
    """Load the network of a complete run: the portable one, if it can be used here, else Keras's.

    Args:
        folder: Of the run.
        with_keras: Load the Keras model in any case.

    Raises:
        UserError: It is no complete run, a file of it is damaged, or Keras is needed and missing.
    """
    run = read_run(folder)
    class_names, image_size = run.config["class_names"], run.config["image_size"]
    model, call, fallback = None, None, ""
    try:
        if not with_keras:
            call = load_portable_model(run)
    except NotPortableError as error:
        fallback = str(error)
    if call is None:
        model, call = _load_keras_model(run)
    path = folder / (MODEL_NAME if model else PORTABLE_NAME)
    with refuse_damage(path, "used"):
        probabilities, features = call(np.zeros((1, image_size, image_size, 3), np.uint8))
        channels = features.shape[-1]
        if probabilities.shape != (1, len(class_names)):
            raise ValueError(f"it does not tell {len(class_names)} classes apart")
    detector_path = folder / DETECTOR_NAME
    if not detector_path.exists():
        detector_path = folder / FORMER_DETECTOR_NAME
    check_detector(detector_path, len(class_names), channels)
    with refuse_damage(detector_path, "loaded"):
        detector = load_detector(detector_path)
        if not all(np.isfinite(array).all() for array in detector):
            raise ValueError("it holds NaN or infinite numbers")
    threshold = run.results["confidence"]["threshold"]
    return Classifier(run, model, call, fallback, class_names, image_size, threshold, detector)


def _load_keras_model(run: FinishedRun) -> tuple[object, Callable[[np.ndarray], list[np.ndarray]]]:
    """Return the Keras model of a run, and a function to call it for probabilities and features."""
    path = run.folder / MODEL_NAME
    check_checksum(path, run.results.get("model_sha256"))
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
    """Predict the class of a photo. Raises UserError where the model gives no probabilities.

    Args:
        classifier: What `load_classifier` returned.
        pixels: What `read_pixels` returned for the classifier's image size.
    """
    probabilities, features = classifier.call(pixels[np.newaxis])
    if not np.isfinite(probabilities).all():
        raise refuse(classifier.run.folder / MODEL_NAME, "used (it does not give probabilities)")
    ranking = probabilities[0].argsort()[::-1]
    classes = [
        (classifier.class_names[position], float(probabilities[0][position]))
        for position in ranking
    ]
    usual = bool(classifier.detector.accept(features)[0])
    accepted = usual and classes[0][1] >= classifier.threshold
    return Prediction(name, classes, accepted, not usual)


def write_review(path: Path, predictions: list[Prediction]) -> None:
    """Write photos as a table for a person to go through, least certain first.

    Its column `label` is for the person. Where the prediction is accepted, it stands there
    already; elsewhere it is empty.
    """
    rows = []
    for prediction in sorted(predictions, key=lambda told: (told.accepted, told.classes[0][1])):
        class_name, probability = prediction.classes[0]
        label = class_name if prediction.accepted else ""
        flags = (prediction.accepted, prediction.out_of_distribution)
        sure, unlike = ("yes" if flag else "no" for flag in flags)
        place = Path(prediction.name).absolute()  # the list may be read from another folder
        rows.append((place, label, sure, class_name, f"{probability:.3f}", unlike))
    write_table(path, REVIEW_COLUMNS, rows)
