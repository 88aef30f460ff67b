"""Classify photos with a model that a training script made, and say when it is not sure.

    python predict.py photo.jpg                  the newest complete run in outputs/
    python predict.py --top 5 my_photos/         every photo in a folder
    python predict.py --explain why.png photo.jpg      shows where the model looked
    python predict.py --review review.csv my_photos/   what a person should look at
    python predict.py --json *.jpg               one line of JSON per photo
    python predict.py - < photo.jpg              from standard input
    python predict.py --run outputs/<run> photo.jpg

Exits with 1 if a photo could not be read, with 2 after wrong use, and with 3 under
--fail-if-unsure if an answer is not sure.
"""

import argparse
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from vision101.cli import FAILURE_EXIT_CODE, ArgumentParser, integer_from, run_script
from vision101.errors import UserError, shown_path
from vision101.evaluation.plots import plot_grad_cam
from vision101.files import OUTPUTS_FOLDER
from vision101.photos.index import list_files
from vision101.photos.reading import UnreadablePhotoError, read_pixels
from vision101.prediction import Prediction, predict_photo, write_review
from vision101.runs import find_run, load_run

TOP = 3  # classes to show: the answer, and what it might have been
UNSURE_EXIT_CODE = 3
BAR_WIDTH = 20  # characters, for a probability of 100 %


def main() -> int:
    arguments = parse_arguments()
    for flag, path in (("--explain", arguments.explain), ("--review", arguments.review)):
        # It may be a photo, or a list with a person's work in it.
        if path and path.exists():
            raise UserError(f"{flag} {path}: already exists; give another name, or remove it")
    if arguments.review and "-" in arguments.photos:
        raise UserError("--review: standard input has no path to list; name files or folders")
    files = list(find_files(arguments.photos))
    if arguments.explain and len(files) != 1:
        raise UserError(f"--explain: shows one photo, not {len(files)}; name just one")
    run_folder = find_run(arguments.run, OUTPUTS_FOLDER)
    run = load_run(run_folder)
    if not arguments.json:
        print(f"Model: {shown_path(run_folder)}")
        if run.config["painted"]:
            print("It was trained on painted sample photos; expect little of it on real ones.")

    answers, unreadable = [], 0
    for name, file in files:
        try:
            pixels = read_pixels(file, run.config["image_size"])
        except UnreadablePhotoError as error:
            print(f"{name}: {error}", file=sys.stderr)
            unreadable += 1
            continue
        answer = predict_photo(run, name, pixels)
        answers.append(answer)
        if arguments.json:
            print_json(answer, arguments.top, run.config["painted"])
        else:
            print_answer(answer, arguments.top)
        if arguments.explain:
            plot_grad_cam(arguments.explain, run, pixels, answer)

    if arguments.review:
        write_review(arguments.review, answers)
    if unreadable:
        return FAILURE_EXIT_CODE
    unsure = any(not answer.sure for answer in answers)
    return UNSURE_EXIT_CODE if arguments.fail_if_unsure and unsure else 0


def find_files(photos: list[str]) -> Iterator[tuple[str, Path | io.BytesIO]]:
    """Yield each photo's name and its file; a folder stands for all photos in it."""
    for photo in photos:
        if photo == "-":
            yield "standard input", io.BytesIO(sys.stdin.buffer.read())
        elif Path(photo).is_dir():
            paths = list_files(Path(photo))
            if not paths:
                raise UserError(f"{photo}: an empty folder; name one with photos in it")
            for path in paths:
                yield str(path), path
        else:
            yield photo, Path(photo)


def print_answer(answer: Prediction, top: int) -> None:
    print(f"\n{answer.name}")
    classes = answer.classes[:top]
    width = max(len(class_name) for class_name, _ in classes)
    for class_name, probability in classes:
        bar = "█" * round(BAR_WIDTH * probability)
        print(f"  {class_name:{width}}  {100 * probability:5.1f} %  {bar}".rstrip())
    if answer.novel:
        print("  Not sure: unlike all photos that it learnt from; perhaps none of the classes.")
    elif not answer.sure:
        print("  Not sure: not confident enough. Ask a person.")


def print_json(answer: Prediction, top: int, painted: bool) -> None:
    class_name, probability = answer.classes[0]
    line = {
        "photo": answer.name,
        "class": class_name,
        "probability": round(probability, 6),
        "sure": answer.sure,
        "novel": answer.novel,
        "top": [
            {"class": class_name, "probability": round(probability, 6)}
            for class_name, probability in answer.classes[:top]
        ],
        "trained_on_painted_sample": painted,
    }
    print(json.dumps(line))  # in ASCII, which a terminal of any kind passes on unchanged


def parse_arguments() -> argparse.Namespace:
    parser = ArgumentParser(__doc__)
    parser.add_argument("photos", nargs="+", metavar="PHOTO", help="files, folders, or -")
    parser.add_argument("--run", type=Path, metavar="FOLDER", help="default: the newest complete")
    parser.add_argument(
        "--top", type=integer_from(1), default=TOP, metavar="K", help=f"default: {TOP}"
    )
    parser.add_argument("--json", action="store_true", help="for programs to read")
    parser.add_argument(
        "--fail-if-unsure",
        action="store_true",
        help=f"exit with {UNSURE_EXIT_CODE} if the answer for a photo is not sure",
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
    return parser.parse_args()


if __name__ == "__main__":
    run_script(main)
