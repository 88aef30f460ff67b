"""Runs side by side: grouped fairly, tested rightly, and shown so that a person can read it."""

import csv
import html
import json
import random
import re
import statistics
import subprocess
import sys

import pytest
from PIL import Image

import compare
from vision101.cli import run_script as run_main
from vision101.comparison.grouping import group_by_recipe, group_by_split
from vision101.comparison.reading import load_runs
from vision101.comparison.report import shorten_titles
from vision101.comparison.significance import compare_pairs, holm_correction
from vision101.errors import UserError
from vision101.runs import PREDICTION_COLUMNS

COUNT = 40  # photos in each subset: 20 daisies, then 20 roses

# What compare.py must do without: each would cost a second or more.
HEAVY_PACKAGES = {"tensorflow", "keras", "sklearn", "pandas", "scipy.stats"}


def make_run(outputs, folder_name, title, wrong=(), seed=0, sets=2, seconds=None, **settings):
    """Write the folder of a finished run that is wrong about the unseen photos at `wrong`.

    `sets` stands for the photos, of which each seed makes another split.
    """
    folder = outputs / folder_name
    folder.mkdir(parents=True)
    rows = []
    for subset in ("validation", "unseen"):
        for position in range(COUNT):
            label, other = ("daisy", "roses") if position < COUNT / 2 else ("roses", "daisy")
            predicted = other if position in wrong else label
            path = f"{label}/{subset}-{position}.jpg"
            content = f"{subset} {max(position, 1)} {sets}"  # two photos have the same content
            rows.append((path, content, subset, label, predicted, 1.0, "yes", 0.0, 1.0))
    write_csv(folder / "predictions.csv", (*PREDICTION_COLUMNS, "daisy", "roses"), rows)
    write_csv(folder / "split.csv", ("path", "sha256", "part", "label"), [r[:4] for r in rows])
    score = 1 - len(wrong) / COUNT
    scores = {"balanced_accuracy": score, "balanced_accuracy_interval": [score / 2, 1.0]}
    scores |= {"accuracy": score, "accuracy_interval": [score / 2, 1.0]}
    results = {
        "title": title,
        "seconds": seconds or {"photos": 1000.0, "training": 70.0, "evaluation": 5.0},
        "validation": {"count": COUNT, **scores},
        "unseen": {"count": COUNT, **scores},
        "surplus": {"count": 0},
        "confidence": {
            "threshold": 0.9,
            "expected_calibration_error": 0.031,
            "coverage": 0.82,
            "accepted_accuracy": 0.953 if title != "never sure" else None,
        },
        "parameters": 1234567,
        "seconds_per_photo": 0.0123,
    }
    config = {"kind": "cnn", "recipe": title, "seed": seed, "target_accuracy": 0.95}
    config |= {"name": None, "add": None, "per_class": None, "head_dropout": 0.4}
    config |= {"class_names": ["daisy", "roses"], "image_size": 128, "photos": "/photos/flowers"}
    config |= {"painted": False, "split_hash": f"{seed % 10}{sets}" * 32}
    (folder / "config.json").write_text(json.dumps(config | settings))
    (folder / "results.json").write_text(json.dumps(results))
    return folder


def write_csv(path, header, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def read_runs(outputs):
    return load_runs([], outputs)[0]


def find_titles(outputs):
    """Return the titles of all runs below a folder that are on one split."""
    (runs,) = group_by_split(read_runs(outputs)).values()
    return {run.title for run in runs}


def read_page(outputs):
    """Return the words of the newest comparison's page."""
    page = max(outputs.glob("*-compare*/report.html"), key=lambda path: path.stat().st_mtime_ns)
    text = html.unescape(re.sub("<[^>]*>", " ", page.read_text(encoding="utf-8")))
    return " ".join(text.split())


@pytest.fixture
def run_compare(monkeypatch, capsys):
    """Return a function that runs compare.py here, and gives what it printed and complained of."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["compare.py", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "80")
        compare.main()
        return capsys.readouterr()

    return run


def test_picture_page_and_table_are_written(run_compare, tmp_path):
    make_run(tmp_path, "a", "tuned CNN", wrong=[3])
    make_run(tmp_path, "b", "base CNN", wrong=range(9))
    shown, complaints = run_compare("--output-dir", tmp_path)
    (folder,) = tmp_path.glob("*-compare")
    files = {path.name for path in folder.iterdir() if path.is_file()}
    assert files == {"comparison.png", "report.html", "table.md"}
    open_page, predict = shown.splitlines()[-2:]
    assert str(folder / "report.html") in open_page
    # With the best one.
    assert predict.endswith(f"python predict.py --run {tmp_path / 'a'} photo.jpg")
    assert shown.startswith("flowers, seed 0: tuned CNN is best, with 98 % balanced accuracy")
    assert "better than base CNN (78 %) by more than chance." in " ".join(shown.split())
    assert "To see whether a lead" not in shown
    assert "tuned CNN is right where base CNN is wrong on 8 photos" in read_page(tmp_path)
    assert complaints == ""


def test_tables_show_scores_cost_and_what_is_not_known(run_compare, tmp_path):
    make_run(tmp_path, "new", "tuned CNN", wrong=[3, 4, 25])
    make_run(tmp_path, "old", "never sure", wrong=range(20))
    shown, _ = run_compare("--markdown", "--output-dir", tmp_path)
    rows = [row.strip("| ").split(" | ") for row in shown.splitlines() if row.startswith("| ")]
    assert rows[2] == ["tuned CNN", "92.5 % (46.2 – 100.0)", "92.5 %", "3.1 %", "82.0 %", "95.3 %"]
    assert rows[3] == ["never sure", "50.0 % (25.0 – 100.0)", "50.0 %", "3.1 %", "82.0 %", "–"]
    assert rows[-2] == ["tuned CNN", "1,234,567", "–", "70 s", "12 ms"]


def test_features_are_not_added_to_training(run_compare, tmp_path):
    """One run computed them, and the other found them: what they share is the training."""
    stages = {"photos": 9.0, "training": 8.0, "fine-tuning": 20.0}
    for seed, features in ((0, 117.0), (1, 5.0)):
        seconds = {"features": features, **stages}
        make_run(tmp_path, f"run-{seed}", "transfer", range(4), seed, seconds=seconds)
    shown, _ = run_compare("--markdown", "--output-dir", tmp_path)
    assert "| transfer | 1,234,567 | 2 min | 28 s | 12 ms |" in shown
    assert "| transfer | 1,234,567 | 5 s | 28 s | 12 ms |" in shown
    assert "| transfer | 90.0 ± 0.0 | 90.0 | 90.0 | 28 s |" in shown


def test_markdown_is_only_tables_and_writes_nothing(run_compare, tmp_path):
    make_run(tmp_path, "a", "a|b")
    make_run(tmp_path, "b", "other")
    shown, _ = run_compare("--markdown", "--output-dir", tmp_path)
    assert "right where" not in shown
    assert "| a\\|b |" in shown
    tables = [line.replace("\\|", "") for line in shown.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables} == {7, 6}
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


def test_different_splits_are_never_in_one_table(tmp_path):
    make_run(tmp_path, "a", "base CNN", seed=10)
    make_run(tmp_path, "b", "base CNN", seed=2)
    make_run(tmp_path, "c", "tuned CNN", seed=2)
    make_run(tmp_path, "d", "tuned CNN", seed=2, sets=3)
    splits = group_by_split(read_runs(tmp_path))
    # First what compares, and then by seed.
    folders = [sorted(run.folder.name for run in runs) for runs in splits.values()]
    assert folders == [["b", "c"], ["d"], ["a"]]
    assert list(splits)[1:] == ["flowers, seed 2, split 23232323", "flowers, seed 10"]
    assert sorted(map(len, compare_pairs(splits))) == [0, 0, 1]


def test_pairs_are_tested_on_the_same_photos(tmp_path):
    """The worked example: right alone on 9 and on 1, which chance makes in 22 of 1024 cases."""
    make_run(tmp_path, "a", "better", wrong=[30, 39, 38])
    other = make_run(tmp_path, "b", "worse", wrong=[0, 1, 2, 3, 4, 5, 6, 7, 25, 38, 39])
    # As from a machine where the photos have other names, and come in another order.
    with (other / "predictions.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    rows = [[f"elsewhere/{row[0]}", *row[1:]] for row in reversed(rows)]
    write_csv(other / "predictions.csv", header, rows)
    ((pair,),) = compare_pairs(group_by_split(read_runs(tmp_path)))
    assert pair[:6] == ("better", "worse", 28, 9, 1, 2)
    assert pair.p_value == pytest.approx(22 / 1024)


@pytest.mark.parametrize("wrong", [[5], [25, 30]])
def test_what_is_as_likely_as_anything_has_a_p_value_of_one(tmp_path, wrong):
    make_run(tmp_path, "a", "one", wrong=[5])
    make_run(tmp_path, "b", "other", wrong=wrong)
    ((pair,),) = compare_pairs(group_by_split(read_runs(tmp_path)))
    assert pair.p_value == pytest.approx(1)


def test_correction_for_many_pairs():
    # Holm's own procedure: the smallest times 3, the next times 2, none below an earlier one.
    assert holm_correction([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm_correction([0.6, 0.5]) == [1, 1]
    assert holm_correction([]) == []


def test_one_seed_does_not_say_that_a_recipe_is_better(run_compare, tmp_path):
    make_run(tmp_path, "a0", "better", wrong=[30], seed=0)
    for seed in range(2):
        make_run(tmp_path, f"b{seed}", "worse", wrong=range(12), seed=seed)
    shown = " ".join(run_compare("--output-dir", tmp_path).out.split())
    assert "better is best, with 98 % balanced accuracy" in shown
    assert "by more than chance. Weakest class of better: roses, 19 of 20 right." in shown
    assert "better and worse have 1 seed in common; a second would show whether" in shown
    assert "To see whether a lead holds, train the best two" in shown
    # What says least comes last, and in few words.
    assert shown.index("is best") < shown.index("flowers, seed 1: only worse, 70 %")


def test_verdict_counts_the_pairs_of_all_splits(run_compare, tmp_path):
    """The difference of the worked example is more than chance alone, but not as one of three."""
    for seed in range(3):
        make_run(tmp_path, f"a{seed}", "better", wrong=[30], seed=seed)
        make_run(tmp_path, f"b{seed}", "worse", wrong=range(9), seed=seed)
    run_compare("--output-dir", tmp_path, tmp_path / "a0", tmp_path / "b0")
    alone = read_page(tmp_path)
    assert "one pair compared" in alone
    assert "more than chance (p = 0.021)" in alone
    shown = run_compare("--output-dir", tmp_path).out
    # What the terminal has no room for stands on the page.
    assert "No clear winner: better has" in shown
    # Several seeds say more than one, so their verdict is the first.
    assert " ".join(shown.split()).startswith(
        "flowers, recipes over seeds: better has the best mean, 97.5 ± 0.0 % balanced accuracy "
        "over 3 seeds; ahead of worse (77.5 ± 0.0 %) on 3 of 3 shared seeds, which may be "
        "chance. Weakest class of better: roses, 57 of 60 right."
    )
    together = read_page(tmp_path)
    assert together.count("1 of the 3 pairs on all splits compared here") == 3
    assert together.count("may be chance (p = 0.064)") == 3


def test_seeds_of_a_recipe_are_one_row(run_compare, tmp_path):
    for seed, wrong in ((0, 4), (1, 8), (2, 6)):
        make_run(tmp_path, f"a{seed}", "base CNN", range(wrong), seed, image_size=128)
    make_run(tmp_path, "again", "base CNN", range(6), 0, image_size=128, name="again")
    for seed, wrong in ((1, 2), (2, 4), (3, 0)):
        make_run(tmp_path, f"b{seed}", "base CNN", range(wrong), seed, image_size=64)
    make_run(tmp_path, "other-photos", "base CNN", [], 4, sets=3, image_size=128)
    ((small, large),) = group_by_recipe(read_runs(tmp_path)).values()
    assert small.title == "base CNN, image size 64"
    assert large.title == "base CNN, image size 128"
    # Two runs of seed 0 count once.
    assert large.scores == pytest.approx({0: (36 + 34) / 80, 1: 32 / 40, 2: 34 / 40})
    shown, _ = run_compare("--markdown", "--output-dir", tmp_path)
    spread = statistics.stdev([87.5, 80, 85])
    assert f"| base CNN, image size 128 | 84.2 ± {spread:.1f} | 87.5 | 80.0 | 85.0 | – |" in shown
    # The difference is taken on the seeds that both have.
    assert (
        f"| base CNN, image size 64 minus base CNN, image size 128 | +10.0 ± {50**0.5:.1f} "
        "| – | +15.0 | +5.0 | – |"
    ) in shown


def test_recipes_do_not_compare_over_different_splits(run_compare, tmp_path):
    """Other counts per class make other splits of the same photos and seeds."""
    for seed in (0, 1):
        make_run(tmp_path, f"a{seed}", "base CNN", range(4), seed)
        make_run(tmp_path, f"b{seed}", "tuned CNN", range(2), seed, per_class=100)
    found = group_by_recipe(read_runs(tmp_path))
    assert [group.title for groups in found.values() for group in groups] == [
        "base CNN",
        "tuned CNN",
    ]
    assert "flowers, 100 of each class to train and validate on" in found
    assert "minus" not in run_compare("--markdown", "--output-dir", tmp_path).out


def test_runs_of_an_edited_script_are_another_recipe(tmp_path):
    jitter = {"hue_factor": 0.03, "saturation_factor": [0.35, 0.65]}
    for seed in (0, 1):
        make_run(tmp_path, f"a{seed}", "base CNN", range(4), seed, colour_jitter=jitter)
        edited = {"head_dropout": 0.5, "colour_jitter": jitter | {"hue_factor": 0.1}}
        make_run(tmp_path, f"b{seed}", "base CNN", range(2), seed, **edited)
    (groups,) = group_by_recipe(read_runs(tmp_path)).values()
    assert [group.title for group in groups] == [
        "base CNN, colour jitter hue factor 0.1, head dropout 0.5",
        "base CNN, colour jitter hue factor 0.03, head dropout 0.4",
    ]
    assert [list(group.scores) for group in groups] == [[0, 1], [0, 1]]


def test_runs_of_an_earlier_version_are_another_recipe_under_their_own_title(tmp_path):
    """They did not record all that makes a recipe, and had other names for some of it."""
    for seed in (0, 1):
        make_run(tmp_path, f"a{seed}", "base CNN", range(4), seed)
        make_run(tmp_path, f"b{seed}", "base CNN", range(2), seed, head_dropout=0.5)
        old = make_run(tmp_path, f"c{seed}", "base CNN", range(6), seed)
        config = json.loads((old / "config.json").read_text())
        del config["head_dropout"]
        (old / "config.json").write_text(json.dumps(config))
        results = (old / "results.json").read_text()
        results = results.replace("expected_calibration_error", "calibration_error")
        results = results.replace("accepted_accuracy", "answered_accuracy")
        (old / "results.json").write_text(results.replace("coverage", "answered"))
    (groups,) = group_by_recipe(read_runs(tmp_path)).values()
    assert [group.title for group in groups] == [
        "base CNN, head dropout 0.5",
        "base CNN, head dropout 0.4",
        "base CNN",
    ]


def test_coverage_compares_for_one_target_only(run_compare, tmp_path):
    make_run(tmp_path, "a", "base CNN", range(4))
    make_run(tmp_path, "b", "tuned CNN", range(2))
    run_compare("--output-dir", tmp_path)
    assert "--target-accuracy differs" not in read_page(tmp_path)
    make_run(tmp_path, "c", "tuned CNN", range(2), target_accuracy=0.99)
    run_compare("--output-dir", tmp_path)
    shown = read_page(tmp_path)
    assert "--target-accuracy differs" in shown
    assert "tuned CNN, target accuracy 0.99: 99.0 %;" in shown


@pytest.mark.parametrize("elsewhere", ["/elsewhere", "C:/elsewhere"])
def test_added_photos_belong_to_the_recipe_and_not_to_the_photos(tmp_path, elsewhere):
    for seed in (0, 1):
        make_run(tmp_path, f"a{seed}", "base CNN", range(4), seed)
        folder = make_run(tmp_path, f"b{seed}", "base CNN", range(2), seed, add=f"list-{seed}.csv")
        with (folder / "split.csv").open("a", encoding="utf-8") as file:
            file.write(f"{elsewhere}/new.jpg,added {seed},train,roses\n")
    (groups,) = group_by_recipe(read_runs(tmp_path)).values()
    assert [group.title for group in groups] == ["base CNN, add reviewed photos", "base CNN"]


def test_runs_from_another_system_compare(tmp_path):
    """Where the photos and weights lie there is no difference."""
    weights = {"weights": "/home/me/weights.h5"}
    make_run(tmp_path, "a", "transfer", range(4), seed=0, **weights)
    make_run(tmp_path, "b", "base CNN", range(2), seed=0)
    windows = {"weights": r"D:\nets\weights.h5", "photos": r"C:\my photos\flowers"}
    make_run(tmp_path, "c", "transfer", range(4), seed=1, **windows)
    make_run(tmp_path, "d", "tuned CNN", range(6), seed=0, photos=r"C:\my photos\blossoms")
    runs = read_runs(tmp_path)
    splits = group_by_split(runs)
    assert [len(group) for group in splits.values()] == [3, 1]
    assert list(splits) == ["flowers, seed 0", "flowers, seed 1"]
    (groups,) = group_by_recipe(runs).values()
    assert {group.title: list(group.scores) for group in groups}["transfer"] == [0, 1]


def test_runs_of_one_title_are_told_apart(tmp_path):
    make_run(tmp_path, "a", "base CNN", epochs=15)
    make_run(tmp_path, "b", "base CNN", epochs=30, name="longer")
    make_run(tmp_path, "c", "base CNN", epochs=15)
    assert find_titles(tmp_path) == {
        "base CNN, epochs 15 (a)",
        "base CNN, epochs 30, name longer",
        "base CNN, epochs 15 (c)",
    }


def test_runs_that_did_not_finish_are_named_in_one_line(run_compare, tmp_path):
    make_run(tmp_path, "a", "base CNN")
    for name in ("stopped", "crashed"):
        (make_run(tmp_path, name, "aborted CNN") / "results.json").unlink()
    line = "2 runs did not finish: crashed, stopped; go on with --resume, or remove them"
    assert run_compare("--output-dir", tmp_path).err.splitlines() == [line]
    # What an earlier comparison left is no run, and who names runs asks for no others.
    assert run_compare("--output-dir", tmp_path, "--markdown").err.splitlines() == [line]
    assert run_compare("--output-dir", tmp_path, tmp_path / "a").err == ""


def damage(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("results.json", "{", ""),
        ("results.json", '"coverage"', '"other"'),
        ("results.json", "0.82", '"much"'),
        ("results.json", "[0.5, 1.0]", "[0.5]"),
        ("results.json", "0.0123", "NaN"),
        ("config.json", '"photos"', '"other"'),
        ("config.json", '"/photos/flowers"', "null"),
        ("predictions.csv", "predicted", "other"),
        ("predictions.csv", "unseen,", "surplus,"),
        ("predictions.csv", ",daisy,daisy,", "\n"),
        ("split.csv", "label", "other"),
        ("split.csv", ",unseen,daisy", ""),
    ],
)
def test_a_damaged_run_is_left_out_with_a_line(run_compare, tmp_path, name, old, new):
    make_run(tmp_path, "a", "base CNN")
    make_run(tmp_path, "b", "tuned CNN")
    damage(make_run(tmp_path, "damaged", "damaged CNN") / name, old, new)
    shown, complaints = run_compare("--output-dir", tmp_path, "--markdown")
    (line,) = complaints.splitlines()
    assert line.startswith(f"Left out: {tmp_path / 'damaged' / name}: cannot be read")
    assert "damaged CNN" not in shown
    assert "tuned CNN" in shown
    # Alone, there is nothing to go on with.
    with pytest.raises(UserError, match="cannot be read"):
        load_runs([tmp_path / "damaged"], tmp_path)


def test_what_is_no_finished_run_is_said_by_name(tmp_path):
    (make_run(tmp_path, "unfinished", "base CNN") / "results.json").unlink()
    for name, problem in (("unfinished", "did not finish"), ("nothing", "not the folder of a run")):
        with pytest.raises(UserError, match=problem):
            load_runs([tmp_path / name], tmp_path)


def test_predictions_about_other_photos_are_not_tested(run_compare, tmp_path):
    for name in ("a", "b", "c"):
        make_run(tmp_path, name, f"CNN {name}")
    damage(tmp_path / "b" / "predictions.csv", "unseen 5 ", "unseen 55 ")
    run_compare("--output-dir", tmp_path)
    shown = read_page(tmp_path)
    assert "2 pairs could not be tested: their predictions.csv are not about" in shown
    assert "CNN a and CNN c are right on the same photos" in shown


def test_nothing_to_compare_is_one_line(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["compare.py", "--output-dir", str(tmp_path)])
    with pytest.raises(SystemExit) as caught:
        run_main(compare.main)
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("compare.py: no complete run")


@pytest.mark.parametrize(
    ("flags", "unneeded"),
    [
        (["--help"], HEAVY_PACKAGES | {"matplotlib", "scipy.special"}),
        (["--markdown"], HEAVY_PACKAGES | {"matplotlib"}),
        ([], HEAVY_PACKAGES),
    ],
)
def test_nothing_is_loaded_that_is_not_needed(project, tmp_path, flags, unneeded):
    make_run(tmp_path, "a", "base CNN", range(4))
    make_run(tmp_path, "b", "tuned CNN", range(2))
    code = (
        "import atexit, compare, sys\n"
        "from vision101.cli import run_script\n"
        "atexit.register(lambda: print('loaded', *sys.modules))\n"
        "run_script(compare.main)"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code, *flags, "--output-dir", tmp_path],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(finished.stdout.splitlines()[-1].split())
    assert "vision101.comparison.report" in loaded
    assert not loaded & unneeded


def test_a_lead_that_may_be_chance_is_no_victory(run_compare, tmp_path):
    make_run(tmp_path, "a", "one", wrong=[5])
    make_run(tmp_path, "b", "other", wrong=[5, 6, 7])
    shown = " ".join(run_compare("--output-dir", tmp_path).out.split())
    assert "No clear winner: one has 98 % balanced accuracy" in shown
    assert "To see whether a lead holds, train the best two" in shown
    assert "but got only 2 more of these right than other, which may be chance." in shown
    assert "is best" not in shown
    # With a third run, one that is beaten for sure: ahead, and still not the best for sure.
    make_run(tmp_path, "c", "worst", wrong=range(20))
    shown = " ".join(run_compare("--output-dir", tmp_path).out.split())
    assert "one is ahead, with 98 % balanced accuracy" in shown
    assert "better than 1 of the 2 others by more than chance" in shown


def test_shortened_titles_keep_what_differs():
    start = "MobileNetV2 transfer, epochs 10"
    titles = [f"{start} (2026-11-30-{time}-transfer-MobileNetV2)" for time in ("204148", "214216")]
    first, second, third = shorten_titles([*titles, "base CNN"])
    assert "204148" in first and "214216" in second
    assert first.startswith("Mobil") and third == "base CNN"
    assert max(map(len, (first, second))) <= 46


def test_thirty_runs_can_be_read(run_compare, tmp_path, check_page):
    for number in range(30):
        wrong = random.Random(number).sample(range(COUNT), number // 2)
        title = f"network_{number}_with_a_name_that_no_phone_can_show_in_one_line <b>"
        make_run(tmp_path, f"run-{number}", title, wrong, number % 2)
    shown, _ = run_compare("--output-dir", tmp_path)
    # All but the last two lines, which name the page and a run.
    assert max(map(len, shown.splitlines()[:-2])) <= 80
    assert len(shown.splitlines()) <= 22  # a screen, less a line that wraps, and the prompt
    assert " ".join(shown.split()).count(" is ahead, with ") == 2
    (folder,) = tmp_path.glob("*-compare")
    # Labels of rows are 11 points, at 150 dots an inch: 23 dots.
    assert Image.open(folder / "comparison.png").height > 30 * 2 * 23
    text = check_page(folder / "report.html")
    assert "network_29_with_a_name_that_no_phone_can_show_in_one_line <b>" in text
    assert "The other pairs (90)" in text
