"""What a person sees while a script runs: sentences wrapped at words, tables, progress bars.

Where nobody watches (a pipe, a file, a notebook's `%run`), sentences are a line each, and a bar is
one line, without control characters.
"""

import shutil
import sys

from tqdm import tqdm

WIDTH = 100  # columns, where nobody watches: of tables


class ProgressBar(tqdm):
    """The bar of all long stages. Where nobody watches, one line says what begins.

    It takes the arguments of tqdm. A bar with a `delay`, for what mostly takes
    no time, and one that goes when it is done (`leave=False`) say nothing where nobody watches.
    """

    def __init__(self, iterable=None, desc=None, total=None, unit=" photos", **options):
        watched = sys.stderr.isatty()
        quiet = options.pop("disable", False)
        if not watched and not quiet and not options.get("delay") and options.get("leave", True):
            number = len(iterable) if total is None else total
            print(f"{desc}: {number:,}{unit}", flush=True)
        options |= {"disable": quiet or not watched, "dynamic_ncols": True}
        super().__init__(iterable, desc, total, unit=unit, **options)


def say(*sentences: str) -> None:
    """Print a paragraph; on a terminal, it is wrapped at words."""
    paragraph = " ".join(sentences)
    if sys.stdout.isatty():
        _build_console().print(paragraph)
    else:
        print(paragraph)


def show_table(headings: list[str], rows: list[list[str]]) -> None:
    """Print a table whose first column says what each row is about; the others are numbers."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", vertical="bottom")
    for row in rows:
        table.add_row(*row)
    _build_console().print(table)


def count(number: int, noun: str) -> str:
    """Return a number with its noun, whose plural ends in s."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def format_seconds(seconds: float | None) -> str:
    """Return a duration in the unit that a person would use; "-" for None."""
    if seconds is None:
        return "-"
    if seconds < 0.0995:
        return f"{1000 * seconds:.2g} ms"
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _build_console():
    from rich.console import Console  # which Keras brings, and predict.py does without

    # Class names may look like markup or emoji: "[red]", ":rose:".
    options = {"markup": False, "emoji": False, "highlight": False}
    return Console(width=shutil.get_terminal_size((WIDTH, 24)).columns, **options)
