"""One request in full: the decision, the attempts, the timing and the headers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest

from rich.cells import cell_len

from nexus_core.events import Attempt, Considered
from nexus_core.types import HealthStatus
from nexus_tui.figures import NOTHING, clock, duration, fit, wrap
from nexus_tui.rows import Headers, RequestRow
from nexus_tui.untrusted import visible
from nexus_tui.widgets.lines import Cell, Line, LineWidget, rule
from nexus_tui.widgets.request_list import status_cell

_SIDE_BY_SIDE = 110  # columns
_LEFT_SHARE = 0.46
_HEALTH: dict[HealthStatus, Cell] = {
    HealthStatus.HEALTHY: ("● healthy", "good"),
    HealthStatus.UNHEALTHY: ("✗ down", "bad"),
    HealthStatus.UNKNOWN: ("◇ unknown", "dim"),
}


class RequestDetail(LineWidget):
    """Scrolls by lines; side by side where there is room, else one below the other."""

    def __init__(self, selected: Callable[[], RequestRow | None]) -> None:
        super().__init__(id="detail")
        self._selected = selected
        self._top = 0

    def lines(self, width: int, height: int) -> Sequence[Line]:
        row = self._selected()
        if row is None:
            return [rule(width, "Request"), (), (("  Nothing is selected.", "dim"),)]
        body = _body(row, width)
        self._top = max(0, min(self._top, len(body) - (height - 2)))
        hidden = len(body) - self._top - (height - 2)
        more = [f"{hidden} more lines below"] if hidden > 0 else []
        title = rule(width, f"Request {visible(row.request_id)}", *more)
        return [title, _summary(row), *body[self._top :]]

    def move(self, lines: int) -> None:
        """Scroll and paint at once."""
        self._top = max(0, self._top + lines)
        self.redraw()

    def page(self, pages: int) -> None:
        """Scroll by what is in sight."""
        self.move(pages * max(1, self.size.height - 3))

    def edge(self, direction: int) -> None:
        """Scroll to the top (-1) or the bottom (1)."""
        self.move(direction * 100_000)

    def start(self) -> None:
        """Show the selected request from its beginning."""
        self._top = 0
        self.redraw()


def _summary(row: RequestRow) -> Line:
    status, style = status_cell(row)
    path = row.received.endpoint.value if row.received else ""
    if row.refused is not None:
        path = visible(row.refused.path)
    return (
        (f" {visible(row.model) or NOTHING}", "bright"),
        ("   ", "text"),
        (status, style),
        (f"   {duration(row.total_ms) if not row.is_live else 'running'}", "text"),
        (f"   {clock(row.at)}   {path}", "dim"),
    )


def _body(row: RequestRow, width: int) -> list[Line]:
    if width < _SIDE_BY_SIDE:
        return [(), *_decision(row, width - 2), *_headers(row, width - 2)]
    left = int(width * _LEFT_SHARE)
    pairs = zip_longest(_headers(row, left - 2), _decision(row, width - left - 3), fillvalue=())
    return [
        (),
        *((*_padded(first, left), ("│ ", "faint"), *second) for first, second in pairs),
    ]


def _padded(line: Line, width: int) -> Line:
    return (*line, (" " * max(0, width - sum(cell_len(text) for text, _ in line)), "text"))


# --- headers -----------------------------------------------------------------------------


def _headers(row: RequestRow, width: int) -> list[Line]:
    return [
        *_header_block("Response headers", row.response_headers, width, "none yet"),
        (),
        *_header_block("Request headers (credentials masked)", row.request_headers, width, "none"),
    ]


def _header_block(title: str, headers: Headers, width: int, none: str) -> list[Line]:
    lines: list[Line] = [((f" {title}", "head"),)]
    if not headers:
        return [*lines, ((f"  {none}", "dim"),)]
    names = [visible(name) for name, _ in headers]
    column = min(max(map(cell_len, names)), width // 2)
    for name, (_, value) in zip(names, headers, strict=True):
        is_ours = name.lower().startswith("x-nexus-")
        parts = wrap(visible(value), width - column - 4)
        for index, part in enumerate(parts):
            label = fit(name if index == 0 else "", column)
            lines.append(((f"  {label}  ", "title" if is_ours else "dim"), (part, "text")))
    return lines


# --- the decision ------------------------------------------------------------------------


def _decision(row: RequestRow, width: int) -> list[Line]:
    return [
        *_route(row, width),
        (),
        *_considered(row, width),
        (),
        *_attempts(row, width),
        (),
        *_timing(row),
    ]


def _fact(label: str, text: str, width: int, style: str = "text") -> list[Line]:
    parts = wrap(text, width - 12)
    return [
        ((f" {fit(label if index == 0 else '', 10)} ", "dim"), (part, style))
        for index, part in enumerate(parts)
    ]


def _route(row: RequestRow, width: int) -> list[Line]:
    lines: list[Line] = [((" Decision", "head"),)]
    if row.refused is not None:
        text = f"refused before routing: {visible(row.refused.code)}"
        return [*lines, *_fact("outcome", text, width, "warn")]
    lines += _fact("asked", visible(row.asked_model) or NOTHING, width)
    resolved = row.decided.resolved if row.decided else ()
    if len(resolved) > 1:
        lines += _fact("resolved", " → ".join(map(visible, resolved)), width)
    lines += _fact("backend", visible(row.backend or "none answered"), width, "bright")
    lines += _fact("zone", row.zone.value if row.zone else NOTHING, width)
    lines += _fact("reason", row.reason.value if row.reason else NOTHING, width)
    if row.received is not None:
        lines += _fact("client", visible(row.received.client or "no client keys"), width)
        shape = "stream" if row.received.is_streaming else "single answer"
        lines += _fact("body", f"{row.received.body_bytes:,} bytes in, {shape} out", width)
    if row.error is not None:
        lines += _fact("error", visible(row.error), width, "bad")
    elif row.client_left:
        lines += _fact("outcome", "the client left before the end", width, "warn")
    return lines


def _considered(row: RequestRow, width: int) -> list[Line]:
    lines: list[Line] = [((" Backends considered, in order", "head"),)]
    if not row.considered:
        return [*lines, (("  none", "dim"),)]
    names = max(cell_len(visible(one.backend)) for one in row.considered)
    column = min(max(names, 8), max(8, width - 34))
    for one in row.considered:
        lines += _considered_lines(one, row, column, width)
    return lines


def _considered_lines(one: Considered, row: RequestRow, column: int, width: int) -> list[Line]:
    position = NOTHING if one.position is None else str(one.position)
    tier = " " if one.tier is None else str(one.tier)
    zone = one.zone.value[0].upper()
    health, health_style = _HEALTH[one.health]
    verdict, verdict_style = _verdict(one, row)
    used = 4 + column + 1 + 9 + 1 + 4
    parts = wrap(verdict, width - used)
    first: Line = (
        (f" {position:>2} ", "text" if one.position else "dim"),
        (f"{fit(visible(one.backend), column)} ", "text" if one.position else "dim"),
        (f"{fit(health, 9)} ", health_style),
        (f"{zone} {tier} ", "dim"),
        (parts[0], verdict_style),
    )
    return [first, *(((" " * used, "text"), (part, verdict_style)) for part in parts[1:])]


def _verdict(one: Considered, row: RequestRow) -> Cell:
    failed = [attempt for attempt in row.attempts if attempt.backend == one.backend]
    if one.position is None:
        return f"out: {visible(one.why or one.dropped_by or 'not said why')}", "dim"
    if row.backend == one.backend:
        if row.status is None:
            return "… waiting for it", "live"
        return (f"✗ {row.status}", "bad") if row.failed else (f"✓ {row.status}", "good")
    if failed:
        return f"✗ {_outcome(failed[-1])}", "bad"
    return "not needed", "dim"


def _outcome(attempt: Attempt) -> str:
    status = "no answer" if attempt.status is None else str(attempt.status)
    return f"{status} after {duration(attempt.elapsed_ms)}"


def _attempts(row: RequestRow, width: int) -> list[Line]:
    lines: list[Line] = [((" Failed attempts", "head"),)]
    if not row.attempts:
        return [*lines, (("  none", "dim"),)]
    for number, attempt in enumerate(row.attempts, 1):
        head = f" {number:>2} {visible(attempt.backend)} "
        lines.append(((head, "text"), (_outcome(attempt), "warn")))
        lines += [((f"    {part}", "bad"),) for part in wrap(visible(attempt.error), width - 5)]
    return lines


# --- timing ------------------------------------------------------------------------------


def _timing(row: RequestRow) -> list[Line]:
    lines: list[Line] = [((" Timing", "head"),)]
    steps: list[tuple[str, float | None]] = [
        ("nexus", row.finished.overhead_ms if row.finished else None),
        ("first byte", row.first_byte_ms),
        ("total", row.total_ms),
    ]
    for label, ms in steps:
        lines.append(((f" {fit(label, 10)} ", "dim"), (duration(ms), "text")))
    if row.usage is not None:
        used = f"{row.usage.prompt_tokens:,} in, {row.usage.completion_tokens:,} out"
        lines.append(((f" {fit('tokens', 10)} ", "dim"), (used, "text")))
    return lines
