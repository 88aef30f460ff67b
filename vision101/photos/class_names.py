"""The names of classes: which are one to a person, and how they are shown before training."""

import unicodedata
from collections import Counter

# Classes that are shown with their counts; of more than these, the smallest ones are.
CLASSES_SHOWN = 12


def clean_name(name: str) -> str:
    """Return a class's name as a person sees it: accents composed, no blanks around it."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def fold_name(name: str) -> str:
    """Return what two names have in common that differ in no more than upper and lower case."""
    return unicodedata.normalize("NFC", clean_name(name).casefold())


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
    line = f"{len(class_names)} photos of {len(counts)} classes"
    if len(counts) > CLASSES_SHOWN:
        counts = sorted(counts, key=lambda item: item[1])[:CLASSES_SHOWN]
        line += f"; the {CLASSES_SHOWN} smallest"
    return f"{line}: " + ", ".join(f"{name} ({count})" for name, count in counts)
