"""A scripted upstream answer and a client that records what it got, for tests without sockets."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence

from nexus_core.dialects.openai_chat.dialect import OPENAI_CHAT
from nexus_core.errors import NexusError
from nexus_core.observe.bus import EventBus
from nexus_core.observe.events import NexusEvent, TokenUsage
from nexus_core.observe.phases import Phase, Reached, event_of
from nexus_core.observe.record import HeaderLines, RequestRecord, header_lines
from nexus_core.providers.base import AnswerStream
from nexus_core.proxy.reply import SelectedRoute
from nexus_core.upstream.base import Headers

EVENT_STREAM: Headers = (("content-type", "text/event-stream"),)
JSON: Headers = (("content-type", "application/json"),)


class ScriptedResponse:
    """Gives out `parts`; an exception among them is raised, an event is waited for."""

    def __init__(
        self,
        *parts: bytes | Exception | asyncio.Event,
        status: int = 200,
        headers: Headers = EVENT_STREAM,
    ) -> None:
        self.status = status
        self.headers = headers
        self.usage: TokenUsage | None = None
        self.stream: AnswerStream | None = None
        self.closed = False
        self.is_wholly_read = False  # as was said when it was closed
        self.is_read = False  # its first part was taken
        self._parts = parts
        self._next = 0  # of the parts

    def __str__(self) -> str:
        return f"{self.status} {self._parts!r:.40}"

    def at_hand(self) -> bytes | None:
        return None

    async def read(self) -> bytes:
        while self._next < len(self._parts):
            part = self._parts[self._next]
            if isinstance(part, Exception):
                raise part
            if isinstance(part, asyncio.Event):
                await part.wait()
            self._next += 1
            if isinstance(part, bytes) and part:
                self.is_read = True
                return part
        self.closed = True  # nothing is left to close
        return b""

    async def close(self, *, is_read: bool = False) -> None:
        self.closed, self.is_wholly_read = True, is_read


class EachEvent:
    """A fold that hears of every event, those of requests included."""

    def __init__(self, hear: Callable[[NexusEvent], None]) -> None:
        self.apply = hear

    def take_in(self, reached: Sequence[Reached]) -> None:
        for one in reached:
            self.apply(event_of(one))


class AtOnce(EventBus):
    """A bus that tells of each phase at once."""

    def reach(self, phase: Phase, record: RequestRecord, number: int = 1) -> None:
        super().reach(phase, record, number)
        self.settle()


class RecordingReply:
    """The client's end: keeps what would have been sent."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.headers: Headers = ()
        self.parts: list[bytes] = []
        self.error: NexusError | None = None
        self.selected: SelectedRoute | None = None
        self.is_finished = False
        self.drained = 0

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)

    def start(
        self, status: int, upstream: Headers, selected: SelectedRoute, *, length: int | None
    ) -> HeaderLines:
        self.status, self.headers, self.selected = status, upstream, selected
        return header_lines(upstream)

    def send(self, data: bytes) -> None:
        self.parts.append(data)

    async def drain(self) -> None:
        self.drained += 1

    def finish(self) -> None:
        self.is_finished = True

    is_early = False

    def ping(self, sign: bytes) -> bool:
        return True

    def send_error_event(self, error: NexusError) -> None:
        self.error = error
        self.parts.append(OPENAI_CHAT.error_event(error))
        self.is_finished = True

    def refuse(self, error: NexusError, selected: SelectedRoute | None) -> HeaderLines:
        self.status, self.error, self.selected = error.status, error, selected
        self.is_finished = True
        return b""


def split_at(data: bytes, *positions: int) -> Sequence[bytes]:
    """The same bytes in pieces."""
    borders = [0, *sorted(positions), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(borders)]
