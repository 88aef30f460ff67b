"""Name what is in photos, with a model that a training script made.

    python predict.py photo.jpg                  the newest complete run in outputs/
    python predict.py --top 5 my_photos/         every photo in a folder
    python predict.py --json *.jpg               one JSON object a photo, one photo a line
    python predict.py - < photo.jpg              from standard input
    python predict.py --run outputs/<run> photo.jpg

Exits with 1 if a photo could not be read, and with 2 after wrong use.
"""

import argparse
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from vision101.command_line import (
    FAILURE_EXIT_CODE,
    OUTPUTS_FOLDER,
    ArgumentParser,
    UsageError,
    integer_from,
    run_script,
    shown_path,
)
from vision101.evaluation import predict_probabilities
from vision101.photos import UnreadablePhotoError, list_files, read_pixels
from vision101.runs import find_run, load_run

import numpy as np

TOP = 3  # classes to show: the answer, and what it might have been
BAR_WIDTH = 20  # characters of a probability of 100 %


def main() -> int:
    arguments = parse_arguments()
    files = list(find_files(arguments.photos))
    run_folder = find_run(arguments.run, OUTPUTS_FOLDER)
    model, config = load_run(run_folder)
    if not arguments.json:
        print(f"Model: {shown_path(run_folder)}")
        if config["painted"]:
            print("It was trained on painted sample photos; expect little of it on real ones.")

    unreadable = 0
    for name, file in files:
        try:
            pixels = read_pixels(file, config["image_size"])
        except UnreadablePhotoError as error:
            print(f"{name}: {error}", file=sys.stderr)
            unreadable += 1
            continue
        probabilities = predict_probabilities(model, pixels[np.newaxis])[0]
        ranking = probabilities.argsort()[::-1][: arguments.top]
        answers = [(config["class_names"][index], float(probabilities[index])) for index in ranking]
        if arguments.json:
            print_json(name, answers, config["painted"])
        else:
            print_answers(name, answers)
    return FAILURE_EXIT_CODE if unreadable else 0


def find_files(photos: list[str]) -> Iterator[tuple[str, Path | io.BytesIO]]:
    """Yield each photo's name and its file; a folder stands for all photos in it."""
    for photo in photos:
        if photo == "-":
            yield "standard input", io.BytesIO(sys.stdin.buffer.read())
        elif Path(photo).is_dir():
            paths = list_files(Path(photo))
            if not paths:
                raise UsageError(f"{photo}: an empty folder; name one with photos in it")
            for path in paths:
                yield str(path), path
        else:
            yield photo, Path(photo)


def print_answers(name: str, answers: list[tuple[str, float]]) -> None:
    print(f"\n{name}")
    width = max(len(class_name) for class_name, _ in answers)
    for class_name, probability in answers:
        bar = "█" * round(BAR_WIDTH * probability)
        print(f"  {class_name:{width}}  {100 * probability:5.1f} %  {bar}".rstrip())


def print_json(name: str, answers: list[tuple[str, float]], painted: bool) -> None:
    line = {
        "photo": name,
        "class": answers[0][0],
        "probability": round(answers[0][1], 6),
        "top": [
            {"class": class_name, "probability": round(probability, 6)}
            for class_name, probability in answers
        ],
        "trained_on_painted_sample": painted,
    }
    print(json.dumps(line, ensure_ascii=False))


def parse_arguments() -> argparse.Namespace:
    parser = ArgumentParser(__doc__)
    parser.add_argument("photos", nargs="+", metavar="PHOTO", help="files, folders, or -")
    parser.add_argument("--run", type=Path, metavar="FOLDER", help="default: the newest complete")
    parser.add_argument(
        "--top", type=integer_from(1), default=TOP, metavar="K", help=f"default: {TOP}"
    )
    parser.add_argument("--json", action="store_true", help="for programs to read")
    return parser.parse_args()


if __name__ == "__main__":
    run_script(main)
