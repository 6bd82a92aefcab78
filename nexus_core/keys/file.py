"""The file of created keys from outside: whether it is there, and whether it has changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

_CHANGES = slice(24, 28)  # SQLite's count of changes: https://www.sqlite.org/fileformat.html
Signature: TypeAlias = tuple[int, int, bytes]


def is_there(path: Path) -> bool:
    """Whether there is a file; one that can't be looked at is there: it may hold keys."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def signature(path: Path) -> Signature | None:
    """What tells one state of the file from another; None where it can't be read."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            return status.st_ino, status.st_mtime_ns, file.read(_CHANGES.stop)[_CHANGES]
    except OSError:
        return None
