"""Lists the photos in a folder, and keeps an index of what each of them holds."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from vision101.errors import UserError, shown_path
from vision101.files import DATA_FOLDER, disk_errors, write_json
from vision101.photos.labelled import LabelledFile, label_files
from vision101.photos.layouts import (
    describe_classes,
    describe_layout,
    describe_strays,
    find_class_folders,
    find_name_problem,
    list_visible_folders,
)
from vision101.photos.reading import (
    READING_VERSION,
    UnreadablePhotoError,
    read_ahead,
    read_file,
    read_photo,
)
from vision101.photos.sources import PAINTED_MARK, PhotoSource
from vision101.terminal import count, say

# 16 x 16 bits tell photos of one flower apart, but see through resizing, compression, recolouring.
PERCEPTUAL_HASH_SIZE = 16
ORIENTATIONS = 8  # a picture may be mirrored, and turned in four ways

# Companions that operating systems, and the painter of the sample, put beside photos.
IGNORED_NAMES = ("thumbs.db", "desktop.ini", ".ds_store", PAINTED_MARK.lower())


@dataclass(frozen=True)
class Photo:
    """One file of the index."""

    path: Path  # absolute
    class_name: str  # of the class folder that it lies in, or by a list
    width: int  # in pixels, as it appears upright; 0 if the file cannot be read
    height: int
    sha256: str  # of the file's bytes, 64 hexadecimal digits
    perceptual_hash: str  # see `hash_orientations`; "" if the file cannot be read
    problem: str  # what is wrong with the file; "" if it can be read
    size: int  # in bytes
    modified: int  # in nanoseconds
    # What is white where greys have more than 8 bits; 0 elsewhere. In a collection, the brightest
    # photo decides for all, or a dark photo would come out as bright as any other.
    white: float = 0


@contextlib.contextmanager
def expect_unchanged(photo: Photo) -> Iterator[None]:
    """Raise UserError if what was read of a photo in the `with` is not what the index knows."""
    try:
        yield
    except UnreadablePhotoError as error:
        raise UserError(f"{shown_path(photo.path)}: {error}; start again") from error
    if _read_state(photo.path)[:2] != [photo.size, photo.modified]:
        raise UserError(f"{shown_path(photo.path)}: was changed just now; start again")


def index_photos(source: PhotoSource, data_folder: Path = DATA_FOLDER) -> list[Photo]:
    """Return the readable photos of a source, sorted by class and path, and name the other files.
    Raise UserError if there are fewer than two classes, or one without any readable photo.
    """
    return keep_readable(index_files(source, data_folder), source)


def index_files(source: PhotoSource, data_folder: Path = DATA_FOLDER) -> list[Photo]:
    """Return all files of a source, sorted by class and path, those that cannot be read too. What
    the photos hold is kept in `data_folder`: next time, only new and changed files are read.
    """
    folder_hash = hashlib.sha256(bytes(source.folder)).hexdigest()[:16]
    index_path = data_folder / "index" / f"{folder_hash}.json"
    known = {}
    # An index that was edited or damaged is made anew: it is no more than what the photos say.
    with contextlib.suppress(OSError, LookupError, TypeError, ValueError):
        kept = json.loads(index_path.read_bytes())
        for state, path, *columns in kept["photos"] if kept["reading"] == READING_VERSION else ():
            known[(Path(path), *state)] = Photo(Path(path), *columns)
    photos, new_files, states = [], [], {}
    for file in list_labelled_files(source):
        states[file.path] = _read_state(file.path)
        if photo := known.get((file.path, *states[file.path])):
            photos.append(replace(photo, class_name=file.class_name))
        else:
            new_files.append((file.path, file.class_name))
    photos += read_ahead(lambda file: index_file(*file), new_files, "Reading photos")
    photos.sort(key=lambda photo: (photo.class_name, str(photo.path)))
    # Files that cannot be read may be mended without a trace: they are looked at every time.
    readable = [
        [states[photo.path], *vars(photo).values()] for photo in photos if not photo.problem
    ]
    if new_files or len(known) != len(readable):
        write_json(index_path, {"reading": READING_VERSION, "photos": readable})
    white = max((photo.white for photo in photos), default=0)
    return [replace(photo, white=white if photo.white else 0) for photo in photos]


def list_labelled_files(source: PhotoSource) -> list[LabelledFile]:
    """Return the files of a source with their classes, subsets and groups, readable or not."""
    return label_files(source, list_files)


def index_file(path: Path, class_name: str) -> Photo:
    """Return what the index holds of a file; what is wrong with it is a `problem`, no error."""
    size, modified, *_ = _read_state(path)
    width, height, sha256, perceptual_hash, problem, white = 0, 0, "", "", "", 0
    try:
        file = read_file(path)
        sha256 = hashlib.sha256(file.getbuffer()).hexdigest()
        image = read_photo(file)
        width, height = image.size
        white = image.info["white"]
        perceptual_hash = hash_orientations(image)
    except UnreadablePhotoError as error:
        problem = str(error)
    seen = (width, height, sha256, perceptual_hash, problem)
    return Photo(path, class_name, *seen, size, modified, white)


def hash_orientations(image: Image.Image) -> str:
    """Return the 256-bit difference hashes of a picture as it is, and mirrored and turned in all
    ways, of 64 hexadecimal digits each: where a pixel of a tiny copy is brighter than the one to
    its left (Krawetz 2013, "Kind of Like That").
    """
    grey, size = image.convert("L"), PERCEPTUAL_HASH_SIZE
    shapes = (size + 1, size), (size, size + 1)
    wide, tall = (np.asarray(grey.resize(shape, Image.Resampling.LANCZOS)) for shape in shapes)
    turned = [way[::y, ::x] for way in (wide, tall.T) for y in (1, -1) for x in (1, -1)]
    left, right = np.stack(turned)[:, :, :-1], np.stack(turned)[:, :, 1:]
    return np.packbits(right > left).tobytes().hex()


def keep_readable(photos: list[Photo], source: PhotoSource) -> list[Photo]:
    """Do the second half of `index_photos` with what `index_files` returned."""
    readable = [photo for photo in photos if not photo.problem]
    for photo in photos:
        if photo.problem:
            print(f"Left out: {shown_path(photo.path)}: {photo.problem}")
    if len(readable) < len(photos):
        print(f"Left out {len(photos) - len(readable):,} of {count(len(photos), 'file')}.")
    folders = [] if source.table else find_class_folders(source.folder)
    if folders:  # beside a list, there may be files of all kinds
        paths = {photo.path for photo in photos}
        strays = describe_strays(source.folder, paths, IGNORED_NAMES)
        for line in (*describe_layout(folders), *strays):
            print(line)
    names = list(dict.fromkeys(folder.class_name for folder in folders)) or list_classes(photos)
    problem = find_name_problem(names)
    empty = [name for name in names if name not in list_classes(readable)]
    if len(names) < 2:
        problem = f"needs at least two sub-folders of photos, one per class; found {len(names)}"
    elif empty and not problem:
        problem = f"class folder {empty[0]!r} has no photo that can be read; add some or remove it"
    if problem:
        raise UserError(f"--data {shown_path(source.data)}: {problem}")
    if white := max(photo.white for photo in readable):
        say(f"Greys of more than 8 bits: white is {white:g}, by the brightest photo.")
    say(describe_classes([photo.class_name for photo in readable]))
    return readable


def list_classes(photos: list[Photo]) -> list[str]:
    """Return the class names in alphabetical order: their positions are the labels."""
    return sorted({photo.class_name for photo in photos})


def list_files(folder: Path) -> list[Path]:
    """Return all visible files at any depth below `folder`, in alphabetical order."""
    with disk_errors():
        paths = [path for path in folder.iterdir() if not path.is_dir() and path.name[0] != "."]
    paths = [path for path in paths if path.name.lower() not in IGNORED_NAMES]
    # Links are followed: a cheap way to arrange photos anew. But not those to a folder above.
    here = folder.absolute()
    above = {path.resolve() for path in (here, *here.parents, *here.resolve().parents)}
    for inner in list_visible_folders(folder):
        if inner.resolve() not in above:
            paths += list_files(inner)
    return sorted(paths)


def _read_state(path: Path) -> list[int]:
    """Return what changes with a file's content: its size, the time of its last change, and, since
    tools can keep these, the time that the system noted and the file's number on the disk.
    """
    with contextlib.suppress(OSError):  # a link to nowhere; reading it will say so
        status = path.stat()
        return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    return [0, 0, 0, 0]
