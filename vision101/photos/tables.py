"""Reads lists of photos in CSV files, as spreadsheets, other tools and people write them."""

import codecs
import contextlib
import csv
import io
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from vision101.errors import UserError
from vision101.files import restore_cell

# What we call a column, and what others call it, in small letters; ours comes first.
HEADINGS = {
    "path": ("path", "filename", "file", "file_name", "filepath", "image", "image_path", "id"),
    "label": ("label", "class", "class_name", "category", "target"),
    "sha256": ("sha256",),
    "group": ("group",),
    "subset": ("subset", "split", "part"),
}
DELIMITERS = ",;\t|"
NO_DELIMITER = "\x1f"  # in a list of one column, commas belong to the names

# Where a list is not in UTF-8, or was read by a spreadsheet as if it were not, one of these gives
# names that exist: those of Windows in Europe and Asia, and that of older Macs.
ENCODINGS = ("utf-8", "cp1251", "cp1250", "cp1253", "cp1254", "cp932", "gbk", "big5", "cp949")
ENCODINGS += ("mac_roman",)
# cp1252, with a character for each byte, so that nothing is lost.
UNDEFINED = (0x81, 0x8D, 0x8F, 0x90, 0x9D)
CP1252 = {n: bytes([n]).decode("cp1252") for n in range(0x80, 0xA0) if n not in UNDEFINED}
LATIN_1 = {ord(character): number for number, character in CP1252.items()}


def read_list(
    path: Path, flag: str, needed: tuple[str, ...]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number and cells of each line that is not blank, by our names of the columns; those
    that the list lacks are "". Without a heading, the columns are a path and a label.

    Raises:
        UserError: It cannot be read, or has none of the `needed` columns.
    """
    try:
        text = _decode(path.read_bytes())
    except OSError as error:
        raise UserError(f"{flag} {path}: cannot be read ({error.strerror})") from error
    told = re.match(r'"?sep=(.)"?[\r\n]+', text)  # which Excel writes and heeds
    text = text[told.end() :] if told else text
    first_line = re.split(r"[\r\n]", text, maxsplit=1)[0]
    # That by which the heading has most of our columns, and then most columns.
    delimiters = told[1] if told else DELIMITERS + NO_DELIMITER
    parsed = {mark: next(csv.reader([first_line], delimiter=mark)) or [""] for mark in delimiters}
    columns = {mark: _find_columns(cells) for mark, cells in parsed.items()}
    delimiter = max(delimiters, key=lambda mark: (len(columns[mark]), len(parsed[mark])))
    found = columns[delimiter]
    if len(parsed[delimiter]) == 1:
        delimiter = NO_DELIMITER
    headless = not found and Path(parsed[delimiter][0]).suffix
    if headless:
        found = {"path": 0, "label": 1} if "label" in needed else {"path": 0}
    if not {*needed} & {*found}:
        names = " or ".join(needed)
        raise UserError(f"{flag} {path}: has no column {names}; name it in the first line")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for cells in rows if headless else itertools.islice(rows, 1, None):
            row = {
                name: restore_cell(cells[found[name]]).strip()
                if found.get(name, len(cells)) < len(cells)
                else ""
                for name in HEADINGS
            }
            if any(row.values()):
                yield rows.line_num + bool(told), row
    except csv.Error as error:
        raise UserError(f"{flag} {path}: damaged CSV file ({error})") from error


def list_spellings(text: str) -> Iterator[str]:
    """Yield a cell as it was read, and then in each encoding that it may have been in."""
    yield text
    with contextlib.suppress(UnicodeError):
        content = text.translate(LATIN_1).encode("latin-1")
        for encoding in ENCODINGS if not text.isascii() else ():
            with contextlib.suppress(UnicodeError):
                yield content.decode(encoding)


def _find_columns(cells: list[str]) -> dict[str, int]:
    """Return the position of each of our columns in a heading."""
    cells = [cell.strip().lower() for cell in cells]
    found = {name: [n for n in names if n in cells] for name, names in HEADINGS.items()}
    return {name: cells.index(names[0]) for name, names in found.items() if names}


def _decode(content: bytes) -> str:
    for mark, encoding in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if content.startswith(mark):
            return content.decode(encoding, errors="replace").lstrip("\ufeff")
    while content.startswith(codecs.BOM_UTF8):
        content = content.removeprefix(codecs.BOM_UTF8)
    # Line by line: one name in another encoding must not spoil the others.
    text = "".join(map(_decode_line, content.splitlines(keepends=True)))
    return text.replace("\0", "")  # no name has it; UTF-16 without a mark does


def _decode_line(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1").translate(CP1252)
