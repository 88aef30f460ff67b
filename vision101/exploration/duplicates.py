"""Describes the duplicates among photos for a person to review."""

from pathlib import Path
from typing import NamedTuple

from vision101.files import write_table
from vision101.photos.duplicates import count_different_bits
from vision101.photos.index import Photo
from vision101.photos.sources import PhotoSource


class DuplicatePair(NamedTuple):
    """Two photos that show the same picture."""

    photo: Photo  # the one that could be left out: that of fewer pixels
    other: Photo
    different_bits: int  # of the 256 bits of their perceptual hashes

    @property
    def across_classes(self) -> bool:
        """Whether they lie in different classes, so that one of the labels must be wrong."""
        return self.photo.class_name != self.other.class_name

    @property
    def identical(self) -> bool:
        """Whether the files are the same, byte for byte."""
        return self.photo.sha256 == self.other.sha256


def describe_duplicates(
    photos: list[Photo], positions: list[tuple[int, int]]
) -> list[DuplicatePair]:
    """Return what `find_near_duplicates` found: across classes first, then from the most alike on.

    Plain pictures of different colours are no duplicates: they look alike to a perceptual hash,
    which tells brighter from darker. Of each pair the first is the one of fewer pixels, by one
    order over all photos. So whoever leaves all first ones out keeps one of every picture.
    """

    def worth(photo: Photo) -> tuple:
        return photo.width * photo.height, photo.size, photo.sha256, str(photo.path)

    def urgency(pair: DuplicatePair) -> tuple:
        path = str(pair.photo.path)
        return not pair.across_classes, not pair.identical, pair.different_bits, path

    pairs = []
    for first, second in positions:
        photo, other = sorted((photos[first], photos[second]), key=worth)
        pair = DuplicatePair(photo, other, count_different_bits(photo, other))
        if pair.identical or set(photo.perceptual_hash) not in ({"0"}, {"f"}):
            pairs.append(pair)
    return sorted(pairs, key=urgency)


def write_duplicates(folder: Path, pairs: list[DuplicatePair], source: PhotoSource) -> None:
    """Write `duplicates.csv`, which after a review can be given to `--exclude`: in `path` is the
    photo of fewer pixels, in `other_path` the one that it resembles.
    """
    header = ("path", "label", "other_path", "other_label", "different_bits", "sha256")
    rows = []
    for photo, other, different_bits in pairs:
        first, second = ((source.place(each.path), each.class_name) for each in (photo, other))
        rows.append((*first, *second, different_bits, photo.sha256))
    write_table(folder / "duplicates.csv", header, rows, "utf-8-sig")
