"""Key figures of a window on top of the dashboard, from the core's Stats."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from rich.cells import cell_len
from textual import events
from textual.message import Message

from nexus_core.types import NANO, RouteReason
from nexus_tui.text.numbers import (
    NOTHING,
    count,
    dollars,
    duration,
    fit_right,
    percent,
)
from nexus_tui.view.frame import Frames
from nexus_tui.view.model import ViewModel
from nexus_tui.view.rates import BUCKETS
from nexus_tui.widgets.base.bars import gauge, spark
from nexus_tui.widgets.base.lines import Cell, Line, LineWidget, joined
from nexus_tui.widgets.cells.backends import tokens_of

_GAUGE = 24
_REASONS_LINE = 4
_GAP = "   "  # between items
_LABEL = "reasons"
_SERIES = BUCKETS + 18  # cells of a series with its label and figure


_REASONS = tuple(RouteReason)


class Kpis(LineWidget):
    """Five lines with the rate and the reasons, or one when there is little room."""

    class Chosen(Message):
        """A route reason was clicked."""

    def __init__(self, frames: Frames, view: ViewModel) -> None:
        super().__init__(id="kpis")
        self.has_cursor = False  # the keys move among the reasons
        self.has_reasons = True  # there is room for their line
        self._frames = frames
        self._view = view
        self._cursor = 0

    @property
    def reason(self) -> RouteReason:
        """The route reason under the cursor."""
        return _REASONS[self._cursor]

    def move(self, reasons: int) -> None:
        """Move the cursor to another route reason."""
        self._cursor = max(0, min(self._cursor + reasons, len(_REASONS) - 1))

    def page(self, pages: int) -> None:
        self.edge(pages)

    def edge(self, direction: int) -> None:
        """Move to the first (-1) or the last (1) route reason."""
        self.move(direction * len(_REASONS))

    def on_click(self, event: events.Click) -> None:
        """Say which route reason was clicked."""
        if event.y != _REASONS_LINE or self.size.height <= _REASONS_LINE:
            return
        left = 1 + cell_len(_LABEL)
        for index, (name, number) in enumerate(self._reason_cells()):
            left += len(_GAP)
            right = left + cell_len(name[0]) + cell_len(number[0])
            if left <= event.x < right <= self.size.width:
                self._cursor = index
                self.post_message(self.Chosen())
                return
            left = right

    def lines(self, width: int, height: int) -> Sequence[Line]:
        if height < 5:
            return [joined(self._short(), width, "  ")]
        indent: Line = ((" " * cell_len(self._frames.current.window.shown), "text"),)
        return [
            joined(self._volume(), width),
            joined([indent, *self._troubles()], width),
            *self._series(width),
            self._reasons(width),
        ]

    # What these labels mean is written in docs/numbers.md.

    def _short(self) -> list[Line]:
        """All in one line, the most wanted first."""
        frame = self._frames.current
        recent = frame.recent
        return [
            ((frame.window.shown.removeprefix("last "), "title"),),
            _item("req", count(recent.requests), "bright"),
            _item("total p50", duration(recent.total.percentile(0.5))),
            _item("p99", duration(recent.total.percentile(0.99))),
            _item("err", count(recent.failed), "bad" if recent.failed else "text"),
            *self._queued(),
            _item("failovers", count(recent.failovers), "warn" if recent.failovers else "text"),
            _item("first byte p50", duration(recent.first_byte.percentile(0.5))),
            _item("tokens", tokens_of(recent)),
        ]

    def _volume(self) -> list[Line]:
        frame = self._frames.current
        recent = frame.recent
        return [
            ((frame.window.shown, "title"),),
            _item("requests", count(recent.requests), "bright"),
            _item("total p50", duration(recent.total.percentile(0.5))),
            _item("p99", duration(recent.total.percentile(0.99))),
            _item("first byte p50", duration(recent.first_byte.percentile(0.5))),
            _item("tokens", tokens_of(recent)),
        ]

    def _troubles(self) -> list[Line]:
        recent = self._frames.current.recent
        errors = count(recent.failed)
        if recent.failed:
            errors += f" ({percent(recent.failed, recent.finished)})"
        cut, privacy = recent.refused_by_cut, recent.refused_for_privacy
        return [
            _item("errors", errors, "bad" if recent.failed else "text"),
            _item("failovers", count(recent.failovers), "warn" if recent.failovers else "text"),
            *self._queued(),
            *([_item("refused by the cut", count(cut), "warn")] if cut else []),
            *([_item("refused for privacy", count(privacy), "warn")] if privacy else []),
            _item("client errors", count(recent.client_errors)),
            _item("left", count(recent.client_left)),
            _item("turned away", count(recent.turned_away)),
        ]

    def _queued(self) -> list[Line]:
        queue = self._frames.current.queue
        if queue is None:
            return []
        style = "bad" if queue.waiting >= queue.max_size else "warn" if queue.waiting else "text"
        return [_item("queued", count(queue.waiting), style)]

    def _series(self, width: int) -> list[Line]:
        """The rate in two rows, or in one above what is spent, where that is known."""
        frame = self._frames.current
        now, recent, costs = frame.now, frame.recent, frame.costs
        answers = recent.local_answers + recent.cloud_answers
        rate = f"{self._view.rate.per_second(now):.0f}/s"
        series = self._view.rate.values(now)
        if costs is None:
            upper, lower = spark(series, BUCKETS, rows=2)
            labels, values = (" rate  ", " 60 s  "), ("", rate)
        else:
            (upper,) = spark(series, BUCKETS)
            (lower,) = spark([int(usd * NANO) for usd in costs.per_minute], BUCKETS)
            newest = costs.per_minute[-1] if costs.per_minute else Decimal(0)
            spent = f"{'≈' if costs.minute_estimated else ''}{dollars(newest, 3)}"
            labels, values = (" rate  ", " $/min "), (rate, spent)
        room = max(4, min(_GAUGE, width - _SERIES - 14))
        shares = (
            _share("local", recent.local_answers, answers, "good", room),
            _share("cloud", recent.cloud_answers, answers, "privacy", room),
        )
        return [
            ((label, "dim"), (bars, "bar"), (f" {value:<8}  ", "text"), *share)
            for label, bars, value, share in zip(
                labels, (upper, lower), values, shares, strict=True
            )
        ]

    def _reasons(self, width: int) -> Line:
        return joined([((_LABEL, "dim"),), *self._reason_cells()], width, _GAP)

    def _reason_cells(self) -> list[tuple[Cell, Cell]]:
        reasons = self._frames.current.recent.reasons
        chosen = self.reason if self.has_cursor else None
        return [
            (
                (f"{reason} ", "tab" if reason == chosen else "dim"),
                (count(reasons[reason]), "text" if reasons[reason] else "dim"),
            )
            for reason in _REASONS
        ]


def _item(label: str, value: str, style: str = "text") -> Line:
    return (f"{label} ", "dim"), (value, style)


def _share(label: str, part: int, whole: int, style: str, width: int) -> tuple[Cell, ...]:
    filled, empty = gauge(part, whole, width)
    share = percent(part, whole) if whole else NOTHING
    return ((f"{label} ", "dim"), (filled, style), (empty, "faint"), (fit_right(share, 6), "text"))
