"""The promises of the split: balanced, repeatable, and nothing unseen has been seen."""

import csv
import hashlib
import itertools
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vision101.errors import UserError
from vision101.photos.duplicates import find_near_duplicates
from vision101.photos.index import Photo
from vision101.photos.sources import PhotoSource
from vision101.photos.split import SUBSETS, group_photos, hash_split, split_photos, write_split

COUNTS = {"daisy": 60, "dandelion": 90, "roses": 50}


def make_photo(class_name: str, number: int, folder: str = "/photos") -> Photo:
    """Return a photo that nobody painted: its hashes are as random as real ones."""
    digest = hashlib.sha256(f"{class_name} {number}".encode()).hexdigest()
    perceptual_hash = hashlib.sha256(f"look {class_name} {number}".encode()).hexdigest() * 8
    path = Path(folder, class_name, f"{number}.jpg")
    return Photo(path, class_name, 320, 240, digest, perceptual_hash, "", 1, 1)


def near(photo: Photo, name: str, bits: int) -> Photo:
    """Return a photo whose perceptual hash differs from another's in some bits."""
    perceptual_hash = f"{int(photo.perceptual_hash[:64], 16) ^ ((1 << bits) - 1):064x}" * 8
    digest = hashlib.sha256(name.encode()).hexdigest()
    return replace(
        photo, path=photo.path.with_name(name), sha256=digest, perceptual_hash=perceptual_hash
    )


@pytest.fixture
def photos() -> list[Photo]:
    return [make_photo(name, number) for name, count in COUNTS.items() for number in range(count)]


def count_classes(split: dict[str, list[Photo]], subset: str) -> Counter:
    return Counter(photo.class_name for photo in split[subset])


def place(split: dict[str, list[Photo]]) -> dict[str, str]:
    return {photo.sha256: subset for subset in SUBSETS for photo in split[subset]}


def test_subsets_are_balanced_and_complete(photos):
    split = split_photos(photos, seed=0)
    # 80 % of the smallest class is 40, a fifth of that is 8.
    assert count_classes(split, "validation") == {name: 8 for name in COUNTS}
    assert count_classes(split, "train") == {name: 32 for name in COUNTS}
    assert count_classes(split, "unseen") == {name: 10 for name in COUNTS}
    assert count_classes(split, "surplus") == {"daisy": 10, "dandelion": 40}
    assert sorted(place(split)) == sorted(photo.sha256 for photo in photos)


def test_per_class_sets_the_pool(photos):
    split = split_photos(photos, seed=0, per_class=20)
    assert count_classes(split, "train") == {name: 16 for name in COUNTS}
    assert count_classes(split, "validation") == {name: 4 for name in COUNTS}
    assert count_classes(split, "unseen") == {name: 30 for name in COUNTS}


def test_order_names_and_folder_do_not_matter(photos):
    split = split_photos(photos, seed=3)
    elsewhere = [
        replace(photo, path=Path("/other", photo.class_name, f"{number:05}.png"))
        for number, photo in enumerate(photos)
    ]
    random.Random(1).shuffle(elsewhere)
    again = split_photos(elsewhere, seed=3)
    assert place(again) == place(split)
    assert hash_split(again) == hash_split(split)


def test_another_seed_gives_another_split(photos):
    splits = [split_photos(photos, seed) for seed in (0, 1)]
    assert hash_split(splits[0]) != hash_split(splits[1])
    in_both = set(place(splits[0]).items()) & set(place(splits[1]).items())
    assert len(in_both) < 0.6 * len(photos)


@pytest.mark.parametrize("class_name", COUNTS)
def test_another_photo_does_not_reshuffle_the_others(photos, class_name):
    before = place(split_photos(photos, seed=0))
    for number in range(1000, 1010):
        after = place(split_photos([*photos, make_photo(class_name, number)], seed=0))
        moved = [sha256 for sha256, subset in before.items() if after[sha256] != subset]
        # At most one across each border of each class.
        assert len(moved) <= 3 * len(COUNTS)


def test_near_duplicates_stay_in_one_subset(photos):
    copies = [near(photo, f"copy-{index}", 20) for index, photo in enumerate(photos[::3])]
    recopies = [near(photo, f"recopy-{index}", 4) for index, photo in enumerate(copies)]
    for seed in range(5):
        subsets = place(split_photos([*photos, *copies, *recopies], seed))
        for photo, copy, recopy in zip(photos[::3], copies, recopies, strict=True):
            assert subsets[photo.sha256] == subsets[copy.sha256] == subsets[recopy.sha256]


def test_subsets_stay_balanced_with_duplicates(photos):
    copies = [near(photo, f"copy-{index}", 20) for index, photo in enumerate(photos[::3])]
    split = split_photos([*photos, *copies], seed=0)
    for subset in ("train", "validation", "unseen"):
        assert len(set(count_classes(split, subset).values())) == 1


def test_the_same_photo_under_two_labels_stays_in_one_subset(photos):
    both = [replace(photo, class_name="roses") for photo in photos if photo.class_name == "daisy"]
    split = split_photos([*photos, *both[:20]], seed=0)
    for photo in both[:20]:
        held = [
            subset for subset in SUBSETS for other in split[subset] if other.sha256 == photo.sha256
        ]
        assert len(held) == 2
        assert len(set(held)) == 1


def test_things_on_a_plain_background_are_told_apart(photos):
    """Their hashes agree wherever the background is, and that says nothing."""
    generator = np.random.default_rng(0)
    plain = []
    for photo in photos:
        bits = np.zeros(256, np.uint8)
        bits[generator.choice(256, 16, replace=False)] = 1
        plain.append(replace(photo, perceptual_hash=np.packbits(bits).tobytes().hex() * 8))
    assert len(list(find_near_duplicates(plain))) == 0
    copy = near(plain[0], "copy", 3)
    assert list(find_near_duplicates([plain[0], copy])) == [(0, 1)]


def test_too_small_classes_are_usage_errors(photos):
    with pytest.raises(UserError, match="--per-class 50: class 'roses' has 50 photos"):
        split_photos(photos, seed=0, per_class=50)
    with pytest.raises(UserError, match="'lilies' has 6 photos; it needs 7"):
        split_photos([*photos, *(make_photo("lilies", number) for number in range(6))], seed=0)
    with pytest.raises(UserError, match="'lilies' has 1 photo; it needs 7"):
        split_photos([*photos, make_photo("lilies", 0)], seed=0)
    alike = [near(make_photo("lilies", 0), str(bits), bits) for bits in range(30)]
    with pytest.raises(UserError, match="'lilies' has too few different photos"):
        split_photos([*photos, *alike], seed=0)


def test_a_burst_of_photos_splits_under_every_seed():
    roses = [make_photo("roses", number) for number in range(40)]
    daisies = [make_photo("daisy", number) for number in range(28)]
    burst = [near(make_photo("daisy", 28), f"burst-{bits}", bits) for bits in range(12)]
    for seed in range(40):
        split = split_photos([*roses, *daisies, *burst], seed)
        subsets = place(split)
        assert len({subsets[photo.sha256] for photo in burst}) == 1
        for subset in ("train", "validation", "unseen"):
            assert len(set(count_classes(split, subset).values())) == 1


def test_where_neither_chance_nor_size_gives_a_split_other_orders_do():
    """Groups of both classes: of their orders, and of those by size, most leave a subset empty."""
    members = ["bbb", "a", "bbb", "b", "b", "bbbb", "aaa", "aabbb", "aa", "abbb", "aa"]
    numbers = itertools.count()
    groups = [[make_photo(name, next(numbers)) for name in class_names] for class_names in members]
    photos = [photo for group in groups for photo in group]
    splits = [split_photos(photos, seed, groups=groups) for seed in range(20)]
    for split in splits:
        for subset in ("train", "validation", "unseen"):
            counts = count_classes(split, subset)
            assert counts["a"] == counts["b"] > 0
    assert len({hash_split(split) for split in splits}) > 1


def test_what_cannot_be_split_names_the_flag_or_the_class_behind_it():
    twins = [make_photo("twins", number) for number in range(20)]
    photos = [make_photo("roses", number) for number in range(40)]
    photos += twins + [near(photo, f"twin-{number}", 5) for number, photo in enumerate(twins)]
    with pytest.raises(
        UserError, match="--per-class 39: leaves a subset without .* class 'twins'.*try 32"
    ):
        split_photos(photos, seed=0, per_class=39)
    assert count_classes(split_photos(photos, 0, 32), "unseen") == {"roses": 8, "twins": 8}


def test_pictures_of_one_colour_are_no_duplicates_of_each_other():
    plain = [replace(make_photo("grey", number), perceptual_hash=512 * "0") for number in range(20)]
    split = split_photos([*plain, *(make_photo("roses", n) for n in range(20))], seed=0)
    assert count_classes(split, "train") == {"grey": 13, "roses": 13}
    copies = [replace(photo, path=photo.path.with_name("copy")) for photo in plain[:3]]
    pairs = [[photo, copy] for photo, copy in zip(plain, copies, strict=False)]
    assert group_photos([*plain, *copies]) == pairs + [[photo] for photo in plain[3:]]


def test_fewer_bits_take_fewer_photos_for_one(photos):
    alike = [photos[0], near(photos[0], "a", 5), near(photos[0], "b", 30), photos[1]]
    alike.append(replace(photos[1], path=Path("/photos/daisy/copy.jpg")))
    for bits, expected in ((36, 2), (5, 3), (4, 4), (0, 4)):
        assert len(group_photos(alike, bits)) == expected


def test_split_file(photos, tmp_path):
    split = split_photos(photos, seed=0)
    write_split(tmp_path, split, PhotoSource(Path("/photos"), painted=False))
    with (tmp_path / "split.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "label", "part", "sha256"]
    assert len(rows) == len(photos)
    assert {row["sha256"]: row["part"] for row in rows} == place(split)
    assert all(row["path"].startswith(row["label"] + "/") for row in rows)


def test_real_photos_have_their_known_duplicates(flower_photos):
    names = np.array([photo.path.name.split("_")[0] for photo in flower_photos])
    pairs = {frozenset(names[list(pair)]) for pair in find_near_duplicates(flower_photos)}
    for pair in (
        ("14889392928", "15066430311"),
        ("15069459615", "15072973261"),
        ("4278757393", "4654848357"),
        ("17161833794", "18304194360"),
        ("17433282043", "22429946721"),
    ):
        assert frozenset(pair) in pairs
