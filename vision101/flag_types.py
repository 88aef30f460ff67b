"""Types of flags for argparse: each returns a value, or says what it must be."""

import contextlib
import re
from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path

# Networks of Keras Applications that `training.backbones` can build.
BACKBONES = ("ResNet50", "ResNet50V2", "MobileNet", "MobileNetV2", "EfficientNetV2B0")


def _checked(convert: Callable, is_valid: Callable[..., bool], words: str) -> Callable:
    """Return an argparse type for what can be converted and is valid then; `words` say so."""

    def parse(text: str):
        with contextlib.suppress(ValueError):
            if is_valid(value := convert(text)):
                return value
        raise ArgumentTypeError(f"must be {words}, not {text!r}")

    return parse


def integer_from(lowest: int, highest: int | None = None) -> Callable[[str], int]:
    """Return an argparse type for whole numbers from `lowest` to `highest` (both included)."""
    if highest is None:
        return _checked(int, lambda number: number >= lowest, f"a whole number from {lowest} on")
    bounds = f"a whole number from {lowest} to {highest}"
    return _checked(int, lambda number: lowest <= number <= highest, bounds)


share = _checked(float, lambda number: 0 < number <= 1, "a number above 0 and at most 1")

# Keras would fill in what stands in braces.
output_folder = _checked(
    Path, lambda path: not {*"{}"} & {*str(path)}, "a path without braces, { and }"
)

folder_name_part = _checked(
    str,
    lambda text: text and all(character.isalnum() or character in "._-" for character in text),
    "letters, digits, '.', '_' and '-' only",
)

backbone = _checked(
    str,
    lambda text: text in BACKBONES or (text.endswith(".keras") and Path(text).is_file()),
    f"one of {', '.join(BACKBONES)}, or a saved model, a file that ends in .keras",
)


def regular_expression(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ArgumentTypeError(f"{text!r} is no regular expression ({error})") from error
    return text
