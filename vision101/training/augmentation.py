"""Random variations of training photos: random resized crop, horizontal flip, colour jitter, mixup.

They belong to the training dataset and never to the model, so a saved model has none of them. All
randomness is seeded with the seed, the epoch and the position in it, and nothing else, so that a
training can be repeated, and resumed.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

# Smallest area of a crop, as a share of that of the largest square in the photo.
SMALLEST_CROP_AREA = 0.3

# Largest factor by which a crop stretches one side against the other.
LARGEST_ASPECT_RATIO = 4 / 3

# Brightness (of 255), contrast and saturation change by up to these shares.
BRIGHTNESS_JITTER, CONTRAST_JITTER, SATURATION_JITTER = 0.2, 0.2, 0.4

# Degrees of the colour circle: few, since flowers are told apart by colour too.
HUE_JITTER = 5

# How strong mixup is: the largest share of a pair's second photo. Beyond 0.5, it may outweigh the
# first.
LARGEST_MIXUP_SHARE = 0.5

# From RGB to luma and the two colour differences of the NTSC, which hue rotates and saturation
# scales. Both are matrices there, so a photo's colours change in one pass over its pixels.
RGB_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
YIQ_TO_RGB = np.linalg.inv(RGB_TO_YIQ)


class Augmentation(NamedTuple):
    """Varies a batch of photos at random."""

    image_sizes: Sequence[int]  # of each epoch: side of the square images to return, in pixels
    mixup: bool = False  # whether to blend pairs of photos, as `mixup_pairs` does

    @property
    def photo_size(self) -> int:
        """Side of the squares that photos should be stretched to, in pixels: of these, the smallest
        crop is as sharp as the largest one.
        """
        return math.ceil(max(self.image_sizes) / math.sqrt(SMALLEST_CROP_AREA))

    def __call__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        aspect_ratios: np.ndarray,
        seed: int,
        epoch: int,
        position: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return whole photos, each stretched to a square, varied at random.

        Args:
            images: uint8 (batch, size, size, 3), RGB, 0-255.
            labels: float32 (batch, classes).
            aspect_ratios: Width by height of the photos themselves, float (batch,).
            seed, epoch, position: All chance follows from these, the last one of the batch in the
                epoch. Epochs count from 0.

        Returns:
            Images float32 (batch, size of the epoch, size of the epoch, 3), RGB, 0-255, and labels
            as given, or blended as the images are.
        """
        generator = np.random.default_rng((seed, epoch, position))
        boxes = draw_crops(aspect_ratios, generator) * images.shape[1]
        flips = generator.random(len(images)) < 0.5
        matrices = draw_colours(images, generator).reshape(-1, 12)
        variations = zip(images, boxes.tolist(), flips, matrices.tolist(), strict=True)
        side = self.image_sizes[min(epoch, len(self.image_sizes) - 1)]  # batches are made ahead
        size = (side, side)
        varied = np.empty((len(images), *size, 3), np.float32)
        # Pillow's loops in C make one pass for each step, six times as fast as Keras's layers.
        for position, (image, box, flip, matrix) in enumerate(variations):
            picture = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, box)
            if flip:
                picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            varied[position] = picture.convert("RGB", matrix)
        return mixup_pairs(varied, labels, generator) if self.mixup else (varied, labels)


def draw_crops(aspect_ratios: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return random pieces of photos (Szegedy et al. 2015, "Going Deeper with Convolutions",
    section 6), whose width by height is given, float (count,): left, top, right and bottom as
    shares of the photo's sides, float (count, 4). None is larger than the largest square in it.
    """
    count = len(aspect_ratios)
    area = generator.uniform(SMALLEST_CROP_AREA, 1, count)
    ratio = LARGEST_ASPECT_RATIO ** generator.uniform(-1, 1, count)
    size = np.minimum(1, np.sqrt([area / ratio, area * ratio])).T
    size *= np.minimum(1, [1 / aspect_ratios, aspect_ratios]).T
    corner = generator.random((count, 2)) * (1 - size)
    return np.hstack([corner, corner + size])


def draw_colours(images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return for each image, uint8 (height, width, 3), RGB, the matrix, float (count, 3, 4), that
    takes its red, green, blue and 1 to those in another light.
    """
    count = len(images)
    brightness = 255 * generator.uniform(-BRIGHTNESS_JITTER, BRIGHTNESS_JITTER, (count, 1))
    contrast = generator.uniform(1 - CONTRAST_JITTER, 1 + CONTRAST_JITTER, (count, 1, 1))
    saturation = (1 + SATURATION_JITTER) ** generator.uniform(-1, 1, count)
    hue = np.radians(generator.uniform(-HUE_JITTER, HUE_JITTER, count))
    cosine, sine = saturation * np.cos(hue), saturation * np.sin(hue)
    change = np.zeros((count, 3, 3))
    change[:, 0, 0] = 1
    change[:, 1, 1], change[:, 1, 2], change[:, 2, 1], change[:, 2, 2] = cosine, -sine, sine, cosine
    colours = YIQ_TO_RGB @ change @ RGB_TO_YIQ
    # Contrast leaves the mean colour as it is; that of every eighth pixel will do.
    mean = images[:, ::8, ::8].mean(axis=(1, 2))
    offsets = ((1 - contrast) * colours @ mean[:, :, None])[:, :, 0] + brightness
    return np.concatenate([contrast * colours, offsets[:, :, None]], axis=2)


def mixup_pairs(
    images: np.ndarray, labels: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Blend each photo of a batch, float32 (batch, height, width, 3), with another one, and their
    labels, float32 (batch, classes), by the same shares (Zhang et al. 2018, "mixup: Beyond
    Empirical Risk Minimization").

    The other photo's share is at most LARGEST_MIXUP_SHARE and usually small. Keras's own MixUp
    draws from 0 to 1, so half of the photos are all but replaced by another one.
    """
    other = generator.permutation(len(images))
    share = (LARGEST_MIXUP_SHARE * generator.random((len(images), 1)) ** 2).astype(np.float32)
    labels = labels + share * (labels[other] - labels)
    difference = images[other] - images  # in place from here: batches are large
    difference *= share[:, :, None, None]
    difference += images
    return difference, labels
