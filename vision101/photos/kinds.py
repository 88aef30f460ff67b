"""Says what a file is that should have been a photo or an archive."""

import re

# By their first bytes. Case does not matter.
KINDS = (
    (rb"\xff\xd8\xff", "a JPEG picture"),
    (rb"\x89PNG", "a PNG picture"),
    (rb"GIF8", "a GIF picture"),
    (rb"RIFF....WEBP", "a WebP picture"),
    (rb"BM....\0\0\0\0", "a BMP picture"),
    (rb"....ftypavi[fs]", "an AVIF picture"),
    (rb"....ftyp(hei|hev|mif1|msf1)", "an HEIC picture"),
    (rb"....ftypcrx|FUJIFILMCCD-RAW|IIRO|IIU\0|\0MRM", "a camera's raw file"),
    (rb"....(ftyp|moov|mdat)|RIFF....AVI |\x1aE\xdf\xa3|\0\0\x01[\xb3\xba]", "a video"),
    (rb"II\*\0|MM\0\*", "a TIFF picture"),
    (rb"8BPS", "a Photoshop file"),
    (rb"%PDF", "a PDF document"),
    (rb"PK\x03\x04|PK\x05\x06", "a zip archive or an Office document"),
    (rb"\x1f\x8b|BZh|\xfd7zXZ\0|\x28\xb5\x2f\xfd|7z\xbc\xaf|Rar!", "a compressed archive"),
    (rb"(\xef\xbb\xbf)?\s*<(!doctype\s+html|html)", "a web page"),
    (rb"(\xef\xbb\xbf)?\s*<(svg|\?xml)", "an SVG or XML file"),
    (rb"\Z", "an empty file"),
    (rb"\0+\Z", "a file of zeros, as a broken download leaves it"),
    (rb"[^\0-\x08\x0e-\x1f]+\Z", "a text file"),
)


def describe_content(content: bytes) -> str:
    """Return what a file that begins so is, with its article: "a web page"."""
    for start, kind in KINDS:
        if re.match(start, content[:512], re.DOTALL | re.IGNORECASE):
            return kind
    return "a file of unknown kind"
