"""A trained run asked about new photos, and the list of those that a person should look at."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vision101.evaluation.out_of_distribution import OutOfDistributionDetector, load_detector
from vision101.files import write_table
from vision101.finished_runs import FORMER_DETECTOR_NAME, FinishedRun, read_run
from vision101.run_format import check_detector, refuse, refuse_damage
from vision101.runs import DETECTOR_NAME, MODEL_NAME

REVIEW_COLUMNS = ("path", "label", "sure", "predicted", "confidence", "out_of_distribution")


class Classifier(NamedTuple):
    """The network of a complete run, ready to predict.

    Attributes:
        run: The run.
        model: Its Keras model.
        call: What `compile_prediction` returned for probabilities and features.
        class_names: In the order of the model's outputs.
        image_size: Side of the square images that it takes, in pixels.
        threshold: Confidence from which a prediction is accepted, 0-1.
        detector: Tells photos that are unlike those trained on.
    """

    run: FinishedRun
    model: object
    call: Callable[[np.ndarray], list[np.ndarray]]
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


def load_classifier(folder: Path) -> Classifier:
    """Load the network of a complete run. Raises UserError where it is none, or is damaged."""
    run = read_run(folder)
    class_names, image_size = run.config["class_names"], run.config["image_size"]
    threshold = run.results["confidence"]["threshold"]
    path, detector_path = folder / MODEL_NAME, folder / DETECTOR_NAME
    if not detector_path.exists():
        detector_path = folder / FORMER_DETECTOR_NAME
    with refuse_damage(path, "loaded"):
        checksum = run.results.get("model_sha256")  # earlier versions did not record it
        if checksum not in (None, hashlib.sha256(path.read_bytes()).hexdigest()):
            raise ValueError("changed or damaged since it was saved")

    from vision101.training.models import compile_prediction, expose_features  # takes seconds
    from vision101.training.saved_models import WEIGHTS_BYTES, load_model

    versions = run.config.get("versions") or {}
    told = ", ".join(f"{name} {versions.get(name)!s:.20}" for name in ("keras", "tensorflow"))
    with refuse_damage(path, f"loaded; it was trained with {told}"):
        parameters = run.results["parameters"]
        # Of 4 bytes each; the structure around them takes little more.
        model = load_model(path, min(WEIGHTS_BYTES, 5 * parameters + 10_000_000))
        exposed = expose_features(model)
        shapes = [tensor.shape for tensor in (*model.inputs, *exposed.outputs)]
        side, channels = shapes[0][1] and image_size, shapes[-1][-1]  # some take photos of any size
        expected = [(None, side, side, 3), (None, len(class_names)), (None, channels)]
        if shapes != expected or model.count_params() != parameters:
            raise ValueError(f"shapes {shapes} or size do not fit config.json and results.json")
        call = compile_prediction(exposed)
    check_detector(detector_path, len(class_names), channels)
    with refuse_damage(detector_path, "loaded"):
        detector = load_detector(detector_path)
        if not all(np.isfinite(array).all() for array in detector):
            raise ValueError("it holds NaN or infinite numbers")
    return Classifier(run, model, call, class_names, image_size, threshold, detector)


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
