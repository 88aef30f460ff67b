"""Transfer learning: the frozen backbone, its features, and the whole model."""

import csv
import shutil

import keras
import numpy as np
import pytest
from conftest import Outcome

import train_transfer
from vision101.cli import BACKBONES
from vision101.errors import UserError
from vision101.photos.index import index_photos, list_classes
from vision101.photos.reading import read_pixels
from vision101.photos.sources import find_photos
from vision101.training import backbones, features
from vision101.training.backbones import build_backbone, unfreeze_last_layers
from vision101.training.datasets import build_training_dataset, decode_photos
from vision101.training.features import compute_features
from vision101.training.models import (
    average_with_flip,
    build_base_cnn,
    build_head,
    build_tuned_cnn,
    compile_prediction,
    join_backbone_and_head,
    rebuild_model,
)
from vision101.training.views import read_view

SIZE = 32


@pytest.fixture(scope="module")
def photos(painted_folder, tmp_path_factory):
    return index_photos(find_photos(str(painted_folder)), tmp_path_factory.mktemp("data"))[::5]


@pytest.fixture(scope="module")
def backbone_file(tmp_path_factory):
    """A small saved backbone with a model inside the model, for raw photos of any size."""
    inner_inputs = keras.Input((None, None, 8))
    x = keras.layers.Conv2D(12, 3, strides=2, use_bias=False)(inner_inputs)
    x = keras.layers.BatchNormalization()(x)
    inner = keras.Model(inner_inputs, keras.layers.Activation("relu")(x))
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1)(inputs)
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(x)
    path = tmp_path_factory.mktemp("backbone") / "small.keras"
    keras.Model(inputs, inner(x)).save(path)
    return path


@pytest.fixture
def backbone(backbone_file):
    return build_backbone(str(backbone_file), "imagenet", SIZE)


def test_application_is_frozen_and_preprocesses_as_it_was_trained():
    backbone = build_backbone("ResNet50", "none", SIZE)
    assert not backbone.pretrained
    assert "UNTRAINED" in backbone.title
    assert not any(layer.trainable for layer in backbone.model.layers)
    assert backbone.model.trainable_weights == []
    # ResNet50 learnt from BGR with the mean colour taken off, not from 0-1.
    photo = np.random.default_rng(0).integers(0, 256, (1, SIZE, SIZE, 3)).astype("float32")
    reference = keras.applications.ResNet50(include_top=False, weights=None)
    reference.set_weights(backbone.model.get_weights())
    expected = reference(keras.applications.resnet50.preprocess_input(photo.copy()))
    np.testing.assert_allclose(backbone.model(photo), expected, rtol=1e-3, atol=1e-4)


def test_names_of_networks_are_known_before_keras_is_loaded():
    assert tuple(backbones.APPLICATIONS) == BACKBONES
    assert all(f"--backbone {name} " in train_transfer.__doc__ for name in BACKBONES)


def test_weights_are_read_from_an_h5_file(tmp_path):
    network = keras.applications.ResNet50(include_top=False, weights=None)
    path = tmp_path / "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    network.save(path)  # by its name in the old format, which Keras Applications keep
    backbone = build_backbone("ResNet50", str(path), SIZE)
    assert backbone.pretrained
    for read, written in zip(backbone.model.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(read, written)


@pytest.mark.parametrize("weights", ["nothing.h5", "text.h5"])
def test_unusable_weights_are_usage_errors(weights, tmp_path):
    (tmp_path / "text.h5").write_text("text")
    with pytest.raises(UserError, match=rf"--weights .*{weights}") as caught:
        build_backbone("ResNet50", str(tmp_path / weights), SIZE)
    assert "\n" not in str(caught.value)


def test_too_small_photos_are_named():
    with pytest.raises(UserError, match="--image-size 16: too small for MobileNet; use 32 or more"):
        build_backbone("MobileNet", "none", 16)


def test_failed_download_offers_ways_on(monkeypatch, tmp_path):
    address = "http://127.0.0.1:1/resnet50_notop.h5"

    def fail(**options):
        keras.utils.get_file("resnet50_notop.h5", address, cache_dir=tmp_path)

    monkeypatch.setitem(backbones.APPLICATIONS, "ResNet50", (fail, lambda x: x))
    with pytest.raises(UserError) as caught:
        build_backbone("ResNet50", "imagenet", SIZE)
    message = str(caught.value)
    assert "\n" not in message
    ways_on = ("try again", "--weights FILE", "--backbone FILE.keras", "--weights none")
    for expected in (address, *ways_on):
        assert expected in message


def test_saved_backbones_become_one_flat_frozen_graph(backbone, backbone_file):
    original = keras.saving.load_model(backbone_file)
    photo = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3)).astype("float32")
    np.testing.assert_allclose(backbone.model(photo), original(photo), atol=1e-5)
    assert not any(isinstance(layer, keras.Model) for layer in backbone.model.layers)
    assert not any(layer.trainable for layer in backbone.model.layers)
    assert backbone.name == "small"


def test_unusable_backbones_are_usage_errors(tmp_path):
    (tmp_path / "text.keras").write_text("no model")
    with pytest.raises(UserError, match="--backbone"):
        build_backbone(str(tmp_path / "text.keras"), "none", SIZE)
    keras.Sequential([keras.Input((48, 48, 3)), keras.layers.Conv2D(2, 3)]).save(
        tmp_path / "large.keras"
    )
    with pytest.raises(UserError, match="takes photos of 48 pixels: use --image-size 48"):
        build_backbone(str(tmp_path / "large.keras"), "none", SIZE)


def add_head(backbone: keras.Model) -> keras.Model:
    return join_backbone_and_head(backbone, build_head(3, backbone.output_shape[-1]))


def build_foreign_classifier() -> keras.Model:
    """As other scripts save them: a pooling, and a softmax in a layer of its own."""
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(6, 3, activation="relu", dtype="mixed_bfloat16")(inputs)
    x = keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D(dtype="float32")(x))
    return keras.Model(inputs, keras.layers.Softmax()(x))


@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (lambda backbone: build_base_cnn(3, SIZE), (None, 1, 1, 128)),
        (lambda backbone: average_with_flip(build_tuned_cnn(3)), (None, 1, 1, 192)),
        (lambda backbone: add_head(backbone.model), (None, 7, 7, 12)),
        (lambda backbone: build_foreign_classifier(), (None, 30, 30, 6)),
    ],
    ids=["base", "tuned", "transfer", "of other scripts"],
)
def test_what_was_trained_before_can_be_gone_on_from(backbone, tmp_path, build, shape):
    """A run is named by its folder; its network serves up to what its last Dense layer takes."""
    folder = tmp_path / "a run"
    folder.mkdir()
    classifier = build(backbone)
    classifier.save(folder / "best.keras")
    classifier = keras.models.load_model(folder / "best.keras", compile=False)
    network = build_backbone(str(folder), "none", SIZE)
    assert (network.name, network.pretrained) == ("a run", True)
    assert network.model.output_shape == shape
    images = np.random.default_rng(0).uniform(0, 255, (2, SIZE, SIZE, 3)).astype(np.float32)
    (maps,) = compile_prediction(network.model)(images)
    layers = {type(layer): layer for layer in classifier.layers}
    taken = layers[keras.layers.Dense].input
    if shape[1] > 1:  # before pooling, which is compared after it
        taken = layers[keras.layers.GlobalAveragePooling2D].output
    (expected,) = compile_prediction(keras.Model(classifier.inputs[0], taken))(images)
    np.testing.assert_allclose(maps.mean(axis=(1, 2)), expected, rtol=0.02, atol=1e-3)
    # Another class can be learned on top, and that network be gone on from again.
    add_head(rebuild_model(network.model, "float32")).save(folder / "best.keras")
    assert build_backbone(str(folder), "none", SIZE).model.output_shape == shape


def test_views_are_repeatable_different_and_start_with_the_plain_photo(photos):
    views = [read_view(photos[0], view, SIZE) for view in range(5)]
    np.testing.assert_array_equal(views[0], read_pixels(photos[0].path, SIZE))
    for number, view in enumerate(views):
        np.testing.assert_array_equal(view, read_view(photos[0], number, SIZE))
        assert (view.shape, view.dtype) == ((SIZE, SIZE, 3), np.uint8)
    assert len({view.tobytes() for view in views}) == 5


def test_features_are_those_of_the_views(backbone, photos, tmp_path):
    computed = compute_features(backbone, photos, 3, "test", tmp_path)
    assert computed.shape == (len(photos), 3, 12)
    pixels = np.stack([read_view(photos[4], view, SIZE) for view in range(3)])
    expected = np.mean(backbone.model(pixels.astype("float32")), axis=(1, 2))
    np.testing.assert_allclose(computed[4], expected, atol=1e-5)


@pytest.fixture
def passes(monkeypatch):
    """Count the views that are read, and so go through the backbone."""
    counted = []
    original = features.read_view
    monkeypatch.setattr(
        features,
        "read_view",
        lambda photo, view, size: counted.append(view) or original(photo, view, size),
    )
    return counted


def test_features_are_computed_once(backbone, backbone_file, photos, passes, tmp_path):
    first = compute_features(backbone, photos, 2, "test", tmp_path)
    assert len(passes) == 2 * len(photos)
    rebuilt = build_backbone(str(backbone_file), "imagenet", SIZE)  # as in the next run
    again = compute_features(rebuilt, photos[::-1], 2, "test", tmp_path)
    np.testing.assert_array_equal(again, first[::-1])
    assert len(passes) == 2 * len(photos)
    compute_features(backbone, photos, 3, "test", tmp_path)
    assert passes[2 * len(photos) :] == [2] * len(photos)


def test_features_are_not_mixed_up(backbone, backbone_file, photos, passes, tmp_path):
    compute_features(backbone, photos, 1, "test", tmp_path)
    # Another size, other weights under the same name, another precision: all computed anew.
    compute_features(
        build_backbone(str(backbone_file), "none", 2 * SIZE), photos, 1, "test", tmp_path
    )
    model = keras.saving.load_model(backbone_file)
    model.set_weights([weights + 0.01 for weights in model.get_weights()])
    other_file = tmp_path / backbone_file.name
    model.save(other_file)
    compute_features(build_backbone(str(other_file), "none", SIZE), photos, 1, "t", tmp_path)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = build_backbone(str(backbone_file), "none", SIZE)
    finally:
        keras.config.set_dtype_policy("float32")
    compute_features(mixed, photos, 1, "test", tmp_path)
    assert len(passes) == 4 * len(photos)


def test_stopped_computation_goes_on_where_it_was(backbone, photos, passes, monkeypatch, tmp_path):
    monkeypatch.setattr(features, "BATCH_SIZE", 3)
    call = compile_prediction(backbone.model)
    done = []

    def stop_at_third(pixels):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(pixels)
        return call(pixels)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(features, "compile_prediction", lambda model: stop_at_third)
        compute_features(backbone, photos, 1, "test", tmp_path)
    passes.clear()
    computed = compute_features(backbone, photos, 1, "test", tmp_path)
    assert len(passes) == len(photos) - 6
    fresh = compute_features(backbone, photos, 1, "test", tmp_path / "fresh")
    np.testing.assert_allclose(computed, fresh, atol=1e-6)


def test_damage_is_noticed_and_mended(backbone, photos, passes, tmp_path):
    expected = compute_features(backbone, photos, 2, "test", tmp_path)
    passes.clear()
    for position, damage in ((2, b""), (5, b"no features"), (9, None)):
        (path,) = tmp_path.glob(f"features/*/{photos[position].sha256}.npz")
        content = path.read_bytes()
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        path.write_bytes(flipped if damage is None else damage)
    for _ in range(2):
        again = compute_features(backbone, photos, 2, "test", tmp_path)
        np.testing.assert_allclose(again, expected, atol=1e-6)
        assert len(passes) == 6


def test_kept_features_and_the_plain_way_give_the_same_model(backbone, photos, tmp_path):
    class_names = list_classes(photos)
    by_features = compute_features(backbone, photos, 3, "test", tmp_path)
    by_photos = decode_photos(photos, class_names, SIZE, "test", views=3)
    weights = []
    for plain in (False, True):
        keras.utils.set_random_seed(0)
        head = build_head(len(class_names), 12)
        model = join_backbone_and_head(backbone.model, head)
        trained = model if plain else head
        examples = by_photos if plain else by_photos._replace(inputs=by_features)
        trained.compile("sgd", "categorical_crossentropy")
        dataset = build_training_dataset(examples, 4, seed=0)
        steps = -(-len(examples.labels) // 4)
        trained.fit(dataset, epochs=3, steps_per_epoch=steps, verbose=0)
        weights.append(head.get_weights())
    for kept, plain in zip(*weights, strict=True):
        np.testing.assert_allclose(kept, plain, atol=1e-4)


def test_the_whole_model_is_backbone_and_head(backbone):
    head = build_head(3, 12)
    model = join_backbone_and_head(backbone.model, head)
    photo = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3)).astype("float32")
    pooled = np.mean(backbone.model(photo), axis=(1, 2))
    np.testing.assert_allclose(model(photo), head(pooled), atol=1e-5)
    assert {weight.path for weight in model.trainable_weights} == {
        weight.path for weight in head.trainable_weights
    }


def test_fine_tuning_trains_the_last_layers_and_no_batch_normalization(backbone):
    head = build_head(3, 12)
    model = join_backbone_and_head(backbone.model, head)
    unfreeze_last_layers(backbone.model, head, 3)
    trainable = {layer.name: layer.trainable for layer in head.layers if layer.weights}
    assert trainable == {"head_normalization": False, "probabilities": True}
    kinds = [
        (type(layer).__name__, layer.trainable) for layer in backbone.model.layers if layer.weights
    ]
    assert kinds == [("Conv2D", False), ("Conv2D", True), ("BatchNormalization", False)]
    before = backbone.model.get_weights()
    model.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy")
    photos = np.random.default_rng(0).integers(0, 256, (8, SIZE, SIZE, 3)).astype("float32")
    model.fit(photos, np.eye(3)[np.arange(8) % 3], verbose=0)
    changed = [
        not np.array_equal(old, new)
        for old, new in zip(before, backbone.model.get_weights(), strict=True)
    ]
    # First convolution: kernel, bias. Second: kernel. BatchNormalization: four, statistics too.
    assert changed == [False, False, True, False, False, False, False]


def test_rebuilding_changes_precision_and_nothing_else(backbone):
    mixed = rebuild_model(backbone.model, "mixed_bfloat16")
    assert mixed.layers[-1].dtype_policy.name == "mixed_bfloat16"
    assert mixed.input_shape == backbone.model.input_shape
    for old, new in zip(backbone.model.get_weights(), mixed.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.fixture(scope="module")
def transfer_outputs(run_script, finished_run, painted_folder, backbone_file, tmp_path_factory):
    """Run the script beside a finished CNN, and return its folder and what it showed."""
    outputs = tmp_path_factory.mktemp("outputs")
    shutil.copytree(finished_run[0], outputs / finished_run[0].name)
    outcome = run_script(
        "train_transfer.py",
        *("--data", painted_folder, "--backbone", backbone_file, "--image-size", SIZE),
        *("--epochs", 3, "--fine-tune", 40, "--output-dir", outputs),
    )
    assert outcome.code == 0, outcome.err
    (run_folder,) = outputs.glob("*-transfer-*")
    return run_folder, outcome


def test_script_shows_what_is_frozen_and_the_cnn_beside_it(transfer_outputs):
    run_folder, outcome = transfer_outputs
    assert "small" in run_folder.name
    lines = [line for line in outcome.out.splitlines() if line.startswith(("Frozen:", "Trained:"))]
    frozen, head, _, tuned = lines
    assert "conv2d" in frozen
    assert "conv2d" not in head
    assert "probabilities" in head
    assert "conv2d" in tuned
    layers = (run_folder / "layers.csv").read_text().splitlines()
    assert layers[0] == "layer,weights,trained"
    assert layers[1].startswith("conv2d") and layers[1].endswith(",1")
    assert "--fine-tune 40: the backbone has 6 layers" in outcome.out
    assert "augmented CNN on painted sample photos" in outcome.out
    assert (run_folder / "plots" / "side-by-side.png").is_file()


def test_both_phases_are_logged_and_the_model_predicts(
    transfer_outputs, run_script, painted_folder
):
    run_folder, _ = transfer_outputs
    lines = (run_folder / "log.csv").read_text().splitlines()
    epochs = range(3 + train_transfer.FINE_TUNE_EPOCHS)
    assert [line.split(",")[0] for line in lines] == ["epoch", *map(str, epochs)]
    outcome: Outcome = run_script("predict.py", "--run", run_folder, painted_folder / "daisy")
    assert outcome.code == 0
    assert outcome.out.count("daisy-0") == 14


def test_saved_model_of_a_frozen_run_gives_the_answers_that_were_judged(
    run_script, painted_folder, backbone_file, tmp_path
):
    """Trained in another precision than it is saved in."""
    outcome = run_script(
        "train_transfer.py",
        *("--data", painted_folder, "--backbone", backbone_file, "--image-size", SIZE),
        *("--epochs", 3, "--precision", "bfloat16", "--output-dir", tmp_path),
    )
    assert outcome.code == 0, outcome.err
    (run_folder,) = tmp_path.iterdir()
    with (run_folder / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    model = keras.saving.load_model(run_folder / "best.keras")
    pixels = np.stack([read_pixels(painted_folder / row["path"], SIZE) for row in rows])
    told = [[float(row[name]) for name in ("daisy", "dandelion", "roses")] for row in rows]
    np.testing.assert_allclose(model(pixels.astype("float32")), told, atol=1e-4)
