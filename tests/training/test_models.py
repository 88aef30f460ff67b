"""The networks and what training them needs."""

import keras
import numpy as np
import pytest
from scipy.special import softmax

from vision101.training import schedule
from vision101.training.models import (
    average_with_flip,
    build_base_cnn,
    build_tuned_cnn,
    compile_prediction,
    expose_features,
    rebuild_model,
)
from vision101.training.schedule import (
    build_learning_rate_schedule,
    choose_precision,
)


@pytest.mark.parametrize("build_model", [lambda: build_base_cnn(3, 32), lambda: build_tuned_cnn(3)])
def test_models_give_probabilities_and_survive_saving(build_model, tmp_path):
    model = build_model()
    photos = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype("float32")
    probabilities = model.predict(photos, verbose=0)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert np.ptp(probabilities, axis=0).max() > 1e-4
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(photos, verbose=0), probabilities)


@pytest.mark.parametrize("image_size", [16, 26, 33, 100])
def test_tuned_model_takes_any_size(image_size):
    photos = np.zeros((1, image_size, image_size, 3), "float32")
    assert build_tuned_cnn(3).predict(photos, verbose=0).shape == (1, 3)


def test_mirrored_photos_get_the_same_answer(tmp_path):
    model = build_tuned_cnn(3)
    photos = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype("float32")
    mirrored = photos[:, :, ::-1]
    plain = [model.predict(images, verbose=0) for images in (photos, mirrored)]
    assert np.abs(plain[0] - plain[1]).max() > 1e-4
    averaged = rebuild_model(average_with_flip(model), "float32")
    averaged.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.count_params() == model.count_params()
    # The mean of the features gives the mean of the logarithms, as far as softmax can tell.
    expected = softmax(np.mean(np.log(plain), axis=0), axis=1)
    for images in (photos, mirrored):
        np.testing.assert_allclose(loaded.predict(images, verbose=0), expected, atol=1e-5)


def test_models_trained_in_mixed_precision_become_float32_ones():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = build_tuned_cnn(3)
    finally:
        keras.config.set_dtype_policy("float32")
    plain = rebuild_model(mixed, "float32")
    assert {layer.dtype_policy.name for layer in plain.layers} == {"float32"}
    for before, after in zip(mixed.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    photos = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(
        plain.predict(photos, verbose=0), mixed.predict(photos, verbose=0), atol=0.05
    )


def test_learning_rate_rises_to_its_peak_and_falls_to_zero():
    rate = build_learning_rate_schedule(0.1, steps=1000)
    rates = [float(rate(step)) for step in range(1001)]
    assert rates[0] == 0
    assert max(rates) == pytest.approx(0.1)
    assert np.argmax(rates) == 50
    assert rates[-1] == pytest.approx(0, abs=1e-6)
    assert (np.diff(rates[51:]) < 0).all()


@pytest.mark.parametrize("steps", [1, 5, 19])
def test_shortest_trainings_start_with_a_step(steps):
    rate = build_learning_rate_schedule(0.1, steps)
    assert float(rate(0)) == pytest.approx(0.1)


def test_compiled_prediction_equals_keras_for_batches_of_any_length():
    model = build_base_cnn(3, 32)
    call = compile_prediction(expose_features(model))
    photos = np.random.default_rng(0).integers(0, 256, (70, 32, 32, 3), dtype=np.uint8)
    for count in (70, 3, 1):
        probabilities, features = call(photos[:count])
        assert (probabilities.shape, features.shape) == ((count, 3), (count, 128))
    expected = model.predict(photos.astype("float32"), verbose=0)
    np.testing.assert_allclose(call(photos)[0], expected, atol=1e-6)


def test_precision_follows_the_machine(monkeypatch, tmp_path):
    assert choose_precision("float16") == "mixed_float16"
    assert choose_precision("float32") == "float32"
    monkeypatch.setattr(schedule.devices, "list_gpus", lambda: [])
    monkeypatch.setattr(schedule, "CPU_INFO", tmp_path / "cpuinfo")
    assert choose_precision("auto") == "float32"
    for flags, expected in (("sse2 avx512_bf16", "mixed_bfloat16"), ("sse2", "float32")):
        (tmp_path / "cpuinfo").write_text(f"cpu MHz : 2000\nflags\t\t: fpu {flags}\n")
        assert choose_precision("auto") == expected
    monkeypatch.setattr(schedule.devices, "list_gpus", lambda: ["GPU:0"])
    assert choose_precision("auto") == "mixed_float16"
