"""What can be measured of a photo before any training: the article's nine observations.

Two photos of one flower differ in how close it is, in its colours, its life cycle, focus, place in
the frame, light, the side it is seen from, the pixels, and in what else is there. Each becomes a
number here, by a formula simple enough to be judged by eye. None of them knows what a flower is.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms
from scipy import ndimage

from vision101.files import write_table
from vision101.photos.index import Photo, expect_unchanged, list_classes
from vision101.photos.reading import read_ahead, read_photo
from vision101.photos.sources import PhotoSource

# All photos are measured at one size, or large ones would seem to be sharper and fuller. Longer
# side in pixels: enough to see whether a petal has an edge, and a hundredth of a second a photo.
MEASURED_SIZE = 240

# Subjects are looked for at half of that, where noise is smoothed away.
SUBJECT_REDUCTION = 2

# The strips along the four sides that are taken for background, as a share of the side (Zhang et
# al. 2015).
BORDER_SHARE = 0.1

# Added to the variances of the strips' colours, in squared steps of L*a*b*: differences below
# about five steps are hardly seen, and a plain wall varies less than that.
SEEN_VARIANCE = 25.0

# Differences of luma from one pixel to the next, of 255, that count as an edge.
EDGE_STEP = 24

# Hues from yellowish green to bluish green, in degrees of the HSV circle: leaves and stems.
GREEN_HUES = (65, 170)

# Below this saturation (HSV, of 1) or brightness, a pixel has no colour that a person would name.
COLOURED_SATURATION = 0.25
COLOURED_VALUE = 0.2

# Bins of the colour circle.
HUE_BINS = 36

# Side of the mean pictures in pixels.
MEAN_SIZE = 96


class Observation(NamedTuple):
    """One number that is measured of every photo.

    Attributes:
        name: Field of it in `photos.csv`.
        title: What the article calls it.
        unit: Name and unit of the axis.
        low: What photos at the lower end are.
        high: What photos at the upper end are.
        formula: How it is computed and how far it can be trusted, in words.
    """

    name: str
    title: str
    unit: str
    low: str
    high: str
    formula: str


OBSERVATIONS = (
    Observation(
        "subject_share",
        "Close-up or zoom-out",
        "subject's share of the frame (%)",
        "far away, or small",
        "close up",
        "Share of the pixels that belong to the subject. Subject is what differs in colour from "
        "the strips along the border: the Mahalanobis distance in L*a*b* to each of the four "
        "strips, summed without the largest (Zhang et al. 2015, “Minimum Barrier Salient Object "
        "Detection at 80 FPS”, section 5), above Otsu's threshold (1979). A flower that fills the "
        "frame up to its border is taken for background, so the closest close-ups come out too "
        "small; within a black frame all counts as subject.",
    ),
    Observation(
        "colourfulness",
        "Colour scheme",
        "colourfulness (0 = grey)",
        "grey or pale",
        "colourful",
        "Spread and strength of the opponent colours red-green and yellow-blue (Hasler & "
        "Süsstrunk 2003, “Measuring colourfulness in natural images”): below 15 hardly any colour, "
        "above 80 extremely colourful.",
    ),
    Observation(
        "bloom_share",
        "Life cycle",
        "blossom-coloured share of the subject (%)",
        "green, grey or white",
        "in bright bloom",
        "Share of the subject's pixels with a colour that is no green. Buds are green and seed "
        "heads grey, so a small share hints at an early or late stage, but white petals count as "
        "little as a seed head does, and withered ones as much as fresh ones. It tells dandelion "
        "flowers from their clocks; it cannot tell the age of a daisy.",
    ),
    Observation(
        "sharpness",
        "Focus",
        "contrast of finest detail, sharpest tenth (of 255)",
        "out of focus",
        "in focus",
        "Standard deviation of the Laplacian of the luma (Pech-Pacheco et al. 2000, “Diatom "
        "autofocusing in brightfield microscopy”), in tiles of 16 pixels of the photo at 240 "
        "pixels; the mean of the sharpest tenth of the tiles, so that a blurred background does "
        "not count. Noise and strong compression look like sharpness.",
    ),
    Observation(
        "offset",
        "Frame position",
        "subject's distance from the centre (% of half the diagonal)",
        "in the centre",
        "off the centre",
        "Distance from the frame's centre to the centre of gravity of the subject, found as for "
        "close-up or zoom-out. Flowers all over the frame have their common centre in the middle.",
    ),
    Observation(
        "brightness",
        "Lighting: brightness",
        "mean lightness L* (0 = black, 100 = white)",
        "dark",
        "bright",
        "Mean of the lightness L* of CIE L*a*b*, which follows what people see.",
    ),
    Observation(
        "contrast",
        "Lighting: contrast",
        "standard deviation of lightness L*",
        "flat light",
        "hard light",
        "Standard deviation of the lightness L* over all pixels. Black and white things in even "
        "light have much of it too.",
    ),
    Observation(
        "roundness",
        "Photo view",
        "shorter axis of the subject (% of its longer one)",
        "long: perhaps from the side",
        "round: perhaps from the front",
        "From which side a flower is seen cannot be measured without knowing flowers. This is only "
        "a hint: a round flower seen from the front is round, from the side flat or with a stem. "
        "Ratio of the axes of the ellipse with the second moments of the subject's largest piece. "
        "Several flowers, or a cut one, say nothing.",
    ),
    Observation(
        "shorter_side",
        "Pixel size",
        "shorter side (pixels)",
        "few pixels",
        "many pixels",
        "Of width and height in the file the smaller one: it decides how much resizing enlarges.",
    ),
    Observation(
        "clutter",
        "Presence of other objects",
        "edges beside the subject (% of pixels)",
        "plain background",
        "busy surroundings",
        "Share of the pixels outside the subject where luma changes by more than 24 of 255 from "
        "one pixel to the next, in the photo at 240 pixels. It counts grass and leaves as much as "
        "people and bees: how many objects there are, and which, cannot be told.",
    ),
)


class Measurements(NamedTuple):
    """What was measured of many photos.

    Attributes:
        values: For each name in `OBSERVATIONS` a float32 array (photos,).
        hues: float32 (photos, HUE_BINS): how the subject's coloured pixels are spread over the
            colour circle, each row with the sum 1, or 0 where there are none.
        mean_photos: For each class uint8 (MEAN_SIZE, MEAN_SIZE, 3), RGB.
        mean_subjects: For each class float32 (MEAN_SIZE, MEAN_SIZE), 0-1: the share of its photos
            whose subject covers this place.
        upper_light: float32 (photos,): lightness L* of the upper half less that of the lower.
        sideways: float32 (photos,): how far the subject is right of the centre, as a share of half
            the width, -1 to 1.
    """

    values: dict[str, np.ndarray]
    hues: np.ndarray
    mean_photos: dict[str, np.ndarray]
    mean_subjects: dict[str, np.ndarray]
    upper_light: np.ndarray
    sideways: np.ndarray


class _PhotoMeasurements(NamedTuple):
    values: tuple[float, ...]  # in the order of OBSERVATIONS
    hues: np.ndarray
    small_photo: np.ndarray
    small_subject: np.ndarray
    upper_light: float
    sideways: float


def measure_photos(photos: list[Photo]) -> Measurements:
    """Measure photos one by one; of none more is kept than its numbers.

    Args:
        photos: Readable photos.

    Raises:
        UserError: A file was changed since it was indexed.
    """
    class_names = list_classes(photos)
    numbers = np.empty((len(photos), len(OBSERVATIONS)), np.float32)
    hues = np.empty((len(photos), HUE_BINS), np.float32)
    upper_light, sideways = np.empty((2, len(photos)), np.float32)
    photo_sums = {name: np.zeros((MEAN_SIZE, MEAN_SIZE, 3)) for name in class_names}
    subject_sums = {name: np.zeros((MEAN_SIZE, MEAN_SIZE)) for name in class_names}
    counts = dict.fromkeys(class_names, 0)
    measured = read_ahead(_measure, photos, "Measuring photos")
    for position, (photo, one) in enumerate(zip(photos, measured, strict=True)):
        numbers[position] = one.values
        hues[position] = one.hues
        upper_light[position] = one.upper_light
        sideways[position] = one.sideways
        photo_sums[photo.class_name] += one.small_photo
        subject_sums[photo.class_name] += one.small_subject
        counts[photo.class_name] += 1
    return Measurements(
        {item.name: numbers[:, column] for column, item in enumerate(OBSERVATIONS)},
        hues,
        {name: (total / counts[name]).astype(np.uint8) for name, total in photo_sums.items()},
        {name: (total / counts[name]).astype(np.float32) for name, total in subject_sums.items()},
        upper_light,
        sideways,
    )


def _measure(photo: Photo) -> _PhotoMeasurements:
    with expect_unchanged(photo):
        image = read_photo(photo.path, least_size=MEASURED_SIZE // 2)
    image = fit_within(image, MEASURED_SIZE)
    luma = np.asarray(image.convert("L"), np.float32)
    lightness = _convert_to_lab(image)[..., 0]
    subject = find_subject(image)
    rows, columns = (np.indices(subject.shape) + 0.5) / np.reshape(subject.shape, (2, 1, 1))
    height, width = subject.shape
    centre_y, centre_x = rows[subject].mean(), columns[subject].mean()
    down, right = 2 * centre_y - 1, 2 * centre_x - 1
    hues, bloom_share = _describe_colours(image, subject)
    values = {
        "subject_share": 100 * subject.mean(),
        "colourfulness": _measure_colourfulness(np.asarray(image, np.float32)),
        "bloom_share": 100 * bloom_share,
        "sharpness": _measure_sharpness(luma),
        "offset": 100 * np.hypot(right * width, down * height) / np.hypot(width, height),
        "brightness": lightness.mean(),
        "contrast": lightness.std(),
        "roundness": 100 * _measure_roundness(subject),
        "shorter_side": min(photo.width, photo.height),
        "clutter": 100 * _measure_clutter(luma, subject),
    }
    half = len(lightness) // 2
    upper_light = lightness[:half].mean() - lightness[half:].mean() if half else 0.0
    # Stretched rather than cut: nothing of the frame is lost.
    small = (MEAN_SIZE, MEAN_SIZE)
    return _PhotoMeasurements(
        tuple(values[item.name] for item in OBSERVATIONS),
        hues,
        np.asarray(image.resize(small, Image.Resampling.BOX)),
        np.asarray(Image.fromarray(subject).resize(small)),
        upper_light,
        right,
    )


def fit_within(image: Image.Image, size: int) -> Image.Image:
    """Return an image resized so that its longer side has `size` pixels."""
    scale = size / max(image.size)
    width, height = (max(1, round(scale * side)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def find_subject(image: Image.Image) -> np.ndarray:
    """Return where the subject is: what differs in colour from the borders of the photo.

    After the image-boundary contrast of Zhang et al. 2015, "Minimum Barrier Salient Object
    Detection at 80 FPS", section 5: the Mahalanobis distances of each pixel's colour to those of
    the four border strips, summed without the largest, since a subject may touch one side. The
    threshold is Otsu's (1979, "A threshold selection method from gray-level histograms").

    Args:
        image: RGB, of the size that photos are measured at.

    Returns:
        bool array of about half the image's height and width, with at least one True.
    """
    lab = _convert_to_lab(image.reduce(SUBJECT_REDUCTION))
    lab = ndimage.gaussian_filter(lab, (1, 1, 0))
    height, width, _ = lab.shape
    rows, columns = (max(1, round(BORDER_SHARE * side)) for side in (height, width))
    strips = (lab[:rows], lab[-rows:], lab[:, :columns], lab[:, -columns:])
    distances = []
    for strip in strips:
        colours = strip.reshape(-1, 3)
        difference = (lab - colours.mean(axis=0)).reshape(-1, 3)
        deviation = colours - colours.mean(axis=0)
        covariance = deviation.T @ deviation / len(colours) + SEEN_VARIANCE * np.eye(3)
        squared = (difference @ np.linalg.inv(covariance) * difference).sum(axis=1)
        distances.append(np.sqrt(squared).reshape(height, width))
    contrast = np.sum(distances, axis=0) - np.max(distances, axis=0)
    subject = contrast > _find_threshold(contrast)
    # A plain area has no subject; then all of it is.
    return subject if subject.any() else ~subject


def _find_threshold(values: np.ndarray) -> float:
    """Return the threshold that parts values into two groups as unlike as can be (Otsu 1979)."""
    counts, edges = np.histogram(values, 128)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = values.size - below
    sums = np.cumsum(counts * centres)
    gap = sums[:-1] / np.maximum(below, 1) - (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    return edges[1 + np.argmax(below * above * gap**2)]


_LAB = ImageCms.createProfile("LAB")
_SRGB = ImageCms.createProfile("sRGB")
_RGB_TO_LAB = ImageCms.buildTransform(_SRGB, _LAB, "RGB", "LAB")


def _convert_to_lab(image: Image.Image) -> np.ndarray:
    """Return CIE L*a*b* of an sRGB image, float32 (height, width, 3), lightness 0-100."""
    stored = np.array(ImageCms.applyTransform(image, _RGB_TO_LAB))
    lab = np.empty(stored.shape, np.float32)
    lab[..., 0] = stored[..., 0] * (100 / 255)
    lab[..., 1:] = stored[..., 1:].view(np.int8)
    return lab


def _measure_colourfulness(pixels: np.ndarray) -> float:
    red, green, blue = np.moveaxis(pixels, -1, 0)
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    spread = np.hypot(red_green.std(), yellow_blue.std())
    return spread + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean())


def _describe_colours(image: Image.Image, subject: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the subject's distribution over the colour circle, and its blossom-coloured share."""
    hsv = np.asarray(image.reduce(SUBJECT_REDUCTION).convert("HSV"), np.float32) / 255
    hue, saturation, value = hsv[subject].T
    coloured = (saturation > COLOURED_SATURATION) & (value > COLOURED_VALUE)
    degrees = 360 * hue[coloured]
    hues = np.histogram(degrees, HUE_BINS, (0, 360))[0] / max(1, coloured.sum())
    green = (degrees > GREEN_HUES[0]) & (degrees < GREEN_HUES[1])
    return hues, (coloured.sum() - green.sum()) / len(hue)


def _measure_sharpness(luma: np.ndarray) -> float:
    detail = ndimage.laplace(luma, mode="nearest")
    tile = min(16, *detail.shape)
    height, width = (tile * (side // tile) for side in detail.shape)
    tiles = detail[:height, :width].reshape(height // tile, tile, width // tile, tile)
    deviations = np.sort(tiles.std(axis=(1, 3)), axis=None)
    return deviations[-max(1, len(deviations) // 10) :].mean()


def _measure_roundness(subject: np.ndarray) -> float:
    pieces, _ = ndimage.label(subject)
    largest = pieces == 1 + np.argmax(np.bincount(pieces[subject])[1:])
    positions = np.argwhere(largest).T
    if positions.shape[1] < 3:
        return 1.0
    smaller, larger = np.linalg.eigvalsh(np.cov(positions) + np.eye(2) / 12)  # of a square pixel
    return np.sqrt(smaller / larger)


def _measure_clutter(luma: np.ndarray, subject: np.ndarray) -> float:
    across = np.diff(luma, axis=1, append=luma[:, -1:])
    down = np.diff(luma, axis=0, append=luma[-1:])
    edges = np.hypot(across, down) > EDGE_STEP
    mask = Image.fromarray(subject).resize(luma.shape[::-1], Image.Resampling.NEAREST)
    background = edges[~np.asarray(mask)]
    return background.mean() if background.size else 0.0


def write_measurements(
    folder: Path, photos: list[Photo], measurements: Measurements, source: PhotoSource
) -> None:
    """Write `photos.csv`: of every photo its path, class, size and each observation."""
    names = [item.name for item in OBSERVATIONS]
    columns = [measurements.values[name] for name in names]
    rows = (
        (
            source.place(photo.path),
            photo.class_name,
            photo.width,
            photo.height,
            photo.sha256,
            *(f"{column[position]:.2f}" for column in columns),
        )
        for position, photo in enumerate(photos)
    )
    header = ("path", "label", "width", "height", "sha256", *names)
    write_table(folder / "photos.csv", header, rows)


def omega_squared(values: np.ndarray, class_names: list[str]) -> float:
    """Return which share of the variance of values the class explains (eta squared), 0-1.

    Args:
        values: float (photos,), or (photos, numbers), whose variances are then added up.
        class_names: Class of each photo.
    """
    classes = np.array(class_names)
    mean = values.mean(axis=0)
    total = ((values - mean) ** 2).sum()
    between = sum(
        (classes == name).sum() * ((values[classes == name].mean(axis=0) - mean) ** 2).sum()
        for name in set(class_names)
    )
    return float(between / total) if total else 0.0
