"""Decoded photos, batches of them, and their random variations."""

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from vision101 import processes
from vision101.errors import UserError
from vision101.photos.index import index_photos, list_classes
from vision101.photos.reading import read_pixels
from vision101.photos.sources import find_photos
from vision101.training import datasets, records
from vision101.training.augmentation import (
    LARGEST_ASPECT_RATIO,
    LARGEST_MIXUP_SHARE,
    SMALLEST_CROP_AREA,
    Augmentation,
    draw_crops,
    mixup_pairs,
)
from vision101.training.datasets import (
    Examples,
    build_dataset,
    build_training_dataset,
    decode_photos,
    decode_split,
    decode_whole,
    take_share,
)
from vision101.training.records import Records
from vision101.training.schedule import list_crop_sizes


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


def test_photos_that_do_not_fit_in_memory_are_kept_on_disk(photos, monkeypatch, tmp_path):
    class_names = list_classes(photos)
    in_memory = decode_photos(photos, class_names, 24, "test")
    # All subsets count together.
    monkeypatch.setattr(datasets, "MEMORY_LIMIT_BYTES", 100 * 24 * 24 * 3 - 1)
    split, folder = {"train": photos, "unseen": photos}, tmp_path / "data"
    on_disk, _ = decode_split(split, class_names, 24, data_folder=folder).values()
    assert isinstance(on_disk.inputs, Records)
    for index in (slice(None), slice(40, 60), np.array([49, 3, 3]), 7):
        np.testing.assert_array_equal(on_disk.inputs[index], in_memory.inputs[index])
    # The file has no name: it vanishes with the process, however that ends.
    assert list((tmp_path / "data").iterdir()) == []
    # Photos are sorted by class, but what is shuffled together is not.
    monkeypatch.setattr(records, "BLOCK_BYTES", 10 * 24 * 24 * 3)
    monkeypatch.setattr(records, "SHUFFLED_BLOCKS", 1)
    first = [position for position, _ in on_disk.inputs.shuffle((0,))][:10]
    assert len({*on_disk.labels[first].argmax(axis=1)}) > 1


def test_too_small_a_disk_is_told_before_decoding(photos, monkeypatch, tmp_path):
    monkeypatch.setattr(datasets, "MEMORY_LIMIT_BYTES", 0)
    monkeypatch.setattr(records.shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    monkeypatch.delattr(datasets, "read_view")
    with pytest.raises(UserError, match="decoded photos need 0.0 GB, 0.0 are free"):
        decode_split({"train": photos}, list_classes(photos), 24, data_folder=tmp_path)


STORED = [3, 8, 0, 5, 9, 1, 7, 2, 6, 4]  # the order of ten photos in a file


@pytest.fixture
def keep_on_disk(monkeypatch, tmp_path):
    """Returns a function that moves examples into a file of many small blocks."""
    monkeypatch.setattr(records, "SHUFFLED_BLOCKS", 2)

    def move(examples, photos_a_block=1):
        shape = examples.inputs.shape
        monkeypatch.setattr(records, "BLOCK_BYTES", photos_a_block * math.prod(shape[1:]))
        stored = (examples.inputs[position] for position in STORED)
        return examples._replace(inputs=Records(tmp_path, shape, np.array(STORED), stored))

    return move


def test_photos_on_disk_are_shuffled_a_few_blocks_at_a_time(numbered, keep_on_disk):
    kept = keep_on_disk(numbered, photos_a_block=3).inputs

    def values(seed):
        return [int(photo[0, 0, 0]) for _, photo in kept.shuffle(seed)]

    for position, photo in kept.shuffle((0, 0, 0)):
        np.testing.assert_array_equal(photo, numbered.inputs[position])
    assert sorted(values((0, 0, 0))) == sorted(numbered.inputs[:, 0, 0, 0])
    assert values((0, 0, 0)) == values((0, 0, 0)) != values((0, 1, 0))
    # What is first shuffled lies in two blocks: no more is in memory at once.
    first = [position for position, _ in kept.shuffle((0, 0, 0))][:4]
    assert len({place // 3 for place in np.argsort(STORED)[first]}) <= 2


def test_views_on_disk_are_those_in_memory(numbered, keep_on_disk):
    views = numbered._replace(inputs=np.stack([numbered.inputs, numbered.inputs + 1], axis=1))
    kept = keep_on_disk(views).inputs
    np.testing.assert_array_equal(kept[np.array([4, 2]), 0], views.inputs[[4, 2], 0])
    np.testing.assert_array_equal(kept[np.array([4, 2]), [1, 0]], views.inputs[[4, 2], [1, 0]])


def test_no_photos_are_fine(photos):
    # Surplus is empty where all classes are of one size.
    assert decode_photos([], list_classes(photos), 24, "test").inputs.shape == (0, 24, 24, 3)


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


def train_on(examples, batch_size, seed=0, epochs=1, **options):
    """Return the batches of all epochs, a list of (inputs, labels) of NumPy arrays."""
    dataset = build_training_dataset(examples, batch_size, seed, **options)
    steps = epochs * math.ceil(len(examples.labels) / batch_size)
    return list(itertools.islice(dataset.as_numpy_iterator(), steps))


@pytest.mark.parametrize("place", ["in memory", "on disk"])
def test_batches_keep_photo_and_label_together(place, numbered, keep_on_disk):
    examples = numbered if place == "in memory" else keep_on_disk(numbered)
    batches = train_on(examples, batch_size=4)
    assert [len(images) for images, _ in batches] == [4, 4, 2]
    for images, labels in batches:
        assert images.dtype == np.float32
        for image, label in zip(images, labels, strict=True):
            assert label.argmax() == (image[0, 0, 0] / 25) % 2
    assert len({image[0, 0, 0] for images, _ in batches for image in images}) == 10


def test_order_differs_by_epoch_and_repeats_by_seed(numbered):
    def orders(seed):
        batches = train_on(numbered, batch_size=10, seed=seed, epochs=2)
        return [tuple(images[:, 0, 0, 0]) for images, _ in batches]

    first, second = orders(0)
    assert first != second
    assert sorted(first) == sorted(second) == sorted(numbered.inputs[:, 0, 0, 0])
    assert orders(0) == [first, second]
    assert orders(1) != [first, second]
    # Evaluation needs them in their own order.
    (images, _), *_ = build_dataset(numbered, batch_size=10).as_numpy_iterator()
    np.testing.assert_array_equal(images, numbered.inputs)


@pytest.mark.parametrize("kind", ["plain", "augmented", "views", "on disk", "views on disk"])
def test_training_that_goes_on_sees_what_it_would_have_seen(kind, numbered, keep_on_disk):
    augment = Augmentation([8, 8, 6, 5], mixup=True) if kind == "augmented" else None
    examples = numbered._replace(aspect_ratios=np.ones(10))
    if "views" in kind:
        examples = examples._replace(inputs=np.stack([numbered.inputs, numbered.inputs + 1], 1))
    if "on disk" in kind:
        examples = keep_on_disk(examples)
    whole = train_on(examples, 4, epochs=4, augment=augment)
    rest = train_on(examples, 4, epochs=2, augment=augment, first_epoch=2)
    for (images, labels), (same_images, same_labels) in zip(whole[6:], rest, strict=True):
        np.testing.assert_array_equal(images, same_images)
        np.testing.assert_array_equal(labels, same_labels)


@pytest.mark.parametrize("place", ["in memory", "on disk"])
@pytest.mark.parametrize("count", [2, 3])
def test_processes_share_every_batch_and_keep_their_photos(
    count, place, numbered, monkeypatch, tmp_path
):
    steps, epochs = 3, 3
    whole = [images[:, 0, 0, 0] / 25 for images, _ in train_on(numbered, 4, epochs=epochs)]
    monkeypatch.setattr(datasets.keras.config, "backend", lambda: "jax")
    monkeypatch.setattr(datasets.devices, "count_replicas", lambda: count)
    monkeypatch.setattr(processes, "count", count)
    monkeypatch.setattr(processes, "gather", lambda text: [text])
    monkeypatch.setattr(processes, "add_up", lambda number: 10)
    photos = [SimpleNamespace(class_name="", sha256=str(number)) for number in range(10)]
    shared = [[] for _ in whole]
    for rank in range(count):
        monkeypatch.setattr(processes, "rank", rank)
        share = take_share({"train": photos, "validation": photos}, 4, seed=0)
        own = [int(photo.sha256) for photo in share["train"]]
        inputs = numbered.inputs[own]
        if place == "on disk":
            inputs = Records(tmp_path, inputs.shape, np.arange(len(own)), inputs)
        dataset = build_training_dataset(Examples(inputs, numbered.labels[own]), 4, seed=0)
        batches = itertools.islice(dataset.as_numpy_iterator(), epochs * steps)
        for together, (images, labels, weights) in zip(shared, batches, strict=True):
            numbers = images[:, 0, 0, 0] / 25
            assert {*numbers} <= {*own}
            assert [*labels.argmax(axis=1)] == [*(numbers % 2)]
            together += numbers[weights > 0].tolist()
    for step, (together, alone) in enumerate(zip(shared, whole, strict=True)):
        assert len(together) == len(alone)
        if step < steps and place == "in memory":
            assert together == alone.tolist()
    for start in range(0, epochs * steps, steps):
        assert sorted(itertools.chain(*shared[start : start + steps])) == [*range(10)]


def test_processes_with_different_photos_say_so(monkeypatch):
    monkeypatch.setattr(datasets.keras.config, "backend", lambda: "jax")
    monkeypatch.setattr(processes, "gather", lambda text: [text, text[::-1]])
    with pytest.raises(UserError, match="differ in photos"):
        take_share({"train": [], "validation": []}, 4, seed=0)


def test_crops_grow_during_training():
    sizes = list_crop_sizes(((0.5, 0.25), (0.8, 0.5), (1.0, 0.9)), 100, 10)
    assert sizes == (25, 25, 25, 25, 25, 50, 50, 50, 90, 90)
    assert list_crop_sizes(((1.0, 1.0),), 128, 3) == (128, 128, 128)
    assert len(list_crop_sizes(((0.5, 0.25), (1.0, 1.0)), 32, 1)) == 1


def test_variations_differ_and_stay_in_range(photos):
    decoded = decode_whole(photos[:16], list_classes(photos), 48)
    augment = Augmentation([32])
    first, labels = augment(*decoded, 0, 0, 0)
    second, _ = augment(*decoded, 0, 1, 0)
    assert first.shape == (16, 32, 32, 3)
    assert 0 <= first.min() < first.max() <= 255
    assert (np.abs(first - second).mean(axis=(1, 2, 3)) > 1).all()
    np.testing.assert_array_equal(labels, decoded.labels)


def test_colours_are_kept_on_the_whole(photos):
    # A wrong scale of saturation once turned all photos nearly grey, and nobody noticed.
    decoded = decode_whole(photos, list_classes(photos), 32)
    varied, _ = Augmentation([32])(*decoded, 0, 0, 0)

    def colourfulness(images):
        return np.ptp(np.asarray(images, float), axis=-1).mean()

    assert colourfulness(varied) == pytest.approx(colourfulness(decoded.inputs), rel=0.2)
    assert varied.mean() == pytest.approx(decoded.inputs.mean(), rel=0.1)


def test_half_of_the_photos_are_flipped_and_crops_differ_within_a_batch():
    ramp = np.linspace(0, 255, 64)[None, None, :, None].astype(np.uint8)
    images = np.broadcast_to(ramp, (400, 64, 64, 3)).copy()
    varied, _ = Augmentation([32])(images, np.zeros((400, 2), "float32"), np.ones(400), 0, 0, 0)
    slopes = varied[:, 16, -1, 0] - varied[:, 16, 0, 0]
    assert 0.4 < (slopes < 0).mean() < 0.6
    assert len(np.unique(np.abs(slopes).round())) > 30


def test_crops_cover_the_photo_and_keep_their_share_of_it():
    crops = draw_crops(np.ones(2000), np.random.default_rng(0))
    left, top, right, bottom = crops.T
    assert crops.min() >= 0
    assert crops.max() <= 1
    assert left.min() < 0.01
    assert bottom.max() > 0.99
    areas = (right - left) * (bottom - top)
    assert areas.min() > 0.9 * SMALLEST_CROP_AREA  # a stretched crop may not fit whole
    assert areas.max() > 0.95


@pytest.mark.parametrize("size", [(96, 48), (48, 96)])
def test_crops_show_the_ends_of_long_photos_and_do_not_stretch_them(size, photo_folder, tmp_path):
    # A dark disc at one end: the square at the centre has nothing of it.
    picture = Image.new("RGB", size, "white")
    end = 0 if size[0] > size[1] else 48
    ImageDraw.Draw(picture).ellipse((8, end + 8, 39, end + 39), "black")
    for path in photo_folder.glob("*/*.jpg"):
        picture.save(path)
    photos = index_photos(find_photos(str(photo_folder)), tmp_path / "data")[:1] * 400
    examples = decode_whole(photos, list_classes(photos), 96)
    varied, _ = Augmentation([64])(*examples, 0, 0, 0)
    dark = varied.mean(axis=-1) < varied.max(axis=(1, 2, 3))[:, None, None] / 2
    columns, rows = dark.any(axis=1).sum(axis=1), dark.any(axis=2).sum(axis=1)
    # Where it is whole, with a margin, it is as wide as high, but for the stretching of crops.
    edges = dark[:, [0, -1]].any(axis=(1, 2)) | dark[:, :, [0, -1]].any(axis=(1, 2))
    shown = dark.any(axis=(1, 2)) & ~edges
    assert shown.sum() > 20
    assert (np.abs(np.log(columns[shown] / rows[shown])) < np.log(LARGEST_ASPECT_RATIO) + 0.1).all()


def test_blended_pairs_carry_their_labels_and_keep_the_first_in_front():
    labels = np.eye(50, dtype="float32")
    images = labels[:, None, None, :] * 255  # each photo is its label
    mixed, mixed_labels = mixup_pairs(images, labels, np.random.default_rng(0))
    np.testing.assert_allclose(mixed[:, 0, 0] / 255, mixed_labels, atol=1e-5)
    np.testing.assert_allclose(mixed_labels.sum(axis=1), 1, atol=1e-5)
    assert (mixed_labels.diagonal() >= 1 - LARGEST_MIXUP_SHARE).all()
    assert (mixed_labels.diagonal() < 0.99).mean() > 0.5
