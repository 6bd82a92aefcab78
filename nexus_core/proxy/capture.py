"""Capture bodies of requests and answers: in memory only, and only on request."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from nexus_core.errors import NexusError
from nexus_core.observe.captured import CapturedExchange
from nexus_core.observe.record import HeaderLines
from nexus_core.proxy.reply import ProxyRequest, Reply, SelectedRoute
from nexus_core.routing.requirements import Requirements
from nexus_core.types import PrivacyZone
from nexus_core.upstream.base import Headers

MAX_EXCHANGES = 200
MAX_BYTES = 16 * 1024 * 1024  # of all bodies together
MAX_ANSWER_BYTES = 256 * 1024  # kept of one answer


@dataclass(slots=True, kw_only=True)
class _Kept:
    """An exchange while it grows. The parsed request, several times as big, is not among it."""

    request_id: str
    endpoint: str  # the path
    model: str
    body: bytes
    need: Requirements
    replay_of: str | None
    answer: bytearray = field(default_factory=bytearray)
    status: int | None = None
    is_cut: bool = False
    is_over: bool = False

    @property
    def size(self) -> int:
        return len(self.body) + len(self.answer)


class Captures:
    """Captured exchanges by request id; the oldest are evicted at the limits."""

    def __init__(self, max_exchanges: int = MAX_EXCHANGES, max_bytes: int = MAX_BYTES) -> None:
        self.is_on = False
        self.bytes_kept = 0
        self._max_exchanges = max_exchanges
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, request_id: object) -> bool:
        return request_id in self._kept

    def switch(self, is_on: bool) -> None:
        """Keep exchanges from now on, or no more of them."""
        self.is_on = is_on

    def record(self, request: ProxyRequest, reply: Reply) -> Reply:
        """Keep this exchange, whatever the switch says; the reply to hand to the forwarder."""
        kept = self._kept[request.envelope.id] = _Kept(
            request_id=request.envelope.id,
            endpoint=request.envelope.place,
            model=request.envelope.model,
            body=request.envelope.body,
            need=request.need,
            replay_of=request.replay_of,
        )
        self._count(kept.size)
        return _Recorder(kept, self, reply)

    def get(self, request_id: str) -> CapturedExchange | None:
        """The exchange as it is now; None where its bodies were not kept, or no longer are."""
        kept = self._kept.get(request_id)
        if kept is None:
            return None
        return CapturedExchange(
            request_id=request_id,
            endpoint=kept.endpoint,
            model=kept.model,
            body=kept.body,
            answer=bytes(kept.answer),
            status=kept.status,
            is_whole=kept.is_over and not kept.is_cut,
            is_restricted=kept.need.zone is PrivacyZone.RESTRICTED,
            replay_of=kept.replay_of,
        )

    def need(self, request_id: str) -> Requirements:
        """What a captured request needed when it was routed.

        Raises:
            KeyError: it is not captured.
        """
        return self._kept[request_id].need

    def append(self, kept: _Kept, data: bytes) -> None:
        """Keep a part of an answer as far as there is room for it."""
        if kept.request_id not in self._kept:
            return  # it had to go
        part = data[: MAX_ANSWER_BYTES - len(kept.answer)]
        kept.is_cut |= len(part) < len(data)
        kept.answer += part
        self._count(len(part))

    def _count(self, more: int) -> None:
        self.bytes_kept += more
        while self.bytes_kept > self._max_bytes or len(self._kept) > self._max_exchanges:
            _, oldest = self._kept.popitem(last=False)
            self.bytes_kept -= oldest.size


class _Recorder:
    """A reply that passes everything on and keeps the beginning of it."""

    def __init__(self, kept: _Kept, captures: Captures, reply: Reply) -> None:
        self._kept = kept
        self._captures = captures
        self._reply = reply

    def start(
        self, status: int, upstream: Headers, selected: SelectedRoute, *, length: int | None
    ) -> HeaderLines:
        self._kept.status = status
        return self._reply.start(status, upstream, selected, length=length)

    def send(self, data: bytes) -> None:
        self._captures.append(self._kept, data)
        self._reply.send(data)

    def ping(self, sign: bytes) -> bool:
        return self._reply.ping(sign)

    @property
    def is_early(self) -> bool:
        return self._reply.is_early

    async def drain(self) -> None:
        await self._reply.drain()

    def finish(self) -> None:
        self._kept.is_over = True
        self._reply.finish()

    def send_error_event(self, error: NexusError) -> None:
        self._kept.is_cut = True
        self._reply.send_error_event(error)

    def refuse(self, error: NexusError, selected: SelectedRoute | None) -> HeaderLines:
        self._captures.append(self._kept, error.message.encode())
        self._kept.status, self._kept.is_over = error.status, True
        return self._reply.refuse(error, selected)
