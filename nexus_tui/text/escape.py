"""Escape control characters: make outside text safe to draw."""

from __future__ import annotations

from functools import lru_cache

_MAX_REMEMBERED = 512  # characters: names and messages, but no bodies


def escaped(text: str) -> str:
    """Escape control characters and other unprintable text, as `\x1b` or `\u202e`.

    Covers C0, DEL and C1 controls, bidi controls, zero-width and other format characters, line
    separators, lone surrogates and unassigned code points. The result is one line of plain text;
    it must still be drawn as text, never as markup.
    """
    return _remembered(text) if len(text) <= _MAX_REMEMBERED else _written_out(text)


def _written_out(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(ord(char)) for char in text)


_remembered = lru_cache(maxsize=4096)(_written_out)


def _escape(code: int) -> str:
    if code <= 0xFF:
        return f"\\x{code:02x}"
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    return f"\\U{code:08x}"
