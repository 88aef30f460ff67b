"""Types of flags for argparse: each returns a value, or says what it must be."""

import argparse
import re
from collections.abc import Callable
from pathlib import Path


def output_folder(text: str) -> Path:
    """Argparse type for `--output-dir`: Keras would fill in what stands in braces."""
    if set("{}") & set(text):
        raise argparse.ArgumentTypeError(f"must not have braces in its path, not {text!r}")
    return Path(text)


def integer_from(lowest: int, highest: int | None = None) -> Callable[[str], int]:
    """Return an argparse type for whole numbers from `lowest` to `highest` (both included)."""
    bounds = f"at least {lowest}" if highest is None else f"from {lowest} to {highest}"

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = None
        if number is None or number < lowest or (highest is not None and number > highest):
            raise argparse.ArgumentTypeError(f"must be a whole number {bounds}, not {text!r}")
        return number

    return parse


def number_between(lowest: float, highest: float) -> Callable[[str], float]:
    """Return an argparse type for numbers above `lowest` and up to `highest`."""

    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = None
        if number is None or not lowest < number <= highest:
            raise argparse.ArgumentTypeError(
                f"must be a number above {lowest:g} and at most {highest:g}, not {text!r}"
            )
        return number

    return parse


def regular_expression(text: str) -> str:
    """Argparse type for `--group-by`."""
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression ({error})") from error
    return text


def folder_name_part(text: str) -> str:
    """Argparse type for `--name`: letters, digits, dots, dashes and underscores."""
    if not text or not all(character.isalnum() or character in "._-" for character in text):
        raise argparse.ArgumentTypeError(
            f"may have letters, digits, '.', '_' and '-' only, not {text!r}"
        )
    return text
