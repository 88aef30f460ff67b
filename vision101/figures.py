"""Matplotlib as every picture here needs it: drawn to files, readable, in colours for all eyes."""

import os
import warnings
from pathlib import Path

# Pictures go to files. Notebooks name a backend of their own, which may not be installed here.
os.environ["MPLBACKEND"] = "Agg"

import matplotlib
import matplotlib.pyplot as plt
from matplotlib import font_manager

from vision101.files import write_atomically

# What a user's own matplotlibrc says is for their own pictures: with LaTeX, names would be code.
matplotlib.rcdefaults()
matplotlib.use("Agg")
matplotlib.rcParams["text.parse_math"] = False  # A dollar in a name is a dollar.

# For names of classes that Matplotlib's own font cannot write, those of these that are there.
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
matplotlib.rcParams["font.family"] = [
    "sans-serif",
    *(name for name in FONTS if name in font_manager.get_font_names()),
]

# From Okabe & Ito 2008, "Color Universal Design": people with any colour vision tell them apart.
BLUE, ORANGE, VERMILION = "#0072B2", "#E69F00", "#D55E00"


def save_figure(figure: plt.Figure, path: Path, dpi: int = 100) -> None:
    """Write a picture, whole or not at all, and close it."""
    with write_atomically(path) as temporary, warnings.catch_warnings():
        # Where no font has a character, a box stands for it, and that is plain to see.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        # A name without an ending would get one from Matplotlib.
        figure.savefig(temporary, dpi=dpi, format=path.suffix[1:] or "png")
    plt.close(figure)
