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
from vision101.photos.split import hash_split, split_photos


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


def make_new_photo(split, path, part="surplus"):
    """Turn a photo upside down: another one to the eye."""
    ImageOps.flip(read_photo(split[part][0].path)).save(path)


def test_reviewed_photos_are_trained_on_and_nothing_else_changes(add, split, tmp_path, capsys):
    make_new_photo(split, tmp_path / "new.png")
    make_new_photo(split, tmp_path / "other.png", "validation")
    changed = add("new.png,roses,daisy", f"{tmp_path / 'other.png'},,daisy")
    assert len(changed["train"]) == len(split["train"]) + 1
    (new,) = set(changed["train"]) - set(split["train"])
    assert (new.path, new.class_name) == (tmp_path / "new.png", "roses")
    for part in ("validation", "unseen", "surplus"):
        assert changed[part] == split[part]
    # So runs with and without it compare.
    assert hash_split(changed) == hash_split(split)
    assert "Added 1 photos" in capsys.readouterr().out


def test_what_the_model_is_judged_on_is_never_trained_on(add, split, tmp_path, capsys):
    shutil.copy(split["unseen"][0].path, tmp_path / "same.jpg")
    recoded = read_photo(split["unseen"][1].path)
    recoded.resize((recoded.width // 2, recoded.height // 2)).save(tmp_path / "similar.png")
    shutil.copy(split["train"][0].path, tmp_path / "known.jpg")
    changed = add("same.jpg,roses,", "similar.png,roses,", "known.jpg,roses,")
    assert changed["train"] == split["train"]
    assert "and 3 like others" in capsys.readouterr().out


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
        part: [
            replace(photo, class_name=photo.class_name.replace("roses", "Löwenzahn "))
            for photo in photos
        ]
        for part, photos in split.items()
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
