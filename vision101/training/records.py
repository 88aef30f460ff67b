"""Decoded photos that do not fit into memory: written to a file once, and read block by block."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from vision101.errors import UserError
from vision101.files import disk_errors

# Read at once: hard disks and networks are slow with smaller pieces, and of these 16 fit anywhere.
BLOCK_BYTES = 16 * 2**20
# Blocks whose photos are shuffled together. Photos lie in the file in no order of their own, so
# these few are as mixed as all of them.
SHUFFLED_BLOCKS = 16


class Records:
    """An array of photos, uint8 (photos, ...), in a file, which has no name and vanishes with the
    process. It gives what NumPy's arrays give for the same index, and never holds more than that.
    """

    def __init__(
        self,
        folder: Path,
        shape: tuple[int, ...],
        order: np.ndarray,
        decoded: Iterable[np.ndarray],
    ) -> None:
        """Write all photos to a file in `folder`. Raises UserError where the disk is full.

        Args:
            shape: (photos, ...).
            order: Positions of the photos in the order in which `decoded` gives them, int
                (photos,). To be shuffled well, it should have nothing to do with their classes.
        """
        self.shape, self.ndim, self.dtype = shape, len(shape), np.dtype(np.uint8)
        self._order, self._place_of = order, np.argsort(order)
        with disk_errors():
            folder.mkdir(parents=True, exist_ok=True)
            needed, free = int(np.prod(shape)), shutil.disk_usage(folder).free
            if needed > free:
                sizes = f"{needed / 1e9:.1f} GB, {free / 1e9:.1f} are free"
                raise UserError(f"decoded photos need {sizes} in {folder}; free some space there")
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (open for as long as this)
            # Written rather than mapped, so that a full disk is an error and no crash.
            for pixels in decoded:
                self._file.write(pixels.tobytes())
            self._file.flush()

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int | slice | np.ndarray | tuple) -> np.ndarray:
        """Return photos by their positions; of a tuple, the first one counts photos."""
        rows, *inner = index if isinstance(index, tuple) else (index,)
        positions = np.arange(len(self))[rows]
        if positions.ndim == 0:
            return self._read(self._place_of[positions], 1)[(0, *inner)]
        photos = np.empty((len(positions), *self.shape[1:]), self.dtype)
        for photo, place in zip(photos, self._place_of[positions], strict=True):
            photo[:] = self._read(place, 1)[0]
        return photos[(np.arange(len(photos)), *inner)] if inner else photos

    def shuffle(self, seed: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Yield each photo once, with its position, in an order that the seed decides: blocks of
        the file are drawn at random, and the photos of a few of them shuffled.
        """
        generator = np.random.default_rng(seed)
        block = max(1, BLOCK_BYTES // int(np.prod(self.shape[1:])))
        starts = generator.permutation(np.arange(0, len(self), block))
        for first in range(0, len(starts), SHUFFLED_BLOCKS):
            photos = []
            for start in starts[first : first + SHUFFLED_BLOCKS]:
                pixels = self._read(start, min(block, len(self) - start))
                photos += zip(self._order[start : start + block].tolist(), pixels, strict=True)
            for place in generator.permutation(len(photos)):
                position, pixels = photos[place]
                yield position, pixels.copy()  # a view would keep its whole block in memory

    def _read(self, start: int, count: int) -> np.ndarray:
        """Return photos from their places in the file."""
        shape = (count, *self.shape[1:])
        offset = int(start) * int(np.prod(self.shape[1:]))
        # Mapped only for as long as this: what stays mapped counts as the memory of the process.
        return np.array(np.memmap(self._file, self.dtype, "r", offset, shape))
