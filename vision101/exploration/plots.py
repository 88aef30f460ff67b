"""Pictures of the photos before any training: how many, how large, how different, what is wrong."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from vision101.errors import shown_name
from vision101.exploration.checks import LabelIssue
from vision101.exploration.duplicates import DuplicatePair
from vision101.exploration.observations import (
    HUE_BINS,
    OBSERVATIONS,
    Measurements,
    Observation,
    find_subject,
    read_small,
)
from vision101.figures import BLUE, VERMILION, matplotlib, name_classes, plt, save_figure, wrap
from vision101.photos.index import Photo, expect_unchanged, list_classes
from vision101.photos.reading import read_pixels
from vision101.terminal import ProgressBar

CLASSES_SHOWN = 12  # rows that people can still read at a glance; the largest classes are shown
BARS_SHOWN = 40  # classes with a bar for their number of photos: the largest and the smallest
SAMPLES_OF_CLASS = 6
SAMPLE_SIZE = 200  # pixels per side
ENDS_OF_CLASS = 3  # photos at either end of a distribution
END_SIZE = (200, 150)  # width and height of the room for each of them, in pixels
CELL_SIZE = (240, 180)  # width and height of a photo in a gallery, in pixels
PAIRS_SHOWN, PAIRS_IN_ROW = 12, 2
LABEL_ISSUES_SHOWN, LABEL_ISSUES_IN_ROW = 40, 5
MEANS_IN_ROW = 6

GRID = {"squeeze": False, "layout": "constrained"}  # how all figures place their axes

# Observations that depend on where the subject was found: their photos show that too.
OF_THE_SUBJECT = ("subject_share", "bloom_share", "offset", "roundness", "clutter")


def plot_photos(folder: Path, photos: list[Photo], image_size: int, title: str) -> None:
    """Plot how many photos there are, how large, and some of them, for training at `image_size`
    pixels per side: `counts.png`, `sizes.png` and `samples.png` in the folder's `plots/`.

    Raises:
        UserError: A photo was changed or removed since it was indexed.
    """
    _plot_counts(folder, photos, title)
    _plot_sizes(folder, photos, image_size, title)
    generator = np.random.default_rng(0)
    classes, title = find_largest_classes(photos, title)
    cells = []
    for positions in classes.values():
        chosen = [photos[i] for i in generator.permutation(positions)[:SAMPLES_OF_CLASS]]
        for photo in chosen:
            with expect_unchanged(photo):
                cells.append((read_pixels(photo.path, SAMPLE_SIZE, photo.white), "", "black"))
        cells += [None] * (SAMPLES_OF_CLASS - len(chosen))
    heading = f"{title}: photos of each class, drawn at random"
    _plot_gallery(folder, "samples", heading, cells, SAMPLES_OF_CLASS, list(classes))


def plot_measurements(
    folder: Path, photos: list[Photo], measurements: Measurements, title: str
) -> None:
    """Plot each class's mean photo, colours, and each observation between the photos at its ends:
    `means.png`, `hues.png` and `<observation>.png` in `plots/`. Errors are those of `plot_photos`.
    """
    _plot_means(folder, photos, measurements, title)
    _plot_hues(folder, photos, measurements.hues, title)
    for observation in ProgressBar(OBSERVATIONS, desc="Drawing", unit=" pictures"):
        _plot_observation(folder, photos, measurements.values[observation.name], observation, title)


def plot_findings(
    folder: Path,
    photos: list[Photo],
    duplicates: list[DuplicatePair],
    issues: list[LabelIssue],
    title: str,
) -> None:
    """Plot the first duplicates and label issues, if any, as a person should look at them:
    `duplicates.png` and `label_issues.png` in `plots/`. Errors are those of `plot_photos`.
    """
    cells, names = [], name_classes(list_classes(photos))
    for pair in duplicates[:PAIRS_SHOWN]:
        colour = VERMILION if pair.across_classes else "black"
        for photo in (pair.photo, pair.other):
            lines = names[photo.class_name], shown_name(photo.path)
            caption = "\n".join(wrap(line, 26, 1) for line in lines)
            cells.append((_fit(read_small(photo)), caption, colour))
    heading = f"{title}: duplicates{_count_shown(PAIRS_SHOWN, duplicates)}"
    _plot_gallery(folder, "duplicates", heading, cells, 2 * PAIRS_IN_ROW)
    cells = []
    for issue in issues[:LABEL_ISSUES_SHOWN]:
        label = f"in {names[issue.photo.class_name]}"
        suggested = f"{100 * issue.confidence:.0f} % {names[issue.suggested]}?"
        text = f"{wrap(label, 23)}\n{wrap(suggested, 23)}"
        cells.append((_fit(read_small(issue.photo)), text, "black"))
    heading = f"{title}: label issues{_count_shown(LABEL_ISSUES_SHOWN, issues)}"
    _plot_gallery(folder, "label_issues", heading, cells, LABEL_ISSUES_IN_ROW)


def find_largest_classes(photos: list[Photo], title: str) -> tuple[dict[str, np.ndarray], str]:
    """Return the positions of the photos of each class, under the name that pictures have for it,
    in alphabetical order, and the title; if there are many, of the largest only, and it says so.
    """
    classes = np.array([photo.class_name for photo in photos])
    counts, shown_names = Counter(classes.tolist()), name_classes(list_classes(photos))
    largest = sorted(counts, key=lambda name: (-counts[name], name))[:CLASSES_SHOWN]
    if len(largest) < len(counts):
        title += f", the {len(largest)} largest of {len(counts):,} classes"
    return {shown_names[name]: np.flatnonzero(classes == name) for name in sorted(largest)}, title


def _plot_counts(folder: Path, photos: list[Photo], title: str) -> None:
    counts = Counter(photo.class_name for photo in photos)
    names, smallest, most = sorted(counts, reverse=True), min(counts.values()), max(counts.values())
    shown_names = name_classes(list_classes(photos))
    if some := len(names) > BARS_SHOWN:
        names = sorted(counts, key=counts.get)
        names = names[: BARS_SHOWN // 2] + names[-BARS_SHOWN // 2 :]
    figure, axes = plt.subplots(figsize=(9, 1.7 + 0.35 * len(names)), layout="constrained")
    bars = axes.barh(range(len(names)), [counts[name] for name in names], color=BLUE)
    axes.set_yticks(range(len(names)), [wrap(shown_names[name], 30, 1) for name in names])
    axes.bar_label(bars, padding=4)
    axes.axvline(smallest, color=VERMILION, linestyle="--", label=f"smallest class ({smallest})")
    heading = f"{title}: photos of each class"
    if some:
        heading += f" ({len(names)} of {len(counts):,} classes: the largest and the smallest)"
    axes.set(xlabel="photos", xlim=(0, 1.1 * most), ylim=(-0.6, len(names) - 0.4))
    figure.legend(loc="outside lower center")
    _save(figure, folder, "counts", heading)


def _plot_sizes(folder: Path, photos: list[Photo], image_size: int, title: str) -> None:
    sizes = Counter((photo.width, photo.height) for photo in photos)
    (widths, heights), counts = np.array(list(sizes)).T, np.array(list(sizes.values()))
    width, height = np.array([(photo.width, photo.height) for photo in photos]).T
    enlargement = image_size / np.minimum(width, height)
    cropped = 100 * (1 - np.minimum(width, height) / np.maximum(width, height))
    figure, ((size_axes, scale_axes, crop_axes),) = plt.subplots(1, 3, figsize=(10.5, 4.6), **GRID)
    areas = 12 + 500 * counts / counts.max()
    size_axes.scatter(widths, heights, areas, color=BLUE, alpha=0.4, label="photos (larger: more)")
    label = f"training size ({image_size} x {image_size})"
    frame = {"fill": False, "edgecolor": VERMILION, "linewidth": 2, "label": label}
    size_axes.add_patch(plt.Rectangle((0, 0), image_size, image_size, **frame))
    # One panorama must not push all others into a corner.
    limits = [1.1 * max(image_size, np.quantile(side, 0.995)) for side in (width, height)]
    outside = int(((width > limits[0]) | (height > limits[1])).sum())
    heading = "Sizes" + (f" ({outside} larger ones not shown)" if outside else "")
    size_axes.set(title=heading, xlabel="width (pixels)", ylabel="height (pixels)")
    size_axes.set(xlim=(0, limits[0]), ylim=(0, limits[1]))
    size_axes.grid(alpha=0.3)
    marked = {"color": VERMILION, "linestyle": "--", "linewidth": 2}
    bins = np.linspace(0, max(2.0, np.quantile(enlargement, 0.995)), 41)
    scale_axes.hist(np.minimum(enlargement, bins[-1]), bins, color=BLUE)
    scale_axes.axvline(1, label="unchanged", **marked)
    heading = f"{100 * (enlargement > 1).mean():.0f} % of photos are enlarged"
    label = f"enlargement to {image_size} pixels (below 1: reduced)"
    scale_axes.set(title=heading, xlabel=label, ylabel="photos")
    crop_axes.hist(cropped, np.linspace(0, max(50, cropped.max()), 41), color=BLUE)
    median = np.median(cropped)
    crop_axes.axvline(median, label=f"median ({median:.0f} %)", **marked)
    heading, label = "Cut off by the centred square", "area cut off (% of the photo)"
    crop_axes.set(title=heading, xlabel=label, ylabel="photos")
    for axes in (size_axes, scale_axes, crop_axes):
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False, markerscale=0.4)
    _save(figure, folder, "sizes", f"{title}: what resizing does")


def _plot_means(folder: Path, photos: list[Photo], measurements: Measurements, title: str) -> None:
    classes, title = find_largest_classes(photos, title)
    columns, bands = min(MEANS_IN_ROW, len(classes)), math.ceil(len(classes) / MEANS_IN_ROW)
    size = (max(6, 1.6 * columns + 1.2), 3.9 * bands + 0.6)
    figure, grid = plt.subplots(2 * bands, columns, figsize=size, **GRID)
    highest = 100 * max(subjects.max() for subjects in measurements.mean_subjects.values())
    for number, (heading, positions) in enumerate(classes.items()):
        row, column = 2 * (number // columns), number % columns
        name = photos[positions[0]].class_name
        grid[row, column].imshow(measurements.mean_photos[name])
        grid[row, column].set_title(wrap(heading, 18), fontsize=10)
        shares = 100 * measurements.mean_subjects[name]
        heat = grid[row + 1, column].imshow(shares, cmap="cividis", vmin=0, vmax=highest)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[], frame_on=axes.has_data())
    for first, second in zip(grid[::2, 0], grid[1::2, 0], strict=True):
        first.set_ylabel("mean photo")
        second.set_ylabel("where the subject is")
    scale = figure.colorbar(heat, ax=grid, shrink=0.5, label="photos with the subject here (%)")
    scale.ax.yaxis.get_major_locator().set_params(integer=True)
    _save(figure, folder, "means", f"{title}: mean photo of each class, stretched to a square")


def _plot_hues(folder: Path, photos: list[Photo], hues: np.ndarray, title: str) -> None:
    classes, title = find_largest_classes(photos, title)
    size = (9, 0.9 * len(classes) + 1.5)
    figure, grid = plt.subplots(len(classes), sharex=True, figsize=size, **GRID)
    centres = (np.arange(HUE_BINS) + 0.5) / HUE_BINS
    hsv = np.stack([centres, np.full(HUE_BINS, 0.9), np.full(HUE_BINS, 0.85)], axis=1)
    colours = matplotlib.colors.hsv_to_rgb(hsv)
    shares = {name: 100 * hues[positions].mean(axis=0) for name, positions in classes.items()}
    highest = 1.1 * max(share.max() for share in shares.values())
    for (name, share), (axes,) in zip(shares.items(), grid, strict=True):
        axes.bar(360 * centres, share, 360 / HUE_BINS, color=colours)
        axes.set(xlim=(0, 360), ylim=(0, highest))
        _name_row(axes, name, -0.06)
        axes.grid(axis="y", alpha=0.3)
    names = ("red", "yellow", "green", "cyan", "blue", "magenta", "red")
    axes.set_xticks(range(0, 361, 60), [f"{name}\n{60 * i}°" for i, name in enumerate(names)])
    axes.set_xlabel("hue (degrees of the colour circle)")
    _save(figure, folder, "hues", f"{title}: colours of the subject (% of its coloured pixels)")


def _plot_observation(
    folder: Path, photos: list[Photo], values: np.ndarray, observation: Observation, title: str
) -> None:
    classes, title = find_largest_classes(photos, title)
    size, widths = (10.5, 1.1 * len(classes) + 1.3), (ENDS_OF_CLASS, 3.2, ENDS_OF_CLASS)
    figure, grid = plt.subplots(len(classes), 3, width_ratios=widths, figsize=size, **GRID)
    low, high = np.quantile(values, (0.001, 0.999))
    margin = 0.04 * (high - low) or 1.0
    ends_of_axis = (low, high) if high > low else (low - 1, low + 1)
    # Of few photos, narrow bars would show chance.
    bins = np.linspace(*ends_of_axis, 1 + min(40, max(10, len(photos) // 25)))
    for (name, positions), (left, middle, right) in zip(classes.items(), grid, strict=True):
        order = positions[np.argsort(values[positions], kind="stable")]
        ends = min(ENDS_OF_CLASS, len(order) // 2)
        for axes, shown in ((left, order[:ends]), (right, order[len(order) - ends :])):
            _show_ends(axes, [photos[i] for i in shown], values[shown], observation)
        _name_row(left, name, -0.02)
        counts = middle.hist(values[positions].clip(low, high), bins, color=BLUE, alpha=0.85)[0]
        # Above the bars, not over them.
        median, top = np.median(values[positions]), counts.max()
        middle.plot(median, 1.15 * top, "v", color=VERMILION)
        text = f"  median {median:.0f}{observation.short_unit}  "
        side = "left" if median < (low + high) / 2 else "right"
        middle.text(median, 1.15 * top, text, ha=side, va="center", fontsize=9)
        middle.set(xlim=(low - margin, high + margin), ylim=(0, 1.35 * top), yticks=[])
        middle.tick_params(labelbottom=middle is grid[-1, 1])
        middle.grid(axis="x", alpha=0.3)
    grid[-1, 1].set_xlabel(observation.unit)
    for axes, end, arrows in zip(grid[0, ::2], observation.ends, ("← {}", "{} →"), strict=True):
        axes.set_title(arrows.format(end), fontsize=10, y=1.25)
    _save(figure, folder, observation.name, f"{observation.title} ({title})")


def _show_ends(
    axes: plt.Axes, photos: list[Photo], values: np.ndarray, observation: Observation
) -> None:
    """Show photos side by side in one picture, which is drawn much sooner than several."""
    width, height = END_SIZE
    row = Image.new("RGB", (ENDS_OF_CLASS * width, height), "white")
    for number, (photo, value) in enumerate(zip(photos, values, strict=True)):
        image = read_small(photo)
        if observation.name in OF_THE_SUBJECT:
            subject = Image.fromarray(find_subject(image)).resize(image.size)
            image = Image.composite(image, image.point(lambda level: level // 3), subject)
        image = ImageOps.contain(image, (width - 8, height))
        left = number * width + (width - image.width) // 2
        row.paste(image, (left, (height - image.height) // 2))
        place = (number + 0.5) * width, -6
        text = f"{value:.0f}{observation.short_unit}"
        axes.text(*place, text, ha="center", va="bottom", fontsize=9)
    axes.imshow(row)
    axes.set_axis_off()


def _plot_gallery(
    folder: Path,
    name: str,
    title: str,
    cells: list[tuple[Image.Image, str, str] | None],
    columns: int,
    row_names: Sequence[str] = (),
) -> None:
    """Plot pictures, each with its caption and the caption's colour, in rows of `columns`."""
    if not cells:
        return
    rows = math.ceil(len(cells) / columns)
    lines = max(cell[1].count("\n") for cell in cells if cell)
    row_height = 7.8 / columns + (0 if row_names else 0.2 + 0.16 * lines)  # inches, with a caption
    size = (10, row_height * rows + 0.6)
    figure, grid = plt.subplots(rows, columns, figsize=size, **GRID)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, cell in zip(grid.flat, cells, strict=False):
        if cell:
            image, caption, colour = cell
            axes.imshow(image)
            axes.set_title(caption, fontsize=9, color=colour)
    for axes, row_name in zip(grid[:, 0], row_names, strict=False):
        _name_row(axes, row_name, -0.03)
    _save(figure, folder, name, title)


def _fit(image: Image.Image) -> Image.Image:
    """Return a photo in the middle of a white cell, so that all captions stand at one height."""
    return ImageOps.pad(image, CELL_SIZE, color="white")


def _save(figure: plt.Figure, folder: Path, name: str, title: str) -> None:
    figure.suptitle(wrap(title, 90), fontsize=13)
    save_figure(figure, folder / "plots" / f"{name}.png")


def _name_row(axes: plt.Axes, name: str, x: float) -> None:
    place = {"transform": axes.transAxes, "ha": "right", "va": "center"}
    axes.text(x, 0.5, wrap(name, 16, 3), **place)


def _count_shown(most: int, findings: list) -> str:
    return f" (the first {most} of {len(findings)})" if len(findings) > most else ""
