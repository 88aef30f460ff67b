"""Several devices learn what one does. Here, a machine with one processor is divided into two.

TensorFlow divides it for a whole process, so a process of its own trains: this file, as a script.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from vision101.training import devices, models, schedule
from vision101.training.augmentation import Augmentation
from vision101.training.backbones import unfreeze_last_layers
from vision101.training.datasets import Examples, build_dataset, build_training_dataset
from vision101.training.log import TrainingLog

DEVICES = ["CPU:0", "CPU:1"]
BATCH_SIZE, EPOCHS = 8, 2
PHOTOS, UNEVEN_PHOTOS, VALIDATION_PHOTOS = 12, 11, 5  # so validation batches are filled up


@pytest.fixture(scope="module")
def trained():
    """Return for each network its history and final weights, of one device and of two."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, __file__]
    process = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert process.returncode == 0, process.stderr.decode()
    return json.loads(process.stdout.splitlines()[-1])


@pytest.mark.parametrize("network", ["tuned", "head"])
def test_several_devices_have_the_losses_of_one(network, trained):
    one, several = trained[network]
    assert one["val_loss"][0] != one["val_loss"][-1]
    for name in one:
        np.testing.assert_allclose(several[name], one[name], rtol=1e-3, atol=1e-5, err_msg=name)


def test_batches_that_cannot_be_shared_evenly_give_the_same_network(trained):
    one, several = trained["fine-tuned"]
    # The mean of an epoch gives its last batch the weight of a filled-up one.
    for name in ("weights", "val_loss", "val_accuracy"):
        np.testing.assert_allclose(several[name], one[name], atol=1e-5, err_msg=name)


def test_training_on_several_devices_goes_on_to_the_last_bit(trained):
    whole, resumed = trained["resumed"]
    assert resumed == whole


def test_hint_appears_where_gpus_would_wait(monkeypatch):
    used = []
    monkeypatch.setattr(devices, "list_gpus", lambda: [f"GPU:{number}" for number in range(8)])
    monkeypatch.setattr(devices, "name_gpu", lambda: "H100")
    monkeypatch.setattr(devices, "_mirror", lambda names: used.append(len(names)))
    told, hint = devices.choose_devices(32).splitlines()
    assert told == "Training on 8 GPUs, H100, float32"
    assert "4 photos" in hint
    assert "--batch-size 256" in hint
    assert devices.choose_devices(256) == told
    devices.choose_devices(3)  # of which eight cannot all have one
    assert used == [8, 8, 3]


def make_examples(count: int, *shape: int) -> Examples:
    generator = np.random.default_rng(0)
    labels = np.eye(3, dtype="float32")[np.arange(count) % 3]
    inputs = generator.integers(0, 200, (count, *shape), dtype=np.uint8)
    brightness = 25 * np.arange(count) % 75  # something to learn
    return Examples(inputs + brightness.reshape(-1, *[1] * len(shape)).astype(np.uint8), labels)


def fit(model, train: Examples, validation: Examples, augment=None, run=None, epochs=EPOCHS):
    """Train a network as the scripts do; return its history and, flat, its weights."""
    steps = -(-len(train.labels) // BATCH_SIZE)
    first = run.epochs if run else 0
    rate = schedule.build_learning_rate_schedule(1e-3, EPOCHS * steps)
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    model.compile(keras.optimizers.AdamW(rate), loss, weighted_metrics=["accuracy"])
    history = model.fit(
        build_training_dataset(train, BATCH_SIZE, seed=0, first_epoch=first, augment=augment),
        validation_data=build_dataset(validation, BATCH_SIZE),
        **{"initial_epoch": first, "epochs": epochs, "steps_per_epoch": steps},
        **{"shuffle": False, "verbose": 0, "callbacks": [TrainingLog(run, EPOCHS)] if run else []},
    ).history
    weights = [np.ravel(array) for array in model.get_weights()]
    return history | {"weights": np.concatenate(weights).tolist()}


def train_all() -> dict[str, dict]:
    """Train each kind of network, by the steps of the scripts."""
    keras.utils.set_random_seed(0)
    train = make_examples(PHOTOS, 20, 20, 3)
    validation = make_examples(VALIDATION_PHOTOS, 16, 16, 3)
    # Of the tuned network, one block: of all, TensorFlow would be busy for ten seconds.
    tuned = models.build_tuned_cnn(3)
    block = next(layer for layer in tuned.layers if isinstance(layer, keras.layers.Add))
    pooled = keras.layers.GlobalAveragePooling2D()(block.output)
    outputs = keras.layers.Dense(3, activation="softmax")(pooled)
    tuned = keras.Model(tuned.input, outputs)
    whole = train._replace(aspect_ratios=np.ones(PHOTOS))
    results = {"tuned": fit(tuned, whole, validation, Augmentation([16], mixup=True))}

    # Transfer learning: features of views, the head, and then the last layers on the views.
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(8, 3, strides=2)(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.Activation("relu")(keras.layers.BatchNormalization()(x))
    backbone = keras.Model(inputs, keras.layers.Conv2D(8, 3)(x))
    backbone.trainable = False
    call = models.compile_prediction(backbone)
    views = make_examples(PHOTOS, 2, 16, 16, 3)
    of_views, of_photos = (
        call(images.reshape(-1, 16, 16, 3))[0].mean(axis=(1, 2)).reshape(*images.shape[:-3], 8)
        for images in (views.inputs, validation.inputs)
    )
    head = models.build_head(3, 8)
    model = models.join_backbone_and_head(backbone, head)
    features = views._replace(inputs=of_views), validation._replace(inputs=of_photos)
    results["head"] = fit(head, *features)
    unfreeze_last_layers(backbone, head, 3)
    results["fine-tuned"] = fit(model, make_examples(UNEVEN_PHOTOS, 2, 16, 16, 3), validation)
    return results


def train_head(folder: str, *stops: int) -> dict:
    """Train a head, which has dropout, to each of the epochs, each time anew from its checkpoint;
    return the whole history and the last weights.
    """
    run = SimpleNamespace(folder=Path(folder), history={}, stopped="", epochs=0)
    run.seconds_so_far = lambda stage: {stage: 1.0}
    for stop in stops:
        keras.utils.set_random_seed(0)
        examples = make_examples(UNEVEN_PHOTOS, 2, 4), make_examples(VALIDATION_PHOTOS, 4)
        weights = fit(models.build_head(3, 4), *examples, run=run, epochs=stop)["weights"]
        run.epochs = stop
    return run.history | {"weights": weights}


if __name__ == "__main__":
    processor = tf.config.list_physical_devices("CPU")[0]
    divided = [tf.config.LogicalDeviceConfiguration() for _ in DEVICES]
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})  # takes long
    tf.config.set_logical_device_configuration(processor, divided)
    devices.list_gpus, devices.name_gpu = (lambda: DEVICES), (lambda: "half a processor")
    dropout = models.HEAD_DROPOUT
    models.HEAD_DROPOUT = models.TUNED_DROPOUT = 0.0  # each device would draw its own
    one = train_all()
    devices.choose_devices(BATCH_SIZE)
    results = {name: [one[name], several] for name, several in train_all().items()}
    models.HEAD_DROPOUT = dropout
    with tempfile.TemporaryDirectory() as whole, tempfile.TemporaryDirectory() as halves:
        results["resumed"] = [train_head(whole, EPOCHS), train_head(halves, 1, EPOCHS)]
    print(json.dumps(results))
