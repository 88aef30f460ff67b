"""Archives from elsewhere: all of one is unpacked or nothing, within limits, under its names."""

import bz2
import gzip
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from vision101.errors import UserError
from vision101.photos import archives
from vision101.photos.archives import unpack_archive

FILES = [(f"class-{number % 2}/{number}.jpg", os.urandom(3000)) for number in range(16)]
MEMBER_BYTES = 512 + 3072  # of one of them in a tar: its header, and its content to whole blocks


def pack(path: Path, files=FILES, mode="w:gz") -> Path:
    with tarfile.open(path, mode) as file:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return path


def refusal(archive: Path) -> str:
    """Return why an archive is refused; nothing of it must be left."""
    unpacked = archive.parent / "unpacked"
    with pytest.raises(UserError) as caught:
        unpack_archive(archive, unpacked)
    assert not unpacked.exists() or not list(unpacked.iterdir())
    assert str(archive) in str(caught.value)
    assert "permissions" not in str(caught.value)
    return str(caught.value)


def list_content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_tar_that_ends_with_a_zip_is_a_tar(tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as file:
        file.writestr("inner.jpg", b"inner")
    files = [*FILES, ("class-0/more.zip", inner.getvalue())]
    folder = unpack_archive(pack(tmp_path / "a.tar", files, "w:"), tmp_path / "unpacked")
    assert list_content(folder) == dict(files)


def damaged_archives() -> dict[str, tuple[str, bytes]]:
    with_tar = io.BytesIO()
    with tarfile.open(fileobj=with_tar, mode="w") as file:
        for name, content in FILES:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    tar = with_tar.getvalue()
    header = bytearray(tar)
    header[11 * MEMBER_BYTES + 5] ^= 0xFF
    compressed, checksum = bytearray(bz2.compress(tar)), bytearray(gzip.compress(tar))
    compressed[200] ^= 0xFF
    checksum[-6] ^= 1
    return {
        "a damaged header": ("a.tar", bytes(header)),
        "cut between members": ("a.tar", tar[: 10 * MEMBER_BYTES]),
        "cut in a member": ("a.tar", tar[: 10 * MEMBER_BYTES + 1000]),
        "two in a row": ("a.tar", tar + tar),
        "a wrong checksum": ("a.tgz", bytes(checksum)),
        "no checksum": ("a.tgz", bytes(checksum[:-8])),
        "damaged bzip2": ("a.tar", bytes(compressed)),
    }


@pytest.mark.parametrize("damage", damaged_archives())
def test_a_damaged_archive_is_refused_and_not_unpacked_in_part(damage, tmp_path):
    name, content = damaged_archives()[damage]
    (tmp_path / name).write_bytes(content)
    assert "damaged" in refusal(tmp_path / name)


def test_a_zip_that_lists_fewer_files_than_it_holds_is_refused(tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name, content in FILES:
            file.writestr(name, content)
    content = bytearray(packed.getvalue())
    last_but_one = content.rindex(b"PK\x01\x02", 0, content.rindex(b"PK\x01\x02"))
    content[last_but_one + 32] = 46 + len(FILES[-1][0])  # a comment that swallows the last entry
    (tmp_path / "a.zip").write_bytes(content)
    assert "16 files should be there, 15 are listed" in refusal(tmp_path / "a.zip")
    end = content.rindex(b"PK\x05\x06") + 4
    content[end:] = bytes(len(content) - end)  # a zip of nothing, by its end
    (tmp_path / "b.zip").write_bytes(content)
    assert "an archive of no files" in refusal(tmp_path / "b.zip")


def test_names_that_no_disk_takes_are_the_archives_fault(tmp_path):
    long_name = pack(tmp_path / "long.tgz", [("class-0/" + "x" * 300, b"")])
    assert "damaged or locked archive (File name too long)" in refusal(long_name)
    for position in (0, 16):
        files = [*FILES[:position], ("class-0", b"a file where a folder is"), *FILES[position:]]
        assert "damaged or locked archive" in refusal(pack(tmp_path / "clash.tgz", files))


def test_a_full_disk_is_not_the_archives_fault(tmp_path, monkeypatch):
    archive = pack(tmp_path / "a.tgz")

    def refuse(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archives, "_write_members", refuse)
    with pytest.raises(UserError, match="no room to write"):
        unpack_archive(archive, tmp_path / "unpacked")


def test_one_name_twice_is_said(tmp_path, capsys):
    archive = pack(tmp_path / "a.tgz", [*FILES, (FILES[3][0], b"later")])
    folder = unpack_archive(archive, tmp_path / "unpacked")
    assert list_content(folder) == {**dict(FILES), FILES[3][0]: b"later"}
    assert "1 names are in the archive twice (3.jpg)" in capsys.readouterr().out


def test_size_and_number_are_limited_and_checked_while_unpacking(tmp_path, monkeypatch):
    tar, zipped = pack(tmp_path / "a.tgz"), tmp_path / "a.zip"
    with zipfile.ZipFile(zipped, "w") as file:
        for name, content in FILES:
            file.writestr(name, content)
    monkeypatch.setattr(archives, "LARGEST_MEMBER_COUNT", 15)
    for archive in (tar, zipped):
        assert "15 files (LARGEST_MEMBER_COUNT)" in refusal(archive)
    monkeypatch.undo()
    monkeypatch.setattr(archives, "LARGEST_UNPACKED_GIB", 10_000 / 2**30)
    for archive in (tar, zipped):
        assert "GiB (LARGEST_UNPACKED_GIB)" in refusal(archive)


def test_a_tar_of_little_content_and_great_promises_is_refused(tmp_path):
    huge = tarfile.TarInfo("class-0/huge.jpg")
    huge.size = 11 * 2**30
    (tmp_path / "huge.tar").write_bytes(huge.tobuf())
    assert "over 10 GiB" in refusal(tmp_path / "huge.tar")
    long_name = tarfile.TarInfo("././@LongLink")
    long_name.type, long_name.size = tarfile.GNUTYPE_LONGNAME, 300 * 2**20
    (tmp_path / "name.tar").write_bytes(long_name.tobuf(tarfile.GNU_FORMAT))
    assert "LARGEST_TAR_HEADER_BYTES" in refusal(tmp_path / "name.tar")
    sparse = tarfile.TarInfo("class-0/sparse.jpg")
    sparse.type = tarfile.GNUTYPE_SPARSE
    (tmp_path / "sparse.tar").write_bytes(sparse.tobuf(tarfile.GNU_FORMAT))
    assert "sparse file" in refusal(tmp_path / "sparse.tar")


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"<!DOCTYPE html><html>", "a web page"), (b"\xff\xd8\xff\xe0", "a JPEG picture")],
)
@pytest.mark.parametrize("name", ["a.zip", "a.tgz"])
def test_what_is_no_archive_is_called_what_it_is(content, kind, name, tmp_path):
    (tmp_path / name).write_bytes(content)
    assert f"{kind}, not an archive" in refusal(tmp_path / name)


class UndeclaredName(zipfile.ZipInfo):
    """A member whose name is in a code page that the zip does not declare."""

    code_page = "cp932"

    def _encodeFilenameFlags(self):  # noqa: N802
        return self.filename.encode(self.code_page), self.flag_bits & ~0x800


@pytest.mark.parametrize(
    ("code_page", "classes"),
    [
        ("cp932", ("ソファ", "ソース", "机")),  # in some of these, half a character is a backslash
        ("cp949", ("장미", "튤립", "해바라기")),
        ("big5", ("玫瑰", "鬱金香", "向日葵")),
        ("cp866", ("ромашка", "роза", "тюльпан")),
        ("cp850", ("Gänseblümchen", "Löwenzahn", "Rose")),
        ("utf-8", ("ソファ", "роза", "Gänseblümchen")),
    ],
)
def test_zipped_names_of_any_code_page_keep_their_classes(
    code_page, classes, tmp_path, monkeypatch
):
    monkeypatch.setattr(UndeclaredName, "code_page", code_page)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for class_name in classes:
            for number in range(12):
                file.writestr(UndeclaredName(f"photos/{class_name}/{number}.jpg"), b"photo")
    folder = unpack_archive(tmp_path / "a.zip", tmp_path / "unpacked")
    assert {path.name for path in (folder / "photos").iterdir()} == {*classes}
    assert len(list_content(folder)) == 36


def test_zipped_names_that_fit_no_code_page_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("vision101.photos.archives.CODE_PAGES", ("cp932",))
    monkeypatch.setattr(UndeclaredName, "code_page", "cp1251")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(UndeclaredName("эээ/1.jpg"), b"")
        file.writestr(UndeclaredName("яяя/1.jpg"), b"")
    assert "unpack it yourself and give the folder" in refusal(tmp_path / "a.zip")
