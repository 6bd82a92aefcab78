"""Discovery drives a real gateway; servers are real sockets, the network is a queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig, Config
from nexus_core.discovery.local import Place, Sight
from nexus_core.discovery.mdns import Announced, BrowseFailedError, Withdrawn
from nexus_core.discovery.watch import Discoverable, Discovery, Pace
from nexus_core.gateway import Gateway, GatewayOptions
from nexus_core.observe.events import BackendAdded, BackendRemoved
from nexus_core.types import HealthStatus, PrivacyZone
from nexus_core.upstream.base import UpstreamEngine
from tests.contract.scripted_upstream import ScriptedUpstream
from tests.discovery.test_local import NOT_FOUND, free_port, listing, place
from tests.waiting import take_time, until

BRISK = Pace(empty=0.01, settled=0.01, at_least=0.0, grace=0.05)
CALM = Pace(empty=60, settled=60, at_least=0.0, grace=0.05)
SERVICE = "box._ollama._tcp.local."


class Network:
    """What a browser hears, from a queue."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Announced | Withdrawn | BrowseFailedError] = asyncio.Queue()

    async def changes(self) -> AsyncGenerator[Announced | Withdrawn]:
        while True:
            change = await self.queue.get()
            if isinstance(change, BrowseFailedError):
                raise change
            yield change

    def announce(self, port: int, host: str = "10.0.0.7", name: str = SERVICE) -> None:
        self.queue.put_nowait(Announced(name, BackendType.OLLAMA, host, port))

    def withdraw(self, name: str = SERVICE) -> None:
        self.queue.put_nowait(Withdrawn(name))


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as upstream:
        upstream.script = NOT_FOUND
        upstream.listing = listing("m")
        yield upstream


@pytest.fixture
def near(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback stands in for the network."""
    monkeypatch.setattr(
        "nexus_core.discovery.watch.is_on_this_network", lambda host: host == "127.0.0.1"
    )


@asynccontextmanager
async def looking(
    *places: Place,
    config: Config | None = None,
    network: Network | None = None,
    pace: Pace = BRISK,
    is_own: Callable[[str], bool] = lambda _: False,
) -> AsyncIterator[Gateway]:
    def discover(live: Discoverable, engine: UpstreamEngine) -> Discovery:
        return Discovery(live, engine, {}, places=places, browser=network, pace=pace, is_own=is_own)

    gateway = Gateway(config or Config(), options=GatewayOptions(discover=discover))
    async with asyncio.timeout(20), gateway.running():
        yield gateway


async def test_what_answers_is_used_with_its_models_at_once(upstream: ScriptedUpstream) -> None:
    async with looking(place(upstream)) as gateway:
        watched = gateway.bus.subscribe()
        await until(lambda: "ollama" in gateway.registry.names)
        snapshot = gateway.registry.snapshot("ollama")

    assert (list(snapshot.models), snapshot.health) == (["m"], HealthStatus.HEALTHY)
    added = [event for event in watched.drain() if isinstance(event, BackendAdded)]
    assert [(e.backend, e.url) for e in added] == [("ollama", upstream.url)]
    assert len(upstream.probes) >= 1


async def test_a_server_that_starts_later_is_found(upstream: ScriptedUpstream) -> None:
    upstream.listing = NOT_FOUND
    async with looking(place(upstream)) as gateway:
        assert gateway.discovery is not None
        await upstream.wait_for_probes(2)
        assert gateway.discovery.results[0].sight is Sight.OTHER

        upstream.listing = listing("m")

        await until(lambda: "ollama" in gateway.registry.names)


async def test_one_server_is_one_backend_however_often_it_is_seen(
    upstream: ScriptedUpstream,
) -> None:
    async with looking(place(upstream), place(upstream, BackendType.VLLM)) as gateway:
        await upstream.wait_for_probes(6)

        assert len(gateway.registry.names) == 1


async def test_looking_again_does_not_wait_for_the_interval(upstream: ScriptedUpstream) -> None:
    upstream.listing = NOT_FOUND
    async with looking(place(upstream), pace=CALM) as gateway:
        assert gateway.discovery is not None
        await until(lambda: bool(gateway.discovery and gateway.discovery.results))
        upstream.listing = listing("m")

        found = await gateway.discovery.search()

        assert [result.sight for result in found] == [Sight.FOUND]
        assert "ollama" in gateway.registry.names


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
async def test_a_configured_backend_wins_over_a_found_one_at_its_address(
    upstream: ScriptedUpstream, host: str
) -> None:
    port = place(upstream).port
    mine = BackendConfig(
        name="mine",
        url=f"http://{host}:{port}",
        type=BackendType.VLLM,
        zone=PrivacyZone.OPEN,
        models={"x": "x"},
    )
    async with looking(place(upstream), config=Config(backends=(mine,))) as gateway:
        await upstream.wait_for_requests(2)

        assert list(gateway.registry.names) == ["mine"]


async def test_a_configured_name_is_not_taken(upstream: ScriptedUpstream) -> None:
    mine = BackendConfig(
        name="ollama",
        url=f"http://127.0.0.1:{free_port()}",
        type=BackendType.OLLAMA,
        zone=PrivacyZone.RESTRICTED,
    )
    async with looking(place(upstream), config=Config(backends=(mine,))) as gateway:
        await until(lambda: len(gateway.registry.names) == 2)

        assert list(gateway.registry.names) == ["ollama", "ollama-2"]


async def test_a_key_is_used_when_somebody_asks_for_it() -> None:
    gateway = Gateway(Config())
    discovery = Discovery(gateway.live, gateway.engine, {"OPENAI_API_KEY": "sk-1"}, places=())
    assert list(gateway.registry.names) == []

    discovery.add_cloud(BackendType.OPENAI)

    assert gateway.registry.snapshot("openai").zone is PrivacyZone.OPEN
    with pytest.raises(ValueError, match="already"):
        discovery.add_cloud(BackendType.OPENAI)


async def test_with_a_config_file_what_is_found_is_told_and_used_when_asked_for(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    async with looking(place(upstream), config=Config(path=tmp_path)) as gateway:
        discovery = gateway.discovery
        assert discovery is not None
        await upstream.wait_for_probes(2)
        assert not gateway.registry.names

        names = [discovery.use(discovery.results[0]) for _ in range(2)]

        assert names == ["ollama", None]
        assert list(gateway.registry.names) == ["ollama"]


# On the network


async def test_a_server_that_announces_itself_is_used_and_never_for_restricted_requests(
    upstream: ScriptedUpstream, near: None
) -> None:
    network = Network()
    async with looking(network=network, pace=CALM) as gateway:
        network.announce(place(upstream).port, "127.0.0.1")

        await until(lambda: "ollama" in gateway.registry.names)

        found = gateway.registry.snapshot("ollama")
        assert (found.zone, found.priority) == (PrivacyZone.OPEN, 40)


async def test_one_that_leaves_is_removed_after_the_grace_time(
    upstream: ScriptedUpstream, near: None
) -> None:
    network = Network()
    async with looking(network=network, pace=CALM) as gateway:
        watched = gateway.bus.subscribe()
        network.announce(place(upstream).port, "127.0.0.1")
        await until(lambda: "ollama" in gateway.registry.names)
        left = asyncio.get_running_loop().time()

        network.withdraw()
        await until(lambda: not gateway.registry.names)

        assert asyncio.get_running_loop().time() - left >= CALM.grace
        assert any(isinstance(event, BackendRemoved) for event in watched.drain())


async def test_one_that_comes_back_within_the_grace_time_stays(
    upstream: ScriptedUpstream, near: None
) -> None:
    network, patient = Network(), Pace(empty=60, settled=60, at_least=0.0, grace=60)
    async with looking(network=network, pace=patient) as gateway:
        watched = gateway.bus.subscribe()
        network.announce(place(upstream).port, "127.0.0.1")
        await until(lambda: "ollama" in gateway.registry.names)
        discovery = gateway.discovery
        assert discovery is not None

        network.withdraw()
        await until(lambda: bool(discovery._leaving))
        network.announce(place(upstream).port, "127.0.0.1")
        await until(lambda: not discovery._leaving)

        assert list(gateway.registry.names) == ["ollama"]
        assert not any(isinstance(event, BackendRemoved) for event in watched.drain())


async def test_one_that_moves_is_the_backend_at_its_new_place(
    upstream: ScriptedUpstream, near: None
) -> None:
    network = Network()
    async with ScriptedUpstream() as other, looking(network=network, pace=CALM) as gateway:
        other.script, other.listing = NOT_FOUND, listing("n")
        network.announce(place(upstream).port, "127.0.0.1")
        await until(lambda: "ollama" in gateway.registry.names)

        network.announce(place(other).port, "127.0.0.1")
        await until(lambda: [s.url for s in gateway.registry.snapshots()] == [other.url])

        assert list(gateway.registry.snapshot("ollama").models) == ["n"]


@pytest.mark.parametrize("host", ["127.0.0.1", "8.8.8.8", "0.0.0.0", "224.0.0.1", "example.com"])  # noqa: S104
async def test_only_addresses_of_this_network_are_looked_at(
    upstream: ScriptedUpstream, host: str
) -> None:
    network = Network()
    async with looking(network=network) as gateway:
        network.announce(place(upstream).port, host)
        await until(network.queue.empty)
        await upstream_stays_unasked(upstream)

        assert not gateway.registry.names


async def upstream_stays_unasked(upstream: ScriptedUpstream) -> None:
    await take_time(1)
    assert upstream.received == upstream.probes == []


async def test_an_announcement_of_this_machine_is_the_server_that_was_found_here(
    upstream: ScriptedUpstream, near: None
) -> None:
    network = Network()
    async with looking(place(upstream), network=network, is_own=lambda _: True) as gateway:
        network.announce(place(upstream).port, "127.0.0.1")
        await upstream.wait_for_probes(4)

        assert list(gateway.registry.names) == ["ollama"]
        assert gateway.registry.snapshot("ollama").zone is PrivacyZone.RESTRICTED


async def test_without_multicast_the_ports_are_still_looked_at(
    upstream: ScriptedUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    network = Network()
    network.queue.put_nowait(BrowseFailedError("No such device"))
    async with looking(place(upstream), network=network) as gateway:
        await until(lambda: "ollama" in gateway.registry.names)

    assert "not listening for servers on the network: No such device" in caplog.text


async def test_a_flood_of_announcements_is_bounded(near: None) -> None:
    network = Network()
    async with looking(network=network, pace=CALM) as gateway:
        discovery = gateway.discovery
        assert discovery is not None
        port = free_port()
        for number in range(500):
            network.announce(port, "127.0.0.1", name=f"{number}.{SERVICE}")

        await until(network.queue.empty)

        assert len(discovery._announced) <= 64
