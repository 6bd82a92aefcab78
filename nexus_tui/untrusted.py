"""Make outside text safe to draw: what would steer a terminal is shown as a visible escape."""

from __future__ import annotations

import contextlib
from functools import lru_cache
from typing import TextIO


@lru_cache(maxsize=4096)
def visible(text: str) -> str:
    """The same text with everything unprintable written out, as `\\x1b` or `\\u202e`.

    Covers C0, DEL and C1 controls, bidi controls, zero-width and other format characters, line
    separators, lone surrogates and unassigned code points. The result is one line of plain text;
    it must still be drawn as text, never as markup.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(ord(char)) for char in text)


def _escape(code: int) -> str:
    if code <= 0xFF:
        return f"\\x{code:02x}"
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    return f"\\U{code:08x}"


def write_line(stream: TextIO | None, line: str) -> None:
    """Write a line to stdout or stderr, whatever it can't encode; a closed one is no error."""
    if stream is None:  # closed before Python started
        return
    encoding = stream.encoding or "utf-8"
    line = line.encode(encoding, "backslashreplace").decode(encoding)
    with contextlib.suppress(OSError, ValueError):  # whoever closed it does not want to know
        stream.write(line + "\n")
