"""Atomic writes: a file or folder appears under its name only when it is complete."""

import contextlib
import csv
import itertools
import json
import os
import platform
import re
import shutil
import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from vision101.errors import DISK_FULL_ERRORS, UserError, shown_path

PROJECT_FOLDER = Path(__file__).resolve().parent.parent
DATA_FOLDER = PROJECT_FOLDER / "data"
OUTPUTS_FOLDER = PROJECT_FOLDER / "outputs"

# `.partial-<machine>-<process>-<name>`: what is being written, or was when a process died.
PARTIAL_PREFIX = f".partial-{zlib.crc32(platform.node().encode()):08x}-"

# How a cell begins that a spreadsheet would run as a formula (OWASP, "CSV Injection"), or that was
# such a cell before `write_table` put an apostrophe in front of it.
FORMULA = r"'*[=+\-@\t\r]"


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """Turn what the disk refuses inside the `with` into a `UserError` that says where and why."""
    try:
        yield
    except OSError as error:
        where = f" {shown_path(Path(str(error.filename)))}" if error.filename else ""
        text = f"cannot use{where} ({error.strerror or error}): check the path and its permissions"
        if error.errno in DISK_FULL_ERRORS:
            text = f"no room to write{where} ({error.strerror}): free some space on that disk"
        raise UserError(text) from error


@contextlib.contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Give a temporary path to write a file or folder to; it becomes `path` only at the end.

    The temporary name ends like `path`, since libraries choose their format by it. Whatever goes
    wrong inside the `with`, nothing is left behind. Parent folders are made. Raises UserError where
    the disk is full, or the path cannot be written to.
    """
    temporary = path.with_name(f"{PARTIAL_PREFIX}{os.getpid()}-{path.name}")
    try:
        with disk_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            _remove(temporary)  # left by a process of the same number that was killed
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


def write_table(
    path: Path, header: Sequence[str], rows: Iterable[Sequence], encoding: str = "utf-8"
) -> None:
    """Write a CSV file, as `write_atomically`; no cell is a formula to a spreadsheet. In what a
    person goes through, utf-8-sig has Excel show all letters.
    """
    with (
        write_atomically(path) as temporary,
        temporary.open("w", newline="", encoding=encoding, errors="surrogateescape") as file,
    ):
        csv.writer(file).writerows([_guard_cell(cell) for cell in row] for row in (header, *rows))


def read_table(path: Path, columns: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the named columns of what `write_table` wrote, row by row; of several columns of one
    name, the first. A damaged file raises ValueError, LookupError, OSError or csv.Error.
    """
    with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        headings, *rows = ([*map(restore_cell, row)] for row in csv.reader(file))
    places = [headings.index(name) for name in columns]
    return [tuple(row[place] for place in places) for row in rows]


def _guard_cell(cell: object) -> object:
    """Return a text with an apostrophe before it, if a spreadsheet would run it as a formula."""
    text = str(cell)
    with contextlib.suppress(ValueError):
        float(text)  # a number stays one, though it may have a sign
        return cell
    return f"'{text}" if re.match(FORMULA, text) else cell


def restore_cell(cell: str) -> str:
    """Return what a cell of a CSV file held before `write_table` made it harmless."""
    return cell[1:] if cell.startswith("'") and re.match(FORMULA, cell) else cell


def write_json(path: Path, content: dict) -> None:
    """Write a JSON file, as `write_atomically`; paths are written as text, functions by name."""
    text = json.dumps(
        content, indent=2, default=lambda value: getattr(value, "__name__", str(value))
    )
    with write_atomically(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def create_folder(output_folder: Path, *name_parts: str | None) -> Path:
    """Make and return a folder of its own, `<time>-<parts>`, below `output_folder`."""
    time_stamp = datetime.now().strftime("%Y-%m-%d-%H%M%S")
    name = "-".join([time_stamp, *filter(None, name_parts)])
    with disk_errors():
        output_folder.mkdir(parents=True, exist_ok=True)
        folder = output_folder / name
        for attempt in itertools.count(2):
            try:
                folder.mkdir()
                break
            except FileExistsError:  # two runs may start in one second
                folder = output_folder / f"{name}-{attempt}"
    return folder


def sweep_partial_files(folder: Path) -> None:
    """Remove what dead processes of this machine left half-written, up to two folders down."""
    patterns = (f"{above}{PARTIAL_PREFIX}*" for above in ("", "*/", "*/*/"))
    for path in itertools.chain.from_iterable(map(folder.glob, patterns)):
        process = path.name.removeprefix(PARTIAL_PREFIX).partition("-")[0]
        if process.isdigit() and not _is_running(int(process)):
            _remove(path)


def _is_running(process: int) -> bool:
    if os.name == "nt":  # where signal 0 would end it; leave the file alone
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
