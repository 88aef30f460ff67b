"""Views of a photo: a fixed number of random variations, for networks whose output is kept.

A frozen backbone gives the same features for the same picture every time. So each photo is varied
in a few ways that depend on nothing but its content, and features of these can be computed once.
Networks that are trained as a whole take their own crops, in every epoch anew, from whole photos.
"""

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from vision101.photos.index import Photo, expect_unchanged
from vision101.photos.reading import read_photo, read_pixels
from vision101.training.augmentation import LARGEST_ASPECT_RATIO, SMALLEST_CROP_AREA

# Of each training photo, the plain one among them; each costs one pass through the backbone.
VIEWS = 6

# Brightness, contrast and saturation change by up to this share.
VIEW_JITTER = 0.2

# Raise it when views are made in another way, so that features of the old ones are not used.
VIEWS_VERSION = 1


def read_view(photo: Photo, view: int, image_size: int) -> np.ndarray:
    """Read a photo in one of its views, uint8 (image_size, image_size, 3), RGB, 0-255. View 0 is
    the photo as `read_pixels` gives it; every other number has its own crop, flipped or not, in its
    own light. Raises UserError where the file was changed since it was indexed.
    """
    with expect_unchanged(photo):
        if view == 0:
            return read_pixels(photo.path, image_size, photo.white)
        image = read_photo(photo.path, image_size, photo.white)
    generator = np.random.default_rng([int(photo.sha256, 16), view])
    side = min(image.size)
    image = ImageOps.fit(image, (side, side))
    area = generator.uniform(SMALLEST_CROP_AREA, 1)
    stretch = LARGEST_ASPECT_RATIO ** generator.uniform(-1, 1)
    width, height = (side * min(1, np.sqrt(area * factor)) for factor in (stretch, 1 / stretch))
    left, top = generator.uniform(0, (side - width, side - height))
    image = image.resize(
        (image_size, image_size), Image.Resampling.LANCZOS, (left, top, left + width, top + height)
    )
    if generator.random() < 0.5:
        image = ImageOps.mirror(image)
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhancer(image).enhance(generator.uniform(1 - VIEW_JITTER, 1 + VIEW_JITTER))
    return np.asarray(image)


def read_whole(photo: Photo, image_size: int) -> np.ndarray:
    """Read all of a photo, stretched to a square: uint8 (image_size, image_size, 3), RGB, 0-255.
    Raises UserError where the file was changed since it was indexed.
    """
    with expect_unchanged(photo):
        image = read_photo(photo.path, image_size, photo.white)
    return np.asarray(image.resize((image_size, image_size), Image.Resampling.LANCZOS))
