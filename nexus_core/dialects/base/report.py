"""What is read of a backend's answer: its error, the wait it asks for, its usage."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from nexus_core.observe.events import TokenUsage


class ErrorReport(msgspec.Struct, frozen=True):
    """An error read from a body or a stream event; `proxy.judge` decides what follows from it."""

    words: str = ""  # the provider's message; empty: it gives none
    code: str = ""  # its types and codes, as words: "rate_limit_error rate_limit_exceeded"
    status: int | None = None  # the HTTP status stated in it
    prompt_tokens: int | None = None  # of a prompt that is too long, where fields tell it
    window_tokens: int | None = None  # the longest it may be


class AskedWait(msgspec.Struct, frozen=True):
    """Retry delays stated in an error's body, unparsed; `proxy.retry_after` reads the seconds."""

    delays: tuple[str, ...] = ()  # durations, "34.07s": the first that makes sense counts
    headers: Mapping[str, str] = msgspec.field(
        default_factory=dict[str, str]
    )  # of the server behind it
    message: str = ""  # for people; it may name a time


class AnswerReading(msgspec.Struct, frozen=True):
    """Usage, service tier and error of a whole answer that came with a 2xx status."""

    report: ErrorReport | None = None  # why it is no answer
    usage: TokenUsage | None = None
    service_tier: str | None = None  # the tier used; each tier has its own prices
