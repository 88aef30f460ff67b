"""Matplotlib as every picture here needs it: drawn to files, readable, in colours for all eyes.

Take `plt` from here: importing this module sets Matplotlib up.
"""

import functools
import io
import os
import textwrap
import unicodedata
import warnings
from collections.abc import Iterator
from pathlib import Path

# Notebooks name a backend of their own. Where that is not installed, importing Matplotlib fails.
notebook_backend = os.environ.pop("MPLBACKEND", None)

import matplotlib
import matplotlib.pyplot as plt
from matplotlib import font_manager

if notebook_backend is not None:
    os.environ["MPLBACKEND"] = notebook_backend

from vision101.files import write_atomically

# What a user's own matplotlibrc says is for their own pictures: with LaTeX, names would be code.
matplotlib.rcdefaults()
matplotlib.use("Agg")
matplotlib.rcParams["text.parse_math"] = False  # A dollar in a name is a dollar.

# For class names that Matplotlib's own font cannot write: those of these that are installed.
FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Microsoft YaHei",
    "Hiragino Sans",
    "PingFang SC",
    "Noto Sans Arabic",
    "Noto Sans Devanagari",
    "Arial Unicode MS",
    "Nirmala UI",
)
FAMILIES = ["sans-serif", *(name for name in FONTS if name in font_manager.get_font_names())]
matplotlib.rcParams["font.family"] = FAMILIES

# From Okabe & Ito 2008, "Color Universal Design": people with any colour vision tell them apart.
BLUE, ORANGE, VERMILION = "#0072B2", "#E69F00", "#D55E00"

# From black through violet to yellow: ever lighter, so that any colour vision can read it.
HEAT_COLOURS = matplotlib.colormaps["inferno"]

LARGEST_SIDE = 10_000  # pixels: many programs give up on larger pictures


@functools.cache
def _known_characters() -> frozenset[str]:
    """Return all characters that the fonts in use can write."""
    properties = (font_manager.FontProperties(family=[family]) for family in FAMILIES)
    fonts = map(font_manager.get_font, map(font_manager.findfont, properties))
    return frozenset(chr(code) for font in fonts for code in font.get_charmap())


def name_classes(class_names: list[str]) -> dict[str, str]:
    """Return for each class what pictures call it: "class 3", the third one, where no installed
    font can write its name. Underscores become spaces, so that long names can be wrapped.
    """
    return {
        name: name.replace("_", " ") if _known_characters().issuperset(name) else f"class {number}"
        for number, name in enumerate(class_names, 1)
    }


def wrap(text: str, width: int, lines: int = 2) -> str:
    """Wrap a text at words, to lines of at most so many characters, with ? for what no installed
    font can write. If it does not fit, … stands for words of its middle, or else letters: names
    that start alike often differ at their ends.
    """
    wide = any(unicodedata.east_asian_width(each) in "WF" for each in text)
    width //= 1 + wide  # each of these takes the room of two, and a line may end anywhere
    text = "".join(each if each in _known_characters() else "?" for each in text)
    for shortened in _shorten(text):
        wrapped = textwrap.wrap(shortened, width, break_long_words=wide)
        if len(wrapped) <= lines and all(len(line) <= width for line in wrapped):
            break
    return "\n".join(wrapped)


def _shorten(text: str) -> Iterator[str]:
    """Yield a text, and then ever less of it."""
    yield text
    words = text.split()
    for kept in range(len(words) - 1, 1, -1):
        yield " ".join([*words[: kept // 2], "…", *words[kept // 2 - kept :]])
    for half in range(len(text) // 2 - 1, 0, -1):
        yield f"{text[:half].rstrip()}…{text[-half:].lstrip()}"


def save_figure(figure: plt.Figure, path: Path) -> bytes:
    """Write a picture atomically, close it, and return what the file holds. It has two pixels for
    each that a page shows, as sharp screens do: an inch of the figure is a hundred there.
    """
    picture, kind = io.BytesIO(), path.suffix[1:] or "png"
    dpi = min(200, LARGEST_SIDE / max(figure.get_size_inches()))
    # The default, 6, takes a fifth of the time of drawing, to save an eighth of the size.
    options = {"pil_kwargs": {"compress_level": 3}} if kind == "png" else {}
    with warnings.catch_warnings():
        # Names of classes are writable; a path in a title may still not be.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(picture, dpi=dpi, format=kind, **options)
    plt.close(figure)
    with write_atomically(path) as temporary:
        temporary.write_bytes(picture.getvalue())
    return picture.getvalue()
