"""A training run in the making: the names of its files, how it starts, goes on and finishes.

`results.json` marks a run as complete. It is written after everything that a prediction needs, and
before the pictures and the page, so that no trouble with those can cost a trained model.
"""

import argparse
import hashlib
import json
import os
import platform
import time
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

from vision101 import files, processes
from vision101.errors import UserError, shown_path
from vision101.photos.index import Photo, list_classes
from vision101.photos.reading import READING_VERSION
from vision101.photos.sources import PhotoSource
from vision101.photos.split import EVALUATED_SUBSETS, Split, hash_split, read_split, write_split

FORMAT = 1  # `format` in config.json; earlier versions did not record it

CONFIG_NAME = "config.json"
LOG_NAME = "log.csv"
MODEL_NAME = "best.keras"
DETECTOR_NAME = "out_of_distribution.npz"
PREDICTIONS_NAME = "predictions.csv"
RESULTS_NAME = "results.json"
PAGE_NAME = "report.html"
CHECKPOINTS = "checkpoint-*.npz"

# Those of predictions.csv that come before the probability of each class.
PREDICTION_COLUMNS = ("path", "sha256", "part", "label", "predicted", "confidence", "sure")

RECORDED_PACKAGES = ("tensorflow", "keras", "numpy", "pillow")


class Run:
    """A training run: made when the script starts, started before `fit`, finished at its end. One
    that was interrupted is made, started and finished again in its own folder.

    Attributes:
        kind: `cnn` or `transfer`.
        arguments: The flags of the script; `resume` as `resume_arguments` returned it.
        history: Of every epoch `accuracy`, `loss`, `val_accuracy` and `val_loss`, as lists.
        seconds: For each stage that has ended, in order, its seconds.
        stopped: In which epoch its training was told to stop, in words; "" if it was not.
        folder: From `start` on, like all that follows.
        config: What `config.json` holds.
        model_title: What a person reads as the name of its model.
        source, split: Its photos.
        class_names: In the order of the model's outputs.
    """

    unfinished: "Run | None" = None  # the one that is started and not finished, in this process

    def __init__(self, kind: str, arguments: argparse.Namespace):
        files.sweep_partial_files(arguments.output_dir)
        self.kind, self.arguments, self.stopped = kind, arguments, ""
        fresh = (None, {}, {}, {})
        self.folder, self.config, self.history, self.seconds = arguments.resume or fresh
        self._stage_start = time.monotonic()

    @property
    def title(self) -> str:
        """What a person reads as its name."""
        folds = vars(self.arguments).get("folds")
        names = (self.model_title, folds and f"{folds} folds", self.stopped)
        title = ", ".join(filter(None, names))
        return title + (" on painted sample photos" if self.source.painted else "")

    @property
    def epochs(self) -> int:
        """How many epochs were trained so far."""
        return len(self.history.get("loss", ()))

    @property
    def best_epoch(self) -> int:
        """The epoch that is kept, counted from 1: that of the best validation accuracy, the first
        of several; in cross-validation, which chooses none, the last.
        """
        if vars(self.arguments).get("folds"):
            return self.epochs
        return 1 + self.history["val_accuracy"].index(max(self.history["val_accuracy"]))

    def seconds_so_far(self, stage: str) -> dict[str, float]:
        """Return `seconds` with the time until now booked on a stage that has not ended."""
        now = self.seconds.get(stage, 0) + time.monotonic() - self._stage_start
        return self.seconds | {stage: round(now, 2)}

    def end_stage(self, name: str) -> None:
        """Book the time since the last stage ended on `name`."""
        self.seconds = self.seconds_so_far(name)
        self._stage_start = time.monotonic()

    def read_split(self, photos: list[Photo], source: PhotoSource) -> Split | None:
        """Return the split of a run that is resumed; None for a new run."""
        return read_split(self.folder, photos, source) if self.folder else None

    def start(
        self, recipe: str, title: str, settings: dict, source: PhotoSource, split: Split
    ) -> None:
        """Make the run's folder, with all that it takes to repeat it: `split.csv`, `config.json`.

        Args:
            recipe: What tells the run from others of its kind; a part of the folder's name.
            title: What a person reads as the name of its model.
            settings: What makes the recipe and has no flag; where it has, the flag counts.
            source, split: Its photos.
        """
        self.source, self.split, self.model_title = source, split, title
        self.class_names = list_classes(split["train"])
        flags = vars(self.arguments)
        white = max(photo.white for photos in split.values() for photo in photos)
        settings = settings | {"reading_version": READING_VERSION, "white": white}
        if self.folder:
            constants = {name: settings[name] for name in settings if name not in flags}
            constants = json.loads(json.dumps(constants))  # as they are once they are read back
            changed = [name for name in constants if self.config.get(name) != constants[name]]
            if changed:
                raise UserError(
                    f"--resume {shown_path(self.folder)}: the code has changed since that run "
                    f"started ({', '.join(changed)}); train again"
                )
            if flags.get("folds"):
                print("Cross-validation begins again, which takes seconds: the features are kept.")
            Run.unfinished = self
            return
        first = processes.rank == 0
        if first:
            self.folder = files.create_folder(flags["output_dir"], self.kind, recipe, flags["name"])
            (self.folder / "plots").mkdir()
        self.folder = Path(processes.gather(str(self.folder))[0])
        Run.unfinished = self
        if not first:
            return
        versions = {package: version(package) for package in RECORDED_PACKAGES}
        if os.environ.get("KERAS_BACKEND") == "jax":
            versions["jax"] = version("jax")
        versions |= {"python": platform.python_version(), "platform": platform.platform()}
        self.config = {"format": FORMAT, "kind": self.kind} | settings | flags
        self.config |= {
            "photos": source.data,
            "painted": source.painted,
            "class_names": self.class_names,
            "split_hash": hash_split(split),
            "versions": versions,
        }
        write_split(self.folder, split, source)
        files.write_json(self.folder / CONFIG_NAME, self.config)

    def hand_over(self) -> None:
        """With JAX, have TensorFlow do the rest, in place of this process, or of the first one: it
        resumes the run, and finds all epochs done.
        """
        processes.hand_over(self.folder)

    def finish(self, model, evaluation, results: dict) -> None:
        """Save all that a prediction needs, and then `results.json`, which holds `results` beside
        the run's own title and times: the run is complete.
        """
        with files.write_atomically(self.folder / MODEL_NAME) as temporary:
            model.save(temporary)
        evaluation.detector.save(self.folder / DETECTOR_NAME)
        self._write_predictions(evaluation)
        finished = datetime.now(timezone.utc).isoformat(timespec="seconds")
        checksum = hashlib.sha256((self.folder / MODEL_NAME).read_bytes()).hexdigest()
        known = {"title": self.title, "finished": finished, "seconds": self.seconds}
        known |= {"stopped": self.stopped} if self.stopped else {}
        files.write_json(self.folder / RESULTS_NAME, known | {"model_sha256": checksum} | results)

    def remove_checkpoints(self) -> None:
        """Remove what only an interrupted run needs, once pictures and page are there too; a run
        that was stopped may be resumed.
        """
        Run.unfinished = None
        if not self.stopped:
            for path in self.folder.glob(CHECKPOINTS):
                path.unlink()

    def _write_predictions(self, evaluation) -> None:
        rows = []
        for subset in EVALUATED_SUBSETS:
            told = (evaluation.probabilities[subset], evaluation.accepted[subset])
            for photo, probabilities, accepted in zip(self.split[subset], *told, strict=True):
                predicted = self.class_names[probabilities.argmax()]
                known = (self.source.place(photo.path), photo.sha256, subset, photo.class_name)
                numbers = [f"{value:.6f}" for value in (probabilities.max(), *probabilities)]
                sure = "yes" if accepted else "no"
                rows.append((*known, predicted, numbers[0], sure, *numbers[1:]))
        files.write_table(
            self.folder / PREDICTIONS_NAME, (*PREDICTION_COLUMNS, *self.class_names), rows
        )


def list_constants(*modules: ModuleType) -> dict[str, float | tuple | dict]:
    """Return the constants at the top of modules, in small letters. With them in `config.json`,
    runs of edited code are no longer taken for seeds of one recipe.
    """
    return {
        name.lower(): value
        for module in modules
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, (int, float, tuple, dict))
    }
