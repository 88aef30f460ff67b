"""Decoded photos, batches of them, and their random variations."""

import numpy as np
import pytest
import tensorflow as tf

from vision101.errors import UserError
from vision101.photos.index import index_photos, list_classes
from vision101.photos.reading import read_pixels
from vision101.photos.sources import find_photos
from vision101.training.augmentation import (
    LARGEST_MIXUP_SHARE,
    build_augmentation,
    mixup_pairs,
    random_resized_crop,
)
from vision101.training.datasets import Examples, build_dataset, decode_photos


@pytest.fixture(scope="module")
def photos(painted_folder, tmp_path_factory):
    return index_photos(find_photos(str(painted_folder)), tmp_path_factory.mktemp("data"))


@pytest.fixture
def numbered():
    """Ten photos, each of one value all over, in two classes."""
    pixels = np.arange(0, 250, 25, np.uint8)[:, None, None, None] + np.zeros((1, 8, 8, 3), np.uint8)
    return Examples(pixels, np.eye(2, dtype="float32")[[0, 1] * 5])


def test_photos_are_decoded_in_order_with_their_labels(photos):
    class_names = list_classes(photos)
    decoded = decode_photos(photos, class_names, 24, "test")
    assert decoded.inputs.shape == (50, 24, 24, 3)
    for index in range(0, 50, 7):
        np.testing.assert_array_equal(decoded.inputs[index], read_pixels(photos[index].path, 24))
        assert class_names[decoded.labels[index].argmax()] == photos[index].path.parent.name


def test_photos_that_do_not_fit_in_memory_are_kept_on_disk(photos, tmp_path):
    class_names = list_classes(photos)
    in_memory = decode_photos(photos, class_names, 24, "test")
    on_disk = decode_photos(
        photos, class_names, 24, "test", data_folder=tmp_path / "data", in_memory=False
    )
    assert isinstance(on_disk.inputs, np.memmap)
    np.testing.assert_array_equal(on_disk.inputs, in_memory.inputs)
    # The file has no name: it vanishes with the process, however that ends.
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize("in_memory", [True, False])
def test_no_photos_are_fine(in_memory, photos, tmp_path):
    # Surplus is empty where all classes are of one size.
    classes = list_classes(photos)
    decoded = decode_photos([], classes, 24, "test", None, tmp_path, in_memory)
    assert decoded.inputs.shape == (0, 24, 24, 3)


def test_photo_that_was_damaged_meanwhile_is_named(photo_folder, tmp_path):
    photos = index_photos(find_photos(str(photo_folder)), tmp_path / "data")
    photos[3].path.write_bytes(b"gone")
    with pytest.raises(UserError, match=photos[3].path.name):
        decode_photos(photos, list_classes(photos), 24, "test")


def test_photo_that_became_another_one_meanwhile_is_named(photo_folder, tmp_path):
    photos = index_photos(find_photos(str(photo_folder)), tmp_path / "data")
    # A readable one: only the index can tell that it is not the photo that was split.
    photos[3].path.write_bytes(photos[4].path.read_bytes())
    with pytest.raises(UserError, match=f"{photos[3].path.name}: was changed"):
        decode_photos(photos, list_classes(photos), 24, "test")


def test_batches_keep_photo_and_label_together(numbered):
    dataset = build_dataset(numbered, batch_size=4, shuffle_seed=0)
    batches = list(dataset.as_numpy_iterator())
    assert [len(images) for images, _ in batches] == [4, 4, 2]
    for images, labels in batches:
        assert images.dtype == np.float32
        for image, label in zip(images, labels, strict=True):
            assert label.argmax() == (image[0, 0, 0] / 25) % 2


def test_order_differs_by_epoch_and_repeats_by_seed(numbered):
    def orders(seed):
        dataset = build_dataset(numbered, batch_size=10, shuffle_seed=seed)
        return [
            tuple(images[:, 0, 0, 0]) for _ in range(2) for images, _ in dataset.as_numpy_iterator()
        ]

    first, second = orders(0)
    assert first != second
    assert sorted(first) == sorted(second) == sorted(numbered.inputs[:, 0, 0, 0])
    assert orders(0) == [first, second]
    assert orders(1) != [first, second]
    # Without a seed the order stays, as evaluation needs it.
    (images, _), *_ = build_dataset(numbered, batch_size=10).as_numpy_iterator()
    np.testing.assert_array_equal(images, numbered.inputs)


def test_variations_differ_and_stay_in_range(photos):
    decoded = decode_photos(photos[:16], list_classes(photos), 48, "test")
    dataset = build_dataset(decoded, 16, build_augmentation(32))
    (first, first_labels), (second, _) = (
        next(dataset.as_numpy_iterator()),
        next(dataset.as_numpy_iterator()),
    )
    assert first.shape == (16, 32, 32, 3)
    assert first.min() >= 0
    assert first.max() <= 255
    assert (np.abs(first - second).mean(axis=(1, 2, 3)) > 1).all()
    np.testing.assert_array_equal(first_labels, decoded.labels)


def test_colours_are_kept_on_the_whole(photos):
    # A wrong scale of saturation once turned all photos nearly grey, and nobody noticed.
    decoded = decode_photos(photos, list_classes(photos), 32, "test")

    def colourfulness(images):
        return np.ptp(np.asarray(images, float), axis=-1).mean()

    varied = np.concatenate(
        [images for images, _ in build_dataset(decoded, 16, build_augmentation(32))]
    )
    assert colourfulness(varied) == pytest.approx(colourfulness(decoded.inputs), rel=0.2)


def test_crops_cover_the_photo_and_differ_within_a_batch():
    ramp = np.linspace(0, 255, 64, dtype="float32")[None, None, :, None]
    images = tf.constant(np.broadcast_to(ramp, (200, 64, 64, 3)))
    crops = random_resized_crop(images, 32).numpy()
    left, right = crops[:, 0, 0, 0], crops[:, 0, -1, 0]
    assert left.min() < 10
    assert right.max() > 245
    assert len(np.unique(left.round())) > 20
    assert (right - left).min() > 0.4 * 255


def test_blended_pairs_carry_their_labels_and_keep_the_first_in_front():
    labels = np.eye(50, dtype="float32")
    images = labels[:, None, None, :] * 255  # each photo is its label
    blended, blended_labels = mixup_pairs(tf.constant(images), tf.constant(labels))
    np.testing.assert_allclose(blended[:, 0, 0] / 255, blended_labels, atol=1e-6)
    np.testing.assert_allclose(np.sum(blended_labels, axis=1), 1, atol=1e-6)
    own_share = np.diag(blended_labels)
    assert own_share.min() >= 1 - LARGEST_MIXUP_SHARE - 1e-6
    assert own_share.min() < 0.9
