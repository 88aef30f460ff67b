"""Nothing is half-written: write under a temporary name beside the target, then rename."""

import contextlib
import csv
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path


@contextlib.contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path to write a file or folder to; it becomes `path` only at the end.

    The temporary name ends like `path`, since libraries choose their format by it. Whatever
    goes wrong inside the `with`, nothing is left behind. Parent folders are made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".partial-{os.getpid()}-{path.name}")
    _remove(temporary)  # what a process of the same number left when it was killed
    try:
        yield temporary
        try:
            temporary.replace(path)
        except OSError:
            # A folder cannot replace one that another process finished in the meantime: both
            # hold the same, so that one will do.
            if not (temporary.is_dir() and path.is_dir()):
                raise
    finally:
        _remove(temporary)


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence]) -> None:
    """Write a CSV file in UTF-8, whole or not at all."""
    with (
        write_whole(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
