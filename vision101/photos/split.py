"""Splits photos into train, validation, unseen and surplus: balanced, fair and repeatable."""

import csv
import hashlib
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

from vision101.errors import UserError, shown_path
from vision101.files import read_table, write_table
from vision101.photos.duplicates import find_near_duplicates, number_groups
from vision101.photos.index import Photo, index_file
from vision101.photos.sources import PhotoSource

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


def split_photos(
    photos: list[Photo], seed: int, per_class: int | None = None
) -> dict[str, list[Photo]]:
    """Split photos so that train, validation and unseen each hold as many of every class. Train and
    validation together hold `per_class` of each, or by default 80 % of the smallest class.

    The split depends on nothing but the photos' contents and classes, `seed` and `per_class`:
    each photo's place in the line is a hash of its content and the seed. So neither names nor
    the order of files matter, and another photo moves at most a few others across a border.
    Identical and nearly identical photos stay together in one subset. Raises UserError where a
    class is too small.
    """
    counts = Counter(photo.class_name for photo in photos)
    smallest, class_name = min((count, name) for name, count in counts.items())
    if smallest < SMALLEST_CLASS:
        raise UserError(
            f"--data: class {class_name!r} has {smallest} photos; it needs {SMALLEST_CLASS} or more"
        )
    pool = int(POOL_SHARE * smallest) if per_class is None else per_class
    if pool >= smallest:
        raise UserError(
            f"--per-class {pool}: class {class_name!r} has {smallest} photos, and some must stay "
            f"unseen; use at most {smallest - 1}"
        )
    validation = int(VALIDATION_SHARE * pool)
    quotas = {"validation": validation, "train": pool - validation, "unseen": smallest - pool}
    groups = defaultdict(list)
    group_of = number_groups(len(photos), list(find_near_duplicates(photos)))
    for photo, group in zip(photos, group_of, strict=True):
        groups[group].append(photo)

    def place_in_line(group: list[Photo]) -> str:
        return hashlib.sha256(f"{seed} {min(photo.sha256 for photo in group)}".encode()).hexdigest()

    line = sorted(groups.values(), key=place_in_line)
    while True:
        split, held = _fill_subsets(line, quotas)
        # A class of large groups may leave a subset short by a few: the other classes follow it.
        reached = {subset: min(held[subset][name] for name in counts) for subset in quotas}
        if reached == quotas:
            return {subset: sort_photos(photos) for subset, photos in split.items()}
        if 0 in reached.values():
            empty = held[min(reached, key=reached.get)]
            raise UserError(
                f"--data: class {min(counts, key=empty.__getitem__)!r} has too few different "
                "photos: most show the same; add others or remove the class"
            )
        quotas = reached


def _fill_subsets(groups: list[list[Photo]], quotas: dict[str, int]) -> tuple[dict, dict]:
    """Return the photos in each subset, and how many of each class they are."""
    split = {subset: [] for subset in SUBSETS}
    held = {subset: Counter() for subset in SUBSETS}
    for group in groups:
        needed = Counter(photo.class_name for photo in group)
        for subset in SUBSETS:
            quota = quotas.get(subset, float("inf"))
            if all(held[subset][name] + count <= quota for name, count in needed.items()):
                split[subset] += group
                held[subset].update(needed)
                break
    return split, held


def sort_photos(photos: list[Photo]) -> list[Photo]:
    """Return photos in the order of a subset: by class, then content."""
    return sorted(photos, key=lambda photo: (photo.class_name, photo.sha256, str(photo.path)))


def write_split(run_folder: Path, split: dict[str, list[Photo]], source: PhotoSource) -> None:
    """Write `split.csv`: path (below the source's folder), label, part and sha256 of all photos."""
    rows = sorted(
        (source.place(photo.path), photo.class_name, subset, photo.sha256)
        for subset in SUBSETS
        for photo in split[subset]
    )
    write_table(run_folder / "split.csv", ("path", "label", "part", "sha256"), rows)


def read_split(
    run_folder: Path, photos: list[Photo], source: PhotoSource
) -> tuple[dict[str, list[Photo]], list[str]]:
    """Read back what `write_split` wrote.

    Args:
        run_folder: Folder of the run.
        photos: The readable photos of the source. Those that a list added lie elsewhere.
        source: Where the photos came from.

    Returns:
        The split, and the paths of photos that are gone or were changed, and so are left out.

    Raises:
        UserError: `split.csv` is missing or damaged.
    """
    known = {source.place(photo.path): photo for photo in photos}
    split, missing = {subset: [] for subset in SUBSETS}, []
    path = run_folder / "split.csv"
    try:
        for place, label, subset, sha256 in read_table(path, ("path", "label", "part", "sha256")):
            photo = known.get(place) or index_file(Path(place), label)
            if photo.problem or photo.sha256 != sha256:
                missing.append(place)
            else:
                split[subset].append(replace(photo, class_name=label))
    except (OSError, LookupError, ValueError, csv.Error) as error:
        raise UserError(f"{shown_path(path)}: missing or damaged ({error}); train again") from error
    return {subset: sort_photos(members) for subset, members in split.items()}, missing


def hash_split(split: dict[str, list[Photo]]) -> str:
    """Return a hash of the photos and labels to evaluate on: where it is equal, scores compare."""
    digest = hashlib.sha256()
    for subset in EVALUATED_SUBSETS:
        for photo in split[subset]:
            digest.update(f"{subset} {photo.class_name} {photo.sha256}\n".encode())
    return digest.hexdigest()
