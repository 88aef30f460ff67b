"""How far the confidence of finished runs can be trusted, on more photos than the unseen ones.

    python benchmarks/calibration.py RUN [RUN ...]

Unseen photos are few, so chance alone makes even perfect confidence look wrong by a few percent.
Surplus photos had no part in training either. Both together tell more, though not with as many of
each class.
"""

import argparse
import csv
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vision101.confidence import estimate_calibration_noise, measure_calibration
from vision101.runs import PREDICTIONS_NAME, RESULTS_NAME

import keras
import numpy as np

COLUMNS = ("photos", "error", "if perfect", "answered", "right")
PARTS = ("unseen",), ("surplus",), ("unseen", "surplus")


def main() -> None:
    for run in parse_arguments().runs:
        results = json.loads((run / RESULTS_NAME).read_text(encoding="utf-8"))
        threshold = results["confidence"]["threshold"]
        with (run / PREDICTIONS_NAME).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        class_names = sorted({row["predicted"] for row in rows} | {row["label"] for row in rows})
        print(f"\n{run}\n{'':18}" + "".join(f"{column:>12}" for column in COLUMNS))
        for parts in PARTS:
            chosen = [row for row in rows if row["part"] in parts]
            if not chosen:  # classes of one size leave no surplus
                continue
            positions = [class_names.index(row["label"]) for row in chosen]
            labels = keras.utils.to_categorical(positions, len(class_names))
            probabilities = np.array([[float(row[name]) for name in class_names] for row in chosen])
            answered = probabilities.max(axis=1) >= threshold
            right = probabilities.argmax(axis=1) == positions
            shares = (
                measure_calibration(labels, probabilities)["error"],
                estimate_calibration_noise(probabilities),
                answered.mean(),
                right[answered].mean(),
            )
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
