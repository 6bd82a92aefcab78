"""What a remote source makes of what another Nexus says, well or badly."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from nexus_core import __version__
from nexus_core.api.admin.state import read_state as tell_state
from nexus_core.api.listen.server import BoundedHttpProtocol
from nexus_core.catalog import BackendType
from nexus_core.config.schema import (
    BackendConfig,
    Config,
    HealthCheckConfig,
    QueueConfig,
    RoutingConfig,
    StorageConfig,
)
from nexus_core.control.commands import (
    CaptureBodies,
    SwitchBackend,
)
from nexus_core.errors import NexusError
from nexus_core.gateway import Gateway
from nexus_core.observe.events import BackendToggled, NexusEvent, RequestReceived
from nexus_core.observe.stats_json import stats_as_json
from nexus_core.routing.explain import Question
from nexus_core.types import PrivacyZone, QueueState
from nexus_tui.sources.remote import RemoteSource
from nexus_tui.sources.remote_http import RemoteError
from nexus_tui.sources.remote_state import read_state
from tests.money.ledger_rows import row
from tests.observe import happened
from tests.operators import OPERATOR
from tests.running import served
from tests.waiting import until

PAUSES = (0.02,)


def make_gateway() -> Gateway:
    backends = tuple(
        BackendConfig(
            name=name,
            url="http://127.0.0.1:1",
            type=BackendType.VLLM,
            zone=PrivacyZone.RESTRICTED,
            models={"m": "up"},
            max_concurrent=4,
        )
        for name in ("a", "b")
    )
    return Gateway(
        Config(
            backends=backends,
            routing=RoutingConfig(aliases={"gpt-4": "m"}),
            queue=QueueConfig(enabled=True, max_size=7),
            health_check=HealthCheckConfig(enabled=False),
        )
    )


STATE: dict[str, Any] = json.loads(json.dumps(tell_state(make_gateway())))


@asynccontextmanager
async def linked(gateway: Gateway, **options: Any) -> AsyncIterator[RemoteSource]:
    async with (
        served(gateway) as url,
        RemoteSource(url, **{"pauses_seconds": PAUSES, **options}) as source,
    ):
        await source.connect()
        async with asyncio.TaskGroup() as tasks:
            link = tasks.create_task(source.run())
            yield source
            link.cancel()


def received(number: int) -> RequestReceived:
    return happened.received(f"r{number}")


# What is told -------------------------------------------------------------------------------------


async def test_everything_that_a_screen_draws_is_told() -> None:
    gateway = make_gateway()
    cooldowns = gateway.registry.cooldowns
    cooldowns.unreachable("b", "connection refused")
    cooldowns.rest("b", "m", 30, "answered 429")
    gateway.registry.set_zone_enabled(PrivacyZone.OPEN, False)
    gateway.registry.acquire("a")

    async with linked(gateway) as source:
        local = gateway.registry.snapshots()
        remote = source.backends()

        assert remote[0] == local[0]
        whole, told = local[1].cooldown, remote[1].cooldown
        assert whole is not None
        assert told is not None
        assert replace(told, until=whole.until) == whole
        assert told.until == pytest.approx(whole.until, abs=1)
        assert [one.why for one in remote[1].cooldowns.values()] == ["answered 429"]
        assert source.queue == QueueState(waiting=0, max_size=7)
        assert source.config.routing == gateway.config.routing
        assert source.config.backends == ()
        assert source.started_at == gateway.started_at
        assert source.now() == pytest.approx(gateway.now(), abs=1)
        assert [source.is_zone_enabled(zone) for zone in PrivacyZone] == [True, False]
        assert (source.is_capturing, source.is_demo, source.notice) == (False, False, None)

        gateway.registry.release("a")
        await gateway.operator.execute(CaptureBodies(enabled=True), OPERATOR)
        await until(lambda: source.is_capturing and source.backends()[0].in_flight == 0)


async def test_costs_are_those_that_the_other_side_shows(tmp_path: Path) -> None:
    config = Config(storage=StorageConfig(path=str(tmp_path / "n.db")))
    gateway = Gateway(config)
    gateway.cost_tracker.ledger.append(row(at=gateway.now(), cost_nano_usd=1_234_567_891))

    async with linked(gateway) as source:
        while source.costs is None or not source.costs.by_model:
            await source.refresh_costs()
        here = await gateway.cost_tracker.cost_report()

        assert here is not None
        assert source.costs.by_model == here.by_model
        assert source.costs.by_model[0].actual == Decimal("1.234567891")
        assert source.costs_problem is None


async def test_another_nexus_without_a_ledger_has_no_costs() -> None:
    async with linked(Gateway(Config(storage=StorageConfig(path=":memory:")))) as source:
        await source.refresh_costs()

        assert source.costs is None
        assert source.costs_problem == "this Nexus has no ledger"


@pytest.mark.parametrize("told", [{"costs": {}}, {"costs": [1]}, {"costs": "none"}])
async def test_costs_that_make_no_sense_are_told_as_a_problem(
    told: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with linked(make_gateway()) as source:

        async def answer(*_: object) -> dict[str, Any]:
            return told

        monkeypatch.setattr(source._http, "ask", answer)
        await source.refresh_costs()

        assert source.costs is None
        assert source.costs_problem
        assert source.status == "live"


async def test_a_lost_link_leaves_the_costs_as_they_were(tmp_path: Path) -> None:
    config = Config(storage=StorageConfig(path=str(tmp_path / "n.db")))
    gateway = Gateway(config)
    async with linked(gateway) as source:
        await gateway.cost_tracker.ready(wants_prices=False)
        await source.refresh_costs()
        before = source.costs
        source._lose("connection closed by the server")
        await source.refresh_costs()

    assert before is not None
    assert source.costs is before


def arrives(event: NexusEvent, source: RemoteSource, seen: list[NexusEvent]) -> bool:
    """Whether it is among what came up to now, which `seen` takes."""
    seen.extend(source.drain())
    return event in seen


async def test_events_and_statistics_follow_and_agree() -> None:
    gateway = make_gateway()
    gateway.bus.publish(received(0))
    seen: list[NexusEvent] = []

    async with linked(gateway) as source:
        gateway.bus.publish(received(1))
        await until(lambda: arrives(received(1), source, seen))

        assert [event for event in seen if isinstance(event, RequestReceived)] == [
            received(0),
            received(1),
        ]
        assert stats_as_json(source.stats) == stats_as_json(gateway.stats)


async def test_a_flood_is_counted_to_the_last_request_and_mends_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nexus_tui.sources.remote._RECOUNT_SECONDS", 0.0)
    gateway = make_gateway()

    async with linked(gateway) as source:
        await until(lambda: gateway.event_log.readers == 1)
        gateway.bus.publish(received(-1))
        await until(lambda: received(-1) in source.drain())
        before = source.unseen()
        for number in range(3000):
            gateway.bus.publish(received(number))
        await until(lambda: source.stats.requests == 3001)
        await until(lambda: stats_as_json(source.stats) == stats_as_json(gateway.stats))
        shown = [event for event in source.drain() if isinstance(event, RequestReceived)]

        assert before == 0
        assert len(shown) == 200
        assert source.unseen() == 2800
        assert source.epoch == 0


async def test_a_server_that_comes_back_as_another_run_begins_anew() -> None:
    first, second = make_gateway(), make_gateway()
    first.bus.publish(received(1))
    second.bus.publish(received(2))
    async with asyncio.TaskGroup() as tasks:
        async with served(first) as url:
            source = RemoteSource(url, pauses_seconds=PAUSES)
            await source.connect()
            link = tasks.create_task(source.run())
            await until(lambda: source.drain() != [])
        await until(lambda: source.status == "stale")

        async with served(second, port=int(url.rpartition(":")[2])):
            await until(lambda: source.status == "live")
            await until(lambda: source.stats.requests == 1)
            events = source.drain()
            link.cancel()

    assert source.epoch == 1
    assert received(2) in events
    assert received(1) not in events
    await source._http.close()


async def test_after_a_lost_link_to_the_same_run_exactly_what_was_missed_follows() -> None:
    gateway = make_gateway()
    async with linked(gateway) as source:
        gateway.bus.publish(received(1))
        await until(lambda: received(1) in source.drain())
        for protocol in _connections():
            protocol.transport.abort()
        await until(lambda: source.status == "stale")
        gateway.bus.publish(received(2))
        await until(lambda: source.status == "live")
        gateway.bus.publish(received(3))
        seen: list[NexusEvent] = []
        await until(lambda: arrives(received(3), source, seen))

        assert seen == [received(2), received(3)]
        assert source.epoch == 0
        assert stats_as_json(source.stats) == stats_as_json(gateway.stats)


def _connections() -> list[BoundedHttpProtocol]:
    gc.unfreeze()  # of what was there when something was imported
    found = [one for one in gc.get_objects() if isinstance(one, BoundedHttpProtocol)]
    gc.freeze()
    return [one for one in found if one.transport and not one.transport.is_closing()]


# What is not as it should be ----------------------------------------------------------------------


@asynccontextmanager
async def says(answer: bytes) -> AsyncIterator[str]:
    """A server that says this to whoever connects."""

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(reply, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def http(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


OLD_STATE = json.dumps({"version": "0.1.0", "backends": [], "stats": {}}).encode()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (http(b"<html>", "404 Not Found"), "not a Nexus"),
        (http(b'{"error": {"message": "x", "code": "not_found"}}', "404 x"), "not a Nexus"),
        (http(b"<html>"), "incompatible Nexus version"),
        (http(OLD_STATE), "incompatible Nexus version"),
        (http(b"[" * 100_000), "incompatible Nexus version"),
        (http(b"", "302 Found"), "not a Nexus"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "connection lost"),
        (b"", "connection lost"),
    ],
)
async def test_what_is_no_nexus_of_this_kind_is_told(answer: bytes, why: str) -> None:
    async with says(answer) as url, RemoteSource(url) as source:
        with pytest.raises(RemoteError, match=why):
            await source.connect()


async def test_an_answer_that_makes_no_sense_is_told_to_who_asked() -> None:
    body = b'{"request_id": 5}'
    async with says(http(body)) as url, RemoteSource(url) as source:
        source._known, source.status = read_state(STATE), "live"

        for ask in (source.captured("r1"), source.explain(Question(model="m"))):
            with pytest.raises(NexusError, match="incompatible answer"):
                await ask


async def test_where_nobody_listens_that_is_told() -> None:
    async with says(b"") as url:
        pass
    async with RemoteSource(url) as source:
        with pytest.raises(RemoteError, match="nothing listens"):
            await source.connect()


async def test_another_version_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nexus_core.api.admin.state.__version__", "99.0.0")
    async with linked(make_gateway()) as source:
        assert source.notice is not None
        assert "99.0.0" in source.notice
        assert __version__ in source.notice


async def test_while_the_link_is_lost_values_stay_and_commands_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stale from the last word on, not from when it was noticed."""
    gateway = make_gateway()
    late = 0.0
    monkeypatch.setattr(RemoteSource, "now", lambda _: time.time() + late)
    async with served(gateway) as url:
        source = RemoteSource(url, pauses_seconds=(60.0,))
        await source.connect()
        link = asyncio.ensure_future(source.run())
        await until(lambda: gateway.event_log.readers == 1 and source.status == "live")
        heard, late = source.now(), 600.0
    await until(lambda: source.status == "stale")

    with pytest.raises(NexusError) as refused:
        await source.command(SwitchBackend(backend="a", enabled=False))

    assert refused.value.code == "link_lost"
    assert source.stale_since == pytest.approx(heard, abs=20)
    assert [backend.name for backend in source.backends()] == ["a", "b"]
    assert "connection closed by the server" in (source.notice or "")
    link.cancel()
    await asyncio.wait([link])
    await source._http.close()


def test_an_event_that_can_not_be_read_is_left_out_and_counted() -> None:
    source = RemoteSource("http://127.0.0.1:1")
    source._known = read_state(STATE)
    good = {"type": "BackendToggled", "at": 1.0, "backend": "a", "enabled": True}

    source._take_event(1, {**good, "enabled": "no"})
    source._take_event(2, {**good, "type": "MoonRisen"})
    source._take_event(3, good)
    source._take_event(3, good)

    assert source.drain() == [BackendToggled(at=1.0, backend="a", enabled=True)]
    source.status = "live"
    assert source.notice == "1 unreadable events skipped"
