"""Reads photos, and keeps an index of what a folder of photos holds."""

import contextlib
import csv
import hashlib
import io
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import imagehash

from vision101.errors import UserError, shown_name, shown_path
from vision101.files import DATA_FOLDER, write_atomically
from vision101.photos.reading import UnreadablePhotoError, read_ahead, read_photo
from vision101.photos.sources import PAINTED_MARK, PhotoSource, list_visible_folders

# 16 x 16 bits: fine enough to tell photos of one flower apart, coarse enough to see through
# another size, compression or colouring of the same photo.
PERCEPTUAL_HASH_SIZE = 16

# Folders, in small letters, that data sets come divided into. Their sub-folders are the classes.
SPLIT_FOLDER_NAMES = {"train", "training", "val", "valid", "validation", "test", "testing"}

# Companions that operating systems, and the painter of the sample, put beside photos.
IGNORED_NAMES = ("thumbs.db", "desktop.ini", PAINTED_MARK.lower())


@dataclass(frozen=True)
class Photo:
    """One file of the index.

    Attributes:
        path: Absolute path.
        class_name: Name of the class folder that it lies in.
        width: Width in pixels as it appears upright; 0 if the file cannot be read.
        height: Likewise the height.
        sha256: Hash of the file's bytes, 64 hexadecimal digits.
        perceptual_hash: 256-bit difference hash, 64 hexadecimal digits; "" if unreadable.
        problem: What is wrong with the file; "" if it can be read.
        size: Size of the file in bytes.
        modified: Its time of change in nanoseconds. While both stay, so does the content.
    """

    path: Path
    class_name: str
    width: int
    height: int
    sha256: str
    perceptual_hash: str
    problem: str
    size: int
    modified: int


@contextlib.contextmanager
def expect_unchanged(photo: Photo) -> Iterator[None]:
    """Make sure that what is read of a photo in the `with` is what the index knows.

    Raises:
        UserError: The file was changed since it was indexed.
    """
    try:
        yield
    except UnreadablePhotoError as error:
        raise UserError(f"{shown_path(photo.path)}: {error}; start again") from error
    if _size_and_time(photo.path) != (photo.size, photo.modified):
        raise UserError(f"{shown_path(photo.path)}: was changed just now; start again")


def index_photos(source: PhotoSource, data_folder: Path = DATA_FOLDER) -> list[Photo]:
    """Return the readable photos of a source, sorted by class and path; name the others.

    Raises:
        UserError: There are fewer than two classes, or one without any readable photo.
    """
    return keep_readable(index_files(source, data_folder), source)


def index_files(source: PhotoSource, data_folder: Path = DATA_FOLDER) -> list[Photo]:
    """Return all files of a source, sorted by class and path, those that cannot be read too.

    What was learnt about each file is kept in `data_folder`, so only new and changed files are
    read the next time. The photos themselves are never touched.
    """
    index_path = data_folder / "index" / f"{_short_hash(str(source.folder))}.csv"
    known = {
        (str(photo.path), photo.size, photo.modified): photo for photo in _read_index(index_path)
    }
    photos, new_files = [], []
    for class_folder in list_visible_folders(source.folder):
        for path in list_files(class_folder):
            photo = known.get((str(path), *_size_and_time(path)))
            # A file that could not be read may have been mended without a trace: look again.
            if photo and not photo.problem:
                photos.append(photo)
            else:
                new_files.append((path, class_folder.name))
    photos += read_ahead(lambda file: index_file(*file), new_files, "Reading photos")
    photos.sort(key=lambda photo: (photo.class_name, str(photo.path)))
    if new_files or len(known) != len(photos):
        with write_atomically(index_path) as temporary:
            _write_index(temporary, photos)
    return photos


def keep_readable(photos: list[Photo], source: PhotoSource) -> list[Photo]:
    """Return those of the files of a source that can be read, and name the others.

    Raises:
        UserError: There are fewer than two classes, or one without any readable photo.
    """
    readable = [photo for photo in photos if not photo.problem]
    unreadable = [photo for photo in photos if photo.problem]
    for photo in unreadable:
        print(f"Left out: {shown_path(photo.path)}: {photo.problem}")
    if unreadable:
        print(f"{len(unreadable)} of {len(photos)} files were left out.")
    _check_classes(source.folder, readable)
    return readable


def list_classes(photos: list[Photo]) -> list[str]:
    """Return the class names in alphabetical order: their positions are the labels."""
    return sorted({photo.class_name for photo in photos})


def list_files(folder: Path) -> list[Path]:
    """Return all visible files at any depth below `folder`, in alphabetical order."""
    paths = []
    # Links are followed: a folder of links is a cheap way to arrange the same photos anew.
    for parent, folders, names in os.walk(folder, followlinks=True):
        here = Path(parent).absolute()
        above = {folder.resolve() for folder in (here, *here.parents, *here.resolve().parents)}
        folders[:] = [
            name
            for name in folders
            # A link back to a folder above would list its photos again and again.
            if not name.startswith(".") and Path(parent, name).resolve() not in above
        ]
        paths += [
            Path(parent, name)
            for name in names
            if not name.startswith(".") and name.lower() not in IGNORED_NAMES
        ]
    return sorted(paths)


def _check_classes(folder: Path, readable: list[Photo]) -> None:
    class_names = [class_folder.name for class_folder in list_visible_folders(folder)]
    if class_names and {name.lower() for name in class_names} <= SPLIT_FOLDER_NAMES:
        raise UserError(
            f"--data {shown_path(folder)}: {' and '.join(class_names)} are parts of a "
            "split, not classes; give one of them as --data, or merge them, and it is split anew"
        )
    for class_name in class_names:
        if class_name != shown_name(Path(class_name)):
            raise UserError(
                f"--data {shown_path(folder)}: the name of class folder {class_name!r} is not in "
                "UTF-8; rename it"
            )
    if len(class_names) < 2:
        raise UserError(
            f"--data {shown_path(folder)}: needs at least two sub-folders, one per class, with "
            f"photos in them; found {len(class_names)}"
        )
    for class_name in class_names:
        if not any(photo.class_name == class_name for photo in readable):
            raise UserError(
                f"--data {shown_path(folder)}: class folder {class_name!r} has no photo that can "
                "be read; put photos there or remove the folder"
            )


def index_file(path: Path, class_name: str) -> Photo:
    """Return what the index holds of a file; what is wrong with it is a `problem`, no error."""
    width = height = 0
    sha256 = perceptual_hash = problem = ""
    size, modified = _size_and_time(path)
    try:
        content = path.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        image = read_photo(io.BytesIO(content))
        width, height = image.size
        perceptual_hash = str(imagehash.dhash(image, hash_size=PERCEPTUAL_HASH_SIZE))
    except UnreadablePhotoError as error:
        problem = str(error)
    except FileNotFoundError:
        problem = "no such file"
    except OSError as error:
        problem = f"cannot be opened: {error.strerror}"
    return Photo(
        path,
        class_name,
        width,
        height,
        sha256,
        perceptual_hash,
        problem,
        size,
        modified,
    )


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        # A link to nowhere. Reading it will say so.
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]


def _write_index(path: Path, photos: list[Photo]) -> None:
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Photo)])
        writer.writeheader()
        writer.writerows(asdict(photo) for photo in photos)


def _read_index(path: Path) -> list[Photo]:
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            return [
                Photo(
                    Path(row["path"]),
                    row["class_name"],
                    int(row["width"]),
                    int(row["height"]),
                    row["sha256"],
                    row["perceptual_hash"],
                    row["problem"],
                    int(row["size"]),
                    int(row["modified"]),
                )
                for row in csv.DictReader(file)
            ]
    # The index is a copy of what the photos say. One that was edited or damaged is made anew.
    except (OSError, KeyError, TypeError, ValueError, csv.Error):
        return []
