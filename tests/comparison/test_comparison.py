"""Runs side by side: grouped fairly, tested rightly, and shown so that a person can read it."""

import csv
import json
import statistics
import sys

import numpy as np
import pytest
from PIL import Image

import compare
from vision101.cli import run_script as run_main
from vision101.comparison.significance import (
    compare_pairs,
    group_by_recipe,
    group_by_split,
    holm_correction,
    load_runs,
)
from vision101.errors import UserError
from vision101.evaluation.scores import EVALUATED_SUBSETS, score_predictions
from vision101.runs import PREDICTION_COLUMNS

CLASS_NAMES = ["daisy", "roses"]

# Photos of each class in each part.
COUNT = 20


def make_run(outputs, folder_name, title, wrong=(), seed=0, sets=2, **settings):
    """Write the folder of a finished run that is wrong about the unseen photos at `wrong`.

    `sets` stands for the photos, of which each seed makes another split.
    """
    folder = outputs / folder_name
    folder.mkdir(parents=True)
    rows, results = [], {}
    for part in EVALUATED_SUBSETS:
        labels = np.repeat(np.eye(2), COUNT, axis=0)
        answers = labels.copy()
        answers[list(wrong)] = 1 - answers[list(wrong)]
        results[part] = score_predictions(labels, answers, CLASS_NAMES)
        for position, (label, answer) in enumerate(zip(labels, answers, strict=True)):
            class_name = CLASS_NAMES[label.argmax()]
            # Two of the photos have the same content.
            content = f"{part} {max(position, 1)} {sets}"
            path = f"{class_name}/{part}-{position}.jpg"
            predicted = CLASS_NAMES[answer.argmax()]
            rows.append((path, content, part, class_name, predicted, 1.0, "yes", *answer))
    results |= {"title": title, "painted": False, "parameters": 1234567, "best_epoch": 2}
    results["seconds"] = {"photos": 1000.0, "features": 50.0, "training": 70.0, "evaluation": 5.0}
    results["seconds_per_photo"] = 0.0123
    results["confidence"] = {
        "calibration_error": 0.031,
        "answered": 0.82,
        "answered_accuracy": 0.953 if title != "never sure" else None,
    }
    write_csv(folder / "predictions.csv", (*PREDICTION_COLUMNS, *CLASS_NAMES), rows)
    write_csv(folder / "split.csv", ("path", "sha256", "part", "label"), [r[:4] for r in rows])
    config = {"kind": "cnn", "recipe": title, "seed": seed, "name": None, **settings}
    config |= {"photos": "/photos/flowers", "split_hash": f"{seed}{sets}" * 32}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "results.json").write_text(json.dumps(results))
    return folder


def write_csv(path, header, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def unwrap(text):
    return " ".join(text.split())


@pytest.fixture
def run_compare(monkeypatch, capsys):
    """Return a function that runs compare.py here, and gives what it printed."""

    def run(*arguments) -> str:
        monkeypatch.setattr(sys, "argv", ["compare.py", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "100")
        compare.main()
        return capsys.readouterr().out

    return run


def test_picture_page_and_table_are_written(run_compare, tmp_path):
    make_run(tmp_path, "a", "tuned CNN", wrong=[3])
    make_run(tmp_path, "b", "base CNN", wrong=range(9))
    shown = run_compare("--output-dir", tmp_path)
    (folder,) = tmp_path.glob("*-compare")
    assert {path.name for path in folder.iterdir()} == {"comparison.png", "report.html", "table.md"}
    assert str(folder) in shown.splitlines()[-1]
    assert "tuned CNN is right where base CNN is wrong on 8 photos" in shown


def test_table_shows_scores_cost_and_what_is_not_known(run_compare, tmp_path):
    make_run(tmp_path, "new", "tuned CNN", wrong=[3, 4, 25])
    make_run(tmp_path, "old", "never sure", wrong=range(20))
    shown = run_compare("--markdown", "--output-dir", tmp_path)
    rows = [row.strip("| ").split(" | ") for row in shown.splitlines() if row.startswith("| ")]
    # The best first. Training is the sum of its stages; photos and evaluation are none of it.
    assert rows[2][0] == "tuned CNN"
    assert rows[2][1].startswith("92.5 % (")
    assert rows[3][0] == "never sure"
    assert rows[3][1].startswith("50.0 % (")
    assert rows[-2] == ["tuned CNN", "3.1 %", "82.0 %", "95.3 %", "1,234,567", "2 min", "12 ms"]
    assert rows[-1] == ["never sure", "3.1 %", "82.0 %", "-", "1,234,567", "2 min", "12 ms"]


def test_markdown_is_only_tables_and_writes_nothing(run_compare, tmp_path):
    make_run(tmp_path, "a", "a|b")
    make_run(tmp_path, "b", "other")
    shown = run_compare("--markdown", "--output-dir", tmp_path)
    assert "right where" not in shown
    assert "| a\\|b |" in shown
    tables = [line.replace("\\|", "") for line in shown.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables} == {4, 8}
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


def test_different_splits_are_never_in_one_table(tmp_path):
    make_run(tmp_path, "a", "base CNN", seed=10)
    make_run(tmp_path, "b", "base CNN", seed=2)
    make_run(tmp_path, "c", "tuned CNN", seed=2)
    make_run(tmp_path, "d", "tuned CNN", seed=2, sets=3)
    splits = group_by_split(load_runs([], tmp_path))
    assert [sorted(run.folder.name for run in split.runs) for split in splits] == [
        ["b", "c"],
        ["d"],
        ["a"],
    ]
    assert splits[0].heading == "Split 22222222, seed 2: flowers"
    assert [len(pairs) for pairs in compare_pairs(splits)] == [1, 0, 0]


def test_pairs_are_tested_on_the_same_photos(tmp_path):
    """The worked example: right alone on 9 and on 1, which chance makes in 22 of 1024 cases."""
    make_run(tmp_path, "a", "better", wrong=[30, 39, 38])
    other = make_run(tmp_path, "b", "worse", wrong=[0, 1, 2, 3, 4, 5, 6, 7, 25, 38, 39])
    # As from a machine where the photos have other names, and come in another order.
    with (other / "predictions.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    rows = [[f"elsewhere/{row[0]}", *row[1:]] for row in reversed(rows)]
    write_csv(other / "predictions.csv", header, rows)
    ((pair,),) = compare_pairs(group_by_split(load_runs([], tmp_path)))
    assert pair[:6] == ("better", "worse", 28, 9, 1, 2)
    assert pair.p_value == pytest.approx(22 / 1024)


def test_runs_that_agree_everywhere_do_not_differ(run_compare, tmp_path):
    make_run(tmp_path, "a", "one", wrong=[5])
    make_run(tmp_path, "b", "other", wrong=[5])
    ((pair,),) = compare_pairs(group_by_split(load_runs([], tmp_path)))
    assert pair.p_value == 1
    assert "right on the same photos" in run_compare("--output-dir", tmp_path)


def test_correction_for_many_pairs():
    # Holm's own procedure: the smallest times 3, the next times 2, none below an earlier one.
    assert holm_correction([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm_correction([0.6, 0.5]) == [1, 1]
    assert holm_correction([]) == []


def test_verdict_counts_the_pairs_of_all_splits(run_compare, tmp_path):
    """The difference of the worked example is more than chance alone, but not as one of three."""
    for seed in range(3):
        make_run(tmp_path, f"a{seed}", "better", wrong=[30], seed=seed)
        make_run(tmp_path, f"b{seed}", "worse", wrong=range(9), seed=seed)
    alone = unwrap(run_compare("--output-dir", tmp_path, tmp_path / "a0", tmp_path / "b0"))
    assert "one pair compared" in alone
    assert "more than chance (p = 0.021)" in alone
    together = unwrap(run_compare("--output-dir", tmp_path))
    assert "all 3 pairs compared" in together
    assert together.count("may be chance (p = 0.064)") == 3


def test_seeds_of_a_recipe_are_one_row(run_compare, tmp_path):
    for seed, wrong in ((0, 4), (1, 8), (2, 6)):
        make_run(tmp_path, f"a{seed}", "base CNN", range(wrong), seed, image_size=128)
    make_run(tmp_path, "again", "base CNN", range(6), 0, image_size=128, name="again")
    for seed, wrong in ((1, 2), (2, 4), (3, 0)):
        make_run(tmp_path, f"b{seed}", "base CNN", range(wrong), seed, image_size=64)
    make_run(tmp_path, "other-photos", "base CNN", [], 4, sets=3, image_size=128)
    (recipes,) = group_by_recipe(load_runs([], tmp_path)).values()
    small, large = recipes
    assert small.title == "base CNN, image size 64"
    assert large.title == "base CNN, image size 128"
    # Two runs of seed 0 count once.
    assert large.scores == pytest.approx({0: (36 + 34) / 80, 1: 32 / 40, 2: 34 / 40})
    shown = run_compare("--markdown", "--output-dir", tmp_path)
    spread = statistics.stdev([87.5, 80, 85])
    assert f"| base CNN, image size 128 | 84.2 ± {spread:.1f} | 87.5 | 80.0 | 85.0 | - |" in shown
    # The difference is taken on the seeds that both have.
    assert (
        f"| base CNN, image size 64 minus base CNN, image size 128 | +10.0 ± {50**0.5:.1f} "
        "| - | +15.0 | +5.0 | - |"
    ) in shown


def test_recipes_do_not_compare_over_different_splits(run_compare, tmp_path):
    """Other counts per class make other splits of the same photos and seeds."""
    for seed in (0, 1):
        make_run(tmp_path, f"a{seed}", "base CNN", range(4), seed)
        make_run(tmp_path, f"b{seed}", "tuned CNN", range(2), seed, per_class=100)
    found = group_by_recipe(load_runs([], tmp_path))
    assert [recipe.title for recipes in found.values() for recipe in recipes] == [
        "base CNN",
        "tuned CNN",
    ]
    assert "flowers, 100 of each class to train and validate on" in found
    assert "minus" not in run_compare("--markdown", "--output-dir", tmp_path)


def test_what_is_answered_compares_for_one_target_only(run_compare, tmp_path):
    make_run(tmp_path, "a", "base CNN", range(4), target_accuracy=0.95)
    make_run(tmp_path, "b", "tuned CNN", range(2), target_accuracy=0.95)
    assert "--target-accuracy differs" not in unwrap(run_compare("--output-dir", tmp_path))
    make_run(tmp_path, "c", "tuned CNN", range(2), target_accuracy=0.99)
    shown = unwrap(run_compare("--output-dir", tmp_path))
    assert "--target-accuracy differs" in shown
    assert "tuned CNN, target accuracy 0.99: 99.0 %;" in shown


def test_added_photos_belong_to_the_recipe_and_not_to_the_photos(tmp_path):
    for seed in (0, 1):
        make_run(tmp_path, f"a{seed}", "base CNN", range(4), seed)
        folder = make_run(tmp_path, f"b{seed}", "base CNN", range(2), seed, add=f"list-{seed}.csv")
        with (folder / "split.csv").open("a", encoding="utf-8") as file:
            file.write(f"/elsewhere/new.jpg,added {seed},train,roses\n")
    (recipes,) = group_by_recipe(load_runs([], tmp_path)).values()
    titles = [recipe.title for recipe in recipes]
    assert titles == ["base CNN, add reviewed photos", "base CNN"]


def test_runs_of_one_title_are_told_apart(tmp_path):
    make_run(tmp_path, "a", "base CNN", epochs=15)
    make_run(tmp_path, "b", "base CNN", epochs=30, name="longer")
    make_run(tmp_path, "c", "base CNN", epochs=15)
    (split,) = group_by_split(load_runs([], tmp_path))
    assert {run.title for run in split.runs} == {
        "base CNN, epochs 15 (a)",
        "base CNN, epochs 30, name longer",
        "base CNN, epochs 15 (c)",
    }


def test_only_complete_runs_are_compared(run_compare, capsys, tmp_path):
    make_run(tmp_path, "a", "base CNN")
    make_run(tmp_path, "unfinished", "unfinished CNN")
    (tmp_path / "unfinished" / "results.json").unlink()
    make_run(tmp_path, "damaged", "damaged CNN")
    (tmp_path / "damaged" / "results.json").write_text('{"title": "damaged CNN"}')
    run_compare("--output-dir", tmp_path)
    # What an earlier comparison left is no run.
    run_compare("--output-dir", tmp_path)
    assert len(list(tmp_path.glob("*-compare*"))) == 2
    assert [run.title for run in load_runs([], tmp_path)] == ["base CNN"]
    assert capsys.readouterr().err.startswith(f"Left out: {tmp_path / 'damaged'}: cannot be read")
    for name, problem in (
        ("unfinished", "did not finish"),
        ("damaged", "cannot be read"),
        ("nothing", "not the folder of a run"),
        (next(tmp_path.glob("*-compare")).name, "not the folder of a run"),
    ):
        with pytest.raises(UserError, match=problem):
            load_runs([tmp_path / name], tmp_path)


def test_runs_with_damaged_predictions_keep_no_others_from_being_compared(
    monkeypatch, capsys, tmp_path
):
    for name in ("a", "b", "c", "d", "e"):
        make_run(tmp_path, name, f"CNN {name}")
    path = tmp_path / "b" / "predictions.csv"
    path.write_text(path.read_text()[:20])
    path = tmp_path / "e" / "predictions.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:50]))
    path = tmp_path / "d" / "predictions.csv"
    path.write_text(path.read_text().replace("unseen 5 ", "unseen 55 "))
    monkeypatch.setattr(sys, "argv", ["compare.py", "--output-dir", str(tmp_path)])
    compare.main()
    shown, complaints = map(unwrap, capsys.readouterr())
    assert "predictions.csv lacks columns" in complaints
    assert "predictions.csv lacks photos" in complaints
    assert "CNN b" not in shown
    assert "CNN e" not in shown
    assert "2 pairs could not be tested: their predictions.csv are not about" in shown
    assert "CNN a and CNN c are right on the same photos" in shown


def test_nothing_to_compare_is_one_line(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["compare.py", "--output-dir", str(tmp_path)])
    with pytest.raises(SystemExit) as caught:
        run_main(compare.main)
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("compare.py: no complete run")


def test_thirty_runs_can_be_read(run_compare, tmp_path, check_page):
    for number in range(30):
        wrong = np.random.default_rng(number).choice(40, number // 2, replace=False)
        title = f"network_{number}_with_a_name_that_no_phone_can_show_in_one_line <b>"
        make_run(tmp_path, f"run-{number}", title, wrong, number % 2)
    shown = run_compare("--output-dir", tmp_path)
    # All but the last line, which is the path of a folder.
    assert max(map(len, shown.splitlines()[:-1])) <= 100
    assert "... and 90 more pairs, see report.html." in shown
    (folder,) = tmp_path.glob("*-compare")
    # Labels of rows are 11 points, at 150 dots an inch: 23 dots.
    assert Image.open(folder / "comparison.png").height > 30 * 2 * 23
    text = check_page(folder / "report.html")
    assert "network_29_with_a_name_that_no_phone_can_show_in_one_line <b>" in text
    assert "The other pairs (90)" in text
