"""Number formatting for the screen: numbers, times and cells, short and aligned."""

from __future__ import annotations

import time
from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache

from rich.cells import cell_len, set_cell_size

NOTHING = "–"  # noqa: RUF001  an en dash, as on every other screen


def fit(text: str, width: int) -> str:
    """Exactly `width` cells: padded on the right, or cut with an ellipsis."""
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, width - 1) + "…"


def noun(number: int, one: str) -> str:
    """`answer` of one, else `answers`."""
    return one if number == 1 else f"{one}s"


def clip(text: str, width: int) -> str:
    """At most `width` cells: what does not fit ends in an ellipsis, at a blank where one is near.

    A blank in the second half is near; a single long word is cut where the room ends.
    """
    if cell_len(text) <= width:
        return text
    room = max(0, width - 1)
    cut = set_cell_size(text, room)
    if not text.startswith(f"{cut} "):
        blank = cut.rfind(" ")
        cut = cut[:blank] if blank * 2 >= room else cut
    return cut.rstrip(" ,;:(") + "…"


def fit_right(text: str, width: int) -> str:
    """Exactly `width` cells: padded on the left, or cut with an ellipsis."""
    missing = width - cell_len(text)
    return " " * missing + text if missing >= 0 else fit(text, width)


def wrap(text: str, width: int) -> list[str]:
    """Cut into lines of at most `width` cells, at blanks where there are any.

    An empty text is one empty line; nothing but the blanks at the cuts is lost. The time grows
    with the length of the text and no faster: texts of strangers come through here.
    """
    width = max(2, width)
    lines: list[str] = []
    start = 0
    while _is_longer(text, start, width):
        end = _fitting(text, start, width)
        blank = text.rfind(" ", start + 1, end + 1)
        cut = blank if blank > 0 else end
        lines.append(text[start:cut])
        start = cut + text.startswith(" ", cut)
    return [*lines, text[start:]]


def packed(items: Iterable[str], width: int, gap: str = "  ") -> list[str]:
    """As few lines as hold the items, none of them broken; at least one line."""
    lines = [""]
    for item in items:
        longer = f"{lines[-1]}{gap}{item}" if lines[-1] else item
        if lines[-1] and cell_len(longer) > width:
            lines.append(item)
        else:
            lines[-1] = longer
    return lines


def _is_longer(text: str, start: int, width: int) -> bool:
    """Whether what begins at `start` takes more than `width` cells."""
    size = width + 1  # enough, but for characters of no width
    while cell_len(text[start : start + size]) <= width:
        if start + size >= len(text):
            return False
        size *= 2
    return True


def _fitting(text: str, start: int, width: int) -> int:
    """Where that which fits ends; at least one character after `start`."""
    part = text[start : start + width + 1]
    if len(part) > width and part.isascii() and part.isprintable():
        return start + width  # a cell for each of them
    used = 0
    for index in range(start, len(text)):
        used += cell_len(text[index])
        if used > width:
            return max(start + 1, index)
    return len(text)


def duration(ms: float | None) -> str:
    """`0.4 ms`, `412 ms`, `2.9 s`, `3 m 20 s`."""
    if ms is None:
        return NOTHING
    if ms < 9.95:
        return f"{ms:.1f} ms"
    if ms < 999.5:
        return f"{ms:.0f} ms"
    seconds = ms / 1000
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} m {int(seconds) % 60} s"


def count(value: int) -> str:
    """`18,204`."""
    return f"{value:,}"


def short_count(value: int) -> str:
    """`940`, `1.2k`, `190k`, `3.4M`."""
    for limit, unit in ((1_000_000, "M"), (1_000, "k")):
        if value >= limit:
            scaled = value / limit
            return f"{scaled:.1f}{unit}" if scaled < 9.95 else f"{scaled:.0f}{unit}"
    return str(value)


def dollars(usd: Decimal, places: int | None = None) -> str:
    """`$1.6120`, `$120.50`; what is too small for the places never reads as nothing."""
    if places is None:
        places = 4 if usd < 100 else 2
    smallest = Decimal(1).scaleb(-places)
    if 0 < usd < smallest / 2:
        return f"<${smallest}"
    return f"${usd:,.{places}f}"


def percent(part: int, whole: int) -> str:
    """`78 %`; one decimal below ten, so that a few errors do not read as none."""
    if not whole:
        return NOTHING
    share = 100 * part / whole
    return f"{share:.1f} %" if share < 9.95 else f"{share:.0f} %"


def clock(at: float | None, *, seconds: bool = True) -> str:
    """The local time of day."""
    if at is None:
        return NOTHING
    try:
        shown = _clock(int(at), time.tzname)
    except (OverflowError, OSError, ValueError):
        return NOTHING  # no time that there ever was
    return shown if seconds else shown[:5]


@lru_cache(maxsize=64)  # most rows of a list are of the same seconds
def _clock(second: int, _zone: tuple[str, str]) -> str:
    return time.strftime("%H:%M:%S", time.localtime(second))


def date(at: float) -> str:
    """The local date: `2026-11-30`."""
    try:
        return time.strftime("%Y-%m-%d", time.localtime(at))
    except (OverflowError, OSError, ValueError):
        return NOTHING


def uptime(seconds: float) -> str:
    """`<1 m`, `12 m`, `2 h 14 m`, `3 d 4 h`: its two largest units; it changes once a minute."""
    hours, minutes = divmod(max(0, int(seconds)) // 60, 60)
    if not hours:
        return f"{minutes} m" if minutes else "<1 m"
    days, rest = divmod(hours, 24)
    return f"{days} d {rest} h" if days else f"{hours} h {minutes} m"


def short_id(request_id: str) -> str:
    """The end of an id, which differs where its beginning may not."""
    return request_id if len(request_id) <= 8 else "…" + request_id[-7:]


def short_session(session: str) -> str:
    """The beginning of a random UUID, as agents show it; of any other id the end, which differs."""
    is_random = session[8:9] == "-" and session[14:15] == "4"
    return session[:8] if is_random else short_id(session)
