"""How far the confidence of finished runs can be trusted, on more photos than the unseen ones.

    python benchmarks/calibration.py RUN [RUN ...]

For each run it prints, for the unseen photos, the surplus, and both together: how many they are,
the expected calibration error, what a perfectly calibrated model would show, the share of accepted
predictions, and the share of right ones among these.

Unseen photos are few, so chance alone makes even perfect confidence look wrong by a few percent.
Surplus photos had no part in training either, so both together tell more, though not with as many
of each class. Chance also decides which photos the temperature is fitted on. So the last line
draws validation and unseen photos anew, many times, from all that the model was not trained on,
with as many of each class as before, fits and measures each time, and prints the mean error.
"""

import csv
import sys
from pathlib import Path

import numpy as np
from tqdm import trange

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for the package

from vision101.cli import ArgumentParser, run_script
from vision101.errors import UserError
from vision101.evaluation.calibration import (
    confidence_and_correctness,
    fit_temperature,
    measure_calibration,
    perfect_calibration_error,
)
from vision101.finished_runs import read_run
from vision101.runs import PREDICTION_COLUMNS, PREDICTIONS_NAME

# Enough to know the mean error to less than a tenth of a percent.
REDRAWS = 200


def main() -> None:
    parser = ArgumentParser(__doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    for folder in parser.parse_args().runs:
        columns, labels, probabilities = read_predictions(folder)
        confidences, right = confidence_and_correctness(labels, probabilities)
        headings = ("photos", "error", "if perfect", "accepted", "right")
        print(f"\n{folder}\n{'':18}" + "".join(f"{heading:>12}" for heading in headings))
        for subsets in (["unseen"], ["surplus"], ["unseen", "surplus"]):
            chosen = np.isin(columns["part"], subsets)
            if not chosen.any():  # classes of one size leave no surplus
                continue
            accepted = chosen & (columns["sure"] == "yes")
            shares = [
                measure_calibration(confidences[chosen], right[chosen])["error"],
                perfect_calibration_error(confidences[chosen]),
                accepted.sum() / chosen.sum(),
                *([right[accepted].mean()] if accepted.any() else []),
            ]
            cells = "".join(f"{100 * share:10.1f} %" for share in shares)
            print(f"{' + '.join(subsets):18}{chosen.sum():12}{cells}")
        errors = redraw_calibration_errors(labels, probabilities, columns["part"])
        count = (columns["part"] == "unseen").sum()
        print(
            f"{'drawn anew':18}{count:12}{100 * errors.mean():10.1f} %"
            f"   ± {100 * errors.std(ddof=1):.1f} (standard deviation of a draw)"
        )


def read_predictions(folder: Path) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Read a run's `predictions.csv`.

    Returns:
        For each of PREDICTION_COLUMNS its values, str (photos,); one-hot labels, float (photos,
        classes); and probabilities, float (photos, classes), 0-1.
    """
    class_names = read_run(folder).config["class_names"]
    with (folder / PREDICTIONS_NAME).open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    if header != [*PREDICTION_COLUMNS, *class_names]:
        raise UserError(f"{folder}: its {PREDICTIONS_NAME} is of an older version; train again")
    # By position, since a class may be called like one of these columns.
    known, probabilities = np.split(np.array(rows), [len(PREDICTION_COLUMNS)], axis=1)
    columns = dict(zip(PREDICTION_COLUMNS, known.T, strict=True))
    labels = columns["label"][:, None] == class_names
    return columns, labels.astype(float), probabilities.astype(float)


def redraw_calibration_errors(
    labels: np.ndarray, probabilities: np.ndarray, subsets: np.ndarray
) -> np.ndarray:
    """Return the expected calibration error on the unseen photos of each draw, float (REDRAWS,).

    Args:
        labels: One-hot array of shape (photos, classes).
        probabilities: float array of shape (photos, classes), 0-1.
        subsets: Which one each photo is in; tells how many of each class to draw.
    """
    generator = np.random.default_rng(0)
    errors = []
    for _ in trange(REDRAWS, desc="Drawing anew", unit=" draws", leave=False):
        validation, unseen = [], []
        for of_class in labels.T.astype(bool):
            drawn = generator.permutation(np.flatnonzero(of_class))
            first = (subsets[of_class] == "validation").sum()
            validation.extend(drawn[:first])
            unseen.extend(drawn[first : first + (subsets[of_class] == "unseen").sum()])
        temperature = fit_temperature(labels[validation], probabilities[validation])
        # What a softmax gives whose inputs are divided by the temperature.
        powers = probabilities[unseen] ** (1 / temperature)
        scaled = powers / powers.sum(axis=1, keepdims=True)
        outcome = confidence_and_correctness(labels[unseen], scaled)
        errors.append(measure_calibration(*outcome)["error"])
    return np.array(errors)


if __name__ == "__main__":
    run_script(main)
