"""Pictures and archives damaged at random: read, or refused with a reason, in bounded time and
memory. `pytest --fuzz 10000 tests/photos/test_fuzz.py` tries more than the few of every day.
"""

import base64
import bz2
import concurrent.futures
import gzip
import io
import multiprocessing
import random
import re
import signal
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest
from PIL import Image
from test_reading import HEIC

from vision101.errors import UserError
from vision101.photos.archives import unpack_archive
from vision101.photos.reading import UnreadablePhotoError, read_pixels

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc and alarms")

# What one file may cost at most. An honest picture of 120 megapixels would take more memory, but
# none of these begins as one.
SECONDS_PER_FILE = 20
MEGABYTES = 1500

MEMBER_COUNT = 16


def draw_pictures() -> dict[str, bytes]:
    image = Image.effect_noise((90, 70), 60).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    ways = {
        "a.jpg": (image, {"format": "JPEG", "exif": exif}),
        "b.jpg": (image, {"format": "JPEG", "progressive": True}),
        "c.jpg": (image.convert("CMYK"), {"format": "JPEG"}),
        "a.png": (image, {"format": "PNG", "exif": exif}),
        "b.png": (image.quantize(), {"format": "PNG", "transparency": bytes(9)}),
        "c.png": (image.convert("I").convert("I;16"), {"format": "PNG"}),
        "a.webp": (image, {"format": "WEBP"}),
        "b.webp": (image.convert("RGBA"), {"format": "WEBP", "lossless": True}),
        "a.bmp": (image, {"format": "BMP"}),
        "a.gif": (image.quantize(), {"format": "GIF"}),
        "a.tif": (image, {"format": "TIFF", "compression": "tiff_lzw"}),
        "b.tif": (image.convert("F"), {"format": "TIFF"}),
        "a.avif": (image, {"format": "AVIF"}),
    }
    pictures = {"a.heic": base64.b85decode(HEIC)}
    for name, (picture, options) in ways.items():
        file = io.BytesIO()
        picture.save(file, **options)
        pictures[name] = file.getvalue()
    return pictures


def pack_archives() -> dict[str, bytes]:
    content = {f"class-{at % 2}/{at}.jpg": bytes([at]) * 700 for at in range(MEMBER_COUNT)}
    tar, stored, deflated = io.BytesIO(), io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as file:
        for name, data in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    for packed, method in ((stored, zipfile.ZIP_STORED), (deflated, zipfile.ZIP_DEFLATED)):
        with zipfile.ZipFile(packed, "w", method) as file:
            for name, data in content.items():
                file.writestr(name, data)
    tar = tar.getvalue()
    zips = {"a.zip": stored.getvalue(), "b.zip": deflated.getvalue()}
    return {"a.tar": tar, "a.tgz": gzip.compress(tar), "b.tar": bz2.compress(tar), **zips}


def damage(content: bytes, chance: random.Random) -> bytes:
    """Return content with a few bytes changed, or cut, or with a stretch added, gone or cleared.
    Headers are at the beginning of most formats, so half of the damage is done there.
    """
    content = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        reach = len(content) if chance.random() < 0.5 else min(200, len(content))
        at, length = chance.randrange(max(1, reach)), chance.choice((1, 2, 4, 30))
        stretch = content[at : at + length]
        new = (
            chance.randbytes(len(stretch)),
            b"\xff" * len(stretch),
            b"\0" * len(stretch),
            b"",
            stretch * 2,
            bytes(byte ^ 1 << chance.randrange(8) for byte in stretch),
        )
        content[at : at + length] = chance.choice(new)
    return bytes(
        content[: chance.randrange(len(content) + 1)] if chance.random() < 0.1 else content
    )


def read_picture(path: Path) -> None:
    try:
        assert read_pixels(path, 32).shape == (32, 32, 3)
    except UnreadablePhotoError as error:
        assert str(error)


def read_archive(path: Path) -> None:
    """All files or none; what is in them, tars and the names in zips do not protect."""
    unpacked = path.parent / "unpacked" / path.stem
    try:
        folder = unpack_archive(path, unpacked)
    except UserError as error:
        assert "permissions" not in str(error)
        assert not unpacked.exists() or not list(unpacked.iterdir())
    else:
        assert sum(found.is_file() for found in folder.rglob("*")) == MEMBER_COUNT


def read_peak_memory() -> int:
    """Return the most memory that this process has held, in megabytes. Not by `resource`: that
    figure begins with the one of the process that started this one, and so of all tests before.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) // 1024


def read_damaged(kind: str, count: int, folder: Path) -> tuple[float, int, str]:
    """Read damaged files in this process, which ends where one takes too long. Return the CPU
    seconds of the slowest, the most memory, in megabytes, and the name of the one that took it.
    """
    make, read = {
        "pictures": (draw_pictures, read_picture),
        "archives": (pack_archives, read_archive),
    }[kind]
    whole, worst, peak, slowest = make(), "", 0, 0.0
    for content, path in ((content, folder / name) for name, content in whole.items()):
        path.write_bytes(content)
        read(path)
    for number in range(count):
        chance = random.Random(number)
        name = chance.choice(sorted(whole))
        path = folder / f"{number}-{name}"
        path.write_bytes(damage(whole[name], chance))
        signal.alarm(SECONDS_PER_FILE)
        start = time.process_time()
        try:
            read(path)
        except Exception as error:
            raise AssertionError(f"{path}: {error!r}") from error
        signal.alarm(0)
        slowest = max(slowest, time.process_time() - start)
        used = read_peak_memory()
        if used > peak:
            worst, peak = path.name, used
        path.unlink()
    return slowest, peak, worst


@pytest.mark.parametrize("kind", ["pictures", "archives"])
def test_damaged_files_are_read_or_refused(kind, request, tmp_path):
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
        job = pool.submit(read_damaged, kind, request.config.getoption("--fuzz"), tmp_path)
        try:
            seconds, megabytes, worst = job.result()
        except concurrent.futures.process.BrokenProcessPool:
            left = [path.name for path in tmp_path.glob("*-*")]
            pytest.fail(f"{left} took over {SECONDS_PER_FILE} s, or ended the process")
    print(f"\n{kind}: at most {seconds:.2f} CPU s, and {megabytes} MB, reached by {worst}")
    assert megabytes < MEGABYTES
