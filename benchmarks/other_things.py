"""Paint pictures of things that are no flowers: what a classifier of flowers should not name."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIZE = 320  # pixels per side


def paint_other_things(count: int, seed: int = 0) -> list[Image.Image]:
    """Return `count` pictures, of each kind in turn; RGB, SIZE x SIZE."""
    generator = np.random.default_rng(seed)
    return [PAINTERS[number % len(PAINTERS)](generator) for number in range(count)]


def _colour(generator, low: int = 0, high: int = 255) -> tuple[int, int, int]:
    return tuple(int(value) for value in generator.integers(low, high, 3))


def _paint_gradient(generator) -> Image.Image:
    ends = generator.uniform(0, 255, (2, 3))
    share = np.linspace(0, 1, SIZE)[:, None, None] * np.ones((1, SIZE, 1))
    image = Image.fromarray((ends[0] + share * (ends[1] - ends[0])).astype(np.uint8))
    return image.rotate(90 * generator.integers(4))


def _paint_noise(generator) -> Image.Image:
    grain = int(generator.choice([20, 80, SIZE]))
    pixels = generator.integers(0, 256, (grain, grain, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((SIZE, SIZE), Image.Resampling.BICUBIC)


def _paint_page(generator) -> Image.Image:
    image = Image.new("RGB", (SIZE, SIZE), _colour(generator, 225))
    draw = ImageDraw.Draw(image)
    for top in range(20, SIZE - 20, int(generator.integers(12, 22))):
        left = 20
        while left < SIZE - 40:
            width = int(generator.integers(8, 50))
            draw.rectangle((left, top, min(left + width, SIZE - 20), top + 5), fill=(30, 30, 30))
            left += width + 7
    return image


def _paint_house(generator) -> Image.Image:
    image = Image.new("RGB", (SIZE, SIZE), _colour(generator, 120))
    draw = ImageDraw.Draw(image)
    ground = int(generator.integers(220, 280))
    draw.rectangle((0, ground, SIZE, SIZE), fill=(90, 110, 70))
    left, right = int(generator.integers(20, 80)), int(generator.integers(220, 300))
    top = int(generator.integers(110, 160))
    draw.rectangle((left, top, right, ground), fill=_colour(generator, 90))
    draw.polygon(
        [(left - 12, top), (right + 12, top), ((left + right) // 2, top - 70)],
        fill=_colour(generator, 40, 150),
    )
    for x in range(left + 15, right - 30, 45):
        draw.rectangle((x, top + 20, x + 22, top + 50), fill=(60, 80, 110), outline="white")
    return image


def _paint_wall(generator) -> Image.Image:
    mortar, brick = _colour(generator, 150), np.array(_colour(generator, 60, 200))
    image = Image.new("RGB", (SIZE, SIZE), mortar)
    draw = ImageDraw.Draw(image)
    height = int(generator.integers(16, 34))
    for row, top in enumerate(range(0, SIZE, height)):
        for left in range(-(row % 2) * height, SIZE, 2 * height):
            shade = np.clip(brick + generator.integers(-20, 20), 0, 255)
            draw.rectangle(
                (left + 2, top + 2, left + 2 * height - 2, top + height - 2), tuple(shade)
            )
    return image


def _paint_car(generator) -> Image.Image:
    image = Image.new("RGB", (SIZE, SIZE), _colour(generator, 140))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 220, SIZE, SIZE), fill=(80, 80, 85))
    paint = _colour(generator)
    draw.rounded_rectangle((30, 170, 290, 235), 20, fill=paint)
    draw.polygon([(85, 172), (120, 120), (210, 120), (245, 172)], fill=paint)
    draw.polygon([(100, 170), (125, 130), (160, 130), (160, 170)], fill=(190, 215, 230))
    draw.polygon([(170, 170), (170, 130), (205, 130), (230, 170)], fill=(190, 215, 230))
    for x in (90, 230):
        draw.ellipse((x - 30, 205, x + 30, 265), fill=(25, 25, 25))
        draw.ellipse((x - 13, 222, x + 13, 248), fill=(170, 170, 170))
    return image.filter(ImageFilter.GaussianBlur(float(generator.uniform(0, 2))))


def _paint_chart(generator) -> Image.Image:
    image = Image.new("RGB", (SIZE, SIZE), "white")
    draw = ImageDraw.Draw(image)
    draw.line([(30, 20), (30, 290), (300, 290)], fill="black", width=3)
    bars = int(generator.integers(4, 9))
    width = 250 // bars
    for bar in range(bars):
        top = int(generator.integers(40, 280))
        left = 40 + bar * width
        draw.rectangle((left, top, left + width - 8, 289), fill=_colour(generator))
    return image


def _paint_night_sky(generator) -> Image.Image:
    image = Image.new("RGB", (SIZE, SIZE), _colour(generator, 0, 40))
    draw = ImageDraw.Draw(image)
    for x, y, size in generator.integers(0, (SIZE, SIZE, 4), (200, 3)):
        draw.ellipse((x, y, x + size, y + size), fill=_colour(generator, 180))
    return image.filter(ImageFilter.GaussianBlur(0.7))


PAINTERS: tuple[Callable, ...] = (
    _paint_gradient,
    _paint_noise,
    _paint_page,
    _paint_house,
    _paint_wall,
    _paint_car,
    _paint_chart,
    _paint_night_sky,
)
