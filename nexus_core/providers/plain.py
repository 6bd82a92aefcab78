"""Answers relayed as they came."""

from __future__ import annotations

from nexus_core.observe.events import TokenUsage
from nexus_core.providers.base import AnswerStream
from nexus_core.upstream.base import UpstreamResponse


class PlainResponse:
    """An answer relayed unchanged; its usage is in its body."""

    __slots__ = ("close", "headers", "read", "status")
    stream: AnswerStream | None = None
    usage: TokenUsage | None = None

    def __init__(self, response: UpstreamResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.read = response.read
        self.close = response.close
