"""The augmentation that follows from what was measured of the photos."""

from collections import Counter
from typing import NamedTuple

import numpy as np

from vision101.exploration.observations import Measurements, omega_squared
from vision101.photos.index import Photo

# What lies between the tenth and the ninetieth percentile is the range that photos have.
RANGE = (10, 90)

# From this share of the variance on, the class explains a number so well that a network might go
# by it ("medium" of Cohen 1988, "Statistical Power Analysis for the Behavioral Sciences").
TELLING_SHARE = 0.06

# Subjects whose mean is this close to the middle, as a share of half the width, have no side.
NO_SIDE = 0.05

# If one half of the photo is the lighter one in so many photos, up and down differ.
UPRIGHT_SHARE = 0.6

# Some photos are this much less sharp than the middle one.
BLURRED_SHARE = 0.6


class Advice(NamedTuple):
    """One suggestion for training.

    Attributes:
        topic: What it is about.
        finding: What was measured.
        suggestion: What follows from it.
    """

    topic: str
    finding: str
    suggestion: str


def advise(photos: list[Photo], measurements: Measurements, image_size: int) -> list[Advice]:
    """Suggest how to vary and prepare photos in training, by how they differ already.

    The idea: augmentation should make of each photo what another photographer might have taken.
    So the range in which a number varies within the photos is the range in which to vary it, but
    for numbers that tell the classes apart.

    Args:
        photos: The readable photos.
        measurements: What `measure_photos` returned of them.
        image_size: Side of the square that training makes of each photo, in pixels.
    """
    values = measurements.values
    class_names = [photo.class_name for photo in photos]
    return [
        _advise_crop(values["subject_share"]),
        _advise_position(values["offset"]),
        _advise_mirror(measurements.sideways),
        _advise_turning(measurements.upper_light),
        _advise_jitter("Lighting: brightness", values["brightness"], class_names),
        _advise_jitter("Lighting: contrast", values["contrast"], class_names),
        _advise_jitter("Colour scheme: saturation", values["colourfulness"], class_names),
        _advise_hue(measurements.hues, class_names),
        _advise_blur(values["sharpness"]),
        _advise_clutter(values["clutter"], class_names),
        _advise_size(values["shorter_side"], image_size),
        _advise_balance(class_names),
    ]


def _advise_crop(subject_shares: np.ndarray) -> Advice:
    low, high = np.percentile(subject_shares, RANGE)
    factor = np.sqrt(high / max(low, 0.1))
    return Advice(
        "Close-up or zoom-out",
        f"In the middle 80 % of photos, the subject fills {low:.0f} to {high:.0f} % of the frame: "
        f"the nearest are {factor:.1f} times as close as the farthest.",
        f"Crop pieces of {100 / factor**2:.0f} to 100 % of the area, which makes the far photos as "
        "close as the near ones."
        if factor > 1.2
        else "All are about as close: crop little.",
    )


def _advise_position(offsets: np.ndarray) -> Advice:
    far = np.percentile(offsets, RANGE[1])
    return Advice(
        "Frame position",
        f"In nine of ten photos, the subject's centre is less than {far:.0f} % of half the "
        "diagonal off the middle.",
        "Crop anywhere and not only in the middle." if far > 10 else "Crop near the middle.",
    )


def _advise_mirror(sideways: np.ndarray) -> Advice:
    side = float(sideways.mean())
    return Advice(
        "Left and right",
        f"Subjects are on average {100 * abs(side):.0f} % of half the width "
        f"{'right' if side > 0 else 'left'} of the middle.",
        "Mirror half of the photos, unless left and right mean something, as in writing."
        if abs(side) < NO_SIDE
        else "Left and right differ: find out why before you mirror photos.",
    )


def _advise_turning(upper_light: np.ndarray) -> Advice:
    lighter = float((upper_light > 0).mean())
    return Advice(
        "Up and down",
        f"The upper half is the lighter one in {100 * lighter:.0f} % of photos.",
        "Up and down differ: do not turn photos upside down, nor by more than a few degrees."
        if max(lighter, 1 - lighter) > UPRIGHT_SHARE
        else "Light does not tell up from down: turning photos may be worth a try.",
    )


def _advise_hue(hues: np.ndarray, class_names: list[str]) -> Advice:
    explained = omega_squared(hues, class_names)
    return Advice(
        "Colour scheme: hue",
        f"The class explains {100 * explained:.0f} % of how subjects differ in hue.",
        "Colour tells classes apart: shift hues by a few degrees at most."
        if explained > TELLING_SHARE
        else "Colour hardly tells classes apart: shift hues too.",
    )


def _advise_blur(sharpness: np.ndarray) -> Advice:
    blurred, usual = np.percentile(sharpness, (RANGE[0], 50))
    return Advice(
        "Focus",
        f"The least sharp tenth has less than {100 * blurred / max(usual, 1e-6):.0f} % of the "
        "sharpness of the middle photo.",
        "Blur some photos a little."
        if blurred < BLURRED_SHARE * usual
        else "Most are about as sharp: no need to blur any.",
    )


def _advise_clutter(clutter: np.ndarray, class_names: list[str]) -> Advice:
    explained = omega_squared(clutter, class_names)
    return Advice(
        "Presence of other objects",
        f"The class explains {100 * explained:.0f} % of how busy the surroundings are.",
        "A network could go by the surroundings: crop, erase pieces or mixup photos, and look at "
        "where its mistakes come from."
        if explained > TELLING_SHARE
        else "Surroundings are alike in all classes: nothing to do.",
    )


def _advise_size(shorter_sides: np.ndarray, image_size: int) -> Advice:
    enlarged = (shorter_sides < image_size).mean()
    typical = int(np.percentile(shorter_sides, RANGE[0]))
    return Advice(
        "Pixel size",
        f"{100 * enlarged:.0f} % of photos have fewer than {image_size} pixels per side and are "
        "enlarged.",
        f"Nine in ten photos have {typical} pixels or more: a larger training size shows nothing "
        "more of the others."
        if enlarged > 0.1
        else f"There are pixels enough for a training size of {image_size}.",
    )


def _advise_balance(class_names: list[str]) -> Advice:
    counts = Counter(class_names).most_common()
    (largest, most), (smallest, fewest) = counts[0], counts[-1]
    return Advice(
        "Photos of each class",
        f"{largest} has {most / fewest:.1f} times as many as {smallest}.",
        "Training takes the same number of each class, which the smallest limits: more photos of "
        f"{smallest} help most."
        if most > 1.2 * fewest
        else "Classes are of about the same size.",
    )


def _advise_jitter(title: str, values: np.ndarray, class_names: list[str]) -> Advice:
    """Suggest by how much to vary a number, from its relative deviation within the classes."""
    explained = omega_squared(values, class_names)
    within = np.sqrt(values.var() * (1 - explained))
    share = 100 * within / max(float(values.mean()), 1e-6)
    suggestion = f"Vary it by up to ± {round(share, -1):.0f} %."
    if explained > TELLING_SHARE:
        suggestion += " It tells classes apart to some degree, so rather by less."
    return Advice(
        title,
        f"Within a class it differs by ± {share:.0f} % (standard deviation); the class explains "
        f"{100 * explained:.0f} % of all differences.",
        suggestion,
    )
