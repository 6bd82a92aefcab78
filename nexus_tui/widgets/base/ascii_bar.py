"""A scrollbar without any glyph that is not ASCII."""

from __future__ import annotations

from typing import ClassVar

from textual.scrollbar import ScrollBarRender


class AsciiBar(ScrollBarRender):
    """A scrollbar of whole cells: Textual's own ends in parts of a block."""

    VERTICAL_BARS: ClassVar[list[str]] = [" "] * 8
    HORIZONTAL_BARS: ClassVar[list[str]] = [" "] * 8
