"""Columns of the session list, and the cells of its lines."""

from __future__ import annotations

from decimal import Decimal

from nexus_core.observe.record import RequestRecord
from nexus_core.types import NANO
from nexus_tui.text.costs import cost_cell, sum_sign
from nexus_tui.text.escape import escaped
from nexus_tui.text.numbers import (
    NOTHING,
    clock,
    count,
    dollars,
    duration,
    short_count,
    short_id,
    short_session,
)
from nexus_tui.view.sessions.book import Tally
from nexus_tui.view.sessions.lines import SessionLine
from nexus_tui.widgets.base.columns import Column, Layout
from nexus_tui.widgets.base.lines import Cell, Line
from nexus_tui.widgets.cells.requests import status_cell

LEAD = 2  # cells before the first column: of the cursor
_OPEN, _CLOSED = "▾", "▸"

COLUMNS = (
    Column("agent", "agent", 15, 1, grows=20),
    Column("session", "session", 8, 0),
    Column("since", "since", 8, 10),
    Column("last", "last", 8, 5),
    Column("requests", "requests", 8, 2, right=True, after=1),
    Column("running", "running", 7, 11, right=True),
    Column("models", "models", 26, 4, grows=80),
    Column("backend", "served by", 12, 12, grows=30),
    Column("in", "in", 6, 6, right=True, after=1),
    Column("out", "out", 6, 9, right=True, after=1),
    Column("cached", "cached", 6, 7, right=True),
    Column("cost", "cost", 9, 3, right=True),
    Column("errors", "errors", 6, 8, right=True),
)


def session_line(line: SessionLine, columns: Layout) -> Line:
    """A line as cells; the first one is the cursor's."""
    cells: list[Cell] = [("  ", "dim")]
    for column, width in columns:
        if line.row is None:
            text, style = _sum(line, column.id)
        else:
            text, style = _request(line, line.row, column.id)
        cells.append((column.cell(text, width), style))
    return tuple(cells)


def _sum(line: SessionLine, column: str) -> Cell:
    one = line.tally
    match column:
        case "agent":
            name = "subagent" if line.depth else escaped(one.agent or "unknown")
            mark = _OPEN if line.is_open else _CLOSED
            return f"{'  ' * line.depth}{mark} {name}", "text" if line.depth else "bright"
        case "session":
            told = one.subagent or one.session
            return (short_session(escaped(told)), "text") if told else (NOTHING, "dim")
        case "since":
            return clock(one.since), "dim"
        case "last":
            return ("live", "live") if one.running else (clock(one.last), "dim")
        case "requests":
            return count(one.requests), "text"
        case "running":
            return (str(one.running), "live") if one.running else (NOTHING, "dim")
        case "models":
            return escaped(one.model_names) or NOTHING, "text"
        case "backend":
            return escaped(", ".join(one.backends)) or NOTHING, "text"
        case "errors":
            return (count(one.errors), "bad") if one.errors else (NOTHING, "dim")
        case "cost":
            return _cost(one)
        case _:
            return _tokens(one, column), "text"


def _tokens(one: Tally, column: str) -> str:
    if not one.prompt_tokens and not one.completion_tokens:
        return NOTHING
    match column:
        case "in":
            return short_count(one.prompt_tokens)
        case "out":
            return short_count(one.completion_tokens)
        case _:
            share = one.cached_share
            return f"{share:.0%}" if share else NOTHING


def _cost(one: Tally) -> Cell:
    """An unknown price never reads as free."""
    if not one.cost_nano_usd:
        return ("unpriced", "warn") if one.unpriced else (NOTHING, "dim")
    sign = sum_sign(is_estimated=one.is_estimated, is_unpriced=bool(one.unpriced))
    return f"{sign}{dollars(Decimal(one.cost_nano_usd) / NANO)}", "text"


def _request(line: SessionLine, row: RequestRecord, column: str) -> Cell:
    """A request in the same columns: its status, id, when it came and how long it took."""
    match column:
        case "agent":
            text, style = status_cell(row)
            return "  " * (line.depth + 1) + text, style
        case "session":
            return short_id(escaped(row.request_id)), "dim"
        case "since":
            return clock(row.at), "dim"
        case "last":
            if row.total_ms is not None:
                return duration(row.total_ms), "dim"
            return ("waiting…" if row.first_byte_ms is None else "stream…"), "live"
        case "requests" | "running":
            return "", "text"
        case "models":
            return escaped(row.model) or NOTHING, "text"
        case "backend":
            return escaped(row.backend or NOTHING), "text"
        case "errors":
            return (escaped(row.error_code or "failed"), "bad") if row.has_error else ("", "text")
        case "cost":
            return cost_cell(row)
        case _:
            return _of_usage(row, column), "text"


def _of_usage(row: RequestRecord, column: str) -> str:
    usage = row.usage
    if usage is None:
        return NOTHING
    match column:
        case "in":
            return short_count(usage.prompt_tokens)
        case "out":
            return short_count(usage.completion_tokens)
        case _:
            is_known = usage.cached_tokens and usage.prompt_tokens
            return f"{usage.cached_tokens / usage.prompt_tokens:.0%}" if is_known else NOTHING
