"""What a person decided about photos, in CSV files: what to leave out, and what to learn from."""

import codecs
import csv
import io
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PureWindowsPath

from vision101.errors import UserError, shown_path
from vision101.files import restore_cell
from vision101.photos.duplicates import find_near_duplicates
from vision101.photos.index import Photo, index_file, list_classes
from vision101.photos.sources import PhotoSource
from vision101.photos.split import EVALUATED_SUBSETS, sort_photos


def exclude_photos(
    photos: list[Photo], source: PhotoSource, exclude: list[Path] | None
) -> list[Photo]:
    """Return the photos that no list names: what a person found wrong is left out.

    Args:
        photos: The readable photos of the source.
        source: Where they came from.
        exclude: CSV files with a column `path` (absolute, or below the source's folder, with / or
            \\), or `sha256`, or both, as explore.py and predict.py --review write them. Where
            there is no photo of that path, all photos of that content are meant.

    Raises:
        UserError: A file is no such list, a line names no photo, or a class is left without any.
    """
    if not exclude:
        return photos
    by_place = {source.place(photo.path): photo for photo in photos}
    by_content = defaultdict(set)
    for photo in photos:
        by_content[photo.sha256].add(photo.path)
    excluded = set()
    for file in exclude:
        unknown = []
        for line, row in _read_list(file, "--exclude", {"path", "sha256"}):
            text, sha256 = row.get("path", ""), row.get("sha256", "")
            path = Path(PureWindowsPath(text).as_posix())
            place = source.place(path)
            if path.is_absolute() and place not in by_place:  # the way there may lead over a link
                place = source.place(path.parent.resolve() / path.name)
            photo = by_place.get(place)
            inside = text and not photo and not Path(place).is_absolute()
            if photo and sha256 in ("", photo.sha256):
                excluded.add(photo.path)
            elif sha256 in by_content:
                excluded |= by_content[sha256]
            # A file that cannot be read, or a link to nowhere, is left out as it is.
            elif (text or sha256) and not (inside and os.path.lexists(source.folder / place)):
                unknown.append(f"line {line}, {place if text else sha256}")
        if unknown:
            more = f", and {len(unknown) - 3} more" if len(unknown) > 3 else ""
            raise UserError(
                f"--exclude {file}: no such photo in {shown_path(source.folder)}, or another one "
                f"by now: {'; '.join(unknown[:3])}{more}; correct or remove these lines"
            )
    kept = [photo for photo in photos if photo.path not in excluded]
    lists = ", ".join(map(shown_path, exclude))
    if lost := sorted({*list_classes(photos)} - {*list_classes(kept)}):
        raise UserError(f"--exclude {lists}: leaves no photo of class {lost[0]!r}; shorten it")
    print(f"Excluded {len(excluded)} of {len(photos)} photos, by {lists}.")
    return kept


def add_photos(split: dict[str, list[Photo]], add: Path | None) -> dict[str, list[Photo]]:
    """Return a split that follows a person's labels. New photos are added to its training subset.
    Photos that it holds already stay in their subset, and get their new label there: a model must
    not be evaluated against a label that is known to be wrong. `hash_split` changes with it.

    Args:
        split: What `split_photos` returned.
        add: CSV file with a column `path` (from the current folder, or absolute) and a column
            `label` with the class, as predict.py --review writes it. Lines without a label are
            left out, and so are new photos that show the same as one to evaluate on.

    Raises:
        UserError: The file is no such list, a line of it names no class, no photo, or another
            class than a line before; or no photo of a class would be left to train on.
    """
    if add is None:
        return split
    class_names = list_classes(split["train"])
    labelled, unlabelled = _read_labelled(add, class_names)
    labels = {photo.sha256: photo.class_name for photo in labelled}

    def correct(photo: Photo) -> Photo:
        return replace(photo, class_name=labels.get(photo.sha256, photo.class_name))

    corrected = {subset: [*map(correct, photos)] for subset, photos in split.items()}
    wrong = {subset: {*split[subset]} - {*corrected[subset]} for subset in split}
    relabelled = ", ".join(f"{len(wrong[subset])} in {subset}" for subset in split if wrong[subset])
    evaluated = [photo for subset in EVALUATED_SUBSETS for photo in split[subset]]
    held = {photo.sha256 for photo in (*split["train"], *evaluated)}
    new = list({photo.sha256: photo for photo in labelled if photo.sha256 not in held}.values())
    pairs = find_near_duplicates(evaluated + new)
    seen = {second for first, second in pairs if first < len(evaluated)}
    added = [photo for position, photo in enumerate(new, len(evaluated)) if position not in seen]
    corrected["train"] += added
    if lost := sorted({*class_names} - {*list_classes(corrected["train"])}):
        raise UserError(f"--add {add}: leaves no photo of class {lost[0]!r} to train on; fix it")
    used = {photo.sha256 for photos in (added, *wrong.values()) for photo in photos}
    print(
        f"Added {len(added)} photos of {shown_path(add)} to train on; relabelled "
        f"{relabelled or 'none'}; left out {unlabelled} without a label and "
        f"{len(labelled) - len(used)} like others that are there."
    )
    return {subset: sort_photos(photos) for subset, photos in corrected.items()}


def _read_labelled(path: Path, class_names: list[str]) -> tuple[list[Photo], int]:
    """Return the photos of a list under their labels in it, and how many lines have no label."""
    # Cells are read without the blanks around them, which a folder's name may have.
    class_names = {name.strip(): name for name in class_names}
    photos, labels, unlabelled = [], {}, 0
    for line, row in _read_list(path, "--add", {"label"}):
        place, label, where = Path(row.get("path", "")), row["label"], f"--add {path}: line {line}"
        if not label:
            unlabelled += 1
            continue
        if label not in class_names:
            raise UserError(
                f"{where}: no class {label!r}; the classes are {', '.join(class_names)}"
            )
        photo = index_file(place.absolute(), class_names[label])
        if photo.problem:
            raise UserError(f"{where}: {place}: {photo.problem}")
        if (other := labels.setdefault(photo.sha256, label)) != label:
            raise UserError(f"{where}: {place} is {label!r} here and {other!r} above; correct one")
        photos.append(photo)
    return photos, unlabelled


def _read_list(path: Path, flag: str, needed: set[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number and cells of each line, by headings in small letters; one is `needed`."""
    try:
        content = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise UserError(f"{flag} {path}: cannot be read ({error.strerror})") from error
    # Line by line: one name in another encoding must not spoil the others.
    text = "".join(map(_decode, content.splitlines(keepends=True)))
    header = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count))
    try:
        reader.fieldnames = [(name or "").strip().lower() for name in reader.fieldnames or ()]
        if not needed & {*reader.fieldnames}:
            columns = " or ".join(sorted(needed))
            raise UserError(f"{flag} {path}: has no column {columns}; name it in the first line")
        for row in reader:
            yield (
                reader.line_num,
                {key: restore_cell(row[key] or "").strip() for key in reader.fieldnames},
            )
    except csv.Error as error:
        raise UserError(f"{flag} {path}: damaged CSV file ({error})") from error


def _decode(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("cp1252", errors="replace")  # what older spreadsheets write
