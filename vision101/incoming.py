"""The photos to predict: those named, those in folders, and those that have yet to arrive."""

import contextlib
import io
import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vision101.errors import UserError
from vision101.photos.index import list_files
from vision101.photos.reading import UnreadablePhotoError, read_ahead, read_pixels

STANDARD_INPUT = "standard input"

# How often to look for new photos. A file that has not changed in between is complete.
WATCH_SECONDS = 1.0


def list_names(photos: list[str]) -> list[str]:
    """Return the name of each photo; a folder stands for all photos in it, `-` for standard input.
    Raises UserError where a folder is empty, or cannot be read.
    """
    names = []
    for photo in photos:
        found = list_files(Path(photo)) if Path(photo).is_dir() else [photo]
        if not found:
            raise UserError(f"{photo}: an empty folder; name one with photos in it")
        names += [STANDARD_INPUT if name == "-" else str(Path(name)) for name in found]
    return names


def read_photos(
    names: list[str], watched: Path | None, image_size: int, white: float = 0
) -> Iterator[tuple[str, np.ndarray | None, str]]:
    """Yield each photo's name, what `read_pixels` gives and "", or None and what is wrong with it.
    First come those named, in order, read ahead on all cores, on a terminal with a progress bar;
    then, without end, those that arrive in a watched folder.
    """

    def read(name: str) -> tuple[str, np.ndarray | None, str]:
        try:
            file = io.BytesIO(sys.stdin.buffer.read()) if name == STANDARD_INPUT else Path(name)
            return name, read_pixels(file, image_size, white), ""
        except UnreadablePhotoError as error:
            return name, None, str(error)

    description = "Predicting" if len(names) > 1 and sys.stderr.isatty() else None
    photos = read_ahead(read, names, description)
    arriving = map(read, map(str, watch_folder(watched))) if watched else ()
    return itertools.chain(photos, arriving)


def watch_folder(folder: Path, seconds: float = WATCH_SECONDS) -> Iterator[Path]:
    """Yield every file that appears in a folder or below it from now on, once, without end.

    A file that is still being written is waited for. One that is written anew is yielded anew.
    Raises UserError where the folder is gone, or cannot be read.
    """
    known = before = _sizes_and_times(folder)
    while True:
        time.sleep(seconds)
        now = _sizes_and_times(folder)
        complete = [path for path in now if now[path] == before.get(path) != known.get(path)]
        known = known | {path: now[path] for path in complete}
        before = now
        yield from complete


def _sizes_and_times(folder: Path) -> dict[Path, tuple[int, int]]:
    states = {}
    for path in list_files(folder):
        with contextlib.suppress(OSError):  # a link to nowhere, or removed just now
            states[path] = (status := path.stat()).st_size, status.st_mtime_ns
    return states
