"""What a person decided is used: photos that they labelled are trained on, and only that."""

import shutil
from dataclasses import replace

import pytest
from PIL import ImageOps

from vision101.errors import UserError
from vision101.photos.index import index_photos
from vision101.photos.lists import add_photos
from vision101.photos.reading import read_photo
from vision101.photos.sources import find_photos
from vision101.photos.split import EVALUATED_SUBSETS, SUBSETS, hash_split, split_photos


@pytest.fixture
def split(painted_folder, tmp_path):
    photos = index_photos(find_photos(painted_folder), tmp_path / "data")
    return split_photos(photos, seed=0)


@pytest.fixture
def add(split, tmp_path, monkeypatch):
    """Return a function that writes a list, and returns the split with its photos added."""
    monkeypatch.chdir(tmp_path)

    def add(*lines: str):
        (tmp_path / "review.csv").write_text("\n".join(("path,label,answer", *lines)))
        return add_photos(split, tmp_path / "review.csv")

    return add


def make_new_photo(split, path, subset="surplus"):
    """Turn a photo upside down: another one to the eye."""
    ImageOps.flip(read_photo(split[subset][0].path)).save(path)


def test_reviewed_photos_are_trained_on_and_nothing_else_changes(add, split, tmp_path, capsys):
    make_new_photo(split, tmp_path / "new.png")
    make_new_photo(split, tmp_path / "other.png", "validation")
    changed = add("new.png,roses,daisy", f"{tmp_path / 'other.png'},,daisy")
    assert len(changed["train"]) == len(split["train"]) + 1
    (new,) = set(changed["train"]) - set(split["train"])
    assert (new.path, new.class_name) == (tmp_path / "new.png", "roses")
    for subset in EVALUATED_SUBSETS:
        assert changed[subset] == split[subset]
    # So runs with and without it compare.
    assert hash_split(changed) == hash_split(split)
    assert "Added 1 photos" in capsys.readouterr().out


def test_photos_like_those_to_evaluate_on_are_never_trained_on(add, split, tmp_path, capsys):
    same, similar = split["unseen"][:2]
    shutil.copy(same.path, tmp_path / "same.jpg")
    recoded = read_photo(similar.path)
    recoded.resize((recoded.width // 2, recoded.height // 2)).save(tmp_path / "similar.png")
    known = split["train"][0]
    assert (
        add(
            f"same.jpg,{same.class_name},",
            f"similar.png,{similar.class_name},",
            f"{known.path},{known.class_name},",
        )
        == split
    )
    assert "left out 0 without a label and 3 like others" in capsys.readouterr().out


@pytest.mark.parametrize("subset", SUBSETS)
def test_corrected_labels_replace_those_of_the_collection(add, split, tmp_path, capsys, subset):
    wrong = next(photo for photo in split[subset] if photo.class_name != "roses")
    shutil.copy(wrong.path, tmp_path / "renamed.jpg")  # known by its content, wherever it lies
    changed = add("renamed.jpg,roses,", f"{wrong.path},roses,")
    # Relabelled where it is; nothing is added, and no photo changes its subset.
    assert set(changed[subset]) - set(split[subset]) == {replace(wrong, class_name="roses")}
    for name in SUBSETS:
        assert {photo.path for photo in changed[name]} == {photo.path for photo in split[name]}
        assert name == subset or changed[name] == split[name]
    # Scores of runs compare unless it was a label to evaluate against.
    assert (hash_split(changed) == hash_split(split)) == (subset == "train")
    assert f"relabelled 1 in {subset}; left out 0 without" in capsys.readouterr().out


def test_relabelling_must_leave_photos_of_every_class(add, split):
    daisies = [photo for photo in split["train"] if photo.class_name == "daisy"]
    with pytest.raises(UserError, match="leaves no photo of class 'daisy' to train on"):
        add(*(f"{photo.path},roses," for photo in daisies))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("new.png,rose,", "line 2: no class 'rose'; the classes are daisy, dandelion, roses"),
        ("lost.png,roses,", "line 2: lost.png: no such file"),
    ],
)
def test_lines_that_cannot_be_used_are_named(add, split, tmp_path, line, message):
    make_new_photo(split, tmp_path / "new.png")
    with pytest.raises(UserError, match=message):
        add(line)


def test_a_photo_cannot_be_of_two_classes(add, split, tmp_path):
    make_new_photo(split, tmp_path / "new.png")
    shutil.copy(tmp_path / "new.png", tmp_path / "copy.png")
    with pytest.raises(UserError, match="line 3: copy.png is 'daisy' here and 'roses' above"):
        add("new.png,roses,", "copy.png,daisy,")


def test_one_name_in_another_encoding_spoils_no_other(split, tmp_path):
    renamed = {
        subset: [
            replace(photo, class_name=photo.class_name.replace("roses", "Löwenzahn "))
            for photo in photos
        ]
        for subset, photos in split.items()
    }
    make_new_photo(split, tmp_path / "new.png")
    list_file = tmp_path / "review.csv"
    line = f"{tmp_path / 'new.png'},Löwenzahn,x\n".encode()
    list_file.write_bytes(b"path,label,answer\ngl\xfc.jpg,,x\n" + line)
    (new,) = set(add_photos(renamed, list_file)["train"]) - set(renamed["train"])
    assert new.class_name == "Löwenzahn "  # as the folder has it, blank and all


def test_other_tables_are_refused(split, tmp_path):
    (tmp_path / "a.csv").write_text("name;size\nnew.png;3\n")
    with pytest.raises(UserError, match="no column label"):
        add_photos(split, tmp_path / "a.csv")
