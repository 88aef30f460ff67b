"""Finds duplicates: photos of the same picture, or nearly so."""

from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from vision101.photos.index import Photo

# Photos whose 256-bit difference hashes differ in at most so many bits count as one. On
# tf_flowers, all pairs up to 36 bits apart showed the same scene (recoloured, cropped or taken a
# moment later), and the closest pair of different scenes was 38 bits apart.
NEAR_DUPLICATE_BITS = 36

# And in at most this share of the rarer kind of bit in either hash. Things on a plain background
# have few bits that differ from it, and those must agree.
NEAR_DUPLICATE_SHARE = 0.4

# Cells of the table of distances that are computed at once: about 100 MB, however many photos.
BLOCK_CELLS = 4_000_000


def find_near_duplicates(photos: list[Photo]) -> Iterator[tuple[int, int]]:
    """Yield the pairs (first, second) of positions in `photos` that show the same picture."""
    hashes = np.array([list(bytes.fromhex(photo.perceptual_hash)) for photo in photos], np.uint8)
    words = hashes.view(np.uint64)
    ones = np.bitwise_count(words).sum(axis=1, dtype=np.int16)
    detail = np.minimum(ones, 256 - ones)
    rows = max(1, BLOCK_CELLS // max(1, len(words)))
    # Thousands of photos are compared in no time; only tens of thousands need a bar.
    starts = range(0, len(words), rows)
    for start in tqdm(starts, desc="Comparing photos", unit=" blocks", delay=1):
        block = words[start : start + rows]
        # Later rows only: each pair once.
        different_bits = sum(
            np.bitwise_count(block[:, None, column] ^ words[None, start:, column]).astype(np.uint16)
            for column in range(words.shape[1])
        )
        shared_detail = np.minimum(detail[start : start + rows, None], detail[None, start:])
        limit = np.minimum(NEAR_DUPLICATE_BITS, NEAR_DUPLICATE_SHARE * shared_detail)
        for row, column in np.argwhere(different_bits <= limit):
            if row < column:
                yield int(start + row), int(start + column)


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
