from __future__ import annotations

import asyncio
import json
import threading
import time

import pytest

from nexus_core.catalog import BackendType
from nexus_core.config.schema import RoutingConfig
from nexus_core.dialects.openai_chat.dialect import OPENAI_CHAT, OpenAIChat
from nexus_core.dialects.openai_chat.request import read_request
from nexus_core.dialects.request import Request
from nexus_core.observe.events import RequestFinished
from nexus_core.observe.record import KeptHeaders
from nexus_core.proxy.reply import ProxyRequest, SelectedRoute
from nexus_core.routing.requirements import Requirements
from nexus_core.tokens.count import THREAD_FROM_BYTES
from nexus_core.types import Operation, PrivacyZone, PromptParts
from nexus_core.upstream.base import Headers
from tests.proxy.fakes import RecordingReply
from tests.proxy.world import World


class LeavingReply(RecordingReply):
    """A client that leaves at the moment its answer begins."""

    def start(
        self, status: int, upstream: Headers, selected: SelectedRoute, *, length: int | None
    ) -> KeptHeaders:
        raise asyncio.CancelledError


async def test_a_client_that_leaves_before_an_error_pays_nothing() -> None:
    backend = {"zone": PrivacyZone.OPEN, "models": {"m": "m"}}
    world = World([backend], RoutingConfig(), False, ["400"], kinds=(BackendType.OPENAI,))
    world.cost_tracker.prices.load()
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
    request = ProxyRequest(
        envelope=read_request(Operation.CHAT, json.dumps(body).encode(), "r1"),
        dialect=OPENAI_CHAT,
        need=Requirements("m", ("m",)),
        client=None,
        headers=(),
        received=time.monotonic(),
    )
    world.restricted["r1"] = False

    with pytest.raises(asyncio.CancelledError):
        await world.forwarder.forward(request, LeavingReply())

    (finished,) = [e for e in world.events.drain() if isinstance(e, RequestFinished)]
    assert (finished.usage, finished.cost, finished.is_unpriced) == (None, None, False)
    assert finished.client_left
    assert world.cost_tracker.budget.reserved_nano_usd == 0


class Noting(OpenAIChat):
    """Notes in which thread a prompt is read."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []

    def read_prompt(self, request: Request) -> PromptParts:
        self.threads.append(threading.current_thread())
        return OPENAI_CHAT.read_prompt(request)


@pytest.mark.parametrize(("chars", "is_here"), [(100, True), (THREAD_FROM_BYTES, False)])
async def test_a_long_prompt_is_counted_in_a_thread_and_a_short_one_is_not(
    chars: int, is_here: bool
) -> None:
    backend = {"zone": PrivacyZone.OPEN, "models": {"m": "m"}}
    world = World([backend], RoutingConfig(), False, ["answer"], kinds=(BackendType.OPENAI,))
    body = {"model": "m", "messages": [{"role": "user", "content": "x" * chars}]}
    dialect = Noting()
    request = ProxyRequest(
        envelope=read_request(Operation.CHAT, json.dumps(body).encode(), "r1"),
        dialect=dialect,
        need=Requirements("m", ("m",)),
        client=None,
        headers=(),
        received=time.monotonic(),
    )
    world.restricted["r1"] = False

    await world.forwarder.forward(request, RecordingReply())

    assert [thread is threading.main_thread() for thread in dialect.threads] == [is_here]
