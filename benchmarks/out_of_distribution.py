"""How well a run tells photos that show none of its classes from its unseen ones.

    python benchmarks/out_of_distribution.py RUN                    beside painted other things
    python benchmarks/out_of_distribution.py RUN --others FOLDER    beside photos, such as those of
                                                                    a class that was held out

For both kinds it prints how many are taken for none of the classes, and of how many the run is not
sure; and then the AUROC of the distance from the usual features, and that of the confidence: how
often a photo of something else gets the larger distance, or the smaller confidence, than an unseen
photo of a class. 50 % is guessing, 100 % perfect.
"""

import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.metrics import roc_auc_score

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for the package

from benchmarks.other_things import paint_other_things
from vision101.cli import ArgumentParser, run_script
from vision101.photos.index import list_files
from vision101.photos.reading import read_pixels
from vision101.prediction import load_classifier

PAINTED = 200


def main() -> None:
    parser = ArgumentParser(__doc__)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--others", type=Path, metavar="FOLDER", help="default: painted pictures")
    arguments = parser.parse_args()
    classifier = load_classifier(arguments.run)
    from vision101.evaluation.evaluate import predict  # loads Keras, so not before run_script

    size = classifier.image_size
    folder = Path(classifier.run.config["photos"])
    with (arguments.run / "split.csv").open(newline="", encoding="utf-8") as file:
        unseen = [folder / row["path"] for row in csv.DictReader(file) if row["part"] == "unseen"]
    images = {"unseen": [read_pixels(path, size) for path in unseen]}
    if arguments.others:
        images["others"] = [read_pixels(path, size) for path in list_files(arguments.others)]
    else:
        images["others"] = [
            np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS))
            for picture in paint_other_things(PAINTED)
        ]

    distances, confidences = [], []
    for name, pixels in images.items():
        probabilities, features = predict(classifier.call, np.stack(pixels), name)
        distances.append(classifier.detector.measure_distances(features))
        confidences.append(probabilities.max(axis=1))
        unlike = distances[-1] > classifier.detector.threshold
        unsure = unlike | (confidences[-1] < classifier.threshold)
        print(
            f"{len(pixels)} {name}: taken for none of the classes {100 * unlike.mean():.1f} %, "
            f"not sure (that included) {100 * unsure.mean():.1f} %"
        )
    is_other = np.repeat([0, 1], [len(pixels) for pixels in images.values()])
    for name, values in (
        ("distance from the usual features", np.concatenate(distances)),
        ("1 - confidence", 1 - np.concatenate(confidences)),
    ):
        print(f"AUROC of {name}: {100 * roc_auc_score(is_other, values):.1f} %")


if __name__ == "__main__":
    run_script(main)
