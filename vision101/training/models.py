"""The networks: pure functions that return Functional models without augmentation.

Each takes raw photos, float32 (batch, image_size, image_size, 3), RGB, 0-255, scales them itself,
and gives float32 (batch, classes), the probability of each class.
"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from vision101.training import devices

# Of the last layer, which turns features into probabilities.
CLASSIFIER_NAME = "probabilities"

# Share of values that are dropped before the last layer of the tuned network.
TUNED_DROPOUT = 0.2

# A head sees every photo's features in few views, so it needs more to keep it from learning them
# by heart.
HEAD_DROPOUT = 0.4
HEAD_L2 = 1e-3


def build_base_cnn(class_count: int, image_size: int) -> keras.Model:
    """Build the article's baseline: three Conv2D and pooling layers, then a dense head."""
    inputs = keras.Input((image_size, image_size, 3), name="photo")
    x = layers.Rescaling(1 / 255)(inputs)
    for filters in (16, 32, 64):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    x = layers.Dense(128, activation="relu")(x)
    outputs = _build_classifier(x, class_count)
    return keras.Model(inputs, outputs, name="base_cnn")


def build_tuned_cnn(class_count: int) -> keras.Model:
    """Build a small residual network (He et al. 2015, "Deep Residual Learning for Image
    Recognition"): a convolution and five blocks of two, all with BatchNormalization.

    It takes photos of any size from 16 pixels on: it may be trained at one and used at another.
    """
    inputs = keras.Input((None, None, 3), name="photo")
    x = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    x = layers.Activation("relu")(_convolve(x, 32, 3, strides=2))
    for filters, strides in ((48, 2), (96, 2), (96, 1), (192, 2), (192, 1)):
        x = _build_residual_block(x, filters, strides)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(TUNED_DROPOUT)(x)
    outputs = _build_classifier(x, class_count)
    return keras.Model(inputs, outputs, name="tuned_cnn")


def build_head(class_count: int, channels: int) -> keras.Model:
    """Build the classifier that goes on top of a frozen backbone, from its features, float32
    (batch, channels).
    """
    inputs = keras.Input((channels,), name="features")
    # Names of its own, since a backbone may have layers with the usual ones.
    options = {"dtype": "float32", "synchronized": devices.are_mirrored()}
    x = layers.BatchNormalization(**options, name="head_normalization")(inputs)
    x = layers.Dropout(HEAD_DROPOUT, dtype="float32", name="head_dropout")(x)
    outputs = _build_classifier(x, class_count, keras.regularizers.L2(HEAD_L2))
    return keras.Model(inputs, outputs, name="head")


def join_backbone_and_head(backbone: keras.Model, head: keras.Model) -> keras.Model:
    """Build the whole model from raw photo to class, out of the layers of a backbone, which gives
    feature maps (batch, height, width, channels), and of a head: who trains that, trains this.
    """
    x = layers.GlobalAveragePooling2D(dtype="float32", name="head_pooling")(backbone.output)
    # `call` runs the head's layers in this graph, rather than nesting a model in the model.
    return keras.Model(backbone.input, head.call(x), name=f"{backbone.name}_classifier")


def average_with_flip(model: keras.Model) -> keras.Model:
    """Build a model that sees each photo and its mirror image, and predicts from the mean of the
    features of both. Its layers are those of the model, shared rather than copied.
    """
    inputs = keras.Input(model.inputs[0].shape[1:], name=model.inputs[0].name)
    features = build_feature_model(model)
    # Both go through as one batch, so every layer is still called once, and a flat graph remains:
    # `call` runs the layers in this graph, rather than nesting a model in the model.
    both = keras.ops.concatenate([inputs, keras.ops.flip(inputs, axis=2)], axis=0)
    seen = keras.ops.reshape(features.call(both), (2, -1, features.output_shape[-1]))
    outputs = model.get_layer(CLASSIFIER_NAME)(keras.ops.mean(seen, axis=0))
    return keras.Model(inputs, outputs, name=model.name)


def build_feature_model(model: keras.Model) -> keras.Model:
    """Build the part of a classifier of ours before its last layer: from photos to features,
    (batch, channels). Its layers are shared, not copied.
    """
    return keras.Model(model.inputs[0], model.get_layer(CLASSIFIER_NAME).input)


def expose_features(model: keras.Model) -> keras.Model:
    """Build a classifier of two outputs: probabilities, and what `build_feature_model` gives."""
    return keras.Model(model.inputs[0], [model.outputs[0], build_feature_model(model).output])


def compile_prediction(model: keras.Model) -> Callable[[np.ndarray], list[np.ndarray]]:
    """Return a function of a batch of any length that gives a list of the model's outputs.

    It is traced here, once. Keras's `predict_on_batch` traces anew for some lengths, and then
    TensorFlow warns of that.
    """

    if keras.config.backend() == "jax":
        return _compile_with_jax(model)

    @tf.function(jit_compile=model.jit_compile)
    def call(batch: tf.Tensor) -> list[tf.Tensor]:
        return keras.tree.flatten(model(batch, training=False))

    traced = call.get_concrete_function(tf.TensorSpec(model.inputs[0].shape, tf.float32))
    return lambda batch: [output.numpy() for output in traced(tf.constant(batch, tf.float32))]


def _compile_with_jax(model: keras.Model) -> Callable[[np.ndarray], list[np.ndarray]]:
    """Do the same with JAX, on the first device of this process, whoever else trains the model."""
    import jax

    @jax.jit
    def call(weights: list[list], batch: jax.Array) -> list[jax.Array]:
        return keras.tree.flatten(model.stateless_call(*weights, batch, training=False)[0])

    variables = model.trainable_variables, model.non_trainable_variables
    weights = [[np.asarray(variable) for variable in group] for group in variables]
    weights = jax.device_put(weights, jax.local_devices()[0])
    return lambda batch: [*map(np.asarray, call(weights, np.asarray(batch, np.float32)))]


def rebuild_model(
    model: keras.Model, dtype_policy: str, inputs: keras.KerasTensor | None = None
) -> keras.Model:
    """Build a Functional model of one input and one output anew in another precision, with the same
    weights: mixed precision keeps these in float32. It starts from `inputs`, by default one of the
    same shape. Models within the model are dissolved: the new one is a flat graph, not compiled.
    """

    def clone(operation: keras.Operation) -> keras.Operation:
        config = operation.get_config()
        if isinstance(operation, keras.Layer):
            config["dtype"] = dtype_policy
        else:  # an operation that Keras named, and whose name it may give once more
            del config["name"]
        return operation.__class__.from_config(config)

    def call(operation: keras.Operation, *arguments, **options):
        apply = operation.call if isinstance(operation, keras.Model) else operation
        return apply(*arguments, **options)

    if inputs is None:
        inputs = keras.Input(model.inputs[0].shape[1:], name=model.inputs[0].name)
    copy = keras.models.clone_model(model, clone_function=clone, call_function=call, recursive=True)
    flat = keras.Model(inputs, copy.call(inputs), name=model.name)
    # Layers of `copy` are now part of two graphs; in a copy of the flat one, they are of one.
    rebuilt = keras.models.clone_model(flat, clone_function=clone)
    rebuilt.set_weights(model.get_weights())
    return rebuilt


def _build_residual_block(x, filters: int, strides: int):
    shortcut = x
    if strides > 1:
        # Averaging loses no pixel, where a strided 1 x 1 convolution would skip three of four.
        shortcut = layers.AveragePooling2D(strides, padding="same")(shortcut)
    if shortcut.shape[-1] != filters:
        shortcut = _convolve(shortcut, filters, 1)
    x = layers.Activation("relu")(_convolve(x, filters, 3, strides))
    x = _convolve(x, filters, 3)
    return layers.Activation("relu")(layers.Add()([x, shortcut]))


def _convolve(x, filters: int, kernel_size: int, strides: int = 1):
    # BatchNormalization brings its own bias. Its default momentum of 0.99 would still remember
    # the first steps after hundreds of them.
    options = {"padding": "same", "use_bias": False, "kernel_initializer": "he_normal"}
    x = layers.Conv2D(filters, kernel_size, strides, **options)(x)
    return layers.BatchNormalization(momentum=0.9, synchronized=devices.are_mirrored())(x)


def _build_classifier(x, class_count: int, regularizer: keras.Regularizer | None = None):
    # Probabilities need float32 whatever the precision of the rest.
    options = {"activation": "softmax", "dtype": "float32", "name": CLASSIFIER_NAME}
    return layers.Dense(class_count, kernel_regularizer=regularizer, **options)(x)
