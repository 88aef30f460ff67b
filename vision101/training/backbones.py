"""Pretrained networks without their top, frozen: they turn a photo into features."""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import keras

from vision101 import processes
from vision101.errors import UserError
from vision101.files import write_table
from vision101.runs import MODEL_NAME
from vision101.terminal import count, say
from vision101.training.models import build_feature_model, rebuild_model
from vision101.training.saved_models import check_sizes, load_model

# Each network of Keras Applications with the preprocessing that it was trained with. Scaling to
# 0-1 in its place is a common mistake that costs much accuracy.
APPLICATIONS = {
    "ResNet50": (keras.applications.ResNet50, keras.applications.resnet50.preprocess_input),
    "ResNet50V2": (keras.applications.ResNet50V2, keras.applications.resnet_v2.preprocess_input),
    "MobileNet": (keras.applications.MobileNet, keras.applications.mobilenet.preprocess_input),
    "MobileNetV2": (
        keras.applications.MobileNetV2,
        keras.applications.mobilenet_v2.preprocess_input,
    ),
    "EfficientNetV2B0": (
        keras.applications.EfficientNetV2B0,
        keras.applications.efficientnet_v2.preprocess_input,  # does nothing: it is inside
    ),
}

SAFE_SIZE = 32  # pixels per side, that Keras promises for all of them; some take smaller photos

# What a classifier may have on top of its features.
HEAD_LAYERS = (
    *(keras.layers.Dense, keras.layers.Activation, keras.layers.Softmax, keras.layers.Dropout),
    *(keras.layers.BatchNormalization, keras.layers.GlobalAveragePooling2D, keras.layers.Flatten),
)


class Backbone(NamedTuple):
    """A frozen network from raw photos to features.

    Attributes:
        name: For names of files and folders.
        title: What a person reads as the name of a classifier on top of it.
        model: Takes float32 (batch, image_size, image_size, 3), RGB, 0-255, and gives features
            (batch, height, width, channels). All of its layers are frozen.
        image_size: Side of the photos in pixels.
        pretrained: Whether its weights were trained; random ones give poor features.
        key: Hash of architecture and weights: equal keys, equal features.
    """

    name: str
    title: str
    model: keras.Model
    image_size: int
    pretrained: bool
    key: str


def build_backbone(backbone: str, weights: str, image_size: int) -> Backbone:
    """Build a frozen backbone for photos of one size, in the global dtype policy.

    Args:
        backbone: A key of `APPLICATIONS`, or the path of a saved Keras model that takes raw
            photos, RGB, 0-255, of any size or of `image_size`, or of a run's folder. What such a
            model has on top of its features is left out.
        weights: `imagenet`, `none` (random), or the path of an `.h5` or `.weights.h5` file for
            that network without its top. A saved model brings its own.
        image_size: Side of the photos in pixels.

    Raises:
        UserError: The file cannot be used, or the weights cannot be downloaded.
    """
    if backbone in APPLICATIONS:
        model = _build_application(backbone, weights, image_size)
        name, pretrained = backbone, weights != "none"
    else:
        path = Path(backbone)
        path = path / MODEL_NAME if path.is_dir() else path
        model, pretrained = _load_backbone(path, image_size), True
        # All models of runs have one name.
        name = path.absolute().parent.name if path.name == MODEL_NAME else path.stem
    model.trainable = False
    for layer in model.layers:
        # Dropout, which frozen layers would go on doing in training: the backbone only infers.
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    title = f"{name} transfer" if pretrained else f"UNTRAINED {name} (random weights)"
    return Backbone(name, title, model, image_size, pretrained, _hash_model(model))


def rebuild_backbone(backbone: Backbone, dtype_policy: str) -> Backbone:
    """Build a backbone anew in another precision, with the same weights."""
    model = rebuild_model(backbone.model, dtype_policy)
    model.trainable = False
    return backbone._replace(model=model, key=_hash_model(model))


def cut_classifier(model: keras.Model, image_size: int, name: str) -> Backbone:
    """Make a backbone of the classifier of a run: all of it but its last layer, `probabilities`.

    Raises:
        UserError: The model has no such layer.
    """
    try:
        last_features = build_feature_model(model).output
    except ValueError as error:
        raise UserError(
            f"--run {name}: its model has no layer 'probabilities'; give a run of train_cnn.py or "
            "train_transfer.py"
        ) from error
    backbone = keras.Model(model.input, _map_features(last_features), name=model.name)
    backbone.trainable = False
    return Backbone(name, name, backbone, image_size, True, _hash_model(backbone))


def _build_application(name: str, weights: str, image_size: int) -> keras.Model:
    build_model, preprocess_input = APPLICATIONS[name]
    inputs = keras.Input((image_size, image_size, 3), name="photo")
    try:
        if weights not in ("none", "imagenet"):
            check_sizes(Path(weights))
        network = build_model(
            include_top=False,
            weights=None if weights == "none" else weights,
            # One flat graph from the photo on: nothing hides in a model within the model.
            input_tensor=preprocess_input(inputs),
        )
        if 0 in network.output_shape:  # which Keras 3.11 does not mind
            raise ValueError("no pixel is left")
    # Keras raises a plain Exception where a download fails, and others where a file is no use.
    except Exception as error:
        reason = _first_line(error)
        if image_size < SAFE_SIZE and isinstance(error, ValueError):
            raise UserError(
                f"--image-size {image_size}: too small for {name}; use {SAFE_SIZE} or more"
            ) from error
        if weights == "imagenet":
            raise UserError(
                f"the weights of {name} could not be downloaded ({reason}). Ways on: try again "
                "when the network is there; or fetch the file named above elsewhere and use "
                "--weights FILE; or use another network, --backbone FILE.keras; or do without, "
                "--weights none, which shows how it works but not how well"
            ) from error
        raise UserError(
            f"--weights {weights}: no weights of {name} without its top ({reason}); give "
            "imagenet, none, or the .h5 file of Keras Applications that ends in _notop.h5"
        ) from error
    return keras.Model(inputs, network.output, name=name.lower())


def _load_backbone(path: Path, image_size: int) -> keras.Model:
    try:
        model = load_model(path)
        if taken := {*model.input_shape[1:3]} - {None, image_size}:
            (size,) = taken
            raise UserError(
                f"--backbone {path}: takes photos of {size} pixels: use --image-size {size}"
            )
        features = _map_features(_cut_head(model))
        inputs = keras.Input((image_size, image_size, 3), name="photo")
        model = keras.Model(model.input, features, name=model.name)
        return rebuild_model(model, keras.config.dtype_policy().name, inputs)
    except UserError:
        raise
    except Exception as error:  # Keras raises what occurs to it on a damaged file
        raise UserError(
            f"--backbone {path}: cannot be used on photos of {image_size} pixels "
            f"({_first_line(error)}); "
            "give a Functional model saved by Keras that takes them"
        ) from error


def _cut_head(model: keras.Model) -> keras.KerasTensor:
    """Return what the last Dense layer of a classifier takes, before it is pooled if it is."""
    output, dense_count = model.outputs[0], 0
    for operation in reversed(model.operations):
        dense_count += isinstance(operation, keras.layers.Dense)
        # Keras puts operations that change nothing but the type between layers.
        on_top = isinstance(operation, HEAD_LAYERS) or (
            not isinstance(operation, keras.Layer) and operation.input.shape == output.shape
        )
        on_top = on_top and operation.output is output
        if len(output.shape) == 4 or dense_count > 1 or not on_top:
            break
        output = operation.input
    return output


def _map_features(features: keras.KerasTensor) -> keras.KerasTensor:
    """Return features, (batch, channels), as a feature map of one place; maps as they are."""
    if len(features.shape) == 4:
        return features
    # Without a name of its own it might get one that the loaded model has already.
    shape = (1, 1, features.shape[-1])
    return keras.layers.Reshape(shape, name="feature_map")(features)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _hash_model(model: keras.Model) -> str:
    description = model.to_json()
    # Keras counts names up, so that one network built twice in a process has two sets of them.
    for position, operation in enumerate(model.operations):
        description = description.replace(json.dumps(operation.name), str(position))
    digest = hashlib.sha256(description.encode())
    for weights in model.get_weights():
        digest.update(weights.tobytes())
    return digest.hexdigest()


def unfreeze_last_layers(backbone: keras.Model, head: keras.Model, count: int) -> None:
    """Make the last `count` layers of a backbone trainable, and the head with them.

    BatchNormalization stays as it is in both: its statistics, made from many photos, would be
    spoilt by batches of a few (Keras guide "Transfer learning & fine-tuning").
    """
    if count > len(backbone.layers):
        print(f"--fine-tune {count}: the backbone has {len(backbone.layers)} layers; trains all.")
    backbone.trainable = head.trainable = True
    frozen = backbone.layers[: max(0, len(backbone.layers) - count)]
    for layer in backbone.layers + head.layers:
        layer.trainable = layer not in frozen and not isinstance(
            layer, keras.layers.BatchNormalization
        )


def print_trainable(model: keras.Model, folder: Path) -> None:
    """Print which layers of a model are frozen and which are trained, a line each; have the first
    process write all to `layers.csv` in a run's folder; and assert that frozen ones have no weights
    to be trained.
    """
    with_weights = [layer for layer in model.layers if layer.weights]
    for flag, verb in ((False, "Frozen"), (True, "Trained")):
        layers = [layer for layer in with_weights if layer.trainable == flag]
        assert flag or not any(layer.trainable_weights for layer in layers)
        weights = count(sum(layer.count_params() for layer in layers), "weight")
        names = [layer.name for layer in layers]
        shown = f"{names[0]} … {names[-1]}" if len(names) > 3 else ", ".join(names) or "none"
        say(f"{verb}: {count(len(names), 'layer')} with {weights}: {shown}")
    rows = [(each.name, each.count_params(), int(each.trainable)) for each in with_weights]
    if processes.rank == 0:
        write_table(folder / "layers.csv", ("layer", "weights", "trained"), rows)
