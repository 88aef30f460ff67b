"""Finds files that are broken, tiny or extreme."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from vision101.files import write_table
from vision101.photos.index import Photo
from vision101.photos.sources import PhotoSource

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


def write_file_problems(folder: Path, problems: list[FileProblem], source: PhotoSource) -> None:
    """Write `files.csv`, which after a review can be given to `--exclude`."""
    rows = [
        (source.place(problem.photo.path), problem.kind, problem.reason, problem.photo.sha256)
        for problem in problems
    ]
    write_table(folder / "files.csv", ("path", "problem", "reason", "sha256"), rows)
