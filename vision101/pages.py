"""Pages to read in a browser: each whole in one file, opened from disk, with no network."""

import base64
import io
from pathlib import Path

import jinja2
import numpy as np
from PIL import Image

from vision101.files import write_atomically

TEMPLATES_FOLDER = Path(__file__).with_name("templates")

# Of JPEG, 1-95: photos at thumbnail size look like the originals, at a tenth of PNG's bytes.
JPEG_QUALITY = 85


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
    with write_atomically(path) as temporary:
        # A file's name may hold bytes that are not text, which no page can show.
        temporary.write_text(page, encoding="utf-8", errors="replace")


def embed_picture(picture: bytes | np.ndarray | Path) -> str:
    """Return a picture as the `data:` address of an `img` element: a PNG, given as bytes or as the
    path of its file, or an array, uint8 (height, width, 3), RGB, which becomes a JPEG.
    """
    if isinstance(picture, np.ndarray):
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=JPEG_QUALITY)
        kind, content = "jpeg", buffer.getvalue()
    else:
        kind, content = "png", picture.read_bytes() if isinstance(picture, Path) else picture
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
