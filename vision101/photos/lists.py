"""What a person decided about photos: which to leave out, and which to learn from in addition.

Their decisions come as CSV files, and often out of a spreadsheet. The photos stay as they are.
"""

import codecs
import csv
import io
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

from vision101.errors import UserError, shown_path
from vision101.photos.duplicates import find_near_duplicates
from vision101.photos.index import Photo, index_file, list_classes
from vision101.photos.sources import PhotoSource


def exclude_photos(
    photos: list[Photo], source: PhotoSource, exclude: list[Path] | None
) -> list[Photo]:
    """Return the photos that no list names: what a person found wrong is left out.

    Args:
        photos: The readable photos of the source.
        source: Where they came from.
        exclude: CSV files with a column `path` (absolute, or below the source's folder, with / or
            \\), or `sha256`, or both, as explore.py and predict.py --review write them; None for no
            list. Where there is no photo of that path, all photos of that content are meant. They
            may come out of a spreadsheet: with a byte order mark, semicolons or tabs.

    Raises:
        UserError: A file is no such list, a line of it names no photo, or no photo of a class
            is left.
    """
    if not exclude:
        return photos
    by_path = {source.place(photo.path): photo for photo in photos}
    by_content = defaultdict(list)
    for photo in photos:
        by_content[photo.sha256].append(photo)
    excluded = set()
    for file in exclude:
        unknown = []
        for line, row in _read_list(file, "--exclude", {"path", "sha256"}):
            path, sha256 = _normalize_path(row.get("path", "")), row.get("sha256", "")
            if Path(path).is_absolute():
                absolute, path = Path(path), source.place(Path(path))
                if path not in by_path:  # the way to the folder may lead over a link
                    path = source.place(absolute.parent.resolve() / absolute.name)
            if not path and not sha256:
                continue
            photo = by_path.get(path)
            if photo and sha256 in ("", photo.sha256):
                excluded.add(photo.path)
            elif sha256 in by_content:
                excluded.update(photo.path for photo in by_content[sha256])
            # A file that cannot be read, or a link to nowhere, is left out as it is.
            elif (
                photo
                or not path
                or Path(path).is_absolute()
                or not os.path.lexists(source.folder / path)
            ):
                unknown.append(f"line {line}, {path or sha256}")
        if unknown:
            more = f", and {len(unknown) - 3} more" if len(unknown) > 3 else ""
            raise UserError(
                f"--exclude {file}: no such photo in {shown_path(source.folder)}, or another one "
                f"by now: {'; '.join(unknown[:3])}{more}; correct or remove these lines"
            )
    lists = ", ".join(map(shown_path, exclude))
    kept = [photo for photo in photos if photo.path not in excluded]
    for class_name in list_classes(photos):
        if not any(photo.class_name == class_name for photo in kept):
            raise UserError(
                f"--exclude {lists}: leaves no photo of class {class_name!r}; shorten the list"
            )
    print(f"Excluded {len(excluded)} of {len(photos)} photos, by {lists}.")
    return kept


def add_photos(split: dict[str, list[Photo]], add: Path | None) -> dict[str, list[Photo]]:
    """Return a split with photos of a list in its training part; the other parts stay as they are,
    so runs with and without these photos compare.

    Args:
        split: What `split_photos` returned.
        add: CSV file with a column `path` (from the current folder, or absolute) and a column
            `label` with the class, as predict.py --review writes it; None for no list. Lines
            without a label are left out, and so are photos that are in a part already, or show
            the same as one that the model is to be judged on.

    Raises:
        UserError: The file is no such list, or a line of it names no class, no photo, or
            another class than a line before.
    """
    if add is None:
        return split
    # Cells are read without the blanks around them, which a folder's name may have.
    class_names = {class_name.strip(): class_name for class_name in list_classes(split["train"])}
    labelled, labels, unlabelled = [], {}, 0
    for line, row in _read_list(add, "--add", {"label"}):
        path, label = Path(row.get("path", "")), row.get("label", "")
        if not label:
            unlabelled += 1
            continue
        if label not in class_names:
            raise UserError(
                f"--add {add}: line {line}: no class {label!r}; the classes are "
                f"{', '.join(class_names)}"
            )
        label = class_names[label]
        photo = index_file(path.absolute(), label)
        if photo.problem:
            raise UserError(f"--add {add}: line {line}: {path}: {photo.problem}")
        if labels.setdefault(photo.sha256, label) != label:
            raise UserError(
                f"--add {add}: line {line}: {path} is {label!r} here and {labels[photo.sha256]!r} "
                "above; correct one of them"
            )
        labelled.append(photo)
    # In a part already, or the same to the eye as a photo that the model is judged on.
    old = [photo for photos in split.values() for photo in photos]
    taken = {photo.sha256 for photo in old}
    new = [photo for photo in labelled if photo.sha256 not in taken]
    judged = [photo for part, photos in split.items() if part != "train" for photo in photos]
    seen = {
        second - len(judged)
        for first, second in find_near_duplicates(judged + new)
        if first < len(judged) <= second
    }
    kept = {photo.sha256: photo for index, photo in enumerate(new) if index not in seen}.values()
    print(
        f"Added {len(kept)} photos of {shown_path(add)} to train on; left out {unlabelled} without "
        f"a label and {len(labelled) - len(kept)} like others that are there."
    )
    train = [*split["train"], *kept]
    train.sort(key=lambda photo: (photo.class_name, photo.sha256, str(photo.path)))
    return split | {"train": train}


def _decode(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("cp1252", errors="replace")  # what older spreadsheets write


def _normalize_path(text: str) -> str:
    return PureWindowsPath(text).as_posix() if text else ""


def _read_list(path: Path, flag: str, needed: set[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number and the cells of every line, under their headings in small letters.

    Args:
        path: The CSV file.
        flag: The flag that named it.
        needed: Headings of which it must have at least one.
    """
    try:
        content = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise UserError(f"{flag} {path}: cannot be read ({error.strerror})") from error
    # Line by line: one name in another encoding must not spoil the others.
    text = "".join(map(_decode, content.splitlines(keepends=True)))
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        reader.fieldnames = [(name or "").strip().lower() for name in reader.fieldnames or ()]
        if not needed & set(reader.fieldnames):
            raise UserError(
                f"{flag} {path}: has no column {' or '.join(sorted(needed))} in its first line; "
                "give a list like those that explore.py and predict.py write"
            )
        for row in reader:
            yield (
                reader.line_num,
                {key: (row.get(key) or "").strip() for key in reader.fieldnames},
            )
    except csv.Error as error:
        raise UserError(f"{flag} {path}: damaged CSV file ({error})") from error
