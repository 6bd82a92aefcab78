"""GET /nexus/events: what a reader gets, how it goes on, what a flood and a slow one cost."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from nexus_core.api.admin import events as api_events
from nexus_core.api.admin.events import (
    BATCH_BYTES,
    BATCH_EVENTS,
    BATCH_SECONDS,
    KEEP_ALIVE_SECONDS,
    EventStream,
)
from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig, Config, HealthCheckConfig
from nexus_core.dialects.sse import SseEvent, SseParser
from nexus_core.gateway import Gateway
from nexus_core.observe.event_json import read_event
from nexus_core.observe.event_log import CAPACITY
from nexus_core.observe.events import BackendToggled, NexusEvent
from nexus_core.types import PrivacyZone
from tests.observe.happened import received, unserved
from tests.running import served
from tests.waiting import take_time, until


@pytest.fixture
def gateway() -> Gateway:
    backends = [
        BackendConfig(
            name=name,
            url="http://127.0.0.1:1",
            type=BackendType.VLLM,
            zone=PrivacyZone.RESTRICTED,
            models={"m": "m"},
        )
        for name in ("a", "b")
    ]
    return Gateway(Config(backends=tuple(backends), health_check=HealthCheckConfig(enabled=False)))


def padding(size: int) -> tuple[tuple[str, str], ...]:
    """A header of so many characters."""
    return (("x", "y" * size),)


def publish(gateway: Gateway, happened: Iterable[NexusEvent]) -> None:
    for event in happened:
        gateway.bus.publish(event)


def read(*parts: bytes) -> list[SseEvent]:
    parser = SseParser()
    return [message for part in parts for message in parser.feed(part)]


def told(messages: list[SseEvent]) -> list[NexusEvent | None]:
    kinds = [message for message in messages if message.event not in ("totals", "gap")]
    return [read_event(json.loads(message.data)) for message in kinds]


def of_kind(messages: list[SseEvent], kind: str) -> list[Any]:
    return [json.loads(message.data) for message in messages if message.event == kind]


# One reader, without a socket ---------------------------------------------------------------------


def test_a_new_reader_gets_totals_and_then_what_happens(gateway: Gateway) -> None:
    publish(gateway, [received("before")])
    stream = EventStream(gateway)

    first = read(*stream.begin())
    publish(gateway, [received("r1"), unserved("r1")])
    second = read(stream.take())

    assert told(first) == []
    (totals,) = of_kind(first, "totals")
    assert totals["counters"]["requests"] == 1
    assert [one["name"] for one in totals["backends"]] == ["a", "b"]
    assert told(second) == [received("r1"), unserved("r1")]
    assert [message.event for message in second][:2] == ["RequestReceived", "RequestFinished"]
    assert [message.id for message in second][:2] == [
        f"{gateway.event_log.run}-{n}" for n in (2, 3)
    ]
    assert stream.take() == b""


def test_totals_tell_the_backends_that_changed_and_their_models_only_when_those_did(
    gateway: Gateway,
) -> None:
    stream = EventStream(gateway)
    list(stream.begin())
    gateway.registry.acquire("b")

    (totals,) = of_kind(read(stream.take()), "totals")

    assert totals["names"] == ["a", "b"]
    (changed,) = totals["backends"]
    assert (changed["name"], changed["in_flight"]) == ("b", 1)
    assert "models" not in changed


@pytest.mark.parametrize("missed", [0, 1, 3, BATCH_EVENTS, 5 * BATCH_EVENTS])
def test_last_event_id_gives_exactly_what_was_missed(gateway: Gateway, missed: int) -> None:
    publish(gateway, [received(f"r{n}") for n in range(5 * BATCH_EVENTS)])
    last = gateway.event_log.last - missed

    parts = list(EventStream(gateway, f"{gateway.event_log.run}-{last}").begin())

    messages = read(*parts)
    assert told(messages) == [event for _, event in gateway.event_log.after(last)]
    assert len(told(messages)) == missed
    assert of_kind(messages, "gap") == []
    assert all(len(told(read(part))) <= BATCH_EVENTS for part in parts)


def test_large_events_that_were_missed_come_in_smaller_parts(gateway: Gateway) -> None:
    size = BATCH_BYTES // 10
    publish(gateway, [received(f"r{n}", headers=padding(size)) for n in range(100)])

    parts = list(EventStream(gateway, f"{gateway.event_log.run}-0").begin())

    assert max(map(len, parts)) < BATCH_BYTES + 2 * size
    assert len(told(read(*parts))) == 100


def test_what_the_ring_no_longer_has_is_a_gap_and_the_rest_follows(gateway: Gateway) -> None:
    publish(gateway, [received(f"r{n}") for n in range(CAPACITY + 10)])
    run = gateway.event_log.run

    messages = read(*EventStream(gateway, f"{run}-4").begin())

    assert messages[0].event == "gap"
    assert of_kind(messages, "gap") == [{"reason": "lapped", "skipped": 6, "until": f"{run}-10"}]
    assert len(told(messages)) == CAPACITY


@pytest.mark.parametrize("last", ["", "nonsense", "0badc0de-3", "{run}-99", "{run}-x", "{run}-"])
def test_an_id_of_another_run_is_a_gap(gateway: Gateway, last: str) -> None:
    publish(gateway, [received("r1")])

    messages = read(*EventStream(gateway, last.format(run=gateway.event_log.run)).begin())

    assert of_kind(messages, "gap") == [{"reason": "restarted", "skipped": None, "until": None}]
    assert told(messages) == []


def test_a_flood_is_cut_to_the_newest_and_the_totals_count_all_of_it(gateway: Gateway) -> None:
    stream = EventStream(gateway)
    list(stream.begin())
    publish(gateway, [received(f"r{n}") for n in range(3000)])

    messages = read(stream.take())

    assert told(messages) == [received(f"r{n}") for n in range(3000 - BATCH_EVENTS, 3000)]
    (gap,) = of_kind(messages, "gap")
    assert (gap["reason"], gap["skipped"]) == ("flood", 3000 - BATCH_EVENTS)
    (totals,) = of_kind(messages, "totals")
    assert totals["counters"]["requests"] == 3000


def test_large_events_make_a_batch_of_fewer(gateway: Gateway) -> None:
    stream = EventStream(gateway)
    list(stream.begin())
    size = BATCH_BYTES // 10
    publish(gateway, [received(f"r{n}", headers=padding(size)) for n in range(BATCH_EVENTS)])

    batch = stream.take()

    assert len(batch) < BATCH_BYTES + 2 * size
    assert told(read(batch))[-1] == received(f"r{BATCH_EVENTS - 1}", headers=padding(size))


def test_the_end_of_a_request_that_was_told_of_is_never_left_out(gateway: Gateway) -> None:
    stream = EventStream(gateway)
    list(stream.begin())
    publish(gateway, [received("shown")])
    stream.take()
    flood = [received(f"r{n}") for n in range(3000)]
    publish(gateway, [unserved("unknown"), unserved("shown"), *flood])

    events = told(read(stream.take()))

    assert events[0] == unserved("shown")
    assert unserved("unknown") not in events
    assert len(events) == BATCH_EVENTS + 1


def test_a_reader_that_was_lapped_is_told_and_goes_on_with_the_newest(gateway: Gateway) -> None:
    stream = EventStream(gateway)
    list(stream.begin())
    publish(gateway, [received(f"r{n}") for n in range(2 * CAPACITY)])

    messages = read(stream.take())

    gaps = of_kind(messages, "gap")
    assert [(gap["reason"], gap["skipped"]) for gap in gaps] == [
        ("lapped", CAPACITY),
        ("flood", CAPACITY - BATCH_EVENTS),
    ]
    assert told(messages)[-1] == received(f"r{2 * CAPACITY - 1}")


# Over a socket ------------------------------------------------------------------------------------


@asynccontextmanager
async def reading(url: str, **headers: str) -> AsyncIterator[AsyncIterator[SseEvent]]:
    async def messages(answer: httpx.Response) -> AsyncIterator[SseEvent]:
        parser = SseParser()
        async for chunk in answer.aiter_raw():
            for message in parser.feed(chunk):
                yield message

    async with (
        httpx.AsyncClient(base_url=url, timeout=10, headers=headers) as http,
        http.stream("GET", "/nexus/events") as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        yield messages(answer)


def toggled(number: int) -> BackendToggled:
    return BackendToggled(at=number, backend="a", enabled=bool(number % 2))


async def test_an_event_arrives_at_once_when_it_is_quiet(gateway: Gateway) -> None:
    async with served(gateway) as url, reading(url) as messages:
        assert (await anext(messages)).event == "totals"
        began = time.monotonic()
        publish(gateway, [toggled(1)])

        message = await anext(messages)

    assert read_event(json.loads(message.data)) == toggled(1)
    assert time.monotonic() - began < 0.5


async def test_a_reader_that_comes_back_goes_on_where_it_was(gateway: Gateway) -> None:
    async with served(gateway) as url:
        async with reading(url) as messages:
            await anext(messages)
            publish(gateway, [toggled(1)])
            last = (await anext(messages)).id
        publish(gateway, [toggled(2), toggled(3)])

        async with reading(url, **{"Last-Event-ID": last}) as messages:
            again = [await anext(messages), await anext(messages)]

    assert told(again) == [toggled(2), toggled(3)]


async def test_the_stream_ends_when_the_server_does(gateway: Gateway) -> None:
    began = time.monotonic()
    async with asyncio.timeout(5):
        async with served(gateway) as url:
            reader = reading(url)
            messages = await reader.__aenter__()
            await anext(messages)
        rest = [message async for message in messages]
        await reader.__aexit__(None, None, None)

    assert rest == []
    assert time.monotonic() - began < 5


async def test_a_silent_stream_shows_that_it_is_alive(
    gateway: Gateway,
) -> None:
    async with (
        served(gateway) as url,
        httpx.AsyncClient(base_url=url, timeout=None) as http,  # noqa: S113
        http.stream("GET", "/nexus/events") as answer,
    ):
        chunks = answer.aiter_raw()
        await anext(chunks)
        await take_time(KEEP_ALIVE_SECONDS)
        async for chunk in chunks:
            if chunk == b": nothing new\n\n":
                break


async def test_a_reader_that_reads_nothing_costs_no_memory_and_slows_nobody(
    gateway: Gateway,
) -> None:
    async with served(gateway) as url:
        slow = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.sendall(b"GET /nexus/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until(lambda: gateway.event_log.readers == 1)
        large = [received(f"r{n}", headers=padding(2000)) for n in range(500)]

        longest = 0.0
        for _ in range(40):
            began = time.perf_counter()
            publish(gateway, large)
            longest = max(longest, time.perf_counter() - began)
            await take_time(BATCH_SECONDS)
        held = _bytes_waiting_to_be_sent()
        slow.close()
        await until(lambda: gateway.event_log.readers == 0)

    assert longest / len(large) < 0.0005  # seconds for each event; a wait would be far more
    assert held < 4 * BATCH_BYTES


def _bytes_waiting_to_be_sent() -> int:
    """In the user-space buffers of all server connections of this loop."""
    import gc

    from nexus_core.api.listen.server import BoundedHttpProtocol

    gc.unfreeze()  # of what was there when something was imported
    found = [one for one in gc.get_objects() if isinstance(one, BoundedHttpProtocol)]
    gc.freeze()
    assert found
    held = [one.transport.get_write_buffer_size() for one in found if one.transport]
    return sum(held)


async def test_readers_are_limited_in_number(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_events, "MAX_READERS", 1)
    async with served(gateway) as url, reading(url) as messages:
        await anext(messages)
        async with httpx.AsyncClient(base_url=url) as http:
            refused = await http.get("/nexus/events")

    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "too_many_readers"
