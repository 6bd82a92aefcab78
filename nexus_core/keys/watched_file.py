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


class Watched:
    """The file, looked at for changes.

    It stays open: a process that closes a file gives up all POSIX locks that it has on it, also
    those of SQLite's connections (https://www.sqlite.org/howtocorrupt.html, section 2.2).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def signature(self) -> Signature | None:
        """What tells one state of the file from another; None where it can't be read."""
        try:
            status = self._path.stat()
            if self._file is None or os.fstat(self._file).st_ino != status.st_ino:
                self.close()  # it is another file than the one of this name
                self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            head = os.pread(self._file, _CHANGES.stop, 0)
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, head[_CHANGES]

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
