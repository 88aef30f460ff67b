"""--exclude: lists of photos to leave out, as people and spreadsheets write them."""

from pathlib import Path

import pytest

from vision101.cli import ArgumentParser, add_exclude_flag
from vision101.errors import UserError
from vision101.formats import write_review
from vision101.photos.index import index_photos
from vision101.photos.lists import exclude_photos
from vision101.photos.sources import find_photos
from vision101.photos.split import hash_split, split_photos
from vision101.prediction import Prediction


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
    add_exclude_flag(parser)
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
        (f"path\n{Path(__file__).as_posix()}\n", "line 2, .*test_exclude.py"),
        ("photo name\nsome daisy\n", "no column path"),
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
