"""Which photos belong together: near-duplicates, and those of one plant, patient or video."""

import re
from collections import Counter, defaultdict

from vision101.errors import UserError
from vision101.photos.duplicates import NEAR_DUPLICATE_BITS, find_near_duplicates, number_groups
from vision101.photos.index import Photo

# Of a class with a group of more than this share, most photos look alike.
ALIKE_SHARE = 0.5

# So many pairs of near-duplicates across classes are no mistakes in labels any more.
MANY_PAIRS = 1000


def group_photos(
    photos: list[Photo],
    near_duplicate_bits: int = NEAR_DUPLICATE_BITS,
    keys: list[str] | None = None,
) -> list[list[Photo]]:
    """Return the groups of photos that must stay in one subset; most are of one photo.

    Args:
        photos: To be grouped. Identical files always belong together.
        near_duplicate_bits: In how many of 256 bits the hashes of near-duplicates may differ, at
            most NEAR_DUPLICATE_BITS; 0 for no near-duplicates.
        keys: For each photo, what it has in common with others of its group; "" for nothing.
    """
    pairs = []
    if near_duplicate_bits:
        hashes = [int(photo.perceptual_hash, 16) for photo in photos]
        pairs = [
            (first, second)
            for first, second in find_near_duplicates(photos)
            # The hash of a picture of one colour has no bits: all of them would be the same.
            if hashes[first] and (hashes[first] ^ hashes[second]).bit_count() <= near_duplicate_bits
        ]
        _hint_at_alike(photos, pairs)
    first_of = {}
    for position, photo in enumerate(photos):
        pairs.append((first_of.setdefault(photo.sha256, position), position))
        if keys and keys[position]:
            pairs.append((first_of.setdefault(("key", keys[position]), position), position))
    return _join_pairs(photos, pairs)


def _join_pairs(photos: list[Photo], pairs: list[tuple[int, int]]) -> list[list[Photo]]:
    groups = defaultdict(list)
    for photo, number in zip(photos, number_groups(len(photos), pairs), strict=True):
        groups[number].append(photo)
    return list(groups.values())


def find_keys(places: list[str], expression: str) -> list[str]:
    """Return what `--group-by` finds in the path of each photo; "" where it matches nothing. If the
    expression has groups, what they match counts, otherwise the whole match.

    Raises:
        UserError: It matches no path at all, or all photos alike.
    """
    matches = [re.search(expression, place) for place in places]
    keys = [
        "\0".join(part or "" for part in match.groups() or (match[0],)) if match else ""
        for match in matches
    ]
    count = len({*keys} - {""})
    if count < 2:
        raise UserError(
            f"--group-by {expression}: finds {count or 'no'} group in paths such as {places[0]}; "
            "correct the expression"
        )
    alone = f"; {keys.count('')} photos are in none" if "" in keys else ""
    print(f"Photos of one group stay together: {count} groups by {expression}{alone}")
    return keys


def _hint_at_alike(photos: list[Photo], pairs: list[tuple[int, int]]) -> None:
    """Say so where most of a class would count as one picture."""
    totals = Counter(photo.class_name for photo in photos)
    alike = [
        f"{count} of {totals[name]} photos of {name}"
        for group in sorted(_join_pairs(photos, pairs), key=len, reverse=True)
        for name, count in Counter(photo.class_name for photo in group).items()
        if count > max(2, ALIKE_SHARE * totals[name])
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
