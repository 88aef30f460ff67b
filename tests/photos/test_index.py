"""Reading photos of every kind, and the index of a folder."""

import hashlib
import io
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from vision101.errors import UserError
from vision101.photos import index as photos_module
from vision101.photos.index import index_photos
from vision101.photos.reading import UnreadablePhotoError, read_photo, read_pixels
from vision101.photos.sources import PhotoSource


@pytest.fixture
def colours() -> Image.Image:
    """A picture of four plain quarters: red, green / blue, white."""
    image = Image.new("RGB", (64, 48), "white")
    image.paste("red", (0, 0, 32, 24))
    image.paste("lime", (32, 0, 64, 24))
    image.paste("blue", (0, 24, 32, 48))
    return image


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
    monkeypatch.setattr(photos_module, "LARGEST_PHOTO", 64 * 48 - 1)
    with pytest.raises(UnreadablePhotoError, match="megapixels"):
        read_photo(saved(colours, format="PNG"))


def test_transparency_is_white(colours):
    colours.putalpha(0)
    assert read_photo(saved(colours, format="PNG")).getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.filterwarnings("error")
def test_transparency_of_a_palette_leaves_no_trace(colours):
    image = read_photo(saved(colours.quantize(), format="PNG", transparency=bytes([0, 128, 255])))
    assert image.resize((8, 8)).convert("L").size == (8, 8)


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
    assert "6 of 56 files were left out" in out


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
    index = photos_module.index_file
    monkeypatch.setattr(
        photos_module,
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


def test_damaged_index_is_made_anew(photo_folder, tmp_path):
    source = PhotoSource(photo_folder, painted=False)
    photos = index_photos(source, tmp_path / "data")
    (index,) = (tmp_path / "data" / "index").iterdir()
    for damage in ("path,class_name\nnonsense\n", 'path\n"' + 200_000 * "x", "\0"):
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
    assert "lily.heic: not a JPEG" in capsys.readouterr().out
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


def test_folders_of_parts_are_not_taken_for_classes(photo_folder, tmp_path):
    for part in ("train", "test"):
        for class_name in ("daisy", "roses"):
            shutil.copytree(photo_folder / class_name, tmp_path / "parts" / part / class_name)
    with pytest.raises(UserError, match="test and train are parts of a split, not classes"):
        index_photos(PhotoSource(tmp_path / "parts", painted=False), tmp_path / "data")


def test_class_names_that_cannot_be_written_are_refused(photo_folder, tmp_path):
    (photo_folder / "roses").rename(photo_folder / os.fsdecode(b"ros\xe9s"))
    with pytest.raises(UserError, match="not in UTF-8; rename it"):
        index_photos(PhotoSource(photo_folder, painted=False), tmp_path / "data")
