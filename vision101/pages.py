"""Pages to read in a browser: each whole in one file, opened from disk, with no network."""

import base64
import io
import os
import re
import urllib.parse
from pathlib import Path

import jinja2
import markupsafe
import numpy as np
from PIL import Image

from vision101.files import write_atomically

TEMPLATES_FOLDER = Path(__file__).with_name("templates")

# Of JPEG and WebP, 1-100: pictures look like the originals, at a tenth of PNG's bytes.
QUALITY = 82


def write_report(path: Path, template_name: str, **content: object) -> None:
    """Fill a template of `vision101/templates` with content, and write the page atomically. Text
    is escaped, so names may have any characters.
    """
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = templates.get_template(template_name).render(content)
    # A line must not begin with %. Commands, which one copies, stay as they are.
    page = re.sub(r"(?<=\d) %(?![^<]*</(code|kbd)>)", "\u00a0%", page)
    with write_atomically(path) as temporary:
        # A file's name may hold bytes that are not text, which no page can show.
        temporary.write_text(page, encoding="utf-8", errors="replace")


def embed_picture(picture: bytes | np.ndarray | Path, photographic: bool = False) -> str:
    """Return the attributes of an `img` element that hold a picture and its size.

    Args:
        picture: A photo, uint8 (height, width, 3), RGB; or what `save_figure` wrote, or its path,
            whose pixels are half as large, for sharp screens.
        photographic: Whether the figure is mostly photos, which take a tenth as WebP.
    """
    if isinstance(picture, np.ndarray):
        height, width = picture.shape[:2]
        source = encode_photo(picture)
    else:
        picture = picture.read_bytes() if isinstance(picture, Path) else picture
        image = Image.open(io.BytesIO(picture))
        width, height = (side // 2 for side in image.size)
        source = _encode(image, "webp") if photographic else _hold("png", picture)
    return markupsafe.Markup(f'src="{source}" width="{width}" height="{height}"')


def encode_photo(photo: np.ndarray) -> str:
    """Return an address that holds a photo, uint8 (height, width, 3), RGB."""
    return _encode(Image.fromarray(photo), "jpeg")


def _encode(image: Image.Image, kind: str) -> str:
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, kind, quality=QUALITY, method=2)  # 4 takes twice as long
    return _hold(kind, buffer.getvalue())


def _hold(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def link_to(path: Path, folder: Path) -> str:
    """Return the address of a file for a page in `folder`: a relative one where there is one, so
    that both can be moved together.
    """
    try:
        relative = Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # on another drive of Windows
        return path.absolute().as_uri()
    return urllib.parse.quote(os.fsencode(relative))
