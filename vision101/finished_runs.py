"""Runs that have finished: found, and read from their folders."""

import contextlib
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from vision101.errors import UserError, shown_path
from vision101.files import read_table
from vision101.photos.index import Photo
from vision101.photos.split import EVALUATED_SUBSETS, hash_split
from vision101.run_format import (
    CONFIG,
    RESULTS,
    check_fields,
    check_scores,
    read_json,
    refuse_damage,
)
from vision101.runs import CONFIG_NAME, LOG_NAME, RESULTS_NAME

# What earlier versions called files, and entries of config.json and results.json.
FORMER_DETECTOR_NAME = "novelty.npz"
FORMER_NAMES = {
    "blend": "mixup",
    "mirror": "average_flip",
    "novelty": "out_of_distribution",
    "judgement": "evaluation",
    "calibration_error": "expected_calibration_error",
    "uncalibrated_error": "uncalibrated_calibration_error",
    "calibration_noise": "perfect_calibration_error",
    "answered": "coverage",
    "answered_accuracy": "accepted_accuracy",
    "answered_accuracy_interval": "accepted_accuracy_interval",
}


class FinishedRun(NamedTuple):
    """A complete run as its folder tells of it.

    Attributes:
        folder: Where it lies.
        config: What `config.json` holds, under today's names.
        results: What `results.json` holds, likewise.
    """

    folder: Path
    config: dict
    results: dict

    @property
    def title(self) -> str:
        """What a person reads as its name."""
        return self.results["title"].encode(errors="replace").decode()  # which any font can show

    def read_history(self) -> dict[str, list[float]]:
        """Return `accuracy`, `loss`, `val_accuracy` and `val_loss` of every epoch. Raises UserError
        where `log.csv` is damaged.
        """
        names = ("accuracy", "loss", "val_accuracy", "val_loss")
        path = self.folder / LOG_NAME
        with refuse_damage(path):
            columns = zip(*read_table(path, names), strict=True)
            return {name: [*map(float, next(columns))] for name in names}


def read_run(folder: Path) -> FinishedRun:
    """Read a complete run. Raises UserError where it is no folder of a run, its training did not
    finish, or a file is damaged.
    """
    paths = folder / CONFIG_NAME, folder / RESULTS_NAME
    if not paths[1].is_file():
        started = "has no results.json, so its training did not finish"
        problem = started if paths[0].is_file() else "not the folder of a run"
        raise UserError(f"{shown_path(folder)}: {problem}; name a complete one, as below outputs/")
    config, results = (_rename(read_json(path)) for path in paths)
    for section in ("confidence", "seconds"):
        results[section] = _rename(results.get(section))
    check_fields(paths[0], config, CONFIG)
    check_fields(paths[1], results, RESULTS)
    for subset in EVALUATED_SUBSETS:
        check_scores(paths[1], subset, results[subset])
    config.pop("format", None)  # it is no part of the recipe
    return FinishedRun(folder, config, results)


def _rename(entries: object) -> object:
    if not isinstance(entries, dict):
        return entries
    return {FORMER_NAMES.get(name, name): value for name, value in entries.items()}


def find_run(run: Path | None, output_folder: Path) -> Path:
    """Return the folder `run`, or if it is None that of the newest complete run; UserError if there
    is none below `output_folder`.
    """
    return list_runs(output_folder)[-1] if run is None else run


def list_runs(output_folder: Path) -> list[Path]:
    """Return the folders of all complete runs below `output_folder`, the newest last.

    Raises:
        UserError: There are none.
    """
    folders = [path.parent for path in output_folder.glob(f"*/{RESULTS_NAME}")]
    if not folders:
        raise UserError(
            f"no complete run in {shown_path(output_folder)} yet; train one first with: "
            "python train_cnn.py"
        )
    return sorted(folders, key=_finishing_time)


def _finishing_time(folder: Path) -> float:
    """Return when a run finished, in seconds: by what it says itself, since copying changes the
    times of files; by those where it does not say.
    """
    path = folder / RESULTS_NAME
    with contextlib.suppress(UserError, LookupError, TypeError, ValueError, OverflowError):
        return datetime.fromisoformat(read_json(path)["finished"]).timestamp()
    with contextlib.suppress(OSError):  # one that is being removed just now
        return path.stat().st_mtime
    return 0.0


def find_run_on_split(
    output_folder: Path, kind: str, split: dict[str, list[Photo]]
) -> FinishedRun | None:
    """Return the newest complete run of a kind (`cnn` or `transfer`) on the same split, if any."""
    # Folders that are none of ours, or damaged, must not stop a run that has just trained.
    with contextlib.suppress(UserError, OSError):
        for folder in reversed(list_runs(output_folder)):
            with contextlib.suppress(UserError, OSError):
                run = read_run(folder)
                if (run.config["kind"], run.config["split_hash"]) == (kind, hash_split(split)):
                    run.read_history()  # it can be shown, then
                    return run
    return None
