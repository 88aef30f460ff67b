"""What a person decided about photos, in CSV files: what to leave out, and what to learn from."""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from vision101.errors import UserError, shown_path
from vision101.photos.duplicates import NEAR_DUPLICATE_BITS
from vision101.photos.index import Photo, index_file, list_classes
from vision101.photos.labelled import is_file, list_places, name_lines
from vision101.photos.layouts import fold_name
from vision101.photos.sources import PhotoSource
from vision101.photos.split import EVALUATED_SUBSETS, find_key, group_photos, sort_photos
from vision101.photos.tables import list_spellings, read_list
from vision101.terminal import count


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
    excluded = set()
    for file in exclude:
        named, unknown = _find_listed(photos, source, file)
        if unknown:
            raise UserError(
                f"--exclude {file}: no such photo in {shown_path(source.folder)}, or another one "
                f"by now: {name_lines(unknown)}; correct or remove these lines"
            )
        excluded |= named
    kept = [photo for photo in photos if photo.path not in excluded]
    lists = ", ".join(map(shown_path, exclude))
    if lost := sorted({*list_classes(photos)} - {*list_classes(kept)}):
        raise UserError(f"--exclude {lists}: leaves no photo of class {lost[0]!r}; shorten it")
    print(f"Excluded {len(excluded)} of {len(photos)} photos, by {lists}.")
    return kept


def _find_listed(
    photos: list[Photo], source: PhotoSource, file: Path
) -> tuple[set[Path], list[str]]:
    """Return the paths of the photos that a list names, and the lines that name nothing."""
    by_path = {photo.path: [photo] for photo in photos}
    by_folded, by_folder, by_content = defaultdict(list), defaultdict(list), defaultdict(list)
    for photo in photos:
        by_folded[fold_name(str(photo.path))].append(photo)
        by_content[photo.sha256].append(photo)
        for folder in photo.path.parents:
            by_folder[folder].append(photo)
    folders = (source.folder, Path.cwd(), file.absolute().parent)

    def find(places: list[Path]) -> list[Photo]:
        for place in places:
            # The way there may lead over a link, or the disk may ignore upper and lower case.
            linked = place.parent.resolve() / place.name
            for found in (by_path.get(place), by_path.get(linked), by_folder.get(place)):
                if found:
                    return found
        alike = [by_folded.get(fold_name(str(place)), []) for place in places]
        return next((found for found in alike if len(found) == 1), [])

    named, unknown = set(), []
    for line, row in read_list(file, "--exclude", ("path", "sha256")):
        text, sha256 = row["path"], row["sha256"]
        places = [*list_places(text, folders)] if text else []
        there = find(places)
        same = not sha256 or sha256 in {photo.sha256 for photo in there}
        found = there if same else by_content.get(sha256, [])
        named |= {photo.path for photo in found}
        # A file that cannot be read, or a link to nowhere, is left out as it is.
        unreadable = not there and any(
            source.folder in place.parents and is_file(place) for place in places
        )
        if not found and not unreadable and (text or sha256):
            unknown.append(f"line {line}, {text or sha256}")
    if not named and not unknown:
        raise UserError(f"--exclude {file}: names no photo that can be read; leave it out")
    return named, unknown


def add_photos(
    split: dict[str, list[Photo]],
    add: Path | None,
    near_duplicate_bits: int = NEAR_DUPLICATE_BITS,
    keys: dict[Path, str] | None = None,
    group_by: str | None = None,
) -> dict[str, list[Photo]]:
    """Return a split that follows a person's labels. New photos are added to its training subset.
    Photos that it holds already stay in their subset, and get their new label there: a model must
    not be evaluated against a label that is known to be wrong. `hash_split` changes with it.

    Args:
        split: What `split_photos` returned.
        add: CSV file with a column `path` (from the current folder, or absolute) and a column
            `label` with the class, as predict.py --review writes it. Lines without a label are
            left out, and so are new photos of the same picture or group as one to evaluate on.
        near_duplicate_bits: See `group_photos`.
        keys: What photos of the split have in common with others of their group.
        group_by: The expression that found the keys. Without one, the list may have a column
            `group`.

    Raises:
        UserError: The file is no such list, a line of it names no class, no photo, or another
            class than a line before; or no photo of a class would be left to train on.
    """
    if add is None:
        return split
    class_names = list_classes(split["train"])
    labelled, unlabelled, new_keys = _read_labelled(add, class_names, group_by)
    labels = {photo.sha256: photo.class_name for photo in labelled}

    def correct(photo: Photo) -> Photo:
        return replace(photo, class_name=labels.get(photo.sha256, photo.class_name))

    corrected = {subset: [*map(correct, photos)] for subset, photos in split.items()}
    wrong = {subset: {*split[subset]} - {*corrected[subset]} for subset in split}
    relabelled = ", ".join(f"{len(wrong[subset])} in {subset}" for subset in split if wrong[subset])
    evaluated = [photo for subset in EVALUATED_SUBSETS for photo in split[subset]]
    held = {photo.sha256 for photo in (*split["train"], *evaluated)}
    new = list({photo.sha256: photo for photo in labelled if photo.sha256 not in held}.values())
    key_of = new_keys | (keys or {})
    together = evaluated + new
    groups = group_photos(together, near_duplicate_bits, [key_of.get(p.path, "") for p in together])
    known = {*evaluated}
    seen = {photo for group in groups if known & {*group} for photo in group}
    white = max(photo.white for photos in split.values() for photo in photos)
    added = [
        replace(photo, white=(white or photo.white) if photo.white else 0)
        for photo in new
        if photo not in seen
    ]
    corrected["train"] += added
    if lost := sorted({*class_names} - {*list_classes(corrected["train"])}):
        raise UserError(f"--add {add}: leaves no photo of class {lost[0]!r} to train on; fix it")
    used = {photo.sha256 for photos in (added, *wrong.values()) for photo in photos}
    print(
        f"Added {count(len(added), 'photo')} of {shown_path(add)} to train on; relabelled "
        f"{relabelled or 'none'}; left out {unlabelled} without a label and "
        f"{len(labelled) - len(used)} like others that are there."
    )
    return {subset: sort_photos(photos) for subset, photos in corrected.items()}


def _read_labelled(
    path: Path, class_names: list[str], group_by: str | None
) -> tuple[list[Photo], int, dict[Path, str]]:
    """Return the photos of a list under their labels in it, how many lines have no label, and what
    photos have in common with others of their group.
    """
    by_folded = {fold_name(name): name for name in class_names}
    folders = (Path.cwd(), path.absolute().parent)
    photos, labels, unlabelled, keys = [], {}, 0, {}
    for line, row in read_list(path, "--add", ("label",)):
        place, where = row["path"], f"--add {path}: line {line}"
        if not row["label"]:
            unlabelled += 1
            continue
        folded = [fold_name(spelling) for spelling in list_spellings(row["label"])]
        label = next((by_folded[name] for name in folded if name in by_folded), None)
        if label is None:
            raise UserError(
                f"{where}: no class {row['label']!r}; the classes are {', '.join(class_names)}"
            )
        files = [*list_places(place, folders)]
        photo = index_file(next(filter(is_file, files), files[0]), label)
        if photo.problem:
            raise UserError(f"{where}: {place}: {photo.problem}")
        if (other := labels.setdefault(photo.sha256, label)) != label:
            raise UserError(f"{where}: {place} is {label!r} here and {other!r} above; correct one")
        photos.append(photo)
        keys[photo.path] = find_key(place, group_by) if group_by else row["group"]
    if not photos:
        raise UserError(f"--add {path}: has no label in any line; fill in its column label")
    return photos, unlabelled, keys
