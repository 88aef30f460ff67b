"""Pictures of the photos before any training: how many, how large, how different, what is wrong."""

import math
import textwrap
from collections import Counter
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import hsv_to_rgb
from matplotlib.patches import Rectangle
from PIL import Image, ImageOps
from tqdm import tqdm

from vision101.errors import shown_name, shown_path
from vision101.exploration.advice import Advice
from vision101.exploration.checks import FileProblem
from vision101.exploration.labels import LabelCheck, LabelIssue
from vision101.exploration.observations import (
    HUE_BINS,
    MEASURED_SIZE,
    OBSERVATIONS,
    Measurements,
    Observation,
    find_subject,
    fit_within,
    omega_squared,
)
from vision101.figures import BLUE, ORANGE, VERMILION, save_figure
from vision101.pages import embed_picture, write_report
from vision101.photos.duplicates import DuplicatePair
from vision101.photos.index import Photo, expect_unchanged, list_classes
from vision101.photos.reading import read_photo
from vision101.training.augmentation import read_view

# Rows of a picture that people can still read at a glance; the largest classes are shown.
CLASSES_SHOWN = 12

SAMPLES_OF_CLASS = 8
ENDS_OF_CLASS = 3  # photos at either end of a distribution

THUMBNAIL_SIZE = 200  # pixels of the longer side

PAIRS_SHOWN, PAIRS_IN_ROW = 12, 3
LABEL_ISSUES_SHOWN, LABEL_ISSUES_IN_ROW = 40, 8

# Findings of a kind that the page shows; all of them are in the lists beside it.
LISTED = 200

PAGE_NAME = "report.html"

# Observations that depend on where the subject was found: their thumbnails show that too.
OF_THE_SUBJECT = ("subject_share", "bloom_share", "offset", "roundness", "clutter")


def read_thumbnail(photo: Photo, size: int = THUMBNAIL_SIZE) -> np.ndarray:
    """Read a photo whole, small: uint8 (height, width, 3), RGB, its longer side `size` pixels.

    Raises:
        UserError: The file was changed since it was indexed.
    """
    with expect_unchanged(photo):
        return np.asarray(fit_within(read_photo(photo.path, least_size=size), size))


def plot_photos(folder: Path, photos: list[Photo], image_size: int, title: str) -> None:
    """Plot how many photos there are, how large they are, and some of them.

    The pictures go to `plots/counts.png`, `plots/sizes.png` and `plots/samples.png`.

    Args:
        folder: Folder of the exploration.
        photos: The readable photos.
        image_size: Side of the square that training makes of each photo, in pixels.
        title: What the photos are.
    """
    _plot_counts(folder, photos, title)
    _plot_sizes(folder, photos, image_size, title)
    _plot_samples(folder, photos, title)


def _plot_counts(folder: Path, photos: list[Photo], title: str) -> None:
    counts = Counter(photo.class_name for photo in photos)
    names = sorted(counts, reverse=True)
    smallest = min(counts.values())
    figure, axes = plt.subplots(figsize=(10, 1.9 + 0.45 * len(names)), layout="constrained")
    bars = axes.barh(names, [counts[name] for name in names], color=BLUE)
    axes.bar_label(bars, padding=4)
    axes.axvline(smallest, color=VERMILION, linestyle="--", label=f"smallest class ({smallest})")
    axes.set(
        title=f"{title}: photos of each class",
        xlabel="photos",
        xlim=(0, 1.1 * max(counts.values())),
    )
    figure.legend(loc="outside lower center")
    save_figure(figure, folder / "plots" / "counts.png")


def _plot_sizes(folder: Path, photos: list[Photo], image_size: int, title: str) -> None:
    sizes = Counter((photo.width, photo.height) for photo in photos)
    (widths, heights), counts = np.array(list(sizes)).T, np.array(list(sizes.values()))
    width, height = np.array([(photo.width, photo.height) for photo in photos]).T
    enlargement = image_size / np.minimum(width, height)
    cropped = 100 * (1 - np.minimum(width, height) / np.maximum(width, height))
    figure, (size_axes, scale_axes, crop_axes) = plt.subplots(
        1, 3, figsize=(15, 5.2), layout="constrained"
    )
    areas = 12 + 500 * counts / counts.max()
    size_axes.scatter(widths, heights, areas, color=BLUE, alpha=0.4, label="photos (more: larger)")
    label = f"training size ({image_size} x {image_size})"
    frame = {"fill": False, "edgecolor": VERMILION, "linewidth": 2, "label": label}
    size_axes.add_patch(Rectangle((0, 0), image_size, image_size, **frame))
    # One panorama must not push all others into a corner.
    limits = [1.1 * max(image_size, np.quantile(side, 0.995)) for side in (width, height)]
    outside = int(((width > limits[0]) | (height > limits[1])).sum())
    size_axes.set(
        title="Sizes" + (f" ({outside} larger ones not shown)" if outside else ""),
        xlabel="width (pixels)",
        ylabel="height (pixels)",
        xlim=(0, limits[0]),
        ylim=(0, limits[1]),
    )
    size_axes.legend(loc="upper left", markerscale=0.4)
    size_axes.grid(alpha=0.3)
    bins = np.linspace(0, max(2.0, np.quantile(enlargement, 0.995)), 41)
    scale_axes.hist(np.minimum(enlargement, bins[-1]), bins, color=BLUE)
    scale_axes.axvline(1, color=VERMILION, linestyle="--", linewidth=2, label="as it is")
    scale_axes.set(
        title=f"{100 * (enlargement > 1).mean():.0f} % of photos are enlarged",
        xlabel=f"enlargement to {image_size} pixels (below 1: made smaller)",
        ylabel="photos",
    )
    scale_axes.legend()
    crop_axes.hist(cropped, np.linspace(0, max(50, cropped.max()), 41), color=BLUE)
    median = np.median(cropped)
    label = f"median ({median:.0f} %)"
    crop_axes.axvline(median, color=VERMILION, linestyle="--", linewidth=2, label=label)
    crop_axes.set(
        title="Cut off by the centred square",
        xlabel="area outside the square (% of the photo)",
        ylabel="photos",
    )
    crop_axes.legend()
    figure.suptitle(f"{title}: what resizing does", fontsize=14)
    save_figure(figure, folder / "plots" / "sizes.png")


def _plot_samples(folder: Path, photos: list[Photo], title: str) -> None:
    names = choose_classes(photos)
    generator = np.random.default_rng(0)
    figure, grid = plt.subplots(
        len(names),
        SAMPLES_OF_CLASS,
        figsize=(14, 1.65 * len(names) + 0.6),
        squeeze=False,
        layout="constrained",
    )
    for name, row in zip(names, grid, strict=True):
        of_class = [photo for photo in photos if photo.class_name == name]
        chosen = generator.permutation(len(of_class))[: len(row)]
        for axes, position in zip(row, chosen, strict=False):
            axes.imshow(read_view(of_class[position], 0, THUMBNAIL_SIZE))
        _label_row(row, name)
    figure.suptitle(f"{title}: some of each class", fontsize=14)
    save_figure(figure, folder / "plots" / "samples.png")


def plot_measurements(
    folder: Path, photos: list[Photo], measurements: Measurements, title: str
) -> None:
    """Plot each class's mean photo, colours, and each observation between the photos at its ends.

    The pictures go to `plots/means.png`, `plots/hues.png` and `plots/<observation>.png`.

    Args:
        folder: Folder of the exploration.
        photos: The readable photos.
        measurements: What `measure_photos` returned of them.
        title: What the photos are.
    """
    _plot_means(folder, photos, measurements, title)
    _plot_hues(folder, photos, measurements, title)
    for observation in tqdm(OBSERVATIONS, desc="Drawing", unit=" pictures"):
        _plot_observation(folder, photos, measurements.values[observation.name], observation, title)


def _plot_means(folder: Path, photos: list[Photo], measurements: Measurements, title: str) -> None:
    names = choose_classes(photos)
    figure, grid = plt.subplots(
        2, len(names), figsize=(max(6, 2.4 * len(names)), 5.6), squeeze=False, layout="constrained"
    )
    highest = 100 * max(measurements.mean_subjects[name].max() for name in names)
    for name, photo_axes, subject_axes in zip(names, *grid, strict=True):
        photo_axes.imshow(measurements.mean_photos[name])
        photo_axes.set_title(name)
        heat = subject_axes.imshow(
            100 * measurements.mean_subjects[name], cmap="cividis", vmin=0, vmax=highest
        )
    grid[0, 0].set_ylabel("mean photo", fontsize=12)
    grid[1, 0].set_ylabel("where the subject is", fontsize=12)
    figure.colorbar(heat, ax=grid[1].tolist(), label="photos with the subject here (%)")
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
    figure.suptitle(f"{title}: mean photo of each class, stretched to a square", fontsize=14)
    save_figure(figure, folder / "plots" / "means.png")


def _plot_hues(folder: Path, photos: list[Photo], measurements: Measurements, title: str) -> None:
    names = choose_classes(photos)
    classes = np.array([photo.class_name for photo in photos])
    figure, grid = plt.subplots(
        len(names),
        figsize=(11, 1.3 * len(names) + 1.2),
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    hues = (np.arange(HUE_BINS) + 0.5) / HUE_BINS
    colours = hsv_to_rgb(np.stack([hues, np.full(HUE_BINS, 0.9), np.full(HUE_BINS, 0.85)], 1))
    shares = {name: 100 * measurements.hues[classes == name].mean(axis=0) for name in names}
    highest = 1.1 * max(share.max() for share in shares.values())
    for name, (axes,) in zip(names, grid, strict=True):
        axes.bar(360 * hues, shares[name], 360 / HUE_BINS, color=colours)
        axes.set(xlim=(0, 360), ylim=(0, highest))
        axes.set_ylabel(textwrap.fill(name, 14), rotation=0, ha="right", va="center", fontsize=12)
        axes.grid(axis="y", alpha=0.3)
    axes.set_xticks(
        range(0, 361, 60),
        [
            f"{colour}\n{60 * step}°"
            for step, colour in enumerate(
                ["red", "yellow", "green", "cyan", "blue", "magenta", "red"]
            )
        ],
    )
    axes.set_xlabel("hue (degrees of the colour circle)")
    figure.suptitle(f"{title}: colours of the subject (% of its coloured pixels)", fontsize=14)
    save_figure(figure, folder / "plots" / "hues.png")


def _plot_observation(
    folder: Path, photos: list[Photo], values: np.ndarray, observation: Observation, title: str
) -> None:
    names = choose_classes(photos)
    classes = np.array([photo.class_name for photo in photos])
    figure, grid = plt.subplots(
        len(names),
        3,
        figsize=(15, 1.35 * len(names) + 1.5),
        width_ratios=[ENDS_OF_CLASS, 4.2, ENDS_OF_CLASS],
        squeeze=False,
        layout="constrained",
    )
    low, high = np.quantile(values, (0.001, 0.999))
    margin = 0.04 * (high - low) or 1.0
    ends_of_axis = (low, high) if high > low else (low - 1, low + 1)
    # Of few photos, narrow bars would show chance.
    bins = np.linspace(*ends_of_axis, 1 + min(40, max(10, len(photos) // 25)))
    for name, (left, middle, right) in zip(names, grid, strict=True):
        of_class = np.flatnonzero(classes == name)
        order = of_class[np.argsort(values[of_class], kind="stable")]
        ends = min(ENDS_OF_CLASS, len(order) // 2)
        for axes, positions in ((left, order[:ends]), (right, order[len(order) - ends :])):
            _show_row(
                axes,
                [_show_subject(photos[position], observation.name) for position in positions],
                [f"{values[position]:.0f}" for position in positions],
            )
        middle.hist(values[of_class].clip(low, high), bins, color=BLUE, alpha=0.85)
        median = np.median(values[of_class])
        middle.axvline(median, color=ORANGE, linewidth=3)
        middle.set(xlim=(low - margin, high + margin), yticks=[])
        middle.tick_params(labelbottom=name == names[-1])
        middle.grid(axis="x", alpha=0.3)
        _write(middle, 0.985, 0.9, f"median {median:.0f}", ha="right", va="top", fontsize=10)
        _write(left, -0.03, 0.5, textwrap.fill(name, 12), ha="right", va="center", fontsize=12)
    grid[-1, 1].set_xlabel(observation.unit, fontsize=12)
    grid[0, 1].set_title(
        f"←  {observation.low}      photos by value      {observation.high}  →", fontsize=12
    )
    figure.suptitle(f"{observation.title} ({title})", fontsize=14)
    save_figure(figure, folder / "plots" / f"{observation.name}.png")


def _show_row(axes: Axes, thumbnails: list[np.ndarray], texts: list[str]) -> None:
    """Show thumbnails side by side in one picture, which is drawn much sooner than several."""
    cell_width, cell_height = THUMBNAIL_SIZE, round(0.75 * THUMBNAIL_SIZE)
    row = Image.new("RGB", (ENDS_OF_CLASS * cell_width, cell_height), "white")
    for number, (pixels, text) in enumerate(zip(thumbnails, texts, strict=True)):
        thumbnail = ImageOps.contain(Image.fromarray(pixels), (cell_width - 8, cell_height))
        left = number * cell_width + (cell_width - thumbnail.width) // 2
        row.paste(thumbnail, (left, (cell_height - thumbnail.height) // 2))
        axes.text((number + 0.5) * cell_width, -6, text, ha="center", va="bottom", fontsize=9)
    axes.imshow(row)
    axes.set_axis_off()


def _show_subject(photo: Photo, observation_name: str) -> np.ndarray:
    """Return a thumbnail; for what depends on the subject, with all the rest darkened."""
    pixels = read_thumbnail(photo)
    if observation_name not in OF_THE_SUBJECT:
        return pixels
    image = fit_within(read_photo(photo.path, least_size=MEASURED_SIZE // 2), MEASURED_SIZE)
    subject = Image.fromarray(find_subject(image)).resize(pixels.shape[1::-1])
    return np.where(np.asarray(subject)[..., None], pixels, pixels // 3)


def plot_findings(
    folder: Path, duplicates: list[DuplicatePair], label_issues: list[LabelIssue], title: str
) -> None:
    """Plot the first duplicates and label_issues, if any, as a person should look at them.

    The pictures go to `plots/duplicates.png` and `plots/label_issues.png`.
    """
    if duplicates:
        _plot_duplicates(folder, duplicates, title)
    if label_issues:
        _plot_label_issues(folder, label_issues, title)


def _plot_duplicates(folder: Path, pairs: list[DuplicatePair], title: str) -> None:
    shown = pairs[:PAIRS_SHOWN]
    rows = math.ceil(len(shown) / PAIRS_IN_ROW)
    figure, grid = plt.subplots(
        rows,
        2 * PAIRS_IN_ROW,
        figsize=(14, 2.4 * rows + 0.6),
        squeeze=False,
        layout="constrained",
    )
    for axes in grid.flat:
        axes.set_axis_off()
    for pair, left, right in zip(shown, grid.flat[::2], grid.flat[1::2], strict=False):
        colour = VERMILION if pair.across_classes else "black"
        for photo, axes in ((pair.photo, left), (pair.other, right)):
            axes.imshow(read_thumbnail(photo))
            text = f"{photo.class_name}\n{_shorten(photo.path)}"
            axes.set_title(text, fontsize=9, color=colour)
    hidden = f" (the first {len(shown)})" if len(pairs) > len(shown) else ""
    figure.suptitle(f"{title}: duplicates{hidden}", fontsize=14)
    save_figure(figure, folder / "plots" / "duplicates.png")


def _plot_label_issues(folder: Path, label_issues: list[LabelIssue], title: str) -> None:
    shown = label_issues[:LABEL_ISSUES_SHOWN]
    rows = math.ceil(len(shown) / LABEL_ISSUES_IN_ROW)
    figure, grid = plt.subplots(
        rows,
        LABEL_ISSUES_IN_ROW,
        figsize=(14, 2.3 * rows + 0.6),
        squeeze=False,
        layout="constrained",
    )
    for axes in grid.flat:
        axes.set_axis_off()
    for label_issue, axes in zip(shown, grid.flat, strict=False):
        axes.imshow(read_thumbnail(label_issue.photo))
        given, suggested = label_issue.photo.class_name, label_issue.suggested
        text = f"in {given}\n{suggested}? {100 * label_issue.confidence:.0f} %"
        axes.set_title(text, fontsize=10)
    hidden = (
        f", the first {len(shown)} of {len(label_issues)}" if len(label_issues) > len(shown) else ""
    )
    figure.suptitle(f"{title}: most doubted labels{hidden}", fontsize=14)
    save_figure(figure, folder / "plots" / "label_issues.png")


def print_findings(
    folder: Path,
    photos: list[Photo],
    advice: list[Advice],
    problems: list[FileProblem],
    duplicates: list[DuplicatePair],
    check: LabelCheck,
) -> None:
    """Print what was found, in a few lines, and where to look."""
    across = sum(pair.across_classes for pair in duplicates)
    kinds = Counter(problem.kind for problem in problems)
    print(f"\n{len(photos)} photos of {len(list_classes(photos))} classes")
    print(f"files to look at: {_join_counts(kinds) or 'none'}")
    print(f"pairs of duplicates: {len(duplicates)}, {across} of them across classes")
    if check.accuracy is not None:
        print(f"doubted labels: {len(check.label_issues)}")
    print(check.note)
    print("\nFor training:")
    for item in advice:
        print(f"  {item.topic}: {item.suggestion}")
    print(f"\nLook at {shown_path(folder / PAGE_NAME)}")


def write_page(
    folder: Path,
    photos: list[Photo],
    measurements: Measurements,
    advice: list[Advice],
    problems: list[FileProblem],
    duplicates: list[DuplicatePair],
    check: LabelCheck,
    title: str,
) -> None:
    """Write `report.html`, which shows all that was found, and the pictures beside it.

    Args:
        folder: Folder of the exploration, with its pictures.
        photos: The readable photos.
        measurements: What `measure_photos` returned of them.
        advice: What `advise` returned.
        problems: Files to look at.
        duplicates: Pairs of photos that show the same picture.
        check: What came of checking the labels.
        title: What the photos are.
    """
    # As arrays, and so as JPEG: with all their thumbnails, they would be five times as large.
    pictures = {
        path.stem: embed_picture(np.asarray(Image.open(path).convert("RGB")))
        for path in (folder / "plots").glob("*.png")
    }
    class_names = [photo.class_name for photo in photos]
    class_count = len(set(class_names))
    explained = {
        item.name: omega_squared(measurements.values[item.name], class_names)
        for item in OBSERVATIONS
    }
    kinds = Counter(problem.kind for problem in problems)
    write_report(
        folder / PAGE_NAME,
        "explore.html",
        title=title,
        photo_count=len(photos),
        folder=shown_path(folder),
        class_count=class_count,
        classes_hidden=max(0, class_count - CLASSES_SHOWN),
        pictures=pictures,
        observations=[(item, 100 * explained[item.name]) for item in OBSERVATIONS],
        advice=advice,
        problems=[_show(problem) for problem in problems[:LISTED]],
        problem_count=len(problems),
        kinds=_join_counts(kinds),
        duplicates=[_show(pair) for pair in duplicates[:LISTED]],
        duplicate_count=len(duplicates),
        across_count=sum(pair.across_classes for pair in duplicates),
        check=check,
        label_issues=[_show(label_issue) for label_issue in check.label_issues[:LISTED]],
        label_issue_count=len(check.label_issues),
    )


def _show(finding: FileProblem | DuplicatePair | LabelIssue) -> dict:
    """Return a finding's fields, with its photos as embedded thumbnails."""
    shown = finding._asdict()
    for name in ("photo", "other"):
        if photo := shown.get(name):
            picture = None if photo.problem else embed_picture(read_thumbnail(photo))
            shown[name] = {"picture": picture, "name": photo.path.name, "label": photo.class_name}
    if isinstance(finding, DuplicatePair):
        shown |= {"identical": finding.identical, "across_classes": finding.across_classes}
    return shown


def _join_counts(counts: Counter) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counts.most_common())


def _shorten(path: Path) -> str:
    name = shown_name(path)
    return name if len(name) <= 24 else f"{name[:10]}…{name[-13:]}"


def choose_classes(photos: list[Photo]) -> list[str]:
    """Return the classes that pictures show: all, or of many the largest, in their order."""
    counts = Counter(photo.class_name for photo in photos)
    largest = sorted(counts, key=lambda name: (-counts[name], name))[:CLASSES_SHOWN]
    return [name for name in list_classes(photos) if name in largest]


def _label_row(row: np.ndarray, name: str) -> None:
    for axes in row:
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set_visible(False)
    row[0].set_ylabel(
        textwrap.fill(name, 14), rotation=0, ha="right", va="center", fontsize=12, labelpad=8
    )


def _write(axes: Axes, x: float, y: float, text: str, **options) -> None:
    axes.text(x, y, text, transform=axes.transAxes, **options)
