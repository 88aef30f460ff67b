"""Photos in an object store, such as `s3://bucket/folder`: copied to this machine, once."""

import contextlib
import hashlib
import json
import shutil
from pathlib import Path, PurePosixPath

from vision101.errors import UserError
from vision101.files import sweep_partial_files, write_atomically, write_json
from vision101.photos.archives import DISK_ERRORS, clean_path
from vision101.photos.reading import read_ahead
from vision101.terminal import count

# Files that are copied at once. A store answers late, and many at a time.
THREADS = 32

# What is copied is noted after so many files: a process that is killed loses no more.
NOTED_FILES = 1000

ADVICE = "check address, network and credentials, and start again"


def copy_photos(address: str, remote_folder: Path) -> Path:
    """Copy the folder or file at an address that fsspec knows (s3://, gs:// and others) to a folder
    of its own in `remote_folder`, and return where it is now. Next time, only what is new or was
    changed is copied; what is gone is removed. Raises UserError where the package for such
    addresses is missing, nothing is there, the store fails, or the disk is too small.
    """
    try:
        import fsspec  # brought along by the packages that read from stores

        print(f"Listing {address}", flush=True)
        store, root = fsspec.core.url_to_fs(address)
        store.invalidate_cache()
        found = store.find(root, detail=True)
    except ImportError as error:
        raise UserError(f"--data {address}: {error} (with pip), and start again") from error
    except Exception as error:  # whatever the packages raise
        raise UserError(f"--data {address}: cannot be listed ({error}); {ADVICE}") from error
    is_file = [*found] == [root]
    parent = str(PurePosixPath(root).parent) if is_file else root.rstrip("/")
    files = {}
    for path, entry in found.items():
        name = path[len(parent) :].lstrip("/")
        if entry["type"] == "file" and name and not name.endswith("/"):
            try:
                files[str(clean_path(name))] = path, entry["size"], _describe_state(entry)
            except UserError as error:
                raise UserError(f"--data {address}: {error}") from error
    if not files:
        raise UserError(f"--data {address}: no such folder or file; correct the address")

    address_hash = hashlib.sha256(address.rstrip("/").encode()).hexdigest()[:12]
    folder = remote_folder / f"{PurePosixPath(root).name.split('.')[0]}-{address_hash}"
    list_path = folder.with_name(f"{folder.name}.json")
    sweep_partial_files(folder)
    kept = {}
    with contextlib.suppress(OSError, ValueError):  # without a list of it, all is copied again
        kept = json.loads(list_path.read_bytes())
    kept = {name: state for name, state in kept.items() if (folder / name).is_file()}
    new = [name for name, (_, _, state) in files.items() if kept.get(name) != state]
    _check_room(address, sum(files[name][1] for name in new), remote_folder)

    def copy(name: str) -> str:
        with write_atomically(folder / name) as temporary:
            try:
                store.get_file(files[name][0], str(temporary))
            except Exception as error:
                if getattr(error, "errno", None) in DISK_ERRORS:
                    raise
                raise UserError(f"--data {address}: was not copied ({error}); {ADVICE}") from error
        return name

    try:
        for name in kept.keys() - files.keys():
            (folder / name).unlink()
            del kept[name]
        for name in read_ahead(copy, new, f"Copying {address}", unit=" files", threads=THREADS):
            kept[name] = files[name][2]
            if len(kept) % NOTED_FILES == 0:
                write_json(list_path, kept)
    finally:
        write_json(list_path, kept)
    print(f"Copied {count(len(new), 'file')} of {len(files):,} to {folder}")
    return folder / next(iter(files)) if is_file else folder


def _describe_state(entry: dict) -> str:
    """Return what changes with a file in a store: stores differ in what they say of one."""
    return hashlib.sha256(repr(sorted(entry.items(), key=str)).encode()).hexdigest()[:16]


def _check_room(address: str, needed: int, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"--data {address}: {needed / 1e9:.1f} GB to copy, {free / 1e9:.1f} GB free; free some "
            "space on that disk"
        )
