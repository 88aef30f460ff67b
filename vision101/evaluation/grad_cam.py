"""Where a model looked: the parts of a photo that spoke for its answer."""

import keras
import matplotlib
import numpy as np
import tensorflow as tf
from PIL import Image

from vision101.training.models import CLASSIFIER_NAME

# Photos that are explained at once.
BATCH_SIZE = 16

# From black over violet to yellow: it gets lighter all the way, for any colour vision.
COLOUR_MAP = "inferno"

# How much of an overlay is heat; the rest is the photo, in grey, so that colour means heat only.
HEAT_SHARE = 0.6


def compute_grad_cam(model: keras.Model, photos: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Compute where the model saw what spoke for an answer (Grad-CAM: Selvaraju et al. 2017,
    "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", section 3).

    The last feature maps are added up, each weighted by how much the answer would gain by more of
    it. What speaks against the answer is left out. The picture is as coarse as those maps.

    Args:
        model: A classifier of ours: one flat graph.
        photos: uint8 or float32 array of shape (photos, height, width, 3), RGB, 0-255.
        answers: int array of shape (photos,): the class to explain.

    Returns:
        float32 array of shape (photos, height of the maps, width of the maps), 0-1, where 1 is
        the strongest part of each photo; all 0 where nothing spoke for the answer.
    """
    classifier = model.get_layer(CLASSIFIER_NAME)
    maps_layer = [layer for layer in model.layers if len(layer.output.shape) == 4][-1]
    inner_model = keras.Model(model.inputs[0], [maps_layer.output, classifier.input])
    kernel = keras.ops.convert_to_tensor(classifier.kernel)
    heats = []
    for start in range(0, len(photos), BATCH_SIZE):
        batch = tf.constant(photos[start : start + BATCH_SIZE], tf.float32)
        weights = tf.gather(kernel, answers[start : start + BATCH_SIZE], axis=1)
        with tf.GradientTape() as tape:
            tape.watch(batch)  # even where every layer is frozen
            maps, features = inner_model(batch, training=False)
            # Before the softmax, where one answer's loss is not another's gain.
            score = tf.reduce_sum(features * tf.transpose(weights))
        gradients = tape.gradient(score, maps)
        importance = tf.reduce_mean(gradients, axis=(1, 2), keepdims=True)
        heat = tf.nn.relu(tf.reduce_sum(importance * maps, axis=-1)).numpy()
        if len(heat) == 2 * len(batch):
            # The model looked at the mirror images, too.
            heat = (heat[: len(batch)] + heat[len(batch) :, :, ::-1]) / 2
        heats.append(heat / np.maximum(heat.max(axis=(1, 2), keepdims=True), 1e-12))
    return np.concatenate(heats)


def overlay_heatmap(photo: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Return a photo in grey with heat upon it.

    Args:
        photo: uint8 array of shape (height, width, 3), RGB, 0-255.
        heat: float array of any size, 0-1.

    Returns:
        uint8 array like the photo.
    """
    height, width = photo.shape[:2]
    smooth = Image.fromarray(heat.astype(np.float32)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    colours = 255 * matplotlib.colormaps[COLOUR_MAP](np.asarray(smooth).clip(0, 1))[:, :, :3]
    grey = np.asarray(Image.fromarray(photo).convert("L"), float)[:, :, np.newaxis]
    return ((1 - HEAT_SHARE) * grey + HEAT_SHARE * colours).round().astype(np.uint8)
