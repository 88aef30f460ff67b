"""Splits photos into train, validation, unseen and surplus: balanced, fair and repeatable."""

import csv
import hashlib
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from vision101.errors import UserError, shown_path
from vision101.files import read_table, write_table
from vision101.photos.duplicates import (
    NEAR_DUPLICATE_BITS,
    count_different_bits,
    find_near_duplicates,
    number_groups,
)
from vision101.photos.index import Photo, index_file
from vision101.photos.sources import PhotoSource
from vision101.terminal import count

# Photos that must stay together in one subset; most groups are of one.
Groups = list[list[Photo]]

# The photos of each subset. For cross-validation, all of them are in train and in unseen, and each
# is in one fold, too: `fold 1` and so on.
Split = dict[str, list[Photo]]

# In the order in which they are filled. What is in no earlier subset is surplus.
SUBSETS = ("validation", "train", "unseen", "surplus")

# Those that a model is evaluated on. Validation chose the best epoch; unseen (the test set) has the
# score to believe; surplus is what larger classes have left over.
EVALUATED_SUBSETS = ("validation", "unseen", "surplus")

# With fewer photos in a class, one of its subsets would be empty.
SMALLEST_CLASS = 7

# The article's shares: 80 % of the smallest class to learn from, a fifth of that to validate on.
POOL_SHARE = 0.8
VALIDATION_SHARE = 0.2

# Other orders that are tried, twice as many, where neither chance nor size gives a split.
ATTEMPTS = 40

# Of a class with a group of more than this share, most photos look alike.
ALIKE_SHARE = 0.5

# So many pairs of near-duplicates across classes are no mistakes in labels any more.
MANY_PAIRS = 1000

SPLIT_NAME = "split.csv"
COLUMNS = ("path", "label", "part", "sha256")


def split_photos(
    photos: list[Photo], seed: int, per_class: int | None = None, groups: Groups | None = None
) -> Split:
    """Split photos so that train, validation and unseen each hold as many of every class. Train and
    validation together hold `per_class` of each, or by default 80 % of the smallest class.

    The split depends on nothing but the photos' contents and classes, `seed`, `per_class` and
    `groups`: each photo's place in the line is a hash of its content and the seed. So neither names
    nor the order of files matter, and another photo moves at most a few others across a border.
    Photos of one group, by default identical and nearly identical ones, stay together in one
    subset. Raises UserError where a class is too small.
    """
    counts = Counter(photo.class_name for photo in photos)
    smallest, class_name = min((number, name) for name, number in counts.items())
    found = count(smallest, "photo")
    if smallest < SMALLEST_CLASS:
        raise UserError(
            f"--data: class {class_name!r} has {found}; it needs {SMALLEST_CLASS} or more"
        )
    pool = int(POOL_SHARE * smallest) if per_class is None else per_class
    if pool >= smallest:
        raise UserError(
            f"--per-class {pool}: class {class_name!r} has {found}, and some must stay "
            f"unseen; use at most {smallest - 1}"
        )
    validation = int(VALIDATION_SHARE * pool)
    quotas = {"validation": validation, "train": pool - validation, "unseen": smallest - pool}
    groups = group_photos(photos) if groups is None else groups
    line = line_up(groups, seed)
    # Large groups may come when there is no room for them any more. Then they go first. Where that
    # leaves too little for others, the orders of more seeds are tried, in the end those of the
    # first seeds: so every seed gives a split where one of these does.
    others = (*(f"{seed} {attempt}" for attempt in range(ATTEMPTS)), *range(ATTEMPTS))
    by_size = sorted(line, key=len, reverse=True)
    for order in itertools.chain((line, by_size), (line_up(groups, other) for other in others)):
        if split := _fill_evenly(order, quotas, counts):
            return {subset: sort_photos(photos) for subset, photos in split.items()}
    scattered = Counter(name for group in groups for name in {photo.class_name for photo in group})
    name = min(scattered, key=scattered.get)
    if per_class is not None:
        raise UserError(
            f"--per-class {pool}: leaves a subset without a photo of class {name!r}, since photos "
            f"of one group or picture stay together; try {int(POOL_SHARE * smallest)}, or leave it "
            "out"
        )
    raise UserError(
        f"--data: class {name!r} has too few different photos: most show the same, or belong to a "
        "few large groups; add others, remove the class, or, where a camera is fixed, use "
        "--near-duplicates 0"
    )


def find_key(place: str, expression: str) -> str:
    """Return what `--group-by` finds in the path of one photo; "" for nothing."""
    match = re.search(expression, place)
    return "\0".join(part or "" for part in match.groups() or (match[0],)) if match else ""


def group_photos(
    photos: list[Photo], near_bits: int = NEAR_DUPLICATE_BITS, keys: list[str] | None = None
) -> Groups:
    """Return the groups of photos: of identical files; of near-duplicates, whose hashes differ in
    at most `near_bits` of 256 bits (0 for none); and of photos of one key, if it is not "".
    """
    pairs = []
    if near_bits:
        pairs = [
            (first, second)
            for first, second in find_near_duplicates(photos)
            # The hash of a picture of one colour has no bits: all of them would be the same.
            if int(photos[first].perceptual_hash, 16)
            and count_different_bits(photos[first], photos[second]) <= near_bits
        ]
        _hint_at_alike(photos, pairs)
    first_of = {}
    for position, photo in enumerate(photos):
        pairs.append((first_of.setdefault(photo.sha256, position), position))
        if keys and keys[position]:
            pairs.append((first_of.setdefault(("key", keys[position]), position), position))
    return _join_pairs(photos, pairs)


def _join_pairs(photos: list[Photo], pairs: list[tuple[int, int]]) -> Groups:
    groups = defaultdict(list)
    for photo, number in zip(photos, number_groups(len(photos), pairs), strict=True):
        groups[number].append(photo)
    return list(groups.values())


def _hint_at_alike(photos: list[Photo], pairs: list[tuple[int, int]]) -> None:
    """Say so where most of a class would count as one picture."""
    totals = Counter(photo.class_name for photo in photos)
    alike = [
        f"{number} of {totals[name]} photos of {name}"
        for group in sorted(_join_pairs(photos, pairs), key=len, reverse=True)
        for name, number in Counter(photo.class_name for photo in group).items()
        if number > max(2, ALIKE_SHARE * totals[name])
    ]
    across = sum(photos[first].class_name != photos[second].class_name for first, second in pairs)
    if across >= MANY_PAIRS:
        alike.append(f"{across} pairs across classes")
    if alike:
        print(
            f"Hint: {', '.join(alike[:3])} look alike, and stay in one subset. By how much photos "
            "differ was learned from flowers; where a camera is fixed, --near-duplicates 0 keeps "
            "only identical files together."
        )


def line_up(groups: Groups, seed: int | str) -> Groups:
    """Return groups of photos in an order that only their contents and the seed decide."""

    def place_in_line(group: list[Photo]) -> str:
        return hashlib.sha256(f"{seed} {min(photo.sha256 for photo in group)}".encode()).hexdigest()

    return sorted(groups, key=place_in_line)


def fill_subsets(line: Groups, quotas: dict[str, Mapping[str, int]]) -> Split:
    """Put each group, first come, first served, into the first subset that has room for it: for so
    many photos of each class as its quotas say; one without takes all.
    """
    split = {subset: [] for subset in SUBSETS}
    held = {subset: Counter() for subset in SUBSETS}
    for group in line:
        needed = Counter(photo.class_name for photo in group)
        for subset in SUBSETS:
            room = quotas.get(subset)
            if not room or all(held[subset][name] + needed[name] <= room[name] for name in needed):
                split[subset] += group
                held[subset].update(needed)
                break
    return split


def _fill_evenly(line: Groups, quotas: dict[str, int], class_names: Iterable[str]) -> Split:
    """Return a split as even as can be; {} if a subset would lack a class."""
    while all(quotas.values()):
        split = fill_subsets(line, {of: dict.fromkeys(class_names, quotas[of]) for of in quotas})
        held = {of: Counter(photo.class_name for photo in split[of]) for of in quotas}
        # A class of large groups may leave a subset short by a few: the other classes follow it.
        reached = {of: min(held[of][name] for name in class_names) for of in quotas}
        if reached == quotas:
            return split
        quotas = reached
    return {}


def list_folds(split: Split) -> list[str]:
    """Return the names of the folds of a split for cross-validation, in order; of others, none."""
    return sorted({*split} - {*SUBSETS}, key=lambda name: (len(name), name))


def join_folds(folds: Split) -> Split:
    """Return the split for cross-validation: all photos train the model that is saved, and each is
    unseen by the model that scores its fold.
    """
    photos = sort_photos([photo for members in folds.values() for photo in members])
    return {"validation": [], "train": photos, "unseen": photos, "surplus": []} | folds


def sort_photos(photos: list[Photo]) -> list[Photo]:
    """Return photos in the order of a subset: by class, then content."""
    return sorted(photos, key=lambda photo: (photo.class_name, photo.sha256, str(photo.path)))


def write_split(run_folder: Path, split: Split, source: PhotoSource) -> None:
    """Write `split.csv`: path (below the source's folder), label, part and sha256 of all photos.
    The part is the subset, or the fold.
    """
    rows = sorted(
        (source.place(photo.path), photo.class_name, subset, photo.sha256)
        for subset in list_folds(split) or SUBSETS
        for photo in split[subset]
    )
    write_table(run_folder / SPLIT_NAME, COLUMNS, rows)


def read_split(run_folder: Path, photos: list[Photo], source: PhotoSource) -> Split:
    """Read back what `write_split` wrote, given the readable photos of the source; those that a
    list added lie elsewhere. What is gone or was changed is named, and left out. Raises UserError
    where `split.csv` is missing or damaged.
    """
    known = {source.place(photo.path): photo for photo in photos}
    split = {subset: [] for subset in SUBSETS}
    path = run_folder / SPLIT_NAME
    white = max((photo.white for photo in photos), default=0)  # of added ones too
    try:
        for place, label, subset, sha256 in read_table(path, COLUMNS):
            photo = known.get(place) or index_file(Path(place), label)
            if photo.problem or photo.sha256 != sha256:
                print(f"Left out: {place}: missing, or changed since the run started")
            else:
                own = white if photo.white else 0
                if re.fullmatch("fold [0-9]+", subset):
                    split.setdefault(subset, [])
                split[subset].append(replace(photo, class_name=label, white=own))
    except (OSError, LookupError, ValueError, csv.Error) as error:
        raise UserError(f"{shown_path(path)}: missing or damaged ({error}); train again") from error
    split = {subset: sort_photos(members) for subset, members in split.items()}
    folds = {fold: split[fold] for fold in list_folds(split)}
    return join_folds(folds) if folds else split


def hash_split(split: Split) -> str:
    """Return a hash of the photos and labels to evaluate on: where it is equal, scores compare."""
    digest = hashlib.sha256()
    for subset in (*EVALUATED_SUBSETS, *list_folds(split)):
        for photo in split[subset]:
            digest.update(f"{subset} {photo.class_name} {photo.sha256}\n".encode())
    return digest.hexdigest()
