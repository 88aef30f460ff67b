"""Reads photos, and keeps an index of what a folder of photos holds."""

import contextlib
import csv
import hashlib
import io
import itertools
import os
import struct
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import BinaryIO, TypeVar

from vision101.command_line import DATA_FOLDER, UsageError, shown_name, shown_path
from vision101.files import write_whole
from vision101.sources import PAINTED_MARK, PhotoSource, list_visible_folders

import imagehash
import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

PHOTO_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")

# Pixels. Phones with 200 megapixels exist, where Pillow itself would suspect an attack.
LARGEST_PHOTO = 300_000_000
Image.MAX_IMAGE_PIXELS = None

# 16 x 16 bits: fine enough to tell photos of one flower apart, coarse enough to see through
# another size, compression or colouring of the same photo.
PERCEPTUAL_HASH_SIZE = 16

# Folders, in small letters, that data sets come divided into. Their sub-folders are the classes.
PART_NAMES = {"train", "training", "val", "valid", "validation", "test", "testing"}

# Photos that are read ahead of need: enough to keep all cores busy, in a few tens of megabytes.
READ_AHEAD = 64

Item, Result = TypeVar("Item"), TypeVar("Result")

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


class UnreadablePhotoError(Exception):
    """A file that is no picture we can read; the message is the reason."""


@contextlib.contextmanager
def expect_unchanged(photo: Photo) -> Iterator[None]:
    """Make sure that what is read of a photo in the `with` is what the index knows.

    Raises:
        UsageError: The file was changed since it was indexed.
    """
    try:
        yield
    except UnreadablePhotoError as error:
        raise UsageError(f"{shown_path(photo.path)}: {error}; start again") from error
    if _size_and_time(photo.path) != (photo.size, photo.modified):
        raise UsageError(f"{shown_path(photo.path)}: was changed just now; start again")


def read_photo(file: Path | BinaryIO, least_size: int | None = None) -> Image.Image:
    """Read a photo as a person sees it: upright, in RGB, transparency on white.

    Args:
        file: Path, or a file opened for reading bytes. Of an animation, the first frame counts.
        least_size: If given, a large JPEG may come reduced, but with no side below twice this
            many pixels: resizing it further gives the same quality, much sooner.

    Raises:
        UnreadablePhotoError: It is no picture, or a damaged one.
    """
    try:
        with Image.open(file, formats=PHOTO_FORMATS) as image:
            if image.width * image.height > LARGEST_PHOTO:
                raise UnreadablePhotoError(
                    f"has more than {LARGEST_PHOTO // 1_000_000} megapixels; make it smaller"
                )
            if least_size is not None:
                image.draft(None, (2 * least_size, 2 * least_size))
            picture = _convert_to_rgb(image)
    except FileNotFoundError:
        raise UnreadablePhotoError("no such file") from None
    except Image.UnidentifiedImageError:
        raise UnreadablePhotoError("not a JPEG, PNG, WebP, BMP or GIF picture") from None
    # Pillow's decoders raise all of these on damaged files.
    except (
        OSError,
        ValueError,
        SyntaxError,
        TypeError,
        IndexError,
        EOFError,
        struct.error,
    ) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise UnreadablePhotoError(f"cannot be opened: {error.strerror}") from error
        raise UnreadablePhotoError(f"damaged picture: {error}") from error
    with contextlib.suppress(SyntaxError, ValueError, TypeError, KeyError, struct.error):
        # Where its EXIF is damaged, nobody can tell which way is up; the picture itself is fine.
        ImageOps.exif_transpose(picture, in_place=True)
    return picture


def _convert_to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # 16 bits of grey. Pillow would clip them to 255 rather than scale them.
        grey = np.asarray(image).astype(np.int64) >> 8
        converted = Image.fromarray(grey.clip(0, 255).astype(np.uint8)).convert("RGB")
    elif image.has_transparency_data:
        layer = image.convert("RGBA")
        converted = Image.new("RGBA", layer.size, "white")
        converted.alpha_composite(layer)
        converted = converted.convert("RGB")
    else:
        converted = image.convert("RGB")
    # What says which way is up, among others. Of a transparency that is gone Pillow would warn.
    converted.info = {key: value for key, value in image.info.items() if key != "transparency"}
    return converted


def read_pixels(file: Path | BinaryIO, image_size: int) -> np.ndarray:
    """Read a photo as every model here gets it: the largest centred square, resized.

    Returns:
        uint8 array of shape (image_size, image_size, 3), RGB, 0-255.

    Raises:
        UnreadablePhotoError: It is no picture, or a damaged one.
    """
    image = read_photo(file, least_size=image_size)
    square = ImageOps.fit(image, (image_size, image_size), Image.Resampling.LANCZOS)
    return np.asarray(square)


def index_photos(source: PhotoSource, data_folder: Path = DATA_FOLDER) -> list[Photo]:
    """Return the readable photos of a source, sorted by class and path; name the others.

    Raises:
        UsageError: There are fewer than two classes, or one without any readable photo.
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
        with write_whole(index_path) as temporary:
            _write_index(temporary, photos)
    return photos


def keep_readable(photos: list[Photo], source: PhotoSource) -> list[Photo]:
    """Return those of the files of a source that can be read, and name the others.

    Raises:
        UsageError: There are fewer than two classes, or one without any readable photo.
    """
    readable = [photo for photo in photos if not photo.problem]
    unreadable = [photo for photo in photos if photo.problem]
    for photo in unreadable:
        print(f"Left out: {shown_path(photo.path)}: {photo.problem}")
    if unreadable:
        print(f"{len(unreadable)} of {len(photos)} files were left out.")
    _check_classes(source.folder, readable)
    return readable


def read_ahead(
    read: Callable[[Item], Result], items: Sequence[Item], description: str, unit: str = " photos"
) -> Iterator[Result]:
    """Yield `read(item)` for each item, in order, on all cores, with a progress bar.

    Only a few items are ever read ahead of need, so memory stays small however many there are.
    """
    following = iter(items)
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        tqdm(total=len(items), desc=description, unit=unit, disable=not items) as progress,
    ):
        ahead = deque(pool.submit(read, item) for item in itertools.islice(following, READ_AHEAD))
        try:
            while ahead:
                result = ahead.popleft().result()
                ahead.extend(pool.submit(read, item) for item in itertools.islice(following, 1))
                progress.update()
                yield result
        finally:
            for future in ahead:  # after an error, nobody waits for these
                future.cancel()


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
    if class_names and {name.lower() for name in class_names} <= PART_NAMES:
        raise UsageError(
            f"--data {shown_path(folder)}: {' and '.join(class_names)} are parts of a "
            "split, not classes; give one of them as --data, or merge them, and it is split anew"
        )
    for class_name in class_names:
        if class_name != shown_name(Path(class_name)):
            raise UsageError(
                f"--data {shown_path(folder)}: the name of class folder {class_name!r} is not in "
                "UTF-8; rename it"
            )
    if len(class_names) < 2:
        raise UsageError(
            f"--data {shown_path(folder)}: needs at least two sub-folders, one per class, with "
            f"photos in them; found {len(class_names)}"
        )
    for class_name in class_names:
        if not any(photo.class_name == class_name for photo in readable):
            raise UsageError(
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
