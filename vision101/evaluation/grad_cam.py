"""Where a model looked: the evidence in a photo for its prediction."""

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from vision101.figures import HEAT_COLOURS
from vision101.training.models import CLASSIFIER_NAME

# Photos that are explained at once.
BATCH_SIZE = 16

# How much of an overlay is heat; the rest is the photo, in grey, so that colour means heat only.
HEAT_SHARE = 0.6


def compute_grad_cam(model: keras.Model, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Compute where a model finds evidence for a class (Grad-CAM: Selvaraju et al. 2017,
    "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", section 3).

    The last feature maps are added up, each weighted by how much the class would gain by more of
    it. Evidence against it is left out. The heatmap is as coarse as those maps.

    Args:
        model: A classifier of ours: one flat graph.
        images: uint8 or float32 (photos, height, width, 3), RGB, 0-255.
        classes: int (photos,): for each photo, the position of the class.

    Returns:
        float32 (photos, height of the maps, width of the maps), 0-1, where 1 is the strongest part
        of each photo; all 0 where there is no evidence for the class.
    """
    classifier = model.get_layer(CLASSIFIER_NAME)
    maps_layer = [layer for layer in model.layers if len(layer.output.shape) == 4][-1]
    inner_model = keras.Model(model.inputs[0], [maps_layer.output, classifier.input])
    weights = classifier.get_weights()[0].T[classes]
    heatmaps = []
    for start in range(0, len(images), BATCH_SIZE):
        batch = tf.constant(images[start : start + BATCH_SIZE], tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(batch)  # even where every layer is frozen
            maps, features = inner_model(batch, training=False)
            # Before the softmax, where one class's loss is not another's gain.
            score = tf.reduce_sum(features * weights[start : start + BATCH_SIZE])
        importance = tf.reduce_mean(tape.gradient(score, maps), axis=(1, 2), keepdims=True)
        heat = tf.nn.relu(tf.reduce_sum(importance * maps, axis=-1)).numpy()
        if len(heat) == 2 * len(batch):
            # The model looked at the mirror images, too.
            heat = (heat[: len(batch)] + heat[len(batch) :, :, ::-1]) / 2
        heatmaps.append(heat / np.maximum(heat.max(axis=(1, 2), keepdims=True), 1e-12))
    return np.concatenate(heatmaps)


def overlay_heatmap(photo: np.ndarray, heatmap: np.ndarray) -> np.ndarray:
    """Return a photo, uint8 (height, width, 3), RGB, in grey under a heatmap of any size, 0-1."""
    height, width = photo.shape[:2]
    heat = Image.fromarray(heatmap.astype(np.float32))
    smooth = np.asarray(heat.resize((width, height), Image.Resampling.BICUBIC)).clip(0, 1)
    colours = 255 * HEAT_COLOURS(smooth)[:, :, :3]
    grey = np.asarray(Image.fromarray(photo).convert("L"), float)[:, :, np.newaxis]
    return ((1 - HEAT_SHARE) * grey + HEAT_SHARE * colours).round().astype(np.uint8)
