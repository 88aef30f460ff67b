"""Reads the directory of a zip: every file in it, under its right name."""

from zipfile import BadZipFile, ZipFile, ZipInfo

from vision101.errors import UserError

# Of Windows in East Asia, Russia, Western and Central Europe.
CODE_PAGES = ("cp932", "gb18030", "big5", "cp949", "cp866", "cp437", "cp850", "cp852")

DECLARED_UTF8 = 0x800  # flag of a member

END_MARK = b"PK\5\6"
END_BYTES = 22 + 2**16  # from it to the end of the file, with the longest comment


def read_directory(file: ZipFile) -> list[tuple[ZipInfo, str]]:
    """Return the members of a zip with their names.

    Raises:
        BadZipFile: The directory lists other than as many files as it should.
        UserError: Names are in no known encoding.
    """
    members = file.infolist()
    file.fp.seek(max(0, file.fp.seek(0, 2) - END_BYTES))
    tail = file.fp.read()
    end = tail.rfind(END_MARK)
    count = int.from_bytes(tail[end + 10 : end + 12], "little")
    # A damaged length hides what follows from zipfile. From 65,535 on, the count is elsewhere.
    if len(members) != count < 2**16 - 1:
        raise BadZipFile(f"{count} files should be there, {len(members)} are listed")
    return list(zip(members, _decode_names(members), strict=True))


def _decode_names(members: list[ZipInfo]) -> list[str]:
    """Decode undeclared names by what fits them all, and before they are split into folders: half
    a character may look like a backslash.
    """
    names = [member.orig_filename for member in members]
    undeclared = [at for at, member in enumerate(members) if not member.flag_bits & DECLARED_UTF8]
    # zipfile took them for cp437, in which each byte is a character.
    content = "\n".join(names[at] for at in undeclared).encode("cp437")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        from charset_normalizer import from_bytes  # seldom needed

        # Of each word once; numbers and suffixes say nothing.
        words = {
            word: None for word in content.replace(b"\n", b"/").split(b"/") if not word.isascii()
        }
        match = from_bytes(b" ".join(words), cp_isolation=CODE_PAGES).best()
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
