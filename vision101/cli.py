"""Flags that several scripts have, and errors that a user can act on."""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from vision101.errors import UserError
from vision101.files import OUTPUTS_FOLDER

USAGE_EXIT_CODE = 2
FAILURE_EXIT_CODE = 1

# Values of --precision, see `training.choose_precision`.
PRECISIONS = ("auto", "float32", "bfloat16", "float16")

# One wrong answer in twenty, as with a careful person in a hurry.
TARGET_ACCURACY = 0.95


class ArgumentParser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` whose errors are one line and whose help keeps its layout."""

    def __init__(self, description: str):
        super().__init__(
            description=description, formatter_class=argparse.RawDescriptionHelpFormatter
        )

    def error(self, message: str):
        self.exit(USAGE_EXIT_CODE, f"{self.prog}: {message} (see --help)\n")


def add_photo_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--data` and `--exclude`, which decide the photos."""
    parser.add_argument(
        "--data",
        default="tf_flowers",
        metavar="PHOTOS",
        help="tf_flowers (the default; downloaded once), sample (painted, needs no internet), "
        "a folder with one sub-folder per class, or a .tgz, .tar or .zip of such a folder",
    )
    parser.add_argument(
        "--exclude",
        type=Path,
        nargs="+",
        action="extend",
        metavar="FILE.csv",
        help="leave out the photos that these lists name in their column path or sha256, such as "
        "a reviewed label_issues.csv of explore.py",
    )


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of photos, and `--per-class` and `--seed`: together they decide the split."""
    add_photo_arguments(parser)
    parser.add_argument(
        "--per-class",
        type=integer_from(5),
        metavar="N",
        help="photos of each class to train and validate on (default: 80 %% of the smallest class)",
    )
    parser.add_argument(
        "--seed",
        type=integer_from(0, 2**32 - 1),
        default=0,
        help="decides the split, the first weights and all chance in training (default: 0)",
    )


def add_training_arguments(parser: argparse.ArgumentParser, batch_size: int) -> None:
    """Add the flags of a training script: those of its photos, of `fit` and of its output.

    The script sets the defaults of `--image-size`, `--epochs` and `--learning-rate`.
    """
    add_data_arguments(parser)
    parser.add_argument(
        "--add",
        type=Path,
        metavar="FILE.csv",
        help="train on the photos of this list too, in its columns path and label, such as a "
        "reviewed list of predict.py --review",
    )
    parser.add_argument(
        "--image-size",
        type=integer_from(16, 512),
        metavar="PIXELS",
        help="side of the square that each photo is cut and resized to; its default stands at "
        "the top of the script, like those of --epochs and --learning-rate",
    )
    parser.add_argument(
        "--batch-size",
        type=integer_from(1, 1024),
        default=batch_size,
        metavar="N",
        help=f"photos in a step of training (default: {batch_size})",
    )
    parser.add_argument(
        "--epochs",
        type=integer_from(1, 10_000),
        metavar="N",
        help="times that training goes through all photos (of the head, where there is one)",
    )
    parser.add_argument(
        "--learning-rate",
        type=number_between(0, 1),
        metavar="RATE",
        help="size of the steps of training, at its peak",
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="auto",
        help="arithmetic of training (default: auto, the fastest on this machine)",
    )
    parser.add_argument(
        "--target-accuracy",
        type=number_between(0, 1),
        default=TARGET_ACCURACY,
        metavar="SHARE",
        help="share of the answers that should be right; where the model is too unsure for that, "
        f"it says so (default: {TARGET_ACCURACY})",
    )
    add_output_arguments(parser)


def add_transfer_arguments(
    parser: argparse.ArgumentParser, backbone: str, weights: str, views: int, batch_size: int
) -> None:
    """Add the flags of transfer learning, with the script's defaults, and those of training."""
    add_backbone_arguments(parser, backbone, weights)
    parser.add_argument(
        "--views",
        type=integer_from(1, 1000),
        default=views,
        metavar="K",
        help="views of each training photo: the plain one, and K - 1 that are varied "
        f"(default: {views})",
    )
    parser.add_argument(
        "--no-feature-cache",
        dest="feature_cache",
        action="store_false",
        help="go through the backbone in every epoch: the plain way, and slow",
    )
    parser.add_argument(
        "--fine-tune",
        type=integer_from(1),
        metavar="N",
        help="then train the last N layers of the backbone too",
    )
    add_training_arguments(parser, batch_size)


def add_explore_arguments(
    parser: argparse.ArgumentParser, image_size: int, backbone: str, weights: str
) -> None:
    """Add the flags of explore.py, with the script's defaults."""
    add_photo_arguments(parser)
    parser.add_argument(
        "--image-size",
        type=integer_from(16, 512),
        default=image_size,
        metavar="PIXELS",
        help=f"side of the square that training makes of each photo (default: {image_size})",
    )
    add_backbone_arguments(parser, backbone, weights)
    parser.add_argument(
        "--run",
        type=Path,
        metavar="FOLDER",
        help="doubt labels with the network of this run, in place of a backbone",
    )
    parser.add_argument("--skip-labels", action="store_true", help="do not look for wrong labels")
    add_output_arguments(parser)


def add_backbone_arguments(parser: argparse.ArgumentParser, backbone: str, weights: str) -> None:
    """Add `--backbone` and `--weights`, with the script's defaults."""
    parser.add_argument(
        "--backbone",
        default=backbone,
        metavar="NAME",
        help="a network of Keras Applications (see vision101/backbones.py), or a saved model, "
        f"FILE.keras, from raw photos to features (default: {backbone})",
    )
    parser.add_argument(
        "--weights",
        default=weights,
        metavar="WEIGHTS",
        help="imagenet (downloaded once), none (random), or the .h5 file of Keras Applications "
        f"for the network without its top (default: {weights})",
    )


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--name` and `--output-dir`, which together decide the run's folder."""
    parser.add_argument(
        "--name", type=folder_name_part, help="is added to the name of the run's folder"
    )
    parser.add_argument(
        "--output-dir",
        type=output_folder,
        default=str(OUTPUTS_FOLDER),
        metavar="FOLDER",
        help="where the run's folder is made (default: outputs/ beside the scripts)",
    )


def output_folder(text: str) -> Path:
    """Argparse type for `--output-dir`: Keras would fill in what stands in braces."""
    if set("{}") & set(text):
        raise argparse.ArgumentTypeError(f"must not have braces in its path, not {text!r}")
    return Path(text)


def integer_from(lowest: int, highest: int | None = None) -> Callable[[str], int]:
    """Return an argparse type for whole numbers from `lowest` to `highest` (both included)."""
    bounds = f"at least {lowest}" if highest is None else f"from {lowest} to {highest}"

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = None
        if number is None or number < lowest or (highest is not None and number > highest):
            raise argparse.ArgumentTypeError(f"must be a whole number {bounds}, not {text!r}")
        return number

    return parse


def number_between(lowest: float, highest: float) -> Callable[[str], float]:
    """Return an argparse type for numbers above `lowest` and up to `highest`."""

    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = None
        if number is None or not lowest < number <= highest:
            raise argparse.ArgumentTypeError(
                f"must be a number above {lowest:g} and at most {highest:g}, not {text!r}"
            )
        return number

    return parse


def folder_name_part(text: str) -> str:
    """Argparse type for `--name`: letters, digits, dots, dashes and underscores."""
    if not text or not all(character.isalnum() or character in "._-" for character in text):
        raise argparse.ArgumentTypeError(
            f"may have letters, digits, '.', '_' and '-' only, not {text!r}"
        )
    return text


def run_script(main: Callable[[], int | None]) -> None:
    """Run a script's `main` and exit with its code; what a user can cause ends with one line.

    A `UserError`, and a file or disk that cannot be used, exit with 2; Ctrl-C with 130, as
    shells expect. Anything else is a fault of ours and keeps its traceback.
    """
    program = Path(sys.argv[0]).name
    _prepare_keras()
    for stream in (sys.stdout, sys.stderr):
        # Names of files may have characters that the terminal, or a file, does not.
        stream.reconfigure(errors="backslashreplace")
    # A run that is told to end tidies up, as with Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except UserError as error:
        message = str(error)
    except BrokenPipeError:
        # Whoever read our output, such as `head`, has seen enough. Python would complain once
        # more when it flushes at exit, so give it somewhere to flush to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILURE_EXIT_CODE)
    except KeyboardInterrupt:
        print(f"\n{program}: stopped. A run without results.json is ignored.", file=sys.stderr)
        sys.exit(130)
    # Libraries explain themselves in several lines; ours is one.
    print(f"{program}: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(USAGE_EXIT_CODE)


def _prepare_keras() -> None:
    # A backend that ~/.keras/keras.json or the environment names for other projects would not do.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    # Its lines about CPU instructions and absent GPUs would bury the one that tells what is wrong.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
