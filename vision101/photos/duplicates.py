"""Finds duplicates: photos of the same picture, or nearly so."""

import itertools
from collections.abc import Iterator

import numpy as np

from vision101.photos.index import Photo
from vision101.terminal import ProgressBar

# Photos whose 256-bit difference hashes differ in at most so many bits count as one. On
# tf_flowers, all pairs up to 36 bits apart showed the same scene (recoloured, cropped or taken a
# moment later), and the closest pair of different scenes was 38 bits apart.
NEAR_DUPLICATE_BITS = 36

# And in at most this share of the rarer kind of bit in either hash. Things on a plain background
# have few bits that differ from it, and those must agree.
NEAR_DUPLICATE_SHARE = 0.4

# Up to so many photos, all are compared with all, which takes a second or two. It would take 100 s
# for 100,000 and four times that for twice as many.
EXACT_COUNT = 10_000

# More are sorted so many times, each time by other bits of their hashes, and compared with so many
# that follow. Of 100,000, two that are 36 bits apart come close enough in one of eight orders: one
# such pair in 30 million is missed, and of nearer pairs still fewer; where thousands of photos look
# almost alike, more at the outskirts of that group (Charikar 2002, "Similarity estimation
# techniques from rounding algorithms", section 3).
ORDERS = 128
FOLLOWERS = 8
SORTED_BITS = 64

# In larger groups not all pairs are named: 10,000 photos that look alike make 50 million.
LARGEST_PAIRED_GROUP = 50


def find_near_duplicates(photos: list[Photo]) -> Iterator[tuple[int, int]]:
    """Yield the pairs (first, second) of positions in `photos`, first < second, that show the same
    picture. Of a group of over LARGEST_PAIRED_GROUP, its first photo with each other one.
    """
    hashes = np.array([list(bytes.fromhex(photo.perceptual_hash)) for photo in photos], np.uint8)
    words = hashes.reshape(-1, 32).view(np.uint64)
    ones = np.bitwise_count(words).sum(axis=1, dtype=np.int16)
    limits = np.minimum(NEAR_DUPLICATE_BITS, NEAR_DUPLICATE_SHARE * np.minimum(ones, 256 - ones))
    groups = _group_photos(words, limits)
    by_group = np.argsort(groups, kind="stable")
    ends = np.flatnonzero(np.diff(groups[by_group])) + 1
    for members in np.split(by_group, ends):
        if len(members) > LARGEST_PAIRED_GROUP:
            yield from ((int(members[0]), int(member)) for member in members[1:])
            continue
        for first, second in itertools.combinations(members.tolist(), 2):
            different_bits = np.bitwise_count(words[first] ^ words[second]).sum(dtype=int)
            if different_bits <= min(limits[first], limits[second]):
                yield first, second


def _group_photos(words: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Return the number of each photo's group, int (n,), by its hash, uint64 (n, 4), and how many
    bits another may differ from it, float (n,).
    """
    count = len(words)
    exact = count <= EXACT_COUNT
    orders, followers = (1, count - 1) if exact else (ORDERS, FOLLOWERS)
    bits = np.unpackbits(words.view(np.uint8), axis=1)
    generator = np.random.default_rng(0)
    groups = np.arange(count)
    # Thousands of photos are compared in no time; only tens of thousands need a bar.
    for _ in ProgressBar(range(orders), desc="Comparing photos", unit=" orders", delay=1):
        chosen = bits[:, generator.permutation(256)[:SORTED_BITS]]
        keys = np.ascontiguousarray(np.packbits(chosen, axis=1)).view(np.uint64)
        order = np.argsort(keys.ravel(), kind="stable")
        columns = words[order].T.copy()
        for step in range(1, followers + 1):
            different_bits = sum(
                np.bitwise_count(column[:-step] ^ column[step:]).astype(np.uint16)
                for column in columns
            )
            near = np.flatnonzero(different_bits <= NEAR_DUPLICATE_BITS)
            first, second = order[near], order[near + step]
            alike = different_bits[near] <= np.minimum(limits[first], limits[second])
            pairs = groups[np.stack([first, second], axis=1)[alike]]
            if (pairs[:, 0] != pairs[:, 1]).any():
                groups = number_groups(count, pairs)[groups]
    return groups


def number_groups(photo_count: int, pairs: list[tuple[int, int]]) -> np.ndarray:
    """Return the number, from 0, of each photo's group, int (photo_count,): by the pairs that
    `find_near_duplicates` yielded, whoever resembles one of a group belongs to it.
    """
    # SciPy's graphs take 0.2 CPU seconds to import, which --help need not wait for.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first, second = np.array(pairs, int).reshape(-1, 2).T
    resembles = coo_array((np.ones(len(pairs)), (first, second)), shape=(photo_count, photo_count))
    return connected_components(resembles, directed=False)[1]
