"""A file that an export writes: new, and for its owner's eyes only."""

from __future__ import annotations

import os
from pathlib import Path


def wrong_path(text: str) -> str | None:
    """What is wrong with a name that was typed; None where a new file can have it."""
    if not text:
        return "a file name"
    try:
        return "file exists" if Path(text).expanduser().exists() else None
    except (OSError, RuntimeError, ValueError) as error:  # too long; no such user; a NUL
        return f"invalid file name: {getattr(error, 'strerror', None) or error}"


def write_new(name: str, text: str) -> Path:
    """Write a file that there was not; gives its absolute path.

    Raises:
        OSError: it exists, or can't be written.
    """
    path = Path(name).expanduser().absolute()
    with open(  # its opener sets the mode from the start
        path,
        "x",
        encoding="utf-8",
        errors="backslashreplace",
        opener=lambda file, flags: os.open(file, flags, 0o600),
    ) as file:
        file.write(text)
    return path
