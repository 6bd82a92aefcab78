"""Requests sent or replayed by the operator: run without a client, with their answers kept."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator
from contextlib import contextmanager

from nexus_core.control.live_config import LiveConfig
from nexus_core.errors import NexusError
from nexus_core.observe.origin.origin import Origin
from nexus_core.proxy.capture import Captures
from nexus_core.proxy.forward import Forwarder
from nexus_core.proxy.reply import ProxyRequest, Reply

log = logging.getLogger(__name__)

MAX_OWN_REQUESTS = 16  # under way at once
OWN = Origin(agent="nexus")  # of each of them: in lists of agents it is the operator's


class TooManyOwnRequestsError(NexusError):
    """Too many of the operator's requests are in progress; their number is bounded."""

    status = 503
    code = "too_many_requests"


class OwnRequests:
    """Runner of the operator's requests."""

    def __init__(self, live: LiveConfig, forwarder: Forwarder, captures: Captures) -> None:
        self._live = live
        self._forwarder = forwarder
        self._captures = captures
        self._tasks: asyncio.TaskGroup | None = None
        self._open: dict[str, int] = {}  # request ids in progress, and the bytes of each

    @contextmanager
    def carried_by(self, tasks: asyncio.TaskGroup) -> Generator[None]:
        """Run requests in this task group inside the block; the group waits for their end."""
        self._tasks = tasks
        try:
            yield
        finally:
            self._tasks = None

    def begin(self, request: ProxyRequest, reply: Reply) -> None:
        """Start a request and keep its answer; returns at once.

        Raises:
            NexusError: Nexus is not running, or too many of these requests are in progress.
        """
        if self._tasks is None:
            raise NexusError("Nexus is not running")
        size = len(request.envelope.body)
        waiting = sum(self._open.values())
        is_full = waiting and waiting + size > self._live.config.server.max_body_bytes
        if len(self._open) >= MAX_OWN_REQUESTS or is_full:
            raise TooManyOwnRequestsError(
                f"{len(self._open)} requests from the dashboard or the control API are in "
                "progress; retry when some of them have finished"
            )
        self._open[request.envelope.id] = size
        kept = self._captures.record(request, reply)
        self._tasks.create_task(
            self._forward(request, kept), name=f"operator-{request.envelope.id}"
        )

    async def _forward(self, request: ProxyRequest, reply: Reply) -> None:
        try:
            await self._forwarder.forward(request, reply)
        except Exception:
            log.exception("failed request=%s", request.envelope.id)  # its events report it, too
        finally:
            del self._open[request.envelope.id]
