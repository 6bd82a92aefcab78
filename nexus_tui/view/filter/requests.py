"""Filter of requests: its table of keys; the same on the screen and in `nexus requests`."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Protocol, TypeAlias

from nexus_core.observe.origin.origin import Origin
from nexus_core.types import PrivacyZone, RouteReason
from nexus_tui.view.filter.language import Filter, Flag, Key, Language, Names, Test
from nexus_tui.view.filter.values import (
    choice,
    count,
    dollars,
    duration_ms,
    http_status,
    one_text,
    since,
    texts,
    until,
)


class Counted(Protocol):
    """Token counts."""

    @property
    def prompt_tokens(self) -> int: ...
    @property
    def completion_tokens(self) -> int: ...


class Filterable(Protocol):
    """A request that can be filtered: a row of the screen, or a line of `nexus requests`."""

    @property
    def request_id(self) -> str: ...
    @property
    def at(self) -> float: ...  # when it came, in seconds since the epoch
    @property
    def endpoint(self) -> str: ...
    @property
    def path(self) -> str | None: ...  # of a call that was refused before it was routed
    @property
    def api(self) -> str: ...
    @property
    def replica(self) -> str | None: ...  # None where there is no fleet
    @property
    def client(self) -> str | None: ...
    @property
    def origin(self) -> Origin: ...
    @property
    def asked_model(self) -> str: ...
    @property
    def served_model(self) -> str | None: ...
    @property
    def backend(self) -> str | None: ...
    @property
    def zone(self) -> PrivacyZone | None: ...
    @property
    def reason(self) -> RouteReason | None: ...
    @property
    def tried(self) -> int: ...
    @property
    def status(self) -> int | None: ...
    @property
    def error(self) -> str | None: ...
    @property
    def error_code(self) -> str | None: ...
    @property
    def has_error(self) -> bool: ...
    @property
    def client_left(self) -> bool: ...
    @property
    def is_live(self) -> bool: ...
    @property
    def is_streaming(self) -> bool: ...
    @property
    def first_byte_ms(self) -> float | None: ...
    @property
    def total_ms(self) -> float | None: ...
    @property
    def usage(self) -> Counted | None: ...
    @property
    def cost_usd(self) -> Decimal | float | None: ...
    @property
    def is_unpriced(self) -> bool: ...


def is_cut(row: Filterable) -> bool:
    """Its answer began well and ended early, though the client was still there."""
    return row.has_error and 0 < (row.status or 0) < 400


def _word(text: str) -> Test[Filterable]:
    def test(row: Filterable) -> bool:
        return (
            text in row.asked_model.casefold()
            or text in row.request_id.casefold()
            or (row.backend is not None and text in row.backend.casefold())
            or (row.client is not None and text in row.client.casefold())
            or (row.served_model is not None and text in row.served_model.casefold())
            or (row.error_code is not None and text in row.error_code)
        )

    return test


_CLASSES = re.compile(r"[1-5]xx(?:,[1-5]xx)*")


def _status_class(word: str) -> str | None:
    """`5xx` alone says what is meant, and so does `4xx,5xx`."""
    return f"status:{word}" if _CLASSES.fullmatch(word) else None


def _tokens(row: Filterable) -> int | None:
    usage = row.usage
    return None if usage is None else usage.prompt_tokens + usage.completion_tokens


def _prompt(row: Filterable) -> int | None:
    return None if row.usage is None else row.usage.prompt_tokens


def _completion(row: Filterable) -> int | None:
    return None if row.usage is None else row.usage.completion_tokens


_REASONS = tuple(reason.value for reason in RouteReason)
_ZONES = tuple(zone.value for zone in PrivacyZone)
_K = Key[Filterable]

REQUESTS = Language[Filterable](
    keys=(
        _K(
            "status",
            "503  5xx  >=400  4xx,5xx",
            "HTTP status, or a class of them",
            http_status(lambda row: row.status),
            ("code", "st"),
        ),
        _K(
            "error",
            "upstream_429  timeout",
            "part of the error's code or message",
            texts(lambda row: (row.error_code, row.error)),
            ("err",),
        ),
        _K(
            "reason",
            "failover",
            "part of the route reason",
            choice(lambda row: row.reason, _REASONS, f"part of {', '.join(_REASONS)}"),
            ("route", "why"),
            options=_REASONS,
        ),
        _K(
            "zone",
            "open  restricted",
            "privacy zone of the backend",
            choice(lambda row: row.zone, _ZONES, "restricted or open"),
            options=_ZONES,
        ),
        _K(
            "backend",
            "vllm  =vllm-a",
            "part of the backend's name; = all of it",
            one_text(lambda row: row.backend),
        ),
        _K(
            "model",
            "llama3:70b",
            "part of the model asked for, or of the one that served",
            texts(lambda row: (row.asked_model, row.served_model)),
        ),
        _K(
            "key",
            'laptop  =""',
            "part of the client key's name; none",
            one_text(lambda row: row.client),
            ("client", "user"),
        ),
        _K(
            "api",
            "chat  messages",
            "which API was called",
            one_text(lambda row: row.api),
        ),
        _K(
            "agent",
            'claude-code  =""',
            "part of the name of the program that asked; none",
            one_text(lambda row: row.origin.agent),
            ("program",),
        ),
        _K(
            "session",
            '3f2a  =""',
            "part of the id of the agent's session, or of its subagent; none",
            texts(lambda row: (row.origin.session, row.origin.subagent)),
            ("conversation",),
        ),
        _K(
            "replica",
            "box-2  =box-2",
            "part of the name of the replica that has it; = all of it",
            one_text(lambda row: row.replica),
            ("box",),
        ),
        _K(
            "path",
            "/v1/chat",
            "part of the URL path",
            texts(lambda row: (row.endpoint, row.path)),
            ("endpoint", "url"),
        ),
        _K(
            "id",
            "79f1",
            "part of the request id",
            one_text(lambda row: row.request_id),
            ("request", "request_id"),
        ),
        _K(
            "last",
            "1m  2h  22:19",
            "came in the last minute; since a time of day",
            since(lambda row: row.at, "5m or 22:19"),
            ("since",),
        ),
        _K(
            "until",
            "5m  22:25",
            "came before that",
            until(lambda row: row.at, "5m or 22:25"),
            ("before",),
        ),
        _K(
            "first",
            "1s  >500ms",
            "time to the first byte",
            duration_ms(lambda row: row.first_byte_ms, "first:>1s or first:<500ms"),
            ("ttfb", "first_byte"),
            is_number=True,
        ),
        _K(
            "slow",
            "2s  <500ms",
            "time in all",
            duration_ms(lambda row: row.total_ms, "slow:>2s or slow:<500ms"),
            ("total", "took", "time", "duration"),
            is_number=True,
        ),
        _K(
            "tokens",
            "500  >2k",
            "tokens of prompt and answer",
            count(_tokens, "tokens:>500 or tokens:>2k"),
            ("token",),
            is_number=True,
        ),
        _K(
            "in",
            "4k",
            "tokens of the prompt",
            count(_prompt, "in:>500 or in:>4k"),
            ("prompt", "input"),
            is_number=True,
        ),
        _K(
            "out",
            "<10",
            "tokens of the answer",
            count(_completion, "out:>500 or out:<10"),
            ("completion", "output"),
            is_number=True,
        ),
        _K(
            "cost",
            ">0.01  >1c  unpriced",
            "cost in dollars",
            dollars(lambda row: row.cost_usd, lambda row: row.is_unpriced, "cost:>0.01"),
            ("usd", "price"),
            is_number=True,
        ),
        _K(
            "tries",
            "2",
            "backends that were tried",
            count(lambda row: row.tried, "tries:2 or tries:>2"),
            ("attempts", "tried", "attempt"),
            is_number=True,
        ),
    ),
    flags=(
        Flag("live", "still running", lambda row: row.is_live, ("running",)),
        Flag(
            "failed",
            "an error, or an answer that ended early; as E",
            lambda row: row.has_error,
            ("error", "errors"),
        ),
        Flag("cut", "the answer ended early, after a good status", is_cut, ("partial", "broken")),
        Flag(
            "left",
            "the client left before the answer's end",
            lambda row: row.client_left,
            ("abandoned", "client_left"),
        ),
        Flag("stream", "a stream was asked for", lambda row: row.is_streaming, ("streaming",)),
    ),
    word=_word,
    words="model, backend, key, id or error code",
    shorts=_status_class,
)
RequestFilter: TypeAlias = Filter[Filterable]


def parse_filter(
    text: str, names: Names | None = None, now: Callable[[], float] = time.time
) -> RequestFilter:
    """Read a filter of requests; see `Language.parse`."""
    return REQUESTS.parse(text, names, now)
