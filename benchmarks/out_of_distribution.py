"""How well runs tell photos that show none of their classes from their unseen ones.

    python benchmarks/out_of_distribution.py --others FOLDER RUN ...

FOLDER holds photos of other things, in a sub-folder for each group; a kind is what stands before
the first `_` of a file's name. For the unseen photos of the runs, for every group and every kind,
it prints how many are noticed (unlike the training photos), and how many get a sure answer. Then
the same at 5 % false alarms, and at 80 % that are near enough to be accepted, among the unseen
photos: thresholds come from validation photos, which may be easier or harder than those. Runs of
earlier versions, with another detector, have no sensible figures there.
"""

import csv
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for the package

from vision101.cli import ArgumentParser, run_script
from vision101.photos.index import list_files
from vision101.photos.reading import read_pixels
from vision101.prediction import load_classifier


def main() -> None:
    parser = ArgumentParser(__doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--others", type=Path, required=True, metavar="FOLDER")
    arguments = parser.parse_args()
    others = [path for path in list_files(arguments.others) if path.parent != arguments.others]
    told = defaultdict(list)
    for folder in arguments.runs:
        for name, rows in measure_run(folder, others).items():
            told[name] += rows
    print(f"{'':28}{'photos':>8}{'noticed':>9}{'sure':>7}   at 5 % and 80 %: noticed, sure")
    for name, rows in told.items():
        shares = "".join(f"{100 * share:8.1f}" for share in np.mean(rows, axis=0))
        print(f"{name:28}{len(rows):8}{shares}")


def measure_run(folder: Path, others: list[Path]) -> dict[str, list[tuple[bool, ...]]]:
    """Return for unseen photos, every group and every kind what a run says of each photo."""
    classifier = load_classifier(folder)
    detector, photos = classifier.detector, Path(classifier.run.config["photos"])
    with (folder / "split.csv").open(newline="", encoding="utf-8") as file:
        unseen = [photos / row["path"] for row in csv.DictReader(file) if row["part"] == "unseen"]
    answers = [
        classifier.call(read_pixels(path, classifier.image_size)[np.newaxis])
        for path in (*unseen, *others)
    ]
    probabilities, features = (np.concatenate(arrays) for arrays in zip(*answers, strict=True))
    usual, alike = detector.check(features)
    sure = alike & (probabilities.max(axis=1) >= classifier.threshold)
    distances = detector.measure_distances(features)
    # How far beyond its threshold the worse of the distances is, and how far the first is.
    excess = ((1 - detector.threshold) / np.maximum(1 - distances, 1e-6)).max(axis=1)
    known = slice(len(unseen))
    noticed_at = excess > np.quantile(excess[known], 0.95)
    sure_at = distances[:, 0] <= np.quantile(distances[known, 0], 0.8)
    rows = list(zip(~usual, sure, noticed_at, sure_at, strict=True))
    told = defaultdict(list, {"unseen": rows[known]})
    for path, row in zip(others, rows[len(unseen) :], strict=True):
        told[path.parent.name].append(row)
    for path, row in zip(others, rows[len(unseen) :], strict=True):
        told[f"{path.parent.name}: {path.stem.split('_')[0]}"].append(row)
    return told


if __name__ == "__main__":
    run_script(main)
