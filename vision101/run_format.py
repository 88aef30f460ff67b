"""The format of a run folder, and the checks of what is read back from one.

A run may come from a colleague or from an earlier version, or be damaged. What does not fit is
refused in one line that names file and field.
"""

import contextlib
import hashlib
import json
import re
import reprlib
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vision101.errors import UserError, shown_path

FORMAT = 1  # `format` in config.json; earlier versions did not record it

JSON_BYTES = 100_000_000  # scores of 1,000 classes take 40 MB, most of it confusion matrices


class Rule(NamedTuple):
    """What a value must be, in words, and the test of it; one that is missing is tested as None."""

    words: str
    test: Callable[[object], bool]


def _number(low: float, high: float, *types: type) -> Rule:
    types = types or (int, float)  # to isinstance, True would be a number too
    words = f"a {'' if float in types else 'whole '}number from {low:g} to {high:g}"
    return Rule(words, lambda value: type(value) in types and low <= value <= high)


def _or_none(rule: Rule) -> Rule:
    return Rule(f"{rule.words}, or null", lambda value: value is None or rule.test(value))


def _are_names(value: object) -> bool:
    names = isinstance(value, list) and all(isinstance(name, str) and name for name in value)
    return names and 0 < len(value) == len(set(value))


TEXT = Rule("a text", lambda value: isinstance(value, str) and len(value) <= 4096)
SHARE = _number(0, 1)
COUNT = _number(0, 10**12, int)
SECONDS = _number(0, 10**9)
HASH = Rule(
    "64 hexadecimal digits",
    lambda value: isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None,
)
CONFIG = {
    "format": Rule(f"{FORMAT}; update this project", lambda value: value in (None, FORMAT)),
    "kind": Rule("cnn or transfer", lambda value: value in ("cnn", "transfer")),
    "class_names": Rule("a list of different names", _are_names),
    "image_size": _number(16, 512, int),  # as for --image-size
    "seed": _number(0, 2**32 - 1, int),
    "photos": TEXT,
    "painted": Rule("true or false", lambda value: isinstance(value, bool)),
    "split_hash": HASH,
    "per_class": _or_none(COUNT),
    "target_accuracy": _or_none(SHARE),
    "versions": Rule("versions by name", lambda value: value is None or isinstance(value, dict)),
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
    "validation.count": _number(1, 10**9, int),
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


def check_fields(path: Path, content: dict, rules: Mapping[str, Rule]) -> None:
    """Raise UserError where a field is missing, or not what its rule says."""
    for field, rule in rules.items():
        value = content
        for name in field.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if not rule.test(value):
            found = "missing" if value is None else reprlib.repr(value)
            raise refuse(path, f"read ({field} is {found}; it must be {rule.words})")


def check_checksum(path: Path, sha256: str | None) -> None:
    """Raise UserError where a file is not the one saved; earlier versions did not record it."""
    with refuse_damage(path, "loaded"):
        if sha256 not in (None, hashlib.sha256(path.read_bytes()).hexdigest()):
            raise ValueError("changed or damaged since it was saved")


def check_scores(path: Path, subset: str, scores: dict) -> None:
    """Raise UserError where the scores of a subset, if it has photos, lie outside intervals."""
    for name in ("accuracy", "balanced_accuracy") if scores["count"] else ():
        share, interval = scores.get(name), scores.get(f"{name}_interval")
        low, high = interval if isinstance(interval, list) and len(interval) == 2 else (2, -1)
        if not all(map(SHARE.test, (low, share, high))) or not low <= share <= high:
            raise refuse(path, f"read ({subset}.{name} is {reprlib.repr([share, interval])})")


def check_detector(path: Path, class_count: int, channels: int) -> None:
    """Raise UserError where the arrays of a detector do not fit the model. Nothing is loaded yet: a
    damaged array may claim to take 400 GB.
    """
    shapes = {"means": (class_count, channels), "precision": (channels,) * 2, "threshold": ()}
    with refuse_damage(path), zipfile.ZipFile(path) as archive:
        for name, expected in shapes.items():
            with archive.open(f"{name}.npy") as file:
                np.lib.format.read_magic(file)
                shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            if shape != expected or dtype.kind != "f":
                raise ValueError(f"{name} is {dtype} {shape}; its model needs floats {expected}")
