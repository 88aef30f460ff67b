"""Exploring photos: what is measured, what is found wrong, and the page that shows it."""

import csv
import shutil
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

import explore
from vision101.cli import ArgumentParser, add_photo_arguments
from vision101.errors import UserError
from vision101.exploration.advice import advise
from vision101.exploration.labels import find_label_issues
from vision101.exploration.observations import (
    OBSERVATIONS,
    find_subject,
    fit_within,
    measure_photos,
)
from vision101.photos.duplicates import describe_duplicates
from vision101.photos.index import Photo, index_files, index_photos
from vision101.photos.lists import exclude_photos
from vision101.photos.sources import find_photos
from vision101.photos.split import hash_split, split_photos
from vision101.prediction import Prediction, write_review
from vision101.runs import find_run
from vision101.training.backbones import cut_classifier
from vision101.training.features import compute_features
from vision101.training.models import (
    average_with_flip,
    build_base_cnn,
    build_tuned_cnn,
    rebuild_model,
)


def read_rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def explored(painted_folder, tmp_path_factory):
    """Explore painted photos with things wrong with them; return the photos and the new folder."""
    root = tmp_path_factory.mktemp("explored")
    photos, outputs = root / "photos", root / "outputs"
    shutil.copytree(painted_folder, photos)
    daisy = Image.open(photos / "daisy" / "daisy-0003.jpg")
    daisy.save(photos / "roses" / "a daisy.png")
    daisy.resize((60, 45)).save(photos / "daisy" / "tiny <b>.jpg")
    (photos / "daisy" / "broken.jpg").write_bytes(b"This is no picture.")
    Image.effect_noise((400, 100), 60).save(photos / "roses" / "long.jpg")
    Image.new("RGB", (200, 150), "grey").save(photos / "dandelion" / "plain.png")
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    outputs_of_backbone = keras.layers.Conv2D(16, 5, strides=3, activation="relu")(x)
    keras.Model(inputs, outputs_of_backbone).save(root / "small.keras")
    before = {path: path.read_bytes() for path in photos.rglob("*.*")}
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(explore, "index_files", lambda source: index_files(source, root))
        monkeypatch.setattr(
            explore, "compute_features", lambda *given: compute_features(*given, data_folder=root)
        )
        arguments = ("--data", photos, "--backbone", root / "small.keras", "--image-size", 96)
        arguments += ("--output-dir", outputs, "--name", "test")
        monkeypatch.setattr(sys, "argv", ["explore.py", *map(str, arguments)])
        policy = keras.config.dtype_policy()
        explore.main()
        keras.config.set_dtype_policy(policy)
    assert {path: path.read_bytes() for path in photos.rglob("*.*")} == before
    (folder,) = outputs.iterdir()
    return photos, folder


def test_page_shows_all_and_loads_every_picture(explored, check_page):
    text = check_page(explored[1] / "report.html")
    assert "painted" in text.lower()
    for item in OBSERVATIONS:
        assert item.title in text
    for expected in ("tiny <b>.jpg", "broken.jpg", "Two classes", "perhaps", "--exclude"):
        assert expected in text


def test_everything_wrong_is_listed(explored):
    _, folder = explored
    problems = {row["path"]: row["problem"] for row in read_rows(folder / "files.csv")}
    assert problems["daisy/broken.jpg"] == "broken"
    assert problems["daisy/tiny <b>.jpg"] == "tiny"
    assert problems["roses/long.jpg"] == "extreme shape"
    assert problems["dandelion/plain.png"] == "plain"
    pairs = read_rows(folder / "duplicates.csv")
    assert pairs[0]["label"] != pairs[0]["other_label"]
    shown = [{pair["path"], pair["other_path"]} for pair in pairs]
    assert {"daisy/daisy-0003.jpg", "roses/a daisy.png"} in shown
    # Of a pair, the smaller photo is the one to leave out.
    assert "daisy/tiny <b>.jpg" in {pair["path"] for pair in pairs}
    photos = read_rows(folder / "photos.csv")
    assert len(photos) == 54
    assert {item.name for item in OBSERVATIONS} <= set(photos[0])


def test_pictures_can_be_looked_at_without_the_page(explored):
    _, folder = explored
    names = {path.stem for path in (folder / "plots").glob("*.png")}
    expected = {"counts", "sizes", "samples", "means", "hues", "duplicates"}
    assert expected | {item.name for item in OBSERVATIONS} <= names
    assert all(min(Image.open(path).size) >= 250 for path in (folder / "plots").iterdir())


def test_explorations_are_not_taken_for_runs(explored):
    with pytest.raises(UserError, match="no complete run"):
        find_run(None, explored[1].parent)


@pytest.mark.parametrize("name", ["label_issues.csv", "duplicates.csv", "files.csv"])
def test_lists_can_be_excluded_as_they_are(explored, name, tmp_path):
    photos, folder = explored
    source = find_photos(str(photos))
    indexed = index_photos(source, tmp_path)
    kept = {photo.path for photo in exclude_photos(indexed, source, [folder / name])}
    listed = {photos / row["path"] for row in read_rows(folder / name)}
    assert listed
    assert kept == {photo.path for photo in indexed} - listed


def paint(place=(160, 120), radius=40, background=(40, 120, 40), colour=(220, 30, 60)):
    image = Image.new("RGB", (320, 240), background)
    x, y = place
    ImageDraw.Draw(image).ellipse((x - radius, y - radius, x + radius, y + radius), colour)
    return image


@pytest.fixture
def measure(tmp_path):
    """Return a function that measures pictures, and gives their values by name."""

    def run(*images):
        for number, image in enumerate(images):
            folder = tmp_path / "photos" / ("ab"[number % 2])
            folder.mkdir(parents=True, exist_ok=True)
            image.save(folder / f"{number}.png")
        photos = index_photos(find_photos(str(tmp_path / "photos")), tmp_path / "data")
        photos.sort(key=lambda photo: int(photo.path.stem))
        return measure_photos(photos), photos

    return run


def test_subject_is_found_where_it_is():
    subject = find_subject(fit_within(paint((250, 60), 40), 240))
    rows, columns = np.nonzero(subject)
    height, width = subject.shape
    assert rows.mean() / height == pytest.approx(60 / 240, abs=0.02)
    assert columns.mean() / width == pytest.approx(250 / 320, abs=0.02)
    assert subject.mean() == pytest.approx(np.pi * 40**2 / (320 * 240), rel=0.15)


def test_observations_follow_what_they_are_named_after(measure):
    plain = paint()
    noise = Image.effect_noise((320, 240), 120).convert("RGB")
    busy = Image.composite(
        plain, noise, paint(background=(0, 0, 0), colour=(255,) * 3).convert("L")
    )
    large, off, dark = paint(radius=90), paint((60, 50)), plain.point(lambda value: value // 3)
    blurred, grey = busy.filter(ImageFilter.GaussianBlur(6)), plain.convert("L").convert("RGB")
    bud = paint(colour=(150, 220, 60))
    names = ("plain", "large", "off", "dark", "blurred", "grey", "busy", "bud")
    measurements, _ = measure(plain, large, off, dark, blurred, grey, busy, bud)
    values = {
        name: dict(zip(names, column, strict=True)) for name, column in measurements.values.items()
    }
    assert values["subject_share"]["large"] > 3 * values["subject_share"]["plain"]
    assert values["offset"]["plain"] < 3 < 50 < values["offset"]["off"]
    assert values["brightness"]["dark"] < 0.6 * values["brightness"]["plain"]
    assert values["sharpness"]["blurred"] < 0.5 * values["sharpness"]["busy"]
    assert values["colourfulness"]["grey"] < 1 < 30 < values["colourfulness"]["plain"]
    assert values["clutter"]["plain"] < 5 < 30 < values["clutter"]["busy"]
    assert values["bloom_share"]["bud"] < 20 < 80 < values["bloom_share"]["plain"]
    assert values["roundness"]["plain"] > 90
    assert values["shorter_side"]["plain"] == 240


def test_advice_follows_from_the_numbers(measure):
    alike = [paint((160, 120), 40) for _ in range(4)]
    measurements, photos = measure(*alike)
    advice = {item.topic: item.suggestion for item in advise(photos, measurements, 224)}
    assert "crop little" in advice["Close-up or zoom-out"]
    assert "Mirror" in advice["Left and right"]
    assert "pixels enough" in advice["Pixel size"]
    different = [paint((40 + 6 * number, 60), 12 + 8 * number) for number in range(8)]
    measurements, photos = measure(*different)
    advice = {item.topic: item.suggestion for item in advise(photos, measurements, 512)}
    assert "Crop pieces" in advice["Close-up or zoom-out"]
    assert "find out why" in advice["Left and right"]
    assert "a larger training size" in advice["Pixel size"]


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


def test_wrong_labels_are_doubted(clusters):
    photos, features, wrong, classes = clusters
    check = find_label_issues(photos, features, [], "")
    found = {int(label_issue.photo.path.stem): label_issue for label_issue in check.label_issues}
    hits = set(found) & set(wrong.tolist())
    assert len(hits) >= 20
    assert len(found) <= 40
    assert all(found[hit].suggested == "abc"[classes[hit]] for hit in hits)
    assert all(
        label_issue.given_confidence < label_issue.confidence for label_issue in check.label_issues
    )


def test_copies_do_not_vouch_for_their_label(clusters):
    photos, features, wrong, _ = clusters
    first = int(wrong[0])
    copies = [make_photo(1000 + number, photos[first].class_name) for number in range(12)]
    features = np.concatenate([features, np.repeat(features[first : first + 1], 12, axis=0)])
    group = [(first, len(photos) + number) for number in range(12)]
    check = find_label_issues(photos + copies, features, group, "")
    assert first in {int(label_issue.photo.path.stem) for label_issue in check.label_issues}


def test_labels_of_tiny_classes_are_not_checked_and_that_is_said(clusters):
    photos, features, *_ = clusters
    few = [make_photo(2000 + number, "few") for number in range(3)]
    check = find_label_issues(photos + few, np.concatenate([features, features[:3]]), [], "")
    assert check.accuracy is None
    assert "'few' has 3 different photos" in check.note


@pytest.mark.parametrize(
    "build_model",
    [lambda: build_base_cnn(3, 32), lambda: average_with_flip(build_tuned_cnn(3, 32))],
    ids=["base", "tuned"],
)
def test_a_trained_network_gives_its_last_features(build_model, tmp_path):
    # As one process saves it, and another one loads it: both give names from the start.
    keras.backend.clear_session()
    rebuild_model(build_model(), "float32").save(tmp_path / "best.keras")
    keras.backend.clear_session()
    model = keras.saving.load_model(tmp_path / "best.keras")
    network = cut_classifier(model, 32, "a run")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype("float32")
    assert network.image_size == 32
    features = np.asarray(network.model(pixels))
    assert features.shape[:3] == (2, 1, 1)
    last = model.get_layer("probabilities")
    np.testing.assert_allclose(model(pixels), last(features[:, 0, 0]), atol=1e-4)


def test_networks_without_a_classifier_are_usage_errors():
    inputs = keras.Input((8,))
    with pytest.raises(UserError, match="--run"):
        cut_classifier(keras.Model(inputs, keras.layers.Dense(2)(inputs)), 32, "a run")


def test_without_weights_labels_are_skipped_and_the_way_on_is_said(monkeypatch):
    def fail(*given):
        raise UserError("the weights of ResNet50 could not be downloaded")

    monkeypatch.setattr(explore, "build_backbone", fail)
    monkeypatch.setattr(sys, "argv", ["explore.py"])
    network, note = explore.find_network(explore.parse_arguments())
    assert network is None
    assert "could not be downloaded" in note
    assert "--run" in note
    # What was asked for must be there.
    monkeypatch.setattr(sys, "argv", ["explore.py", "--backbone", "ResNet50"])
    with pytest.raises(UserError):
        explore.find_network(explore.parse_arguments())


def test_leaving_out_the_first_of_each_pair_keeps_one_of_every_picture():
    photos = [make_photo(number, "a", "f" * 64) for number in range(3)]
    pairs = describe_duplicates(photos, [(0, 1), (1, 2), (0, 2)])
    assert len({pair.photo for pair in pairs}) == 2


@pytest.fixture
def source(photo_folder):
    return find_photos(str(photo_folder))


@pytest.mark.parametrize(
    "content",
    [
        b"path\ndaisy/daisy-0001.jpg\nroses/roses-0002.jpg\n",
        b"\xef\xbb\xbfnote;Path ;x\r\n;daisy\\daisy-0001.jpg;\r\n;roses/roses-0002.jpg;\r\n;;\r\n",
        b"path\tremark\ndaisy/daisy-0001.jpg\tw\xe4re\nroses/roses-0002.jpg\t\n",
    ],
)
def test_exclude_reads_what_people_and_spreadsheets_write(content, source, tmp_path, capsys):
    (tmp_path / "list.csv").write_bytes(content)
    photos = index_photos(source, tmp_path / "data")
    kept = exclude_photos(photos, source, [tmp_path / "list.csv"])
    gone = {photo.path.name for photo in photos} - {photo.path.name for photo in kept}
    assert gone == {"daisy-0001.jpg", "roses-0002.jpg"}
    assert "Excluded 2 of 50 photos" in capsys.readouterr().out
    assert hash_split(split_photos(kept, 0)) != hash_split(split_photos(photos, 0))


def test_exclude_knows_photos_by_content_under_other_names(source, tmp_path):
    photos = index_photos(source, tmp_path / "data")
    (tmp_path / "list.csv").write_text(f"path,sha256\nelsewhere/x.jpg,{photos[4].sha256}\n")
    kept = exclude_photos(photos, source, [tmp_path / "list.csv"])
    assert kept == [photo for photo in photos if photo is not photos[4]]


def test_list_of_photos_to_review_can_be_excluded(source, tmp_path):
    """As predict.py --review writes it of a folder, with links to it and in it."""
    (source.folder / "daisy").rename(tmp_path / "elsewhere")
    (source.folder / "daisy").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "link").symlink_to(source.folder)
    photos = index_photos(source, tmp_path / "data")
    daisies = [source.folder / "daisy" / photo.path.name for photo in photos[:2]]
    roses = [tmp_path / "link" / "roses" / photo.path.name for photo in photos[-2:]]
    answers = [Prediction(str(path), [("roses", 0.5)], False, False) for path in daisies + roses]
    write_review(tmp_path / "list.csv", answers)
    assert exclude_photos(photos, source, [tmp_path / "list.csv"]) == photos[2:-2]


def test_several_lists_are_all_heeded(source, tmp_path, capsys):
    photos = index_photos(source, tmp_path / "data")
    lists = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for file, name in zip(lists, ("daisy/daisy-0001.jpg", "roses/roses-0002.jpg"), strict=True):
        file.write_text(f"path\n{name}\n")
    parser = ArgumentParser("")
    add_photo_arguments(parser)
    first, second = map(str, lists)
    for arguments in (["--exclude", first, "--exclude", second], ["--exclude", first, second]):
        kept = exclude_photos(photos, source, parser.parse_args(arguments).exclude)
        assert len(kept) == len(photos) - 2
    assert "a.csv, " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("path\ndaisy/daisy-0001.jpg\n\ndaisy/nobody.jpg\n", "line 4, daisy/nobody.jpg"),
        ("path,sha256\ndaisy/daisy-0001.jpg,abc\n", "line 2, daisy/daisy-0001.jpg"),
        (f"path\n{Path(__file__).as_posix()}\n", "line 2, .*test_explore.py"),
        ("file\ndaisy/daisy-0001.jpg\n", "no column path"),
        ("", "no column path"),
        (None, "cannot be read"),
    ],
)
def test_lists_that_name_no_photo_are_usage_errors(content, complaint, source, tmp_path):
    if content is not None:
        (tmp_path / "list.csv").write_text(content)
    photos = index_photos(source, tmp_path / "data")
    with pytest.raises(UserError, match=complaint) as caught:
        exclude_photos(photos, source, [tmp_path / "list.csv"])
    assert "--exclude" in str(caught.value)


def test_a_class_cannot_be_excluded_whole(source, tmp_path):
    photos = index_photos(source, tmp_path / "data")
    lines = [f"daisy/{photo.path.name}" for photo in photos if photo.class_name == "daisy"]
    (tmp_path / "list.csv").write_text("\n".join(["path", *lines]))
    with pytest.raises(UserError, match="no photo of class 'daisy'"):
        exclude_photos(photos, source, [tmp_path / "list.csv"])
