"""The log of a training: what is kept of every epoch, and which weights remain."""

import csv
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from vision101.errors import UserError
from vision101.training.log import TrainingLog


@pytest.fixture
def log(tmp_path):
    run = SimpleNamespace(folder=tmp_path, history={}, stopped="", epochs=0)
    run.seconds_so_far = lambda stage: {stage: 1.0}
    return TrainingLog(run, epochs=9)


def train(log: TrainingLog, model: keras.Model, accuracies: list[float], first: int = 0) -> None:
    """Pretend to train: weights of each epoch are its number, with these accuracies."""
    log.set_model(model)
    log.set_params({"steps": 1})
    log.on_train_begin()
    for epoch, accuracy in enumerate(accuracies, first):
        log.on_epoch_begin(epoch)
        model.set_weights([np.full_like(array, epoch) for array in model.get_weights()])
        loss = float(accuracy) and 1.0 - accuracy
        logs = {"accuracy": 0.5, "loss": loss, "val_accuracy": accuracy, "val_loss": loss}
        log.on_epoch_end(epoch, logs)
    log.on_train_end()


@pytest.fixture
def model():
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    model.compile("sgd", "mse")
    return model


def test_model_is_left_with_the_weights_of_its_first_best_epoch(log, model):
    train(log, model, [0.5, 0.75, 0.75, 0.25])
    assert model.get_weights()[0][0, 0] == 1
    with (log.run.folder / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2", "3"]
    assert [float(row["val_accuracy"]) for row in rows] == log.run.history["val_accuracy"]


def test_later_training_has_to_beat_the_best_epoch_of_an_earlier_one(log, model):
    train(log, model, [0.5, 0.75])
    train(log, model, [0.7, 0.6], first=2)
    assert model.get_weights()[0][0, 0] == 1
    train(log, model, [0.8], first=4)
    assert model.get_weights()[0][0, 0] == 4
    assert len(log.run.history["loss"]) == 5


def test_training_that_diverges_ends_in_one_line(log, model):
    with pytest.raises(UserError, match="epoch 2.*learning rate"):
        train(log, model, [0.5, np.nan])
