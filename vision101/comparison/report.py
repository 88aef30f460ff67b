"""The comparison of runs as a person reads it: tables, sentences, a picture and a page."""

import itertools
import math
import os
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from vision101.comparison.grouping import SeedGroup
from vision101.comparison.reading import ComparedRun
from vision101.comparison.significance import SIGNIFICANCE_LEVEL, Pair
from vision101.errors import quote, shown_path
from vision101.evaluation.verdict import format_interval, format_percent
from vision101.files import write_atomically
from vision101.pages import embed_picture, link_to, write_report
from vision101.runs import PAGE_NAME, PREDICTIONS_NAME
from vision101.terminal import build_table, count, format_seconds, lay_out, say

PICTURE_NAME = "comparison.png"

# Pairs of each split that the page shows before one asks.
SHOWN_PAIRS = 15

# Characters of a run's title that the picture shows.
TITLE_WIDTH = 46

# Lines that the terminal shows at once, less those that say what to do next.
SCREEN_LINES = 17
BESIDES_LINES = 5  # of these, for verdicts besides the first one, at least

NO_WINNER = "No clear winner"
UNKNOWN = "would show whether the lead holds"

# What a section is about, the most telling first: recipes over several seeds, the runs on one
# split, or nothing that compares.
OVER_SEEDS, ON_ONE_SPLIT, ALONE = range(3)


class Table(NamedTuple):
    """A table whose first column says what each row is about."""

    caption: str
    headings: list[str]
    rows: list[list[str]]
    shown: int = 2  # columns on the terminal: the first ones


class Section(NamedTuple):
    """A part of the comparison: tables, and what they say."""

    heading: str
    summary: str  # the verdict, in a sentence or two
    tables: list[Table]  # what one would put into a README
    notes: list[str]  # sentences about the whole section
    rank: int  # OVER_SEEDS, ON_ONE_SPLIT or ALONE
    runs: Sequence[ComparedRun]  # whose pages and photos the page names, those of the best first
    verdicts: Sequence[str] = ()  # a sentence about each pair of runs
    weakest: str = ""  # which class the best one recognises least often


TERMS = Section(
    "What the columns mean",
    "",
    [],
    [
        "A split is how photos were divided: a model learns from training photos, validation "
        "photos choose its best epoch, and unseen ones only tell how good it is. Runs on one split "
        "were scored on the same photos.",
        "Balanced accuracy is the share of photos that are right, first of each class and then the "
        "mean of these: so each class counts alike, however many photos it has.",
        "The intervals leave out chance in training, which comes on top: train with several seeds "
        "to see it.",
        "The expected calibration error says by how much the confidence of a prediction differs "
        "from how often such predictions are right.",
        "Coverage is the share of photos on which the model is sure enough for its prediction to "
        "be accepted; the others are left to a person. Accepted accuracy is how many of the "
        "accepted predictions are right.",
        "Features are those of a pretrained network: one run computes and keeps them, and later "
        "ones find them in seconds. Training comes on top. Prediction is the time of a photo, one "
        "of many at once.",
    ],
    ALONE,
    [],
)


def describe_splits(splits: dict[str, list[ComparedRun]], pairs: list[list[Pair]]) -> list[Section]:
    """Put into words what `group_by_split` and `compare_pairs` found, a section for each split."""
    sections, total = [], sum(map(len, pairs))
    for (heading, runs), split_pairs in zip(splits.items(), pairs, strict=True):
        notes = _note_tests(runs, len(split_pairs), total)
        verdicts = [_judge_pair(pair) for pair in split_pairs]
        summary, tables = _judge_best(runs, split_pairs), _tabulate_runs(runs)
        rank = ON_ONE_SPLIT if len(runs) > 1 else ALONE
        weakest = _name_weakest_class(runs[:1])
        sections.append(Section(heading, summary, tables, notes, rank, runs, verdicts, weakest))
    return sections


def _tabulate_runs(runs: list[ComparedRun]) -> list[Table]:
    scores, costs = [], []
    names = ("expected_calibration_error", "coverage", "accepted_accuracy")
    for run in runs:
        results = run.results
        low, high = results["unseen"]["balanced_accuracy_interval"]
        unseen = f"{_percent(run.score)} ({100 * low:.1f} – {100 * high:.1f})"
        validation = _percent(results["validation"]["balanced_accuracy"])
        confidence = [_percent(results["confidence"][name]) for name in names]
        scores.append([run.title, unseen, validation, *confidence])
        times = [run.features_seconds, run.training_seconds, results["seconds_per_photo"]]
        costs.append([run.title, f"{results['parameters']:,}", *map(format_seconds, times)])
    unseen, validation = (runs[0].results[name]["count"] for name in ("unseen", "validation"))
    photos = f"{unseen:,} unseen and {format(validation, ',') if validation else 'no'}"
    caption = (
        f"Balanced accuracy on {photos} validation photos, and how far "
        "confidence on the unseen ones can be trusted. In brackets: 95 % intervals, for chance in "
        "which photos were picked."
    )
    columns = ["run", "unseen", "validation", *(name.replace("_", " ") for name in names)]
    cost_caption = "What they cost. Times also depend on how busy the machine was."
    cost_columns = ["run", "parameters", "features", "training", "prediction"]
    return [Table(caption, columns, scores, shown=3), Table(cost_caption, cost_columns, costs)]


def _judge_best(runs: list[ComparedRun], pairs: list[Pair]) -> str:
    """Return the verdict on the runs on one split, of which the first one has the best score."""
    best, *others = runs
    unseen = best.results["unseen"]
    interval = format_interval(unseen["balanced_accuracy_interval"])
    guess = format_percent(1 / len(best.config["class_names"]))
    photos = f"{count(unseen['count'], 'unseen photo')} (guessing: {guess})"
    if not others:
        return f"only {best.title}, {format_percent(best.score)} ({interval})."
    score = f"{format_percent(best.score)} balanced accuracy ({interval}) on {photos}"
    ahead = [pair.p_value for pair in pairs if pair.better == best.title]
    sure = sum(p_value < SIGNIFICANCE_LEVEL for p_value in ahead)
    if not sure:
        mine, other = (run.results["unseen"]["accuracy"] for run in runs[:2])
        more = round(unseen["count"] * (mine - other))
        got = f"only {more:,} more" if more > 0 else "no more"
        return (
            f"{NO_WINNER}: {best.title} has {score}, but got {got} of these right than "
            f"{others[0].title}, which may be chance."
        )
    if len(others) == 1:
        other = f"{others[0].title} ({format_percent(others[0].score)})"
        lead = f"better than {other} by more than chance"
    else:
        beaten = "all" if sure == len(others) else f"{sure} of the"
        lead = f"better than {beaten} {len(others)} others by more than chance"
    place = "best" if sure == len(others) else "ahead"
    return f"{best.title} is {place}, with {score}; {lead}."


def _name_weakest_class(runs: list[ComparedRun]) -> str:
    """Return which class runs recognise least often; "" where they make no mistakes."""
    outcomes = [outcome for run in runs for outcome in run.outcomes]
    totals = Counter(label for _, label, _ in outcomes)
    hits = Counter(label for _, label, right in outcomes if right)
    weakest = min(totals, key=lambda label: hits[label] / totals[label])
    if hits == totals:
        return ""
    right = f"{hits[weakest]:,} of {totals[weakest]:,} right"
    return f"Weakest class of {runs[0].title}: {weakest}, {right}."


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _note_tests(runs: list[ComparedRun], pairs: int, total: int) -> list[str]:
    """Return what is to be known of the comparison of runs on one split, of which so many pairs
    were tested, of `total` on all splits.
    """
    if len(runs) == 1:
        return ["Nothing to compare with: it is the only run on this split."]
    notes = []
    targets = {run.title: run.config.get("target_accuracy") for run in runs}
    if len(set(targets.values())) > 1:
        named = "; ".join(f"{title}: {_percent(target)}" for title, target in targets.items())
        notes.append(f"Coverages cannot be compared, since --target-accuracy differs ({named}).")
    if pairs:
        number = (
            f"{pairs} of the {total} pairs on all splits" if pairs < total else f"{pairs} pairs"
        )
        number += " compared here, and p corrected for the number of all (Holm)"
        notes.append(
            "Does one run do better by more than chance? McNemar's exact test, on the same unseen "
            f"photos; {number if total > 1 else 'one pair compared'}."
        )
    if missing := math.comb(len(runs), 2) - pairs:
        problem = f"their {PREDICTIONS_NAME} are not about the same photos"
        notes.append(f"{count(missing, 'pair')} could not be tested: {problem}.")
    return notes


def _judge_pair(pair: Pair) -> str:
    if not pair.better_only:
        return f"{pair.better} and {pair.other} are right on the same photos."
    verdict = "more than chance" if pair.p_value < SIGNIFICANCE_LEVEL else "may be chance"
    p_value = "p < 0.001" if pair.p_value < 0.001 else f"p = {pair.p_value:.3f}"
    return (
        f"{pair.better} is right where {pair.other} is wrong on "
        f"{count(pair.better_only, 'photo')}, the other way round on {pair.other_only}: "
        f"{verdict} ({p_value}). Both are right on {pair.both_right}, both wrong on "
        f"{pair.both_wrong}."
    )


def describe_recipes(photo_sets: dict[str, list[SeedGroup]]) -> list[Section]:
    """Put into words what `group_by_recipe` found, a section for each set of photos."""
    sections = []
    for photos, groups in photo_sets.items():
        seeds = sorted({seed for group in groups for seed in group.scores})
        headings = ["mean", *(f"seed {seed}" for seed in seeds)]
        means, differences = [], []
        for group in groups:
            training = format_seconds(group.training_seconds)
            means.append([group.title, *_format_scores(group.scores, seeds), training])
        for better, other in itertools.combinations(groups, 2):
            shared = better.scores.keys() & other.scores.keys()
            by_seed = {seed: better.scores[seed] - other.scores[seed] for seed in shared}
            if len(shared) > 1:
                title = f"{better.title} minus {other.title}"
                differences.append([title, *_format_scores(by_seed, seeds, "+")])
        caption = (
            "Balanced accuracy on unseen photos (%): mean ± standard deviation, and each seed."
        )
        tables = [Table(caption, ["recipe", *headings, "training"], means)]
        if differences:
            caption = "Differences on the same seed, in points."
            tables.append(Table(caption, ["pair", *headings], differences))
        notes = [
            "Each seed is another split and another training: one seed alone may be off by as "
            "much as the seeds differ, and scores of different seeds do not compare."
        ]
        if missing := math.comb(len(groups), 2) - len(differences):
            pairs = f"{count(missing, 'pair')} of recipes without two seeds in common"
            notes.append(f"{pairs} could not be compared.")
        summary = _judge_best_recipe(groups)
        rank = ALONE if UNKNOWN in summary or len(groups) == 1 else OVER_SEEDS
        heading = f"{photos}, recipes over seeds"
        best = groups[0].runs
        weakest = _name_weakest_class(best)
        sections.append(Section(heading, summary, tables, notes, rank, best, weakest=weakest))
    return sections


def _judge_best_recipe(groups: list[SeedGroup]) -> str:
    """Return the verdict on recipes, of which the first one has the best mean."""
    best, *others = groups
    mean, *_ = _format_scores(best.scores, [])
    score = f"{mean} % balanced accuracy over {count(len(best.scores), 'seed')}"
    if not others:
        return f"only {best.title}, {score}."
    second = others[0]
    shared = best.scores.keys() & second.scores.keys()
    if len(shared) < 2:
        more = "a second" if shared else "two of them"
        return (
            f"{best.title} and {second.title} have {len(shared) or 'no'} seed in common; {more} "
            f"{UNKNOWN} on other splits."
        )
    ahead = sum(best.scores[seed] > second.scores[seed] for seed in shared)
    mean, *_ = _format_scores(second.scores, [])
    lead = f"ahead of {second.title} ({mean} %) on {ahead} of {len(shared)} shared seeds"
    # The sign test, one-sided: all of five or more seeds would be ahead by chance once in 32 times.
    chance = "" if ahead == len(shared) >= 5 else ", which may be chance"
    return f"{best.title} has the best mean, {score}; {lead}{chance}."


def _format_scores(scores: dict[int, float], seeds: list[int], sign: str = "") -> list[str]:
    """Return mean ± standard deviation, and the score of each seed, in points."""
    points = {seed: 100 * score for seed, score in scores.items()}
    mean = f"{statistics.mean(points.values()):{sign}.1f}"
    if len(points) > 1:
        mean += f" ± {statistics.stdev(points.values()):.1f}"
    return [mean, *(f"{points[seed]:{sign}.1f}" if seed in points else "–" for seed in seeds)]


def print_sections(sections: list[Section]) -> None:
    """Print the verdict of the first section and its table, and of the others what a screen has
    room for.
    """
    first, *others = sections
    table = first.tables[0]
    headings, *rows = (row[: table.shown] for row in (table.headings, *table.rows))
    verdict = lay_out(f"{first.heading}: {first.summary} {first.weakest}".rstrip())
    lines = lay_out(build_table(headings, rows)).splitlines()
    room = SCREEN_LINES - len(verdict.splitlines()) - 1 - (BESIDES_LINES if others else 0)
    lines = lines if len(lines) <= room else [*lines[: room - 1], "..."]
    room += BESIDES_LINES - len(lines) - 2
    print(verdict, "", *lines, sep="\n")
    shown = []
    for section in others:
        text = lay_out(f"- {section.heading}: {section.summary}")
        room -= len(text.splitlines())
        if room < (section is not others[-1]):  # a line for how many are left out
            shown.append(f"- {count(len(others) - len(shown), 'more verdict')} on the page")
            break
        shown.append(text)
    if shown:
        print("\nBesides:", *shown, sep="\n")


def format_markdown(sections: list[Section]) -> str:
    """Return the sections' tables in GitHub's Markdown."""
    lines, escapes = [], str.maketrans({"\\": "\\\\", "|": "\\|"})
    for section in sections:
        for table in section.tables:
            rows = [[cell.translate(escapes) for cell in row] for row in table.rows]
            rule = ["---"] + ["---:"] * (len(table.headings) - 1)
            lines += [f"{section.heading}. {table.caption}", ""]
            lines += [f"| {' | '.join(row)} |" for row in (table.headings, rule, *rows)] + [""]
    return "\n".join(lines).rstrip() + "\n"


def shorten_titles(titles: list[str]) -> list[str]:
    """Return titles as the picture has room for them. Of those that would read the same, what
    differs is kept: what they begin with alike is shortened instead.
    """
    from vision101.figures import wrap

    titles = [title.replace("_", " ") for title in titles]
    short = [wrap(title, TITLE_WIDTH, 1) for title in titles]
    shown = []
    for title, own in zip(titles, short, strict=True):
        same = [other for other, its in zip(titles, short, strict=True) if its == own]
        if len(same) > 1:
            alike = os.path.commonprefix(same).rfind(" ") + 1
            end = title[alike:][: TITLE_WIDTH - 1]
            own = wrap(f"{title[: min(alike, TITLE_WIDTH - 1 - len(end))]}…{end}", TITLE_WIDTH, 1)
        shown.append(own)
    return shown


def plot_comparison(
    folder: Path, splits: dict[str, list[ComparedRun]], photo_sets: dict[str, list[SeedGroup]]
) -> None:
    """Plot the runs on each split with their intervals, and below the recipes with their seeds, to
    `comparison.png`.
    """
    # Takes half of this script's time, and --markdown and --help need none of it.
    import matplotlib.pyplot as plt
    from matplotlib.ticker import PercentFormatter

    from vision101.figures import BLUE, ORANGE, save_figure, wrap

    panels = splits | {f"Seeds on {photos}": groups for photos, groups in photo_sets.items()}
    # Inches: as narrow as a phone, so that it shows all points, with names above them.
    heights = [0.8 + 0.6 * len(members) for members in panels.values()]
    options = {"sharex": True, "squeeze": False, "layout": "constrained"}
    size = (4.6, 1.2 + sum(heights))
    figure, grid = plt.subplots(len(panels), figsize=size, height_ratios=heights, **options)
    handles = {}
    for axes, (heading, members) in zip(grid[:, 0], panels.items(), strict=True):
        titles = shorten_titles([member.title for member in members])
        for row, (member, title) in enumerate(zip(members, titles, strict=True)):
            if isinstance(member, ComparedRun):
                interval = member.results["unseen"]["balanced_accuracy_interval"]
                axes.plot(interval, [row] * 2, color=BLUE, linewidth=2)
                axes.plot(member.score, row, "o", color=BLUE, ms=8, label="unseen, 95 % interval")
                score = member.results["validation"]["balanced_accuracy"]
                if score is not None:
                    axes.plot(score, row, "D", color=ORANGE, mfc="none", label="validation")
                guessing = 1 / len(member.config["class_names"])
                axes.axvline(guessing, color="0.4", linestyle=":", label="guessing")
            else:
                for score in member.scores.values():
                    axes.plot(score, row, "o", color=BLUE, mfc="none", label="a seed")
                axes.plot(member.score, row, "|", color=BLUE, ms=16, mew=3, label="mean")
            place = {"transform": axes.get_yaxis_transform(), "va": "center"}
            axes.text(1.02, row, _percent(member.score), fontsize=11, **place)
            box = {"color": "white", "pad": 0.5}
            axes.text(0.01, row - 0.45, title, fontsize=10.5, bbox=box, **place)
        axes.set_yticks([])
        axes.set_ylim(len(members) - 0.6, -0.8)
        axes.set_title(wrap(heading, 44), loc="left", fontsize=11)
        axes.tick_params(labelbottom=True, labelsize=10.5)
        axes.grid(axis="x", alpha=0.3)
        axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %", decimals=0))
        axes.xaxis.get_major_locator().set_params(nbins=5)
        handles |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.suptitle("Balanced accuracy on unseen photos", fontsize=13)
    columns = {"ncols": 2, "fontsize": 10.5, "columnspacing": 1}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", **columns)
    save_figure(figure, folder / PICTURE_NAME)


def finish_comparison(folder: Path, sections: list[Section]) -> None:
    """Write `table.md` and `report.html` beside the picture, and say what to do next."""
    predict = f"python predict.py --run {quote(shown_path(sections[0].runs[0].folder))} photo.jpg"
    undecided = any(
        NO_WINNER in section.summary or UNKNOWN in section.summary for section in sections
    )
    settle = "To see whether a lead holds, train the best two with --seed 1, 2, …"
    with write_atomically(folder / "table.md") as temporary:
        temporary.write_text(format_markdown(sections), encoding="utf-8", errors="surrogateescape")
    parts = {f"part-{number}": section for number, section in enumerate([*sections, TERMS], 1)}
    write_report(
        folder / PAGE_NAME,
        "comparison.html",
        sections=[("picture", "At a glance"), *((name, parts[name].heading) for name in parts)],
        parts=parts,
        link_to_page=lambda run: link_to(run.folder / PAGE_NAME, folder),
        shown_path=shown_path,
        comparison_picture=embed_picture(folder / PICTURE_NAME),
        shown_pairs=SHOWN_PAIRS,
        settle=settle if undecided else "",
        predict=predict,
    )
    print("\nNext:")
    say(f"- Open {shown_path(folder / PAGE_NAME)}, which links to the mistakes")
    if undecided:
        print(f"- {settle}")
    print(f"- Predict: {predict}")
