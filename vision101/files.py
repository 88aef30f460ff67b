"""Atomic writes: a file or folder appears under its name only when it is complete."""

import contextlib
import csv
import itertools
import json
import os
import platform
import shutil
import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from vision101.errors import UserError, describe_disk_error

PROJECT_FOLDER = Path(__file__).resolve().parent.parent
DATA_FOLDER = PROJECT_FOLDER / "data"
OUTPUTS_FOLDER = PROJECT_FOLDER / "outputs"

# `.partial-<machine>-<process>-<name>`: what is being written, or was when a process died.
PARTIAL_PREFIX = f".partial-{zlib.crc32(platform.node().encode()):08x}-"


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """Turn what the disk refuses inside the `with` into a `UserError` that says where and why."""
    try:
        yield
    except OSError as error:
        raise UserError(describe_disk_error(error)) from error


@contextlib.contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Give a temporary path to write a file or folder to; it becomes `path` only at the end.

    The temporary name ends like `path`, since libraries choose their format by it. Whatever
    goes wrong inside the `with`, nothing is left behind. Parent folders are made.

    Raises:
        UserError: The disk is full, or the path cannot be written to.
    """
    path = Path(path)
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


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence]) -> None:
    """Write a CSV file in UTF-8, atomically.

    Raises:
        UserError: The disk is full, or the path cannot be written to.
    """
    with (
        write_atomically(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def write_json(path: Path, content: dict) -> None:
    """Write a JSON file, atomically; paths are written as text, functions by name.

    Raises:
        UserError: The disk is full, or the path cannot be written to.
    """
    with write_atomically(path) as temporary:
        text = json.dumps(
            content, indent=2, default=lambda value: getattr(value, "__name__", str(value))
        )
        temporary.write_text(text + "\n", encoding="utf-8")


def create_folder(output_folder: Path, *name_parts: str | None) -> Path:
    """Make and return a folder of its own, `<time>-<parts>`, below `output_folder`.

    Raises:
        UserError: It cannot be made there.
    """
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
    """Remove what processes of this machine that no longer run left half-written in a folder, or
    in one below it.
    """
    for path in [*folder.glob(f"{PARTIAL_PREFIX}*"), *folder.glob(f"*/{PARTIAL_PREFIX}*")]:
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
