"""What a person decided is used: photos that they labelled are trained on, and only that."""

import shutil
import unicodedata
from dataclasses import replace

import pytest
from PIL import ImageOps

from vision101.errors import UserError
from vision101.photos.index import index_photos
from vision101.photos.lists import add_photos, exclude_photos
from vision101.photos.reading import read_photo
from vision101.photos.sources import find_photos
from vision101.photos.split import EVALUATED_SUBSETS, SUBSETS, hash_split, split_photos


@pytest.fixture
def split(painted_folder, tmp_path):
    photos = index_photos(find_photos(str(painted_folder)), tmp_path / "data")
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
    """Show a photo as a negative: another one to the eye."""
    ImageOps.invert(read_photo(split[subset][0].path)).save(path)


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
    assert "Added 1 photo of" in capsys.readouterr().out


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


def test_new_photos_of_a_group_that_is_evaluated_are_never_trained_on(split, tmp_path, monkeypatch):
    """By the expression, or by a column of the list; others of the list are added."""
    monkeypatch.chdir(tmp_path)
    for number, subset in enumerate(("train", "validation", "surplus")):
        make_new_photo(split, tmp_path / f"plant{number}_new.png", subset)
    keys = {
        photo.path: f"plant{subset == 'unseen':d}" for subset in split for photo in split[subset]
    }
    lines = [f"plant{number}_new.png,roses,plant{2 - number}" for number in range(3)]
    (tmp_path / "list.csv").write_text("\n".join(["path,label,group", *lines]))

    def list_added(*options):
        changed = add_photos(split, tmp_path / "list.csv", 36, *options)
        return {photo.path.name[:6] for photo in {*changed["train"]} - {*split["train"]}}

    keys |= {photo.path: "plant9" for photo in (*split["validation"], *split["surplus"])}
    assert list_added({}, None) == {"plant0", "plant1", "plant2"}
    assert list_added(keys, "plant[0-9]") == {"plant0", "plant2"}
    keys = {path: key.replace("1", "2") for path, key in keys.items()}
    assert list_added(keys, None) == {"plant1", "plant2"}


def test_lists_where_nobody_filled_in_a_label_are_refused(add, split, tmp_path):
    make_new_photo(split, tmp_path / "new.png")
    with pytest.raises(UserError, match="has no label in any line"):
        add("new.png,,", "lost.png,,")


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


@pytest.fixture
def cyrillic(photo_folder, tmp_path):
    """Return a source whose classes need care in lists, and its photos."""
    (photo_folder / "daisy").rename(photo_folder / "ромашка")
    (photo_folder / "roses").rename(photo_folder / "роза; алая, или")
    source = find_photos(str(photo_folder))
    return source, index_photos(source, tmp_path / "data")


FILES = [f"ромашка/daisy-{number:04}.jpg" for number in (1, 2, 3)]
PLAIN = "path\n" + "".join(f"{file}\n" for file in FILES)


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode("utf-16"),
        b"\xfe\xff" + PLAIN.replace("\n", "\r\n").encode("utf-16-be"),
        PLAIN.encode("cp1251"),
        ("sep=;\r\n" + PLAIN).encode(),
        b"\xef\xbb\xbf" * 2 + PLAIN.encode(),
        ('"path";"note, with, commas"\r\n' + "".join(f'"{f}";"1,5"\r\n' for f in FILES)).encode(),
        ("path\n" + "".join(f"../my photos/{file}\n" for file in FILES)).encode(),
        ("path\n" + "".join(f"ромашка/../{file}\n" for file in FILES)).encode(),
        ("path\n" + "".join(f"{file.upper()}\n" for file in FILES)).encode(),
        ("path\n" + "".join(f"{unicodedata.normalize('NFD', f)}\n" for f in FILES)).encode(),
        PLAIN.replace("path", "filename").encode(),
        PLAIN.replace("path", "id,Image_Path").replace("ромашка", "7,ромашка").encode(),
        "\n".join(FILES).encode(),
        PLAIN.replace("\n", "\r").encode(),
        # What Excel makes of UTF-8 without a byte order mark.
        PLAIN.encode().decode("latin-1").encode("utf-8-sig"),
    ],
)
def test_lists_of_other_programs_name_their_photos(cyrillic, tmp_path, capsys, content):
    source, photos = cyrillic
    (tmp_path / "list.csv").write_bytes(content)
    kept = exclude_photos(photos, source, [tmp_path / "list.csv"])
    gone = {source.place(photo.path) for photo in photos} - {source.place(p.path) for p in kept}
    assert gone == set(FILES)
    assert "Excluded 3 of 50" in capsys.readouterr().out


def test_names_with_delimiters_need_no_quotes_in_a_list_of_one_column(cyrillic, tmp_path):
    source, photos = cyrillic
    text = "path\nроза; алая, или/roses-0001.jpg\n"
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    assert len(exclude_photos(photos, source, [tmp_path / "list.csv"])) == 49


def test_paths_may_count_from_the_list_or_from_here(cyrillic, tmp_path, monkeypatch):
    source, photos = cyrillic
    (tmp_path / "lists").mkdir()
    monkeypatch.chdir(tmp_path / "my photos" / "ромашка")
    for line in ("../my photos/ромашка/daisy-0001.jpg", "daisy-0001.jpg"):
        (tmp_path / "lists" / "list.csv").write_text(f"path\n{line}\n", encoding="utf-8")
        assert len(exclude_photos(photos, source, [tmp_path / "lists" / "list.csv"])) == 49


def test_a_folder_in_a_list_means_all_photos_in_it(cyrillic, tmp_path):
    source, photos = cyrillic
    (source.folder / "ромашка" / "dark").mkdir()
    for path in sorted((source.folder / "ромашка").glob("*.jpg"))[:4]:
        path.rename(path.parent / "dark" / path.name)
    photos = index_photos(source, tmp_path / "data")
    (tmp_path / "list.csv").write_text("path\nромашка/dark\n", encoding="utf-8")
    assert len(exclude_photos(photos, source, [tmp_path / "list.csv"])) == 46
    (tmp_path / "list.csv").write_text("path\nромашка\n", encoding="utf-8")
    with pytest.raises(UserError, match="leaves no photo of class 'ромашка'"):
        exclude_photos(photos, source, [tmp_path / "list.csv"])


def test_lists_that_name_nothing_are_refused(cyrillic, tmp_path):
    source, photos = cyrillic
    (source.folder / "ромашка" / "bad.jpg").write_text("no picture")
    for text, complaint in (
        ("path\n", "names no photo"),
        ("path,note\n,dark\n", "names no photo"),
        ("path\nромашка/bad.jpg\n", "names no photo that can be read"),
        ("path\n../photos/x.jpg\n", "line 2"),
        ("path\n" + 3000 * "long remark ", "line 2"),
    ):
        (tmp_path / "list.csv").write_text(text, encoding="utf-8")
        with pytest.raises(UserError, match=complaint):
            exclude_photos(photos, source, [tmp_path / "list.csv"])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252"])
def test_a_review_that_went_through_a_spreadsheet_keeps_its_paths(
    split, tmp_path, monkeypatch, encoding
):
    """It took UTF-8 for cp1252; what a person typed in it is right, and in its own encoding."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "für Zoë").mkdir()
    make_new_photo(split, tmp_path / "für Zoë" / "new.png")
    renamed = {
        subset: [replace(p, class_name=p.class_name.replace("roses", "Pâquerette")) for p in photos]
        for subset, photos in split.items()
    }
    shown = "für Zoë/new.png".encode().decode("cp1252")
    text = f"path;label;sure\r\n{shown};PÂQUERETTE;no\r\n"
    (tmp_path / "review.csv").write_bytes(text.encode(encoding))
    added = set(add_photos(renamed, tmp_path / "review.csv")["train"]) - set(renamed["train"])
    assert {photo.class_name for photo in added} == {"Pâquerette"}
