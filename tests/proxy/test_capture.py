"""Bodies in memory: bounded, marked where they are restricted."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from nexus_core.dialects.openai_chat.dialect import OPENAI_CHAT
from nexus_core.dialects.openai_chat.request import read_request
from nexus_core.errors import UpstreamFailedError
from nexus_core.proxy.capture import MAX_ANSWER_BYTES, Captures
from nexus_core.proxy.reply import ProxyRequest, SelectedRoute
from nexus_core.routing.requirements import Requirements
from nexus_core.types import Operation, PrivacyZone, RouteReason
from tests.made_up_backends import snapshot
from tests.proxy.fakes import RecordingReply

SERVED = SelectedRoute(snapshot(), "m", RouteReason.CAPABILITY_MATCH)


def request(request_id: str = "r", size: int = 0) -> ProxyRequest:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * size}]})
    return ProxyRequest(
        envelope=read_request(Operation.CHAT, body.encode(), request_id),
        dialect=OPENAI_CHAT,
        need=Requirements("m"),
        client=None,
        headers=(),
        received=0.0,
    )


def test_a_request_and_its_answer_are_kept_as_they_were() -> None:
    captures, reply = Captures(), RecordingReply()
    asked = request()

    watched = captures.record(asked, reply)
    watched.start(200, (), SERVED, length=None)
    watched.send(b"data: 1\n\n")
    running = captures.get("r")
    watched.send(b"data: [DONE]\n\n")
    watched.finish()

    exchange = captures.get("r")
    assert running is not None
    assert (running.answer, running.is_whole) == (b"data: 1\n\n", False)
    assert exchange is not None
    assert (exchange.body, exchange.status) == (asked.envelope.body, 200)
    assert exchange.answer == reply.body == b"data: 1\n\ndata: [DONE]\n\n"
    assert exchange.is_whole
    assert not exchange.is_restricted
    assert reply.is_finished


def test_a_refusal_is_kept_by_its_message() -> None:
    captures, reply = Captures(), RecordingReply()
    error = UpstreamFailedError("backend a: no answer")

    captures.record(request(), reply).refuse(error, None)

    exchange = captures.get("r")
    assert exchange is not None
    assert (exchange.status, exchange.answer) == (502, b"backend a: no answer")
    assert reply.error is error


def test_an_answer_that_broke_off_is_not_whole() -> None:
    captures = Captures()
    watched = captures.record(request(), RecordingReply())

    watched.send(b"data: 1\n\n")
    watched.send_error_event(UpstreamFailedError("broke"))

    exchange = captures.get("r")
    assert exchange is not None
    assert not exchange.is_whole


def test_of_a_long_answer_the_beginning_is_kept_and_all_of_it_passed_on() -> None:
    captures, reply = Captures(), RecordingReply()
    watched = captures.record(request(), reply)

    for _ in range(5):
        watched.send(b"x" * 100_000)
    watched.finish()

    exchange = captures.get("r")
    assert exchange is not None
    assert len(exchange.answer) == MAX_ANSWER_BYTES
    assert not exchange.is_whole
    assert len(reply.body) == 500_000


async def test_a_client_that_reads_slowly_holds_a_kept_answer_up_too() -> None:
    reply = RecordingReply()
    watched = Captures().record(request(), reply)

    await watched.drain()

    assert reply.drained == 1


def test_a_restricted_request_is_marked() -> None:
    captures = Captures()
    need = Requirements("m", zone=PrivacyZone.RESTRICTED)

    captures.record(replace(request(), need=need), RecordingReply())

    exchange = captures.get("r")
    assert exchange is not None
    assert exchange.is_restricted
    assert "messages" not in repr(exchange)


def test_the_oldest_go_when_there_are_too_many() -> None:
    captures = Captures(max_exchanges=2)

    for name in ("a", "b", "c"):
        captures.record(request(name), RecordingReply())

    assert [name in captures for name in ("a", "b", "c")] == [False, True, True]


def test_a_request_that_is_too_big_alone_is_not_kept() -> None:
    captures = Captures(max_bytes=1000)

    captures.record(request("small"), RecordingReply())
    captures.record(request("big", size=2000), RecordingReply())

    assert len(captures) == captures.bytes_kept == 0


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 400)), max_size=60))
def test_memory_stays_within_its_bounds_whatever_comes(steps: list[tuple[int, int]]) -> None:
    captures = Captures(max_exchanges=4, max_bytes=1000)
    replies = {}
    for number, (which, size) in enumerate(steps):
        if which not in replies:
            replies[which] = captures.record(request(f"r{number}", size), RecordingReply())
        else:
            replies[which].send(b"y" * size)
        held = [captures.get(f"r{n}") for n in range(len(steps))]
        size_held = sum(len(one.body) + len(one.answer) for one in held if one is not None)
        assert size_held == captures.bytes_kept <= 1000
        assert len(captures) <= 4
