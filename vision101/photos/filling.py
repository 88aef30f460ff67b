"""Fills the subsets of a split with groups of photos, first come, first served."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

from vision101.photos.index import Photo

# In the order in which they are filled. What is in no earlier subset is surplus.
SUBSETS = ("validation", "train", "unseen", "surplus")


def line_up(photos: list[Photo], groups: Sequence[int], seed: int | str) -> list[list[Photo]]:
    """Return groups of photos in an order that only their contents and the seed decide."""
    members = defaultdict(list)
    for photo, group in zip(photos, groups, strict=True):
        members[group].append(photo)

    def place_in_line(group: list[Photo]) -> str:
        return hashlib.sha256(f"{seed} {min(photo.sha256 for photo in group)}".encode()).hexdigest()

    return sorted(members.values(), key=place_in_line)


def fill_evenly(
    line: list[list[Photo]], quotas: dict[str, int], names: list[str]
) -> tuple[dict[str, list[Photo]], tuple[str, str]]:
    """Return a split as even as can be; or {}, and which subset lacks which class."""
    while True:
        split, held = _fill_subsets(line, quotas)
        # A class of large groups may leave a subset short by a few: the other classes follow it.
        reached = {subset: min(held[subset][name] for name in names) for subset in quotas}
        if 0 in reached.values():
            subset = min(reached, key=reached.get)
            return {}, (subset, min(names, key=held[subset].__getitem__))
        if reached == quotas:
            return split, ()
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
