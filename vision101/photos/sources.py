"""Where photos come from: `--data` becomes a folder with one sub-folder per class, or a list."""

from pathlib import Path
from typing import NamedTuple

from vision101.errors import UserError
from vision101.files import DATA_FOLDER, disk_errors, sweep_partial_files, write_atomically
from vision101.photos.layouts import unwrap_folder

# The painted sample carries this file, so that it is known for what it is under any name.
PAINTED_MARK = "PAINTED.txt"
PAINTED_NOTE = "A program painted these pictures. A score on them says nothing about flowers.\n"

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
    archive or a list. What is downloaded, painted or unpacked is kept in `data_folder`.

    Raises:
        UserError: There is no such folder or file, it cannot be read, the archive is damaged or
            unsafe, tf_flowers cannot be downloaded, or `data_folder` cannot be written to.
    """
    folder = data_folder / data if data in ("sample", "tf_flowers") else Path(data)
    # The painter, the download and the archives are imported only where they are needed: seldom.
    with disk_errors():
        sweep_partial_files(data_folder)
        if data == "sample" and not folder.is_dir():
            from vision101.photos.sample import paint_sample

            with write_atomically(folder) as temporary:
                paint_sample(temporary)
                (temporary / PAINTED_MARK).write_text(PAINTED_NOTE)
        elif data == "tf_flowers" and not folder.is_dir():
            from vision101.photos.tf_flowers import download_tf_flowers

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
