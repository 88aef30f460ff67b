"""The portable model: the same answers as Keras, and a word where there is none."""

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from conftest import EXPORTS, PROJECT

import explore
from vision101.errors import UserError
from vision101.evaluation.evaluate import evaluate_model
from vision101.photos.index import index_photos, list_classes
from vision101.photos.sources import find_photos
from vision101.photos.split import split_photos
from vision101.portable import PORTABLE_NAME, export_model, load_portable_model
from vision101.prediction import load_classifier
from vision101.training import models
from vision101.training.backbones import build_backbone, unfreeze_last_layers
from vision101.training.datasets import decode_split

SIZE = 32
pytestmark = pytest.mark.skipif(not EXPORTS, reason="Keras cannot export before 3.13")

NETWORKS = ("base", "tuned", "frozen backbone", "fine-tuned backbone")


@pytest.fixture(scope="module")
def examples(painted_folder, tmp_path_factory):
    photos = index_photos(find_photos(str(painted_folder)), tmp_path_factory.mktemp("data"))
    split = split_photos(photos, seed=0)
    return decode_split(split, list_classes(photos), SIZE)


def build(network: str, images: np.ndarray, folder: Path) -> keras.Model:
    if network == "base":
        return models.build_base_cnn(3, SIZE)
    if network == "tuned":
        return models.build_tuned_cnn(3)
    name = "MobileNetV2"
    if network == "frozen backbone":
        name = str(folder / "saved.keras")
        inputs = keras.Input((None, None, 3), name="a_name_of_its_own")
        keras.Model(inputs, keras.layers.Conv2D(8, 3, strides=2)(inputs)).save(name)
    backbone = build_backbone(name, "none", SIZE)
    head = models.build_head(3, backbone.model.output_shape[-1])
    if network == "fine-tuned backbone":
        # Random weights give the same features for all photos, but for normalization.
        backbone.model.trainable = True
        for layer in backbone.model.layers:
            layer.momentum = 0.0
        backbone.model(images, training=True)
        backbone.model.trainable = False
        unfreeze_last_layers(backbone.model, head, 20)
    return models.join_backbone_and_head(backbone.model, head)


@pytest.mark.parametrize("network", NETWORKS)
def test_answers_are_those_of_keras(network, examples, tmp_path):
    images, labels = examples["train"].inputs.astype("float32"), examples["train"].labels
    model = build(network, images, tmp_path)
    # Briefly trained, so that answers differ and normalization has something to normalize by.
    model.compile("adam", "categorical_crossentropy")
    model.fit(images, labels, epochs=3, verbose=0)
    if network == "tuned":
        model = models.average_with_flip(model)
    model = models.rebuild_model(model, "float32")
    evaluation = evaluate_model(model, examples, ["a", "b", "c"], 0.4)
    run = SimpleNamespace(folder=tmp_path, config={"image_size": SIZE}, results={})
    (tmp_path / "results.json").write_text("{}")
    export_model(run, model)
    unseen = examples["unseen"].inputs
    _, expected_features = models.compile_prediction(models.expose_features(model))(unseen)
    probabilities, features = load_portable_model(run)(unseen)
    expected = evaluation.probabilities["unseen"]
    assert np.ptp(expected[:, 0]) > 1e-3  # or the same answer to everything would do
    np.testing.assert_allclose(probabilities, expected, atol=1e-4)
    usual, alike = evaluation.detector.check(features)
    np.testing.assert_array_equal(usual, evaluation.detector.check(expected_features)[0])
    accepted = alike & (probabilities.max(axis=1) >= evaluation.confidence["threshold"])
    np.testing.assert_array_equal(accepted, evaluation.accepted["unseen"])


def test_a_finished_run_is_asked_without_tensorflow(finished_run, painted_folder):
    assert (finished_run[0] / PORTABLE_NAME).is_file()
    photo = painted_folder / "roses" / "roses-0001.jpg"
    heavy = ("tensorflow", "keras", "sklearn", "pandas", "scipy", "matplotlib", "imagehash")
    program = (
        "import sys, predict\n"
        f"sys.argv = ['predict.py', '--run', {str(finished_run[0])!r}, {str(photo)!r}]\n"
        "predict.main()\n"
        f"print('loaded', [name for name in {heavy} if name in sys.modules])"
    )
    command = [sys.executable, "-c", program]
    outcome = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, check=False)
    assert outcome.stderr == ""
    assert outcome.stdout.endswith("loaded []\n")


@pytest.mark.parametrize("content", [None, b"", b"damaged", "half"])
def test_without_a_portable_model_keras_answers_and_says_why(finished_run, content, tmp_path):
    whole = (finished_run[0] / PORTABLE_NAME).read_bytes()
    path = tmp_path / PORTABLE_NAME
    if content is not None:
        path.write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    with pytest.raises(UserError, match="damaged" if path.exists() else "has no model"):
        load_portable_model(SimpleNamespace(folder=tmp_path, results={}))


def test_a_portable_model_that_was_changed_is_not_used(finished_run, tmp_path, capsys):
    run = shutil.copytree(finished_run[0], tmp_path / "run")
    content = bytearray((run / PORTABLE_NAME).read_bytes())
    content[len(content) // 2] ^= 1
    (run / PORTABLE_NAME).write_bytes(content)
    classifier = load_classifier(run)
    assert classifier.model is not None
    assert "Keras predicts, which takes longer: " in (told := capsys.readouterr().err)
    assert "changed or damaged" in told


def test_without_the_runtime_keras_answers_and_says_why(finished_run, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    classifier = load_classifier(finished_run[0])
    assert classifier.model.count_params() > 0
    assert "not installed" in capsys.readouterr().err


def test_explore_looks_through_the_network_of_a_run_that_has_a_portable_one(finished_run):
    assert load_classifier(finished_run[0]).model is None
    flags = SimpleNamespace(run=finished_run[0], skip_labels=False)
    network, note = explore.find_network(flags)
    assert network.model.output_shape[1:3] == (1, 1)
    assert finished_run[0].name in note


def test_a_model_that_cannot_be_exported_costs_a_line_and_no_run(examples, tmp_path, capsys):
    model = models.build_base_cnn(3, SIZE)
    (tmp_path / PORTABLE_NAME).mkdir()  # so that no file can be put there
    export_model(SimpleNamespace(folder=tmp_path, config={"image_size": SIZE}), model)
    _, line = capsys.readouterr().out.splitlines()
    assert line.startswith(f"No {PORTABLE_NAME} (")
    assert "Keras" in line
