"""Makes the split that the flags ask for: anew, or as the collection comes divided."""

import argparse
from collections import Counter
from pathlib import Path

from vision101.errors import UserError
from vision101.photos.index import Photo, list_classes, list_labelled_files
from vision101.photos.lists import add_photos
from vision101.photos.sources import PhotoSource
from vision101.photos.split import (
    SUBSETS,
    VALIDATION_SHARE,
    Groups,
    Split,
    fill_subsets,
    find_key,
    group_photos,
    join_folds,
    line_up,
    sort_photos,
    split_photos,
)
from vision101.terminal import count


def make_split(photos: list[Photo], source: PhotoSource, arguments: argparse.Namespace) -> Split:
    """Return the split of photos by --seed, --per-class, --near-duplicates, --group-by,
    --use-split, --folds and --add. Raises UserError where a class is too small, or a flag does not
    fit the photos.
    """
    files = {file.path: file for file in list_labelled_files(source)}
    keys = [files[photo.path].group for photo in photos]
    if arguments.group_by:
        keys = find_keys([source.place(photo.path) for photo in photos], arguments.group_by)
    groups = group_photos(photos, arguments.near_duplicates, keys)
    if folds := vars(arguments).get("folds"):
        return deal_folds(groups, folds, arguments.seed)
    if arguments.use_split:
        subset_of = {photo.path: files[photo.path].subset for photo in photos}
        split = keep_split(groups, subset_of, arguments.seed)
    else:
        split = split_photos(photos, arguments.seed, arguments.per_class, groups)
    key_of = {photo.path: key for photo, key in zip(photos, keys, strict=True)}
    return add_photos(split, arguments.add, arguments.near_duplicates, key_of, arguments.group_by)


def deal_folds(groups: Groups, folds: int, seed: int) -> Split:
    """Return the split for cross-validation in so many folds, each with its share of every class.
    Raises UserError where a class has fewer different photos than that.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # takes a second

    line = line_up(groups, seed)
    counts = Counter(name for group in line for name in {photo.class_name for photo in group})
    fewest, class_name = min((number, name) for name, number in counts.items())
    if fewest < folds:
        raise UserError(
            f"--folds {folds}: class {class_name!r} has {count(fewest, 'different photo')}; it "
            "needs one for each fold, so add some, or use fewer folds"
        )
    number_of = {photo: number for number, group in enumerate(line) for photo in group}
    photos = sort_photos([*number_of])
    names, numbers = zip(*((photo.class_name, number_of[photo]) for photo in photos), strict=True)
    # The line is shuffled already. Shuffled by scikit-learn before 1.8, folds have unequal shares.
    dealt = enumerate(StratifiedGroupKFold(folds).split(names, names, numbers), 1)
    return join_folds({f"fold {n}": [photos[p] for p in held] for n, (_, held) in dealt})


def find_keys(places: list[str], expression: str) -> list[str]:
    """Return what `--group-by` finds in the path of each photo; "" where it matches nothing. If the
    expression has groups, what they match counts, otherwise the whole match. Raises UserError where
    it tells no groups apart.
    """
    keys = [find_key(place, expression) for place in places]
    groups = len({*keys} - {""})
    if groups < 2:
        raise UserError(
            f"--group-by {expression}: finds {groups or 'no'} group in paths such as {places[0]}; "
            "correct the expression"
        )
    counts = f"{groups:,} groups by {expression}; {count(keys.count(''), 'photo')} in none"
    print(f"Photos of one group stay together: {counts}")
    return keys


def keep_split(groups: Groups, subset_of: dict[Path, str], seed: int) -> Split:
    """Return the split that a collection comes with, given what `group_photos` returned, and the
    subset of each photo; those of no subset are left out. Where it has no validation photos, or no
    test set beside them, a fifth of each class in train is held out to validate on, as the seed
    decides. Raises UserError where a class is missing in a subset.
    """
    photos = [photo for group in groups for photo in group]
    split = {
        subset: [photo for photo in photos if subset_of[photo.path] == subset] for subset in SUBSETS
    }
    if not any(split.values()):
        raise UserError("--use-split: no subsets such as train/ and test/ there; leave it out")
    notes = []
    if others := len(photos) - sum(map(len, split.values())):
        notes.append(f"{count(others, 'photo')} in no subset")
    if not split["unseen"]:
        split["unseen"], split["validation"] = split["validation"], []
        notes.append("there is no test set, so the validation set serves as such")
    if not split["validation"]:
        split |= _hold_out(groups, {*split["train"]}, seed)
        notes.append("validation photos are held out from train")
    for subset in SUBSETS[:3]:
        if lost := sorted({*list_classes(photos)} - {*list_classes(split[subset])}):
            raise UserError(
                f"--use-split: class {lost[0]!r} has no photo in {subset}; add some, or leave "
                "--use-split out"
            )
    sizes = ", ".join(f"{len(split[subset])} {subset}" for subset in SUBSETS[:3])
    print("; ".join([f"Split as it came: {sizes}", *notes]))
    _name_leaks(groups, split)
    return {subset: sort_photos(members) for subset, members in split.items()}


def _hold_out(groups: Groups, train: set[Photo], seed: int) -> Split:
    """Return train and validation in place of `train`."""
    inside = [[photo for photo in group if photo in train] for group in groups]
    line = line_up([group for group in inside if group], seed)
    counts = [Counter(photo.class_name for photo in group) for group in line]
    quotas = {
        # A class of large groups gives one of them.
        name: max(int(VALIDATION_SHARE * total), min(c[name] for c in counts if name in c))
        for name, total in sum(counts, Counter()).items()
    }
    split = fill_subsets(line, {"validation": quotas})
    return {subset: split[subset] for subset in ("train", "validation")}


def _name_leaks(groups: Groups, split: Split) -> None:
    """Name the photos of unseen that have a relative among those trained or validated on."""
    known, unseen = {*split["train"], *split["validation"]}, {*split["unseen"]}
    leaks = [
        f"{photo.path.name} like {seen[0].path.name}"
        for group in groups
        if (seen := [photo for photo in group if photo in known])
        for photo in group
        if photo in unseen
    ]
    if leaks:
        more = ", …" if len(leaks) > 3 else ""
        print(
            f"{len(leaks)} of {len(split['unseen'])} unseen photos have a near-duplicate in train "
            f"or validation, so their score is too good: {', '.join(leaks[:3])}{more}"
        )
