"""The page of an exploration, `report.html`, and the summary in the terminal."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vision101.errors import quote, shown_path
from vision101.exploration.advice import Advice, tells_classes_apart
from vision101.exploration.checks import FileProblem, LabelCheck, LabelIssue
from vision101.exploration.duplicates import DuplicatePair
from vision101.exploration.observations import OBSERVATIONS, Measurements, omega_squared, read_small
from vision101.figures import name_classes
from vision101.pages import embed_picture, link_to, write_report
from vision101.photos.index import Photo, list_classes
from vision101.runs import PAGE_NAME
from vision101.terminal import count, say

# Findings of a kind that the page shows; the lists beside it have all of them.
LISTED = 200

# The worst label issues that the terminal names.
NAMED = 3

# With fewer photos of a class than this, a pretrained network is the better start.
FEW_PHOTOS = 200

# If more labels than this share are doubted, it is the check that knows the classes badly.
WEAK_CHECK = 0.2


class Exploration(NamedTuple):
    """What was found out about the photos."""

    title: str  # what the photos are
    data: str  # what --data named
    photos: list[Photo]
    measurements: Measurements
    advice: list[Advice]
    problems: list[FileProblem]
    duplicates: list[DuplicatePair]
    label_check: LabelCheck


def write_page(folder: Path, found: Exploration) -> None:
    """Write `report.html`, with the pictures that are in the `plots/` of the exploration's folder.

    Raises:
        UserError: A photo was changed or removed since it was indexed.
    """
    pictures = {
        path.stem: embed_picture(path, photographic=True)
        for path in (folder / "plots").glob("*.png")
    }
    class_names = list_classes(found.photos)
    labels = np.array([class_names.index(photo.class_name) for photo in found.photos])
    values = found.measurements.values
    # The share of the differences that lie between classes, where it is more than chance.
    telling = [
        omega_squared(values[item.name], labels) * tells_classes_apart(values[item.name], labels)
        for item in OBSERVATIONS
    ]
    write_report(
        folder / PAGE_NAME,
        "explore.html",
        title=found.title,
        folder=shown_path(folder),
        verdict=describe_photos(found),
        train=suggest_training(found),
        pictures=pictures,
        photo_count=len(found.photos),
        class_count=len(class_names),
        names_in_pictures=name_classes(class_names),
        observations=list(zip(OBSERVATIONS, telling, strict=True)),
        advice=found.advice,
        problems=[_describe(problem, folder) for problem in found.problems[:LISTED]],
        problem_count=len({problem.photo.path for problem in found.problems}),
        problem_kinds=_count_kinds(found.problems),
        duplicates=[_describe(pair, folder) for pair in found.duplicates[:LISTED]],
        duplicate_count=len(found.duplicates),
        across_count=sum(pair.across_classes for pair in found.duplicates),
        label_check=found.label_check,
        disagreements=_count_disagreements(found),
        label_issues=[_describe(issue, folder) for issue in found.label_check.issues[:LISTED]],
        label_issue_count=len(found.label_check.issues),
        weak_check=len(found.label_check.issues) > WEAK_CHECK * len(found.photos),
    )


def describe_photos(found: Exploration) -> str:
    """Return the verdict on the photos: how many there are, and what is to be looked at."""
    counts = Counter(photo.class_name for photo in found.photos).values()
    fewest, most = f"{min(counts):,}", f"{max(counts):,}"
    of_each = fewest if fewest == most else f"{fewest} to {most}"
    pairs = (
        f"{count(len(found.duplicates), 'pair')} of duplicates"
        if found.duplicates
        else "no duplicates"
    )
    across = sum(pair.across_classes for pair in found.duplicates)
    across = f" ({across:,} across classes)" if across else ""
    issues = len(found.label_check.issues)
    labels = count(issues, "label issue") if issues else "no label issues"
    labels = labels if found.label_check.accuracy is not None else "labels not checked"
    files = f"; odd files: {_count_kinds(found.problems)}" if found.problems else ", no odd files"
    return (
        f"{count(len(found.photos), 'photo')} of {len(counts):,} classes, {of_each} of each: "
        f"{pairs}{across}, {labels}{files}."
    )


def _count_disagreements(found: Exploration) -> int:
    """Return of how many photos the check of labels names another class than their label does."""
    return round((1 - (found.label_check.accuracy or 0)) * len(found.photos))


def print_summary(folder: Path, found: Exploration) -> None:
    """Print what was found in a few lines, and where to look."""
    across = sum(pair.across_classes for pair in found.duplicates)
    print()
    say(describe_photos(found), found.label_check.note)
    for issue in found.label_check.issues[:NAMED]:
        photo = f"{issue.photo.path.parent.name}/{issue.photo.path.name}"
        say(f"- {photo}: perhaps {issue.suggested}")
    print("\nWorth a try in training:")
    for advice in found.advice:
        if not advice.fits:
            say(f"- {advice.topic}: {advice.suggestion}")
    if all(advice.fits for advice in found.advice):
        print("- Nothing: what the recipes do fits.")
    wrong = {
        "duplicates in two classes": across,
        "label issues": found.label_check.issues,
        "files": found.problems,
    }
    first = next(
        (f", and look at the {name} before you train" for name in wrong if wrong[name]), ""
    )
    print("\nNext:")
    say(f"- Open {shown_path(folder / PAGE_NAME)}{first}")
    print(f"- Train: {suggest_training(found)}")


def suggest_training(found: Exploration) -> str:
    """Return the command to train with, from a pretrained network where photos are few."""
    fewest = min(Counter(photo.class_name for photo in found.photos).values())
    # The painted sample needs no network, and shows as much without.
    few = fewest < FEW_PHOTOS and found.data != "sample"
    return f"python train_{'transfer' if few else 'cnn'}.py --data {quote(found.data)}"


def _describe(finding: FileProblem | DuplicatePair | LabelIssue, folder: Path) -> dict:
    """Return the fields of a finding, with its photos as embedded thumbnails."""
    fields = finding._asdict()
    for name in ("photo", "other"):
        if photo := fields.get(name):
            # A broken file has no picture.
            picture = None if photo.problem else embed_picture(np.asarray(read_small(photo)))
            shown = f"{photo.path.parent.name}/{photo.path.name}"
            fields[name] = {"picture": picture, "name": shown, "label": photo.class_name}
            fields[name]["link"] = link_to(photo.path, folder)
    if isinstance(finding, DuplicatePair):
        fields |= {"identical": finding.identical, "across_classes": finding.across_classes}
    return fields


def _count_kinds(problems: list[FileProblem]) -> str:
    kinds = Counter(problem.kind for problem in problems).most_common()
    return ", ".join(f"{kind} ({count:,})" for kind, count in kinds)
