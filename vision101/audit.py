"""Finds files that are broken, tiny or extreme, and photos that are there twice."""

import operator
from pathlib import Path
from typing import NamedTuple

from vision101.files import write_table
from vision101.photos import Photo
from vision101.sources import PhotoSource

import numpy as np

# Longer side over shorter. Of such a photo, the centred square shows less than a third.
EXTREME_SHAPE = 3.0

# Enlarging a photo by more than this invents most of what a network would see.
LARGEST_ENLARGEMENT = 2.0

# Standard deviation of lightness (L*, 0-100) of a photo that shows nothing but a plain area.
PLAIN_CONTRAST = 2.0


class FileProblem(NamedTuple):
    """A file that a person should look at.

    Attributes:
        photo: The file.
        kind: `broken` (it is left out of training), `tiny`, `extreme shape` or `plain`.
        reason: Why, in words.
    """

    photo: Photo
    kind: str
    reason: str


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


def find_file_problems(
    files: list[Photo], photos: list[Photo], contrast: np.ndarray, image_size: int
) -> list[FileProblem]:
    """List broken, tiny, extreme and plain files, in this order.

    Args:
        files: All files, what `index_files` returned.
        photos: The readable photos.
        contrast: float (photos,): standard deviation of lightness L* of the photos.
        image_size: Side of the square that training makes of each photo, in pixels.
    """
    problems = [FileProblem(file, "broken", file.problem) for file in files if file.problem]
    for photo in photos:
        enlargement = image_size / min(photo.width, photo.height)
        if enlargement > LARGEST_ENLARGEMENT:
            size = f"{photo.width} x {photo.height} pixels"
            reason = f"{size}, enlarged {enlargement:.1f} times to {image_size}"
            problems.append(FileProblem(photo, "tiny", reason))
    for photo in photos:
        longer, shorter = max(photo.width, photo.height), min(photo.width, photo.height)
        if longer > EXTREME_SHAPE * shorter:
            reason = (
                f"{photo.width} x {photo.height} pixels, of which the centred square shows "
                f"{100 * shorter / longer:.0f} %"
            )
            problems.append(FileProblem(photo, "extreme shape", reason))
    for photo, spread in zip(photos, contrast, strict=True):
        if spread < PLAIN_CONTRAST:
            reason = f"lightness varies by {spread:.1f} of 100 only"
            problems.append(FileProblem(photo, "plain", reason))
    return problems


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
        hashes = (int(one.perceptual_hash, 16) for one in (photo, other))
        pairs.append(DuplicatePair(photo, other, operator.xor(*hashes).bit_count()))
    return sorted(
        pairs,
        key=lambda pair: (
            not pair.across_classes,
            not pair.identical,
            pair.different_bits,
            str(pair.photo.path),
        ),
    )


def write_file_problems(folder: Path, problems: list[FileProblem], source: PhotoSource) -> None:
    """Write `files.csv`, which after a review can be given to `--exclude`."""
    rows = [
        (_relative(problem.photo, source), problem.kind, problem.reason, problem.photo.sha256)
        for problem in problems
    ]
    write_table(folder / "files.csv", ("path", "problem", "reason", "sha256"), rows)


def write_duplicates(folder: Path, pairs: list[DuplicatePair], source: PhotoSource) -> None:
    """Write `duplicates.csv`, which after a review can be given to `--exclude`.

    `path` is the photo of fewer pixels, `other_path` the one that it resembles.
    """
    rows = [
        (
            _relative(pair.photo, source),
            pair.photo.class_name,
            _relative(pair.other, source),
            pair.other.class_name,
            pair.different_bits,
            pair.photo.sha256,
        )
        for pair in pairs
    ]
    header = ("path", "label", "other_path", "other_label", "different_bits", "sha256")
    write_table(folder / "duplicates.csv", header, rows)


def _relative(photo: Photo, source: PhotoSource) -> str:
    return photo.path.relative_to(source.folder).as_posix()
