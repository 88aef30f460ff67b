"""Where a model looked."""

import keras
import numpy as np
import pytest

from vision101.evaluation.grad_cam import compute_grad_cam, overlay_heatmap
from vision101.training.models import CLASSIFIER_NAME, average_with_flip, rebuild_model

SIZE = 32


@pytest.fixture
def colour_model():
    """Return a model by construction: class 0 is how much red there is, class 1 how much blue."""
    inputs = keras.Input((SIZE, SIZE, 3), name="photo")
    kernel = np.zeros((1, 1, 3, 2))
    kernel[0, 0, :, 0], kernel[0, 0, :, 1] = (1, -1, -1), (-1, -1, 1)
    convolution = keras.layers.Conv2D(2, 1, activation="relu")
    x = keras.layers.AveragePooling2D(4)(convolution(inputs))
    x = keras.layers.GlobalAveragePooling2D()(x)
    classifier = keras.layers.Dense(2, activation="softmax", name=CLASSIFIER_NAME)
    model = keras.Model(inputs, classifier(x))
    convolution.set_weights([kernel, np.zeros(2)])
    classifier.set_weights([np.eye(2), np.zeros(2)])
    return model


@pytest.fixture
def photos():
    """Return two photos, red at the upper left and blue at the lower right, on grey."""
    photos = np.full((2, SIZE, SIZE, 3), 90, np.uint8)
    photos[:, 4:12, 4:12] = (255, 0, 0)
    photos[:, 20:28, 20:28] = (0, 0, 255)
    return photos


@pytest.mark.parametrize("mirror", [False, True])
def test_heat_lies_on_the_evidence_for_a_class(colour_model, photos, mirror):
    model = rebuild_model(average_with_flip(colour_model), "float32") if mirror else colour_model
    model.trainable = False  # as a backbone is
    heatmaps = compute_grad_cam(model, photos, np.array([0, 1]))
    assert heatmaps.shape == (2, SIZE // 4, SIZE // 4)
    assert heatmaps.max() == 1
    for heat, place in zip(heatmaps, (slice(1, 3), slice(5, 7)), strict=True):
        assert (heat[place, place] > 0.9).all()
        assert heat.sum() == pytest.approx(heat[place, place].sum())


def test_without_evidence_there_is_no_heat(colour_model, photos):
    photos[:, 4:12, 4:12] = 90
    assert compute_grad_cam(colour_model, photos[:1], np.array([0])).max() == 0


def test_overlay_is_bright_where_the_heat_is(photos):
    heat = np.zeros((8, 8))
    heat[1:3, 1:3] = 1
    overlay = overlay_heatmap(photos[0], heat)
    assert overlay.shape == photos[0].shape
    assert overlay[8, 8].sum() > 2 * overlay[24, 8].sum()
    # Away from the heat, the photo is grey.
    assert np.ptp(overlay[24, 24].astype(int)) < 10
