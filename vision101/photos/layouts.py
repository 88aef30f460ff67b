"""Which folders hold the classes: names, the subsets that a collection comes in, and strays."""

import os
import re
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

from vision101.files import disk_errors
from vision101.terminal import count

# What other programs put beside photos, in small letters. Other names that start with a dot may be
# those of classes, such as .NET.
COMPANION_FOLDERS = {
    *("@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found", "__macosx"),
    *(".git", ".svn", ".hg", ".dvc", ".idea", ".vscode", ".venv", ".cache", ".ipynb_checkpoints"),
    *(".trash", ".trashes", ".trash-1000", ".appledouble", ".spotlight-v100", ".temporaryitems"),
    *(".fseventsd", ".thumbnails", ".thumbs", ".@__thumb", ".picasaoriginals", ".dropbox.cache"),
}

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")

# Words in the name of a folder, as in `training_set`, `seg_test` or `ValData`, and the subset that
# they tell of. Data sets come divided so, and what is in these folders are the classes.
SUBSET_WORDS = {"train": "train", "val": "validation", "dev": "validation", "test": "unseen"}
SUBSET_WORDS |= {"holdout": "unseen", "eval": "unseen", "fold": "other", "split": "other"}
SUBSET_WORD = re.compile(rf"({'|'.join(SUBSET_WORDS)})s?(?:ing|id|idation)?(?:set|data|images)?")

# Classes that are shown with their counts; of more than these, the smallest ones are.
CLASSES_SHOWN = 12


class ClassFolder(NamedTuple):
    """A folder of photos of one class; a class may have several."""

    path: Path
    class_name: str
    subset: str  # `train`, `validation` or `unseen`, where a folder above says so


def clean_name(name: str) -> str:
    """Return a class's name as a person sees it: accents composed, no blanks around it."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def fold_name(name: str) -> str:
    """Return what two names have in common that differ in no more than upper and lower case."""
    return unicodedata.normalize("NFC", clean_name(name).casefold())


def find_subset(name: str) -> str:
    """Return the subset that the name of a folder tells of; "" if it tells of none."""
    words = (word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name))
    matches = filter(None, map(SUBSET_WORD.fullmatch, words))
    return next((SUBSET_WORDS[match[1]] for match in matches), "")


def list_visible_folders(folder: Path) -> list[Path]:
    """Return the folders in a folder, but for those of other programs, and hidden ones without a
    photo.
    """

    def is_visible(path: Path) -> bool:
        if not path.is_dir() or path.name.lower() in COMPANION_FOLDERS:
            return False
        suffixes = (inner.suffix.lower() for inner in path.iterdir())
        return path.name[0] != "." or any(suffix in PHOTO_SUFFIXES for suffix in suffixes)

    with disk_errors():
        return sorted(filter(is_visible, folder.iterdir()))


def unwrap_folder(folder: Path) -> Path:
    """Return the folder in which the classes lie: archives wrap folders in others."""
    while len(inner := list_visible_folders(folder)) == 1 and list_visible_folders(inner[0]):
        folder = inner[0]
    return folder


def find_class_folders(folder: Path, subset: str = "") -> list[ClassFolder]:
    """Return the folders of the classes in `folder`. Where two or more of its sub-folders are
    called like subsets and hold folders, those are the classes.
    """
    folders = list_visible_folders(folder)
    told = [path for path in folders if find_subset(path.name)]
    inner = {path: find_class_folders(unwrap_folder(path), find_subset(path.name)) for path in told}
    classes = {found.class_name for path in told for found in inner[path]}
    classes -= {name for name in classes if find_subset(name)}
    if len(told) < 2 or not classes:
        return [ClassFolder(path, clean_name(path.name), subset) for path in folders]
    # Beside them may be others that hold the same classes.
    for path in folders:
        inner.setdefault(path, find_class_folders(unwrap_folder(path)))
    return [found for path in folders for found in inner[path] if found.class_name in classes]


def describe_layout(folders: list[ClassFolder]) -> list[str]:
    """Return a line each for what a person might see otherwise: subsets, and folders whose names
    look the same, which were merged; or sub-folders that may be the classes.
    """
    twins = Counter((found.class_name, found.path.parent) for found in folders)
    lines = [
        f"{count} folders whose names look the same are one class: {name}"
        for (name, _), count in twins.items()
        if count > 1
    ]
    if len(parents := {found.path.parent for found in folders}) > 1:
        names = ", ".join(sorted({parent.name for parent in parents}))
        lines.append(
            f"Subsets of one collection: {names}. They are merged and split anew, or kept as they "
            "are with --use-split."
        )
    inner = [{path.name for path in list_visible_folders(found.path)} for found in folders]
    shared = {name for name in set.intersection(*inner or [set()]) if not find_subset(name)}
    if len(shared) > 1:
        lines.append(
            f"All class folders hold the sub-folders {', '.join(sorted(shared)[:3])}. If those are "
            "the classes, bring them together, or give a list of photos and labels."
        )
    return lines


def describe_strays(folder: Path, listed: set[Path], ignored_names: tuple[str, ...]) -> list[str]:
    """Return what other files than those `listed` are below `folder`, a phrase for each kind."""
    strays = defaultdict(list)
    class_folders = {path.relative_to(folder).parts[0] for path in listed}
    for place, _, names in os.walk(folder):
        for path in {Path(place, name) for name in names} - listed:
            *above, name = path.relative_to(folder).parts
            companion = next((part for part in above if part.lower() in COMPANION_FOLDERS), "")
            if companion:
                strays["in folders of other programs"].append(companion)
            elif name.endswith(".icloud"):
                strays["not downloaded from iCloud yet"].append(name)
            elif name.lower() in ignored_names or name.startswith("._"):
                continue
            elif above and above[0] in class_folders:
                strays["hidden or in no class"].append(name)
            else:
                strays["beside the class folders"].append(f"{above[0]}/" if above else name)
    return [
        f"Left out: {count(len(names), 'file')} {kind} ({', '.join(sorted({*names})[:3])}"
        f"{', …' if len({*names}) > 3 else ''})"
        for kind, names in strays.items()
    ]


def find_name_problem(names: list[str]) -> str:
    """Return what is wrong with the names of classes, and what to do; "" if all is well."""
    twins = {}
    for name in names:
        if name != name.encode(errors="replace").decode():
            return f"the name of class folder {name!r} is not in UTF-8; rename it"
        if (twin := twins.setdefault(fold_name(name), name)) != name:
            return (
                f"classes {twin!r} and {name!r} differ in upper and lower case only; merge them, "
                "or rename one"
            )
    return ""


def describe_classes(class_names: list[str]) -> str:
    """Return one line that names the classes and their counts, given the class of each photo."""
    counts = sorted(Counter(class_names).items())
    line = f"{len(class_names):,} photos of {len(counts):,} classes"
    if len(counts) > CLASSES_SHOWN:
        counts = sorted(counts, key=lambda item: item[1])[:CLASSES_SHOWN]
        line += f"; the {CLASSES_SHOWN} smallest"
    return f"{line}: " + ", ".join(f"{name} ({number})" for name, number in counts)
