"""Random variations of batches of training photos, anew in every epoch.

They belong to the training dataset and never to the model, so a saved model has none of them.
"""

from collections.abc import Callable

import tensorflow as tf
from keras import layers

# Smallest share of a photo's area that a crop keeps.
SMALLEST_CROP_AREA = 0.3

# Largest factor by which a crop stretches one side against the other.
LARGEST_ASPECT_RATIO = 4 / 3

# The second photo of a pair never outweighs the first.
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


def build_augmentation(image_size: int, mixup: bool = False) -> Callable:
    """Build a function that varies a batch (images, labels): crop, horizontal flip, colour jitter,
    and on request mixup.

    Args:
        image_size: Side of the square images to return, in pixels.
        mixup: Whether to blend pairs of photos, as `mixup_pairs` does.

    Returns:
        Function of images float32 (batch, height, width, 3), RGB, 0-255, and labels float32
        (batch, classes); it returns images (batch, image_size, image_size, 3) and labels alike.
    """
    # Whatever the precision of the model, photos are varied in float32.
    horizontal_flip = layers.RandomFlip("horizontal", dtype="float32")
    jitter = layers.RandomColorJitter(value_range=(0, 255), **COLOUR_JITTER, dtype="float32")

    def augment(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images = random_resized_crop(images, image_size)
        images = jitter(horizontal_flip(images, training=True), training=True)
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
    log_ratio = tf.math.log(LARGEST_ASPECT_RATIO)
    ratio = tf.exp(tf.random.uniform([batch], -log_ratio, log_ratio))
    height = tf.minimum(tf.sqrt(area * ratio), 1.0)
    width = tf.minimum(tf.sqrt(area / ratio), 1.0)
    top = tf.random.uniform([batch]) * (1 - height)
    left = tf.random.uniform([batch]) * (1 - width)
    boxes = tf.stack([top, left, top + height, left + width], axis=1)
    return tf.image.crop_and_resize(images, boxes, tf.range(batch), (image_size, image_size))


def mixup_pairs(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Blend each photo of a batch with another one, and their labels by the same shares (Zhang et
    al. 2018, "mixup: Beyond Empirical Risk Minimization").

    The other photo's share is at most LARGEST_MIXUP_SHARE and usually small. Keras's own MixUp
    draws shares from 0 to 1, so half of the photos are all but replaced by another one of the
    batch.

    Args:
        images: float32 (batch, height, width, 3).
        labels: float32 (batch, classes).
    """
    batch = tf.shape(images)[0]
    other = tf.random.shuffle(tf.range(batch))
    share = LARGEST_MIXUP_SHARE * tf.random.uniform([batch, 1]) ** 2
    image_share = share[:, :, tf.newaxis, tf.newaxis]
    images = (1 - image_share) * images + image_share * tf.gather(images, other)
    labels = (1 - share) * labels + share * tf.gather(labels, other)
    return images, labels
