"""The built-in sample: 750 painted photos of five kinds of flowers.

It stands in for a real collection on a machine without a network, and in the tests. A flower head
is built of petals in three dimensions (see `Petals`), turned to the viewing angle and painted from
the farthest petal to the nearest. What makes two photos of one kind differ is a `Setting`.
"""

from collections import namedtuple
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFilter

from vision101.terminal import ProgressBar

# Unequal on purpose: a real collection is never balanced, and splitting it has to cope.
CLASS_COUNTS = {"daisy": 130, "dandelion": 180, "roses": 135, "sunflowers": 145, "tulips": 160}

# Pillow draws polygons with jagged edges; painting large and shrinking makes them smooth.
SUPERSAMPLING = 2

# The sizes of thumbnails on a photo site: mostly the same longer side, in many shapes.
PIXEL_SIZES = [(320, 240), (320, 213), (240, 320), (240, 240), (320, 180), (333, 500), (500, 375)]
PIXEL_SIZE_ODDS = [0.28, 0.24, 0.16, 0.14, 0.08, 0.05, 0.05]

# People photograph flowers in bloom; the rest is what makes some photos hard.
LIFE_CYCLE_ODDS = {"bud": 0.05, "bloom": 0.86, "seed head": 0.09}

# Blur of background and subject, as shares of the frame's shorter side: where the focus is on the
# subject, on everything, on the background, and on nothing.
FOCUS_BLURS = [(0.030, 0.0), (0.004, 0.0), (0.004, 0.016), (0.030, 0.010)]
FOCUS_ODDS = [0.66, 0.18, 0.08, 0.08]

# The colours of everything that is not the flower: three for the scenery, one for leaves.
ColourScheme = namedtuple("ColourScheme", "far near accent foliage")
COLOUR_SCHEMES = [
    ColourScheme((170, 200, 120), (62, 104, 48), (206, 220, 150), (76, 128, 52)),  # a meadow
    ColourScheme((240, 214, 150), (140, 116, 52), (250, 190, 110), (118, 132, 52)),  # golden
    ColourScheme((236, 208, 214), (120, 110, 92), (222, 160, 180), (88, 124, 78)),  # rosy
    ColourScheme((166, 204, 236), (92, 136, 116), (232, 242, 250), (70, 124, 72)),  # the sky
    ColourScheme((110, 96, 140), (36, 40, 58), (190, 130, 150), (56, 92, 70)),  # dusk
    ColourScheme((58, 88, 58), (18, 32, 24), (120, 150, 90), (60, 110, 58)),  # a forest
]

# Each kind has its own colours, one for each scheme, but hardly a colour belongs to one kind only:
# a model that looks at nothing but colour must fail.
PETAL_COLOURS = {
    "daisy": ["#fafaf4", "#fcf0ce", "#f2b2cc", "#f6f6fc", "#e2c4ec", "#fcf6ec"],
    "dandelion": ["#fad020", "#faba1c", "#f8d646", "#fcd828", "#eeb228", "#facc1e"],
    "roses": ["#d62434", "#faca5a", "#f08ca8", "#faece8", "#be1846", "#de3230"],
    "sunflowers": ["#fcc418", "#f69e1e", "#f8ce50", "#fece24", "#d65c24", "#fabc1e"],
    "tulips": ["#face32", "#f2782c", "#f082ac", "#e22c3a", "#883e8e", "#faf2e8"],
}
GREEN = (98, 142, 66)
BROWN = (122, 92, 54)

# What the light does to a finished picture: it multiplies red, green and blue, sets the contrast,
# comes in from one upper corner, and leaves the corners dark (both 0..1).
Light = namedtuple("Light", "gain contrast glow vignette")
LIGHTS = [
    Light((1.06, 1.05, 1.0), 1.12, 0.10, 0.05),  # at noon
    Light((0.97, 0.99, 1.02), 0.88, 0.0, 0.05),  # overcast
    Light((1.08, 0.95, 0.78), 1.0, 0.20, 0.20),  # in the evening
    Light((0.90, 0.88, 0.87), 0.95, 0.45, 0.10),  # against the light
    Light((0.76, 0.80, 0.88), 0.92, 0.0, 0.30),  # in the shade
]


class Setting:
    """Everything about a photo but the kind of flower in it, drawn alike for every kind.

    The ranges and odds make the sample neither hopeless nor trivial: a small convolutional network
    that has seen 80 photos of each kind should name about three unseen ones in four. Smaller heads,
    more buds and more clutter quickly bring it down to half.
    """

    def __init__(self, rng):
        # The head's diameter as a share of the shorter side: from a flower with its surroundings
        # to a head that overflows the frame.
        self.zoom = 0.55 + (1.15 - 0.55) * rng.beta(2, 1.3)
        self.scheme_number = rng.choice(len(COLOUR_SCHEMES))
        self.life_cycle = rng.choice(list(LIFE_CYCLE_ODDS), p=list(LIFE_CYCLE_ODDS.values()))
        self.blurs = FOCUS_BLURS[rng.choice(len(FOCUS_BLURS), p=FOCUS_ODDS)]
        # Of the head, 0..1 from the left and from the top.
        self.position = rng.uniform(0.40, 0.60), rng.uniform(0.38, 0.54)
        self.light = LIGHTS[rng.choice(len(LIGHTS))]
        self.viewing_angle = 80 * rng.beta(1, 2)  # degrees: 0 is from the front, 90 from the side
        self.pixel_size = PIXEL_SIZES[rng.choice(len(PIXEL_SIZES), p=PIXEL_SIZE_ODDS)]
        # The farthest first. One that is drawn twice is painted twice.
        numbers = sorted(rng.choice(len(OTHER_OBJECTS), size=rng.integers(0, 3)))
        self.other_objects = [OTHER_OBJECTS[number] for number in numbers]


def tint(colour, factor: float = 1.0) -> tuple[int, int, int]:
    """Return the colour, times a factor, as Pillow wants it."""
    return tuple(np.multiply(colour, factor).clip(0, 255).astype(int).tolist())


def blend(first, second, share: float) -> np.ndarray:
    """Return the colour that is `share` (0..1) of the way from the first to the second."""
    return np.multiply(first, 1 - share) + np.multiply(second, share)


# Petals (or sepals, or seeds) of one head, each painted as a few nested outlines, (petals,
# layers, points, 3) in units of the head's radius, with the third axis pointing out of the flower.
# The colours are (petals, layers, 3), 0..255.
Petals = namedtuple("Petals", "outlines colours")

# An outline runs from the petal's base along one edge to its tip and back along the other. Its
# steps are shorter at both ends, where it bends most.
STEPS = (1 - np.cos(np.linspace(0, np.pi, 12))) / 2
ALONG = np.concatenate([STEPS, STEPS[::-1]])
EDGE = np.repeat([1.0, -1.0], len(STEPS))

# Turning by this angle from seed to seed is what packs them evenly, in a sunflower and here.
GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))


def petal_width(shape: tuple[float, float]) -> np.ndarray:
    """Return the half width, -1..1, at each point of an outline."""
    base, tip = shape  # 0.2 is blunt, 0.5 round, 1 pointed
    widest = base / (base + tip)
    return EDGE * ALONG**base * (1 - ALONG) ** tip / (widest**base * (1 - widest) ** tip)


def azimuths(count, rng, deviation) -> np.ndarray:
    """Return angles (count, 1) around the axis, with a deviation of up to so much of a step."""
    steps = np.arange(count) + rng.uniform(-deviation, deviation, count)
    return (2 * np.pi * steps / count + rng.uniform(0, 2 * np.pi))[:, None]


def ring(count, rng, *, start, length, half_width, shape, lift=0.0, droop=0.0) -> np.ndarray:
    """Return outlines (count, points, 3) of petals that spread around the flower's axis."""
    azimuth = azimuths(count, rng, 0.25)
    out = start + ALONG * length * rng.uniform(0.86, 1.06, (count, 1))
    across = half_width * petal_width(shape) * rng.uniform(0.85, 1.15, (count, 1))
    up = lift * ALONG - droop * ALONG**2 + rng.normal(0, 0.04, (count, 1)) * ALONG
    x = out * np.cos(azimuth) - across * np.sin(azimuth)
    y = out * np.sin(azimuth) + across * np.cos(azimuth)
    return np.stack([x, y, up], axis=-1)


def cup(count, rng, *, radius, bottom, height, closure, spread=1.3, shape=(0.5, 0.5)) -> np.ndarray:
    """Return outlines (count, points, 3) of petals that stand around the axis as a cup. A
    closure of 0.5 is an open bowl, 1 a closed ball; a spread above 1 lets petals overlap.
    """
    angle = azimuths(count, rng, 0.12) + spread * np.pi / count * petal_width(shape)
    out = radius * np.sin(np.pi * closure * ALONG) * rng.uniform(0.95, 1.05, (count, 1))
    up = bottom + height * ALONG * rng.uniform(0.96, 1.02, (count, 1))
    return np.stack([out * np.cos(angle), out * np.sin(angle), up], axis=-1)


def shaded(outlines, colour, rng, rim=-0.16, layers=3) -> Petals:
    """Return petals with outlines (petals, points, 3), darker or lighter towards the rim."""
    centres = outlines.mean(axis=1)[:, None, None]
    scales = np.linspace(1, 0.45, layers)[:, None, None]
    light = np.linspace(1 + rim, 1 - 0.4 * rim, layers)[:, None]
    # Each differs a little from its neighbours, or they would melt into one blot.
    own = rng.uniform(0.90, 1.06, (len(outlines), 1, 1))
    # The light falls from the upper left, where both coordinates are negative.
    facing = 1 - 0.07 * centres[:, :, 0, :2].sum(axis=-1, keepdims=True)
    colours = (np.asarray(colour) * light * own * facing).clip(0, 255)
    return Petals(centres + (outlines[:, None] - centres) * scales, colours)


def florets(count: int, radius: float, size: float, dome: float, inner, outer) -> Petals:
    """Return dots in the spiral of a seed pattern, coloured from the middle to the rim."""
    share = np.sqrt((np.arange(count) + 0.5) / count)
    angle = np.arange(count) * GOLDEN_ANGLE
    middle = [radius * share * np.cos(angle), radius * share * np.sin(angle), dome * (1 - share**2)]
    corner = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    dot = size * np.stack([np.cos(corner), np.sin(corner), 0 * corner], axis=-1)
    colours = blend(inner, outer, share[:, None] ** 2)
    colours *= np.where(np.arange(count) % 3 == 0, 0.82, 1.04)[:, None]
    outlines = np.stack(middle, axis=-1)[:, None] + dot
    return Petals(outlines[:, None], colours[:, None].clip(0, 255))


def daisy(life_cycle: str, colour, rng) -> list[Petals]:
    """Many narrow petals around a small yellow dome."""
    sepals = shaded(cup(9, rng, radius=0.27, bottom=-0.24, height=0.24, closure=0.5), GREEN, rng)
    if life_cycle == "bud":
        closed = cup(12, rng, radius=0.30, bottom=-0.1, height=0.62, closure=0.8, spread=1.6)
        green = cup(9, rng, radius=0.34, bottom=-0.3, height=0.45, closure=0.6)
        return [shaded(closed, colour, rng), shaded(green, GREEN, rng)]
    if life_cycle == "seed head":
        narrow = {"start": 0.2, "length": 0.6, "half_width": 0.07, "shape": (0.7, 0.5)}
        withered = shaded(ring(7, rng, droop=0.55, **narrow), blend(colour, BROWN, 0.4), rng)
        return [sepals, withered, florets(90, 0.34, 0.06, 0.34, (176, 134, 58), (112, 84, 44))]
    count, droop = int(rng.integers(17, 28)), rng.uniform(-0.1, 0.3)
    look = {"start": 0.16, "half_width": 2.1 / count, "shape": (0.7, 0.3)}
    lower = ring(count, rng, length=0.82, droop=droop + 0.08, **look)
    upper = ring(count - 4, rng, length=0.74, droop=droop, **look)
    dome = florets(90, 0.27, 0.045, 0.14, (250, 210, 70), (232, 160, 28))
    return [sepals, shaded(lower, tint(colour, 0.9), rng), shaded(upper, colour, rng), dome]


def dandelion(life_cycle: str, colour, rng) -> list[Petals]:
    """A dense head of yellow rays, or the white globe of seeds."""
    if life_cycle == "bud":
        tuft = cup(16, rng, radius=0.2, bottom=0.0, height=0.58, closure=0.7, shape=(0.4, 0.4))
        green = cup(11, rng, radius=0.34, bottom=-0.4, height=0.85, closure=0.82, shape=(0.3, 0.8))
        return [shaded(tuft, colour, rng), shaded(green, GREEN, rng)]
    if life_cycle == "seed head":
        return [dandelion_globe(rng)]
    pointed = {"start": 0.1, "length": 0.5, "half_width": 0.07, "shape": (0.5, 0.9)}
    parts = [shaded(ring(12, rng, lift=-0.1, droop=0.3, **pointed), GREEN, rng)]
    thin = {"start": 0, "half_width": 0.05, "shape": (0.8, 0.15)}
    for size in np.linspace(1.0, 0.2, 7):
        rays = ring(int(12 + 26 * size), rng, length=0.95 * size, lift=0.82 - 0.7 * size, **thin)
        # Younger rays, in the middle, are darker and more orange.
        shade = np.multiply(colour, (1, 0.86 + 0.14 * size, 1)) * (0.86 + 0.14 * size)
        parts.append(shaded(rays, shade, rng, rim=-0.22))
    return parts


def dandelion_globe(rng) -> Petals:
    """Return 130 seeds around a ball, each a thread from the middle and a star at its end."""
    count, points = 130, 18
    up, angle = np.linspace(-0.97, 0.97, count), np.arange(count) * GOLDEN_ANGLE
    flat = np.sqrt(1 - up**2)
    outward = np.stack([flat * np.cos(angle), flat * np.sin(angle), up], axis=-1)[:, None]
    sideways = np.stack([-np.sin(angle), np.cos(angle), 0 * angle], axis=-1)[:, None]
    turn = np.linspace(0, 2 * np.pi, points, endpoint=False)[:, None]
    reach = np.where(np.arange(points) % 2, 0.02, 0.20)[:, None]
    ends, across, upwards = 0.86 * outward, reach * np.cos(turn), reach * np.sin(turn)
    stars = ends + across * sideways + upwards * np.cross(outward, sideways)
    threads = ends * np.linspace(0, 1, points)[:, None] + 0.012 * np.sin(turn) * sideways
    white = np.array([240, 240, 236]) * rng.uniform(0.82, 1.05, (count, 1))
    colours = np.stack([np.full((count, 3), (150, 136, 110)), white.clip(0, 255)], axis=1)
    return Petals(np.stack([threads, stars], axis=1), colours)


def rose(life_cycle: str, colour, rng) -> list[Petals]:
    """Layers of broad petals that close towards the middle; later the red hip."""
    if life_cycle == "seed head":
        hip = cup(9, rng, radius=0.42, bottom=-0.5, height=0.95, closure=0.95, spread=1.6)
        crown = ring(5, rng, start=0.03, length=0.4, half_width=0.07, shape=(0.5, 0.9), lift=0.2)
        red = blend((190, 40, 24), (232, 100, 40), rng.random())
        return [shaded(hip, red, rng), shaded(np.add(crown, (0, 0, 0.42)), BROWN, rng)]
    sepals = ring(5, rng, start=0, length=0.7, half_width=0.11, shape=(0.4, 0.9), lift=-0.3)
    parts = [shaded(sepals - (0, 0, 0.4), GREEN, rng)]
    bud = life_cycle == "bud"
    sizes = [0.42, 0.36, 0.28, 0.18] if bud else [0.95, 0.83, 0.71, 0.59, 0.47, 0.36, 0.25, 0.15]
    for size in sizes:
        # Inner petals start and end higher: together the rims make a dome.
        bottom, top = -0.6 + 0.5 * (1 - size), 0.1 + 0.4 * np.sqrt(1 - size**2)
        look = {"bottom": bottom, "height": top - bottom, "closure": 0.72 if bud else 0.5}
        petals = cup(int(3 + 3 * size), rng, radius=size, spread=1.9, **look)
        shade = tint(colour, 0.55 + 0.33 * size / sizes[0])
        parts.append(shaded(petals, shade, rng, rim=0.18, layers=4))
    return parts


def sunflower(life_cycle: str, colour, rng) -> list[Petals]:
    """A big brown disc with a seed pattern inside a fringe of pointed petals."""
    pointed = {"bottom": -0.3, "shape": (0.4, 0.8)}
    if life_cycle == "bud":
        tips = cup(12, rng, radius=0.42, height=0.62, closure=0.8, **pointed)
        green = cup(12, rng, radius=0.5, height=0.6, closure=0.78, **pointed)
        return [shaded(tips, colour, rng), shaded(green, GREEN, rng)]
    sepals = shaded(cup(14, rng, radius=0.62, height=0.3, closure=0.5, **pointed), GREEN, rng)
    if life_cycle == "seed head":
        seeds = florets(190, 0.66, 0.06, 0.16, (60, 50, 44), (96, 80, 62))
        narrow = {"start": 0.5, "length": 0.42, "half_width": 0.07, "shape": (0.5, 0.9)}
        withered = shaded(ring(13, rng, droop=0.5, **narrow), blend(colour, BROWN, 0.6), rng)
        return [sepals, withered, seeds]
    size = rng.uniform(0.40, 0.54)
    look = {"start": size - 0.1, "half_width": 0.12, "shape": (0.6, 0.75)}
    back = shaded(ring(18, rng, length=1.08 - size, lift=0.05, **look), tint(colour, 0.88), rng)
    front = shaded(ring(16, rng, length=1.0 - size, lift=0.16, **look), colour, rng)
    return [sepals, back, front, florets(170, size, 0.055, 0.1, (98, 74, 34), (58, 34, 18))]


def tulip(life_cycle: str, colour, rng) -> list[Petals]:
    """A cup of six broad petals; later the green pod, with the last petals around it."""
    if life_cycle == "bud":
        closed = cup(3, rng, radius=0.34, bottom=-0.8, height=1.35, closure=0.93, spread=1.5)
        return [shaded(closed, blend(colour, GREEN, 0.4), rng, layers=6)]
    if life_cycle == "seed head":
        pod = cup(3, rng, radius=0.22, bottom=-0.7, height=1.1, closure=0.85)
        broad = {"start": 0.05, "length": 0.85, "half_width": 0.3, "shape": (0.6, 0.45)}
        last = ring(3, rng, lift=0.5, droop=0.7, **broad) - (0, 0, 0.7)
        last = shaded(last, tint(colour, 0.9), rng, layers=6)
        return [last, shaded(pod, (150, 168, 96), rng, layers=6)]
    look = {"bottom": -0.85, "closure": rng.uniform(0.58, 0.82), "shape": (0.42, 0.42)}
    inner = cup(3, rng, radius=0.56, height=1.5, **look)
    outer = cup(3, rng, radius=0.62, height=1.42, **look)
    stamens = florets(7, 0.16, 0.07, 0.1, (60, 40, 50), (236, 196, 90))
    petals = shaded(inner, tint(colour, 0.86), rng, layers=6), shaded(outer, colour, rng, layers=6)
    return [*petals, Petals(stamens.outlines - (0, 0, 0.45), stamens.colours)]


# How a kind of flower grows, in units of the head's radius: what paints the head; how far below the
# petals that meets the stem; the least viewing angle in degrees (who meets a tulip sees it from the
# side, hardly from above); the stem's width; the leaves' length, width, shape (see `petal_width`),
# and the depth of their teeth as a share of their width.
Plant = namedtuple("Plant", "head depth least_angle stem_width leaf_length leaf_width shape teeth")
PLANTS = {
    "daisy": Plant(daisy, 0.2, 0, 0.07, 0.9, 0.13, (1.4, 0.4), 0.15),
    "dandelion": Plant(dandelion, 0.2, 0, 0.09, 2.0, 0.26, (1.2, 0.5), 0.65),
    "roses": Plant(rose, 0.5, 0, 0.10, 0.9, 0.28, (0.6, 0.7), 0.15),
    "sunflowers": Plant(sunflower, 0.25, 0, 0.13, 1.1, 0.42, (0.4, 0.8), 0.06),
    "tulips": Plant(tulip, 0.8, 40, 0.11, 2.4, 0.26, (0.6, 0.8), 0.0),
}


def paint_head(draw, parts: list[Petals], centre, radius: float, tilt: float, roll: float) -> None:
    """Paint a head turned by `tilt` away from the viewer and by `roll` within the picture."""
    pieces = []
    for part in parts:
        x, y, z = np.moveaxis(part.outlines, -1, 0)
        # All layers of a petal keep the depth of the first, or neighbours would slip in between.
        depth = (y * np.sin(tilt) + z * np.cos(tilt))[:, 0].mean(axis=-1)
        y = y * np.cos(tilt) - z * np.sin(tilt)
        across, down = x * np.cos(roll) - y * np.sin(roll), x * np.sin(roll) + y * np.cos(roll)
        points = np.asarray(centre) + radius * np.stack([across, down], axis=-1)
        polygons = points.reshape(*points.shape[:2], -1).tolist()
        pieces += zip(depth.tolist(), polygons, part.colours.astype(int).tolist(), strict=True)
    for _, polygons, colours in sorted(pieces, key=lambda piece: piece[0]):
        for polygon, colour in zip(polygons, colours, strict=True):
            draw.polygon(polygon, fill=tuple(colour))


def paint_leaf(draw, base, direction, length, width, colour, shape, teeth=0.0) -> None:
    """Paint one leaf, its lower half in the shade; `direction` is in radians."""
    along = np.linspace(0, 1, 25)
    half = np.interp(along, STEPS, petal_width(shape)[: len(STEPS)])
    half = half * (1 - teeth * (np.arange(25) % 4 < 2)) * width
    x, y = np.cos(direction), np.sin(direction)
    sag = 0.25 * length * along**2 * np.sign(x)
    spine = np.stack([along * length * x, along * length * y + sag], axis=-1) + base
    for side, shade in ((1, 0.82), (-1, 1.0)):
        edge = spine + side * np.array([-y, x]) * half[:, None]
        draw.polygon(np.concatenate([edge, spine[::-1]]).ravel().tolist(), tint(colour, shade))


def paint_flower(draw, class_name, setting, centre, radius, ground, rng) -> None:
    """Paint a whole plant: the stem from the head down to the ground, the leaves, the head."""
    plant = PLANTS[class_name]
    angle = np.clip(setting.viewing_angle + rng.normal(0, 6), 0, 85)
    tilt = np.radians(plant.least_angle + angle * (1 - plant.least_angle / 90))
    roll = rng.normal(0, 0.22)
    downwards = np.array([-np.sin(roll), np.cos(roll)])
    neck = centre + plant.depth * radius * np.sin(tilt) * downwards
    foot = np.array([centre[0] + rng.normal(0, 0.5) * radius, max(ground, neck[1] + radius)])
    bend = neck + downwards * 0.5 * np.hypot(*(foot - neck))
    share = np.linspace(0, 1, 12)[:, None]
    stem = (1 - share) ** 2 * neck + 2 * share * (1 - share) * bend + share**2 * foot
    green = tint(COLOUR_SCHEMES[setting.scheme_number].foliage, rng.uniform(0.85, 1.15))
    width = max(plant.stem_width * radius, 2)
    draw.line(stem.ravel().tolist(), tint(green, 0.8), int(width), joint="curve")
    lit_side = stem - (0.22 * width, 0)
    draw.line(lit_side.ravel().tolist(), tint(green, 1.05), int(width / 2), joint="curve")
    for _ in range(rng.integers(1, 5)):
        direction = -np.pi / 2 + rng.choice([-1, 1]) * rng.uniform(0.3, 1.2)
        length = plant.leaf_length * radius * rng.uniform(0.7, 1.2)
        base, shade = stem[rng.integers(3, 12)], tint(green, rng.uniform(0.8, 1.15))
        half = plant.leaf_width * radius
        paint_leaf(draw, base, direction, length, half, shade, plant.shape, plant.teeth)
    colour = rng.normal(ImageColor.getrgb(PETAL_COLOURS[class_name][setting.scheme_number]), 8)
    paint_head(draw, plant.head(setting.life_cycle, colour, rng), centre, radius, tilt, roll)


def paint_light(draw, size, scheme, rng) -> None:
    centre, radius = rng.uniform((0, 0), size), rng.uniform(0.03, 0.10) * min(size)
    light = tint(rng.normal(scheme.accent, 12) + 30)
    draw.circle(centre.tolist(), radius, fill=(*light, int(rng.integers(50, 130))))


def paint_blade(draw, size, scheme, rng) -> None:
    base = (rng.uniform(0, size[0]), size[1])
    length, width = size[1] * rng.uniform(0.15, 0.6), min(size) * rng.uniform(0.006, 0.016)
    shade = tint(scheme.foliage, rng.uniform(0.6, 1.35))
    paint_leaf(draw, base, rng.normal(-np.pi / 2, 0.25), length, width, shade, (0.3, 0.9))


def paint_big_leaf(draw, size, scheme, rng) -> None:
    base, length = rng.uniform((0, 0.75), (1, 1.1)) * size, min(size) * rng.uniform(0.25, 0.55)
    shade = tint(scheme.foliage, rng.uniform(0.6, 1.2))
    direction = rng.uniform(-0.9, -0.1) * np.pi
    paint_leaf(draw, base, direction, length, length * 0.18, shade, (0.6, 0.8))


def paint_fence(draw, size, scheme, rng) -> None:
    step, top = size[0] * rng.uniform(0.07, 0.14), size[1] * rng.uniform(0.15, 0.45)
    wood = blend((120, 92, 70), (226, 222, 212), rng.random())
    for y in (top + size[1] * 0.12, top + size[1] * 0.4):
        draw.rectangle([0, y, size[0], y + size[1] * 0.05], tint(wood, 0.75))
    for left in np.arange(-rng.uniform(0, step), size[0], step).tolist():
        right, peak = left + step * 0.7, (left + step * 0.35, top - step * 0.4)
        slat = [(left, size[1]), (left, top), peak, (right, top), (right, size[1])]
        draw.polygon(slat, tint(wood, rng.uniform(0.88, 1.05)))


def paint_pot(draw, size, scheme, rng) -> None:
    x, wide = rng.uniform(0, size[0]), min(size) * rng.uniform(0.12, 0.22)
    top, narrow = size[1] - wide * rng.uniform(0.9, 1.5), 0.7 * wide
    clay = blend((150, 84, 60), (206, 132, 96), rng.random())
    foot = [(x + narrow, size[1]), (x - narrow, size[1])]
    draw.polygon([(x - wide, top), (x + wide, top), *foot], tint(clay))
    rim = [x - 1.1 * wide, top - 0.25 * wide, x + 1.1 * wide, top + 0.1 * wide]
    draw.rectangle(rim, tint(clay, 1.12))


def paint_stone(draw, size, scheme, rng) -> None:
    x, y = rng.uniform((0, 0.8), (1, 1.02)) * size
    grey = blend((110, 106, 100), (200, 196, 188), rng.random())
    wide = min(size) * rng.uniform(0.05, 0.14)
    for half, shade in ((wide, 0.75), (0.85 * wide, 1.0), (0.5 * wide, 1.1)):
        draw.ellipse([x - half, y - 0.6 * half, x + half, y + 0.5 * half], tint(grey, shade))


def paint_blossoms(draw, size, scheme, rng) -> None:
    colour = rng.uniform((170, 110, 150), (255, 230, 255))
    look = {"start": 0.1, "length": 0.9, "half_width": 0.42, "shape": (0.7, 0.25)}
    for _ in range(rng.integers(5, 14)):
        petals = shaded(ring(5, rng, **look), colour, rng)
        middle = florets(5, 0.16, 0.1, 0.1, (250, 220, 110), (230, 180, 60))
        centre, radius = rng.uniform((0, 0.25), 1) * size, min(size) * rng.uniform(0.025, 0.06)
        paint_head(draw, [petals, middle], centre, radius, rng.uniform(0, 1), 0.0)


def paint_insect(draw, size, scheme, rng) -> None:
    (x, y), long = rng.uniform(0.15, 0.85, 2) * size, min(size) * rng.uniform(0.02, 0.045)
    for left in (x - 0.5 * long, x + 0.2 * long):
        draw.ellipse([left, y - 1.2 * long, left + 0.6 * long, y - 0.1 * long], (232, 238, 244))
    draw.ellipse([x - long, y - 0.5 * long, x + long, y + 0.5 * long], (226, 164, 40))
    for left in (x - 0.5 * long, x, x + 0.45 * long):
        stripe = [left, y - 0.42 * long, left + 0.22 * long, y + 0.42 * long]
        draw.rectangle(stripe, (44, 32, 24))


# What paints one, and the numbers of them, from the first to below the second. The farthest are
# first; everything but insects stands behind the flower.
OTHER_OBJECTS = [
    (paint_fence, 1, 2), (paint_big_leaf, 5, 10), (paint_blossoms, 1, 2), (paint_blade, 25, 50),
    (paint_pot, 1, 4), (paint_stone, 6, 13), (paint_light, 6, 14), (paint_insect, 1, 3),
]  # fmt: skip


def paint_objects(draw, objects, size, scheme, rng) -> None:
    for paint_object, least, most in objects:
        for _ in range(rng.integers(least, most)):
            paint_object(draw, size, scheme, rng)


def paint_scenery(size, scheme, rng) -> Image.Image:
    """Return soft clouds of the scheme's colours, the far one above and the near one below."""
    rows, columns = 6, 8
    below = np.linspace(0, 1, rows)[:, None] + rng.normal(0, 0.28, (rows, columns))
    colours = blend(scheme.far, scheme.near, below.clip(0, 1)[..., None])
    colours = blend(colours, scheme.accent, 0.9 * rng.random((rows, columns, 1)) ** 4)
    return Image.fromarray(colours.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)


def apply_light(picture: Image.Image, light, rng) -> Image.Image:
    """Return the picture (RGB) as the light and the camera's grain leave it."""
    width, height = picture.size
    x = np.linspace(0, 1, width, dtype=np.float32)[None, :, None]
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    bright_corner = np.float32(rng.integers(0, 2))
    glow = light.glow * np.clip(1.1 - np.hypot(x - bright_corner, y), 0, 1)
    corners = 1 - light.vignette * 2 * ((x - 0.5) ** 2 + (y - 0.5) ** 2)
    # Grain in brightness looks like film; grain in colour would look like a defect.
    grain = rng.standard_normal((height, width, 1), np.float32) * 2.5
    pixels = (np.asarray(picture, np.float32) - 118) * light.contrast + 118
    pixels = pixels * np.float32(light.gain) * corners
    pixels = blend(pixels, np.float32([255, 244, 214]), glow) + grain
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def paint_photo(class_name: str, rng) -> Image.Image:
    """Paint one photo (RGB, of one of PIXEL_SIZES) of a flower of the class."""
    setting = Setting(rng)
    scheme = COLOUR_SCHEMES[setting.scheme_number]
    size = tuple(side * SUPERSAMPLING for side in setting.pixel_size)
    background, subject = paint_scenery(size, scheme, rng), Image.new("RGBA", size)
    behind, in_front = ImageDraw.Draw(background, "RGBA"), ImageDraw.Draw(subject)
    insects = [each for each in setting.other_objects if each[0] is paint_insect]
    others = [each for each in setting.other_objects if each not in insects]
    paint_objects(behind, others, size, scheme, rng)
    radius = setting.zoom * min(size) / 2
    # The farther away the camera, the more flowers of the same kind are in the frame.
    for _ in range(rng.poisson(0.35 / setting.zoom)):
        draw = behind if rng.random() < 0.4 else in_front
        centre, smaller = rng.uniform((0, 0.25), (1, 0.9)) * size, radius * rng.uniform(0.55, 0.95)
        paint_flower(draw, class_name, setting, centre, smaller, size[1], rng)
    centre = np.multiply(setting.position, size)
    paint_flower(in_front, class_name, setting, centre, radius, size[1], rng)
    paint_objects(in_front, insects, size, scheme, rng)

    blurs = [ImageFilter.GaussianBlur(min(setting.pixel_size) * share) for share in setting.blurs]
    photo = background.reduce(SUPERSAMPLING).filter(blurs[0])
    subject = subject.reduce(SUPERSAMPLING)
    if setting.blurs[1]:
        # Premultiplied, or the transparent black around the subject would seep into its edges.
        subject = subject.convert("RGBa").filter(blurs[1]).convert("RGBA")
    photo.paste(subject, mask=subject)
    return apply_light(photo, setting.light, rng)


def paint_sample(folder: Path, seed: int = 101, counts: dict[str, int] = CLASS_COUNTS) -> None:
    """Paint `counts` photos of each class into folder/<class>/<class>-0001.jpg and so on. Each
    depends on the seed, its class and its number only: more of one class leave the others alone.
    """
    with ProgressBar(total=sum(counts.values()), desc="Painting", unit=" photos") as progress:
        for class_name, count in counts.items():
            (folder / class_name).mkdir(parents=True)
            for number in range(1, count + 1):
                rng = np.random.default_rng([seed, *class_name.encode(), number])
                photo = paint_photo(class_name, rng)
                photo.save(folder / class_name / f"{class_name}-{number:04d}.jpg", quality=88)
                progress.update()
