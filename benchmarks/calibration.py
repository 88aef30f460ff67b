"""How far the confidence of finished runs can be trusted, on more photos than the unseen ones.

    python benchmarks/calibration.py RUN [RUN ...]

Unseen photos are few, so chance alone makes even perfect confidence look wrong by a few percent.
Surplus photos had no part in training either. Both together tell more, though not with as many of
each class. Chance also decides which photos the temperature is fitted on. So the last line draws
both parts anew, many times, from all photos that the model was not trained on, with as many of each
class as before, and fits and judges each time.
"""

import argparse
import csv
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from tqdm import trange

from vision101.evaluation.calibration import (
    apply_temperature,
    confidence_and_correctness,
    fit_temperature,
    measure_calibration,
    perfect_calibration_error,
)
from vision101.runs import PREDICTION_COLUMNS, PREDICTIONS_NAME

COLUMNS = ("photos", "error", "if perfect", "answered", "right")
SUBSETS = ("unseen",), ("surplus",), ("unseen", "surplus")

# Enough to know the mean error to less than a tenth of a percent.
REDRAWS = 200


def main() -> None:
    for run in parse_arguments().runs:
        with (run / PREDICTIONS_NAME).open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        # By position, since a class may be called like one of these columns.
        first_class = len(PREDICTION_COLUMNS)
        if tuple(header[:first_class]) != PREDICTION_COLUMNS:
            sys.exit(f"{run}: made by an older version; train again")
        rows = np.array(rows)
        probabilities = rows[:, first_class:].astype(float)
        rows = rows[:, :first_class]
        print(f"\n{run}\n{'':18}" + "".join(f"{column:>12}" for column in COLUMNS))
        for parts in SUBSETS:
            chosen = rows[np.isin(rows[:, 2], parts)]
            if not len(chosen):  # classes of one size leave no surplus
                continue
            _, _, _, labels, predicted, confidences, sure = chosen.T
            confidences, right, sure = confidences.astype(float), labels == predicted, sure == "yes"
            shares = [
                measure_calibration(confidences, right)["error"],
                perfect_calibration_error(confidences),
                sure.mean(),
                *([right[sure].mean()] if sure.any() else []),
            ]
            cells = "".join(f"{100 * share:10.1f} %" for share in shares)
            print(f"{' + '.join(parts):18}{len(chosen):12}{cells}")
        labels = (rows[:, 3, None] == header[first_class:]).astype(float)
        errors = redraw_calibration_errors(labels, probabilities, rows[:, 2])
        print(
            f"{'drawn anew':18}{(rows[:, 2] == 'unseen').sum():12}{100 * errors.mean():10.1f} %",
            end="",
        )
        print(f"   ± {100 * errors.std(ddof=1):.1f} (standard deviation of a draw)")


def redraw_calibration_errors(
    labels: np.ndarray, probabilities: np.ndarray, parts: np.ndarray
) -> np.ndarray:
    """Return the calibration error, float (REDRAWS,), 0-1, on unseen photos of each draw.

    Args:
        labels: One-hot array of shape (photos, classes).
        probabilities: float array of shape (photos, classes), 0-1.
        parts: Which part each photo is in; tells how many of each class to draw.
    """
    generator = np.random.default_rng(0)
    errors = []
    for _ in trange(REDRAWS, desc="Drawing anew", unit=" draws", leave=False):
        validation, unseen = [], []
        for label in labels.T.astype(bool):
            photos = generator.permutation(np.flatnonzero(label))
            first = (parts[label] == "validation").sum()
            validation.extend(photos[:first])
            unseen.extend(photos[first : first + (parts[label] == "unseen").sum()])
        temperature = fit_temperature(labels[validation], probabilities[validation])
        scaled = apply_temperature(probabilities[unseen], temperature)
        errors.append(
            measure_calibration(*confidence_and_correctness(labels[unseen], scaled))["error"]
        )
    return np.array(errors)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    return parser.parse_args()


if __name__ == "__main__":
    main()
