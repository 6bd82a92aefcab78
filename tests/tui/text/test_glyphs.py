"""Glyphs: each takes one cell, and so does what is drawn for it in ASCII."""

from __future__ import annotations

from rich.cells import cell_len

from nexus_tui.text.glyphs import OF_ONE_CELL, in_ascii


def test_each_takes_one_cell_as_drawn_and_in_ascii() -> None:
    for glyph in OF_ONE_CELL:
        assert cell_len(glyph) == 1
        assert len(in_ascii(glyph)) == 1
        assert in_ascii(glyph).isascii()
