"""Near-duplicates among few photos, among very many, and among too many that look alike."""

from types import SimpleNamespace

import numpy as np
import pytest

from vision101.photos import duplicates
from vision101.photos.duplicates import find_near_duplicates, number_groups


def as_photos(hashes: np.ndarray) -> list:
    return [SimpleNamespace(perceptual_hash=bytes(row).hex()) for row in hashes]


def flip_bits(row: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    bits = np.unpackbits(row)
    bits[generator.choice(256, count, replace=False)] ^= 1
    return np.packbits(bits)


@pytest.mark.parametrize("exact_count", [duplicates.EXACT_COUNT, 0], ids=["few", "many"])
def test_pairs_up_to_the_limit_are_found_wherever_they_lie(exact_count, monkeypatch):
    monkeypatch.setattr(duplicates, "EXACT_COUNT", exact_count)
    generator = np.random.default_rng(0)
    hashes = generator.integers(0, 256, (2000, 32), np.uint8)
    for first in range(50):
        hashes[1000 + first] = flip_bits(hashes[first], 36, generator)
        hashes[1900 + first] = flip_bits(hashes[500 + first], 37, generator)
    pairs = list(find_near_duplicates(as_photos(hashes)))
    assert sorted(pairs) == [(first, 1000 + first) for first in range(50)]


@pytest.mark.parametrize("exact_count", [duplicates.EXACT_COUNT, 0], ids=["few", "many"])
def test_thousands_that_look_alike_are_one_group_of_few_pairs(exact_count, monkeypatch):
    monkeypatch.setattr(duplicates, "EXACT_COUNT", exact_count)
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
