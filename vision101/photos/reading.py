"""Reads photos: upright, in RGB, and several ahead of need."""

import contextlib
import io
import itertools
import os
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

PHOTO_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")

# Phones with 200 megapixels exist, where Pillow would report an attack.
LARGEST_MEGAPIXELS = 300
_pillow_limit_lock = threading.Lock()

# What Pillow's decoders raise on damaged files.
DAMAGE_ERRORS = (OSError, ValueError, SyntaxError, TypeError, LookupError, EOFError, struct.error)

# Photos that are read ahead of need: enough to keep all cores busy, in a few tens of megabytes.
READ_AHEAD = 64


class UnreadablePhotoError(Exception):
    """A file that is no picture we can read; the message is the reason."""


def read_file(path: Path) -> io.BytesIO:
    """Return the content of a file as a file in memory, or raise UnreadablePhotoError."""
    try:
        return io.BytesIO(path.read_bytes())
    except FileNotFoundError:
        raise UnreadablePhotoError("no such file") from None
    except OSError as error:
        raise UnreadablePhotoError(f"cannot be opened: {error.strerror}") from error


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
        with _open_image(read_file(file) if isinstance(file, Path) else file) as image:
            if image.width * image.height > LARGEST_MEGAPIXELS * 1e6:
                raise UnreadablePhotoError(f"has over {LARGEST_MEGAPIXELS} megapixels; reduce it")
            if least_size is not None:
                image.draft(None, (2 * least_size, 2 * least_size))
            picture = _convert_to_rgb(image)
    except Image.UnidentifiedImageError:
        raise UnreadablePhotoError("not a JPEG, PNG, WebP, BMP or GIF picture") from None
    except DAMAGE_ERRORS as error:
        raise UnreadablePhotoError(f"damaged picture: {error}") from error
    with contextlib.suppress(*DAMAGE_ERRORS):
        # Where its EXIF is damaged, nobody can tell which way is up; the picture itself is fine.
        ImageOps.exif_transpose(picture, in_place=True)
    return picture


def _open_image(file: BinaryIO) -> Image.Image:
    # Pillow's limit is the whole process's: lift it while the header is read, one thread at a time.
    with _pillow_limit_lock:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(file, formats=PHOTO_FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _convert_to_rgb(image: Image.Image) -> Image.Image:
    opaque = image
    if image.mode.startswith("I"):
        # 16 bits of grey. Pillow would clip them to 255 rather than scale them.
        opaque = Image.fromarray((np.asarray(image, int) >> 8).clip(0, 255).astype(np.uint8))
    elif image.has_transparency_data:
        opaque = Image.new("RGBA", image.size, "white")
        opaque.alpha_composite(image.convert("RGBA"))
    converted = opaque.convert("RGB")
    # What says which way is up, among others. Of a transparency that is gone Pillow would warn.
    converted.info = {key: value for key, value in image.info.items() if key != "transparency"}
    return converted


def read_pixels(file: Path | BinaryIO, image_size: int) -> np.ndarray:
    """Return a photo as every model here gets it: the largest centred square, resized to a uint8
    array (image_size, image_size, 3), RGB, 0-255. Raises what `read_photo` raises.
    """
    image = read_photo(file, least_size=image_size)
    return np.asarray(ImageOps.fit(image, (image_size, image_size), Image.Resampling.LANCZOS))


def read_ahead(
    read: Callable, items: Sequence, description: str, unit: str = " photos"
) -> Iterator:
    """Yield `read(item)` of each item, in order, on all cores, few ahead, with a progress bar."""
    following, pool = iter(items), ThreadPoolExecutor(os.cpu_count())
    ahead = deque(pool.submit(read, item) for item in itertools.islice(following, READ_AHEAD))
    try:
        with tqdm(total=len(items), desc=description, unit=unit, disable=not items) as progress:
            while ahead:
                result = ahead.popleft().result()
                ahead.extend(pool.submit(read, item) for item in itertools.islice(following, 1))
                progress.update()
                yield result
    finally:
        pool.shutdown(cancel_futures=True)  # after an error, nobody waits for what is ahead
