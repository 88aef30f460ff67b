"""Decodes the names in zips that do not say how they are encoded."""

from zipfile import ZipInfo

from vision101.errors import UserError

# Of Windows in East Asia, Russia, Western and Central Europe.
CODE_PAGES = ("cp932", "gb18030", "big5", "cp949", "cp866", "cp437", "cp850", "cp852")

DECLARED_UTF8 = 0x800  # flag in a zip's directory


def decode_names(members: list[ZipInfo]) -> list[str]:
    """Return the names of a zip's members. Undeclared ones are decoded by what fits them all, and
    before they are split into folders: half a character may look like a backslash.

    Raises:
        UserError: No encoding fits.
    """
    names = [member.orig_filename for member in members]
    undeclared = [at for at, member in enumerate(members) if not member.flag_bits & DECLARED_UTF8]
    # zipfile took them for cp437, in which each byte is a character.
    content = "\n".join(names[at] for at in undeclared).encode("cp437")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        from charset_normalizer import from_bytes  # seldom needed

        match = from_bytes(content, cp_isolation=CODE_PAGES).best()
        if match is None:
            raise UserError(
                "its names are in an unknown encoding; unpack it yourself and give the folder"
            ) from None
        text = content.decode(match.encoding)
        example = next(name for name in text.split("\n") if not name.isascii())
        print(f"The archive does not say how its names are encoded; as {match.encoding} they read")
        print(f"{example!r}. If that is wrong, unpack it yourself and give the folder.")
    for at, name in zip(undeclared, text.split("\n"), strict=bool(undeclared)):
        names[at] = name
    return names
