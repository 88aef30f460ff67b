"""Every way in which photos arrive: painted, from a folder, from archives, downloaded."""

import errno
import http.server
import io
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest
from tensorflow_datasets.datasets.tf_flowers import tf_flowers_dataset_builder

from vision101.errors import UserError
from vision101.files import PARTIAL_PREFIX
from vision101.photos import sample
from vision101.photos.index import index_photos
from vision101.photos.sample import paint_sample
from vision101.photos.sources import find_photos
from vision101.photos.split import hash_split, split_photos


def split_hash(data: str, data_folder: Path) -> str:
    photos = index_photos(find_photos(data, data_folder), data_folder)
    return hash_split(split_photos(photos, seed=0))


@pytest.fixture
def archive(photo_folder, tmp_path) -> Path:
    """A .tgz as tf_flowers comes: one folder with the class folders and a text beside them, and
    one photo in it twice."""
    shutil.copy(photo_folder / "roses/roses-0001.jpg", photo_folder / "roses/copy.jpg")
    (photo_folder / "LICENSE.txt").write_text("Photos by many people.")
    path = tmp_path / "flower_photos.tgz"
    with tarfile.open(path, "w:gz") as file:
        file.add(photo_folder, "flower_photos")
    return path


def test_sample_is_painted_once_and_marked(tmp_path, monkeypatch):
    counts = {"daisy": 2, "roses": 1}
    monkeypatch.setattr(sample, "paint_sample", lambda folder: paint_sample(folder, counts=counts))
    source = find_photos("sample", tmp_path)
    assert source.painted
    assert len(list(source.folder.rglob("*.jpg"))) == 3
    monkeypatch.delattr(sample, "paint_sample")
    assert find_photos("sample", tmp_path) == source
    # Painted photos are known for what they are under any name.
    copy = shutil.copytree(source.folder, tmp_path / "renamed")
    assert find_photos(str(copy), tmp_path).painted


def test_interrupted_painting_leaves_nothing(tmp_path, monkeypatch):
    def paint_some(folder):
        (folder / "daisy").mkdir(parents=True)
        raise KeyboardInterrupt

    monkeypatch.setattr(sample, "paint_sample", paint_some)
    with pytest.raises(KeyboardInterrupt):
        find_photos("sample", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_sample_is_the_same_every_time_and_every_photo_another(tmp_path):
    counts = dict.fromkeys(("daisy", "dandelion", "roses", "sunflowers", "tulips"), 2)
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
        paint_sample(folder, counts=counts)
    first, second = ({p.name: p.read_bytes() for p in f.rglob("*.jpg")} for f in folders)
    assert first == second
    assert len(set(first.values())) == 10


def test_own_folder_is_used_where_it_lies(photo_folder, tmp_path):
    source = find_photos(str(photo_folder), tmp_path / "data")
    assert source.folder == photo_folder.resolve()
    assert not source.painted
    assert not (tmp_path / "data").exists()


def test_archives_give_the_same_split_as_their_folder(photo_folder, archive, tmp_path):
    zipped = tmp_path / "photos.zip"
    with zipfile.ZipFile(zipped, "w") as file:
        for path in photo_folder.rglob("*.jpg"):
            file.write(path, path.relative_to(photo_folder))
    tarred = tmp_path / "photos.tar"
    with tarfile.open(tarred, "w") as file:
        file.add(photo_folder, ".")
    data_folder = tmp_path / "data"
    expected = split_hash(str(photo_folder), data_folder)
    for path in (archive, zipped, tarred):
        assert split_hash(str(path), data_folder) == expected
    # Unpacked once: the archive's content is known from then on.
    unpacked = {path: path.stat().st_mtime_ns for path in data_folder.rglob("*.jpg")}
    find_photos(str(archive), data_folder)
    assert {path: path.stat().st_mtime_ns for path in data_folder.rglob("*.jpg")} == unpacked


def test_archives_zipped_by_a_mac_are_fine(photo_folder, tmp_path):
    zipped = tmp_path / "photos.zip"
    with zipfile.ZipFile(zipped, "w") as file:
        for path in photo_folder.rglob("*.jpg"):
            file.write(path, path.relative_to(photo_folder))
            file.writestr(f"__MACOSX/{path.parent.name}/._{path.name}", b"resource fork")
    assert split_hash(str(zipped), tmp_path / "data") == split_hash(
        str(photo_folder), tmp_path / "data"
    )


def add_to_tar(path: Path, member: tarfile.TarInfo) -> None:
    with tarfile.open(path, "w:gz") as file:
        member.size = 0 if member.linkname else 3
        file.addfile(member, io.BytesIO(b"bad"))


@pytest.mark.parametrize(
    "name", ["../evil.jpg", "/tmp/evil.jpg", "a/../../evil.jpg", "C:/evil.jpg"]
)
def test_paths_outside_an_archive_are_refused(name, tmp_path):
    add_to_tar(tmp_path / "bad.tgz", tarfile.TarInfo(name))
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as file:
        file.writestr(name, b"bad")
    for archive_name in ("bad.tgz", "bad.zip"):
        with pytest.raises(UserError, match="a path outside"):
            find_photos(str(tmp_path / archive_name), tmp_path / "data")
    assert not list((tmp_path / "data").rglob("*.jpg"))
    assert not (tmp_path / "evil.jpg").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links_in_archives_are_refused(kind, tmp_path):
    link = tarfile.TarInfo("roses/link.jpg")
    link.type, link.linkname = kind, "/etc/passwd"
    add_to_tar(tmp_path / "bad.tgz", link)
    with pytest.raises(UserError, match="a link or device"):
        find_photos(str(tmp_path / "bad.tgz"), tmp_path / "data")


@pytest.mark.parametrize(
    ("name", "problem"),
    [("cut.tgz", "damaged"), ("text.zip", "a text file"), ("text.tar", "a text file")],
)
def test_damaged_archives_leave_nothing(name, problem, archive, tmp_path):
    content = archive.read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2] if "cut" in name else b"text")
    with pytest.raises(UserError, match=f"{name}: {problem}"):
        find_photos(str(tmp_path / name), tmp_path / "data")
    assert not list((tmp_path / "data").rglob("*"))[1:]


def test_missing_and_unknown_data_are_usage_errors(tmp_path):
    with pytest.raises(UserError, match="no such folder or archive"):
        find_photos(str(tmp_path / "nothing"), tmp_path)
    (tmp_path / "photo.jpg").write_bytes(b"")
    with pytest.raises(UserError, match="not a folder, nor one of .tgz"):
        find_photos(str(tmp_path / "photo.jpg"), tmp_path)


def test_data_that_cannot_be_read_is_a_usage_error(archive, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="x{300}"):
        find_photos(300 * "x", tmp_path)  # a longer name than a file can have

    # An administrator, as whom tests may run, may read all files.
    def refuse(path, *arguments):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UserError, match="cannot use .*flower_photos.tgz .Permission denied"):
        find_photos(str(archive), tmp_path)


def test_what_a_dead_process_left_is_swept(photo_folder, tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = tmp_path / "data" / f"{PARTIAL_PREFIX}{dead.pid}-sample"
    unpacked = tmp_path / "data" / "unpacked" / f"{PARTIAL_PREFIX}{dead.pid}-photos"
    alive = tmp_path / "data" / f"{PARTIAL_PREFIX}{os.getpid()}-tf_flowers"
    for folder in (left, unpacked, alive):
        folder.mkdir(parents=True)
        (folder / "photo.jpg").touch()
    find_photos(str(photo_folder), tmp_path / "data")
    assert not left.exists()
    assert not unpacked.exists()
    assert (alive / "photo.jpg").exists()


@pytest.fixture
def address(archive):
    """Serve the archive on this machine, in the place of the real server."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=archive.parent)

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{archive.name}"
    server.shutdown()


def test_tf_flowers_is_downloaded_once_by_the_real_builder(
    address, photo_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(tf_flowers_dataset_builder, "_URL", address)
    data_folder = tmp_path / "data"
    source = find_photos("tf_flowers", data_folder)
    assert source.folder == (data_folder / "tf_flowers").resolve()
    assert {path.name for path in source.folder.iterdir()} == {"daisy", "dandelion", "roses"}

    def contents(folder):
        return sorted((path.parent.name, path.read_bytes()) for path in folder.rglob("*.jpg"))

    assert contents(source.folder) == contents(photo_folder)
    assert split_hash("tf_flowers", data_folder) == split_hash(str(photo_folder), data_folder)
    # The second time there is nothing to download.
    monkeypatch.setattr(tf_flowers_dataset_builder, "_URL", "http://127.0.0.1:1/")
    assert find_photos("tf_flowers", data_folder) == source


def test_no_network_offers_three_ways_on(tmp_path, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/flower_photos.tgz"
    monkeypatch.setattr(tf_flowers_dataset_builder, "_URL", address)
    with pytest.raises(UserError) as caught:
        find_photos("tf_flowers", tmp_path / "data")
    message = str(caught.value)
    assert "\n" not in message
    for way_on in (address, "try again", "--data flower_photos.tgz", "--data sample"):
        assert way_on in message
    assert not list((tmp_path / "data").iterdir())


def test_damaged_download_is_a_usage_error(address, archive, tmp_path, monkeypatch):
    archive.write_bytes(archive.read_bytes()[:1000])
    monkeypatch.setattr(tf_flowers_dataset_builder, "_URL", address)
    with pytest.raises(UserError, match="could not be downloaded"):
        find_photos("tf_flowers", tmp_path / "data")
    assert not list((tmp_path / "data").iterdir())
