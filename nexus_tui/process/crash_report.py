"""Crash reports: one line for the user, the traceback in a file."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from typing_extensions import TypeIs


def summary(error: BaseException) -> str:
    """One-line summary of a crash; of a group, of its first error."""
    return f"ended by an unexpected {type(first_part(error)).__name__}"


def first_part(error: BaseException) -> BaseException:
    """The error, or the first error of a group."""
    while _is_group(error):
        error = error.exceptions[0]
    return error


def _is_group(error: BaseException) -> TypeIs[BaseExceptionGroup[BaseException]]:
    return isinstance(error, BaseExceptionGroup)


def write_crash_report(error: BaseException) -> str:
    """Write the traceback to a file that only the user can read; says where."""
    folder, problem = None, "no directory to write to; set HOME or TMPDIR"
    for folder in _folders():
        try:
            return f"crash report: {_write(folder, error)}"
        except OSError as failed:
            problem = failed.strerror or str(failed)
    where = "" if folder is None else f" to {folder}"
    return f"crash report not written{where}: {problem}"


def _folders() -> Iterator[Path]:
    """The user's own for logs; without a home, or where it can't be written, the one for all."""
    import tempfile

    from nexus_core.config.user_dirs import log_dir

    if (own := log_dir()) is not None:
        yield own
    with contextlib.suppress(OSError):  # there is none either
        yield Path(tempfile.gettempdir())


def _write(folder: Path, error: BaseException) -> Path:
    import traceback

    stamp = time.strftime("%Y%m%d-%H%M%S")
    path = folder / f"nexus-crash-{stamp}-{os.getpid()}.txt"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL  # where others write, too, nothing is followed
    with os.fdopen(
        os.open(path, flags, 0o600), "w", encoding="utf-8", errors="backslashreplace"
    ) as file:
        traceback.print_exception(error, file=file)
    return path
