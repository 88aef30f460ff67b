"""Makes the split that the flags ask for: anew, or as the collection comes divided."""

import argparse
from collections import Counter

import numpy as np

from vision101.errors import UserError
from vision101.photos.filling import SUBSETS, line_up
from vision101.photos.groups import find_keys, group_photos
from vision101.photos.index import Photo, list_labelled_files
from vision101.photos.lists import add_photos
from vision101.photos.sources import PhotoSource
from vision101.photos.split import VALIDATION_SHARE, sort_photos, split_photos


def make_split(
    photos: list[Photo], source: PhotoSource, arguments: argparse.Namespace
) -> dict[str, list[Photo]]:
    """Return the split of photos by --seed, --per-class, --near-duplicates, --group-by, --use-split
    and --add.

    Raises:
        UserError: A class is too small, or one of the flags does not fit the photos.
    """
    files = {file.path: file for file in list_labelled_files(source)}
    keys = [files[photo.path].group for photo in photos]
    if arguments.group_by:
        keys = find_keys([source.place(photo.path) for photo in photos], arguments.group_by)
    groups = group_photos(photos, arguments.near_duplicates, keys)
    if arguments.use_split:
        subsets = [files[photo.path].subset for photo in photos]
        split = keep_split(photos, subsets, groups, arguments.seed)
    else:
        split = split_photos(photos, arguments.seed, arguments.per_class, groups)
    return add_photos(split, arguments.add)


def keep_split(
    photos: list[Photo], subsets: list[str], groups: np.ndarray, seed: int
) -> dict[str, list[Photo]]:
    """Return the split that a collection comes with. Where it has no validation photos, or no test
    set beside them, a fifth of each class in train is held out to validate on.

    Args:
        photos: To be split.
        subsets: For each photo, `train`, `validation` or `unseen`; others are left out.
        groups: What `group_photos` returned for them.
        seed: Decides which photos are held out.

    Raises:
        UserError: There is no training or test set, or a class is missing in a subset.
    """
    split = {subset: [] for subset in SUBSETS}
    for photo, subset in zip(photos, subsets, strict=True):
        split.get(subset, []).append(photo)
    if not any(split.values()):
        raise UserError("--use-split: no subsets such as train/ and test/ there; leave it out")
    notes = [f"{len(photos) - sum(map(len, split.values()))} photos are in no subset"]
    if not split["unseen"]:
        split["unseen"], split["validation"] = split["validation"], []
        notes.append("there is no test set, so the validation set serves as such")
    if not split["validation"]:
        split["train"], split["validation"] = _hold_out(split["train"], photos, groups, seed)
        notes.append("validation photos are held out from train")
    for subset in ("train", "validation", "unseen"):
        names = {photo.class_name for photo in split[subset]}
        if lost := sorted({photo.class_name for photo in photos} - names):
            raise UserError(
                f"--use-split: class {lost[0]!r} has no photo in {subset}; add some, or leave "
                "--use-split out"
            )
    sizes = ", ".join(f"{len(split[subset])} {subset}" for subset in SUBSETS[:3])
    print(f"Split as it came: {sizes}; {'; '.join(notes[notes[0].startswith('0 ') :])}")
    _name_leaks(photos, split, groups)
    return {subset: sort_photos(members) for subset, members in split.items()}


def _hold_out(
    train: list[Photo], photos: list[Photo], groups: np.ndarray, seed: int
) -> tuple[list[Photo], list[Photo]]:
    members = {photo.path for photo in train}
    inside = [position for position, photo in enumerate(photos) if photo.path in members]
    line = line_up([photos[position] for position in inside], groups[inside], seed)
    counts = [Counter(photo.class_name for photo in group) for group in line]
    totals = sum(counts, Counter())
    quotas = {
        # A class of large groups gives one of them.
        name: max(int(VALIDATION_SHARE * total), min(c[name] for c in counts if name in c))
        for name, total in totals.items()
    }
    kept, held_out, held = [], [], Counter()
    for group, needed in zip(line, counts, strict=True):
        if all(held[name] + count <= quotas[name] for name, count in needed.items()):
            held_out += group
            held.update(needed)
        else:
            kept += group
    return kept, held_out


def _name_leaks(photos: list[Photo], split: dict[str, list[Photo]], groups: np.ndarray) -> None:
    """Name the photos of unseen that have a relative among those trained or validated on."""
    group_of = {photo.path: group for photo, group in zip(photos, groups, strict=True)}
    seen = {group_of[photo.path]: photo for name in SUBSETS[:2] for photo in split[name]}
    leaks = [
        f"{photo.path.name} like {seen[group_of[photo.path]].path.name}"
        for photo in split["unseen"]
        if group_of[photo.path] in seen
    ]
    if leaks:
        more = ", …" if len(leaks) > 3 else ""
        print(
            f"{len(leaks)} of {len(split['unseen'])} unseen photos have a near-duplicate in train "
            f"or validation, so their score is too good: {', '.join(leaks[:3])}{more}"
        )
