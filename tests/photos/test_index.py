"""Reading photos of every kind, and the index of a folder."""

import errno
import hashlib
import io
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vision101.errors import UserError
from vision101.photos import index as index_module
from vision101.photos import reading
from vision101.photos.index import expect_unchanged, index_photos, list_files
from vision101.photos.reading import (
    READ_AHEAD,
    READABLE,
    UnreadablePhotoError,
    read_ahead,
    read_photo,
    read_pixels,
)
from vision101.photos.sources import PhotoSource


@pytest.fixture
def colours() -> Image.Image:
    """A picture of four plain quarters: red, green / blue, white."""
    image = Image.new("RGB", (64, 48), "white")
    image.paste("red", (0, 0, 32, 24))
    image.paste("lime", (32, 0, 64, 24))
    image.paste("blue", (0, 24, 32, 48))
    return image


HEAVY_PACKAGES = ("tensorflow", "keras", "matplotlib", "sklearn", "pandas", "scipy", "pywt")


def test_importing_photos_loads_nothing_heavy_and_changes_no_setting():
    code = f"""
import importlib, os, pkgutil, sys
from PIL import Image
import vision101.photos
before = dict(os.environ), Image.MAX_IMAGE_PIXELS
for module in pkgutil.iter_modules(vision101.photos.__path__, "vision101.photos."):
    importlib.import_module(module.name)
assert (dict(os.environ), Image.MAX_IMAGE_PIXELS) == before
print(*(name for name in {HEAVY_PACKAGES} if name in sys.modules))
"""
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (finished.stdout.strip(), finished.stderr) == ("", "")


def saved(image: Image.Image, **options) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, **options)
    file.seek(0)
    return file


@pytest.mark.parametrize(
    "options",
    [
        {"format": "PNG"},
        {"format": "JPEG", "quality": 95, "subsampling": 0},
        {"format": "WEBP", "lossless": True},
        {"format": "BMP"},
    ],
    ids=lambda options: options["format"],
)
def test_formats_give_the_same_picture(colours, options):
    read = np.asarray(read_photo(saved(colours, **options)), int)
    assert np.abs(read - np.asarray(colours, int)).max() <= 8


def test_gif_gives_its_first_frame(colours):
    file = saved(
        colours.quantize(), format="GIF", save_all=True, append_images=[Image.new("P", (64, 48))]
    )
    assert read_photo(file).getpixel((5, 5)) == (255, 0, 0)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_phone_photos_appear_upright(colours, orientation):
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    as_stored = colours.transpose(undo[orientation]) if orientation in undo else colours
    exif = Image.Exif()
    exif[0x0112] = orientation
    read = read_photo(saved(as_stored, format="PNG", exif=exif))
    np.testing.assert_array_equal(np.asarray(read), np.asarray(colours))


def test_grey_palette_and_cmyk_pictures(colours):
    grey = read_photo(saved(colours.convert("L"), format="PNG"))
    assert grey.mode == "RGB"
    assert len(set(grey.getpixel((5, 5)))) == 1
    palette = read_photo(saved(colours.quantize(), format="PNG"))
    assert palette.getpixel((40, 5)) == (0, 255, 0)
    cmyk = read_photo(saved(colours.convert("CMYK"), format="JPEG", quality=95))
    assert np.abs(np.subtract(cmyk.getpixel((5, 5)), (255, 0, 0))).max() < 12


def test_sixteen_bits_are_scaled_and_not_clipped():
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    read = np.asarray(read_photo(saved(Image.fromarray(ramp), format="PNG")))[:, :, 0]
    np.testing.assert_array_equal(read, ramp >> 8)


def test_damaged_exif_costs_no_more_than_the_orientation(colours):
    for exif in (b"Exif\0\0II*\0\0\0", b"Exif\0\0nonsense", b"Exif\0\0II*\0\x08\0\0\0\xff\xff"):
        read = read_photo(saved(colours, format="JPEG", quality=95, exif=exif))
        assert read.size == colours.size


def test_huge_photos_have_a_reason(colours, monkeypatch):
    monkeypatch.setattr(reading, "LARGEST_MEGAPIXELS", (64 * 48 - 1) / 1e6)
    with pytest.raises(UnreadablePhotoError, match="megapixels"):
        read_photo(saved(colours, format="PNG"))


@pytest.mark.filterwarnings("error")
def test_photos_beyond_the_limit_of_pillow_are_read_and_the_limit_stays(colours, monkeypatch):
    # Pillow warns of more pixels than this, and refuses twice as many.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    file = saved(colours, format="PNG").getvalue()
    contents = [file, b"This is no picture."] * 100

    def read(content):
        try:
            return read_photo(io.BytesIO(content)).size
        except UnreadablePhotoError as error:
            return str(error)

    assert set(read_ahead(read, contents, "Reading")) == {
        (64, 48),
        f"a text file, not a {READABLE}",
    }
    assert Image.MAX_IMAGE_PIXELS == 1000


def test_reading_ahead_keeps_the_order_and_stays_a_few_items_ahead():
    started = []

    def read(number):
        started.append(number)
        time.sleep(0.001 * (number % 3))
        return number

    results = read_ahead(read, range(3 * READ_AHEAD), "Reading")
    assert [next(results) for _ in range(10)] == list(range(10))
    assert len(started) <= READ_AHEAD + 10
    assert list(results) == list(range(10, 3 * READ_AHEAD))


def test_after_an_error_nothing_more_is_read(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    started = []

    def read(number):
        started.append(number)
        if number == 0:
            raise UserError("damaged")
        time.sleep(0.05)

    with pytest.raises(UserError, match="damaged"):
        next(read_ahead(read, range(READ_AHEAD), "Reading"))
    assert len(started) < READ_AHEAD


def test_transparency_is_white(colours):
    colours.putalpha(0)
    assert read_photo(saved(colours, format="PNG")).getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.filterwarnings("error")
def test_transparency_of_a_palette_leaves_no_trace(colours):
    image = read_photo(saved(colours.quantize(), format="PNG", transparency=bytes([0, 128, 255])))
    image.convert("L")  # of a transparency that is gone Pillow would warn
    assert "transparency" not in image.info


def test_pixels_are_the_centred_square(colours):
    pixels = read_pixels(saved(colours, format="PNG"), 16)
    assert (pixels.shape, pixels.dtype) == ((16, 16, 3), np.uint8)
    assert tuple(pixels[2, 2]) == (255, 0, 0)
    assert tuple(pixels[2, 13]) == (0, 255, 0)


def test_large_jpegs_give_nearly_the_same_pixels_as_lossless_ones():
    wave = 127 + 120 * np.sin(np.arange(2000) / 40)[:, None] * np.cos(np.arange(1600) / 60)
    image = Image.fromarray(wave.astype(np.uint8)).convert("RGB")
    jpeg = read_pixels(saved(image, format="JPEG", quality=95), 100).astype(int)
    png = read_pixels(saved(image, format="PNG"), 100).astype(int)
    assert np.abs(jpeg - png).max() <= 6


def broken_files() -> dict[str, bytes]:
    jpeg = saved(Image.effect_noise((80, 80), 50), format="JPEG").getvalue()
    return {
        "empty.jpg": b"",
        "text.jpg": b"This is no picture.",
        "cut.jpg": jpeg[: len(jpeg) // 2],
        "page.png": b"<html></html>",
        "vector.svg": b"<svg></svg>",
    }


@pytest.mark.parametrize("name", broken_files())
def test_broken_files_have_a_reason(name):
    with pytest.raises(UnreadablePhotoError, match="picture"):
        read_photo(io.BytesIO(broken_files()[name]))


def test_index_names_broken_files_and_goes_on(photo_folder, tmp_path, capsys):
    for name, content in broken_files().items():
        (photo_folder / "roses" / name).write_bytes(content)
    (photo_folder / "roses" / "nowhere.jpg").symlink_to(tmp_path / "nothing")
    photos = index_photos(PhotoSource(photo_folder, painted=False), tmp_path / "data")
    assert len(photos) == 50
    out = capsys.readouterr().out
    for name in [*broken_files(), "nowhere.jpg"]:
        assert f"{name}: " in out
    assert "Left out 6 of 56 files" in out


def test_index_says_what_is_in_the_files(photo_folder, tmp_path):
    photos = index_photos(PhotoSource(photo_folder, painted=False), tmp_path / "data")
    for photo in photos[::10]:
        assert photo.class_name == photo.path.parent.name
        assert (photo.width, photo.height) == Image.open(photo.path).size
        assert photo.sha256 == hashlib.sha256(photo.path.read_bytes()).hexdigest()


def test_second_start_reads_new_and_changed_files_only(photo_folder, tmp_path, monkeypatch):
    source = PhotoSource(photo_folder, painted=False)
    first = index_photos(source, tmp_path / "data")
    looked_at = []
    index = index_module.index_file
    monkeypatch.setattr(
        index_module,
        "index_file",
        lambda path, name: looked_at.append(path.name) or index(path, name),
    )
    assert index_photos(source, tmp_path / "data") == first
    assert looked_at == []
    Image.new("RGB", (50, 40)).save(photo_folder / "roses" / "new.png")
    Image.new("RGB", (30, 20)).save(first[0].path, format="JPEG")
    second = index_photos(source, tmp_path / "data")
    assert sorted(looked_at) == sorted(["new.png", first[0].path.name])
    assert len(second) == len(first) + 1
    assert (second[0].width, second[0].height) == (30, 20)


def test_an_index_of_another_way_of_reading_is_made_anew(photo_folder, tmp_path, monkeypatch):
    source = PhotoSource(photo_folder, painted=False)
    photos = index_photos(source, tmp_path / "data")
    monkeypatch.setattr(index_module, "READING_VERSION", reading.READING_VERSION + 1)
    monkeypatch.setattr(index_module, "hash_orientations", lambda image: 512 * "5")
    assert index_photos(source, tmp_path / "data") == [
        replace(photo, perceptual_hash=512 * "5") for photo in photos
    ]


def test_damaged_index_is_made_anew(photo_folder, tmp_path):
    source = PhotoSource(photo_folder, painted=False)
    photos = index_photos(source, tmp_path / "data")
    (index,) = (tmp_path / "data" / "index").iterdir()
    for damage in ('{"photos": [["nonsense"]]}', '{"photos": 5}', "[]", '{"photos": [["/a"', "\0"):
        index.write_text(damage)
        assert index_photos(source, tmp_path / "data") == photos


def test_photos_are_never_touched(photo_folder, tmp_path):
    def state():
        return {
            path: (path.read_bytes(), path.stat().st_mtime_ns)
            for path in photo_folder.rglob("*.jpg")
        }

    before = state()
    index_photos(PhotoSource(photo_folder, painted=False), tmp_path / "data")
    assert state() == before
    assert {path.name for path in photo_folder.iterdir()} == {"daisy", "dandelion", "roses"}


def test_empty_class_and_single_class_are_usage_errors(photo_folder, tmp_path, capsys):
    source = PhotoSource(photo_folder, painted=False)
    (photo_folder / "lilies").mkdir()
    (photo_folder / "lilies" / "lily.heic").write_bytes(b"no format of ours")
    with pytest.raises(UserError, match="'lilies' has no photo"):
        index_photos(source, tmp_path / "data")
    # Why is said before.
    assert "lily.heic: a text file, not a JPEG" in capsys.readouterr().out
    with pytest.raises(UserError, match="at least two sub-folders"):
        index_photos(PhotoSource(photo_folder / "roses", painted=False), tmp_path / "data")


def test_links_back_to_a_folder_above_list_nothing_twice(photo_folder, tmp_path):
    before = index_photos(PhotoSource(photo_folder, False), tmp_path)
    (photo_folder / "roses" / "loop").symlink_to(photo_folder / "roses")
    (photo_folder / "roses" / "all").symlink_to(photo_folder)
    # Out of the folder, and back to where one came from.
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "back").symlink_to(photo_folder / "daisy")
    (photo_folder / "daisy" / "away").symlink_to(tmp_path / "elsewhere")
    assert index_photos(PhotoSource(photo_folder, False), tmp_path) == before


def swap(first: Path, second: Path) -> None:
    first.rename(first.with_name("aside"))
    second.rename(first)
    first.with_name("aside").rename(second)


def test_swapped_folders_and_files_are_seen_though_sizes_and_times_agree(tmp_path):
    folder = tmp_path / "photos"
    for name, colour in (("lamp", "red"), ("switch", "blue")):
        (folder / name).mkdir(parents=True)
        for number in range(4):
            noise = Image.effect_noise((32, 32), 20 + number).convert("RGB")
            path = folder / name / f"{number}.bmp"
            Image.blend(noise, Image.new("RGB", (32, 32), colour), 0.5).save(path)
            os.utime(path, ns=(10**18, 10**18))
    source = PhotoSource(folder, painted=False)

    def check():
        for photo in index_photos(source, tmp_path / "data"):
            assert photo.class_name == photo.path.parent.name
            assert photo.sha256 == hashlib.sha256(photo.path.read_bytes()).hexdigest()

    check()
    swap(folder / "lamp", folder / "switch")
    check()
    swap(folder / "lamp" / "0.bmp", folder / "lamp" / "1.bmp")
    check()
    # As a tool does that corrects a file in place and keeps its time.
    content = bytearray((folder / "lamp" / "2.bmp").read_bytes())
    content[-8:] = b"mended.."
    (folder / "lamp" / "2.bmp").write_bytes(content)
    os.utime(folder / "lamp" / "2.bmp", ns=(10**18, 10**18))
    check()


def test_class_names_that_cannot_be_written_are_refused(photo_folder, tmp_path):
    (photo_folder / "roses").rename(photo_folder / os.fsdecode(b"ros\xe9s"))
    with pytest.raises(UserError, match="not in UTF-8; rename it"):
        index_photos(PhotoSource(photo_folder, painted=False), tmp_path / "data")


def test_folders_that_cannot_be_listed_are_usage_errors(tmp_path, photo_folder, monkeypatch):
    with pytest.raises(UserError, match="gone.*No such file"):
        index_photos(PhotoSource(tmp_path / "gone", painted=False), tmp_path / "data")
    with pytest.raises(UserError, match="gone.*No such file"):
        list_files(tmp_path / "gone")
    # One below a class folder. An administrator, as whom tests may run, may read all folders.
    (photo_folder / "roses" / "private").mkdir()
    list_folder = Path.iterdir

    def refuse(folder):
        if folder.name == "private":
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return list_folder(folder)

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(UserError, match="private.*Permission denied"):
        index_photos(PhotoSource(photo_folder, painted=False), tmp_path / "data")


def test_photos_that_change_or_vanish_are_usage_errors(photo_folder, tmp_path):
    photos = index_photos(PhotoSource(photo_folder, painted=False), tmp_path / "data")
    with expect_unchanged(photos[0]):
        read_photo(photos[0].path)
    shutil.copy(photos[1].path, photos[0].path)
    with (
        pytest.raises(UserError, match="changed just now; start again"),
        expect_unchanged(photos[0]),
    ):
        read_photo(photos[0].path)
    photos[0].path.unlink()
    with pytest.raises(UserError, match="no such file.*start again"), expect_unchanged(photos[0]):
        read_photo(photos[0].path)
