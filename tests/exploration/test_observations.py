"""What is measured of photos, and the augmentation that follows from it."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from vision101.exploration.advice import RECIPES, advise, tells_classes_apart
from vision101.exploration.observations import (
    HUE_BINS,
    find_subject,
    measure_photos,
    omega_squared,
)
from vision101.photos.index import index_photos
from vision101.photos.sources import find_photos
from vision101.training import augmentation


def paint(place=(160, 120), radius=40, background=(40, 120, 40), colour=(220, 30, 60)):
    image = Image.new("RGB", (320, 240), background)
    x, y = place
    ImageDraw.Draw(image).ellipse((x - radius, y - radius, x + radius, y + radius), colour)
    return image


@pytest.fixture
def measure(tmp_path):
    """Return a function that measures pictures, and gives their values by name."""

    def run(*images):
        for number, image in enumerate(images):
            folder = tmp_path / "photos" / ("ab"[number % 2])
            folder.mkdir(parents=True, exist_ok=True)
            image.save(folder / f"{number}.png")
        photos = index_photos(find_photos(str(tmp_path / "photos")), tmp_path / "data")
        photos.sort(key=lambda photo: int(photo.path.stem))
        return measure_photos(photos), photos

    return run


def test_subject_is_found_where_it_is():
    subject = find_subject(paint((250, 60), 40).resize((240, 180)))
    rows, columns = np.nonzero(subject)
    height, width = subject.shape
    assert rows.mean() / height == pytest.approx(60 / 240, abs=0.02)
    assert columns.mean() / width == pytest.approx(250 / 320, abs=0.02)
    assert subject.mean() == pytest.approx(np.pi * 40**2 / (320 * 240), rel=0.15)


def test_observations_follow_what_they_are_named_after(measure):
    plain = paint()
    noise = Image.effect_noise((320, 240), 120).convert("RGB")
    busy = Image.composite(
        plain, noise, paint(background=(0, 0, 0), colour=(255,) * 3).convert("L")
    )
    large, off, dark = paint(radius=90), paint((60, 50)), plain.point(lambda value: value // 3)
    blurred, grey = busy.filter(ImageFilter.GaussianBlur(6)), plain.convert("L").convert("RGB")
    bud = paint(colour=(150, 220, 60))
    names = ("plain", "large", "off", "dark", "blurred", "grey", "busy", "bud")
    measurements, _ = measure(plain, large, off, dark, blurred, grey, busy, bud)
    values = {
        name: dict(zip(names, column, strict=True)) for name, column in measurements.values.items()
    }
    assert values["subject_share"]["large"] > 3 * values["subject_share"]["plain"]
    assert values["offset"]["plain"] < 3 < 50 < values["offset"]["off"]
    assert values["brightness"]["dark"] < 0.6 * values["brightness"]["plain"]
    assert values["sharpness"]["blurred"] < 0.5 * values["sharpness"]["busy"]
    assert values["colourfulness"]["grey"] < 1 < 30 < values["colourfulness"]["plain"]
    assert values["clutter"]["plain"] < 5 < 30 < values["clutter"]["busy"]
    assert values["bloom_share"]["bud"] < 20 < 80 < values["bloom_share"]["plain"]
    assert values["roundness"]["plain"] > 90
    assert values["shorter_side"]["plain"] == 240


def test_advice_follows_from_the_numbers(measure):
    alike = [paint((160, 120), 40) for _ in range(4)]
    measurements, photos = measure(*alike)
    advice = {item.topic: item.suggestion for item in advise(photos, measurements, 224)}
    assert "Try SMALLEST_CROP_AREA = 1," in advice["Close-up or zoom-out"]
    assert "flip half of the photos horizontally, which fits" in advice["Left and right"]
    assert "enough pixels for --image-size 224" in advice["Pixel size"]
    fitting = {item.topic for item in advise(photos, measurements, 224) if item.fits}
    assert {"Left and right", "Pixel size"} <= fitting
    assert not any("Try" in advice[topic] for topic in fitting)
    different = [paint((40 + 6 * number, 60), 12 + 8 * number) for number in range(8)]
    measurements, photos = measure(*different)
    advice = {item.topic: item.suggestion for item in advise(photos, measurements, 512)}
    assert "Try SMALLEST_CROP_AREA = 0.0" in advice["Close-up or zoom-out"]
    assert "find out why" in advice["Left and right"]
    assert "nothing from a larger --image-size" in advice["Pixel size"]


def test_advice_knows_what_the_recipes_do():
    assert {name: getattr(augmentation, name) for name in RECIPES} == RECIPES


def draw_noise(generator, photo_count, columns):
    """Return noise as a number of each photo has it, or as hues have it: peaks that sum to 1."""
    if columns == 1:
        return generator.normal(size=photo_count)
    return generator.dirichlet(np.full(columns, 0.05), photo_count)


@pytest.mark.parametrize("columns", [1, HUE_BINS])
@pytest.mark.parametrize(
    ("class_count", "class_size", "trials"), [(5, 7, 300), (100, 10, 20)], ids=["few", "many"]
)
def test_noise_tells_no_classes_apart(class_count, class_size, trials, columns):
    """Eta squared exceeded the limit in 75 and 100 % of cases, omega squared alone in 20 and 0."""
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(class_count), class_size)
    noise = [draw_noise(generator, len(labels), columns) for _ in range(trials)]
    # At most 5 % in the long run; so many of 300 happen by chance in one of a hundred cases.
    assert sum(tells_classes_apart(values, labels) for values in noise) <= 0.08 * trials
    # Omega squared is cut off at 0, so half of the noise keeps its mean a little above.
    assert np.mean([omega_squared(values, labels) for values in noise]) < 0.05


def test_numbers_that_differ_between_classes_tell_them_apart():
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(5), 200)
    values = draw_noise(generator, len(labels), 1) + labels  # variances of 1 and 2
    assert omega_squared(values, labels) == pytest.approx(2 / 3, abs=0.03)
    assert tells_classes_apart(values, labels)
    hues = draw_noise(generator, len(labels), HUE_BINS)
    hues[np.arange(len(labels)), 5 * labels] += 0.4
    assert tells_classes_apart(hues, labels)


def test_equal_photos_explain_nothing():
    labels = np.repeat(np.arange(2), 5)
    assert omega_squared(np.full(10, 0.1), labels) == 0
    assert omega_squared(np.arange(2.0), np.arange(2)) == 0  # a photo in each class
