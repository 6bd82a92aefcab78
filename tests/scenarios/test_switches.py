"""An operator's switches: drained, cut off, ended; and nothing is sent once that is confirmed."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest

from nexus_core.control.commands import SwitchBackend
from nexus_core.types import PrivacyZone
from tests.contract.bodies import DONE, FIRST, chat
from tests.contract.scripted_upstream import Exchange, answers
from tests.operators import OPERATOR
from tests.scenarios.nexus import (
    CHAT,
    RESTRICTED,
    Gate,
    backend,
    cloud,
    error_of,
    last_event,
    running,
    say,
    told,
    upstreams,
)
from tests.waiting import turns, until


async def test_a_drained_backend_ends_what_runs_and_takes_no_more() -> None:
    gate = Gate()
    async with (
        upstreams(gate, say) as (first, second),
        running(
            backend("first", first.url, priority=90), backend("second", second.url, priority=10)
        ) as nexus,
    ):
        running_stream = nexus.start(stream=True)
        await until(lambda: nexus.gateway.stats.first_byte.count == 1)

        confirmed = await nexus.switch("backends/first", drain=True)
        meanwhile = await nexus.ask()
        state = (await nexus.http.get("/nexus/state")).json()
        gate.open()
        finished = await running_stream
        drained = (await nexus.http.get("/nexus/state")).json()

        await nexus.switch("backends/first", enabled=True)
        first.script = say
        back = await nexus.ask()

    assert (confirmed["backend"]["enabled"], confirmed["backend"]["in_flight"]) == (False, 1)
    assert confirmed["lasts"] == "until restart"
    assert told(meanwhile) == (200, "second", "capability-match")
    assert finished.content.endswith(DONE)
    shown = [(s["backends"][0]["enabled"], s["backends"][0]["in_flight"]) for s in (state, drained)]
    assert shown == [(False, 1), (False, 0)]
    assert told(back) == (200, "first", "capability-match")
    assert len(first.received) == 2


async def test_cutting_the_open_zone_ends_its_streams_and_no_others() -> None:
    near_gate, far_gate = Gate(), Gate()
    async with (
        upstreams(near_gate, far_gate) as (near, far),
        running(
            backend("local", near.url, models=("m", "local-only")), cloud("cloud", far.url)
        ) as nexus,
    ):
        pinned = {"X-Nexus-Backend": "cloud"}
        open_ones = [nexus.start(stream=True, headers=pinned) for _ in range(8)]
        kept = [nexus.start("local-only", stream=True, headers=RESTRICTED) for _ in range(4)]
        await until(lambda: nexus.gateway.stats.first_byte.count == 12)

        cut = await nexus.switch("zones/open", enabled=False, end_running=True)
        refused = await nexus.ask(headers=pinned)
        ended = await asyncio.gather(*open_ones)
        restricted_goes_on = nexus.start(headers=RESTRICTED)
        await near.wait_for_requests(5)
        near_gate.open()
        whole = await asyncio.gather(*kept, restricted_goes_on)

    assert (cut["enabled"], cut["ended"]) == (False, 8)
    for answer in ended:
        assert (answer.status_code, answer.content.startswith(FIRST)) == (200, True)
        assert last_event(answer)["error"]["code"] == "switched_off"
        assert DONE not in answer.content
    assert refused.status_code == 503
    assert "the open zone is switched off" in error_of(refused)["message"]
    assert error_of(refused)["context"]["available_backends"][-1]["status"] == "disabled"
    assert [answer.status_code for answer in whole] == [200] * 5
    assert all(answer.content.endswith(DONE) for answer in whole[:4])
    assert len(far.received) == 8
    assert all(exchange.closed.is_set() for exchange in far.received)
    failed = [event for event in nexus.finished() if event.failed]
    assert [event.zone for event in failed] == [PrivacyZone.OPEN] * 8 + [None]


async def test_cutting_the_open_zone_lets_its_streams_finish_unless_told() -> None:
    gate = Gate()
    async with upstreams(gate) as (far,), running(cloud("cloud", far.url)) as nexus:
        streams = [nexus.start(stream=True) for _ in range(6)]
        await until(lambda: nexus.gateway.stats.first_byte.count == 6)

        cut = await nexus.switch("zones/open", enabled=False)
        refused = [await nexus.ask(stream=bool(n % 2)) for n in range(4)]
        gate.open()
        whole = await asyncio.gather(*streams)

    assert cut["ended"] == 0
    assert [answer.status_code for answer in refused] == [503] * 4
    assert all(answer.content.endswith(DONE) for answer in whole)
    assert len(far.received) == 6


async def test_a_restricted_request_goes_on_with_the_open_zone_off_and_the_other_way_round() -> (
    None
):
    async with (
        upstreams(say, say) as (near, far),
        running(backend("local", near.url), cloud("cloud", far.url)) as nexus,
    ):
        await nexus.switch("zones/open", enabled=False)
        local = await nexus.ask(headers=RESTRICTED)
        await nexus.switch("zones/open", enabled=True)
        await nexus.switch("zones/restricted", enabled=False)
        refused = await nexus.ask(headers=RESTRICTED)
        free = await nexus.ask()

    assert told(local) == (200, "local", "capability-match")
    assert refused.status_code == 503
    assert error_of(refused)["code"] == "privacy_constraint_violation"
    assert told(free) == (200, "cloud", "capability-match")


async def what_is_on_the_wire() -> None:
    """Let the upstreams take in what was sent before; they share the loop with the rest."""
    await turns(10)


async def test_no_request_is_sent_to_a_backend_once_its_switch_is_confirmed() -> None:
    """Hammered: many ask at once while a backend goes off and on through the control API."""
    late: list[Exchange] = []
    is_off = False

    async def watched(exchange: Exchange) -> None:
        if is_off:
            late.append(exchange)
        await say(exchange)

    async with (
        upstreams(watched, say) as (first, second),
        running(
            backend("first", first.url, priority=90), backend("second", second.url, priority=10)
        ) as nexus,
    ):
        asking = True
        statuses: set[int] = set()

        async def hammer() -> None:
            while asking:
                statuses.add((await nexus.ask()).status_code)

        hammers = [nexus.tasks.create_task(hammer()) for _ in range(12)]
        for _ in range(12):
            seen = len(first.received)
            await first.wait_for_requests(seen + 8)
            await nexus.switch("backends/first", enabled=False)
            await what_is_on_the_wire()
            is_off = True
            beside = len(second.received)
            await second.wait_for_requests(beside + 8)
            is_off = False
            await nexus.switch("backends/first", enabled=True)
        asking = False
        await asyncio.gather(*hammers)

    assert late == []
    assert statuses == {200}


class SlowNames:
    """A name look-up that fails until it is told to wait, and then waits until it may go on."""

    def __init__(self) -> None:
        self.waits = False
        self.asked = asyncio.Event()
        self.may_go_on = asyncio.Event()

    async def __call__(self, host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        if not self.waits:
            raise socket.gaierror(socket.EAI_AGAIN, "not yet")
        self.asked.set()
        await self.may_go_on.wait()
        address = ("127.0.0.1", port)
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address)]


@pytest.mark.parametrize("path", ["backends/first", "zones/open"])
async def test_a_request_that_is_still_connecting_is_not_sent_once_a_switch_is_confirmed(
    monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    names = SlowNames()
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", names)
    async with upstreams(say, say) as (first, second):
        port = first.url.rpartition(":")[2]
        async with running(
            cloud("first", f"http://slow.test:{port}", priority=100),
            backend("second", second.url, priority=10),
        ) as nexus:
            names.waits = True
            asked = nexus.start(stream=True)
            await names.asked.wait()

            await nexus.switch(path, enabled=False)
            names.may_go_on.set()
            answer = await asked
            await nexus.switch(path, enabled=True)
            after = await nexus.ask()

    assert told(answer) == (200, "second", "backend-failover")
    assert told(after) == (200, "first", "capability-match")
    assert len(first.received) == 1
    assert [event.attempt.error for event in nexus.failed()] == [
        "switched off, removed or changed before the request was sent"
    ]


async def test_ending_a_whole_answer_that_its_client_reads_slowly_does_not_spoil_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its bytes are handed over, as many as were announced: nothing fits behind them."""
    text = "x" * 8_000_000
    async with (
        upstreams(answers({"text": text})) as (only,),
        running(backend("only", only.url)) as nexus,
    ):
        address = nexus.http.base_url
        reader, writer = await asyncio.open_connection(address.host, address.port, limit=1024)
        body = json.dumps(chat("m")).encode()
        head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await until(lambda: nexus.gateway.stats.first_byte.count == 1)

        command = SwitchBackend(backend="only", enabled=False, end_running=True)
        await nexus.gateway.operator.execute(command, OPERATOR)
        received = await reader.read()
        writer.close()
        await writer.wait_closed()

    assert received.endswith(text.encode() + b'"}')
    assert [record for record in caplog.records if record.exc_info] == []
