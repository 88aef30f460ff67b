"""Errors that a user can act on, and how paths and commands are named to one."""

import errno
import os
import shlex
import subprocess
from pathlib import Path

# Disk full, quota used up, file larger than allowed.
DISK_FULL_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class UserError(Exception):
    """Something that the user can put right: one line that says what, where and how."""


def shown_path(path: Path) -> str:
    """Return `path` as a person in the current folder would type it."""
    path = Path(path).absolute()
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def shown_name(path: Path) -> str:
    """Return the last part of a path in characters that any picture or page can show: file names
    may be in another encoding.
    """
    return path.name.encode(errors="replace").decode()


def quote(word: object) -> str:
    """Return a word of a command as one types it in a shell, with quotes where it needs some."""
    return subprocess.list2cmdline([str(word)]) if os.name == "nt" else shlex.quote(str(word))
