"""Key figures on top of the dashboard, from the core's Stats."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from nexus_core.types import NANO, RouteReason
from nexus_tui.text.numbers import (
    NOTHING,
    count,
    dollars,
    duration,
    fit_right,
    percent,
    short_count,
)
from nexus_tui.view.frame import Frames
from nexus_tui.view.model import ViewModel
from nexus_tui.view.rates import BUCKETS
from nexus_tui.widgets.base.bars import gauge, spark
from nexus_tui.widgets.base.lines import Cell, Line, LineWidget, joined

_GAUGE = 24
_SERIES = BUCKETS + 18  # cells of a series with its label and figure


class Kpis(LineWidget):
    """Five lines with the rate and the reasons, or one when there is little room."""

    def __init__(self, frames: Frames, view: ViewModel) -> None:
        super().__init__(id="kpis")
        self._frames = frames
        self._view = view

    def lines(self, width: int, height: int) -> Sequence[Line]:
        if height < 5:
            return [joined(self._numbers(is_short=True), width, "  ")]
        return [
            joined(self._numbers(is_short=False), width),
            (),
            *self._series(width),
            self._reasons(width),
        ]

    def _numbers(self, *, is_short: bool) -> list[Line]:
        stats = self._frames.current.stats
        errors = stats.failed
        share = percent(errors, stats.finished)
        prompt, completion = stats.prompt_tokens, stats.completion_tokens
        numbers: list[tuple[str, str, str]] = [
            ("req" if is_short else "requests", count(stats.requests), "bright"),
            ("p50", duration(stats.total.percentile(0.5)), "text"),
            ("p99", duration(stats.total.percentile(0.99)), "text"),
            ("err" if is_short else "errors", count(errors), "bad" if errors else "text"),
            ("failovers", count(stats.failovers), "warn" if stats.failovers else "text"),
            *self._queued(),
            ("first byte", duration(stats.first_byte.percentile(0.5)), "text"),
            ("refused", count(stats.refused), "text"),
            ("tokens", f"{short_count(prompt)}+{short_count(completion)}", "text"),
        ]
        if errors and not is_short:
            label, value, style = numbers[3]
            numbers[3] = (label, f"{value} ({share})", style)
        return [((f"{label} ", "dim"), (value, style)) for label, value, style in numbers]

    def _queued(self) -> list[tuple[str, str, str]]:
        queue = self._frames.current.queue
        if queue is None:
            return []
        style = "bad" if queue.waiting >= queue.max_size else "warn" if queue.waiting else "text"
        return [("queued", count(queue.waiting), style)]

    def _series(self, width: int) -> list[Line]:
        """The rate in two rows, or in one above what is spent, where that is known."""
        frame = self._frames.current
        now, stats, costs = frame.now, frame.stats, frame.costs
        answers = stats.local_answers + stats.cloud_answers
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
            _share("local", stats.local_answers, answers, "good", room),
            _share("cloud", stats.cloud_answers, answers, "privacy", room),
        )
        return [
            ((label, "dim"), (bars, "bar"), (f" {value:<8}  ", "text"), *share)
            for label, bars, value, share in zip(
                labels, (upper, lower), values, shares, strict=True
            )
        ]

    def _reasons(self, width: int) -> Line:
        reasons = self._frames.current.stats.reasons
        items: list[Line] = [(("reasons", "dim"),)]
        items += [
            ((f"{reason} ", "dim"), (count(reasons[reason]), "text" if reasons[reason] else "dim"))
            for reason in RouteReason
        ]
        return joined(items, width)


def _share(label: str, part: int, whole: int, style: str, width: int) -> tuple[Cell, ...]:
    filled, empty = gauge(part, whole, width)
    share = percent(part, whole) if whole else NOTHING
    return ((f"{label} ", "dim"), (filled, style), (empty, "faint"), (fit_right(share, 6), "text"))
