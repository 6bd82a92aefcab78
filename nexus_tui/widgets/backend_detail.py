"""Backend detail: address, models, statistics, last failures and, in free room, last requests."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from nexus_core.fleet.registry import BackendSnapshot
from nexus_tui.text.escape import escaped
from nexus_tui.text.numbers import clip, clock, duration, fit, wrap
from nexus_tui.view.frame import BackendView, Frame, Frames
from nexus_tui.view.model import ViewModel
from nexus_tui.widgets.base.lines import Line, LineWidget, joined, rule
from nexus_tui.widgets.base.scrolled import ScrolledLines
from nexus_tui.widgets.cells.backends import STATE_CELLS, UNSAVED, note_cell, spent_cell, tokens_of
from nexus_tui.widgets.cells.requests import RequestColumns, request_line

_CREDENTIALS = re.compile(r"//[^/@]*@")
_LABEL = 9

_LOOKED_AT = 1_000  # of the newest requests, for those of one backend
_LEAST_ROOM = 4  # lines from which its requests are worth a heading
_COLUMNS = RequestColumns(
    ("time", "id", "model", "status", "first", "total", "tokens", "cost", "agent", "reason")
)


def masked_url(url: str) -> str:
    """A URL without user name and password."""
    return escaped(_CREDENTIALS.sub("//…@", url))


def _numbers(backend: BackendView, frame: Frame, width: int) -> Line:
    stats = backend.recent
    return joined(
        [
            ((frame.window.shown, "title"),),
            (("answers ", "dim"), (f"{stats.answers:,}", "text")),
            (("failures ", "dim"), (f"{stats.failures:,}", "text")),
            (("total p50 ", "dim"), (duration(stats.total.percentile(0.5)), "text")),
            (("p99 ", "dim"), (duration(stats.total.percentile(0.99)), "text")),
            (("first byte p50 ", "dim"), (duration(stats.first_byte.percentile(0.5)), "text")),
            (("tokens ", "dim"), (tokens_of(stats), "text")),
            (("cost ", "dim"), spent_cell(stats)),
        ],
        width,
    )


def _state(backend: BackendView, frame: Frame) -> Line:
    state, style = STATE_CELLS[backend.state]
    note, note_style = note_cell(backend, frame)
    return ((" state   ", "dim"), (state, style), ("  ", "dim"), (note, note_style))


def _unsaved(backend: BackendView, frame: Frame) -> list[Line]:
    """What the configuration file says otherwise; no line where nothing differs."""
    if not backend.unsaved:
        return []
    name = backend.snapshot.name
    told = [one.text.removeprefix(f"{name}: ") for one in frame.unsaved if one.backend == name]
    text = escaped("; ".join(told))
    return [((" unsaved ", "dim"), (f"{UNSAVED} {text}  ", "warn"), ("S saves it", "dim"))]


class _Model(NamedTuple):
    """A row that is drawn only when it is seen."""

    name: str
    own: str  # the backend's own name


def _model(row: _Model, width: int, cooling: Mapping[str, str]) -> Line:
    name, own = row
    shown = escaped(name) if name == own else f"{escaped(name)} → {escaped(own)}"
    note = cooling.get(own)
    if note is None:
        return ((f"  {fit(shown, width - 3)}", "text"),)
    told = f": cooldown, {escaped(note)}"
    name_width = max(width // 3, width - 3 - len(told))  # a long name leaves room for the note
    return ((f"  {fit(clip(shown, name_width) + told, width - 3)}", "warn"),)


class BackendFacts(LineWidget):
    """Facts about the selected backend, below the table."""

    def __init__(self, frames: Frames, selected: Callable[[], BackendView | None]) -> None:
        super().__init__(id="backend-facts")
        self._frames = frames
        self._selected = selected

    def lines(self, width: int, height: int) -> Sequence[Line]:
        selected = self._selected()
        if selected is None:
            return []
        backend = selected.snapshot
        few = islice(backend.models, width)  # more don't fit, and there may be thousands
        models = ", ".join(few)[:width] or "none known"
        return [
            rule(width, escaped(backend.name), backend.type.value, backend.type.location),
            ((" url     ", "dim"), (fit(masked_url(backend.url), width - _LABEL), "text")),
            ((" models  ", "dim"), (fit(escaped(models), width - _LABEL), "text")),
            _numbers(selected, self._frames.current, width),
            *(_unsaved(selected, self._frames.current) or [_state(selected, self._frames.current)]),
        ]


class BackendDetail(ScrolledLines):
    """One backend in full; scrolls by lines."""

    head_lines = 1

    def __init__(
        self, frames: Frames, view: ViewModel, selected: Callable[[], BackendView | None]
    ) -> None:
        super().__init__(id="backend-detail")
        self._frames = frames
        self._view = view
        self._selected = selected
        self._sorted: tuple[Mapping[str, str], list[_Model]] = ({}, [])

    def lines(self, width: int, height: int) -> Sequence[Line]:
        selected = self._selected()
        if selected is None:
            return [rule(width, "Backend"), (), (("  No data.", "dim"),)]
        backend, cooling = selected.snapshot, selected.cooling
        body = self._body(selected, width)
        body += self._requests(backend.name, width, height - self.head_lines - len(body))
        title = rule(width, escaped(backend.name), backend.type.location)
        seen = self.in_sight(body, height - self.head_lines)
        shown = (_model(row, width, cooling) if isinstance(row, _Model) else row for row in seen)
        return [title, *shown]

    def _body(self, selected: BackendView, width: int) -> list[Line | _Model]:
        backend = selected.snapshot
        limit = "unlimited" if backend.max_concurrent is None else str(backend.max_concurrent)
        tier = "none" if backend.tier is None else str(backend.tier)
        routing = (
            f"zone {backend.zone}   tier {tier}   priority {backend.priority}   at once {limit}"
        )
        probed = "never" if backend.probed_at is None else clock(backend.probed_at)
        took = "" if backend.probe_ms is None else f", took {duration(backend.probe_ms)}"
        return [
            _state(selected, self._frames.current),
            ((" url     ", "dim"), (masked_url(backend.url), "text")),
            ((" routing ", "dim"), (routing, "text")),
            (
                *((" probed  ", "dim"), (f"{probed}{took}", "text")),
                *(("   speaks ", "dim"), (", ".join(backend.apis), "text")),
            ),
            _numbers(selected, self._frames.current, width),
            *_unsaved(selected, self._frames.current),
            (),
            *self._failures(selected, width),
            (),
            ((f" Models ({len(backend.models)})", "head"),),
            *self._models(backend),
        ]

    def _requests(self, backend: str, width: int, room: int) -> list[Line | _Model]:
        """Its newest requests, in the lines that nothing else takes."""
        if room < _LEAST_ROOM:
            return []
        newest = islice(reversed(self._view.rows), _LOOKED_AT)
        rows = islice((row for row in newest if row.backend == backend), room - 2)
        columns = _COLUMNS.layout(width)
        lines = [request_line(row, columns) for row in rows]
        heading: Line = ((" Last requests", "head"), ("   l lists them", "dim"))
        return [(), heading, *lines] if lines else []

    def _models(self, backend: BackendSnapshot) -> list[_Model]:
        """In their order, which is worked out once for a list; only those in sight are drawn."""
        if self._sorted[0] is not backend.models:
            rows = [_Model(name, own) for name, own in sorted(backend.models.items())]
            self._sorted = (backend.models, rows)
        return self._sorted[1]

    def _failures(self, backend: BackendView, width: int) -> list[Line]:
        lines: list[Line] = [((" Last failures", "head"),)]
        kinds = backend.stats.errors
        if kinds:
            text = "   ".join(f"{escaped(kind)} {number:,}" for kind, number in kinds.most_common())
            lines.append(((f"  since the start: {text}", "dim"),))
        troubles = self._view.troubles.get(backend.snapshot.name, ())
        for at, attempt in reversed(troubles):
            status = "no answer" if attempt.status is None else str(attempt.status)
            parts = wrap(f"{status}: {escaped(attempt.error)}", width - 13)
            lines.append(((f"  {clock(at)} ", "dim"), (parts[0], "bad")))
            lines += [((f"{'':11}{part}", "bad"),) for part in parts[1:]]
        return lines if len(lines) > 1 else [*lines, (("  none", "dim"),)]

    def start(self) -> None:
        """Show the backend from its beginning."""
        self._top = 0
