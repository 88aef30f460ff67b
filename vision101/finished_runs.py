"""Runs that have finished: found, and read from their folders.

A run may come from a colleague or from an earlier version, or be damaged. What does not fit is
refused in one line that names file and field.
"""

import contextlib
import hashlib
import json
import re
import reprlib
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from vision101.errors import UserError, shown_path
from vision101.files import read_table
from vision101.photos.split import EVALUATED_SUBSETS, Split, hash_split
from vision101.runs import CONFIG_NAME, FORMAT, LOG_NAME, RESULTS_NAME

JSON_BYTES = 100_000_000  # scores of 1,000 classes take 40 MB, most of it confusion matrices

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

# What a value must be, in words, and the test of it; one that is missing is tested as None.
Rule = tuple[str, Callable[[object], bool]]


def _number(low: float, high: float, *types: type) -> Rule:
    types = types or (int, float)  # to isinstance, True would be a number too
    words = f"a {'' if float in types else 'whole '}number from {low:g} to {high:g}"
    return words, lambda value: type(value) in types and low <= value <= high


def _or_none(rule: Rule) -> Rule:
    words, test = rule
    return f"{words}, or null", lambda value: value is None or test(value)


def _are_names(value: object) -> bool:
    names = isinstance(value, list) and all(isinstance(name, str) and name for name in value)
    return names and 0 < len(value) == len(set(value))


TEXT = ("a text", lambda value: isinstance(value, str) and len(value) <= 4096)
HASH = ("64 hexadecimal digits", lambda value: bool(re.fullmatch("[0-9a-f]{64}", str(value))))
SHARE = _number(0, 1)
COUNT = _number(0, 10**12, int)
SECONDS = _number(0, 10**9)
CONFIG = {
    "format": (f"{FORMAT}; update this project", lambda value: value in (None, FORMAT)),
    "kind": ("cnn or transfer", lambda value: value in ("cnn", "transfer")),
    "class_names": ("a list of different names", _are_names),
    "image_size": _number(16, 512, int),  # as for --image-size
    "seed": _number(0, 2**32 - 1, int),
    "white": _or_none(_number(0, 1e39)),  # see `Photo.white`
    "photos": TEXT,
    "painted": ("true or false", lambda value: isinstance(value, bool)),
    "split_hash": HASH,
    "per_class": _or_none(COUNT),
    "target_accuracy": _or_none(SHARE),
    "versions": ("versions by name", lambda value: value is None or isinstance(value, dict)),
}
RESULTS = {
    "title": TEXT,
    "parameters": COUNT,
    "model_sha256": _or_none(HASH),
    "portable_sha256": _or_none(HASH),
    "seconds_per_photo": SECONDS,
    "seconds.training": SECONDS,
    "seconds.features": _or_none(SECONDS),
    "seconds.fine-tuning": _or_none(SECONDS),
    "confidence.threshold": _number(1e-6, 1),  # 0 would accept every prediction
    "confidence.expected_calibration_error": SHARE,
    "confidence.coverage": SHARE,
    "confidence.accepted_accuracy": _or_none(SHARE),
    "validation.count": COUNT,  # 0 in cross-validation
    "unseen.count": _number(1, 10**9, int),
    "surplus.count": COUNT,
}


def refuse(path: Path, problem: str) -> UserError:
    """Return the error for a file of a run that cannot be used."""
    return UserError(f"{shown_path(path)}: cannot be {problem}; choose another run, or train again")


@contextlib.contextmanager
def refuse_damage(path: Path, verb: str = "read") -> Iterator[None]:
    """Refuse a file that the `with` cannot read. On damaged ones, Keras, NumPy, zipfile and json
    raise errors of all kinds, MemoryError and RecursionError among them.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise refuse(path, f"{verb} ({reason})") from error


def read_json(path: Path) -> dict:
    """Read a JSON file of a run. Raises UserError where it is damaged, or too large."""
    with refuse_damage(path):
        if not path.is_file() or path.stat().st_size > JSON_BYTES:
            raise ValueError(f"missing, or more than {JSON_BYTES:,} bytes")
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it holds no fields")
        return content


def check_fields(path: Path, content: dict, rules: dict[str, Rule]) -> None:
    """Raise UserError where a field is missing, or not what its rule says."""
    for field, (words, is_valid) in rules.items():
        value = content
        for name in field.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if not is_valid(value):
            found = "missing" if value is None else reprlib.repr(value)
            raise refuse(path, f"read ({field} is {found}; it must be {words})")


def check_checksum(path: Path, sha256: str | None) -> None:
    """Raise UserError where a file is not the one saved; earlier versions did not record it."""
    with refuse_damage(path, "loaded"):
        if sha256 not in (None, hashlib.sha256(path.read_bytes()).hexdigest()):
            raise ValueError("changed or damaged since it was saved")


class FinishedRun(NamedTuple):
    """A complete run as its folder tells of it."""

    folder: Path
    config: dict  # what `config.json` holds, under today's names
    results: dict  # what `results.json` holds, likewise

    @property
    def title(self) -> str:
        """What a person reads as its name."""
        return self.results["title"].encode(errors="replace").decode()  # which any font can show

    def read_history(self) -> dict[str, list[float]]:
        """Return what a `Run` has for its `history`. Raises UserError for a damaged `log.csv`."""
        names = ("accuracy", "loss", "val_accuracy", "val_loss")
        path = self.folder / LOG_NAME
        with refuse_damage(path):
            columns = zip(*read_table(path, names), strict=True)
            return {name: [*map(float, next(columns))] for name in names}


def read_run(folder: Path) -> FinishedRun:
    """Read a complete run. Raises UserError where it is none, or a file is damaged."""
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
        _check_scores(paths[1], subset, results[subset])
    config.pop("format", None)  # it is no part of the recipe
    return FinishedRun(folder, config, results)


def _check_scores(path: Path, subset: str, scores: dict) -> None:
    """Raise UserError where the scores of a subset, if it has photos, lie outside intervals."""
    for name in ("accuracy", "balanced_accuracy") if scores["count"] else ():
        share, interval = scores.get(name), scores.get(f"{name}_interval")
        low, high = interval if isinstance(interval, list) and len(interval) == 2 else (2, -1)
        if not all(map(SHARE[1], (low, share, high))) or not low <= share <= high:
            raise refuse(path, f"read ({subset}.{name} is {reprlib.repr([share, interval])})")


def _rename(entries: object) -> object:
    if not isinstance(entries, dict):
        return entries
    return {FORMER_NAMES.get(name, name): value for name, value in entries.items()}


def list_runs(output_folder: Path) -> list[Path]:
    """Return the folders of all complete runs below `output_folder`, the newest last. Raises
    UserError where there are none.
    """
    folders = [path.parent for path in output_folder.glob(f"*/{RESULTS_NAME}")]
    if not folders:
        raise UserError(
            f"no complete run in {shown_path(output_folder)} yet; train one first with: "
            "python train_cnn.py"
        )
    # By name, which begins with the time when it started, those that do not say when they finished.
    return sorted(folders, key=lambda folder: (_finishing_time(folder), folder.name))


def _finishing_time(folder: Path) -> float:
    """Return when a run says that it finished, in seconds: copying changes the times of files."""
    with contextlib.suppress(UserError, LookupError, TypeError, ValueError, OverflowError):
        return datetime.fromisoformat(read_json(folder / RESULTS_NAME)["finished"]).timestamp()
    return 0.0


def find_run_on_split(output_folder: Path, kind: str, split: Split) -> FinishedRun | None:
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
