"""The file that features are kept in: damage is noticed; several processes may use it at once."""

import contextlib
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vision101.errors import UserError, shown_path
from vision101.files import disk_errors


@contextlib.contextmanager
def open_store(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file that features are kept in; several processes may do so at once."""
    try:
        with disk_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            store = _connect(path) or _mend(path)
        with contextlib.closing(store):
            yield store
    except sqlite3.OperationalError as error:
        raise UserError(
            f"cannot keep features in {shown_path(path.parent)} ({error}): free some space, or "
            "check its permissions"
        ) from error


def _connect(path: Path) -> sqlite3.Connection | None:
    """Return the store, or None if it is damaged. Nothing is written before that is known: another
    process may just be mending it.
    """
    store = sqlite3.connect(path, timeout=60)
    try:
        if store.execute("PRAGMA quick_check").fetchone() == ("ok",):
            store.execute(
                "CREATE TABLE IF NOT EXISTS features (sha256 TEXT, view INTEGER, "
                "checksum INTEGER, vector BLOB, PRIMARY KEY (sha256, view))"
            )
            return store
    except sqlite3.OperationalError:
        store.close()
        raise  # a full disk or a lock: no damage
    except sqlite3.DatabaseError:
        pass
    store.close()
    return None


def _mend(path: Path) -> sqlite3.Connection:
    """Make a damaged store anew, unless another process has done so in the meantime."""
    lock = sqlite3.connect(path.with_suffix(".lock"), timeout=60, isolation_level=None)
    with contextlib.closing(lock):
        lock.execute("BEGIN EXCLUSIVE")  # ends when it is closed, or the process dies
        store = _connect(path)
        if store is None:
            print(f"{shown_path(path)} is damaged: its features are computed again.")
            # A journal would be rolled back into the new store.
            path.with_name(f"{path.name}-journal").unlink(missing_ok=True)
            path.replace(path.with_suffix(".damaged"))
            store = _connect(path)
        return store


def load_vector(
    store: sqlite3.Connection, sha256: str, view: int, channels: int
) -> np.ndarray | None:
    """Return the features of a view of a photo, float32 (channels,); None if there are none, or if
    they are damaged.
    """
    row = store.execute(
        "SELECT checksum, vector FROM features WHERE sha256 = ? AND view = ?", (sha256, view)
    ).fetchone()
    if row is None or zlib.crc32(row[1]) != row[0]:
        return None
    vector = np.frombuffer(row[1], np.float32)
    return vector if len(vector) == channels else None


def keep_vector(store: sqlite3.Connection, sha256: str, view: int, vector: np.ndarray) -> None:
    """Keep the features of a view of a photo, float32 (channels,), as part of a transaction."""
    content = vector.tobytes()
    row = (sha256, view, zlib.crc32(content), content)
    store.execute("INSERT OR REPLACE INTO features VALUES (?, ?, ?, ?)", row)
