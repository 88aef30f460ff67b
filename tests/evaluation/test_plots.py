"""Pictures say what is so, whatever people call their classes, and whatever their machine says."""

import itertools
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import PROJECT
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from vision101.errors import UserError
from vision101.evaluation import plots
from vision101.evaluation.evaluate import Evaluation
from vision101.evaluation.scores import score_predictions
from vision101.figures import plt, save_figure, wrap

PNG_START = b"\x89PNG\r\n"


@pytest.fixture
def run(tmp_path):
    history = {
        "accuracy": [0.4, 0.6, 0.8],
        "loss": [1.2, 0.9, 0.5],
        "val_accuracy": [0.3, 0.7, 0.6],
        "val_loss": [1.3, 0.8, 0.9],
    }
    config = {"fine_tune": None, "epochs": 3, "image_size": 32}
    about = {"epochs": 3, "best_epoch": 2, "config": config}
    return SimpleNamespace(folder=tmp_path, title="base CNN", history=history, **about)


@pytest.fixture
def drawn(monkeypatch):
    """Return a list that gets each figure as it is saved, still open to look at."""
    figures = []
    monkeypatch.setattr(
        plots,
        "save_figure",
        lambda figure, path: figures.append(figure) or save_figure(figure, path),
    )
    return figures


def build_evaluation(true, predicted, names, coverage=0.5) -> Evaluation:
    """Return what the plots need of an evaluation of unseen photos with these labels."""
    labels = np.eye(len(names))[true]
    probabilities = 0.8 * np.eye(len(names))[predicted] + 0.2 / len(names)
    nothing = dict.fromkeys(Evaluation._fields)
    return Evaluation(
        **nothing
        | {
            "class_names": names,
            "scores": {"unseen": score_predictions(labels, probabilities, names)},
            "labels": {"unseen": labels},
            "uncalibrated": {"unseen": probabilities},
            "probabilities": {"unseen": probabilities},
            "confidence": {
                "target_accuracy": 0.95,
                "threshold": 0.876,
                "coverage": coverage,
                "accepted_accuracy": 0.9 if coverage else None,
            },
        }
    )


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def test_pictures_are_returned_as_they_were_written(run):
    for name, picture in {
        "curves": plots.plot_curves(run),
        "confusion": plots.plot_confusion(run, build_evaluation([0, 1], [0, 0], ["a", "b"])),
        "confidence": plots.plot_confidence(run, build_evaluation([0, 1], [0, 0], ["a", "b"])),
    }.items():
        assert picture.startswith(PNG_START)
        assert picture == (run.folder / "plots" / f"{name}.png").read_bytes()


def test_curves_mark_the_epoch_that_was_kept(run, drawn):
    plots.plot_curves(run)
    for axes in drawn[0].axes:
        assert "best epoch (2)" in [text.get_text() for text in axes.get_legend().get_texts()]
        assert list(axes.lines[2].get_xdata()) == [2, 2]


def test_curves_mark_fine_tuning(run, drawn):
    run.config = run.config | {"fine_tune": 10, "epochs": 2}
    plots.plot_curves(run)
    for axes in drawn[0].axes:
        assert "fine-tuning, from epoch 3 on" in axes.get_legend_handles_labels()[1]


def test_one_wild_epoch_does_not_flatten_the_others(run, drawn):
    run.history["val_loss"][0] = 300.0
    plots.plot_curves(run)
    loss_axes = drawn[0].axes[1]
    assert loss_axes.get_ylim()[1] < 3
    assert loss_axes.get_title() == "Loss (1 of 3 epochs cut off, up to 300)"


def test_confusion_names_every_class_and_counts_its_photos(run, drawn):
    names = ["daisy", "roses", "tulips"]
    plots.plot_confusion(run, build_evaluation([0, 0, 0, 1, 2], [0, 0, 1, 1, 0], names))
    axes = drawn[0].axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == names
    assert [label.get_text() for label in axes.get_yticklabels()] == names
    cells = ["2\n67 %", "1\n33 %", "0", "0", "1\n100 %", "0", "1\n100 %", "0", "0"]
    assert [text.get_text() for text in axes.texts] == cells


def test_confusion_of_many_classes_names_some_of_them(run, drawn):
    names = [f"species {number}" for number in range(102)]
    plots.plot_confusion(run, build_evaluation(range(102), range(102), names))
    labels = [label.get_text() for label in drawn[0].axes[0].get_yticklabels()]
    assert labels[:2] == ["species 0", "species 2"]
    assert "51 of 102 classes named" in drawn[0].axes[0].get_ylabel()
    assert not drawn[0].axes[0].texts


def test_names_that_no_font_can_write_become_numbers(run, drawn, recwarn):
    names = ["roses", "tulips \U0001fbc5"]  # a symbol that hardly any font has
    evaluation = build_evaluation([0, 1], [0, 0], names)
    plots.plot_confusion(run, evaluation)
    plots.plot_predictions(run, evaluation, np.zeros((2, 8, 8, 3), np.uint8))
    labels = [label.get_text() for label in drawn[0].axes[0].get_yticklabels()]
    assert labels == ["roses", "class 2"]
    assert "✗ 90 % roses\nlabel: class 2" in texts(drawn[1])
    assert not recwarn.list


def test_names_that_start_alike_stay_different(run, drawn):
    names = [f"a species with a very long name indeed, variety {number}" for number in range(20)]
    plots.plot_confusion(run, build_evaluation(range(20), range(20), names))
    labels = {label.get_text() for label in drawn[0].axes[0].get_yticklabels()}
    assert len(labels) == 20


def assert_nothing_overlaps(axes, tick_labels):
    renderer = FigureCanvasAgg(axes.figure).get_renderer()
    axes.figure.draw(renderer)
    boxes = [label.get_window_extent(renderer) for label in tick_labels if label.get_text()]
    assert not [one for one, other in itertools.combinations(boxes, 2) if one.overlaps(other)]


@pytest.mark.parametrize("count", [4, 40])
def test_long_names_of_classes_do_not_collide(run, drawn, count):
    names = [f"climbing roses (David Austin) {number}" for number in range(count)]
    plots.plot_confusion(run, build_evaluation(range(count), range(count), names))
    axes = drawn[0].axes[0]
    assert_nothing_overlaps(axes, axes.get_xticklabels())
    assert_nothing_overlaps(axes, axes.get_yticklabels())


def test_wrong_predictions_stand_out(run, drawn):
    images = np.zeros((2, 8, 8, 3), np.uint8)
    plots.plot_predictions(run, build_evaluation([0, 0], [0, 1], ["daisy", "roses"]), images)
    colours = {axes.get_title(): axes.title.get_color() for axes in drawn[0].axes}
    assert colours["✓ 90 % daisy"] != colours["✗ 90 % roses\nlabel: daisy"]


def test_long_names_stay_above_their_photo(run, drawn):
    names = ["a species with a very long name indeed", "another_one_without_any_space_in_it"]
    images = np.zeros((2, 8, 8, 3), np.uint8)
    plots.plot_predictions(run, build_evaluation([0, 0], [0, 1], names), images)
    lines = [line for axes in drawn[0].axes for line in axes.get_title().split("\n")]
    assert max(map(len, lines)) <= 23


def test_long_names_lose_words_of_their_middle_and_only_long_words_letters():
    name = "Helianthus annuus subsp. macrocarpus daisy 3"
    assert wrap(name, 16, lines=3) == "Helianthus\nannuus … daisy 3"
    assert wrap(name, 30, lines=1) == "Helianthus annuus … daisy 3"
    assert wrap("Löwenzahn (Kuhblume)", 16) == "Löwenzahn\n(Kuhblume)"
    assert wrap("Gartenstiefmütterchen 3", 16) == "Gartenst…erchen\n3"


def test_few_photos_are_in_few_bins_of_confidence_with_intervals():
    generator = np.random.default_rng(0)
    for count, most in ((24, 3), (1000, 15)):
        confidences = generator.uniform(0.2, 1, count)
        bins = plots._bin_by_confidence(confidences, generator.random(count) < confidences)
        assert len(bins) <= most
        assert (bins[:, 2] <= bins[:, 1]).all()
        assert (bins[:, 1] <= bins[:, 3]).all()


def test_accepted_predictions_are_marked_only_where_there_are_some(run, drawn):
    for coverage in (0.5, 0.0):
        plots.plot_confidence(run, build_evaluation([0, 1], [0, 0], ["a", "b"], coverage))
    some, none = ([text for text in texts(figure) if "accepted: " in text] for figure in drawn)
    assert some == ["accepted: confidence of 87.6 % or more"]
    assert none == []


def test_other_run_comes_first_with_its_own_scores(run, drawn):
    evaluation = build_evaluation([0, 1, 1, 0], [0, 1, 1, 1], ["a", "b"])
    others = build_evaluation([0, 1, 1, 0], [0, 1, 1, 0], ["a", "b"]).scores
    other = SimpleNamespace(
        title="tuned CNN",
        config=run.config,
        results=others,
        read_history=lambda: {name: values[:1] for name, values in run.history.items()},
    )
    plots.plot_side_by_side(run, evaluation, other)
    curves, scores = drawn[0].axes
    assert [label.get_text().split(" (")[0] for label in scores.get_yticklabels()] == [
        "tuned CNN\n1 epoch, 32 pixels\n100.0 %",
        "base CNN\n3 epochs, 32 pixels\n75.0 %",
    ]
    assert [len(line.get_xdata()) for line in curves.lines] == [1, 1, 3, 3]
    assert "guessing (50.0 %)" in texts(drawn[0])


def test_grad_cam_says_where_there_is_no_evidence(monkeypatch, tmp_path, drawn):
    monkeypatch.setattr(plots, "compute_grad_cam", lambda *arguments: np.zeros((1, 4, 4)))
    classifier = SimpleNamespace(class_names=["daisy"], model=None)
    prediction = SimpleNamespace(classes=[("daisy", 1.0)], accepted=True)
    plots.plot_grad_cam(tmp_path / "a.png", classifier, np.zeros((8, 8, 3), np.uint8), prediction)
    assert "no evidence for daisy anywhere" in texts(drawn[0])


def test_dollars_in_names_are_no_formulas(run):
    run.title = "more than $100_"
    evaluation = build_evaluation([0, 1], [0, 0], ["$5_$10", "b_$c_$"])
    assert plots.plot_confusion(run, evaluation).startswith(PNG_START)
    assert plots.plot_predictions(run, evaluation, np.zeros((2, 8, 8, 3), np.uint8))


def test_no_figure_stays_open(run):
    before = plt.get_fignums()
    plots.plot_curves(run)
    assert plt.get_fignums() == before


def test_unknown_kind_of_picture_is_a_usage_error(monkeypatch, tmp_path):
    monkeypatch.setattr(plots, "compute_grad_cam", lambda *arguments: np.zeros((1, 4, 4)))
    classifier = SimpleNamespace(class_names=["daisy"], model=None)
    prediction = SimpleNamespace(classes=[("daisy", 1.0)], accepted=True)
    with pytest.raises(UserError, match=r"why\.docx: cannot be written .*use \.png"):
        plots.plot_grad_cam(
            tmp_path / "why.docx", classifier, np.zeros((8, 8, 3), np.uint8), prediction
        )
    assert not list(tmp_path.iterdir())


# Draws a title with a dollar, and says what became of the environment.
DRAW = """
import os
environment = dict(os.environ)
from pathlib import Path
from vision101.figures import plt, save_figure
figure, axes = plt.subplots()
axes.set_title("$5_")
print(len(save_figure(figure, Path("a.png"))), environment == dict(os.environ))
"""


@pytest.mark.parametrize(
    ("settings", "variables"),
    [
        ("", {}),
        # Where its package is not installed, importing Matplotlib fails.
        ("", {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}),
        ("text.usetex: True\nno.such.key: 1\nbackend: nonsense\nfont.size: 40\n", {}),
    ],
)
def test_pictures_are_the_same_whatever_the_machine_says(settings, variables, tmp_path):
    (tmp_path / "matplotlibrc").write_text(settings)
    finished = subprocess.run(
        [sys.executable, "-c", DRAW],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(PROJECT)} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    figure, axes = plt.subplots()
    axes.set_title("$5_")
    expected = save_figure(figure, tmp_path / "expected.png")
    assert finished.stdout == f"{len(expected)} True\n", finished.stderr
    assert expected == (tmp_path / "a.png").read_bytes()
