"""Random variations of training photos: what a photographer might as well have taken.

They belong to the training dataset and never to the model, so a saved model has none of them.
"""

from collections.abc import Callable

import tensorflow as tf
from keras import layers

# A crop keeps at least this share of the photo's area, and
SMALLEST_CROP = 0.35
# stretches one side against the other by up to this factor.
LARGEST_STRETCH = 4 / 3

# The second photo of a blended pair never outweighs the first.
LARGEST_BLEND = 0.5

# Brightness and contrast change by up to this share, hue by up to this share of half the colour
# circle: little, since flowers are told apart by colour too. Saturation is another scale: 0 is
# grey, 0.5 leaves the photo as it is, and a single number would mean "from grey up to it".
COLOUR_JITTER = {
    "brightness_factor": 0.2,
    "contrast_factor": 0.2,
    "saturation_factor": (0.35, 0.65),
    "hue_factor": 0.03,
}


def build_augmentation(image_size: int, blend: bool = False) -> Callable:
    """Build a function that varies a batch (images, labels): crop, mirror, colours, blending.

    Args:
        image_size: Side of the square images to return, in pixels.
        blend: Whether to blend pairs of photos, as `blend_pairs` does.

    Returns:
        Function of images float32 (batch, height, width, 3), RGB, 0-255, and labels float32
        (batch, classes); it returns images (batch, image_size, image_size, 3) and labels alike.
    """
    # Whatever the precision of the model, photos are varied in float32.
    mirror = layers.RandomFlip("horizontal", dtype="float32")
    jitter = layers.RandomColorJitter(value_range=(0, 255), **COLOUR_JITTER, dtype="float32")

    def augment(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images = crop_randomly(images, image_size)
        images = jitter(mirror(images, training=True), training=True)
        if blend:
            images, labels = blend_pairs(images, labels)
        return images, labels

    return augment


def crop_randomly(images: tf.Tensor, image_size: int) -> tf.Tensor:
    """Cut a random piece out of each photo and resize it (Szegedy et al. 2015, "Going Deeper with
    Convolutions", section 6). Keras's own RandomCrop cuts all photos of a batch at one place.

    Args:
        images: float32 (batch, height, width, 3).
        image_size: Side of the square images to return, in pixels.

    Returns:
        float32 (batch, image_size, image_size, 3), same value range.
    """
    batch = tf.shape(images)[0]
    area = tf.random.uniform([batch], SMALLEST_CROP, 1.0)
    log_stretch = tf.math.log(LARGEST_STRETCH)
    stretch = tf.exp(tf.random.uniform([batch], -log_stretch, log_stretch))
    height = tf.minimum(tf.sqrt(area * stretch), 1.0)
    width = tf.minimum(tf.sqrt(area / stretch), 1.0)
    top = tf.random.uniform([batch]) * (1 - height)
    left = tf.random.uniform([batch]) * (1 - width)
    boxes = tf.stack([top, left, top + height, left + width], axis=1)
    return tf.image.crop_and_resize(images, boxes, tf.range(batch), (image_size, image_size))


def blend_pairs(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Blend each photo of a batch with another one, and their labels by the same shares (mixup:
    Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization").

    The other photo's share is at most LARGEST_BLEND and usually small. Keras's own MixUp draws
    shares from 0 to 1, so half of the photos are all but replaced by another one of the batch.

    Args:
        images: float32 (batch, height, width, 3).
        labels: float32 (batch, classes).

    Returns:
        Images and labels of the same shapes and value ranges.
    """
    batch = tf.shape(images)[0]
    other = tf.random.shuffle(tf.range(batch))
    share = LARGEST_BLEND * tf.random.uniform([batch, 1]) ** 2
    image_share = share[:, :, tf.newaxis, tf.newaxis]
    images = (1 - image_share) * images + image_share * tf.gather(images, other)
    labels = (1 - share) * labels + share * tf.gather(labels, other)
    return images, labels
