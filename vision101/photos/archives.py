"""Unpacks archives of photos, and refuses those that would write outside their folder."""

import gzip
import hashlib
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from tqdm import tqdm

from vision101.errors import UserError
from vision101.files import write_atomically

ARCHIVE_SUFFIXES = (".tgz", ".tar.gz", ".tar", ".zip")

# What the libraries raise on archives that are damaged, or cannot be unpacked on any machine.
ARCHIVE_ERRORS = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    FileExistsError,  # one name for a file and for a folder
    NotADirectoryError,
    IsADirectoryError,
    RuntimeError,  # of zipfile, where a password is needed
)


def unpack_archive(archive: Path, unpacked_folder: Path) -> Path:
    """Unpack an archive once, into a folder named after its content, and return that folder.

    Raises:
        UserError: It is no archive, or is damaged, locked, or holds links or paths that lead out.
    """
    if not archive.name.lower().endswith(ARCHIVE_SUFFIXES):
        raise UserError(f"--data {archive}: not a folder, nor one of {', '.join(ARCHIVE_SUFFIXES)}")
    digest = hashlib.sha256()
    with archive.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    folder = unpacked_folder / f"{archive.name.split('.')[0]}-{digest.hexdigest()[:12]}"
    if folder.is_dir():
        return folder
    with write_atomically(folder) as temporary:
        temporary.mkdir()
        try:
            files = tqdm(_open_files(archive), desc=f"Unpacking {archive.name}", unit=" files")
            for name, content in files:
                target = temporary / _check_name(archive, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                with content, target.open("wb") as file:
                    shutil.copyfileobj(content, file)
        except ARCHIVE_ERRORS as error:
            raise UserError(
                f"--data {archive}: damaged or locked archive ({error}); fetch or pack it again"
            ) from error
    return folder


def _check_name(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if not path.parts or path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise UserError(
            f"--data {archive}: holds {name!r}, a path outside the archive; pack it again without"
        )
    return path


def _open_files(archive: Path) -> Iterator[tuple[str, BinaryIO]]:
    """Yield the name and the opened content of each file in an archive."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as file:
            for member in file.infolist():
                if stat.S_ISLNK(member.external_attr >> 16):
                    _refuse_link(archive, member.filename)
                if not member.is_dir():
                    yield member.filename, file.open(member)
    else:
        with tarfile.open(archive) as file:
            for member in file:
                if not member.isreg() and not member.isdir():
                    _refuse_link(archive, member.name)
                if member.isreg():
                    yield member.name, file.extractfile(member)


def _refuse_link(archive: Path, name: str) -> None:
    raise UserError(
        f"--data {archive}: holds {name!r}, a link or device; pack it again with plain files only"
    )
