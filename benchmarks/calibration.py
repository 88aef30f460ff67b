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
            _, *rows = csv.reader(file)
        print(f"\n{run}\n{'':18}" + "".join(f"{column:>12}" for column in COLUMNS))
        for parts in PARTS:
            # By position, since a class may be called like one of these columns.
            told = [row[3 : len(PREDICTION_COLUMNS)] for row in rows if row[2] in parts]
            if not told:  # classes of one size leave no surplus
                continue
            right = np.array([label == predicted for label, predicted, *_ in told])
            confidences = np.array([float(confidence) for *_, confidence, _ in told])
            sure = np.array([sure == "yes" for *_, sure in told])
            shares = (
                measure_calibration(confidences, right)["error"],
                estimate_calibration_noise(confidences),
                sure.mean(),
                right[sure].mean(),
            )
            cells = "".join(f"{100 * share:10.1f} %" for share in shares)
            print(f"{' + '.join(parts):18}{len(told):12}{cells}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    return parser.parse_args()


if __name__ == "__main__":
    main()
