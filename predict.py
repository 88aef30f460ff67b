"""Classify photos with a model that a training script made, and say where that is not sure.

    python predict.py photo.jpg                  with the newest complete run in outputs/
    python predict.py my_photos/                 every photo in a folder
    python predict.py @names.txt                 those that a file names, one a line
    python predict.py --csv table.csv my_photos/       writes a table, too
    python predict.py --review review.csv my_photos/   lists what a person should look at
    python predict.py --explain why.png photo.jpg      shows where the model looked
    python predict.py --watch incoming/          each new photo in a folder, until Ctrl-C
    python predict.py --json *.jpg               one line of JSON per photo
    python predict.py - < photo.jpg              from standard input

Exits with 1 if a photo could not be read, with 2 after wrong use, and with 3 under
--fail-if-unsure if the model is not sure of a photo.
"""

import argparse
import contextlib
import sys
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path

from threadpoolctl import threadpool_limits
from tqdm import tqdm

from vision101 import formats
from vision101.cli import (
    FAILURE_EXIT_CODE,
    ArgumentParser,
    add_output_argument,
    integer_from,
    run_script,
)
from vision101.errors import UserError, shown_path
from vision101.finished_runs import list_runs
from vision101.incoming import list_names, read_photos
from vision101.prediction import Classifier, Prediction, load_classifier, predict_photo
from vision101.terminal import count

TOP = 3  # classes to show: the predicted one, and what it might have been
UNSURE_EXIT_CODE = 3


def main() -> int:
    arguments = parse_arguments()
    for flag in ("explain", "review", "csv"):
        # It may be a photo, or a list with a person's work in it.
        if (path := vars(arguments)[flag]) and path.exists():
            raise UserError(f"--{flag} {path}: already exists; give another name, or remove it")
    names = list_names(arguments.photos)
    if "-" in arguments.photos and (arguments.review or arguments.csv):
        raise UserError("standard input has no path to list; name files or folders")
    if arguments.explain:
        if len(names) != 1:
            raise UserError(f"--explain: shows one photo, not {len(names)}; name just one")
        print("Loading TensorFlow", file=sys.stderr)
    run_folder = arguments.run or list_runs(arguments.output_dir)[-1]
    classifier = load_classifier(run_folder, with_keras=bool(arguments.explain))
    if not arguments.json:
        print(f"Model: {shown_path(run_folder)}")
        if classifier.run.config["painted"]:
            print("It was trained on painted sample photos; expect little of it on real ones.")

    counts, written = Counter(), {}
    predictions = predict_photos(arguments, classifier, names, counts)
    if arguments.review:  # sorted, so all are kept; else none is
        predictions = list(predictions)
        formats.write_review(arguments.review, predictions)
        written[arguments.review] = "least certain first"
    if arguments.csv:
        formats.write_predictions(arguments.csv, classifier.class_names, predictions)
        written[arguments.csv] = "with the probability of each class"
    deque(predictions, maxlen=0)

    if not arguments.json and (len(names) > 1 or arguments.watch):
        print(f"\n{formats.summarize(counts, classifier.class_names)}")
    for path, content in () if arguments.json else written.items():
        photos = count(counts.total() - counts[formats.UNREADABLE], "photo")
        print(f"Wrote {shown_path(path)}: {photos}, {content}")
    if counts[formats.UNREADABLE]:
        return FAILURE_EXIT_CODE
    return UNSURE_EXIT_CODE if arguments.fail_if_unsure and counts[formats.UNSURE] else 0


def predict_photos(
    arguments: argparse.Namespace, classifier: Classifier, names: list[str], counts: Counter
) -> Iterator[Prediction]:
    """Yield the prediction of each photo that can be read, in order; show all, and count them."""
    name_width = max(map(len, names), default=40)  # arriving ones are yet unknown
    ending = [KeyboardInterrupt] if arguments.watch else []
    # Threads of NumPy's that wait for work, in a loop, took half of all the time.
    with threadpool_limits(limits=1, user_api="blas"), contextlib.suppress(*ending):
        size, white = classifier.image_size, classifier.run.config.get("white") or 0
        for name, pixels, problem in read_photos(names, arguments.watch, size, white):
            if problem:
                counts[formats.UNREADABLE] += 1
                tqdm.write(f"{name}: {problem}", sys.stderr)
                continue
            prediction = predict_photo(classifier, name, pixels)
            counts[prediction.classes[0][0] if prediction.accepted else formats.UNSURE] += 1
            if arguments.json:
                painted = classifier.run.config["painted"]
                text = formats.as_json(prediction, arguments.top, painted)
            elif len(names) == 1:
                text = formats.as_bars(prediction, arguments.top)
            else:
                text = formats.as_line(prediction, name_width)
            tqdm.write(text)  # above the progress bar, if there is one
            sys.stdout.flush()
            if arguments.explain:
                print("Drawing where the model looked (Grad-CAM)", file=sys.stderr)
                from vision101.evaluation.plots import plot_grad_cam  # needs Matplotlib

                plot_grad_cam(arguments.explain, classifier, pixels, prediction)
            yield prediction


def parse_arguments() -> argparse.Namespace:
    parser = ArgumentParser(__doc__)
    parser.fromfile_prefix_chars = "@"
    parser.convert_arg_line_to_args = lambda line: [line] if line.strip() else []
    parser.add_argument("photos", nargs="*", metavar="PHOTO", help="files, folders, @lists, or -")
    parser.add_argument("--top", type=integer_from(1), default=TOP, help=f"default: {TOP} classes")
    for flag, value, purpose in (
        ("--run", "FOLDER", "default: the newest complete one"),
        ("--csv", "FILE.csv", "write a table of all predictions"),
        ("--review", "FILE.csv", "list the photos for a person to look at, least certain first"),
        ("--explain", "OUT.png", "show where the model looked in a photo"),
        ("--watch", "FOLDER", "predict each photo that arrives in a folder, until Ctrl-C"),
    ):
        parser.add_argument(flag, type=Path, metavar=value, help=purpose)
    scripting = parser.add_argument_group("for programs, and runs that lie elsewhere")
    scripting.add_argument("--json", action="store_true", help="one line of JSON per photo")
    scripting.add_argument("--fail-if-unsure", action="store_true", help="exit with 3 if one is")
    add_output_argument(scripting, "where the newest run is looked for")
    arguments = parser.parse_args()
    if not arguments.photos and not arguments.watch:
        parser.error("name photos, folders, or - for standard input")
    return arguments


if __name__ == "__main__":
    run_script(main)
