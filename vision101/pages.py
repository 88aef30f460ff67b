"""Pages for a person to read in a browser: whole in one file, opened from disk, with no network."""

import base64
import io
import mimetypes
from pathlib import Path

import jinja2
import numpy as np
from PIL import Image

from vision101.files import write_atomically

TEMPLATES_FOLDER = Path(__file__).with_name("templates")

# Of JPEG, 1-95: photos at thumbnail size look like the originals, at a tenth of PNG's bytes.
JPEG_QUALITY = 85


def write_report(path: Path, template_name: str, **content: object) -> None:
    """Fill a template of `vision101/templates` and write the page, whole or not at all.

    Args:
        path: The page, an `.html` file.
        template_name: Name of the template's file.
        content: What the template shows; text is escaped, so names may have any characters.
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
        # A file's name may hold bytes that are no text, and that no page can show.
        temporary.write_text(page, encoding="utf-8", errors="replace")


def embed_picture(picture: Path | np.ndarray) -> str:
    """Return a picture as the `data:` address of an `img` element.

    Args:
        picture: Path of a PNG or JPEG file, or uint8 array (height, width, 3), RGB, 0-255.
    """
    if isinstance(picture, Path):
        content, kind = picture.read_bytes(), mimetypes.guess_type(picture.name)[0]
    else:
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=JPEG_QUALITY)
        content, kind = buffer.getvalue(), "image/jpeg"
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
