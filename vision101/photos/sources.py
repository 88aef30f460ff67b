"""Where photos come from: `--data` becomes an ordinary folder with one sub-folder per class."""

import gzip
import hashlib
import lzma
import shutil
import stat
import tarfile
import urllib.request
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from tqdm import tqdm

from vision101.errors import DISK_FULL_ERRORS, UserError
from vision101.files import DATA_FOLDER, write_atomically
from vision101.photos.sample import paint_sample

ARCHIVE_SUFFIXES = (".tgz", ".tar.gz", ".tar", ".zip")

# The painted sample carries this file, so that it is known for what it is under any name.
PAINTED_MARK = "PAINTED.txt"

# A server that has not answered by then will not; TFDS itself would retry for minutes.
CONNECTION_TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class PhotoSource:
    """A folder with one sub-folder per class.

    Attributes:
        folder: Absolute path of the folder.
        painted: Whether the photos are the painted sample, which every output must say.
    """

    folder: Path
    painted: bool

    def place(self, path: Path) -> str:
        """Return a photo's path below the folder, with /; the whole of it if it lies elsewhere."""
        return (path.relative_to(self.folder) if self.folder in path.parents else path).as_posix()


def find_photos(data: str, data_folder: Path = DATA_FOLDER) -> PhotoSource:
    """Return the folder of photos that `--data` names, downloading, unpacking or painting it.

    Args:
        data: `tf_flowers`, `sample`, or the path of a folder or archive of photos.
        data_folder: Where downloaded, unpacked and painted photos are kept for the next time.

    Raises:
        UserError: There is no such folder or archive, the archive is damaged or unsafe, or
            tf_flowers cannot be downloaded.
    """
    if data == "tf_flowers":
        folder = data_folder / "tf_flowers"
        if not folder.is_dir():
            _download_tf_flowers(folder)
    elif data == "sample":
        folder = data_folder / "sample"
        if not folder.is_dir():
            _paint_sample(folder)
    elif Path(data).is_dir():
        folder = Path(data)
    elif Path(data).is_file() and data.lower().endswith(ARCHIVE_SUFFIXES):
        folder = _unpack_archive(Path(data), data_folder)
    elif Path(data).is_file():
        raise UserError(f"--data {data}: not a folder, nor one of {', '.join(ARCHIVE_SUFFIXES)}")
    else:
        raise UserError(
            f"--data {data}: no such folder or archive; give the path of one, tf_flowers or sample"
        )
    return PhotoSource(folder.resolve(), painted=(folder / PAINTED_MARK).exists())


def _paint_sample(folder: Path) -> None:
    with write_atomically(folder) as temporary:
        paint_sample(temporary)
        (temporary / PAINTED_MARK).write_text(
            "These pictures were painted by a program. They are no photos of flowers, and a score "
            "on them says nothing about flowers.\n",
            encoding="utf-8",
        )


def _download_tf_flowers(folder: Path) -> None:
    """Download tf_flowers with TFDS and write its JPEG files, byte for byte, below `folder`."""
    # TFDS takes a second to import and is needed only for this first download.
    import tensorflow_datasets as tfds
    from tensorflow_datasets.datasets.tf_flowers import tf_flowers_dataset_builder

    address = tf_flowers_dataset_builder._URL
    with write_atomically(folder) as temporary:
        try:
            request = urllib.request.Request(address, method="HEAD")
            urllib.request.urlopen(request, timeout=CONNECTION_TIMEOUT_SECONDS).close()
            builder = tfds.builder("tf_flowers", data_dir=temporary / "tfds")
            builder.download_and_prepare()
        # TFDS lets through whatever its network, file and archive libraries raise.
        except Exception as error:
            if getattr(error, "errno", None) in DISK_FULL_ERRORS:
                raise
            raise UserError(
                f"tf_flowers could not be downloaded from {address} ({error}). Ways on: try again "
                "when the network is there; or fetch that file elsewhere and use "
                "--data flower_photos.tgz; or use the painted photos, --data sample"
            ) from error
        class_names = builder.info.features["label"].names
        examples = builder.as_dataset(
            split="train", decoders={"image": tfds.decode.SkipDecoding()}
        ).as_numpy_iterator()
        copies = Counter()
        for example in tqdm(
            examples,
            desc="Writing photos",
            total=builder.info.splits["train"].num_examples,
            unit=" photos",
        ):
            # TFDS does not pass the files' names on. Their content names them instead, which
            # is the same on every machine; a few photos are in the collection twice.
            name = hashlib.sha256(example["image"]).hexdigest()[:16]
            copies[name] += 1
            if copies[name] > 1:
                name = f"{name}-{copies[name]}"
            path = temporary / class_names[example["label"]] / f"{name}.jpg"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(example["image"])
        shutil.rmtree(temporary / "tfds")


def _unpack_archive(archive: Path, data_folder: Path) -> Path:
    """Unpack `archive` once, into a folder named after its content, and return the class root."""
    digest = hashlib.sha256()
    with archive.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    name = f"{archive.name.split('.')[0]}-{digest.hexdigest()[:12]}"
    folder = data_folder / "unpacked" / name
    if not folder.is_dir():
        with write_atomically(folder) as temporary:
            temporary.mkdir()
            try:
                members = _zip_files if zipfile.is_zipfile(archive) else _tar_files
                for name, content in tqdm(
                    members(archive), desc=f"Unpacking {archive.name}", unit=" files"
                ):
                    target = temporary / _safe_path(archive, name)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with content, target.open("wb") as file:
                        shutil.copyfileobj(content, file)
            except (
                tarfile.TarError,
                zipfile.BadZipFile,
                gzip.BadGzipFile,
                zlib.error,
                lzma.LZMAError,
                EOFError,
                FileExistsError,  # one name for a file and for a folder
                NotADirectoryError,
                RuntimeError,  # of zipfile, where a password is needed
            ) as error:
                raise UserError(
                    f"--data {archive}: damaged or locked archive ({error}); fetch or pack it again"
                ) from error
    # flower_photos.tgz holds one folder, and the classes are inside that one.
    while len(entries := list_visible_folders(folder)) == 1 and list_visible_folders(entries[0]):
        folder = entries[0]
    return folder


def list_visible_folders(folder: Path) -> list[Path]:
    """Return the folders in a folder, but for hidden ones and what macOS adds to archives."""
    return [
        entry
        for entry in sorted(folder.iterdir())
        if entry.is_dir() and not entry.name.startswith((".", "__MACOSX"))
    ]


def _safe_path(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if not path.parts or path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise UserError(
            f"--data {archive}: holds {name!r}, a path outside the archive; pack it again without"
        )
    return path


def _refuse_link(archive: Path, name: str) -> None:
    raise UserError(
        f"--data {archive}: holds {name!r}, a link or device; pack it again with plain files only"
    )


def _tar_files(archive: Path) -> Iterator[tuple[str, BinaryIO]]:
    with tarfile.open(archive) as file:
        for member in file:
            if member.isdir():
                continue
            if not member.isreg():
                _refuse_link(archive, member.name)
            yield member.name, file.extractfile(member)


def _zip_files(archive: Path) -> Iterator[tuple[str, BinaryIO]]:
    with zipfile.ZipFile(archive) as file:
        for member in file.infolist():
            if member.is_dir():
                continue
            if stat.S_ISLNK(member.external_attr >> 16):
                _refuse_link(archive, member.filename)
            yield member.filename, file.open(member)
