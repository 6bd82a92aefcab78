"""Read streams that pass as they came, at the price of a few searches: what all formats share."""

from __future__ import annotations

from collections.abc import Callable

EVENT_ENDS = (b"\n\n", b"\n\r\n", b"\r\r")
_LONG_READ = 2048  # bytes; of many events
_MAX_HELD_BYTES = 16 * 1024
_LINES = 3  # of an event with a name: that, its data, and the blank line
_NAME = b"event: "


class TextSize:
    """Size of the texts in a stream's lines; counted when it is asked for, or when much is held.

    Nearly always a usage makes it needless, and nothing is counted.
    """

    __slots__ = ("_bytes", "_count", "_held", "_held_bytes")

    def __init__(self, count: Callable[[bytes], int]) -> None:
        """`count` gives bytes of text in whole lines; in those of two reads it is the sum."""
        self._count = count
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._bytes = 0  # of what is no longer held

    def add(self, lines: bytes) -> None:
        """Take more lines."""
        self._held.append(lines)
        self._held_bytes += len(lines)
        if self._held_bytes > _MAX_HELD_BYTES:
            self._settle()

    def clear(self) -> None:
        """Begin anew at 0."""
        self._held.clear()
        self._held_bytes = self._bytes = 0

    @property
    def bytes(self) -> int:
        """Of text in all lines since the beginning."""
        if self._held:
            self._settle()
        return self._bytes

    def _settle(self) -> None:
        self._bytes += self._count(b"".join(self._held))
        self._held.clear()
        self._held_bytes = 0


def telling_lines(marks: tuple[bytes, ...], lines: bytes, delta: bytes) -> list[bytes]:
    """The lines that have one of the marks in them, in order.

    Args:
        delta: how the name of events ends that are known to tell nothing. Where their data begins
            with the same type, these are not searched.
    """
    if len(lines) >= _LONG_READ:
        start, end = _deltas_in(lines, delta)
        if start < end:
            return lines_with(marks, lines[:start]) + lines_with(marks, lines[end:])
    return lines_with(marks, lines)


def _deltas_in(lines: bytes, name_end: bytes) -> tuple[int, int]:
    """Where events of one name begin and end that stand in a row; nothing else is among them."""
    at = lines.find(name_end + b"\n")
    start = lines.rfind(b"\n", 0, max(at, 0)) + 1
    name = lines[start + len(_NAME) : at + len(name_end)]
    begin = b'%b%b\ndata: {"type":"%b"' % (_NAME, name, name)
    if not lines.startswith(begin, start):
        begin = begin.replace(b'":"', b'": "')
        if not lines.startswith(begin, start):
            return 0, 0
    begin = b"\n\n" + begin
    others, last = lines.count(begin, start), lines.rfind(begin, start)
    end = lines.find(b"\n\n", max(start, last + 2)) + 2
    # An event of any other kind between them would bring other lines.
    is_row = end > start and lines.count(b"\n", start, end) == _LINES * (others + 1)
    return (start, end) if is_row else (0, 0)


def lines_with(marks: tuple[bytes, ...], data: bytes) -> list[bytes]:
    """The lines of data that have one of the marks in them, in order."""
    found: dict[int, bytes] = {}
    for mark in marks:
        at = data.find(mark)
        while at >= 0:
            start = data.rfind(b"\n", 0, at) + 1
            end = data.find(b"\n", at)
            end = len(data) if end < 0 else end
            found[start] = data[start:end]
            at = data.find(mark, end)
    if not found:
        return []
    parts = [part for start in sorted(found) for part in found[start].splitlines()]
    return [part for part in parts if any(mark in part for mark in marks)]
