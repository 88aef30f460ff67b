"""What a trained model says of new photos, and the list of those that a person should look at."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from vision101.evaluation.scores import predict
from vision101.files import write_table
from vision101.runs import LoadedRun

REVIEW_COLUMNS = ("path", "label", "sure", "answer", "confidence", "novel")


class Prediction(NamedTuple):
    """What a model says of a photo.

    Attributes:
        name: Of the photo, as the user gave it.
        classes: Names and probabilities (0-1) of all classes, most probable first.
        sure: Whether to take the first one for the answer. If not, a person should look.
        novel: Whether the photo is unlike all that the model learnt from, so that it may well
            show none of the classes; then it is not sure either.
    """

    name: str
    classes: list[tuple[str, float]]
    sure: bool
    novel: bool


def predict_photo(run: LoadedRun, name: str, pixels: np.ndarray) -> Prediction:
    """Ask a run's model about a photo.

    Args:
        run: The run.
        name: What to call the photo.
        pixels: What `read_pixels` returned for the run's image size.
    """
    outputs = predict(run.model_with_features, pixels[np.newaxis])
    probabilities, features = (output[0] for output in outputs)
    class_names = run.config["class_names"]
    ranking = probabilities.argsort()[::-1]
    classes = [(class_names[position], float(probabilities[position])) for position in ranking]
    novel = bool(run.detector.measure_distances(features[np.newaxis])[0] > run.detector.threshold)
    return Prediction(name, classes, bool(classes[0][1] >= run.threshold and not novel), novel)


def write_review(path: Path, answers: list[Prediction]) -> None:
    """Write photos as a table for a person to go through, least certain first.

    Its column `label` is for the person. Where the model is sure, its answer stands there
    already; elsewhere it is empty.
    """

    def certainty(answer: Prediction) -> tuple[bool, float]:
        return answer.sure, answer.classes[0][1]

    rows = []
    for answer in sorted(answers, key=certainty):
        class_name, probability = answer.classes[0]
        label = class_name if answer.sure else ""
        sure, novel = ("yes" if flag else "no" for flag in (answer.sure, answer.novel))
        place = Path(answer.name).absolute()  # the list may be read from another folder
        rows.append((place, label, sure, class_name, f"{probability:.3f}", novel))
    write_table(path, REVIEW_COLUMNS, rows)
