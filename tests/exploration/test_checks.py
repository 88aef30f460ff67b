"""What is found wrong with photos: label issues and duplicates."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vision101.exploration.checks import check_labels
from vision101.exploration.duplicates import describe_duplicates
from vision101.photos.index import Photo


def make_photo(number: int, class_name: str, perceptual_hash: str = "") -> Photo:
    path = Path(f"/photos/{class_name}/{number}.jpg")
    content = f"{number:064x}"
    return Photo(path, class_name, 100, 80, content, perceptual_hash, "", 1000 + number, 0)


@pytest.fixture
def clusters():
    """Return photos of three classes, features that tell them apart, and which labels are wrong."""
    generator = np.random.default_rng(0)
    classes = np.repeat([0, 1, 2], 200)
    features = (3 * np.eye(3)[classes] @ generator.normal(size=(3, 12))).astype(np.float32)
    features += generator.normal(size=features.shape).astype(np.float32)
    wrong = generator.choice(len(classes), 30, replace=False)
    labels = classes.copy()
    labels[wrong] = (classes[wrong] + 1) % 3
    photos = [make_photo(number, "abc"[label]) for number, label in enumerate(labels)]
    return photos, features, wrong, classes


def test_wrong_labels_are_found(clusters):
    photos, features, wrong, classes = clusters
    check = check_labels(photos, features, [], "")
    found = {int(issue.photo.path.stem): issue for issue in check.issues}
    hits = set(found) & set(wrong.tolist())
    assert len(hits) >= 20
    assert len(found) <= 40
    assert all(found[hit].suggested == "abc"[classes[hit]] for hit in hits)
    assert all(issue.label_confidence < issue.confidence for issue in check.issues)


def test_copies_do_not_vouch_for_their_label(clusters):
    photos, features, wrong, _ = clusters
    first = int(wrong[0])
    copies = [make_photo(1000 + number, photos[first].class_name) for number in range(12)]
    features = np.concatenate([features, np.repeat(features[first : first + 1], 12, axis=0)])
    group = [(first, len(photos) + number) for number in range(12)]
    check = check_labels(photos + copies, features, group, "")
    assert first in {int(issue.photo.path.stem) for issue in check.issues}


def test_labels_of_tiny_classes_are_not_checked_and_that_is_said(clusters):
    photos, features, *_ = clusters
    few = [make_photo(2000 + number, "few") for number in range(3)]
    check = check_labels(photos + few, np.concatenate([features, features[:3]]), [], "")
    assert check.accuracy is None
    assert "'few' has 3 different photos" in check.note


def test_leaving_out_the_first_of_each_pair_keeps_one_of_every_picture():
    photos = [make_photo(number, "a", "5" * 64) for number in range(3)]
    pairs = describe_duplicates(photos, [(0, 1), (1, 2), (0, 2)])
    assert len({pair.photo for pair in pairs}) == 2


@pytest.mark.parametrize("of_plain_pictures", ["0" * 64, "f" * 64])
def test_plain_pictures_are_no_duplicates_of_each_other(of_plain_pictures):
    photos = [make_photo(number, "a", of_plain_pictures) for number in range(2)]
    assert describe_duplicates(photos, [(0, 1)]) == []
    copies = [photos[0], replace(photos[0], path=photos[1].path)]
    assert len(describe_duplicates(copies, [(0, 1)])) == 1
