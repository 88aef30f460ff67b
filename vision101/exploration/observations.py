"""The article's nine observations, measured before any training.

Two photos of one flower differ in how close it is, in its colours, its life cycle, focus, place in
the frame, light, the side it is seen from, the pixels, and in what else is there. Each becomes a
number, by a formula simple enough to check by eye. None of them knows what a flower is.
"""

import functools
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms
from scipy import ndimage

from vision101.files import write_table
from vision101.photos.index import Photo, expect_unchanged
from vision101.photos.reading import read_ahead, read_photo
from vision101.photos.sources import PhotoSource

# All photos are measured at one size, or large ones would seem sharper and fuller. Longer side in
# pixels: enough to see whether a petal has an edge, and a hundredth of a second per photo.
MEASURED_SIZE = 240

# The subject is looked for at half that size, where noise is smoothed away.
SUBJECT_REDUCTION = 2

# Width of the strips along the border that are background, as a share of the side (Zhang 2015).
BORDER_SHARE = 0.1

# Added to the variances of the strips' colours, in squared steps of L*a*b*: differences below
# about five steps are hardly visible, and a plain wall varies less than that.
VISIBLE_VARIANCE = 25.0

# Hues from yellowish green to bluish green, in degrees of the HSV circle: leaves and stems.
GREEN_HUES = (65, 170)

# Below this saturation or value (HSV, 0-1), a pixel has no colour that a person would name.
COLOURED_SATURATION, COLOURED_VALUE = 0.25, 0.2

EDGE_STEP = 24  # a difference of luma (0-255) between neighbouring pixels that counts as an edge
HUE_BINS = 36  # of the colour circle
MEAN_SIZE = 96  # side of the mean photos in pixels


class Observation(NamedTuple):
    """What one of the numbers means; templates/explore.html says what to do with it."""

    name: str  # its column in photos.csv
    title: str  # what the article calls it
    unit: str  # label of its axis
    short_unit: str  # beside a number
    ends: tuple[str, str]  # what photos at the lower and at the upper end are


OBSERVATIONS = (
    Observation("subject_share", "Close-up or zoom-out", "subject's share of the frame (%)",
                " %", ("far away or small", "close up")),
    Observation("colourfulness", "Colour scheme", "colourfulness (0 = grey)",
                "", ("grey or pale", "colourful")),
    Observation("bloom_share", "Life cycle", "blossom-coloured share of the subject (%)",
                " %", ("green, grey or white", "in bright bloom")),
    Observation("sharpness", "Focus", "contrast of finest detail, sharpest tenth (of 255)",
                "", ("out of focus", "in focus")),
    Observation("offset", "Frame position",
                "subject's distance from the centre (% of half the diagonal)",
                " %", ("in the centre", "off centre")),
    Observation("brightness", "Lighting: brightness", "mean lightness L* (0 = black, 100 = white)",
                " L*", ("dark", "bright")),
    Observation("contrast", "Lighting: contrast", "standard deviation of lightness L*",
                " L*", ("flat light", "hard light")),
    Observation("roundness", "Photo view", "shorter axis of the subject (% of its longer one)",
                " %", ("long: perhaps from the side", "round: perhaps from the front")),
    Observation("shorter_side", "Pixel size", "shorter side (pixels)",
                " px", ("few pixels", "many pixels")),
    Observation("clutter", "Presence of other objects", "edges beside the subject (% of pixels)",
                " %", ("plain background", "busy surroundings")),
)  # fmt: skip


class Measurements(NamedTuple):
    """What was measured of many photos.

    Attributes:
        values: float32 (photos,) for each name in `OBSERVATIONS`, and two more: `upper_lightness`,
            L* of the upper half minus that of the lower; and `rightward`, how far the subject is
            right of the centre, -1 to 1 (the edges of the frame).
        hues: float32 (photos, HUE_BINS): share of the subject's coloured pixels in each bin of the
            colour circle; all 0 where it has none.
        mean_photos: uint8 (MEAN_SIZE, MEAN_SIZE, 3), RGB, for each class.
        mean_subjects: float32 (MEAN_SIZE, MEAN_SIZE), 0-1, for each class: the share of its photos
            whose subject covers this place.
    """

    values: dict[str, np.ndarray]
    hues: np.ndarray
    mean_photos: dict[str, np.ndarray]
    mean_subjects: dict[str, np.ndarray]


def measure_photos(photos: list[Photo]) -> Measurements:
    """Measure photos one by one; only their numbers stay in memory.

    Raises:
        UserError: A file was changed or removed since it was indexed.
    """
    counts = Counter(photo.class_name for photo in photos)
    photo_sums = {name: np.zeros((MEAN_SIZE, MEAN_SIZE, 3)) for name in counts}
    subject_sums = {name: np.zeros((MEAN_SIZE, MEAN_SIZE)) for name in counts}
    rows, hues = [], []
    measured = read_ahead(_measure, photos, "Measuring photos")
    for photo, (row, hue, stretched_photo, subject) in zip(photos, measured, strict=True):
        rows.append(row)
        hues.append(hue)
        photo_sums[photo.class_name] += stretched_photo
        subject_sums[photo.class_name] += subject
    return Measurements(
        {name: np.array([row[name] for row in rows], np.float32) for name in rows[0]},
        np.array(hues, np.float32),
        {name: (total / counts[name]).astype(np.uint8) for name, total in photo_sums.items()},
        {name: (total / counts[name]).astype(np.float32) for name, total in subject_sums.items()},
    )


def _measure(photo: Photo) -> tuple[dict[str, float], np.ndarray, np.ndarray, np.ndarray]:
    image = read_small(photo)
    luma = np.asarray(image.convert("L"), np.float32)
    lightness = _convert_to_lab(image)[..., 0]
    half = len(lightness) // 2
    subject = find_subject(image)
    height, width = subject.shape
    rows, columns = (np.indices(subject.shape) + 0.5) / np.reshape(subject.shape, (2, 1, 1))
    downward, rightward = 2 * rows[subject].mean() - 1, 2 * columns[subject].mean() - 1
    hues, bloom_share = _measure_colours(image, subject)
    values = {
        "subject_share": 100 * subject.mean(),
        "colourfulness": _measure_colourfulness(np.asarray(image, np.float32)),
        "bloom_share": 100 * bloom_share,
        "sharpness": _measure_sharpness(luma),
        "offset": 100 * np.hypot(rightward * width, downward * height) / np.hypot(width, height),
        "brightness": lightness.mean(),
        "contrast": lightness.std(),
        "roundness": 100 * _measure_roundness(subject),
        "shorter_side": min(photo.width, photo.height),
        "clutter": 100 * _measure_clutter(luma, subject),
        "upper_lightness": lightness[:half].mean() - lightness[half:].mean() if half else 0.0,
        "rightward": rightward,
    }
    # Stretched rather than cropped: nothing of the frame is lost.
    size = (MEAN_SIZE, MEAN_SIZE)
    stretched_photo = np.asarray(image.resize(size, Image.Resampling.BOX))
    return values, hues, stretched_photo, np.asarray(Image.fromarray(subject).resize(size))


def read_small(photo: Photo) -> Image.Image:
    """Read a photo as it is measured: in RGB, its longer side resized to `MEASURED_SIZE` pixels.

    Raises:
        UserError: The file was changed or removed since it was indexed.
    """
    with expect_unchanged(photo):
        image = read_photo(photo.path, MEASURED_SIZE // 2, photo.white)
    scale = MEASURED_SIZE / max(image.size)
    width, height = (max(1, round(scale * side)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def find_subject(image: Image.Image) -> np.ndarray:
    """Return where the subject is: what differs in colour from the border of the photo.

    This is the image-boundary contrast of Zhang et al. 2015, "Minimum Barrier Salient Object
    Detection at 80 FPS", section 5. The largest distance is left out: a subject may touch one side.

    The image is one of `read_small`. The bool array that is returned has half its height and
    width, rounded up, and at least one True.
    """
    lab = ndimage.gaussian_filter(_convert_to_lab(image.reduce(SUBJECT_REDUCTION)), (1, 1, 0))
    height, width, _ = lab.shape
    rows, columns = (max(1, round(BORDER_SHARE * side)) for side in (height, width))
    distances = []
    for strip in (lab[:rows], lab[-rows:], lab[:, :columns], lab[:, -columns:]):
        colours = strip.reshape(-1, 3)
        difference = (lab - colours.mean(axis=0)).reshape(-1, 3)
        deviation = colours - colours.mean(axis=0)
        covariance = deviation.T @ deviation / len(colours) + VISIBLE_VARIANCE * np.eye(3)
        squared = (difference @ np.linalg.inv(covariance) * difference).sum(axis=1)
        distances.append(np.sqrt(squared).reshape(height, width))
    contrast = np.sum(distances, axis=0) - np.max(distances, axis=0)
    subject = contrast > _find_threshold(contrast)
    # A plain area has no subject; then all of it is.
    return subject if subject.any() else ~subject


def _find_threshold(values: np.ndarray) -> float:
    """Return the threshold that splits values into the two groups that differ most (Otsu 1979)."""
    counts, edges = np.histogram(values, 128)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = values.size - below
    sums = np.cumsum(counts * centres)
    gap = sums[:-1] / np.maximum(below, 1) - (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    return edges[1 + np.argmax(below * above * gap**2)]


def _convert_to_lab(image: Image.Image) -> np.ndarray:
    """Return CIE L*a*b* of an sRGB image: float32 (height, width, 3), L* 0-100."""
    stored = np.array(ImageCms.applyTransform(image, _build_lab_transform()))
    lab = np.empty(stored.shape, np.float32)
    lab[..., 0] = stored[..., 0] * (100 / 255)
    lab[..., 1:] = stored[..., 1:].view(np.int8)
    return lab


@functools.cache
def _build_lab_transform() -> ImageCms.ImageCmsTransform:
    profiles = (ImageCms.createProfile(space) for space in ("sRGB", "LAB"))
    return ImageCms.buildTransform(*profiles, "RGB", "LAB")


def _measure_colourfulness(pixels: np.ndarray) -> float:
    """After Hasler & Süsstrunk 2003, "Measuring colourfulness in natural images"."""
    red, green, blue = np.moveaxis(pixels, -1, 0)
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    spread = np.hypot(red_green.std(), yellow_blue.std())
    return spread + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean())


def _measure_colours(image: Image.Image, subject: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the subject's distribution over the colour circle, and its blossom-coloured share."""
    hsv = np.asarray(image.reduce(SUBJECT_REDUCTION).convert("HSV"), np.float32) / 255
    hue, saturation, value = hsv[subject].T
    coloured = (saturation > COLOURED_SATURATION) & (value > COLOURED_VALUE)
    degrees = 360 * hue[coloured]
    hues = np.histogram(degrees, HUE_BINS, (0, 360))[0] / max(1, coloured.sum())
    green = (degrees > GREEN_HUES[0]) & (degrees < GREEN_HUES[1])
    return hues, (coloured.sum() - green.sum()) / len(hue)


def _measure_sharpness(luma: np.ndarray) -> float:
    """After Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy"."""
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
    """Write `photos.csv`: the path, class and size of every photo, and its observations."""
    names = [item.name for item in OBSERVATIONS]
    rows = []
    for position, photo in enumerate(photos):
        values = (f"{measurements.values[name][position]:.2f}" for name in names)
        row = (source.place(photo.path), photo.class_name, photo.width, photo.height, photo.sha256)
        rows.append((*row, *values))
    write_table(folder / "photos.csv", ("path", "label", "width", "height", "sha256", *names), rows)


def omega_squared(values: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of the variance that the class explains, 0-1 (Hays 1963).

    Unlike the plain share, eta squared, it is not biased: of pure noise in 5 classes of 7 photos,
    eta squared is 0.12 on average.

    Args:
        values: float (photos,), or (photos, columns), whose variances are added up.
        labels: int (photos,): the position of each photo's class.
    """
    values = values.reshape(len(labels), -1).astype(float)
    counts = np.bincount(labels)
    if len(counts) == len(labels) or not np.ptp(values, axis=0).any():
        return 0.0
    values -= values.mean(axis=0)
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, labels, values)
    total, between = (values**2).sum(), (sums**2 / counts[:, None]).sum()
    by_chance = (total - between) / (len(labels) - len(counts))
    return max(0.0, float((between - (len(counts) - 1) * by_chance) / (total + by_chance)))
