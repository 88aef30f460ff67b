"""explore.py: the lists, pictures and page that it leaves, and what it does where it cannot."""

import csv
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from conftest import PROJECT
from PIL import Image

import explore
from vision101.errors import UserError
from vision101.exploration import plots
from vision101.exploration.checks import FileProblem, LabelCheck, LabelIssue
from vision101.exploration.observations import OBSERVATIONS, measure_photos
from vision101.exploration.report import (
    Exploration,
    describe_photos,
    suggest_training,
    write_page,
)
from vision101.figures import plt
from vision101.finished_runs import list_runs
from vision101.photos.index import Photo, index_files, index_photos
from vision101.photos.lists import exclude_photos
from vision101.photos.sources import find_photos
from vision101.training import features
from vision101.training.backbones import cut_classifier
from vision101.training.models import (
    average_with_flip,
    build_base_cnn,
    build_tuned_cnn,
    rebuild_model,
)


def read_rows(path):
    with path.open(newline="", encoding="utf-8-sig") as file:
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
        compute = features.compute_features
        monkeypatch.setattr(
            features, "compute_features", lambda *given: compute(*given, data_folder=root)
        )
        arguments = ("--data", photos, "--backbone", root / "small.keras", "--image-size", 96)
        arguments += ("--output-dir", outputs, "--name", "test")
        monkeypatch.setattr(sys, "argv", ["explore.py", *map(str, arguments)])
        explore.main()
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
    # What to do stands before any section.
    start = " ".join(text.split("Label issues\n\n")[0].split())
    assert "first at the duplicates in two classes" in start
    # So few photos need a pretrained network.
    assert f"Then train: python train_transfer.py --data {explored[0]}" in start
    issues = len(read_rows(explored[1] / "label_issues.csv"))
    assert "54 photos of 3 classes, 15 to 21 of each: " in start
    assert f"{issues} label issues; odd files: broken (1)" in start


@pytest.mark.parametrize(
    ("counts", "data", "script"),
    [((200, 300), "photos", "cnn"), ((199, 300), "photos", "transfer"), ((8, 9), "sample", "cnn")],
)
def test_few_photos_are_told_to_train_on_a_pretrained_network(counts, data, script):
    photos = [SimpleNamespace(class_name=str(n)) for n in counts for _ in range(n)]
    found = Exploration("", data, photos, None, [], [], [], LabelCheck([], None, ""))
    assert suggest_training(found) == f"python train_{script}.py --data {data}"


def test_photos_without_findings_are_summed_up():
    photos = [SimpleNamespace(class_name=name) for name in "abab"]
    found = Exploration("", "", photos, None, [], [], [], LabelCheck([], 1.0, ""))
    assert describe_photos(found) == (
        "4 photos of 2 classes, 2 of each: no duplicates, no label issues, no odd files."
    )


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
    expected = {"counts", "sizes", "samples", "means", "hues", "duplicates", "label_issues"}
    assert names == expected | {item.name for item in OBSERVATIONS}


def test_pictures_name_classes_alike_and_say_where_they_show_some_only(tmp_path, monkeypatch):
    Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg")
    state = (tmp_path / "a.jpg").stat()
    names = [*(f"species {number}" for number in range(10, 23)), "\U0001fbc5"]  # in no font
    about = (40, 30, "", "", "", state.st_size, state.st_mtime_ns)
    photos = [Photo(tmp_path / "a.jpg", name, *about) for name in names]
    drawn = {}
    monkeypatch.setattr(plots, "save_figure", lambda figure, path: drawn.update({path: figure}))
    plots.plot_photos(tmp_path, photos, 32, "forest")
    issue = LabelIssue(photos[0], names[-1], 0.6, 0.1)
    plots.plot_findings(tmp_path, photos, [], [issue], "forest")
    titles = {path.stem: figure.get_suptitle() for path, figure in drawn.items()}
    assert titles["samples"].startswith("forest, the 12 largest of 14 classes: photos of each")
    assert titles["counts"] == "forest: photos of each class"
    issues = drawn[tmp_path / "plots" / "label_issues.png"]
    assert issues.axes[0].get_title() == "in species 10\n60 % class 14?"
    plt.close("all")


def test_explorations_are_not_taken_for_runs(explored):
    with pytest.raises(UserError, match="no complete run"):
        list_runs(explored[1].parent)


@pytest.mark.parametrize("name", ["label_issues.csv", "duplicates.csv", "files.csv"])
def test_lists_can_be_excluded_as_they_are(explored, name, tmp_path):
    photos, folder = explored
    source = find_photos(str(photos))
    indexed = index_photos(source, tmp_path)
    kept = {photo.path for photo in exclude_photos(indexed, source, [folder / name])}
    listed = {photos / row["path"] for row in read_rows(folder / name)}
    assert listed
    assert kept == {photo.path for photo in indexed} - listed


@pytest.mark.parametrize(
    "build_model",
    [lambda: build_base_cnn(3, 32), lambda: average_with_flip(build_tuned_cnn(3))],
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


def test_a_photo_that_vanishes_or_changes_meanwhile_is_named(photo_folder, tmp_path):
    photos = index_photos(find_photos(str(photo_folder)), tmp_path / "data")
    measurements = measure_photos(photos)
    (tmp_path / "plots").mkdir()
    # The brightest daisy stands at the end of its row.
    daisies = [photo.class_name == "daisy" for photo in photos]
    brightness = np.where(daisies, measurements.values["brightness"], -1)
    photo = photos[int(brightness.argmax())]
    problems, check = [FileProblem(photo, "plain", "")], LabelCheck([], None, "")
    found = Exploration("", "", photos, measurements, [], problems, [], check)
    for spoil in (lambda path: path.write_bytes(b"x" * 9), os.remove):
        spoil(photo.path)
        for draw in (
            lambda: measure_photos(photos),
            lambda: plots.plot_measurements(tmp_path, photos, measurements, ""),
            lambda: write_page(tmp_path, found),
        ):
            with pytest.raises(UserError, match=f"{photo.path.name}: .*; start again"):
                draw()


def test_without_weights_labels_are_skipped_and_the_way_on_is_said(monkeypatch):
    def fail(*given):
        raise UserError("the weights of ResNet50 could not be downloaded")

    monkeypatch.setattr("vision101.training.backbones.build_backbone", fail)
    monkeypatch.setattr(sys, "argv", ["explore.py"])
    network, note = explore.find_network(explore.parse_arguments())
    assert network is None
    assert "could not be downloaded" in note
    assert "--run" in note
    # What was asked for must be there.
    monkeypatch.setattr(sys, "argv", ["explore.py", "--backbone", "ResNet50"])
    with pytest.raises(UserError):
        explore.find_network(explore.parse_arguments())


def test_a_network_that_cannot_be_used_leaves_no_folder(photo_folder, tmp_path, monkeypatch):
    (tmp_path / "damaged.keras").write_bytes(b"no model")
    flags = {"--data": photo_folder, "--backbone": tmp_path / "damaged.keras"}
    flags |= {"--output-dir": tmp_path / "outputs"}
    monkeypatch.setattr(sys, "argv", ["explore.py", *(f"{k}={v}" for k, v in flags.items())])
    monkeypatch.setattr(explore, "index_files", lambda source: index_files(source, tmp_path))
    with pytest.raises(UserError, match=r"damaged\.keras"):
        explore.main()
    assert not list((tmp_path / "outputs").iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--run", "nowhere"), "nowhere: not the folder of a run"),
        (("--output-dir", "a file/outputs"), "cannot use a file"),
    ],
)
def test_what_is_wrong_with_the_command_is_told_before_tensorflow_is_loaded(
    project, photo_folder, tmp_path, arguments, message
):
    (tmp_path / "a file").write_text("")
    program = (
        "import runpy, sys\n"
        f"sys.argv = ['explore.py', '--data', {str(photo_folder)!r}, *{arguments!r}]\n"
        f"try: runpy.run_path({str(project / 'explore.py')!r}, run_name='__main__')\n"
        "except SystemExit as ending: code = ending.code\n"
        "print(code, [name for name in ('tensorflow', 'matplotlib') if name in sys.modules])"
    )
    environment = os.environ | {"PYTHONPATH": str(project)}
    finished = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert finished.stdout.endswith("2 []\n"), finished.stderr
    assert message in finished.stderr.splitlines()[-1]  # after the progress of reading photos
    assert "Traceback" not in finished.stderr


def test_exploring_without_labels_loads_no_tensorflow():
    program = (
        "import sys, explore, vision101.exploration.plots, vision101.exploration.report\n"
        "sys.argv = ['explore.py', '--skip-labels']\n"
        "explore.find_network(explore.parse_arguments())\n"
        "sys.exit('tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=PROJECT, check=True)
