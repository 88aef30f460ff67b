"""Finds duplicates: photos of the same picture, or nearly so."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from tqdm import tqdm

from vision101.files import write_table
from vision101.photos.index import Photo
from vision101.photos.sources import PhotoSource

# Photos whose 256-bit difference hashes differ in at most so many bits count as one. On
# tf_flowers, all pairs up to 36 bits apart showed the same scene (recoloured, cropped or taken a
# moment later), and the closest pair of different scenes was 38 bits apart.
NEAR_DUPLICATE_BITS = 36

# And in at most this share of the rarer kind of bit in either hash. Things on a plain background
# have few bits that differ from it, and those must agree.
NEAR_DUPLICATE_SHARE = 0.4

# Cells of the table of distances that are computed at once: about 100 MB, however many photos.
BLOCK_CELLS = 4_000_000


class DuplicatePair(NamedTuple):
    """Two photos that show the same picture.

    Attributes:
        photo: The one that could be left out: that of fewer pixels.
        other: The other one.
        different_bits: How many of the 256 bits of their perceptual hashes differ.
    """

    photo: Photo
    other: Photo
    different_bits: int

    @property
    def across_classes(self) -> bool:
        """Whether they lie in different classes, so that one of the labels must be wrong."""
        return self.photo.class_name != self.other.class_name

    @property
    def identical(self) -> bool:
        """Whether the files are the same, byte for byte."""
        return self.photo.sha256 == self.other.sha256


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
    """Return the number of each photo's group: whoever resembles one of a group belongs to it.

    Args:
        photo_count: How many photos there are.
        pairs: What `find_near_duplicates` yielded.

    Returns:
        int array of shape (photo_count,), numbered from 0.
    """
    first, second = np.array(pairs, int).reshape(-1, 2).T
    resembles = coo_array((np.ones(len(pairs)), (first, second)), shape=(photo_count, photo_count))
    return connected_components(resembles, directed=False)[1]


def describe_duplicates(
    photos: list[Photo], positions: list[tuple[int, int]]
) -> list[DuplicatePair]:
    """Return duplicates as pairs: across classes first, then from the most alike on.

    Of each pair the first is the one of fewer pixels, by one order over all photos. So whoever
    leaves all first ones out keeps one of every picture.

    Args:
        photos: Readable photos.
        positions: The pairs of positions in it that `find_near_duplicates` yielded.
    """

    def worth(photo: Photo) -> tuple:
        return photo.width * photo.height, photo.size, photo.sha256, str(photo.path)

    pairs = []
    for first, second in positions:
        photo, other = sorted((photos[first], photos[second]), key=worth)
        different_bits = int(photo.perceptual_hash, 16) ^ int(other.perceptual_hash, 16)
        pairs.append(DuplicatePair(photo, other, different_bits.bit_count()))
    return sorted(
        pairs,
        key=lambda pair: (
            not pair.across_classes,
            not pair.identical,
            pair.different_bits,
            str(pair.photo.path),
        ),
    )


def write_duplicates(folder: Path, pairs: list[DuplicatePair], source: PhotoSource) -> None:
    """Write `duplicates.csv`, which after a review can be given to `--exclude`.

    `path` is the photo of fewer pixels, `other_path` the one that it resembles.
    """
    rows = [
        (
            source.place(pair.photo.path),
            pair.photo.class_name,
            source.place(pair.other.path),
            pair.other.class_name,
            pair.different_bits,
            pair.photo.sha256,
        )
        for pair in pairs
    ]
    header = ("path", "label", "other_path", "other_label", "different_bits", "sha256")
    write_table(folder / "duplicates.csv", header, rows)
