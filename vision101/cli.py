"""The flags that scripts share, and how a script ends; only scripts import this."""

import argparse
import contextlib
import gc
import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from vision101 import processes
from vision101.environment import prepare_keras, prepare_streams
from vision101.errors import UserError, shown_path
from vision101.files import OUTPUTS_FOLDER
from vision101.finished_runs import read_run
from vision101.photos.duplicates import NEAR_DUPLICATE_BITS
from vision101.resume import resume_arguments
from vision101.runs import CONFIG_NAME, MODEL_NAME, Run

USAGE_EXIT_CODE = 2
FAILURE_EXIT_CODE = 1
INTERRUPTED_EXIT_CODE = 130  # as shells have it: 128 and the number of the signal
INTERRUPTION_SECONDS = 5  # that libraries have to come to an end

# Values of --precision, see `training.schedule.choose_precision`.
PRECISIONS = ("auto", "float32", "bfloat16", "float16")

# Networks of Keras Applications that `training.backbones` can build.
BACKBONES = ("ResNet50", "ResNet50V2", "MobileNet", "MobileNetV2", "EfficientNetV2B0")

# One wrong prediction in twenty, like a careful person in a hurry.
TARGET_ACCURACY = 0.95

HELP = {
    "--data": "tf_flowers (the default; downloaded once), sample (painted, needs no internet), a "
    "folder with one sub-folder per class, a .tgz, .tar or .zip of such a folder, the address of "
    "either in an object store (s3://, gs://), or a FILE.csv with columns path and label",
    "--seed": "decides the split, the first weights and all chance in training",
    "--epochs": "passes through all training photos",
    "--name": "is added to the name of the run's folder",
    "--exclude": "leave out the photos of these lists (columns path or sha256), such as "
    "label_issues.csv of explore.py after you have reviewed it",
    "--add": "also train on the photos of this list (columns path and label), such as one that "
    "predict.py --review wrote and you corrected",
    "--per-class": "photos of each class to train and validate on",
    "--use-split": "keep the subsets that the photos come in, such as train/ and test/",
    "--group-by": "keep photos in one subset whose paths match this alike, as those of one patient",
    "--near-duplicates": "keep photos in one subset whose hashes differ in at most so many bits; "
    "0: identical files only, as for a fixed camera",
    "--image-size": "side of the square that each photo is cut and resized to",
    "--batch-size": "photos in a training step",
    "--precision": "arithmetic of training",
    "--target-accuracy": "share of the accepted predictions that should be right: a higher one "
    "makes the model say 'not sure' more often",
    "--resume": "go on with an interrupted run, the folder RUN, as if nothing had happened; all "
    "other flags are those of that run",
    "--backbone": "a network listed above, the folder of a run, to go on from its network, or a "
    "saved model, FILE.keras, that takes raw photos",
    "--weights": "imagenet (downloaded once), none (random), or the .h5 file of Keras Applications "
    "for the network without its top",
    "--fine-tune": "then train the last N layers of the backbone too",
    "--folds": "for few photos: score every one by cross-validation, with K heads that are each "
    "trained without a fold of them, and save a model that is trained on all",
    "--skip-labels": "do not look for label issues",
    "--run": "use the network of this run, in place of a backbone",
}


def _checked(convert: Callable, is_valid: Callable[..., bool], words: str) -> Callable:
    """Return an argparse type for what can be converted and is valid then; `words` say so."""

    def parse(text: str):
        with contextlib.suppress(ValueError):
            if is_valid(value := convert(text)):
                return value
        raise argparse.ArgumentTypeError(f"must be {words}, not {text!r}")

    return parse


def integer_from(lowest: int, highest: int | None = None) -> Callable[[str], int]:
    """Return an argparse type for whole numbers from `lowest` to `highest` (both included)."""
    if highest is None:
        return _checked(int, lambda number: number >= lowest, f"a whole number from {lowest} on")
    bounds = f"a whole number from {lowest} to {highest}"
    return _checked(int, lambda number: lowest <= number <= highest, bounds)


image_size_pixels = integer_from(16, 512)

share = _checked(float, lambda number: 0 < number <= 1, "a number above 0 and at most 1")

# Keras would fill in what stands in braces.
output_folder = _checked(
    Path, lambda path: not {*"{}"} & {*str(path)}, "a path without braces, { and }"
)

folder_name_part = _checked(
    str,
    lambda text: text and all(character.isalnum() or character in "._-" for character in text),
    "letters, digits, '.', '_' and '-' only",
)


def _is_backbone(text: str) -> bool:
    path = Path(text)
    saved = path.suffix == ".keras" and path.is_file() or (path / MODEL_NAME).is_file()
    return text in BACKBONES or saved


backbone_name = _checked(
    str,
    _is_backbone,
    f"one of {', '.join(BACKBONES)}, or a saved model, a file that ends in .keras, or the folder "
    "of a finished run",
)


def regular_expression(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression ({error})") from error
    return text


class ArgumentParser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` whose errors are one line and whose help keeps its layout."""

    def __init__(self, description: str):
        super().__init__(
            description=description, formatter_class=argparse.RawDescriptionHelpFormatter
        )

    def error(self, message: str):
        self.exit(USAGE_EXIT_CODE, f"{self.prog}: {message} (see --help)\n")


def add_flag(parser: argparse._ActionsContainer, flag: str, shown: object = None, **options):
    """Add a flag of HELP, which shows its default, or what is `shown` in place of that."""
    shown = options.get("default") if shown is None else shown
    default = "" if shown is None else f" (default: {shown})"
    parser.add_argument(flag, help=(HELP[flag] + default).replace("%", "%%"), **options)


def parse_training_arguments(
    parser: argparse.ArgumentParser, kind: str, batch_size: int, recipes: dict[str, object]
) -> argparse.Namespace:
    """Add the flags that training scripts share, first those that a learner needs, and parse all.

    Args:
        parser: With the script's own flags; --recipe among them, where there are several.
        kind: `cnn` or `transfer`.
        batch_size: Default of --batch-size.
        recipes: For each recipe its defaults: image_size, epochs and learning_rate; a script
            without recipes calls its own "".
    """
    defaults = {
        name: ", ".join(f"{recipe} {getattr(of, name)}".strip() for recipe, of in recipes.items())
        for name in ("image_size", "epochs", "learning_rate")
    }
    add_data_flag(parser)
    add_flag(parser, "--seed", type=integer_from(0, 2**32 - 1), default=0)
    epochs = integer_from(1, 10_000)
    add_flag(parser, "--epochs", defaults["epochs"], type=epochs, metavar="N")
    add_flag(parser, "--name", type=folder_name_part)

    photos = parser.add_argument_group("photos")
    add_exclude_flag(photos)
    add_flag(photos, "--add", type=Path, metavar="FILE.csv")
    shown = "80 % of the smallest class"
    add_flag(photos, "--per-class", shown, type=integer_from(5), metavar="N")
    add_flag(photos, "--use-split", action="store_true")
    add_flag(photos, "--group-by", type=regular_expression, metavar="REGEX")
    most = NEAR_DUPLICATE_BITS
    shown = f"{most}, chosen on flowers"
    bits = integer_from(0, most)
    add_flag(photos, "--near-duplicates", shown, type=bits, default=most, metavar="BITS")

    training = parser.add_argument_group("training")
    shown = defaults["image_size"]
    add_flag(training, "--image-size", shown, type=image_size_pixels, metavar="PIXELS")
    size = integer_from(1, 1024)
    add_flag(training, "--batch-size", type=size, default=batch_size, metavar="N")
    shown = "auto, the fastest on this machine"
    add_flag(training, "--precision", shown, choices=PRECISIONS, default="auto")

    output = parser.add_argument_group("evaluation and output")
    target = TARGET_ACCURACY
    add_flag(output, "--target-accuracy", type=share, default=target, metavar="SHARE")
    add_output_argument(output, "where the run's folder is made")
    add_flag(output, "--resume", type=Path, metavar="RUN")
    arguments = parser.parse_args()
    if arguments.use_split and arguments.per_class:
        parser.error("--per-class: says how to split, and --use-split not to; leave one out")
    for flag in ("--fine-tune", "--use-split", "--per-class", "--add"):
        if vars(arguments).get("folds") and vars(arguments)[flag[2:].replace("-", "_")]:
            parser.error(
                f"--folds: trains a head on all photos, split in its own way; leave {flag} out"
            )
    if vars(arguments).get("folds") and os.environ.get("KERAS_BACKEND") == "jax":
        parser.error("--folds: takes seconds with TensorFlow; leave KERAS_BACKEND=jax out")
    recipe = recipes[vars(arguments).get("recipe", "")]
    # From single photos, the tuned CNN got 33 % in validation (100 % in training); from pairs, 100.
    if arguments.batch_size == 1 and getattr(recipe, "network", "") != "base_cnn":
        parser.error("--batch-size: batch normalization, which this network has, needs 2 or more")
    run = Path(vars(arguments).get("backbone", ""))
    if arguments.image_size is None and (run / CONFIG_NAME).is_file():
        arguments.image_size = read_run(run).config["image_size"]  # what its network learned from
    for name in defaults:
        if getattr(arguments, name, None) is None:
            setattr(arguments, name, getattr(recipe, name))
    return resume_arguments(parser, arguments, kind) if arguments.resume else arguments


def add_explore_arguments(
    parser: argparse.ArgumentParser, image_size: int, backbone: str, weights: str
) -> None:
    """Add the flags of explore.py, with the script's defaults."""
    add_data_flag(parser)
    add_flag(parser, "--name", type=folder_name_part)
    add_flag(parser, "--skip-labels", action="store_true")
    labels = parser.add_argument_group("network for label issues")
    add_backbone_flags(labels, backbone, weights)
    add_flag(labels, "--run", "none", type=Path, metavar="FOLDER")
    others = parser.add_argument_group("photos and output")
    add_exclude_flag(others)
    pixels = image_size_pixels
    add_flag(others, "--image-size", type=pixels, default=image_size, metavar="PIXELS")
    add_output_argument(others, "where the pictures and lists are written")


def build_transfer_parser(description: str, backbone: str, weights: str) -> ArgumentParser:
    """Return a parser of the flags that only transfer learning has, with the script's defaults."""
    parser = ArgumentParser(description)
    transfer = parser.add_argument_group("transfer learning")
    add_backbone_flags(transfer, backbone, weights)
    add_flag(transfer, "--fine-tune", "none", type=integer_from(1), metavar="N")
    add_flag(transfer, "--folds", "none", type=integer_from(2, 20), metavar="K")
    return parser


def add_data_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", default="tf_flowers", metavar="PHOTOS", help=HELP["--data"])


def add_exclude_flag(parser: argparse._ActionsContainer) -> None:
    add_flag(parser, "--exclude", type=Path, nargs="+", action="extend", metavar="FILE.csv")


def add_backbone_flags(parser: argparse._ActionsContainer, backbone: str, weights: str) -> None:
    add_flag(parser, "--backbone", type=backbone_name, default=backbone, metavar="NAME")
    add_flag(parser, "--weights", default=weights, metavar="WEIGHTS")


def add_output_argument(parser: argparse._ActionsContainer, purpose: str) -> None:
    parser.add_argument(
        "--output-dir",
        type=output_folder,
        default=str(OUTPUTS_FOLDER),
        metavar="FOLDER",
        help=f"{purpose} (default: outputs/ beside the scripts)",
    )


def run_script(main: Callable[[], int | None], may_use_jax: bool = False) -> None:
    """Run a script's `main` and exit with its code; what a user can cause ends with one line.

    A `UserError` exits with 2; Ctrl-C or SIGTERM with 130, as shells expect. Anything else is a
    bug and keeps its traceback. With `may_use_jax`, it may be one of several processes.
    """
    with processes.leave_at_once():
        _run_script(main, may_use_jax)


def _run_script(main: Callable[[], int | None], may_use_jax: bool) -> None:
    program = Path(sys.argv[0]).name
    prepare_streams()
    interrupted = threading.Event()

    def interrupt(number, frame):
        # Libraries may swallow the exception or wrap it in another one. Whatever they do, the
        # script ends soon; files are written atomically, so nothing is damaged.
        if interrupted.is_set():
            os._exit(INTERRUPTED_EXIT_CODE)
        interrupted.set()
        last_resort = threading.Timer(INTERRUPTION_SECONDS, os._exit, (INTERRUPTED_EXIT_CODE,))
        last_resort.daemon = True
        last_resort.start()
        raise KeyboardInterrupt

    with contextlib.suppress(ValueError):  # in a notebook's thread, which gets no signals
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, interrupt)
    code, on, lost = USAGE_EXIT_CODE, "then go on with", ""
    sys.unraisablehook = _report_unraisable
    try:
        prepare_keras(may_use_jax)
        processes.join()
        code = main()
        if not interrupted.is_set():
            sys.exit(code)
    except UserError as error:
        message = str(error)
    except BrokenPipeError:
        # Whoever read our output, such as `head`, has seen enough. Python would complain once
        # more when it flushes at exit, so give it somewhere to flush to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILURE_EXIT_CODE)
    except (KeyboardInterrupt, Exception) as error:
        message = lost = processes.describe_loss(error)
        code = FAILURE_EXIT_CODE
        if not (lost or interrupted.is_set()):
            raise
    if interrupted.is_set():
        message, code, lost = "stopped", INTERRUPTED_EXIT_CODE, ""
        on = f"go on with: python {program}"
        # A dataset that is freed only once Python has ended waits for its thread, which waits for
        # Python: two of four interrupted trainings of a head hung for good.
        gc.collect()
    if Run.unfinished:
        message += f"; {on} --resume {shown_path(Run.unfinished.folder)}"
    # Libraries explain themselves in several lines; ours is one, below the terminal's ^C.
    after = "\n" if interrupted.is_set() and sys.stderr.isatty() else ""
    line = f"{after}{program}: {' '.join(message.split())}"
    if lost:
        processes.say_through_witness(line)
    else:
        print(line, file=sys.stderr)
    sys.exit(code)


def _report_unraisable(failure) -> None:
    # Python 3.10's zipfile tries once more to write what a full disk has refused, and complains.
    if not isinstance(failure.exc_value, OSError):
        sys.__unraisablehook__(failure)
