"""The comparison of runs as a person reads it: tables, sentences, a picture and a page."""

import itertools
import math
import shutil
import statistics
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np

from vision101.comparison.significance import (
    SIGNIFICANCE_LEVEL,
    Pair,
    Recipe,
    Run,
    Split,
    sum_training_seconds,
)
from vision101.errors import shown_path
from vision101.figures import BLUE, ORANGE, save_figure
from vision101.files import write_atomically
from vision101.pages import embed_picture, write_report
from vision101.runs import PREDICTIONS_NAME

PICTURE_NAME = "comparison.png"

SCORE_COLUMNS = (
    "run",
    "balanced accuracy, unseen",
    "balanced accuracy, validation",
)
# Calibration error, the share of photos that are answered rather than left to a person, and how
# many of those answers are right, are those on unseen photos.
COST_COLUMNS = (
    "run",
    "calibration error",
    "answered",
    "right of those",
    "parameters",
    "training",
    "prediction",
)

TERMS = (
    "In brackets are 95 % intervals, for chance in which photos were picked. Chance in training "
    "comes on top of it: train with several seeds to see it.",
    "The calibration error says by how much the confidence of an answer differs from how often "
    "such answers are right, on unseen photos.",
    "Answered are the unseen photos that the run is sure enough of; the others it leaves to a "
    "person.",
    "Training includes the features of a pretrained network. They are computed once, so that "
    "later runs take less. Prediction is the time of a photo, one of many at once.",
)

# Pairs that the terminal shows of each split or recipe. The page and table.md have all.
SHOWN_PAIRS = 15

# Characters of a terminal that does not tell its width, and of a table's first column and headings
# at most, before they take another line.
TERMINAL_WIDTH = 100
HEADING_WIDTH = 10
LABEL_WIDTH = 30


class Table(NamedTuple):
    """Text for a terminal, a README or a page; the first column says what the row is about.

    Attributes:
        numbers: Whether the other columns are numbers, which are aligned at their right.
    """

    caption: str
    headings: list[str]
    rows: list[list[str]]
    numbers: bool = True


class Section(NamedTuple):
    """A part of the comparison as a person reads it: tables, then what they say in sentences.

    Attributes:
        name: Of letters, digits and dashes, for links.
        heading: What it is about.
        tables: What one would put into a README.
        notes: Sentences that hold for the whole section.
        verdicts: One sentence for each pair.
        details: Tables that the page alone has: the numbers behind the verdicts, and the like.
    """

    name: str
    heading: str
    tables: list[Table]
    notes: list[str]
    verdicts: list[str]
    details: list[Table]

    @property
    def link(self) -> tuple[str, str]:
        """What the page's list of sections takes."""
        return self.name, self.heading


def describe_splits(splits: list[Split], pairs: list[list[Pair]]) -> list[Section]:
    """Put into words what `group_by_split` and `compare_pairs` found, a section for each split."""
    total = sum(map(len, pairs))
    sections = []
    for number, (split, split_pairs) in enumerate(zip(splits, pairs, strict=True), 1):
        first = split.runs[0].results
        scores_caption = (
            f"Scores on {first['unseen']['count']} unseen and {first['validation']['count']} "
            "validation photos. In brackets: 95 % intervals, for chance in which photos were "
            "picked."
        )
        scores = Table(
            scores_caption, list(SCORE_COLUMNS), [_describe_scores(run) for run in split.runs]
        )
        costs = Table(
            "How far their confidence can be trusted, and what they cost.",
            list(COST_COLUMNS),
            [_describe_costs(run) for run in split.runs],
        )
        counts = Table(
            "Photos on which both runs of a pair are right, only one, or none",
            ["pair", "both right", "only the first", "only the second", "both wrong", "p"],
            [
                [
                    f"{pair.better} / {pair.other}",
                    *map(str, pair[2:6]),
                    _format_p_value(pair.p_value),
                ]
                for pair in split_pairs
            ],
        )
        folders = Table(
            "Where these runs and their photos lie",
            ["run", "folder", "photos"],
            [
                [run.title, shown_path(run.folder), shown_path(run.config["photos"])]
                for run in split.runs
            ],
            numbers=False,
        )
        sections.append(
            Section(
                f"split-{number}",
                split.heading,
                [scores, costs],
                _note_targets(split) + _note_tests(split, len(split_pairs), total),
                [_judge_pair(pair) for pair in split_pairs],
                [*([counts] if split_pairs else []), folders],
            )
        )
    return sections


def _describe_scores(run: Run) -> list[str]:
    unseen, validation = run.results["unseen"], run.results["validation"]
    return [
        run.title,
        _format_score(unseen),
        _format_share(validation["balanced_accuracy"]),
    ]


def _describe_costs(run: Run) -> list[str]:
    confidence = run.results["confidence"]
    return [
        run.title,
        *(
            _format_share(confidence[name])
            for name in ("calibration_error", "answered", "answered_accuracy")
        ),
        f"{run.results['parameters']:,}",
        format_seconds(sum_training_seconds(run)),
        format_seconds(run.results["seconds_per_photo"]),
    ]


def _format_share(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _format_score(scores: dict) -> str:
    low, high = scores["balanced_accuracy_interval"]
    return f"{_format_share(scores['balanced_accuracy'])} ({100 * low:.1f} - {100 * high:.1f})"


def format_seconds(seconds: float) -> str:
    """Return a duration in the unit that a person would use."""
    if seconds < 1:
        return f"{1000 * seconds:.2g} ms" if seconds < 0.1 else f"{1000 * seconds:.0f} ms"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _note_targets(split: Split) -> list[str]:
    targets = {run.title: run.config.get("target_accuracy") for run in split.runs}
    if len(set(targets.values())) == 1:
        return []
    named = "; ".join(f"{title}: {_format_share(target)}" for title, target in targets.items())
    return [f"What is answered does not compare, since --target-accuracy differs ({named})."]


def _note_tests(split: Split, pairs: int, total: int) -> list[str]:
    if len(split.runs) == 1:
        return ["Nothing to compare with: it is the only run on this split."]
    notes = []
    if pairs:
        number = f"all {total} pairs" if total > 1 else "one pair"
        notes.append(
            "Does one run do better by more than chance? McNemar's exact test, on the same unseen "
            f"photos; {number} compared"
            + (", and p corrected for that (Holm)." if total > 1 else ".")
        )
    if missing := math.comb(len(split.runs), 2) - pairs:
        notes.append(
            f"{_count(missing, 'pair')} could not be tested: their {PREDICTIONS_NAME} are not "
            "about the same photos."
        )
    return notes


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _format_p_value(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def _judge_pair(pair: Pair) -> str:
    if not pair.better_only:
        return f"{pair.better} and {pair.other} are right on the same photos."
    verdict = "more than chance" if pair.p_value < SIGNIFICANCE_LEVEL else "may be chance"
    p_value = _format_p_value(pair.p_value)
    p_value = f"p {p_value}" if p_value.startswith("<") else f"p = {p_value}"
    return (
        f"{pair.better} is right where {pair.other} is wrong on "
        f"{_count(pair.better_only, 'photo')}, the other way round on {pair.other_only}: "
        f"{verdict} ({p_value}). Both are right on {pair.both_right}, both wrong on "
        f"{pair.both_wrong}."
    )


def describe_recipes(photo_sets: dict[str, list[Recipe]]) -> list[Section]:
    """Put into words what `group_by_recipe` found, a section for each set of photos."""
    sections = []
    for number, (photos, recipes) in enumerate(photo_sets.items(), 1):
        seeds = sorted({seed for recipe in recipes for seed in recipe.scores})
        seed_headings = [f"seed {seed}" for seed in seeds]
        table = Table(
            "Balanced accuracy on unseen photos (%): mean ± standard deviation, and each seed.",
            ["recipe", "mean", *seed_headings, "training"],
            [
                [
                    recipe.title,
                    _format_mean(recipe.scores.values()),
                    *_format_seeds(recipe.scores, seeds),
                    format_seconds(statistics.mean(recipe.seconds)),
                ]
                for recipe in recipes
            ],
        )
        pairs = list(itertools.combinations(recipes, 2))
        differences = [
            (pair, {seed: pair[0].scores[seed] - pair[1].scores[seed] for seed in shared})
            for pair in pairs
            if len(shared := pair[0].scores.keys() & pair[1].scores.keys()) > 1
        ]
        notes = [
            "Each seed is another split and another training: one seed alone may be off by as "
            "much as the seeds differ, and scores of different seeds do not compare."
        ]
        if missing := len(pairs) - len(differences):
            notes.append(
                f"{_count(missing, 'pair')} of recipes without two seeds in common could not be "
                "compared."
            )
        tables = [table]
        if differences:
            rows = [
                [
                    f"{better.title} minus {other.title}",
                    _format_mean(by_seed.values(), "+"),
                    *_format_seeds(by_seed, seeds, "+"),
                ]
                for (better, other), by_seed in differences
            ]
            caption = (
                "Differences on the same seed, in points: mean ± standard deviation, and each."
            )
            tables.append(Table(caption, ["pair", "mean", *seed_headings], rows))
        sections.append(
            Section(f"recipes-{number}", f"Recipes over seeds: {photos}", tables, notes, [], [])
        )
    return sections


def _format_mean(shares: Iterable[float], sign: str = "") -> str:
    points = [100 * share for share in shares]
    mean = f"{statistics.mean(points):{sign}.1f}"
    return f"{mean} ± {statistics.stdev(points):.1f}" if points[1:] else mean


def _format_seeds(shares: dict[int, float], seeds: list[int], sign: str = "") -> list[str]:
    return [f"{100 * shares[seed]:{sign}.1f}" if seed in shares else "-" for seed in seeds]


def describe_terms() -> Section:
    """Say what the columns of the tables mean."""
    return Section("terms", "What the columns are", [], list(TERMS), [], [])


def print_sections(sections: list[Section]) -> None:
    """Print the comparison; of many pairs only the first of each section."""
    width = shutil.get_terminal_size((TERMINAL_WIDTH, 24)).columns
    for section in sections:
        print(f"\n{section.heading}\n{'=' * len(section.heading)}")
        for table in section.tables:
            print("\n" + _wrap(table.caption, width))
            _print_table(table, width)
        for note in section.notes:
            print("\n" + _wrap(note, width))
        for verdict in section.verdicts[:SHOWN_PAIRS]:
            print(_wrap("- " + verdict, width, "  "))
        if more := section.verdicts[SHOWN_PAIRS:]:
            print(f"... and {_count(len(more), 'more pair')}, see report.html.")


def _wrap(text: str, width: int, indent: str = "") -> str:
    return textwrap.fill(text, width, subsequent_indent=indent, break_on_hyphens=False)


def _print_table(table: Table, width: int) -> None:
    """Print a table; columns that do not fit beside the others go below them."""
    labels = [row[0] for row in table.rows]
    label_width = min(LABEL_WIDTH, max(map(len, labels)))
    columns = []
    for heading, *cells in list(zip(table.headings, *table.rows, strict=True))[1:]:
        # A long heading takes several lines.
        column_width = max(map(len, [heading[:HEADING_WIDTH], *heading.split(), *cells]))
        columns.append((column_width, heading, cells))
    while columns:
        block, room = [], width - label_width
        while columns and (not block or room >= columns[0][0] + 2):
            room -= columns[0][0] + 2
            block.append(columns.pop(0))
        print()
        _print_row(table.headings[0], label_width, [(size, text) for size, text, _ in block])
        for row, label in enumerate(labels):
            _print_row(label, label_width, [(size, cells[row]) for size, _, cells in block])


def _print_row(label: str, label_width: int, cells: list[tuple[int, str]]) -> None:
    """Print a row of cells of (width, text), on as many lines as the longest of them takes."""
    lines = [textwrap.wrap(label, label_width)] + [
        textwrap.wrap(text, size) for size, text in cells
    ]
    height = max(map(len, lines))
    for line in range(height):
        texts = [f"{_line(lines[0], line):{label_width}}"]
        for (size, _), cell_lines in zip(cells, lines[1:], strict=True):
            texts.append(f"{_line(cell_lines, line):>{size}}")
        print("  ".join(texts).rstrip())


def _line(lines: list[str], number: int) -> str:
    return lines[number] if number < len(lines) else ""


def format_markdown(sections: list[Section]) -> str:
    """Return the sections' tables in GitHub's Markdown."""
    lines = []
    for section in sections:
        for table in section.tables:
            rows = [
                [cell.replace("\\", "\\\\").replace("|", "\\|") for cell in row]
                for row in (table.headings, *table.rows)
            ]
            rows.insert(1, ["---"] + ["---:"] * (len(table.headings) - 1))
            lines += [f"{section.heading}. {table.caption}", ""]
            lines += [f"| {' | '.join(row)} |" for row in rows] + [""]
    return "\n".join(lines).rstrip() + "\n"


def plot_comparison(folder: Path, splits: list[Split], photo_sets: dict[str, list[Recipe]]) -> None:
    """Plot the runs on each split with their intervals, and below the recipes with their seeds.

    Args:
        folder: The picture goes to `comparison.png` in it.
        splits: What `group_by_split` returned.
        photo_sets: What `group_by_recipe` returned.
    """
    panels = [(split.heading, split.runs) for split in splits]
    panels += [(f"Seeds on {photos}", recipes) for photos, recipes in photo_sets.items()]
    labels = [
        [textwrap.fill(member.title.replace("_", " "), 24) for member in members]
        for _, members in panels
    ]
    # Inches of each row, whose label may have several lines, and of each panel with its frame.
    row_heights = [
        np.array([0.16 + 0.18 * (1 + label.count("\n")) for label in texts]) for texts in labels
    ]
    heights = [0.7 + sizes.sum() for sizes in row_heights]
    figure, all_axes = plt.subplots(
        len(panels),
        figsize=(6.4, 0.6 + sum(heights)),
        height_ratios=heights,
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    handles = {}
    for axes, (heading, members), texts, sizes in zip(
        all_axes[:, 0], panels, labels, row_heights, strict=True
    ):
        positions = sizes.cumsum() - sizes / 2
        for position, member in zip(positions, members, strict=True):
            plot = _plot_run if isinstance(member, Run) else _plot_recipe
            score = plot(axes, position, member)
            axes.text(
                1.01, position, f"{score:.1f}", transform=axes.get_yaxis_transform(), va="center"
            )
        axes.set_title(textwrap.fill(heading, 48), loc="left", fontsize=11)
        axes.set_yticks(positions, texts)
        axes.set_ylim(sizes.sum(), 0)
        axes.tick_params(labelbottom=True)
        axes.grid(axis="x", alpha=0.3)
        handles |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    all_axes[-1, 0].set_xlabel("balanced accuracy (%)")
    figure.suptitle("Balanced accuracy on unseen photos", fontsize=14)
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=2)
    save_figure(figure, folder / PICTURE_NAME, dpi=150)


def _plot_run(axes: plt.Axes, position: float, run: Run) -> float:
    low, high = (100 * end for end in run.results["unseen"]["balanced_accuracy_interval"])
    score = 100 * run.score
    axes.plot([low, high], [position] * 2, color=BLUE, linewidth=2)
    axes.plot(score, position, "o", color=BLUE, markersize=8, label="unseen, 95 % interval")
    validation = 100 * run.results["validation"]["balanced_accuracy"]
    axes.plot(validation, position, "D", color=ORANGE, markerfacecolor="none", label="validation")
    return score


def _plot_recipe(axes: plt.Axes, position: float, recipe: Recipe) -> float:
    for score in recipe.scores.values():
        axes.plot(100 * score, position, "o", color=BLUE, markerfacecolor="none", label="a seed")
    axes.plot(100 * recipe.mean, position, "|", color=BLUE, markersize=16, mew=3, label="mean")
    return 100 * recipe.mean


def finish_comparison(folder: Path, sections: list[Section]) -> None:
    """Write `table.md` and `report.html` beside the picture, and say where they are."""
    with write_atomically(folder / "table.md") as temporary:
        temporary.write_text(format_markdown(sections), encoding="utf-8", errors="surrogateescape")
    write_report(
        folder / "report.html",
        "comparison.html",
        parts=[*sections, describe_terms()],
        comparison_picture=embed_picture(folder / PICTURE_NAME),
        shown_pairs=SHOWN_PAIRS,
    )
    print(f"\nPicture, page and table are in {shown_path(folder)}")
