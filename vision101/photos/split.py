"""Splits photos into train, validation, unseen and surplus: balanced, fair and repeatable."""

import hashlib
from collections import Counter, defaultdict
from pathlib import Path

from vision101.errors import UserError
from vision101.files import write_table
from vision101.photos.duplicates import find_near_duplicates, number_groups
from vision101.photos.index import Photo
from vision101.photos.sources import PhotoSource

# In the order in which they are filled. What is in no earlier part is surplus.
SUBSETS = ("validation", "train", "unseen", "surplus")

# Those that a model is evaluated on. Validation chose the best epoch; unseen has the score to
# believe; surplus is what larger classes have left over.
EVALUATED_SUBSETS = ("validation", "unseen", "surplus")

# With fewer photos in a class, one of its parts would be empty.
SMALLEST_CLASS = 7

# The article's shares: 80 % of the smallest class to learn from, a fifth of that to validate on.
POOL_SHARE = 0.8
VALIDATION_SHARE = 0.2


def split_photos(
    photos: list[Photo], seed: int, per_class: int | None = None
) -> dict[str, list[Photo]]:
    """Split photos so that train, validation and unseen each hold as many of every class.

    The split depends on nothing but the photos' contents and classes, `seed` and `per_class`:
    each photo's place in the line is a hash of its content and the seed. So neither names nor
    the order of files matter, and another photo moves at most a few others across a border.
    Identical and nearly identical photos stay together in one part.

    Args:
        photos: Readable photos of at least two classes.
        seed: Another seed gives another split.
        per_class: Photos of each class for train and validation together; by default 80 % of
            the smallest class.

    Returns:
        For each name in `SUBSETS` its photos, sorted by class and content.

    Raises:
        UserError: A class is too small.
    """
    counts = Counter(photo.class_name for photo in photos)
    smallest_class, smallest_count = min(counts.items(), key=lambda item: (item[1], item[0]))
    pool = int(POOL_SHARE * smallest_count) if per_class is None else per_class
    validation = int(VALIDATION_SHARE * pool)
    if smallest_count < SMALLEST_CLASS:
        raise UserError(
            f"--data: class {smallest_class!r} has {smallest_count} photos, too few to train, "
            f"validate and judge on; add some, up to at least {SMALLEST_CLASS}, or remove the class"
        )
    if pool >= smallest_count:
        raise UserError(
            f"--per-class {pool}: class {smallest_class!r} has {smallest_count} photos, and some "
            f"must stay unseen; use at most {smallest_count - 1}"
        )

    groups = _group_duplicates(photos)
    groups.sort(key=lambda group: _place_in_line(group, seed))
    quotas = {
        "validation": validation,
        "train": pool - validation,
        "unseen": smallest_count - pool,
        "surplus": len(photos),
    }
    while True:
        split = _fill_parts(groups, quotas)
        # A class made of large groups may leave a part short by a few: the others follow it.
        reached = {
            part: min(Counter(photo.class_name for photo in split[part])[name] for name in counts)
            for part in SUBSETS[:-1]
        }
        if all(reached[part] == quotas[part] for part in reached):
            break
        for part, count in reached.items():
            if count == 0:
                held = Counter(photo.class_name for photo in split[part])
                class_name = min(counts, key=lambda name: held[name])
                raise UserError(
                    f"--data: class {class_name!r} has too few different photos to train, validate "
                    "and judge on: most of them show the same; add others or remove the class"
                )
        quotas |= reached
    for part in SUBSETS:
        split[part].sort(key=lambda photo: (photo.class_name, photo.sha256, str(photo.path)))
    return split


def _place_in_line(group: list[Photo], seed: int) -> str:
    content = min(photo.sha256 for photo in group)
    return hashlib.sha256(f"{seed} {content}".encode()).hexdigest()


def _fill_parts(groups: list[list[Photo]], quotas: dict[str, int]) -> dict[str, list[Photo]]:
    split = {part: [] for part in SUBSETS}
    room = {part: defaultdict(lambda part=part: quotas[part]) for part in SUBSETS}
    for group in groups:
        needed = Counter(photo.class_name for photo in group)
        for part in SUBSETS:
            if all(room[part][name] >= count for name, count in needed.items()):
                split[part] += group
                for name, count in needed.items():
                    room[part][name] -= count
                break
    return split


def _group_duplicates(photos: list[Photo]) -> list[list[Photo]]:
    """Return the photos in groups: whoever resembles one of a group belongs to it."""
    group_of = number_groups(len(photos), list(find_near_duplicates(photos)))
    groups = [[] for _ in range(max(group_of) + 1)]
    for photo, group in zip(photos, group_of, strict=True):
        groups[group].append(photo)
    return groups


def write_split(run_folder: Path, split: dict[str, list[Photo]], source: PhotoSource) -> None:
    """Write `split.csv`: path (below the source's folder), label, part and sha256 of all photos."""
    rows = sorted(
        (source.place(photo.path), photo.class_name, part, photo.sha256)
        for part in SUBSETS
        for photo in split[part]
    )
    write_table(run_folder / "split.csv", ("path", "label", "part", "sha256"), rows)


def hash_split(split: dict[str, list[Photo]]) -> str:
    """Return a hash of which content is in which part that a model is judged on: where it is
    equal, scores compare, whatever the models were trained on.
    """
    digest = hashlib.sha256()
    for part in SUBSETS:
        if part == "train":
            continue
        for photo in split[part]:
            digest.update(f"{part} {photo.class_name} {photo.sha256}\n".encode())
    return digest.hexdigest()
