"""Finds duplicates: photos of the same picture, or nearly so, mirrored or turned perhaps."""

import itertools
from collections.abc import Iterator

import numpy as np

from vision101.photos.index import ORIENTATIONS, Photo
from vision101.terminal import ProgressBar

# Photos whose 256-bit difference hashes differ in at most so many bits count as one. On
# tf_flowers, all pairs up to 36 bits apart showed the same scene (recoloured, cropped or taken a
# moment later), and the closest pair of different scenes was 38 bits apart; 37, with one of them
# turned. Copies that were mirrored or turned, and saved with half the pixels, were all found; of
# those made 30 % brighter 98 %, of those that lost 3 % at each side only 20 %.
NEAR_DUPLICATE_BITS = 36

# And in at most this share of the rarer kind of bit in either hash. Things on a plain background
# have few bits that differ from it, and those must agree.
NEAR_DUPLICATE_SHARE = 0.4

# The hashes of all photos, each way round, are sorted so many times, each time by other bits, and
# compared with so many that follow (Charikar 2002, "Similarity estimation techniques from rounding
# algorithms", section 3). Of 1,000 pairs that were 36 bits apart, among 100,000 photos, none was
# missed; where thousands of photos look almost alike, some at the outskirts of that group may be.
ORDERS = 16
FOLLOWERS = 8
SORTED_BITS = 64

# In larger groups not all pairs are named: 10,000 photos that look alike make 50 million.
LARGEST_PAIRED_GROUP = 50


def find_near_duplicates(photos: list[Photo]) -> Iterator[tuple[int, int]]:
    """Yield the pairs (first, second) of positions in `photos`, first < second, that show the same
    picture, one of them mirrored or turned by a right angle perhaps. Of a group of over
    LARGEST_PAIRED_GROUP, its first photo with each other one.
    """
    content = bytes.fromhex("".join(photo.perceptual_hash for photo in photos))
    hashes = np.frombuffer(content, np.uint64).reshape(-1, ORIENTATIONS, 4)
    ones = np.bitwise_count(hashes[:, 0]).sum(axis=1, dtype=np.int16)
    limits = np.minimum(NEAR_DUPLICATE_BITS, NEAR_DUPLICATE_SHARE * np.minimum(ones, 256 - ones))
    # Which photo of a pair is turned must not depend on names.
    order = sorted(range(len(photos)), key=lambda position: photos[position].perceptual_hash)
    groups = np.empty(len(photos), int)
    groups[order] = _group_photos(hashes[order], limits[order])
    by_group = np.argsort(groups, kind="stable")
    ends = np.flatnonzero(np.diff(groups[by_group])) + 1
    for members in np.split(by_group, ends):
        if len(members) > LARGEST_PAIRED_GROUP:
            yield from ((int(members[0]), int(member)) for member in members[1:])
            continue
        for first, second in itertools.combinations(members.tolist(), 2):
            limit = min(limits[first], limits[second])
            if count_different_bits(photos[first], photos[second]) <= limit:
                yield first, second


def count_different_bits(photo: Photo, other: Photo) -> int:
    """Return in how many bits, 0-256, the hashes of two photos differ at least, when one of the two
    is mirrored or turned.
    """
    still, turned = sorted((photo.perceptual_hash, other.perceptual_hash))
    ways = (turned[start : start + 64] for start in range(0, len(turned), 64))
    return min((int(still[:64], 16) ^ int(way, 16)).bit_count() for way in ways)


def _group_photos(hashes: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Return the number of each photo's group, int (n,), by its hashes, uint64 (n, ORIENTATIONS,
    4), and how many bits another may differ from it, float (n,).
    """
    words = hashes.reshape(-1, 4)
    bits = np.unpackbits(words.view(np.uint8), axis=1)
    generator = np.random.default_rng(0)
    groups = np.arange(len(hashes))
    # Thousands of photos are compared in no time; only tens of thousands need a bar.
    for _ in ProgressBar(range(ORDERS), desc="Comparing photos", unit=" orders", delay=1):
        chosen = bits[:, generator.permutation(256)[:SORTED_BITS]]
        keys = np.ascontiguousarray(np.packbits(chosen, axis=1)).view(np.uint64)
        order = np.argsort(keys.ravel(), kind="stable")
        columns = words[order].T.copy()
        for step in range(1, FOLLOWERS + 1):
            different_bits = sum(
                np.bitwise_count(column[:-step] ^ column[step:]).astype(np.uint16)
                for column in columns
            )
            near = np.flatnonzero(different_bits <= NEAR_DUPLICATE_BITS)
            pairs = np.sort(np.stack([order[near], order[near + step]]) // ORIENTATIONS, axis=0)
            first, second = pairs[:, groups[pairs[0]] != groups[pairs[1]]]
            different_bits = np.bitwise_count(hashes[first, :1] ^ hashes[second]).sum(axis=2)
            alike = different_bits.min(axis=1) <= np.minimum(limits[first], limits[second])
            if alike.any():
                found = groups[np.stack([first, second], axis=1)[alike]]
                groups = number_groups(len(hashes), found)[groups]
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
