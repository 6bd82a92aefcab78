"""`nexus requests`: the request list as plain text, newest first."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

from nexus_core.types import PrivacyZone, RouteReason, is_object
from nexus_tui.commands.base.client import understood
from nexus_tui.commands.base.errors import NoAnswerError
from nexus_tui.commands.base.subcommands import Subcommands
from nexus_tui.commands.base.text_view import Asked, TextView, add_text_view, both, table
from nexus_tui.process.streams import say

_DEFAULT_LIMIT = 50
_MAX_LIMIT = 1000  # as many are kept


class Tokens(NamedTuple):
    """Token counts of a request."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLine:
    """A request, from GET /nexus/requests."""

    values: Mapping[str, Any]  # all of it, by the API's keys
    id: str
    at: float  # seconds since the epoch
    api: str = ""
    endpoint: str = ""
    path: str | None = None
    client: str | None = None
    model: str = ""
    served_model: str | None = None
    backend: str | None = None
    zone: PrivacyZone | None = None
    reason: RouteReason | None = None
    tried: int = 0
    status: int | None = None
    first_byte_ms: float | None = None
    total_ms: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    is_estimated: bool = False  # tokens and cost are Nexus's own count
    cost_usd: float | None = None
    is_unpriced: bool = False
    error: str | None = None
    error_code: str | None = None
    client_left: bool = False
    is_streaming: bool = False
    is_running: bool | None = None

    @property
    def request_id(self) -> str:
        return self.id

    @property
    def asked_model(self) -> str:
        return self.model

    @property
    def has_error(self) -> bool:
        return not self.client_left and (self.error is not None or (self.status or 0) >= 400)

    @property
    def usage(self) -> Tokens | None:
        counts = (self.prompt_tokens, self.completion_tokens)
        return None if counts == (None, None) else Tokens(*(number or 0 for number in counts))

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
        "words",
        nargs="*",
        type=_filter,
        metavar="FILTER",
        help="show only what matches: words of model, backend, key, id or error code, and "
        "key:value as in the dashboard, such as status:5xx last:10m key:laptop 'slow:>2s'; or, "
        "! and parentheses; docs/filter.md has the table",
    )
    add("--filter", type=_filter, default="", metavar="TEXT", help="the same")


def _limit(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) <= _MAX_LIMIT:
        return int(text)
    raise argparse.ArgumentTypeError(f"not a number between 1 and {_MAX_LIMIT}")


def _filter(text: str) -> str:
    from nexus_tui.view.filter.requests import parse_filter

    if (problem := parse_filter(text).problem) is not None:
        raise argparse.ArgumentTypeError(problem)
    return text


def _read(asked: Asked) -> Any:
    """The answer with those requests only that match.

    Raises:
        NoAnswerError: nothing matches, as the filter names something that there is not.
    """
    text = both(asked.options.words, asked.options.filter)
    limit = asked.options.limit
    content = asked.get("/nexus/requests", limit=_MAX_LIMIT if text else limit)
    with understood():
        listed = [(entry, read_line(entry)) for entry in content["requests"]]
    if text:
        listed = _matching(text, listed, asked)
    return {"requests": [entry for entry, _ in listed[:limit]]}


_Listed = list[tuple[Any, RequestLine]]


def _matching(text: str, listed: _Listed, asked: Asked) -> _Listed:
    from nexus_tui.view.filter.requests import parse_filter

    lines = [line for _, line in listed]
    backends = cache(lambda: _backends(asked))

    def known_backends() -> Iterable[str]:
        return [*(line.backend or "" for line in lines), *(name for name, _ in backends())]

    def known_models() -> Iterable[str]:
        asked_for = [name or "" for line in lines for name in (line.model, line.served_model)]
        return [*asked_for, *(model for _, models in backends() for model in models)]

    names = {"backend": known_backends, "model": known_models}
    wanted = parse_filter(text, names)
    found = [one for one in listed if wanted.matches(one[1])]
    if wanted.problem or (wanted.hint and not found):
        raise NoAnswerError(str(wanted.problem or wanted.hint))
    if not found:  # of keys only those are known that asked for something
        keys = {"key": lambda: [line.client or "" for line in lines]}
        hint = parse_filter(text, {**names, **keys}).hint
        if hint is not None:
            say(f"{asked.options.command}: {hint}")
    return found


def _backends(asked: Asked) -> Sequence[tuple[str, Sequence[str]]]:
    """The name of each backend, and its models."""
    content = asked.get("/nexus/state")
    with understood():
        return [
            (str(one["name"]), [str(name) for pair in one["models"].items() for name in pair])
            for one in content["backends"]
        ]


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
