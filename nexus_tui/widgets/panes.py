"""Panes of the request detail: route, answer, body, timing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

from rich.cells import cell_len

from nexus_core.observe.captured import CapturedExchange
from nexus_core.observe.events import Attempt, Considered, ScoreTerm
from nexus_core.observe.record import RequestRecord
from nexus_core.routing.explain import Explanation, Term
from nexus_core.types import HealthCause, HealthStatus
from nexus_tui.text.costs import cost_words, tokens_words
from nexus_tui.text.escape import escaped
from nexus_tui.text.facts import origin_words
from nexus_tui.text.numbers import NOTHING, duration, fit, packed, wrap
from nexus_tui.text.requests.bodies import Form, body_text
from nexus_tui.widgets.base.bars import gauge
from nexus_tui.widgets.base.lines import Cell, Line

Pane: TypeAlias = Literal["ROUTE", "ANSWER", "REQUEST", "TIMING"]
PANES: tuple[Pane, ...] = get_args(Pane)

_MAX_SHOWN = 64 * 1024  # characters of a body that are laid out
_MAX_LINES = 2000  # of a body, before they are wrapped
_BAR = 30
_LABEL = 10
_HEALTH: dict[HealthStatus, Cell] = {
    HealthStatus.HEALTHY: ("● healthy", "good"),
    HealthStatus.UNHEALTHY: ("✗ down", "bad"),
    HealthStatus.UNKNOWN: ("◇ unknown", "dim"),
}
_REFUSED: Cell = ("✗ auth", "bad")
CAPTURE_IS_OFF = (
    "Body capture is off. B starts it, in memory only: the last 200 requests or 16 MiB."
)
_NOT_CAPTURED = "No captured body: the request came before capture started, or was evicted."


def fact(label: str, text: str, width: int, style: str = "text") -> list[Line]:
    """A labelled text, wrapped under itself."""
    parts = wrap(text, width - _LABEL - 2)
    return [
        ((f" {fit(label if index == 0 else '', _LABEL)} ", "dim"), (part, style))
        for index, part in enumerate(parts)
    ]


# The route ----------------------------------------------------------------------------------------


def route_pane(row: RequestRecord, now: Explanation | None, width: int) -> list[Line]:
    """Pane of the route: decision, considered backends, failures, possible changes."""
    return [
        *_decision(row, width),
        (),
        *_considered(row, width),
        *_failed(row, width),
        *_would_change(now, width),
        (),
        *_phases(row, width),
    ]


def _decision(row: RequestRecord, width: int) -> list[Line]:
    if row.refused is not None:
        text = f"refused before routing: {escaped(row.refused.code)}"
        return fact("outcome", text, width, "warn")
    asked = " → ".join(map(escaped, row.resolved)) or escaped(row.asked_model) or NOTHING
    lines = fact("asked", asked, width)
    lines += fact("backend", escaped(row.backend or "none answered"), width, "bright")
    zone = row.zone.value if row.zone else NOTHING
    reason = row.reason.value if row.reason else NOTHING
    lines += fact("reason", f"{reason}, zone {zone}", width)
    if row.replica is not None:
        lines += fact("replica", escaped(row.replica), width)
    if row.origin.agent is not None or row.origin.session is not None:
        lines += fact("agent", escaped(origin_words(row.origin)), width)
    if row.error is not None:
        lines += fact("error", escaped(row.error), width, "bad")
    elif row.client_left:
        lines += fact("outcome", "client disconnected before the end", width, "warn")
    return lines


def _considered(row: RequestRecord, width: int) -> list[Line]:
    lines: list[Line] = [((" Backends considered, in order", "head"),)]
    if not row.considered:
        return [*lines, (("  none", "dim"),)]
    names = max(cell_len(escaped(one.backend)) for one in row.considered)
    column = min(max(names, 8), max(8, width - 38))
    has_fallbacks = len({one.model for one in row.considered}) > 1
    seen: set[str] = set()  # backends; with fallbacks one stands there for several models
    for one in row.considered:
        verdict, style = _verdict(one, row, is_first=one.backend not in seen)
        if one.position is not None:
            seen.add(one.backend)
        if has_fallbacks:
            verdict = f"{escaped(one.model or NOTHING)}: {verdict}"
        lines += _considered_lines(one, (verdict, style), column, width)
    return lines


def _considered_lines(one: Considered, told: Cell, column: int, width: int) -> list[Line]:
    position = NOTHING if one.position is None else str(one.position)
    tier = " " if one.tier is None else str(one.tier)
    health, health_style = _health(one)
    score = f"{_total(one.score):3.0f}" if one.score else "   "
    verdict, verdict_style = told
    used = 4 + column + 1 + 10 + 4 + 5
    parts = wrap(verdict, width - used)
    first: Line = (
        (f" {position:>2} ", "text" if one.position else "dim"),
        (f"{fit(escaped(one.backend), column)} ", "text" if one.position else "dim"),
        (f"{fit(health, 9)} ", health_style),
        (f"{one.zone.value[0].upper()} {tier} ", "dim"),
        (f"{score}  ", "text"),
        (parts[0], verdict_style),
    )
    lines: list[Line] = [first]
    lines += [((" " * used, "text"), (part, verdict_style)) for part in parts[1:]]
    if one.score:
        terms = packed(score_terms(one.score), width - 5)
        lines += [((f"    {part}", "dim"),) for part in terms]
    return lines


def _health(one: Considered) -> Cell:
    """By the words of the list of backends."""
    return _REFUSED if one.cause is HealthCause.AUTH else _HEALTH[one.health]


def _total(score: Sequence[ScoreTerm]) -> float:
    return sum(term.weight * term.value for term in score)


def score_terms(score: Sequence[ScoreTerm | Term]) -> list[str]:
    """Each as its weight times its value, and what that adds."""
    return [
        f"{escaped(term.name)} {term.weight:g}×{term.value:.2f}={term.weight * term.value:.0f}"  # noqa: RUF001
        for term in score
    ]


def _verdict(one: Considered, row: RequestRecord, *, is_first: bool) -> Cell:
    """What became of it; of a backend that stands there twice, that belongs to the first line."""
    failed = [attempt for attempt in row.attempts if attempt.backend == one.backend]
    if one.position is None:
        return f"out: {escaped(one.why or one.dropped_by or 'unknown reason')}", "dim"
    if not is_first:
        return "not needed", "dim"
    if row.backend == one.backend:
        if row.status is None:
            return "… waiting", "live"
        return (f"✗ {row.status}", "bad") if row.has_error else (f"✓ {row.status}", "good")
    if failed:
        return f"✗ {_outcome(failed[-1])}", "bad"
    return "not needed", "dim"


def _outcome(attempt: Attempt) -> str:
    status = "no answer" if attempt.status is None else str(attempt.status)
    return f"{status} after {duration(attempt.elapsed_ms)}"


def _failed(row: RequestRecord, width: int) -> list[Line]:
    if not row.attempts:
        return []
    lines: list[Line] = [(), ((" Failed attempts", "head"),)]
    for number, attempt in enumerate(row.attempts, 1):
        head = f" {number:>2} {escaped(attempt.backend)} "
        lines.append(((head, "text"), (_outcome(attempt), "warn")))
        lines += [((f"    {part}", "bad"),) for part in wrap(escaped(attempt.error), width - 5)]
    return lines


def _would_change(now: Explanation | None, width: int) -> list[Line]:
    if now is None:
        return []
    if now.chosen is not None:
        goes = f"{escaped(now.chosen.backend)}, {now.chosen.reason.value}"
    else:
        goes = escaped(now.refused.message) if now.refused else NOTHING
    lines: list[Line] = [(), ((" Asked again now", "head"),)]
    lines += fact("goes to", goes, width)
    for index, change in enumerate(now.would_change):
        lines += fact("or, if" if index == 0 else "", escaped(change), width, "dim")
    return lines


# Time ---------------------------------------------------------------------------------------------


def _phases(row: RequestRecord, width: int) -> list[Line]:
    """Everything in a line or two."""
    text = "   ".join(f"{label} {duration(ms)}" for label, _, ms in _steps(row))
    return [((f" {part.strip()}", "dim"),) for part in wrap(text, width - 2)]


def _steps(row: RequestRecord) -> list[tuple[str, float, float | None]]:
    """Each phase: its name, when it began, how long it took; the last one is the whole."""
    own = row.overhead_ms
    failed = sum(attempt.elapsed_ms for attempt in row.attempts)
    first, total = row.first_byte_ms, row.total_ms
    steps: list[tuple[str, float, float | None]] = [("nexus", 0.0, own)]
    if row.attempts:
        steps.append(("failed", own or 0.0, failed))
    begun = (own or 0.0) + failed
    if first is not None:
        steps.append(("first byte", begun, max(0.0, first - begun)))
        if total is not None:
            steps.append(("stream", first, max(0.0, total - first)))
    return [*steps, ("total", 0.0, total)]


def timing_pane(row: RequestRecord, width: int) -> list[Line]:
    """The phases as bars on one scale, and the tokens."""
    lines: list[Line] = []
    whole = row.total_ms or row.first_byte_ms or 0.0
    room = max(8, min(_BAR, width - _LABEL - 14))
    for label, begun, ms in _steps(row):
        before = round(room * begun / whole) if whole else 0
        filled, _ = gauge(ms or 0.0, whole, room)
        bar = (" " * before + filled)[:room].ljust(room)
        style = "warn" if label == "failed" else "bar"
        lines.append(
            ((f" {fit(label, _LABEL)} ", "dim"), (bar, style), (f"  {duration(ms)}", "text"))
        )
    if row.usage is not None:
        lines += [(), *fact("tokens", tokens_words(row), width)]
        if row.total_ms and row.first_byte_ms is not None and row.usage.completion_tokens:
            seconds = max(0.001, (row.total_ms - row.first_byte_ms) / 1000)
            speed = f"{row.usage.completion_tokens / seconds:.0f} tokens/s"
            lines += fact("speed", f"{'≈' if row.is_estimated else ''}{speed}", width)
    if words := cost_words(row):
        lines += fact("cost", words, width)
    return lines


# Bodies -------------------------------------------------------------------------------------------


def answer_pane(
    row: RequestRecord,
    kept: CapturedExchange | None,
    is_capturing: bool,
    width: int,
    form: Form = "text",
) -> list[Line]:
    """Pane of the captured answer."""
    if kept is None:
        return _not_kept(is_capturing, width)
    lines = [] if kept.is_whole else fact("so far", "incomplete or too long", width)
    if row.is_live and not kept.answer:
        return [*lines, ((" No data yet.", "dim"),)]
    text = body_text(kept.answer, form)
    return lines + _text(text, width, "y, then a, copies the full answer")


def request_pane(
    row: RequestRecord,
    kept: CapturedExchange | None,
    is_capturing: bool,
    width: int,
    form: Form = "raw",
) -> list[Line]:
    """Pane of the captured request body."""
    lines: list[Line] = []
    if row.refused is None:
        shape = "stream" if row.is_streaming else "single answer"
        lines += fact("client", escaped(row.client or "no client keys"), width)
        lines += fact("body", f"{row.body_bytes:,} bytes in, {shape} out", width)
    if kept is None:
        return [*lines, (), *_not_kept(is_capturing, width)]
    body = body_text(kept.body, form)
    return [*lines, (), *_text(body, width, "y, then c, copies the full request as curl")]


def _not_kept(is_capturing: bool, width: int) -> list[Line]:
    text = _NOT_CAPTURED if is_capturing else CAPTURE_IS_OFF
    return [((f" {part}", "dim"),) for part in wrap(text, width - 2)]


def _text(text: str, width: int, how_to_get_it: str) -> list[Line]:
    """The beginning of a body, and how much more there is: it may be as long as a client likes."""
    lines: list[Line] = []
    shown = text[:_MAX_SHOWN].split("\n")[:_MAX_LINES]
    for line in shown:
        lines += [((f" {part}", "text"),) for part in wrap(escaped(line), width - 2)]
    more = len(text) - sum(map(len, shown)) - (len(shown) - 1)
    if more:
        told = f"{more:,} more characters not shown: {how_to_get_it}."
        lines += [(), *(((f" {part}", "warn"),) for part in wrap(told, width - 2))]
    return lines
