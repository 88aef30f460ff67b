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
NO_SIDE = 0.05  # subjects whose mean is this close to the middle, of half the width, have no side
UPRIGHT_SHARE = 0.6  # if one half is lighter in more photos than this, up and down differ
BLURRED_SHARE = 0.6  # if a tenth is below this share of the median sharpness, some are blurred


class Advice(NamedTuple):
    """What it is about, what was measured, and what follows from it for training."""

    topic: str
    finding: str
    suggestion: str


def advise(photos: list[Photo], measurements: Measurements, image_size: int) -> list[Advice]:
    """Suggest how to vary and prepare photos for training at `image_size` pixels per side."""
    values, hues, clutter = measurements.values, measurements.hues, measurements.values["clutter"]
    labels = np.unique([photo.class_name for photo in photos], return_inverse=True)[1]
    smallest, largest = np.percentile(values["subject_share"], RANGE)
    zoom = np.sqrt(largest / max(smallest, 0.1))
    far = np.percentile(values["offset"], RANGE[1])
    side = float(values["rightward"].mean())
    lighter = (values["upper_lightness"] > 0).mean()
    least_sharp, median = np.percentile(values["sharpness"], (RANGE[0], 50))
    blurred = least_sharp / max(median, 1e-6)
    enlarged = (values["shorter_side"] < image_size).mean()
    shorter_side = int(np.percentile(values["shorter_side"], RANGE[0]))
    counts = Counter(photo.class_name for photo in photos).most_common()
    (largest_class, most), (smallest_class, fewest) = counts[0], counts[-1]
    return [
        Advice(
            "Close-up or zoom-out",
            f"In the middle 80 % of photos, the subject fills {smallest:.0f} to {largest:.0f} % of "
            f"the frame: the closest are {zoom:.1f} times as close as the farthest.",
            f"Crop to {100 / zoom**2:.0f} to 100 % of the area, so that far subjects come close."
            if zoom > 1.2
            else "All are about equally close: crop only a little.",
        ),
        Advice(
            "Frame position",
            f"Nine subjects in ten are at most {far:.0f} % of half the diagonal off the centre.",
            "Crop anywhere, not only in the middle." if far > 10 else "Crop near the middle.",
        ),
        Advice(
            "Left and right",
            f"On average, the subject is {100 * abs(side):.0f} % of half the width to the "
            f"{'right' if side > 0 else 'left'} of the middle.",
            "Flip half of the photos horizontally, unless left and right matter, as in writing."
            if abs(side) < NO_SIDE
            else "They differ: find out why before you flip photos.",
        ),
        Advice(
            "Up and down",
            f"The upper half is the lighter one in {100 * lighter:.0f} % of photos.",
            "They differ: do not flip photos vertically, and rotate them by a few degrees at most."
            if max(lighter, 1 - lighter) > UPRIGHT_SHARE
            else "Light does not tell up from down: large rotations may be worth a try.",
        ),
        _advise_on_jitter("Lighting: brightness", values["brightness"], labels),
        _advise_on_jitter("Lighting: contrast", values["contrast"], labels),
        _advise_on_jitter("Colour scheme: saturation", values["colourfulness"], labels),
        Advice(
            "Colour scheme: hue",
            f"The class explains {100 * omega_squared(hues, labels):.0f} % of the variance.",
            "It tells the classes apart: shift hues by a few degrees at most."
            if tells_classes_apart(hues, labels)
            else "It hardly tells the classes apart: shift hues as well.",
        ),
        Advice(
            "Focus",
            f"The least sharp tenth has less than {100 * blurred:.0f} % of the median sharpness.",
            "Blur some photos slightly."
            if blurred < BLURRED_SHARE
            else "Most are about equally sharp: no need to blur any.",
        ),
        Advice(
            "Presence of other objects",
            f"The class explains {100 * omega_squared(clutter, labels):.0f} % of the clutter.",
            "A network could go by them: crop, erase patches or use mixup; look at its mistakes."
            if tells_classes_apart(clutter, labels)
            else "The surroundings are similar in all classes: nothing to do.",
        ),
        Advice(
            "Pixel size",
            f"{100 * enlarged:.0f} % have a side below {image_size} pixels and are enlarged.",
            f"A tenth has {shorter_side} pixels or fewer and gains nothing from a larger size."
            if enlarged > 0.1
            else f"There are enough pixels for a training size of {image_size}.",
        ),
        Advice(
            "Photos of each class",
            f"{largest_class} has {most / fewest:.1f} times as many as {smallest_class}.",
            f"Training takes the same number of each: more photos of {smallest_class} help most."
            if most > 1.2 * fewest
            else "The classes are of about the same size.",
        ),
    ]


def _advise_on_jitter(topic: str, values: np.ndarray, labels: np.ndarray) -> Advice:
    explained = omega_squared(values, labels)
    share = 100 * np.sqrt(values.var() * (1 - explained)) / max(float(values.mean()), 1e-6)
    less = ", or rather less: it tells classes apart" if tells_classes_apart(values, labels) else ""
    return Advice(
        topic,
        f"It varies by ± {share:.0f} % within a class; the class explains {100 * explained:.0f} %.",
        f"Vary it by up to ± {round(share, -1):.0f} %{less}.",
    )


def tells_classes_apart(values: np.ndarray, labels: np.ndarray) -> bool:
    """Whether the class explains much of the variance, and more than chance (permutation test)."""
    generator = np.random.default_rng(0)
    by_chance = [omega_squared(generator.permutation(values), labels) for _ in range(SHUFFLES)]
    return omega_squared(values, labels) > max(TELLING_SHARE, np.quantile(by_chance, 0.95))
