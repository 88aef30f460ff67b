"""Photos that are unlike the training photos."""

import numpy as np
import pytest

from vision101.evaluation.out_of_distribution import fit_detector, load_detector


@pytest.fixture
def usual():
    """Return a function that draws features of two classes, and their one-hot labels."""
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(2, 30)) * 4

    def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = generator.integers(2, size=count)
        features = centres[labels] + generator.normal(size=(count, 30)) * np.linspace(0.1, 3, 30)
        return features.astype("float32"), np.eye(2)[labels]

    return draw


@pytest.mark.parametrize("count", [400, 20])  # 20: fewer photos than channels
def test_unusual_features_are_noticed_and_few_false_alarms_raised(usual, count, tmp_path):
    features, labels = usual(count)
    validation, _ = usual(300)
    detector = fit_detector(features, labels, validation)
    detector.save(tmp_path / "detector.npz")
    detector = load_detector(tmp_path / "detector.npz")
    assert np.mean(~detector.accept(usual(1000)[0])) == pytest.approx(0.05, abs=0.04)
    # Between the classes: near the mean of all, and yet like neither.
    between = np.tile(detector.means.mean(axis=0), (5, 1))
    assert not detector.accept(between).any()


def test_directions_in_which_classes_vary_count_less(usual):
    features, labels = usual(400)
    detector = fit_detector(features, labels, features)
    steps = np.zeros((2, 30), "float32")
    steps[0, 0] = steps[1, -1] = 6  # where deviations are 0.1, and where they are 3
    along, across = detector.measure_distances(detector.means[0] + steps)[::-1]
    assert along < detector.threshold < across
