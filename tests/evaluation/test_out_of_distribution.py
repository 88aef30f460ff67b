"""Photos that are unlike the training photos."""

import numpy as np
import pytest

from vision101.evaluation.out_of_distribution import (
    FALSE_ALARM_RATE,
    choose_thresholds,
    fit_detector,
    load_detector,
)

CHANNELS = 40


@pytest.fixture
def draw():
    """Return a function that draws features of two classes, as of ReLU, and one-hot labels. In each
    class, 8 of 40 channels are strong.
    """
    generator = np.random.default_rng(0)

    def draw(count: int, channels=(range(8), range(8, 16))) -> tuple[np.ndarray, np.ndarray]:
        labels = generator.integers(2, size=count)
        features = generator.gamma(1, 0.1, (count, CHANNELS))
        for position, label in enumerate(labels):
            features[position, list(channels[label])] += generator.gamma(4, 0.5, 8)
        return features.astype("float32"), np.eye(2)[labels]

    return draw


@pytest.mark.parametrize("count", [400, 30])  # 30: fewer photos than channels
@pytest.mark.parametrize(("offset", "scale"), [(0, 1), (-3, np.linspace(0.1, 4, CHANNELS))])
def test_both_kinds_of_others_are_noticed_and_few_false_alarms_raised(
    draw, count, offset, scale, tmp_path
):
    def seen(features: np.ndarray) -> np.ndarray:
        return (features * scale + offset).astype("float32")

    features, labels = draw(count)
    detector = fit_detector(seen(features), labels, offset, scale)
    detector = choose_thresholds(detector, detector.measure_distances(seen(draw(400)[0])))
    usual, alike = detector.check(seen(draw(1000)[0]))
    assert np.mean(~usual) == pytest.approx(FALSE_ALARM_RATE, abs=0.03)
    assert 0.7 < alike.mean() < usual.mean()
    # Like neither class, and like a bit of both: with half of the strong channels of each.
    for channels in ((range(16, 24),) * 2, ((0, 1, 2, 3, 8, 9, 10, 11),) * 2):
        others = seen(draw(100, channels)[0])
        assert np.mean(detector.check(others)[0]) < (0.5 if count > 30 else 0.8)
        assert np.mean(detector.check(others)[1]) < 0.3
    path = tmp_path / "detector.npz"
    detector.save(path)
    loaded = load_detector(path)
    shapes = {name: array.shape for name, array in loaded._asdict().items()}
    assert shapes == loaded.list_shapes(2, CHANNELS)
    saved = loaded.measure_distances(seen(features))
    np.testing.assert_allclose(saved, detector.measure_distances(seen(features)), atol=1e-4)


def test_strength_of_features_does_not_count(draw):
    features, labels = draw(200)
    detector = fit_detector(features, labels)
    detector = choose_thresholds(detector, detector.measure_distances(features))
    distances = detector.measure_distances(features)
    np.testing.assert_allclose(detector.measure_distances(features * 7), distances, atol=1e-4)


def test_detectors_of_earlier_versions_still_work(tmp_path):
    path = tmp_path / "novelty.npz"
    means = np.array([[0, 0], [10, 0]], "float32")
    np.savez_compressed(path, means=means, precision=np.diag([4, 1]).astype("float32"), threshold=9)
    detector = load_detector(path)
    # Where classes vary little, a distance counts more.
    photos = np.array([[11, 0], [0, 2], [2, 0], [5, 0]])
    assert detector.measure_distances(photos).ravel().tolist() == [4, 4, 16, 100]
    usual, alike = detector.check(photos)
    assert usual.tolist() == alike.tolist() == [True, True, False, False]
