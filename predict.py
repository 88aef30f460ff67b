"""Classify photos with a model that a training script made, and say when it is not sure.

    python predict.py photo.jpg                  with the newest complete run in outputs/
    python predict.py --top 5 my_photos/         every photo in a folder
    python predict.py --explain why.png photo.jpg      shows where the model looked
    python predict.py --review review.csv my_photos/   lists what a person should look at
    python predict.py --json *.jpg               one line of JSON per photo
    python predict.py - < photo.jpg              from standard input
    python predict.py --run outputs/<run> photo.jpg

Exits with 1 if a photo could not be read, with 2 after wrong use, and with 3 under
--fail-if-unsure if a prediction is not sure.
"""

import argparse
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from vision101.cli import (
    FAILURE_EXIT_CODE,
    ArgumentParser,
    add_output_argument,
    integer_from,
    run_script,
)
from vision101.errors import UserError, shown_path
from vision101.finished_runs import find_run
from vision101.photos.index import list_files
from vision101.photos.reading import UnreadablePhotoError, read_pixels
from vision101.prediction import Prediction, load_classifier, predict_photo, write_review

TOP = 3  # classes to show: the predicted one, and what it might have been
UNSURE_EXIT_CODE = 3
BAR_WIDTH = 20  # characters, for a probability of 100 %


def main() -> int:
    arguments = parse_arguments()
    files = list(find_files(arguments))
    run_folder = find_run(arguments.run, arguments.output_dir)
    classifier = load_classifier(run_folder)
    painted = classifier.run.config["painted"]
    if not arguments.json:
        print(f"Model: {shown_path(run_folder)}")
        if painted:
            print("It was trained on painted sample photos; expect little of it on real ones.")

    predictions, unreadable = [], 0
    for name, file in files:
        try:
            pixels = read_pixels(file, classifier.image_size)
        except UnreadablePhotoError as error:
            print(f"{name}: {error}", file=sys.stderr)
            unreadable += 1
            continue
        prediction = predict_photo(classifier, name, pixels)
        predictions.append(prediction)
        if arguments.json:
            print_json(prediction, arguments.top, painted)
        else:
            print_prediction(prediction, arguments.top)
        if arguments.explain:
            from vision101.evaluation.plots import plot_grad_cam  # needs Matplotlib

            plot_grad_cam(arguments.explain, classifier, pixels, prediction)

    if arguments.review:
        write_review(arguments.review, predictions)
    if unreadable:
        return FAILURE_EXIT_CODE
    unsure = not all(prediction.accepted for prediction in predictions)
    return UNSURE_EXIT_CODE if arguments.fail_if_unsure and unsure else 0


def find_files(arguments: argparse.Namespace) -> Iterator[tuple[str, Path | io.BytesIO]]:
    """Yield each photo's name and its file; a folder stands for all photos in it."""
    for flag, path in (("--explain", arguments.explain), ("--review", arguments.review)):
        # It may be a photo, or a list with a person's work in it.
        if path and path.exists():
            raise UserError(f"{flag} {path}: already exists; give another name, or remove it")
    if arguments.review and "-" in arguments.photos:
        raise UserError("--review: standard input has no path to list; name files or folders")
    count = 0
    for photo in arguments.photos:
        if photo == "-":
            found = [("standard input", io.BytesIO(sys.stdin.buffer.read()))]
        elif Path(photo).is_dir():
            found = [(str(path), path) for path in list_files(Path(photo))]
            if not found:
                raise UserError(f"{photo}: an empty folder; name one with photos in it")
        else:
            found = [(photo, Path(photo))]
        count += len(found)
        yield from found
    if arguments.explain and count != 1:
        raise UserError(f"--explain: shows one photo, not {count}; name just one")


def print_prediction(prediction: Prediction, top: int) -> None:
    print(f"\n{prediction.name}")
    classes = prediction.classes[:top]
    width = max(len(class_name) for class_name, _ in classes)
    for class_name, probability in classes:
        bar = "█" * round(BAR_WIDTH * probability)
        print(f"  {class_name:{width}}  {100 * probability:5.1f} %  {bar}".rstrip())
    if prediction.out_of_distribution:
        print("  Not sure: unlike the training photos; perhaps none of the classes.")
    elif not prediction.accepted:
        print("  Not sure: not confident enough. Ask a person.")


def print_json(prediction: Prediction, top: int, painted: bool) -> None:
    classes = [
        {"class": class_name, "probability": round(probability, 6)}
        for class_name, probability in prediction.classes
    ]
    line = {
        "photo": prediction.name,
        **classes[0],
        "sure": prediction.accepted,
        "out_of_distribution": prediction.out_of_distribution,
        "top": classes[:top],
        "trained_on_painted_sample": painted,
    }
    print(json.dumps(line))  # in ASCII, which a terminal of any kind passes on unchanged


def parse_arguments() -> argparse.Namespace:
    parser = ArgumentParser(__doc__)
    parser.add_argument("photos", nargs="+", metavar="PHOTO", help="files, folders, or -")
    parser.add_argument(
        "--run", type=Path, metavar="FOLDER", help="default: the newest complete one"
    )
    parser.add_argument(
        "--top",
        type=integer_from(1),
        default=TOP,
        metavar="K",
        help=f"classes to show (default: {TOP})",
    )
    parser.add_argument(
        "--explain", type=Path, metavar="OUT.png", help="show where the model looked in a photo"
    )
    parser.add_argument(
        "--review",
        type=Path,
        metavar="FILE.csv",
        help="list the photos for a person to look at, least certain first",
    )
    scripting = parser.add_argument_group("for programs, and runs that lie elsewhere")
    scripting.add_argument("--json", action="store_true", help="one line of JSON per photo")
    scripting.add_argument(
        "--fail-if-unsure",
        action="store_true",
        help=f"exit with {UNSURE_EXIT_CODE} if a prediction is not sure",
    )
    add_output_argument(scripting, "where the newest run is looked for")
    return parser.parse_args()


if __name__ == "__main__":
    run_script(main)
