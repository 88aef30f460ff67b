"""How well a run tells photos that are none of its classes, beside its unseen photos.

    python benchmarks/novelty.py RUN                      pictures of other things, painted
    python benchmarks/novelty.py RUN --others FOLDER      photos, such as those of another class

The AUROC is how often a photo of something else gets the larger number than an unseen photo of a
class: 50 % is guessing, 100 % perfect.
"""

import argparse
import csv
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from PIL import Image
from sklearn.metrics import roc_auc_score

from benchmarks.other_things import paint_other_things
from vision101.evaluation.scores import predict
from vision101.photos.index import list_files
from vision101.photos.reading import read_pixels
from vision101.runs import load_run

PAINTED = 200


def main() -> None:
    arguments = parse_arguments()
    run = load_run(arguments.run)
    image_size = run.config["image_size"]
    with (arguments.run / "split.csv").open(newline="", encoding="utf-8") as file:
        places = [row["path"] for row in csv.DictReader(file) if row["part"] == "unseen"]
    folder = Path(run.config["photos"])
    unseen = np.stack([read_pixels(folder / place, image_size) for place in places])
    if arguments.others:
        others = [read_pixels(path, image_size) for path in list_files(arguments.others)]
    else:
        size = image_size, image_size
        others = [
            np.asarray(picture.resize(size, Image.Resampling.LANCZOS))
            for picture in paint_other_things(PAINTED)
        ]
    numbers = {"distance from the usual features": [], "1 - confidence": []}
    for pixels in (unseen, np.stack(others)):
        probabilities, features = predict(run.model_with_features, pixels)
        distances = run.detector.measure_distances(features)
        confidences = probabilities.max(axis=1)
        numbers["distance from the usual features"].append(distances)
        numbers["1 - confidence"].append(1 - confidences)
        novel, unsure = distances > run.detector.threshold, confidences < run.threshold
        print(
            f"{len(pixels)} {'others' if pixels is not unseen else 'unseen'}: taken for none of "
            f"the classes {100 * novel.mean():.1f} %, not sure (that included) "
            f"{100 * (novel | unsure).mean():.1f} %"
        )
    truth = np.repeat([0, 1], [len(unseen), len(others)])
    for name, values in numbers.items():
        print(f"AUROC of {name}: {100 * roc_auc_score(truth, np.concatenate(values)):.1f} %")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--others", type=Path, metavar="FOLDER")
    return parser.parse_args()


if __name__ == "__main__":
    main()
