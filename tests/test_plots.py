"""Pictures hold whatever people call their classes."""

from vision101.plots import plot_confusion

from PIL import Image


def test_dollars_in_names_are_no_formulas(tmp_path):
    plot_confusion(tmp_path, [[3, 1], [0, 4]], ["$5_$10", "b_$c_$"], "more than $100_")
    assert min(Image.open(tmp_path / "plots" / "confusion.png").size) > 300
