"""What a person sees while a script runs: sentences wrapped at words, tables, progress bars.

Where nobody watches (a pipe, a file, a notebook's `%run`), sentences are a line each, and a bar is
one line, without control characters.
"""

import io
import operator
import shutil
import sys
import time

from tqdm import tqdm

WIDTH = 100  # columns of a table where nobody watches
NO_BREAK = "\ue000"  # stands for a space at which no line may end; rich knows of none


class ProgressBar(tqdm):
    """The bar of all long stages. Where nobody watches, one line says what begins.

    It takes the arguments of tqdm. A bar with a `delay`, for what mostly takes no time, and one
    that goes when it is done (`leave=False`) say nothing where nobody watches.
    """

    def __init__(self, iterable=None, desc=None, total=None, unit=" photos", **options):
        watched = sys.stderr.isatty()
        quiet = options.pop("disable", False)
        if not watched and not quiet and not options.get("delay") and options.get("leave", True):
            number = operator.length_hint(iterable) if total is None else total
            plural = unit if number != 1 else unit.removesuffix("s")
            # Of a generator, nobody knows the length.
            print(f"{desc}: {number:,}{plural}" if number else desc, flush=True)
        options |= {"disable": quiet or not watched, "dynamic_ncols": True}
        super().__init__(iterable, desc, total, unit=unit, **options)


class EpochBar(ProgressBar):
    """The bar of an epoch of `fit`, which leaves a line in its place."""

    def __init__(self, epoch: int, epochs: int, steps: int):
        self.title, self.start = f"Epoch {epoch}/{epochs}", time.monotonic()
        super().__init__(desc=self.title, total=steps, unit=" steps", leave=False)

    def finish(self, logs: dict[str, float], best: bool) -> None:
        """Show what came of the epoch; `logs` are Keras's, with accuracy as the metric."""
        self.close()
        train, validation = 100 * logs["accuracy"], 100 * logs["val_accuracy"]
        seconds = format_seconds(time.monotonic() - self.start)
        say(
            f"{self.title}: accuracy {train:.1f} %, validation {validation:.1f} % (loss "
            f"{logs['loss']:.2f}, {logs['val_loss']:.2f}), {seconds}{', best' * best}"
        )


def say(*sentences: str) -> None:
    """Print a paragraph; on a terminal, it is wrapped at words."""
    paragraph = " ".join(sentences)
    print(lay_out(paragraph) if sys.stdout.isatty() else paragraph)


def lay_out(content) -> str:
    """Return a paragraph, or what `build_table` returned, in lines that the terminal holds."""
    from rich.console import Console  # which Keras brings, and predict.py does without

    width = shutil.get_terminal_size((WIDTH, 24)).columns
    # Class names may look like markup: "[red]", ":rose:". In a notebook, rich would fill no file.
    plain = {"markup": False, "emoji": False, "highlight": False, "color_system": None}
    console = Console(file=io.StringIO(), width=width, force_jupyter=False, **plain)
    if isinstance(content, str):
        content = content.replace(" %", f"{NO_BREAK}%").replace("± ", f"±{NO_BREAK}")
    console.print(content)
    lines = console.file.getvalue().replace(NO_BREAK, " ").splitlines()
    return "\n".join(map(str.rstrip, lines))


def build_table(headings: list[str], rows: list[list[str]]):
    """Return a table whose first column says what each row is about; the others are numbers."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(headings[0], overflow="fold")
    for heading in headings[1:]:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def count(number: int, noun: str) -> str:
    """Return a number with its noun, whose plural ends in s."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def format_seconds(seconds: float | None) -> str:
    """Return a duration in the unit that a person would use; "–" for None."""
    if seconds is None:
        return "–"
    if seconds < 0.0995:
        return f"{1000 * seconds:.2g} ms"
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
