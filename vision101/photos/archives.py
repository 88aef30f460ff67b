"""Unpacks archives of photos: all of one or nothing, and never outside its folder."""

import bz2
import errno
import gzip
import hashlib
import lzma
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from vision101.errors import DISK_FULL_ERRORS, UserError, shown_name
from vision101.files import write_atomically
from vision101.photos.kinds import describe_content
from vision101.terminal import ProgressBar

ARCHIVE_SUFFIXES = (".tgz", ".tar.gz", ".tar", ".zip")

# Against archives that are made to fill a disk.
LARGEST_UNPACKED_GIB = 10
LARGEST_MEMBER_COUNT = 200_000
LARGEST_TAR_HEADER_BYTES = 2**20  # real ones take some hundred bytes; tarfile reads them at once
BLOCK_BYTES = 2**18

# Encodings of names in zips: of Windows in East Asia, Russia, Western and Central Europe.
CODE_PAGES = ("cp932", "gb18030", "big5", "cp949", "cp866", "cp437", "cp850", "cp852")

DECLARED_UTF8 = 0x800  # flag of a member of a zip

ZIP_END_MARK = b"PK\5\6"
ZIP_END_BYTES = 22 + 2**16  # from it to the end of the file, with the longest comment

# By what compressed tars begin with.
DECOMPRESSORS = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}

NO_PLAIN_FILE = "a link or device or sparse file; pack it again with plain files only"

# Other errors of the system come from the archive: of names too long, or used for file and folder.
DISK_ERRORS = (*DISK_FULL_ERRORS, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EMFILE)


def unpack_archive(archive: Path, unpacked_folder: Path) -> Path:
    """Unpack an archive once, into a folder named after its content, and return that folder. Raises
    UserError where it is none, damaged, locked or too large, or holds links or paths that lead out.
    """
    if not archive.name.lower().endswith(ARCHIVE_SUFFIXES):
        raise UserError(f"--data {archive}: not a folder, nor one of {', '.join(ARCHIVE_SUFFIXES)}")
    with archive.open("rb") as file:
        head = file.read(BLOCK_BYTES)
        digest = hashlib.sha256(head)
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    folder = unpacked_folder / f"{archive.name.split('.')[0]}-{digest.hexdigest()[:12]}"
    if folder.is_dir():
        return folder
    with write_atomically(folder) as temporary:
        temporary.mkdir()
        try:
            # By its beginning: the last file in a tar may be a zip, which is known by its end.
            members = _open_zip(archive) if head.startswith(b"PK") else _open_tar(archive, head)
            _write_members(members, archive.name, temporary)
        except UserError as error:
            raise UserError(f"--data {archive}: {error}") from error
        except Exception as error:  # the libraries raise whatever comes to them on damaged archives
            if isinstance(error, OSError) and error.errno in DISK_ERRORS:
                raise
            reason = getattr(error, "strerror", None) or error or type(error).__name__
            raise UserError(
                f"--data {archive}: damaged or locked archive ({reason}); fetch it again, or "
                "unpack it yourself and give the folder"
            ) from error
    return folder


def _write_members(
    members: Iterator[tuple[str, int, BinaryIO | None]], archive_name: str, folder: Path
) -> None:
    written, twice, total_bytes = set(), [], 0
    progress = ProgressBar(members, desc=f"Unpacking {archive_name}", unit=" files")
    for count, (name, size, content) in enumerate(progress, 1):
        total_bytes += size
        if count > LARGEST_MEMBER_COUNT or total_bytes > LARGEST_UNPACKED_GIB * 2**30:
            raise UserError(
                f"holds over {LARGEST_UNPACKED_GIB} GiB (LARGEST_UNPACKED_GIB) or "
                f"{LARGEST_MEMBER_COUNT:,} files (LARGEST_MEMBER_COUNT); unpack it yourself"
            )
        if content is None:  # a folder, which is made with the first file in it
            continue
        path = clean_path(name)
        if path in written:
            twice.append(path)
        written.add(path)
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with content, target.open("wb") as file:
            shutil.copyfileobj(content, file, BLOCK_BYTES)
    if not written:  # a zip whose end was cleared is a valid one of nothing
        raise UserError("an archive of no files; fetch it again, or pack it again")
    if twice:
        names = f"{len(twice)} names are in the archive twice ({shown_name(twice[0])})"
        print(f"{names}: the last files were taken.")


def clean_path(name: str) -> PurePosixPath:
    """Return the path of a file below the folder that it is to be written to. Raises UserError
    where its name leads out of that.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    if not path.parts or path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise UserError(f"holds {name!r}, a path outside of it; pack it again without")
    return path


def _open_zip(archive: Path) -> Iterator[tuple[str, int, BinaryIO | None]]:
    """Yield the name, size in bytes and opened content of each file in a zip; None of a folder."""
    with zipfile.ZipFile(archive) as file:
        for member, name in _read_zip_directory(file):
            if stat.S_ISLNK(member.external_attr >> 16):
                raise UserError(f"holds {name!r}, {NO_PLAIN_FILE}")
            yield name, member.file_size, None if name.endswith("/") else file.open(member)


def _read_zip_directory(file: zipfile.ZipFile) -> list[tuple[zipfile.ZipInfo, str]]:
    """Return the members of a zip with their names."""
    members = file.infolist()
    file.fp.seek(max(0, file.fp.seek(0, 2) - ZIP_END_BYTES))
    tail = file.fp.read()
    end = tail.rfind(ZIP_END_MARK)
    count = int.from_bytes(tail[end + 10 : end + 12], "little")
    # A damaged length hides what follows from zipfile. From 65,535 on, the count is elsewhere.
    if len(members) != count < 2**16 - 1:
        raise zipfile.BadZipFile(f"{count} files should be there, {len(members)} are listed")
    return list(zip(members, _decode_names(members), strict=True))


def _decode_names(members: list[zipfile.ZipInfo]) -> list[str]:
    """Decode undeclared names by what fits them all, and before they are split into folders: half
    a character may look like a backslash.
    """
    names = [member.orig_filename for member in members]
    undeclared = [at for at, member in enumerate(members) if not member.flag_bits & DECLARED_UTF8]
    # zipfile took them for cp437, in which each byte is a character.
    content = "\n".join(names[at] for at in undeclared).encode("cp437")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        from charset_normalizer import from_bytes  # seldom needed

        # Of each word once; numbers and suffixes say nothing.
        words = {
            word: None for word in content.replace(b"\n", b"/").split(b"/") if not word.isascii()
        }
        match = from_bytes(b" ".join(words), cp_isolation=CODE_PAGES).best()
        if match is None:
            raise UserError(
                "its names are in an unknown encoding; unpack it yourself and give the folder"
            ) from None
        text = content.decode(match.encoding)
        example = next(name for name in text.split("\n") if not name.isascii())
        print(f"The archive does not say how its names are encoded; as {match.encoding} they read")
        print(f"{example!r}. If that is wrong, unpack it yourself and give the folder.")
    for at, name in zip(undeclared, text.split("\n"), strict=bool(undeclared)):
        names[at] = name
    return names


class _TarBytes:
    """The bytes of a tar, and the last of them that were read."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.tell, self.seek, self.last = file, file.tell, file.seek, b""

    def read(self, size: int) -> bytes:
        if size > LARGEST_TAR_HEADER_BYTES:
            raise UserError("has a header of over 1 MiB (LARGEST_TAR_HEADER_BYTES); pack it again")
        self.last = self.file.read(size)
        return self.last


def _open_tar(archive: Path, head: bytes) -> Iterator[tuple[str, int, BinaryIO | None]]:
    """Yield the name, size in bytes and opened content of each file in a tar; None of a folder."""
    if head[257:262] != b"ustar" and not head.startswith(tuple(DECOMPRESSORS)):
        raise UserError(f"{describe_content(head)}, not an archive; fetch it again")
    with DECOMPRESSORS.get(head[:2], open)(archive, "rb") as file:
        content = _TarBytes(file)
        with tarfile.open(fileobj=content, mode="r:") as tar:
            for member in tar:
                if not (member.isreg() or member.isdir()) or member.issparse():
                    raise UserError(f"holds {member.name!r}, {NO_PLAIN_FILE}")
                yield member.name, member.size, tar.extractfile(member)
            # tarfile takes a damaged header for the end. The end is zeros, and then the checksum.
            while content.last and not content.last.strip(b"\0"):
                if not content.read(BLOCK_BYTES):
                    return
    raise UserError("damaged archive: cut off, or more follows its end; fetch it again")
