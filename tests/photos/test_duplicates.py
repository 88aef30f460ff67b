"""Near-duplicates among few photos, among very many, and among too many that look alike."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from vision101.photos.duplicates import (
    count_different_bits,
    find_near_duplicates,
    number_groups,
)
from vision101.photos.index import ORIENTATIONS, index_photos
from vision101.photos.reading import read_photo
from vision101.photos.sources import PhotoSource


def as_photos(hashes: np.ndarray) -> list:
    """Return photos of pictures that look the same in all orientations."""
    return [SimpleNamespace(perceptual_hash=bytes(row).hex() * ORIENTATIONS) for row in hashes]


def flip_bits(row: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    bits = np.unpackbits(row)
    bits[generator.choice(256, count, replace=False)] ^= 1
    return np.packbits(bits)


def test_pairs_up_to_the_limit_are_found_wherever_they_lie():
    generator = np.random.default_rng(0)
    hashes = generator.integers(0, 256, (2000, 32), np.uint8)
    for first in range(50):
        hashes[1000 + first] = flip_bits(hashes[first], 36, generator)
        hashes[1900 + first] = flip_bits(hashes[500 + first], 37, generator)
    pairs = list(find_near_duplicates(as_photos(hashes)))
    assert sorted(pairs) == [(first, 1000 + first) for first in range(50)]


def test_thousands_that_look_alike_are_one_group_of_few_pairs():
    generator = np.random.default_rng(0)
    hashes = generator.integers(0, 256, (3000, 32), np.uint8)
    alike = generator.permutation(3000)[:2000]
    for position in alike:
        hashes[position] = flip_bits(hashes[alike[0]], 8, generator)
    pairs = list(find_near_duplicates(as_photos(hashes)))
    assert len(pairs) == len(alike) - 1
    groups = number_groups(3000, pairs)
    assert len({*groups[alike]}) == 1
    assert len({*groups}) == 1001


@pytest.mark.parametrize("way", Image.Transpose)
def test_mirrored_and_turned_copies_are_found_under_any_name(photo_folder, tmp_path, way):
    """Smaller ones too, and not quite the same any more."""
    first = next((photo_folder / "daisy").iterdir())
    copy = read_photo(first).transpose(way)
    copy = ImageEnhance.Brightness(copy.resize((copy.width // 2, copy.height // 2))).enhance(1.1)
    for name in ("a.jpg", "z.jpg"):
        copy.save(photo_folder / "roses" / name)
        photos = index_photos(PhotoSource(photo_folder, painted=False), tmp_path / "data")
        (pair,) = find_near_duplicates(photos)
        assert {photos[position].path.name for position in pair} == {first.name, name}
        assert count_different_bits(*(photos[position] for position in pair)) <= 20
        (photo_folder / "roses" / name).unlink()


def test_all_pairs_of_a_burst_are_named():
    generator = np.random.default_rng(0)
    hashes = generator.integers(0, 256, (100, 32), np.uint8)
    hashes[40:50] = hashes[0]
    pairs = find_near_duplicates(as_photos(hashes))
    burst = [0, *range(40, 50)]
    assert sorted(pairs) == [(a, b) for a in burst for b in burst if a < b]


@pytest.mark.parametrize("count", [0, 1])
def test_a_photo_alone_has_no_duplicates(count):
    assert list(find_near_duplicates(as_photos(np.zeros((count, 32), np.uint8)))) == []


def test_real_photos_have_23_pairs(flower_photos):
    assert len(list(find_near_duplicates(flower_photos))) == 23
