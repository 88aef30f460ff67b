"""Reads photos: upright, in RGB, and several ahead of need."""

import contextlib
import functools
import io
import itertools
import os
import stat
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from vision101.photos.kinds import describe_content
from vision101.terminal import ProgressBar

# What Pillow opens; HEIC and HEIF come from pi-heif.
PILLOW_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF")
READABLE = "JPEG, PNG, WebP, BMP, GIF, TIFF, AVIF or HEIC picture"

# Larger pictures are refused before they are decoded, or a few hundred bytes could ask for
# gigabytes; and so are those that would take more than an eighth of the memory.
LARGEST_MEGAPIXELS = 120
LARGEST_FILE_BYTES = 2**30
BYTES_PER_PIXEL = 16  # on the way from RGBA to RGB
CROWDED_MEGAPIXELS = 50  # larger ones are decoded one at a time, however many cores there are

# What is white in greys of more than 8 bits. Floats go up to 1. Of 16 bits, microscopes and X-rays
# fill 12, and programs that store plain 8 bits fill 8.
WHITES = (1, 2**8, 2**12, 2**16)

_pillow_limit_lock = threading.Lock()
_large_picture_lock = threading.Lock()

# Photos that are read ahead of need: enough to keep all cores busy, in a few tens of megabytes.
READ_AHEAD = 64


class UnreadablePhotoError(Exception):
    """A file that is no picture we can read; the message is the reason."""


def read_file(path: Path) -> io.BytesIO:
    """Return the content of a file as a file in memory, or raise UnreadablePhotoError."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # which might give nothing, or never end
            raise UnreadablePhotoError("a named pipe, socket or device, not a photo")
        if status.st_size > LARGEST_FILE_BYTES:
            with path.open("rb") as file:
                kind = describe_content(file.read(512))
            raise UnreadablePhotoError(f"{kind} of over 1 GiB (LARGEST_FILE_BYTES)")
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
        UnreadablePhotoError: It is no picture, a damaged one, or too large.
    """
    content = read_file(file) if isinstance(file, Path) else file
    try:
        with _open_image(content) as image:
            large = _limit_size(image, least_size) > CROWDED_MEGAPIXELS * 1e6
            with _large_picture_lock if large else contextlib.nullcontext():
                picture = _convert_to_rgb(image)
    except UnreadablePhotoError:
        raise
    except MemoryError:
        raise UnreadablePhotoError("needs more memory than there is; reduce it") from None
    except Exception as error:  # decoders raise anything, and one bad file must never end a run
        content.seek(0)
        kind = describe_content(content.read(512))
        if not kind.endswith(" picture"):
            raise UnreadablePhotoError(f"{kind}, not a {READABLE}") from None
        known = not isinstance(error, Image.UnidentifiedImageError)
        reason = f": {error or type(error).__name__}" if known else ""
        raise UnreadablePhotoError(f"damaged {kind.split()[1]} picture{reason}") from error
    with contextlib.suppress(Exception):
        # Where its EXIF is damaged, nobody can tell which way is up; the picture itself is fine.
        ImageOps.exif_transpose(picture, in_place=True)
    return picture


def _open_image(file: BinaryIO) -> Image.Image:
    # Pillow's limit is the whole process's: lift it while the header is read, one thread at a time.
    with _pillow_limit_lock:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            image = Image.open(file, formats=PILLOW_FORMATS)
        except Image.UnidentifiedImageError:
            file.seek(0)
            if describe_content(file.read(512)) != "an HEIC picture":
                raise
            from pi_heif import HeifImageFile  # which to register would change Pillow for everybody

            file.seek(0)
            return HeifImageFile(file)
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    if image.format == "TIFF" and (image.tag_v2.get(254, 0) & 1 or 50706 in image.tag_v2):
        # A thumbnail comes first, or it is a DNG.
        raise UnreadablePhotoError(f"a camera's raw file, not a {READABLE}")
    return image


@functools.cache
def _measure_memory() -> float:
    with contextlib.suppress(AttributeError, OSError, ValueError):  # not known on Windows
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return float("inf")


def _limit_size(image: Image.Image, least_size: int | None) -> int:
    """Have a large JPEG decoded reduced, and return how many pixels the decoder has to hold."""
    limit = min(LARGEST_MEGAPIXELS * 1e6, _measure_memory() / 8 / BYTES_PER_PIXEL)
    pixels = image.width * image.height
    reduction = next((by for by in (1, 2, 4) if pixels <= limit * by**2), 8)
    if least_size is not None or reduction > 1:
        side = float("inf") if least_size is None else 2 * least_size
        image.draft(None, tuple(min(side, length // reduction) for length in image.size))
    if "progressive" not in image.info:  # which are held whole even when they come reduced
        pixels = image.width * image.height
    if not 0 < pixels <= limit:
        raise UnreadablePhotoError(
            f"has {pixels / 1e6:.0f} megapixels; at most {limit / 1e6:.0f} are read "
            "(LARGEST_MEGAPIXELS, or an eighth of the memory); reduce it"
        )
    return pixels


def _convert_to_rgb(image: Image.Image) -> Image.Image:
    opaque = image
    if image.mode.startswith(("I", "F")):
        opaque = _scale_to_eight_bits(image)
    elif image.format == "BMP" and image.mode == "RGBA" and not image.getchannel("A").getbbox():
        pass  # nobody fills a bitmap's fourth byte: viewers show such a picture as opaque
    elif image.has_transparency_data:
        opaque = Image.new("RGBA", image.size, "white")
        opaque.alpha_composite(image.convert("RGBA"))
    converted = opaque.convert("RGB")
    # What says which way is up, among others. Of a transparency that is gone Pillow would warn.
    converted.info = {key: value for key, value in image.info.items() if key != "transparency"}
    return converted


def _scale_to_eight_bits(image: Image.Image) -> Image.Image:
    """Return greys of 16 or 32 bits, or floats, in 8 bits. Pillow would clip them.

    White is the smallest of WHITES that holds the brightest pixel. That depends on nothing but the
    picture, so it is the same in training and prediction, and dark pictures of 12 bits stay dark,
    which their own maximum for white would not leave them. The price: 10 and 14 bits come out up to
    four times as dark, and what uses less than a sixteenth of its range, all but black, brighter.
    """
    values = np.nan_to_num(np.asarray(image, np.float32), posinf=0, neginf=0)
    white = next((white for white in WHITES if values.max() <= white), values.max())
    grey = (values * (256 / white)).clip(0, 255).astype(np.uint8)
    if isinstance(image.info.get("transparency"), int):
        grey[values == image.info["transparency"]] = 255
    return Image.fromarray(grey)


def read_pixels(file: Path | BinaryIO, image_size: int) -> np.ndarray:
    """Return a photo as every model here gets it: the largest centred square, resized to a uint8
    array (image_size, image_size, 3), RGB, 0-255. Raises what `read_photo` raises.
    """
    image = read_photo(file, least_size=image_size)
    return np.asarray(ImageOps.fit(image, (image_size, image_size), Image.Resampling.LANCZOS))


def read_ahead(
    read: Callable, items: Sequence, description: str | None, unit: str = " photos"
) -> Iterator:
    """Yield `read(item)` of each item, in order, on all cores, few ahead, with a progress bar if it
    has a description.
    """
    following, pool = iter(items), ThreadPoolExecutor(os.cpu_count())
    ahead = deque(pool.submit(read, item) for item in itertools.islice(following, READ_AHEAD))
    try:
        silent = not items or description is None
        with ProgressBar(total=len(items), desc=description, unit=unit, disable=silent) as progress:
            while ahead:
                result = ahead.popleft().result()
                ahead.extend(pool.submit(read, item) for item in itertools.islice(following, 1))
                progress.update()
                yield result
    finally:
        pool.shutdown(cancel_futures=True)  # after an error, nobody waits for what is ahead
