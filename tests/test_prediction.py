"""What predict.py says, shows and lists: sure or not, why, and what a person should look at."""

import csv
import json
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

import predict
from vision101.formats import as_bars, as_line, write_review
from vision101.photos.index import list_files
from vision101.photos.reading import read_pixels
from vision101.prediction import Prediction, load_classifier, predict_photo
from vision101.runs import DETECTOR_NAME, RESULTS_NAME


@pytest.fixture
def ask(finished_run, monkeypatch, capsys):
    """Return a function that runs predict.py on the finished run: its exit code, and its text."""

    def ask(*arguments) -> tuple[int, str]:
        flags = ["--run", finished_run[0], *arguments]
        monkeypatch.setattr(sys, "argv", ["predict.py", *map(str, flags)])
        return predict.main(), capsys.readouterr().out

    return ask


@pytest.fixture
def thresholds(finished_run, monkeypatch):
    """Return a function that sets how confident a prediction and how usual a photo must be."""

    def set_thresholds(confidence: float, distance: float) -> None:
        classifier = load_classifier(finished_run[0])
        detector = classifier.detector._replace(threshold=distance, sure_threshold=distance)
        changed = classifier._replace(threshold=confidence, detector=detector)
        monkeypatch.setattr(predict, "load_classifier", lambda run_folder, with_keras: changed)

    return set_thresholds


@pytest.mark.parametrize(
    ("confidence", "distance", "sure", "unlike", "words"),
    [
        (0, np.inf, True, False, None),
        (1, np.inf, False, False, "Ask a person"),
        (0, -np.inf, False, True, "perhaps none of the classes"),
    ],
)
def test_doubt_is_told_in_words_in_json_and_in_the_exit_code(
    ask, thresholds, painted_folder, confidence, distance, sure, unlike, words
):
    thresholds(confidence, distance)
    photo = painted_folder / "roses" / "roses-0001.jpg"
    code, text = ask(photo)
    assert code == 0  # doubt is no failure, unless asked for
    assert ("Not sure" in text) == (not sure)
    assert words is None or words in text
    code, text = ask("--json", "--fail-if-unsure", photo)
    assert code == (0 if sure else 3)
    line = json.loads(text)
    assert (line["sure"], line["out_of_distribution"]) == (sure, unlike)


def test_a_list_of_photos_gets_a_line_each_a_summary_and_a_table(
    ask, thresholds, photo_folder, monkeypatch
):
    thresholds(0, np.inf)
    monkeypatch.chdir(photo_folder)
    Path("=1+1.jpg").write_text("no photo")
    names = [f"{name}/{name}-000{number}.jpg" for name in ("daisy", "roses") for number in (1, 2)]
    Path("names.txt").write_text("\n".join((*names, "=1+1.jpg")))
    code, text = ask("--csv", "table.csv", "@names.txt")
    assert code == 1  # for the one that is no photo
    shown = [line for line in text.splitlines() if line.startswith(tuple(names))]
    assert [line.split()[0] for line in shown] == names
    assert len({len(line.rstrip()) for line in shown}) == 1  # aligned
    assert all(len(line) <= 80 for line in shown)
    with Path("table.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = [*csv.DictReader(file)]
    assert [row["path"] for row in rows] == [str(photo_folder / name) for name in names]
    told = {row["path"]: row["class"] for row in rows}
    for row, line in zip(rows, shown, strict=True):
        assert line.split()[1] == row["class"]
        assert sum(float(row[name]) for name in ("daisy", "dandelion", "roses")) == pytest.approx(1)
    *_, summary, written = text.splitlines()
    counts = {name: [*told.values()].count(name) for name in sorted({*told.values()})}
    counts["unreadable"] = 1
    assert summary == ", ".join(f"{counts[name]} {name}" for name in counts)
    assert written == "Wrote table.csv: 4 photos, with the probability of each class"


def test_a_watched_folder_answers_what_arrives_once_it_is_whole(
    ask, thresholds, painted_folder, monkeypatch, tmp_path
):
    thresholds(0, np.inf)
    (tmp_path / "old.jpg").write_bytes(b"was there before")
    content = (painted_folder / "roses" / "roses-0001.jpg").read_bytes()
    arriving = tmp_path / "new.jpg"
    seconds = iter(
        [
            lambda: arriving.write_bytes(content[:500]),
            lambda: arriving.write_bytes(content),
            lambda: None,
            lambda: None,
        ]
    )

    def sleep(_):
        for happens in seconds:
            return happens()
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    code, text = ask("--watch", tmp_path)
    assert code == 0
    assert text.count(str(arriving)) == 1
    assert "old.jpg" not in text
    assert text.splitlines()[-1].startswith("1 ")  # the summary


def test_thresholds_are_those_of_the_run(finished_run):
    run_folder, _ = finished_run
    classifier = load_classifier(run_folder)
    results = json.loads((run_folder / RESULTS_NAME).read_text(encoding="utf-8"))
    assert classifier.threshold == results["confidence"]["threshold"]
    with np.load(run_folder / DETECTOR_NAME) as content:
        np.testing.assert_array_equal(classifier.detector.threshold, content["threshold"])


def test_other_things_are_further_away_than_the_classes(finished_run, painted_folder):
    classifier = load_classifier(finished_run[0])
    size = classifier.image_size
    distances, usual = [], []
    generator = np.random.default_rng(0)
    others = generator.integers(0, 256, (40, size, size, 3), dtype=np.uint8)
    flowers = [read_pixels(path, size) for path in list_files(painted_folder)]
    for pictures in (flowers, others):
        _, features = classifier.call(np.stack(pictures))
        distances.append(classifier.detector.measure_distances(features))
        usual.append(classifier.detector.check(features)[0])
    truth = np.repeat([0, 1], [len(flowers), len(others)])
    assert roc_auc_score(truth, np.concatenate(distances)[:, 1]) > 0.75
    prediction = predict_photo(classifier, "usual", flowers[0])
    assert prediction.out_of_distribution != usual[0][0]


def test_explanation_is_a_picture_of_one_photo(ask, painted_folder, tmp_path):
    photo = painted_folder / "roses" / "roses-0001.jpg"
    ask("--explain", tmp_path / "why.png", photo)
    assert Image.open(tmp_path / "why.png").format == "PNG"
    with pytest.raises(predict.UserError, match="one photo, not 14"):
        ask("--explain", tmp_path / "whose.png", painted_folder / "daisy")
    with pytest.raises(predict.UserError, match=r"\.png"):
        ask("--explain", tmp_path / "why.mp3", photo)
    ask("--explain", tmp_path / "why", photo)
    assert {path.name for path in tmp_path.iterdir()} == {"why.png", "why"}


@pytest.mark.parametrize("flag", ["--explain", "--review"])
def test_nothing_is_overwritten(flag, ask, painted_folder, tmp_path):
    for name in ("one.jpg", "two.jpg"):
        shutil.copy(painted_folder / "roses" / "roses-0001.jpg", tmp_path / name)
    before = (tmp_path / "one.jpg").read_bytes()
    with pytest.raises(predict.UserError, match="one.jpg: already exists"):
        ask(flag, tmp_path / "one.jpg", tmp_path / "two.jpg")
    with pytest.raises(predict.UserError, match="already exists"):
        ask(flag, tmp_path, tmp_path / "two.jpg")
    assert (tmp_path / "one.jpg").read_bytes() == before


def test_standard_input_cannot_be_listed_for_review(ask, tmp_path):
    with pytest.raises(predict.UserError, match="standard input"):
        ask("--review", tmp_path / "review.csv", "-")


def test_lines_stay_within_a_terminal_where_names_allow():
    long = "極楽鳥花" * 9  # of 72 columns
    classes = [("ばら", 0.7), ("rose", 0.2), (long, 0.1)]
    ended = "   70.0 %  not sure"
    line = as_line(Prediction("花.jpg", classes, False, False), 90)
    assert line == f"花.jpg  ばら{' ' * (80 - 6 - 2 - 4 - len(ended))}{ended}"
    line = as_line(Prediction("花.jpg", classes[:2], False, False), 8)
    assert line == f"花.jpg    ばら{ended}"
    # A long name moves its own bar only.
    *_, first, second, last = as_bars(Prediction("a", classes, True, False), 3).splitlines()
    assert (first.index("%") + 2, second.index("%"), last.index("%")) == (57, 57, 46)
    assert len(first) + 2 <= 80


def test_review_lists_the_least_certain_first(tmp_path):
    sure = Prediction("a.jpg", [("rose", 0.99), ("daisy", 0.01)], True, False)
    unsure = Prediction("b.jpg", [("daisy", 0.6), ("rose", 0.4)], False, False)
    novel = Prediction("c.jpg", [("rose", 0.8), ("daisy", 0.2)], False, True)
    least_sure = Prediction("d.jpg", [("rose", 0.95), ("daisy", 0.05)], True, False)
    write_review(tmp_path / "review.csv", [sure, unsure, novel, least_sure])
    # With a byte order mark, which Excel needs to show all letters.
    assert (tmp_path / "review.csv").read_bytes().startswith(b"\xef\xbb\xbfpath,")
    with (tmp_path / "review.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert all(Path(row["path"]).is_absolute() for row in rows)
    assert [Path(row["path"]).name for row in rows] == ["b.jpg", "c.jpg", "d.jpg", "a.jpg"]
    # A person has to fill in what the model is not sure of, and nothing else.
    assert [row["label"] for row in rows] == ["", "", "rose", "rose"]
    assert [row["out_of_distribution"] for row in rows] == ["no", "yes", "no", "no"]
