"""Reads photos: upright, in RGB, and several ahead of need."""

import contextlib
import functools
import io
import itertools
import math
import os
import stat
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageChops, ImageCms, ImageOps

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

# Raise it when pixels come out in another way, so that what is kept of the old ones is not used.
READING_VERSION = 2

# Colour profiles that change values of 0-255 by no more than this, on average, are those of sRGB,
# exact or with a plain gamma of 2.2 (1.9). Those of other screens and cameras: by 4 to 27.
SRGB_TOLERANCE = 3

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


def read_photo(
    file: Path | BinaryIO, least_size: int | None = None, white: float = 0
) -> Image.Image:
    """Read a photo as a person sees it: upright, in RGB, transparency on white.

    Args:
        file: Path, or a file opened for reading bytes. Of an animation, the first frame counts.
        least_size: If given, a large JPEG may come reduced, but with no side below twice this
            many pixels: resizing it further gives the same quality, much sooner.
        white: Of greys of more than 8 bits, the value to be shown as white, see `Photo.white`; 0
            for what `choose_white` says of this picture alone.

    Raises:
        UnreadablePhotoError: It is no picture, a damaged one, or too large.
    """
    content = read_file(file) if isinstance(file, Path) else file
    try:
        with _open_image(content) as image:
            large = _limit_size(image, least_size) > CROWDED_MEGAPIXELS * 1e6
            with _large_picture_lock if large else contextlib.nullcontext():
                picture = _convert_to_rgb(image, white)
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


def _convert_to_rgb(image: Image.Image, white: float) -> Image.Image:
    opaque, own_white = image, 0
    if image.mode.startswith(("I", "F")):
        opaque, own_white = _scale_to_eight_bits(image, white)
    elif image.format == "BMP" and image.mode == "RGBA" and not image.getchannel("A").getbbox():
        pass  # nobody fills a bitmap's fourth byte: viewers show such a picture as opaque
    elif image.has_transparency_data:
        opaque = Image.new("RGBA", image.size, "white")
        opaque.alpha_composite(image.convert("RGBA"))
    converted = opaque.convert("RGB")
    mode, to_srgb = _read_profile(image.info.get("icc_profile"))
    # Some come with a profile for pictures of another kind, which viewers ignore too.
    kinds = {"CMYK": "CMYK", "P": "RGB"}
    kind = kinds.get(opaque.mode) or Image.getmodebase(image.mode)
    if to_srgb and (mode == kind or (mode, kind) == ("RGB", "L")):
        converted = to_srgb.apply(opaque if mode == "CMYK" else converted.convert(mode))
    # What says which way is up, among others, but not what no longer holds.
    gone = ("transparency", "icc_profile")
    converted.info = {key: value for key, value in image.info.items() if key not in gone}
    converted.info["white"] = own_white
    return converted


@functools.lru_cache(maxsize=32)
def _read_profile(profile: bytes | None) -> tuple[str, ImageCms.ImageCmsTransform | None]:
    """Return the mode of the pictures that an ICC profile is for, and what turns their colours into
    sRGB; None where that changes nothing worth the time, or the profile is damaged.
    """
    with contextlib.suppress(Exception):  # whatever is wrong with it, there is a picture
        opened = ImageCms.getOpenProfile(io.BytesIO(profile))
        mode = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}[opened.profile.xcolor_space]
        transform = ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), mode, "RGB")
        ramps = [Image.linear_gradient("L").rotate(turn) for turn in (0, 90, 180)]
        sample = Image.merge("RGB", ramps)
        changed = ImageChops.difference(transform.apply(sample.convert(mode)), sample)
        if mode != "RGB" or np.asarray(changed).mean() > SRGB_TOLERANCE:
            return mode, transform
    return "", None


def _scale_to_eight_bits(image: Image.Image, white: float) -> tuple[Image.Image, float]:
    """Return greys of 16 or 32 bits, or floats, in 8 bits, and what is white in this picture alone.
    Pillow would clip them.
    """
    values = np.nan_to_num(np.asarray(image, np.float32), posinf=0, neginf=0)
    own_white = choose_white(values.max())
    # Floats up to 1, and masks of 0 and 1, say themselves how bright they are.
    scale = 256 / (white if white and own_white > 1 else own_white)
    grey = (values * scale).clip(0, 255).astype(np.uint8)
    if isinstance(image.info.get("transparency"), int):
        grey[values == image.info["transparency"]] = 255
    return Image.fromarray(grey), own_white


def choose_white(brightest: float) -> float:
    """Return what is white where no value is brighter than this: the next power of two, since 16
    bits are seldom filled: microscopes and X-rays have 12, satellites 11, programs that store plain
    pictures so 8. Floats go up to 1, or a little further.
    """
    return 1.0 if brightest < 2 else 2.0 ** max(8, math.frexp(brightest)[1])


def read_pixels(file: Path | BinaryIO, image_size: int, white: float = 0) -> np.ndarray:
    """Return a photo as every model here gets it: the largest centred square, resized to a uint8
    array (image_size, image_size, 3), RGB, 0-255. `white`, and what it raises: see `read_photo`.
    """
    image = read_photo(file, image_size, white)
    return np.asarray(ImageOps.fit(image, (image_size, image_size), Image.Resampling.LANCZOS))


def read_ahead(
    read: Callable,
    items: Sequence,
    description: str | None,
    unit: str = " photos",
    threads: int | None = None,
) -> Iterator:
    """Yield `read(item)` of each item, in order, on all cores or so many threads, few ahead, with a
    progress bar if it has a description.
    """
    following, pool = iter(items), ThreadPoolExecutor(threads or os.cpu_count())
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
