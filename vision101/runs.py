"""One folder per run: `results.json` is written last and marks the run complete."""

import argparse
import contextlib
import csv
import itertools
import json
import platform
import time
import zipfile
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import keras

from vision101.errors import UserError, shown_path
from vision101.evaluation.evaluate import Evaluation
from vision101.evaluation.out_of_distribution import (
    OutOfDistributionDetector,
    load_detector,
    save_detector,
)
from vision101.evaluation.scores import EVALUATED_SUBSETS, measure_seconds_per_photo
from vision101.files import write_atomically, write_json, write_table
from vision101.photos.index import Photo, list_classes
from vision101.photos.sources import PhotoSource
from vision101.photos.split import hash_split, write_split
from vision101.training.datasets import Examples
from vision101.training.models import expose_features
from vision101.training.schedule import find_best_epoch

CONFIG_NAME = "config.json"
MODEL_NAME = "best.keras"
DETECTOR_NAME = "novelty.npz"
PREDICTIONS_NAME = "predictions.csv"
RESULTS_NAME = "results.json"

# Those of predictions.csv that come before the probability of each class.
PREDICTION_COLUMNS = ("path", "sha256", "part", "label", "predicted", "confidence", "sure")

RECORDED_PACKAGES = ("tensorflow", "keras", "numpy", "pillow")


class Stopwatch:
    """Seconds spent in each stage of a run.

    Attributes:
        seconds: For each stage that has ended, in order, its seconds.
    """

    def __init__(self):
        self.seconds = {}
        self._last = time.monotonic()

    def end_stage(self, name: str) -> None:
        """Book the time since the last stage ended (or since the start) on `name`."""
        now = time.monotonic()
        self.seconds[name] = round(now - self._last, 2)
        self._last = now


def start_run(
    kind: str,
    recipe: str,
    arguments: argparse.Namespace,
    settings: dict,
    source: PhotoSource,
    split: dict[str, list[Photo]],
) -> Path:
    """Make a folder for a run, with all that it takes to repeat it: `split.csv`, `config.json`.

    Args:
        kind: `cnn` or `transfer`.
        recipe: What tells it from others of its kind.
        arguments: The flags of the script.
        settings: What it has no flags for; where it has, the flag counts.
        source: Where the photos came from.
        split: What `split_photos` returned.

    Returns:
        The new folder below `--output-dir`, `<time>-<kind>-<recipe>`, and `-<name>` if given.
    """
    run_folder = create_folder(arguments.output_dir, kind, recipe, arguments.name)
    (run_folder / "plots").mkdir()
    write_split(run_folder, split, source)
    photos = {
        "photos": source.folder,
        "painted": source.painted,
        "class_names": list_classes(split["train"]),
        "split_hash": hash_split(split),
    }
    versions = {package: version(package) for package in RECORDED_PACKAGES}
    versions |= {"python": platform.python_version(), "platform": platform.platform()}
    precision = {"dtype_policy": keras.config.dtype_policy().name}
    config = {"kind": kind} | settings | vars(arguments) | precision | photos
    config |= {"versions": versions}
    write_json(run_folder / CONFIG_NAME, config)
    return run_folder


def create_folder(output_folder: Path, *name_parts: str | None) -> Path:
    """Make and return a folder of its own, `<time>-<parts>`, below `output_folder`."""
    time_stamp = datetime.now().strftime("%Y-%m-%d-%H%M%S")
    name = "-".join([time_stamp, *filter(None, name_parts)])
    output_folder.mkdir(parents=True, exist_ok=True)
    folder = output_folder / name
    for attempt in itertools.count(2):
        try:
            folder.mkdir()
            break
        except FileExistsError:
            # Two runs may start in one second.
            folder = output_folder / f"{name}-{attempt}"
    return folder


def save_model(model: keras.Model, run_folder: Path) -> None:
    """Save the model as `best.keras`, whole or not at all."""
    with write_atomically(run_folder / MODEL_NAME) as temporary:
        model.save(temporary)


def summarize_run(
    evaluation: Evaluation,
    model: keras.Model,
    photos: Examples,
    history: dict[str, list[float]],
    seconds: dict[str, float],
    title: str,
    source: PhotoSource,
) -> dict:
    """Return all that `results.json` tells of a run, ready for JSON.

    Args:
        evaluation: What `evaluate_model` returned.
        model: The model that was saved.
        photos: Photos to time a prediction with.
        history: What `fit` returned of every epoch; the model is the best one's.
        seconds: For each stage of the run its seconds.
        title: What the run is called in what a person sees.
        source: Where the photos came from.
    """
    return evaluation.scores | {
        "gap": evaluation.gap,
        "confidence": evaluation.confidence,
        "novelty": evaluation.novelty,
        "title": title,
        "painted": source.painted,
        "parameters": model.count_params(),
        "best_epoch": find_best_epoch(history),
        "seconds": seconds,
        "seconds_per_photo": measure_seconds_per_photo(model, photos.inputs),
    }


def finish_run(
    run_folder: Path,
    results: dict,
    evaluation: Evaluation,
    split: dict[str, list[Photo]],
    source: PhotoSource,
) -> None:
    """Write `predictions.csv` and `novelty.npz`, and last of all `results.json`, and say where to
    look: from now on the run counts as complete.

    Args:
        run_folder: Folder of the run.
        results: What `summarize_run` returned.
        evaluation: What `evaluate_model` returned.
        split: What `split_photos` returned.
        source: Where the photos came from.
    """
    save_detector(run_folder / DETECTOR_NAME, evaluation.detector)
    _write_predictions(run_folder / PREDICTIONS_NAME, evaluation, split, source)
    write_json(run_folder / RESULTS_NAME, results)
    print(f"Pictures, model and scores are in {shown_path(run_folder)}")


def _write_predictions(
    path: Path,
    evaluation: Evaluation,
    split: dict[str, list[Photo]],
    source: PhotoSource,
) -> None:
    rows = []
    for part, probabilities in evaluation.probabilities.items():
        for photo, row, sure in zip(split[part], probabilities, evaluation.sure[part], strict=True):
            place = source.place(photo.path)
            answer = evaluation.class_names[row.argmax()]
            confidence, *numbers = [f"{probability:.6f}" for probability in (row.max(), *row)]
            told = (photo.sha256, part, photo.class_name, answer, confidence)
            rows.append((place, *told, "yes" if sure else "no", *numbers))
    write_table(path, (*PREDICTION_COLUMNS, *evaluation.class_names), rows)


def find_run(run: Path | None, output_folder: Path) -> Path:
    """Return the folder `run`, or if it is None the newest complete run below `output_folder`.

    Raises:
        UserError: There is no such run, or it is not complete.
    """
    if run is not None:
        if not (run / RESULTS_NAME).is_file():
            problem = (
                "has no results.json, so its training did not finish"
                if (run / CONFIG_NAME).is_file()
                else "not the folder of a run"
            )
            raise UserError(f"--run {run}: {problem}; give a complete one below outputs/")
        return run
    return list_runs(output_folder)[-1]


def list_runs(output_folder: Path) -> list[Path]:
    """Return the folders of all complete runs below `output_folder`, the newest last.

    Raises:
        UserError: There are none.
    """
    results = list(output_folder.glob(f"*/{RESULTS_NAME}"))
    if not results:
        raise UserError(
            f"no complete run in {shown_path(output_folder)} yet; train one first with: "
            "python train_cnn.py"
        )
    return [path.parent for path in sorted(results, key=lambda path: path.stat().st_mtime_ns)]


class FinishedRun(NamedTuple):
    """What to show of a run beside others.

    Attributes:
        title: What it is called.
        history: Values of `accuracy`, `loss`, `val_accuracy` and `val_loss` in every epoch.
        scores: For each judged part of the split what `score_predictions` returned.
    """

    title: str
    history: dict[str, list[float]]
    scores: dict[str, dict]


def find_run_on_split(
    output_folder: Path, kind: str, split: dict[str, list[Photo]]
) -> FinishedRun | None:
    """Return the newest complete run of a kind (`cnn` or `transfer`) on the same split, if any."""
    try:
        folders = list_runs(output_folder)
    except (UserError, OSError):  # none, or one that is being removed just now
        return None
    for folder in reversed(folders):
        # Folders that are none of ours, or damaged, must not stop a run that has just trained.
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            config = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
            if (config["kind"], config["split_hash"]) != (kind, hash_split(split)):
                continue
            results = json.loads((folder / RESULTS_NAME).read_text(encoding="utf-8"))
            with (folder / "log.csv").open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            history = {
                key: [float(row[key]) for row in rows]
                for key in ("accuracy", "loss", "val_accuracy", "val_loss")
            }
            scores = {part: results[part] for part in EVALUATED_SUBSETS}
            return FinishedRun(results["title"], history, scores)
    return None


class LoadedRun(NamedTuple):
    """A complete run, ready to predict with.

    Attributes:
        model: Its model.
        model_with_features: What `expose_features` makes of it.
        config: What `config.json` holds: flags, `class_names`, `painted` and more.
        threshold: Confidence from which an answer is given, 0-1.
        detector: Tells photos that are like none of the classes.
    """

    model: keras.Model
    model_with_features: keras.Model
    config: dict
    threshold: float
    detector: OutOfDistributionDetector


def load_run(run_folder: Path) -> LoadedRun:
    """Load a complete run.

    Raises:
        UserError: A file of the run is missing or damaged.
    """
    try:
        config = json.loads((run_folder / CONFIG_NAME).read_text(encoding="utf-8"))
        results = json.loads((run_folder / RESULTS_NAME).read_text(encoding="utf-8"))
        model = keras.saving.load_model(run_folder / MODEL_NAME, compile=False)
        return LoadedRun(
            model,
            expose_features(model),
            config,
            results["confidence"]["threshold"],
            load_detector(run_folder / DETECTOR_NAME),
        )
    # An empty file, as after a power failure, is an EOFError.
    except (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{shown_path(run_folder)}: cannot be loaded ({error}); choose another with --run, or "
            "train again"
        ) from error
