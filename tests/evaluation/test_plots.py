"""Pictures hold whatever people call their classes."""

from PIL import Image

from vision101.evaluation.plots import plot_confusion


def test_dollars_in_names_are_no_formulas(tmp_path):
    plot_confusion(tmp_path, [[3, 1], [0, 4]], ["$5_$10", "b_$c_$"], "more than $100_")
    assert min(Image.open(tmp_path / "plots" / "confusion.png").size) > 300
