"""Collections as people bring them: divided into subsets, named by other systems, or as a list."""

import shutil
import unicodedata
from argparse import Namespace
from collections import Counter
from pathlib import Path

import pytest
from PIL import ImageEnhance

from vision101.errors import UserError
from vision101.photos.index import index_photos
from vision101.photos.make_split import make_split
from vision101.photos.reading import read_photo
from vision101.photos.sources import PhotoSource, find_photos
from vision101.photos.split import hash_split, split_photos

CLASSES = ("daisy", "roses")


@pytest.fixture
def read(tmp_path, capsys):
    """Return a function that indexes what `--data` names, and returns the photos and the lines."""

    def read(data) -> tuple[list, list[str]]:
        photos = index_photos(find_photos(str(data), tmp_path / "data"), tmp_path / "data")
        lines = capsys.readouterr().out.splitlines()
        return photos, [line for line in lines if not line.startswith("Reading photos: ")]

    return read


@pytest.fixture
def split(tmp_path, capsys):
    """Return a function that splits by flags, and returns the split and the lines about it."""

    def split(data, **flags) -> tuple[dict, str]:
        source = find_photos(str(data), tmp_path / "data")
        photos = index_photos(source, tmp_path / "data")
        capsys.readouterr()
        usual = {"seed": 0, "per_class": None, "add": None, "use_split": False, "group_by": None}
        arguments = Namespace(**usual | {"near_duplicates": 36} | flags)
        return make_split(photos, source, arguments), capsys.readouterr().out

    return split


def divide(folder: Path, photo_folder: Path, **shares: tuple[int, int]) -> Path:
    """Copy the photos of two classes into subsets, the numbers from first to last into each."""
    for subset, (first, last) in shares.items():
        for name in CLASSES:
            target = folder / subset.replace("__", "/") / name
            target.mkdir(parents=True)
            for path in sorted((photo_folder / name).iterdir())[first:last]:
                shutil.copy(path, target)
    return folder


def count(photos) -> dict[str, int]:
    return dict(Counter(photo.class_name for photo in photos))


@pytest.mark.parametrize(
    "subsets",
    [
        ("training_set", "test_set"),
        ("seg_train__seg_train", "seg_test__seg_test"),
        ("Training", "Testing"),
        ("TrainData", "ValData"),
        ("train", "test", "val", "chest_xray"),
        ("train", "test", "sample"),
        ("train", "test", "again__train", "again__test"),
        ("fold1", "fold2", "fold3"),
    ],
)
def test_subsets_of_a_collection_are_merged_and_named(photo_folder, tmp_path, read, subsets):
    shares = {subset: (3 * n, 3 * n + 3) for n, subset in enumerate(subsets)}
    photos, lines = read(divide(tmp_path / "all", photo_folder, **shares))
    assert count(photos) == dict.fromkeys(CLASSES, 3 * len(subsets))
    assert "--use-split" in lines[0]
    assert subsets[0].split("__")[-1] in lines[0]
    assert lines[-1] == (
        f"{len(photos)} photos of 2 classes: daisy ({3 * len(subsets)}), roses ({3 * len(subsets)})"
    )


def test_test_photos_without_classes_are_left_out_and_named(photo_folder, tmp_path, read):
    folder = divide(tmp_path / "all", photo_folder, train=(0, 8))
    shutil.copytree(photo_folder / "dandelion", folder / "test" / "test")
    photos, lines = read(folder)
    assert count(photos) == dict.fromkeys(CLASSES, 8)
    assert any("20 files" in line and "test/" in line for line in lines)


@pytest.mark.parametrize("names", [("train", "car"), ("2019", "2020"), ("test", "tube")])
def test_classes_are_classes_whatever_lies_in_them(photo_folder, tmp_path, read, names):
    for name, source in zip(names, CLASSES, strict=True):
        for inner in ("side", "front"):
            shutil.copytree(photo_folder / source, tmp_path / "all" / name / inner)
    photos, lines = read(tmp_path / "all")
    assert set(count(photos)) == set(names)
    assert "hold the sub-folders front, side" in lines[0]


def test_use_split_keeps_what_the_folders_say(photo_folder, tmp_path, split):
    folder = divide(tmp_path / "all", photo_folder, train=(0, 6), val=(6, 9), test=(9, 14))
    kept, said = split(folder, use_split=True)
    for subset, name in (("train", "train"), ("validation", "val"), ("unseen", "test")):
        assert {photo.path.parent.parent.name for photo in kept[subset]} == {name}
    assert [len(kept[subset]) for subset in ("train", "validation", "unseen")] == [12, 6, 10]
    assert "Split as it came: 6 validation, 12 train, 10 unseen" in said
    assert "near-duplicate" not in said
    anew, _ = split(folder)
    assert hash_split(anew) != hash_split(kept)


def test_what_a_split_lacks_is_held_out_of_train(photo_folder, tmp_path, split):
    folder = divide(tmp_path / "all", photo_folder, train=(0, 10), valid=(10, 14))
    kept, said = split(folder, use_split=True)
    assert {photo.path.parent.parent.name for photo in kept["unseen"]} == {"valid"}
    assert count(kept["validation"]) == dict.fromkeys(CLASSES, 2)
    assert count(kept["train"]) == dict.fromkeys(CLASSES, 8)
    assert "the validation set serves as such" in said
    again, _ = split(folder, use_split=True, seed=1)
    assert again["unseen"] == kept["unseen"]
    assert again["validation"] != kept["validation"]


def test_subsets_in_each_class_folder_are_kept_too(photo_folder, tmp_path, split):
    folder = divide(tmp_path / "all", photo_folder, train=(0, 9), test=(9, 14))
    for subset in ("train", "test"):
        for name in CLASSES:
            (folder / "turned" / name).mkdir(parents=True, exist_ok=True)
            (folder / subset / name).rename(folder / "turned" / name / subset)
    kept, _ = split(folder / "turned", use_split=True)
    assert {photo.path.parent.name for photo in kept["unseen"]} == {"test"}
    assert count(kept["unseen"]) == dict.fromkeys(CLASSES, 5)


def test_duplicates_across_the_subsets_that_came_are_named(photo_folder, tmp_path, split):
    folder = divide(tmp_path / "all", photo_folder, train=(0, 9), test=(9, 14))
    first = sorted((folder / "train" / "roses").iterdir())[0]
    image = read_photo(first)
    image.resize((image.width // 2, image.height // 2)).save(folder / "test/roses/small.png")
    _, said = split(folder, use_split=True)
    assert "1 of 11 unseen photos have a near-duplicate" in said
    assert f"small.png like {first.name}" in said


def test_a_split_that_does_not_fit_is_a_usage_error(photo_folder, tmp_path, split):
    with pytest.raises(UserError, match="no subsets such as train/"):
        split(photo_folder, use_split=True)
    folder = divide(tmp_path / "all", photo_folder, train=(0, 9), test=(9, 14))
    shutil.rmtree(folder / "test" / "roses")
    with pytest.raises(UserError, match="class 'roses' has no photo in unseen"):
        split(folder, use_split=True)


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ([unicodedata.normalize(form, "Pâquerette") for form in ("NFC", "NFD")], "Pâquerette"),
        (["daisy", "daisy "], "daisy"),
        (["ox  eye", "ox\u00a0eye"], "ox eye"),
    ],
)
def test_folders_whose_names_look_the_same_are_one_class(
    photo_folder, tmp_path, read, names, shown
):
    for name, source in zip(names, ("daisy", "dandelion"), strict=True):
        shutil.copytree(photo_folder / source, tmp_path / "all" / name)
    shutil.copytree(photo_folder / "roses", tmp_path / "all" / "roses")
    photos, lines = read(tmp_path / "all")
    assert count(photos) == {shown: 34, "roses": 16}
    assert lines[0] == f"2 folders whose names look the same are one class: {shown}"


def test_classes_that_differ_in_case_only_are_refused(photo_folder, read):
    # On disks that ignore case there cannot be both.
    if not (photo_folder / "DAISY").exists():
        (photo_folder / "dandelion").rename(photo_folder / "Daisy")
        with pytest.raises(UserError, match="'Daisy' and 'daisy' differ in upper and lower case"):
            read(photo_folder)


def test_a_dot_hides_no_class_and_other_programs_make_none(photo_folder, read):
    (photo_folder / "roses").rename(photo_folder / ".NET")
    for folder in ("@eaDir/daisy", "daisy/@eaDir/x.jpg", ".ipynb_checkpoints", ".empty"):
        (photo_folder / folder).mkdir(parents=True)
    for folder in ("@eaDir/daisy", "daisy/@eaDir/x.jpg", ".ipynb_checkpoints"):
        shutil.copy(photo_folder / "daisy/daisy-0001.jpg", photo_folder / folder / "thumb.jpg")
    photos, lines = read(photo_folder)
    assert count(photos) == {".NET": 16, "daisy": 14, "dandelion": 20}
    expected = "3 files in folders of other programs (.ipynb_checkpoints, @eaDir)"
    assert lines[0] == f"Left out: {expected}"


def test_all_files_that_are_left_out_are_named_once(photo_folder, read):
    for number in range(20):
        shutil.copy(photo_folder / "daisy/daisy-0001.jpg", photo_folder / f"beside-{number:02}.jpg")
    (photo_folder / "roses" / ".IMG_1.jpg.icloud").write_bytes(b"placeholder")
    (photo_folder / "roses" / ".hidden.jpg").write_bytes(b"photo")
    for name in (".DS_Store", "Thumbs.db", "._roses-0001.jpg"):  # no photo to anybody
        (photo_folder / "roses" / name).write_bytes(b"")
    photos, lines = read(photo_folder)
    assert len(photos) == 50
    assert sorted(lines[:-1]) == [
        "Left out: 1 file hidden or in no class (.hidden.jpg)",
        "Left out: 1 file not downloaded from iCloud yet (.IMG_1.jpg.icloud)",
        "Left out: 20 files beside the class folders "
        "(beside-00.jpg, beside-01.jpg, beside-02.jpg, …)",
    ]


def test_of_many_classes_the_smallest_are_shown(photo_folder, tmp_path, read):
    paths = sorted(photo_folder.rglob("*.jpg"))
    for number in range(16):
        for path in paths[: 1 + number]:
            target = tmp_path / "all" / f"class {number:02}" / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    _, lines = read(tmp_path / "all")
    assert lines[-1].startswith("136 photos of 16 classes; the 12 smallest: class 00 (1), ")
    assert "class 11 (12)" in lines[-1]
    assert "class 12" not in lines[-1]


def write_labels(folder: Path, *lines: str) -> Path:
    path = folder / "labels.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_a_list_of_labels_stands_for_class_folders(photo_folder, read):
    by_folder, _ = read(photo_folder)
    for path in sorted(photo_folder.rglob("*.jpg")):
        path.rename(photo_folder / path.name)
    lines = [f"{photo.path.name},{photo.class_name}" for photo in by_folder]
    photos, said = read(write_labels(photo_folder, "filename,class", *lines, "nobody.jpg,"))
    assert count(photos) == count(by_folder)
    assert hash_split(split_photos(photos, 0)) == hash_split(split_photos(by_folder, 0))
    assert "1 lines" in said[0]
    # Corrected in the list, with the photos as they were.
    lines[0] = f"{by_folder[0].path.name},roses"
    photos, _ = read(write_labels(photo_folder, "filename,class", *lines))
    assert count(photos) == {"daisy": 13, "dandelion": 20, "roses": 17}


def test_lists_of_competitions_name_photos_without_ending_or_folder(photo_folder, tmp_path, read):
    by_folder, _ = read(photo_folder)
    (tmp_path / "all" / "train").mkdir(parents=True)
    for photo in by_folder:
        shutil.copy(photo.path, tmp_path / "all" / "train")
    lines = [f"{photo.path.stem},{photo.class_name}" for photo in by_folder]
    photos, _ = read(write_labels(tmp_path / "all", "id,category", *lines))
    assert count(photos) == count(by_folder)


def test_columns_of_a_list_give_subsets_and_groups(photo_folder, split, read):
    by_folder, _ = read(photo_folder)
    lines = [
        f"{photo.class_name}/{photo.path.name},{photo.class_name},{number // 2},"
        + ("test" if number % 3 == 0 else "train")
        for number, photo in enumerate(by_folder)
    ]
    table = write_labels(photo_folder, "path,label,group,split", *lines)
    kept, _ = split(table, use_split=True)
    assert len(kept["unseen"]) == 17
    assert count(kept["train"])["daisy"] + count(kept["validation"])["daisy"] == 9
    grouped, _ = split(table)
    subset_of = {photo.path: subset for subset, photos in grouped.items() for photo in photos}
    for first, second in zip(by_folder[::2], by_folder[1::2], strict=True):
        assert subset_of[first.path] == subset_of[second.path]


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (["daisy/lost.jpg,daisy"], "no such file: line 2, daisy/lost.jpg"),
        (["daisy/daisy-0001.jpg,daisy", "daisy/daisy-0001.jpg,roses"], "line 3: .*'roses' here"),
        (["daisy/daisy-0001.jpg,daisy"], "at least two"),
    ],
)
def test_lists_of_labels_that_do_not_fit_are_usage_errors(photo_folder, read, lines, complaint):
    with pytest.raises(UserError, match=complaint):
        read(write_labels(photo_folder, "path,label", *lines))


def test_groups_by_path_stay_together(photo_folder, split):
    # Three photos of one plant in a row, by the number in their names.
    for path in photo_folder.rglob("*.jpg"):
        number = int(path.stem.split("-")[1])
        path.rename(path.with_name(f"plant{number // 3}-{number}.jpg"))
    divided, said = split(photo_folder, group_by=r"(\w+)/plant(\d+)")
    assert "groups by" in said
    subsets = {}
    for subset, photos in divided.items():
        for photo in photos:
            plant = (photo.class_name, photo.path.name.split("-")[0])
            assert subsets.setdefault(plant, subset) == subset
    assert hash_split(divided) != hash_split(split(photo_folder)[0])
    for expression in ("nothing like this", "jpg"):
        with pytest.raises(UserError, match="--group-by"):
            split(photo_folder, group_by=expression)


def test_photos_of_a_fixed_camera_can_be_split(photo_folder, tmp_path, split):
    for name in CLASSES:
        (tmp_path / "all" / name).mkdir(parents=True)
        scene = read_photo(photo_folder / "daisy" / "daisy-0001.jpg")
        for number in range(12):
            brighter = ImageEnhance.Brightness(scene).enhance(1 + number / 100)
            brighter.save(tmp_path / "all" / name / f"{name}-{number}.png")
    with pytest.raises(UserError, match="too few different photos.*--near-duplicates 0"):
        split(tmp_path / "all")
    divided, said = split(tmp_path / "all", near_duplicates=0)
    assert count(divided["unseen"]) == dict.fromkeys(CLASSES, 3)
    assert "Hint" not in said
    # Where there are others, it is only said.
    for name in CLASSES:
        for path in sorted((photo_folder / name).iterdir())[2:10]:
            shutil.copy(path, tmp_path / "all" / name)
    assert "Hint: 12 of 20 photos of" in split(tmp_path / "all")[1]


def test_the_list_is_what_finds_its_photos_again(photo_folder, read):
    table = write_labels(photo_folder, "path,label")
    assert find_photos(str(table)).data == table.resolve()
    assert PhotoSource(photo_folder, painted=False).data == photo_folder
