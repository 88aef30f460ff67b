"""The augmentation that follows from what was measured of the photos.

The idea: augmentation should make of each photo what another photographer might have taken. So the
range that a number has in the photos is the range to vary it in, unless it tells classes apart.
"""

from collections import Counter
from typing import NamedTuple

import numpy as np

from vision101.exploration.observations import Measurements, omega_squared
from vision101.photos.index import Photo

# From this share of the variance on, the class explains a number so well that a network might go
# by it (a "medium" effect in Cohen 1988, "Statistical Power Analysis for the Behavioral Sciences").
TELLING_SHARE = 0.06
# It must also exceed 95 % of shuffles: noise in 5 classes of 7 photos passes 6 % one time in five.
SHUFFLES = 200

RANGE = (10, 90)  # percentiles that bound the range that photos have
LARGEST_IMBALANCE = 1.2  # photos of the largest class for each of the smallest, about the same
NO_SIDE = 0.05  # subjects whose mean is this close to the middle, of half the width, have no side
CLOSE = 0.1  # what differs less from what the recipes do anyway is not worth a change

# What the recipes do, by the names that it has at the top of training/augmentation.py.
RECIPES = {
    "SMALLEST_CROP_AREA": 0.3,
    "BRIGHTNESS_JITTER": 0.2,
    "CONTRAST_JITTER": 0.2,
    "SATURATION_JITTER": 0.4,
    "HUE_JITTER": 5,
}


class Advice(NamedTuple):
    """What it is about, what was measured, and what follows from it for training: which flag or
    constant to change, or that the recipes do what fits.
    """

    topic: str
    finding: str
    suggestion: str
    fits: bool = False  # nothing has to be done


def advise(photos: list[Photo], measurements: Measurements, image_size: int) -> list[Advice]:
    """Suggest how to vary and prepare photos for training at `image_size` pixels per side. What
    no flag and no constant can change is left out.
    """
    values, hues, clutter = measurements.values, measurements.hues, measurements.values["clutter"]
    labels = np.unique([photo.class_name for photo in photos], return_inverse=True)[1]
    smallest, largest = np.percentile(values["subject_share"], RANGE)
    zoom = np.sqrt(largest / max(smallest, 0.1))
    side = float(values["rightward"].mean())
    enlarged = (values["shorter_side"] < image_size).mean()
    shorter_side = int(np.percentile(values["shorter_side"], RANGE[0]))
    counts = Counter(photo.class_name for photo in photos).most_common()
    (largest_class, most), (smallest_class, fewest) = counts[0], counts[-1]
    degrees, hue_tells = RECIPES["HUE_JITTER"], tells_classes_apart(hues, labels)
    advice = [
        Advice(
            "Photos of each class",
            f"{largest_class}: {most:,}, {smallest_class}: {fewest:,}.",
            f"Training takes the same number of each: more photos of {smallest_class} help most."
            if most > LARGEST_IMBALANCE * fewest
            else "The classes are of about the same size.",
            most <= LARGEST_IMBALANCE * fewest,
        ),
        Advice(
            "Close-up or zoom-out",
            f"In the middle 80 % of photos, the subject fills {smallest:.0f} to {largest:.0f} % of "
            f"the frame: the closest are {zoom:.1f} times as close as the farthest.",
            *_advise_on("SMALLEST_CROP_AREA", "random crops of at least this share", zoom**-2),
        ),
        Advice(
            "Left and right",
            f"On average, the middle of the subject lies at {50 + 50 * side:.0f} % of the width.",
            "The recipes flip half of the photos horizontally, which fits, unless left and right "
            "matter, as in writing."
            if abs(side) < NO_SIDE
            else "They differ: find out why. The recipes flip half of the photos horizontally; in "
            "augmentation.py and views.py, take that out if left and right matter.",
            abs(side) < NO_SIDE,
        ),
        _advise_on_jitter("Lighting: brightness", "BRIGHTNESS", values["brightness"], labels),
        _advise_on_jitter("Lighting: contrast", "CONTRAST", values["contrast"], labels),
        _advise_on_jitter(
            "Colour scheme: saturation", "SATURATION", values["colourfulness"], labels
        ),
        Advice(
            "Colour scheme: hue",
            f"Differences between classes are {100 * omega_squared(hues, labels):.0f} % of all.",
            f"It tells the classes apart: the recipes shift hues by up to {degrees}° only, which "
            "fits (HUE_JITTER)."
            if hue_tells
            else f"It hardly tells the classes apart: raise HUE_JITTER above its {degrees}°.",
            hue_tells,
        ),
        Advice(
            "Pixel size",
            f"{100 * enlarged:.0f} % have a side below {image_size} pixels and are enlarged.",
            f"1 photo in 10 has {shorter_side} pixels or fewer, and gains nothing from a larger "
            "--image-size."
            if enlarged > 0.1
            else f"There are enough pixels for --image-size {image_size}.",
            enlarged <= 0.1,
        ),
    ]
    if tells_classes_apart(clutter, labels):
        finding = (
            "Some classes have busier surroundings than others: that makes "
            f"{100 * omega_squared(clutter, labels):.0f} % of the differences between photos."
        )
        suggestion = (
            "A network may go by the surroundings. Random crops work against that, which all "
            "recipes but base have; better still, add photos from other places."
        )
        advice.append(Advice("Presence of other objects", finding, suggestion))
    return advice


def _advise_on(constant: str, purpose: str, wanted: float) -> tuple[str, bool]:
    current, wanted = RECIPES[constant], round(float(wanted), 1 if wanted > 0.1 else 2)
    if abs(wanted - current) <= CLOSE + 1e-6:
        return f"The recipes do what fits: {constant} = {current:g}, {purpose}.", True
    return f"Try {constant} = {wanted:g}, {purpose}; the recipes have {current:g}.", False


def _advise_on_jitter(topic: str, name: str, values: np.ndarray, labels: np.ndarray) -> Advice:
    explained = omega_squared(values, labels)
    # Of the whole range for brightness, which is added; of itself for what is multiplied.
    whole = 100 if name == "BRIGHTNESS" else max(float(values.mean()), 1e-6)
    share = np.sqrt(values.var() * (1 - explained)) / whole
    less = " Beware of more: it tells classes apart." if tells_classes_apart(values, labels) else ""
    suggestion, fits = _advise_on(f"{name}_JITTER", "random changes of at most this share", share)
    return Advice(
        topic,
        f"Photos of one class vary by ± {100 * share:.0f} %; differences between classes are "
        f"{100 * explained:.0f} % of all.",
        suggestion + less,
        fits,
    )


def tells_classes_apart(values: np.ndarray, labels: np.ndarray) -> bool:
    """Whether the class explains much of the variance, and more than chance (permutation test)."""
    generator = np.random.default_rng(0)
    by_chance = [omega_squared(generator.permutation(values), labels) for _ in range(SHUFFLES)]
    return omega_squared(values, labels) > max(TELLING_SHARE, np.quantile(by_chance, 0.95))
