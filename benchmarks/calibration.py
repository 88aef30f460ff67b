"""How far the confidence of finished runs can be trusted, on more photos than the unseen ones.

    python benchmarks/calibration.py RUN [RUN ...]

Unseen photos are few, so chance alone makes even perfect confidence look wrong by a few percent.
Surplus photos had no part in training either. Both together tell more, though not with as many of
each class.
"""

import argparse
import csv
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vision101.confidence import estimate_calibration_noise, measure_calibration
from vision101.runs import PREDICTION_COLUMNS, PREDICTIONS_NAME

import numpy as np

COLUMNS = ("photos", "error", "if perfect", "answered", "right")
PARTS = ("unseen",), ("surplus",), ("unseen", "surplus")


def main() -> None:
    for run in parse_arguments().runs:
        with (run / PREDICTIONS_NAME).open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        # By position, since a class may be called like one of these columns.
        rows = np.array([row[: len(PREDICTION_COLUMNS)] for row in rows])
        if tuple(header[: len(PREDICTION_COLUMNS)]) != PREDICTION_COLUMNS:
            sys.exit(f"{run}: made by an older version; train again")
        print(f"\n{run}\n{'':18}" + "".join(f"{column:>12}" for column in COLUMNS))
        for parts in PARTS:
            chosen = rows[np.isin(rows[:, 2], parts)]
            if not len(chosen):  # classes of one size leave no surplus
                continue
            _, _, _, labels, predicted, confidences, sure = chosen.T
            confidences, right, sure = confidences.astype(float), labels == predicted, sure == "yes"
            shares = [
                measure_calibration(confidences, right)["error"],
                estimate_calibration_noise(confidences),
                sure.mean(),
                *([right[sure].mean()] if sure.any() else []),
            ]
            cells = "".join(f"{100 * share:10.1f} %" for share in shares)
            print(f"{' + '.join(parts):18}{len(chosen):12}{cells}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    return parser.parse_args()


if __name__ == "__main__":
    main()
