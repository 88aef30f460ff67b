"""Files that are written: tables that a spreadsheet may open, and folders."""

import csv

import pytest

from vision101.files import read_table, restore_cell, write_table

FORMULAS = ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "=HYPERLINK(1)", "-", "+49 daisy"]


@pytest.mark.parametrize("cell", FORMULAS)
def test_formulas_are_written_as_texts_and_read_back_as_they_were(cell, tmp_path):
    write_table(tmp_path / "table.csv", ("name", cell), [(cell, 1), (f"'{cell}", 2)])
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert all(written[0] not in "=+-@\t\r" for row in rows for written in row)
    assert rows[1][0] == f"'{cell}"
    assert read_table(tmp_path / "table.csv", (cell, "name")) == [("1", cell), ("2", f"'{cell}")]


@pytest.mark.parametrize("cell", [-1, -0.5, "-0.50", "+3", "1e-05", "'s-Hertogenbosch", "a=b", ""])
def test_numbers_and_harmless_texts_stay_as_they_are(cell, tmp_path):
    write_table(tmp_path / "table.csv", ("name",), [(cell, "last")])
    assert (tmp_path / "table.csv").read_text() == f"name\n{cell},last\n"
    assert restore_cell(str(cell)) == str(cell)
