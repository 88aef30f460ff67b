"""The files of a collection with the class of each: by the folders they lie in, or by a list."""

import contextlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PureWindowsPath
from typing import NamedTuple

from vision101.errors import UserError, shown_path
from vision101.photos.layouts import clean_name, find_class_folders, find_subset
from vision101.photos.sources import PhotoSource
from vision101.photos.tables import list_spellings, read_list


class LabelledFile(NamedTuple):
    """A file that should be a photo, and what is said of it."""

    path: Path  # absolute
    class_name: str
    subset: str = ""  # `train`, `validation` or `unseen`, where the collection comes divided
    group: str = ""  # photos of one group belong together; "" for none


def label_files(
    source: PhotoSource, list_files: Callable[[Path], list[Path]]
) -> list[LabelledFile]:
    """Return the files of a collection: those below its class folders, which `list_files` finds, or
    those of its list. Raises UserError where one cannot be read, or names files that are not there.
    """
    if source.table:
        return _read_labels(source.table, source.folder)
    files = []
    for found in find_class_folders(source.folder):
        for path in list_files(found.path):
            # Some collections have a train/ and a test/ in each class folder.
            *below, _ = path.relative_to(found.path).parts
            subset = found.subset or next(filter(None, map(find_subset, below)), "")
            files.append(LabelledFile(path, found.class_name, subset))
    return files


def list_places(text: str, folders: Iterable[Path]) -> Iterator[Path]:
    """Yield what a path in a list may mean: from each folder, in each encoding, with / or \\."""
    for spelling in list_spellings(text):
        for folder in folders:
            yield Path(os.path.normpath(folder / PureWindowsPath(spelling).as_posix()))


def is_file(path: Path) -> bool:
    """Return whether there is such a file or link; what can be no path is none."""
    with contextlib.suppress(OSError, ValueError):
        return path.is_file() or path.is_symlink()
    return False


def name_lines(lines: list[str]) -> str:
    """Return the first few of the lines that are wrong, and how many more there are."""
    return "; ".join(lines[:3]) + (f", and {len(lines) - 3} more" if len(lines) > 3 else "")


def _read_labels(table: Path, folder: Path) -> list[LabelledFile]:
    """Return the files that a list names, from the folder in which it lies, or by name only."""
    flag = f"--data {shown_path(table)}"
    by_name, found, missing, unlabelled = {}, {}, [], 0
    for line, row in read_list(table, "--data", ("label",)):
        if not row["label"]:
            unlabelled += 1
            continue
        path = next(filter(is_file, list_places(row["path"], [folder])), None)
        if path is None:
            by_name = by_name or _find_by_name(folder)
            path = by_name.get(row["path"])
        if path is None or not row["path"]:
            missing.append(f"line {line}, {row['path'] or 'without a path'}")
            continue
        label = clean_name(row["label"])
        file = LabelledFile(path, label, find_subset(row["subset"]), row["group"])
        if (other := found.setdefault(path, file)).class_name != label:
            raise UserError(
                f"{flag}: line {line}: {row['path']} is {label!r} here and {other.class_name!r} "
                "above; correct one"
            )
    if missing:
        raise UserError(
            f"{flag}: no such file: {name_lines(missing)}; paths count from the list's folder"
        )
    if unlabelled:
        print(f"Left out: {unlabelled} lines of {shown_path(table)} without a label.")
    return list(found.values())


def _find_by_name(folder: Path) -> dict[str, Path]:
    """Return the files below a folder by name, with and without ending, where there is one of it:
    lists of competitions name photos so.
    """
    paths = defaultdict(list)
    for place, _, names in os.walk(folder):
        for path in (Path(place, name) for name in names):
            for name in {path.name, path.stem}:
                paths[name].append(path)
    return {name: found[0] for name, found in paths.items() if len(found) == 1}
