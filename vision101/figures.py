"""Matplotlib as every picture here needs it: drawn to files, readable, in colours for all eyes.

Take `plt` from here: importing this module sets Matplotlib up.
"""

import io
import os
import warnings
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
matplotlib.rcParams["font.family"] = [
    "sans-serif",
    *(name for name in FONTS if name in font_manager.get_font_names()),
]

# From Okabe & Ito 2008, "Color Universal Design": people with any colour vision tell them apart.
BLUE, ORANGE, VERMILION = "#0072B2", "#E69F00", "#D55E00"

# From black through violet to yellow: ever lighter, so that any colour vision can read it.
HEAT_COLOURS = matplotlib.colormaps["inferno"]


def save_figure(figure: plt.Figure, path: Path, dpi: int = 100) -> bytes:
    """Write a picture atomically, close it, and return what the file holds."""
    picture = io.BytesIO()
    with warnings.catch_warnings():
        # Where no font has a character, a box stands for it, and that is plain to see.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(picture, dpi=dpi, format=path.suffix[1:] or "png")
    plt.close(figure)
    with write_atomically(path) as temporary:
        temporary.write_bytes(picture.getvalue())
    return picture.getvalue()
