"""Pictures from elsewhere: every format and mode, damaged, huge, or no pictures at all."""

import base64
import io
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL import __version__ as pillow_version

from vision101.photos import reading
from vision101.photos.index import index_photos
from vision101.photos.reading import UnreadablePhotoError, read_photo, read_pixels
from vision101.photos.sources import PhotoSource

# Four plain quarters: red, green / blue, white; as an iPhone stores them, in 8 and in 10 bits.
HEIC = (
    "0000SW^{RQXk}@500000ZE0pPXk}@5ZE0a<0004gZDn*}000000000XXk=`10000000000aA{+700000"
    "000000000000000B57=IV*mgE07O6l0RRC200001q5uH^0000000Axl001LtX>Mi!000000RR916=`l}"
    "WdZ;I000310BCk&F#rGn01j|zbZr0t000010002~X>f9I0002qX>en20001YXm(>m0R#vD005pi00000"
    "9`FGC|M>U-01pFT0096OKmiN^|NjIC00093o;Uyi0{{RXx&lC90096hLID8;2mk;B0G>Di00RI39*_hO"
    "AhO+Dl-D-_4F&`N00RJI000931R!Dn0RRX@0l{+^FbI$U000wXZ)|dIV{CW;0RRmE27mwn02FC+aAg1h"
    "0000006+i$06+i$04QT@VQ>Hd06+i$0096105AXm009610000000RI2|L_0+00IC201$9#cxeCt0009B"
    "2nYZG02pa-ZD9Za00000009621%Uzs1%v<q0XA)9VRQfh0V*f~uLd|;_qN~6;D7)5T5qBK>xzldTk)l1"
    "YOlEhH{ZbLfB&qQk9ZHiiB5>2oGVbTN03kUh3{^^5ZsQeuewtN4vRN;v0QQx-_a%X=}3%mKY3uZV+()1"
    "1gHme+XUBEfOSQ1ICJwG_x<<((kKuAwDBGM!Wk!D-vn$v%E+<qk&Bn&oQ3{qnm^(1wjr1K-V6ujkD~1!"
    "hx!wt`{E!O3hKqRz$QAXwVxBde2cIqf$wZjTvCHfw6jdsj7gUg`=UBIahrnWm(8Z-Ev$Sp>K~YYUU7F4"
    "&#<5J-w+K3l=anXte^CDMvt-tOJCiY<r-}-7>&<9qa<3|?b*k&unR2g>I?$cNde_RCjAo?*J}5MSYPzM"
    "^X-G^*Fp1!8q`$&7-GCY"
)
HEIC_10_BITS = (
    "0000SW^{RQXk}@500000ZE0pPXk}@5ZE0a<0004fZDn*}000000000XXk=`10000000000aA{+700000"
    "000000000000000B57=IV*mgE07O6l0RRC200001p#T8@00000005l;001LtX>Mi!000000RR916=`l}"
    "WdZ;I000310BCk&F#rGn01j|zbZr0t000010002}X>f9I0002pX>en20001XXm(>m0R#vD005jg00000"
    "9`FGC|N8m>01pFT0096OKmiN^|NjIC00093oHzgg0{{RXx&lC90096gLID8;2mk;B0Gv1g00RI39*_hO"
    "Ae$}K$xU-`5YS*i000I+00093LSg^`00=|@!E+ce2#^2(025<xY;ta6Y<K_x01W^JfB*mh6lrsCWdHyG"
    "00000KmY&$KmY&$C}V74Z~y=RKmY&$0RR91FaQ7m0RR91000000{{R2@Bjb+0ssI25O8UDX#fBK00RmN"
    "3IG5A7-?{AVE_OC000000RRC7fdT^sga7~lrEO$kbN~PVnJ59T1~^*xw%^Qt|Nr@6Poe$p*oo0w@ug#G"
    "uem%|-@zC^|E&D|n2h&S$gA_2&;PxBAOC((UHKh$z~#I9cvt^rv17!J@KiNJYPHLT2b(nw6MLmoNEnet"
    "|L)W7vA*kMo_HL5AHV<v5uxAWwn;tbi$8!8bl(g-&@4N#s$+lvE$LVUaKJu5JV|W){u@J;i=2-P>Yx"
)

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF")
GREY_MODES = ("L", "LA", "I", "F", "I;16", "I;16B")
MODES = (*GREY_MODES, "1", "P", "RGB", "RGBA", "RGBX", "RGBa", "PA", "CMYK", "YCbCr", "LAB", "HSV")

# Where Pillow stores something else than it was given: no transparency, 16 bits clipped to 8.
LOSSY_WRITERS = {("RGBA", "BMP"), ("LA", "GIF")} | {
    (mode, name) for mode in ("I;16", "I;16B") for name in ("JPEG", "WEBP", "BMP", "GIF", "AVIF")
}
# Pillow writes those that it cannot read itself.
if int(pillow_version.split(".")[0]) < 13:
    LOSSY_WRITERS |= {("YCbCr", "TIFF")}


def draw_quarters() -> Image.Image:
    image = Image.new("RGB", (64, 48), "white")
    image.paste("red", (0, 0, 32, 24))
    image.paste("lime", (32, 0, 64, 24))
    image.paste("blue", (0, 24, 32, 48))
    return image


def save(image: Image.Image, **options) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, **options)
    return io.BytesIO(file.getvalue())


def sample_quarters(image: Image.Image) -> np.ndarray:
    return np.array([image.getpixel(at) for at in ((16, 12), (48, 12), (16, 36), (48, 36))], int)


def convert(image: Image.Image, mode: str) -> Image.Image:
    """Return a picture in one of Pillow's modes, one quarter transparent where that can be."""
    if mode in ("RGBA", "RGBa", "LA", "PA"):
        alpha = Image.new("L", image.size, 255)
        alpha.paste(0, (0, 0, 32, 24))
        image = image.convert("L" if mode == "LA" else "RGB")
        image.putalpha(alpha)
    elif mode.startswith("I;16"):
        grey = np.asarray(image.convert("L")).astype(np.uint16) * 257
        order = ">u2" if mode.endswith("B") else "<u2"
        return Image.frombytes(mode, image.size, grey.astype(order).tobytes())
    return image.convert(mode)


@pytest.mark.parametrize("mode", MODES)
def test_all_modes_in_all_formats_give_the_same_picture(mode):
    image = draw_quarters()
    expected = image.convert("L") if mode in GREY_MODES else image
    expected = (image.convert("1") if mode == "1" else expected).convert("RGB")
    if "A" in mode.upper() and mode != "LAB":
        expected.paste("white", (0, 0, 32, 24))
    exif = Image.Exif()
    exif[0x0112] = 6  # what is stored lies on its side
    stored = convert(image, mode).transpose(Image.Transpose.ROTATE_90)
    saved = 0
    for name in FORMATS:
        try:
            file = save(stored, format=name, exif=exif)
        except (OSError, KeyError, ValueError):
            continue  # Pillow does not write this mode in this format
        if (mode, name) in LOSSY_WRITERS:
            continue
        read = read_photo(file)
        if name in ("BMP", "GIF"):  # which have no place to say so
            read = read.transpose(Image.Transpose.ROTATE_270)
        assert (read.mode, read.size) == ("RGB", (64, 48)), name
        assert np.abs(sample_quarters(read) - sample_quarters(expected)).max() <= 25, name
        saved += 1
    assert saved >= 2


@pytest.mark.parametrize("content", [HEIC, HEIC_10_BITS], ids=["8 bits", "10 bits"])
def test_photos_of_iphones_are_read(content, tmp_path):
    # Under whatever name, as they often come.
    (tmp_path / "phone.jpg").write_bytes(base64.b85decode(content))
    read = read_photo(tmp_path / "phone.jpg")
    assert np.abs(sample_quarters(read) - sample_quarters(draw_quarters())).max() <= 8
    assert not any("HEIF" in name for name in Image.OPEN)  # Pillow is as it was


@pytest.mark.parametrize("bits", [8, 10, 11, 12, 14, 16])
@pytest.mark.parametrize("name", ["PNG", "TIFF"])
def test_greys_of_any_depth_look_like_those_of_8_bits(bits, name):
    ramp = np.arange(256, dtype=np.uint16).reshape(16, 16)
    file = save(Image.fromarray(ramp << (bits - 8)), format=name)
    np.testing.assert_array_equal(np.asarray(read_photo(file))[:, :, 0], ramp)


def test_the_brightest_photo_of_a_collection_says_what_is_white(tmp_path, capsys):
    """Of 14 bits here; a dark photo stays dark, and a picture of 8 bits is as it is."""
    ramp = np.arange(256, dtype=np.uint16).reshape(16, 16)
    pictures = {"bright": ramp << 6, "dark": ramp << 2, "plain": ramp.astype(np.uint8)}
    folder = tmp_path / "photos"
    for label in ("a", "b"):
        (folder / label).mkdir(parents=True)
        for name, values in pictures.items():
            Image.fromarray(values).save(folder / label / f"{name}.png")
    photos = index_photos(PhotoSource(folder, painted=False), tmp_path / "data")[:3]
    assert [photo.white for photo in photos] == [2**14, 2**14, 0]
    assert "white is 16384" in capsys.readouterr().out
    brightest = [read_pixels(photo.path, 16, photo.white).max() for photo in photos]
    assert brightest == [255, 15, 255]
    assert read_pixels(photos[1].path, 16).max() == 255  # by the picture alone


def make_profile(space: bytes, tags: dict[bytes, bytes], kind: bytes = b"mntr") -> bytes:
    """Return an ICC profile of version 2 (ICC.1:2001-04, section 6), with the tags given."""
    table, content, start = len(tags).to_bytes(4, "big"), b"", 132 + 12 * len(tags)
    for name, value in tags.items():
        place = start + len(content)
        table += name + place.to_bytes(4, "big") + len(value).to_bytes(4, "big")
        content += value + bytes(-len(value) % 4)
    connection = b"Lab " if kind == b"prtr" else b"XYZ "
    header = bytes(4) + b"lcms\x02\x40\0\0" + kind + space + connection + bytes(12) + b"acsp"
    white = b"".join(round(value * 65536).to_bytes(4, "big") for value in (0.9642, 1, 0.8249))
    header = (header + bytes(28) + white).ljust(128, b"\0") + table + content
    return len(header).to_bytes(4, "big") + header[4:]


def as_xyz(*values: float) -> bytes:
    numbers = (round(value * 65536).to_bytes(4, "big", signed=True) for value in values)
    return b"XYZ " + bytes(4) + b"".join(numbers)


def as_gamma(gamma: float) -> bytes:
    return b"curv" + bytes(4) + (1).to_bytes(4, "big") + round(gamma * 256).to_bytes(2, "big")


# Green and red change places, so that nobody can miss whether a profile was heeded.
SWAPPED = {b"rXYZ": as_xyz(0.3851, 0.7169, 0.0971), b"gXYZ": as_xyz(0.4361, 0.2225, 0.0139)}
SWAPPED |= {b"bXYZ": as_xyz(0.1431, 0.0606, 0.7141), b"wtpt": as_xyz(0.9642, 1, 0.8249)}
SWAPPED = make_profile(
    b"RGB ", SWAPPED | {name: as_gamma(2.2) for name in (b"rTRC", b"gTRC", b"bTRC")}
)
LINEAR_GREY = {b"wtpt": as_xyz(0.9642, 1, 0.8249), b"kTRC": as_gamma(1)}
LINEAR_GREY = make_profile(b"GRAY", LINEAR_GREY)


@pytest.mark.parametrize("mode", ["RGB", "P", "RGBA"])
@pytest.mark.parametrize("name", ["PNG", "WEBP", "TIFF", "JPEG", "AVIF"])
def test_colours_follow_the_profile_that_a_photo_brings(mode, name):
    if (mode, name) in {("P", "JPEG"), ("RGBA", "JPEG"), ("P", "AVIF"), ("P", "WEBP")}:
        return  # which cannot be stored so
    image = draw_quarters().convert(mode)
    options = {"lossless": True} if name == "WEBP" else {"quality": 95}
    read = read_photo(save(image, format=name, icc_profile=SWAPPED, **options))
    swapped = draw_quarters()
    swapped.paste("lime", (0, 0, 32, 24))
    swapped.paste("red", (32, 0, 64, 24))
    assert np.abs(sample_quarters(read) - sample_quarters(swapped)).max() <= 12
    assert "icc_profile" not in read.info  # whoever saves it would have it applied once more


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_greys_follow_a_profile_of_greys(mode):
    grey = Image.new("L", (16, 16), 55)
    grey.paste(255, (0, 0, 8, 16))
    stored = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    stored = stored if mode == "I;16" else grey.convert(mode)
    read = read_photo(save(stored, format="PNG", icc_profile=LINEAR_GREY))
    assert np.abs(np.subtract(read.getpixel((12, 8)), 128)).max() <= 1  # as sRGB encodes 21.5 %


@pytest.mark.parametrize(
    ("mode", "profile"),
    [
        ("RGB", SWAPPED[:300]),
        ("RGB", b"nonsense"),
        ("RGB", ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()),
        ("RGB", LINEAR_GREY),
        ("CMYK", SWAPPED),
    ],
    ids=["cut", "nonsense", "sRGB", "of greys", "of other colours"],
)
def test_profiles_that_say_nothing_of_a_picture_change_nothing(mode, profile):
    image = draw_quarters().convert(mode)
    plain = read_photo(save(image, format="TIFF"))
    assert read_photo(save(image, format="TIFF", icc_profile=profile)).tobytes() == plain.tobytes()


def test_floats_up_to_one_are_scaled():
    ramp = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    ramp[0, 0] = np.nan
    read = np.asarray(read_photo(save(Image.fromarray(ramp), format="TIFF")))[:, :, 0]
    assert (read.min(), read.max()) == (0, 255)


def test_transparent_greys_of_16_bits_are_white():
    grey = np.full((8, 8), 40000, np.uint16)
    grey[:4] = 7
    read = read_photo(save(Image.fromarray(grey), format="PNG", transparency=7))
    assert (read.getpixel((0, 0)), read.getpixel((0, 7))) == ((255,) * 3, (156,) * 3)


def test_an_unused_fourth_byte_of_a_bitmap_is_no_transparency():
    content = save(draw_quarters().convert("RGBA"), format="BMP").getvalue()
    pixels = content[int.from_bytes(content[10:14], "little") :]
    unused = b"".join(pixels[at : at + 3] + b"\0" for at in range(0, len(pixels), 4))
    masks = b"".join(mask.to_bytes(4, "little") for mask in (0xFF0000, 0xFF00, 0xFF, 0xFF000000))
    header = (56).to_bytes(4, "little") + content[18:30] + (3).to_bytes(4, "little")
    header += content[34:54] + masks
    start = content[:10] + (14 + len(header)).to_bytes(4, "little") + header
    read = read_photo(io.BytesIO(start + unused))
    np.testing.assert_array_equal(np.asarray(read), np.asarray(draw_quarters()))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "an empty file"),
        (b"\0" * 1000, "a file of zeros"),
        (b"\xef\xbb\xbf <!DOCTYPE html>", "a web page"),
        (b"<svg></svg>", "an SVG or XML file"),
        ("Gänseblümchen".encode(), "a text file"),
        (b"\0\0\0\x20ftypisom\0\0", "a video"),
        (b"\0\0\0\x18ftypcrx \0\0", "a camera's raw file"),
        (b"PK\x03\x04\x14\0", "a zip archive"),
        (b"%PDF-1.7\n\0", "a PDF document"),
        (b"\xff\xd8\xff\xe0\0", "damaged JPEG picture"),
        (b"\0\0\0\x20ftypheic\0\0", "damaged HEIC picture"),
    ],
)
def test_what_is_no_picture_is_called_what_it_is(content, kind):
    with pytest.raises(UnreadablePhotoError, match=kind):
        read_photo(io.BytesIO(content))


def test_raw_files_are_not_taken_for_their_thumbnails():
    for tag in ({254: 1}, {50706: b"\1\4\0\0"}):
        with pytest.raises(UnreadablePhotoError, match="a camera's raw file"):
            read_photo(save(draw_quarters(), format="TIFF", tiffinfo=tag))


@pytest.mark.parametrize(
    "error", [AssertionError(), AttributeError("exif"), OverflowError(), MemoryError(), KeyError(1)]
)
def test_whatever_a_decoder_raises_one_bad_file_never_ends_a_run(
    error, photo_folder, tmp_path, monkeypatch, capsys
):
    load = Image.Image.load

    def fail(image):
        if image.size == (13, 17):
            raise error
        return load(image)

    Image.new("RGB", (13, 17)).save(photo_folder / "roses" / "bad.bmp")
    monkeypatch.setattr(Image.Image, "load", fail)
    monkeypatch.setattr(reading.Image.Image, "convert", fail_or(Image.Image.convert, error))
    photos = index_photos(PhotoSource(photo_folder, painted=False), tmp_path / "data")
    assert len(photos) == 50
    assert "bad.bmp: " in capsys.readouterr().out


def fail_or(convert, error):
    def method(image, *arguments, **options):
        if image.size == (13, 17):
            raise error
        return convert(image, *arguments, **options)

    return method


def test_a_palette_picture_without_a_palette_has_a_reason():
    content = save(draw_quarters().quantize(), format="PNG").getvalue()
    start = content.index(b"PLTE") - 4
    length = int.from_bytes(content[start : start + 4], "big") + 12
    with pytest.raises(UnreadablePhotoError, match="damaged PNG picture"):
        read_photo(io.BytesIO(content[:start] + content[start + length :]))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no named pipes in folders")
def test_pipes_and_devices_are_named_and_not_waited_for(photo_folder, tmp_path, capsys):
    os.mkfifo(photo_folder / "roses" / "pipe.jpg")
    (photo_folder / "roses" / "endless.jpg").symlink_to("/dev/zero")
    index_photos(PhotoSource(photo_folder, painted=False), tmp_path / "data")
    out = capsys.readouterr().out
    for name in ("pipe.jpg", "endless.jpg"):
        assert f"{name}: a named pipe, socket or device, not a photo" in out


def test_huge_files_are_not_read(tmp_path, monkeypatch):
    with (tmp_path / "film.jpg").open("wb") as file:
        file.write(b"\0\0\0\x20ftypisom")
        file.truncate(2**31)
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("was read"))
    with pytest.raises(UnreadablePhotoError, match="a video of over 1 GiB .LARGEST_FILE_BYTES"):
        read_photo(tmp_path / "film.jpg")


def test_large_jpegs_come_reduced_where_other_formats_are_refused(monkeypatch):
    monkeypatch.setattr(reading, "LARGEST_MEGAPIXELS", 0.001)
    image = draw_quarters()
    read = read_photo(save(image, format="JPEG", quality=95))
    assert read.size == (32, 24)
    assert read_photo(save(image, format="JPEG", quality=95), least_size=24).size == (32, 24)
    for options in ({"format": "PNG"}, {"format": "JPEG", "progressive": True}):
        with pytest.raises(UnreadablePhotoError, match="LARGEST_MEGAPIXELS"):
            read_photo(save(image, **options))


def test_a_picture_larger_than_the_memory_allows_is_refused(monkeypatch):
    monkeypatch.setattr(reading, "_measure_memory", lambda: 64 * 4096)
    with pytest.raises(UnreadablePhotoError, match="an eighth of the memory"):
        read_photo(save(draw_quarters(), format="PNG"))


def test_real_photos_keep_their_pixels(flower_photos):
    """Ordinary ones take no other way than Pillow's own."""
    from PIL import ImageOps

    for photo in flower_photos[::300]:
        with Image.open(photo.path) as image, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if reading._read_profile(image.info.get("icc_profile"))[1]:
                continue  # which Pillow ignores
            image.draft(None, (128, 128))
            upright = ImageOps.exif_transpose(image.convert("RGB"))
        expected = np.asarray(ImageOps.fit(upright, (64, 64), Image.Resampling.LANCZOS))
        np.testing.assert_array_equal(read_pixels(photo.path, 64), expected)
