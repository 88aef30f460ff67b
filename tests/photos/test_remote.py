"""Photos in an object store: of Amazon's kind, a small one on this machine."""

import errno
import shutil
import sys

import boto3
import pytest
import s3fs
from moto.server import ThreadedMotoServer

from vision101.errors import UserError
from vision101.photos import remote
from vision101.photos.index import index_photos
from vision101.photos.sources import find_photos


@pytest.fixture
def bucket(photo_folder, monkeypatch):
    """A bucket with photos of two classes below `flowers/`, as boto3 gives it."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    s3fs.S3FileSystem.clear_instance_cache()  # those of another server
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    bucket = boto3.resource("s3").create_bucket(Bucket="garden")
    for path in photo_folder.rglob("*.jpg"):
        bucket.upload_file(str(path), f"flowers/{path.parent.name}/{path.name}")
    bucket.put_object(Key="flowers/empty/", Body=b"")  # a folder, as Amazon's console makes it
    yield bucket
    server.stop()


def test_photos_in_a_store_are_copied_once(bucket, photo_folder, tmp_path, capfd):
    here = index_photos(find_photos(str(photo_folder)), tmp_path)
    source = find_photos("s3://garden/flowers", tmp_path)
    copied = index_photos(source, tmp_path)
    assert [photo.sha256 for photo in copied] == [photo.sha256 for photo in here]
    assert f"Copied {len(here)} files of {len(here)}" in capfd.readouterr().out
    # The next time, only what differs.
    first, second = (source.place(photo.path) for photo in copied[:2])
    kept = copied[5].path.stat()
    bucket.Object(f"flowers/{first}").delete()
    bucket.upload_file(str(copied[5].path), f"flowers/{second}")
    assert find_photos("s3://garden/flowers/", tmp_path) == source
    assert f"Copied 1 file of {len(here) - 1}" in capfd.readouterr().out
    assert not (source.folder / first).exists()
    assert (source.folder / second).read_bytes() == copied[5].path.read_bytes()
    assert copied[5].path.stat() == kept


def test_class_that_is_gone_leaves_no_folder(bucket, photo_folder, tmp_path):
    source = find_photos("s3://garden/flowers", tmp_path)
    left_over = source.folder / "roses" / "nobody-knows.jpg"  # of a copy that was killed
    shutil.copy(next(source.folder.glob("roses/*.jpg")), left_over)
    bucket.objects.filter(Prefix="flowers/roses/").delete()
    assert find_photos("s3://garden/flowers", tmp_path) == source
    names = {path.name for path in photo_folder.iterdir()} - {"roses"}
    assert {photo.class_name for photo in index_photos(source, tmp_path)} == names


def test_two_copies_are_the_same_to_the_index(bucket, tmp_path):
    # Of processes that train together, on one disk, the later one may write over the earlier one.
    paths = [find_photos("s3://garden/flowers", tmp_path / name).folder for name in "ab"]
    for path in paths[0].rglob("*.jpg"):
        other = paths[1] / path.relative_to(paths[0])
        assert path.stat().st_mtime_ns == other.stat().st_mtime_ns


def test_copy_that_was_interrupted_goes_on(bucket, tmp_path, monkeypatch, capfd):
    get_file, copied = s3fs.S3FileSystem.get_file, []

    def fail_later(store, path, target):
        if len(copied) == 5:
            raise OSError(errno.EIO, "connection\nlost")  # what s3fs makes of a server's error
        copied.append(path)
        return get_file(store, path, target)

    with monkeypatch.context() as patch:
        patch.setattr(s3fs.S3FileSystem, "get_file", fail_later)
        patch.setattr(remote, "THREADS", 1)
        with pytest.raises(UserError, match="jpg was not copied .*connection lost.; check address"):
            find_photos("s3://garden/flowers", tmp_path)
    find_photos("s3://garden/flowers", tmp_path)
    total = len([*bucket.objects.all()]) - 1
    assert f"Copied {total - 5} files of {total}" in capfd.readouterr().out


def test_archive_in_a_store_is_unpacked(bucket, photo_folder, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "garden"), "zip", photo_folder)
    bucket.upload_file(archive, "garden.v2.zip")
    source = find_photos("s3://garden/garden.v2.zip", tmp_path / "data")
    assert sorted(path.name for path in source.folder.iterdir()) == sorted(
        path.name for path in photo_folder.iterdir()
    )


def test_names_that_lead_out_of_the_folder_are_refused(bucket, tmp_path):
    bucket.put_object(Key="flowers/../../escaped.jpg", Body=b"x")
    with pytest.raises(UserError, match="a path outside"):
        find_photos("s3://garden/flowers", tmp_path / "data")
    assert not [*tmp_path.rglob("escaped.jpg")]


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("s3://garden/trees", "no such folder or archive"),
        ("s3://garden/labels.csv", "a list must lie beside its photos"),
        ("s3://forest/flowers", "cannot be listed"),
        ("gs://garden/flowers", "install gcsfs"),
        ("flickr://garden", "cannot be listed .Protocol not known: flickr"),
    ],
)
def test_what_is_not_there_is_one_line(address, message, bucket, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(UserError, match=f"^--data {address}: .*{message}") as caught:
        find_photos(address, tmp_path)
    assert "\n" not in str(caught.value)
