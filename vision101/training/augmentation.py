"""Random variations of training photos: what a photographer might as well have taken.

They belong to the training dataset and never to the model, so a saved model has none of them.
`build_augmentation` varies batches anew in every epoch. `read_view` gives a photo in one of a
fixed number of views, for networks whose answer to a view is worth keeping.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from keras import layers
from PIL import Image, ImageEnhance, ImageOps

from vision101.photos.index import Photo, expect_unchanged
from vision101.photos.reading import read_photo, read_pixels

# Smallest share of a photo's area that a crop keeps.
SMALLEST_CROP_AREA = 0.3

# Largest factor by which a crop stretches one side against the other.
LARGEST_ASPECT_RATIO = 4 / 3

# The second photo of a blended pair never outweighs the first.
LARGEST_MIXUP_SHARE = 0.5

# Brightness and contrast change by up to this share, hue by up to this share of half the colour
# circle: little, since flowers are told apart by colour too. Saturation is another scale: 0 is
# grey, 0.5 leaves the photo as it is, and a single number would mean "from grey up to it".
COLOUR_JITTER = {
    "brightness_factor": 0.2,
    "contrast_factor": 0.2,
    "saturation_factor": (0.35, 0.65),
    "hue_factor": 0.03,
}

# Brightness, contrast and saturation of a view change by up to this share.
VIEW_JITTER = 0.2

# Raise it when views are made in another way, so that features of the old ones are not used.
VIEWS_VERSION = 1


def build_augmentation(image_size: int, mixup: bool = False) -> Callable:
    """Build a function that varies a batch (images, labels): crop, mirror, colours, blending.

    Args:
        image_size: Side of the square images to return, in pixels.
        mixup: Whether to mixup pairs of photos, as `mixup_pairs` does.

    Returns:
        Function of images float32 (batch, height, width, 3), RGB, 0-255, and labels float32
        (batch, classes); it returns images (batch, image_size, image_size, 3) and labels alike.
    """
    # Whatever the precision of the model, photos are varied in float32.
    mirror = layers.RandomFlip("horizontal", dtype="float32")
    jitter = layers.RandomColorJitter(value_range=(0, 255), **COLOUR_JITTER, dtype="float32")

    def augment(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images = random_resized_crop(images, image_size)
        images = jitter(mirror(images, training=True), training=True)
        if mixup:
            images, labels = mixup_pairs(images, labels)
        return images, labels

    return augment


def random_resized_crop(images: tf.Tensor, image_size: int) -> tf.Tensor:
    """Cut a random piece out of each photo and resize it (Szegedy et al. 2015, "Going Deeper with
    Convolutions", section 6). Keras's own RandomCrop cuts all photos of a batch at one place.

    Args:
        images: float32 (batch, height, width, 3).
        image_size: Side of the square images to return, in pixels.

    Returns:
        float32 (batch, image_size, image_size, 3), same value range.
    """
    batch = tf.shape(images)[0]
    area = tf.random.uniform([batch], SMALLEST_CROP_AREA, 1.0)
    log_stretch = tf.math.log(LARGEST_ASPECT_RATIO)
    stretch = tf.exp(tf.random.uniform([batch], -log_stretch, log_stretch))
    height = tf.minimum(tf.sqrt(area * stretch), 1.0)
    width = tf.minimum(tf.sqrt(area / stretch), 1.0)
    top = tf.random.uniform([batch]) * (1 - height)
    left = tf.random.uniform([batch]) * (1 - width)
    boxes = tf.stack([top, left, top + height, left + width], axis=1)
    return tf.image.crop_and_resize(images, boxes, tf.range(batch), (image_size, image_size))


def mixup_pairs(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Blend each photo of a batch with another one, and their labels by the same shares (mixup:
    Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization").

    The other photo's share is at most LARGEST_MIXUP_SHARE and usually small. Keras's own MixUp
    draws shares from 0 to 1, so half of the photos are all but replaced by another one of the batch.

    Args:
        images: float32 (batch, height, width, 3).
        labels: float32 (batch, classes).

    Returns:
        Images and labels of the same shapes and value ranges.
    """
    batch = tf.shape(images)[0]
    other = tf.random.shuffle(tf.range(batch))
    share = LARGEST_MIXUP_SHARE * tf.random.uniform([batch, 1]) ** 2
    image_share = share[:, :, tf.newaxis, tf.newaxis]
    images = (1 - image_share) * images + image_share * tf.gather(images, other)
    labels = (1 - share) * labels + share * tf.gather(labels, other)
    return images, labels


def read_view(photo: Photo, view: int, image_size: int) -> np.ndarray:
    """Read a photo in one of its views.

    Args:
        photo: A readable photo.
        view: 0 for the photo as `read_pixels` gives it; every other number has its own piece of
            the photo, mirrored or not, in its own light.
        image_size: Side of the square in pixels.

    Returns:
        uint8 array of shape (image_size, image_size, 3), RGB, 0-255.

    Raises:
        UserError: The file was changed since it was indexed.
    """
    with expect_unchanged(photo):
        if view == 0:
            return read_pixels(photo.path, image_size)
        image = read_photo(photo.path, least_size=image_size)
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
