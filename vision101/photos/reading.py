"""Reads photos: upright, in RGB, and several ahead of need."""

import contextlib
import itertools
import os
import struct
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

PHOTO_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")

# Pixels. Phones with 200 megapixels exist, where Pillow itself would label_issue an attack.
LARGEST_PHOTO = 300_000_000
Image.MAX_IMAGE_PIXELS = None

# Photos that are read ahead of need: enough to keep all cores busy, in a few tens of megabytes.
READ_AHEAD = 64

Item, Result = TypeVar("Item"), TypeVar("Result")


class UnreadablePhotoError(Exception):
    """A file that is no picture we can read; the message is the reason."""


def read_photo(file: Path | BinaryIO, least_size: int | None = None) -> Image.Image:
    """Read a photo as a person sees it: upright, in RGB, transparency on white.

    Args:
        file: Path, or a file opened for reading bytes. Of an animation, the first frame counts.
        least_size: If given, a large JPEG may come reduced, but with no side below twice this
            many pixels: resizing it further gives the same quality, much sooner.

    Raises:
        UnreadablePhotoError: It is no picture, or a damaged one.
    """
    try:
        with Image.open(file, formats=PHOTO_FORMATS) as image:
            if image.width * image.height > LARGEST_PHOTO:
                raise UnreadablePhotoError(
                    f"has more than {LARGEST_PHOTO // 1_000_000} megapixels; make it smaller"
                )
            if least_size is not None:
                image.draft(None, (2 * least_size, 2 * least_size))
            picture = _convert_to_rgb(image)
    except FileNotFoundError:
        raise UnreadablePhotoError("no such file") from None
    except Image.UnidentifiedImageError:
        raise UnreadablePhotoError("not a JPEG, PNG, WebP, BMP or GIF picture") from None
    # Pillow's decoders raise all of these on damaged files.
    except (
        OSError,
        ValueError,
        SyntaxError,
        TypeError,
        IndexError,
        EOFError,
        struct.error,
    ) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise UnreadablePhotoError(f"cannot be opened: {error.strerror}") from error
        raise UnreadablePhotoError(f"damaged picture: {error}") from error
    with contextlib.suppress(SyntaxError, ValueError, TypeError, KeyError, struct.error):
        # Where its EXIF is damaged, nobody can tell which way is up; the picture itself is fine.
        ImageOps.exif_transpose(picture, in_place=True)
    return picture


def _convert_to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # 16 bits of grey. Pillow would clip them to 255 rather than scale them.
        grey = np.asarray(image).astype(np.int64) >> 8
        converted = Image.fromarray(grey.clip(0, 255).astype(np.uint8)).convert("RGB")
    elif image.has_transparency_data:
        layer = image.convert("RGBA")
        converted = Image.new("RGBA", layer.size, "white")
        converted.alpha_composite(layer)
        converted = converted.convert("RGB")
    else:
        converted = image.convert("RGB")
    # What says which way is up, among others. Of a transparency that is gone Pillow would warn.
    converted.info = {key: value for key, value in image.info.items() if key != "transparency"}
    return converted


def read_pixels(file: Path | BinaryIO, image_size: int) -> np.ndarray:
    """Read a photo as every model here gets it: the largest centred square, resized.

    Returns:
        uint8 array of shape (image_size, image_size, 3), RGB, 0-255.

    Raises:
        UnreadablePhotoError: It is no picture, or a damaged one.
    """
    image = read_photo(file, least_size=image_size)
    square = ImageOps.fit(image, (image_size, image_size), Image.Resampling.LANCZOS)
    return np.asarray(square)


def read_ahead(
    read: Callable[[Item], Result], items: Sequence[Item], description: str, unit: str = " photos"
) -> Iterator[Result]:
    """Yield `read(item)` for each item, in order, on all cores, with a progress bar.

    Only a few items are ever read ahead of need, so memory stays small however many there are.
    """
    following = iter(items)
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        tqdm(total=len(items), desc=description, unit=unit, disable=not items) as progress,
    ):
        ahead = deque(pool.submit(read, item) for item in itertools.islice(following, READ_AHEAD))
        try:
            while ahead:
                result = ahead.popleft().result()
                ahead.extend(pool.submit(read, item) for item in itertools.islice(following, 1))
                progress.update()
                yield result
        finally:
            for future in ahead:  # after an error, nobody waits for these
                future.cancel()
