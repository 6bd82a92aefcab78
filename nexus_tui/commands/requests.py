"""`nexus requests`: the request list as plain text, newest first."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from nexus_core.types import PrivacyZone, RouteReason, is_object
from nexus_tui.commands.client import understood
from nexus_tui.commands.subcommands import Subcommands
from nexus_tui.commands.text_view import Asked, TextView, add_text_view, table

if TYPE_CHECKING:
    from nexus_tui.view.filter import Filter

_DEFAULT_LIMIT = 50
_MAX_LIMIT = 1000  # as many are kept


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLine:
    """A request, from GET /nexus/requests."""

    values: Mapping[str, Any]  # all of it, by the API's keys
    id: str
    at: float  # seconds since the epoch
    model: str = ""
    served_model: str | None = None
    backend: str | None = None
    zone: PrivacyZone | None = None
    reason: RouteReason | None = None
    status: int | None = None
    total_ms: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    is_estimated: bool = False  # tokens and cost are Nexus's own count
    cost_usd: float | None = None
    is_unpriced: bool = False
    error: str | None = None
    is_running: bool | None = None

    @property
    def request_id(self) -> str:
        return self.id

    @property
    def is_live(self) -> bool:
        return bool(self.is_running)


def add_command(commands: Subcommands, port: Callable[[str], int]) -> None:
    """Declare the subcommand; `port` checks a port."""
    view = TextView("requests", "recent requests, newest first", _read, lines)
    parser = add_text_view(commands, port, view)
    add = parser.add_argument
    add("--limit", type=_limit, default=_DEFAULT_LIMIT, metavar="N", help="at most N (default 50)")
    add(
        "--filter",
        type=_filter,
        metavar="TEXT",
        help="words of model, backend or id, and key:value as in the dashboard: status:5xx, "
        "zone:open, reason:failover, slow:>2s, cost:>0.01, live; ! inverts",
    )


def _limit(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) <= _MAX_LIMIT:
        return int(text)
    raise argparse.ArgumentTypeError(f"not a number between 1 and {_MAX_LIMIT}")


def _filter(text: str) -> Filter:
    from nexus_tui.view.filter import parse_filter

    found = parse_filter(text)
    if found.problem is not None:
        raise argparse.ArgumentTypeError(found.problem)
    return found


def _read(asked: Asked) -> Any:
    """The answer with those requests only that match."""
    limit, wanted = asked.options.limit, asked.options.filter
    asked_for = limit if wanted is None else _MAX_LIMIT
    content = asked.get("/nexus/requests", limit=asked_for)
    with understood():
        listed = [
            entry
            for entry in content["requests"]
            if wanted is None or wanted.matches(read_line(entry))
        ]
        return {"requests": listed[:limit]}


def read_line(entry: Any) -> RequestLine:
    """
    Raises:
        ValueError: it is no request.
    """
    from pydantic import TypeAdapter

    if not is_object(entry):
        raise ValueError("a request must be an object")
    known = {key: value for key, value in entry.items() if value is not None}
    return TypeAdapter(RequestLine).validate_python({**known, "values": entry})


def lines(content: Any, _: Asked) -> list[str]:
    """One line each."""
    from nexus_core.observe.facts import TEXT_LIST

    rows = [_row(read_line(entry)) for entry in content["requests"]]
    return table([fact.title for _, fact in TEXT_LIST], rows) if rows else [" no request"]


def _row(line: RequestLine) -> list[str]:
    from nexus_core.observe.facts import TEXT_LIST
    from nexus_tui.text.facts import fact_text
    from nexus_tui.text.numbers import NOTHING

    served = line.served_model
    own = {
        "asked_model": f"{line.model}{f' → {served}' if served and served != line.model else ''}",
        "status": str(line.status or ("running" if line.is_live else NOTHING)),
        "tokens": _tokens(line),
        "cost_usd": _cost(line),
        "error": line.error or "",
    }
    return [
        own[fact.name] if fact.name in own else fact_text(fact, line.values.get(key))
        for key, fact in TEXT_LIST
    ]


def _tokens(line: RequestLine) -> str:
    from nexus_tui.text.numbers import NOTHING, count

    counts = (line.prompt_tokens, line.completion_tokens)
    if counts == (None, None):
        return NOTHING
    return _sign(line) + "+".join(count(number or 0) for number in counts)


def _cost(line: RequestLine) -> str:
    """An unknown price never reads as free."""
    from nexus_tui.text.numbers import NOTHING, dollars

    if line.is_unpriced:
        return "unpriced"
    if line.cost_usd is None:
        return NOTHING
    return _sign(line) + dollars(Decimal(str(line.cost_usd)))


def _sign(line: RequestLine) -> str:
    """Before what Nexus counted itself."""
    return "≈" if line.is_estimated else ""
