"""Photos in an object store, such as `s3://bucket/folder`: copied to this machine, once."""

import contextlib
import hashlib
import os
import shutil
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from vision101.errors import DISK_FULL_ERRORS, UserError
from vision101.files import PARTIAL_PREFIX, sweep_partial_files, write_atomically
from vision101.photos.archives import clean_path
from vision101.photos.reading import read_ahead
from vision101.terminal import count

# Files that are copied at once. A store answers late, and many at a time.
THREADS = 32

# What stores say of a file that changes with its content, each in its own words.
STATES = ("ETag", "etag", "md5Hash", "generation", "LastModified", "last_modified", "updated")

ADVICE = "check address, network and credentials, and start again"


class RemoteFile(NamedTuple):
    """A file in a store."""

    path: str  # there
    size: int  # in bytes
    # In seconds, the time of the last change that its copy is given: it stands for the content, and
    # is the same whoever makes the copy.
    modified: int


def copy_photos(address: str, remote_folder: Path) -> Path:
    """Copy the folder or archive at an address that fsspec knows (s3://, gs:// and others) to a
    folder of its own in `remote_folder`, and return where it is now. Next time, only what is new or
    was changed is copied; what is gone is removed. Raises UserError where the package for such
    addresses is missing, nothing is there, the store fails, or the disk is too small.
    """
    print(f"Listing {address}", flush=True)
    try:
        import fsspec  # brought along by the packages that read from stores

        store, root = fsspec.core.url_to_fs(address)
        store.invalidate_cache()
        found = store.find(root, detail=True)
        entries = {path: entry or store.info(path) for path, entry in found.items()}
    except ImportError as error:
        raise UserError(f"--data {address}: {error} (with pip), and start again") from error
    except Exception as error:  # whatever the packages raise
        raise UserError(f"--data {address}: cannot be listed ({_join(error)}); {ADVICE}") from error
    is_file = [*entries] == [root]
    files = {}
    for path, entry in entries.items():
        name = PurePosixPath(path).name if is_file else path[len(root.rstrip("/")) :].lstrip("/")
        if name and not name.endswith("/"):  # else a folder
            try:
                files[clean_path(name)] = RemoteFile(path, entry.get("size") or 0, _date(entry))
            except UserError as error:
                raise UserError(f"--data {address}: {error}") from error
    if not files:
        raise UserError(f"--data {address}: no such folder or archive; correct the address")

    address_hash = hashlib.sha256(address.rstrip("/").encode()).hexdigest()[:12]
    folder = remote_folder / f"{PurePosixPath(root).name.split('.')[0]}-{address_hash}"
    folder.mkdir(parents=True, exist_ok=True)
    sweep_partial_files(folder)
    _remove_others(folder, {folder / name for name in files})
    new = [name for name, file in files.items() if not _is_copy(folder / name, file)]
    needed, free = sum(files[name].size for name in new), shutil.disk_usage(folder).free
    if needed > free:
        sizes = f"{needed / 1e9:.1f} GB to copy, {free / 1e9:.1f} GB free"
        raise UserError(f"--data {address}: {sizes}; free some space on that disk")

    def copy(name: PurePosixPath) -> None:
        file = files[name]
        with write_atomically(folder / name) as temporary:
            try:
                store.get_file(file.path, str(temporary))
            except Exception as error:
                here = getattr(error, "filename", None) == str(temporary)
                if here or getattr(error, "errno", None) in DISK_FULL_ERRORS:
                    raise
                told = f"{file.path} was not copied ({_join(error)})"
                raise UserError(f"--data {address}: {told}; {ADVICE}") from error
            os.utime(temporary, (file.modified, file.modified))

    for _ in read_ahead(copy, new, f"Copying {address}", unit=" files", threads=THREADS):
        pass
    print(f"Copied {count(len(new), 'file')} of {len(files):,} to {folder}")
    return folder / next(iter(files)) if is_file else folder


def _date(entry: dict) -> int:
    """Return a time that stands for what a store says of a file's content."""
    told = [entry.get("size"), *(str(entry[name]) for name in STATES if name in entry)]
    return int(hashlib.sha256(repr(told).encode()).hexdigest()[:7], 16)


def _is_copy(path: Path, file: RemoteFile) -> bool:
    with contextlib.suppress(OSError):
        status = path.stat()
        return (status.st_size, int(status.st_mtime)) == (file.size, file.modified)
    return False


def _remove_others(folder: Path, paths: set[Path]) -> None:
    """Remove files that are no longer in the store, and folders that are empty without them."""
    for path in sorted(folder.rglob("*"), reverse=True):  # what is in a folder comes before it
        if path.is_dir():
            with contextlib.suppress(OSError):  # not empty
                path.rmdir()
        elif path not in paths and not path.name.startswith(PARTIAL_PREFIX):
            path.unlink(missing_ok=True)


def _join(error: Exception) -> str:
    """Return what an error says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__
