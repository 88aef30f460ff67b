"""Where photos come from: `--data` becomes a folder with one sub-folder per class, or a list."""

import hashlib
import shutil
import urllib.request
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from vision101.errors import DISK_FULL_ERRORS, UserError
from vision101.files import DATA_FOLDER, disk_errors, sweep_partial_files, write_atomically
from vision101.photos.layouts import unwrap_folder
from vision101.terminal import ProgressBar

# The painted sample carries this file, so that it is known for what it is under any name.
PAINTED_MARK = "PAINTED.txt"
PAINTED_NOTE = "A program painted these pictures. A score on them says nothing about flowers.\n"

# A server that has not answered by then will not; TFDS itself would retry for minutes.
CONNECTION_TIMEOUT_SECONDS = 10

LIST_SUFFIXES = (".csv", ".tsv", ".txt")


class PhotoSource(NamedTuple):
    """A folder with one sub-folder per class, or a list of photos with their classes."""

    folder: Path  # absolute; where there is a list, the folder in which it lies
    painted: bool  # whether they are the painted sample, which every output must say
    table: Path | None = None  # the list, a CSV file

    @property
    def data(self) -> Path:
        """What `--data` may name to find these photos again, from any folder."""
        return self.table or self.folder

    def place(self, path: Path) -> str:
        """Return a photo's path below the folder, with /; the whole of it if it lies elsewhere."""
        return (path.relative_to(self.folder) if self.folder in path.parents else path).as_posix()


def find_photos(data: str, data_folder: Path = DATA_FOLDER) -> PhotoSource:
    """Return the photos that `--data` names: `tf_flowers`, `sample`, or the path of a folder, an
    archive or a list, or the address of a folder or an archive in an object store. What is
    downloaded, painted, copied or unpacked is kept in `data_folder`. Raises UserError where there
    is no such thing, or it cannot be downloaded, read or unpacked.
    """
    if "://" in data:
        from vision101.photos.remote import copy_photos

        if data.lower().endswith(LIST_SUFFIXES):
            raise UserError(
                f"--data {data}: a list must lie beside its photos; copy all to this machine"
            )
        with disk_errors():
            data = str(copy_photos(data, data_folder / "remote"))
    folder = data_folder / data if data in ("sample", "tf_flowers") else Path(data)
    # The painter and the archives are imported only where they are needed: seldom.
    with disk_errors():
        sweep_partial_files(data_folder)
        if data == "sample" and not folder.is_dir():
            from vision101.photos.sample import paint_sample

            with write_atomically(folder) as temporary:
                paint_sample(temporary)
                (temporary / PAINTED_MARK).write_text(PAINTED_NOTE)
        elif data == "tf_flowers" and not folder.is_dir():
            download_tf_flowers(folder)
        elif folder.is_file() and folder.suffix.lower() in LIST_SUFFIXES:
            folder = folder.parent.resolve() / folder.name
            return PhotoSource(folder.parent, painted=False, table=folder)
        elif folder.is_file():
            from vision101.photos.archives import unpack_archive

            folder = unwrap_folder(unpack_archive(folder, data_folder / "unpacked"))
        elif not folder.is_dir():
            raise UserError(
                f"--data {data}: no such folder or archive; give one, or tf_flowers, or sample"
            )
        return PhotoSource(folder.resolve(), painted=(folder / PAINTED_MARK).exists())


def download_tf_flowers(folder: Path) -> None:
    """Download tf_flowers and write its JPEG files, byte for byte, to `folder`/<class>/. Raises
    UserError where it cannot be downloaded, or the disk is full.
    """
    # They load TensorFlow, which takes seconds.
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
        decoders = {"image": tfds.decode.SkipDecoding()}
        examples = builder.as_dataset(split="train", decoders=decoders).as_numpy_iterator()
        count = builder.info.splits["train"].num_examples
        copies = Counter()
        for example in ProgressBar(examples, desc="Writing photos", total=count, unit=" photos"):
            # TFDS does not pass the files' names on. Their content names them instead, which
            # is the same on every machine; a few photos are in the collection twice.
            name = hashlib.sha256(example["image"]).hexdigest()[:16]
            copies[name] += 1
            name += f"-{copies[name]}" if copies[name] > 1 else ""
            path = temporary / class_names[example["label"]] / f"{name}.jpg"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(example["image"])
        shutil.rmtree(temporary / "tfds")
