"""What a person sees: text wrapped at words on a terminal, plain lines where nobody watches."""

import io
import sys

import pytest

from vision101.evaluation.verdict import tabulate_scores
from vision101.terminal import (
    EpochBar,
    ProgressBar,
    build_table,
    format_seconds,
    lay_out,
    say,
)

NAME = "climbing roses (David Austin) [red] :rose:"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def watch(monkeypatch):
    """Return a function that makes both streams a terminal of 80 columns, and returns it."""

    def watch() -> Terminal:  # in the test, since pytest has its own streams before
        stream = Terminal()
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", stream)
        return stream

    return watch


def test_paragraphs_are_wrapped_at_words_and_numbers_stay_with_their_unit(watch):
    terminal = watch()
    sentence = f"{NAME} and 3 other classes: 87 % of unseen photos right, uncertain by ± 17 points."
    for start in range(20):
        say("x" * start, sentence, sentence)
    lines = terminal.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert not any(line.endswith(("±", " 87")) or line.startswith("%") for line in lines)
    assert " ".join(lines).count(sentence) == 40


def test_tables_hold_long_names_on_a_terminal(watch):
    watch()
    rows = [[NAME * 3, "20", "70.0 % (48.3 - 86.4)"], ["日本語のクラス", "2,025", "100.0 %"]]
    lines = lay_out(build_table(["subset", "photos", "accuracy"], rows)).splitlines()
    assert max(map(len, lines)) <= 80
    assert sum("70.0 % (48.3 - 86.4)" in line for line in lines) == 1
    assert "[red] :rose:" in " ".join(lines)


def test_where_nobody_watches_a_bar_is_a_line_and_a_paragraph_too(capsys):
    for _ in ProgressBar(range(2000), "Reading photos", unit=" photos"):
        pass
    assert list(ProgressBar(iter("ab"), "Unpacking", unit=" files")) == ["a", "b"]
    assert list(ProgressBar((each for each in "ab"), "Sorting", unit=" files")) == ["a", "b"]
    with ProgressBar(total=3, desc="Epoch 1/2", leave=False) as steps:
        steps.update()
    say("word " * 50)
    shown = capsys.readouterr()
    assert shown.out == (
        f"Reading photos: 2,000 photos\nUnpacking: 2 files\nSorting\n{'word ' * 50}\n"
    )
    assert shown.err == ""


def test_on_a_terminal_a_bar_stays_and_that_of_an_epoch_goes(watch):
    terminal = watch()
    for _ in ProgressBar(range(2), "Reading photos", unit=" photos"):
        pass
    assert "2/2" in terminal.getvalue().splitlines()[-1]
    ProgressBar(total=3, desc="Epoch 1/2", leave=False).close()
    assert terminal.getvalue().endswith("\r")


def test_an_epoch_leaves_a_line_that_fits_a_terminal(watch):
    terminal = watch()
    bar = EpochBar(160, 160, steps=2)
    bar.start -= 12.2
    bar.update(2)
    logs = {"accuracy": 0.4118, "val_accuracy": 0.875, "loss": 1.3, "val_loss": 0.75}
    bar.finish(logs, best=True)
    line = "Epoch 160/160: accuracy 41.2 %, validation 87.5 % (loss 1.30, 0.75), 12 s, best"
    assert terminal.getvalue().endswith(f"\r{line}\n")
    assert len(line) <= 80


def test_balanced_accuracy_is_shown_only_where_it_is_another_number():
    same = {"accuracy": 0.7, "accuracy_interval": [0.5, 0.8], "count": 20}
    same |= {"balanced_accuracy": 0.7, "balanced_accuracy_interval": [0.5, 0.8]}
    headings, rows = tabulate_scores({"unseen": same, "surplus": {"count": 0}})
    assert headings == ["subset", "photos", "accuracy"]
    assert rows == [["unseen", "20", "70.0 % (50.0 – 80.0)"]]
    other = same | {"balanced_accuracy": 0.6}
    headings, rows = tabulate_scores({"unseen": same, "surplus": other})
    assert headings[-1] == "balanced accuracy"
    assert [row[-1] for row in rows] == ["", "60.0 % (50.0 – 80.0)"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0996, "100 ms"), (0.00094, "0.94 ms"), (0.5, "500 ms"), (99, "99 s"), (4000, "67 min")],
)
def test_durations_are_in_the_unit_that_a_person_would_use(seconds, text):
    assert format_seconds(seconds) == text
