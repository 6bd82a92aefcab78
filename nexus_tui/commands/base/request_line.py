"""A request as GET /nexus/requests lists it, and its line of text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from nexus_core.observe.origin.origin import Origin
from nexus_core.types import PrivacyZone, RouteReason, is_object

if TYPE_CHECKING:
    from nexus_core.observe.facts import Facts


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
    replica: str | None = None
    agent: str | None = None
    session: str | None = None
    subagent: str | None = None
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
    def origin(self) -> Origin:
        return Origin(self.agent, self.session, self.subagent)

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


# Text ---------------------------------------------------------------------------------------------


def columns(*, is_fleet: bool = False) -> Facts:
    """The columns; of a fleet with the replica."""
    from nexus_core.observe.facts import TEXT_LIST

    return tuple([pair for pair in TEXT_LIST if is_fleet or pair[0] != "replica"])


def titles(*, is_fleet: bool = False) -> list[str]:
    """The heads of the columns."""
    return [fact.title for _, fact in columns(is_fleet=is_fleet)]


def cells(line: RequestLine, at: str, *, is_fleet: bool = False) -> list[str]:
    """Of each column; `at` is its time as text."""
    from nexus_tui.text.facts import fact_text
    from nexus_tui.text.numbers import NOTHING, short_session

    served = line.served_model
    own = {
        "at": at,
        "asked_model": f"{line.model}{f' → {served}' if served and served != line.model else ''}",
        "status": _status(line),
        "tokens": _tokens(line),
        "cost_usd": _cost(line),
        "session": NOTHING if line.session is None else short_session(line.session),
        "error": ": ".join(dict.fromkeys(told for told in (line.error_code, line.error) if told)),
    }
    return [
        own[fact.name] if fact.name in own else fact_text(fact, line.values.get(key))
        for key, fact in columns(is_fleet=is_fleet)
    ]


def _status(line: RequestLine) -> str:
    """`200`, `200 cut`, `200 left`, `200 live`; `live` before there is a status."""
    from nexus_tui.text.numbers import NOTHING
    from nexus_tui.text.outcome import outcome_word

    shown = (str(line.status or ""), outcome_word(line))
    return " ".join(part for part in shown if part) or NOTHING


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
