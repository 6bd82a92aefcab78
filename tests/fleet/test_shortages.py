"""Out of descriptors: whoever needs one says so, blames nobody, and tries again."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest

from nexus_core import descriptors
from nexus_core.api.app import FrontDoor
from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig, Config, HealthCheckConfig, StorageConfig
from nexus_core.discovery.local import Place, Sight, probe_place
from nexus_core.errors import OutOfDescriptorsError
from nexus_core.fleet import health as health_room
from nexus_core.gateway import Gateway
from nexus_core.money import accounting as books_room
from nexus_core.money import reading
from nexus_core.money.accounting import CostTracker
from nexus_core.money.ledger import Ledger
from nexus_core.money.ledger_queries import read_ledger
from nexus_core.money.ledger_reader import LedgerReader
from nexus_core.money.price_list import load_price_list
from nexus_core.money.prices import Prices
from nexus_core.providers.http import AgentSettings
from nexus_core.providers.local import LocalAgent
from nexus_core.tokens.vocabularies import Tokenizers
from nexus_core.types import HealthCause, HealthStatus, PrivacyZone, ProbeResult
from nexus_core.upstream import create_engine
from nexus_core.upstream import transport_errors as wording
from nexus_core.upstream.base import (
    UpstreamConnectError,
    UpstreamEngine,
    UpstreamRequest,
    UpstreamShortageError,
)
from tests.faults.raw_server import RawRequest, RawServer, send_answer
from tests.fleet.test_health import UP, ProbedAgent, checks
from tests.money.ledger_rows import row
from tests.shortage import no_descriptor_left
from tests.waiting import until

WITHIN_SECONDS = 10
INCONCLUSIVE = ProbeResult(
    elapsed_ms=1, cause=HealthCause.UNREACHABLE, detail="none left", is_inconclusive=True
)


@pytest.fixture(autouse=True)
def _nothing_is_loaded_and_retries_are_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    load_price_list.cache_clear()
    monkeypatch.setattr(books_room, "_LOOK_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(health_room, "_AFTER_SHORTAGE_SECONDS", 0.01)


@pytest.fixture(params=["http1", "httpx"])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[UpstreamEngine]:
    made = create_engine(request.param)
    yield made
    await made.close()


async def answer_ok(
    _reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _request: RawRequest
) -> None:
    await send_answer(writer, b'{"object": "list", "data": [{"id": "m"}]}')


# Towards backends


@pytest.mark.parametrize("is_imported", [True, False])
async def test_an_engine_without_a_descriptor_says_so_and_works_again(
    engine: UpstreamEngine, is_imported: bool
) -> None:
    async def status(url: str) -> int:
        request = UpstreamRequest("GET", f"{url}/v1/models", ())
        async with asyncio.timeout(WITHIN_SECONDS):
            response = await engine.send(request, connect_timeout_seconds=5)
            while await response.read():
                pass
            return response.status

    async with RawServer(answer_ok) as upstream:
        if is_imported:
            await status(upstream.url)
        with no_descriptor_left(), pytest.raises(UpstreamShortageError):
            await status("http://127.0.0.1:1")
        assert await status(upstream.url) == 200


def not_verified() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError("certificate verify failed")
    error.verify_message = "unable to get local issuer certificate"
    return error


@pytest.mark.parametrize(
    "error",
    [
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
        socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
        not_verified(),
    ],
)
def test_what_was_not_found_for_want_of_a_descriptor_is_not_the_backends_fault(
    error: OSError,
) -> None:
    else_said = wording.connect_failed(error, 5)
    with no_descriptor_left():
        while_short = wording.connect_failed(error, 5)

    assert isinstance(while_short, UpstreamShortageError)
    assert isinstance(else_said, UpstreamConnectError)


async def test_a_probe_that_could_not_be_made_is_inconclusive(engine: UpstreamEngine) -> None:
    async with RawServer(answer_ok) as upstream:
        backend = BackendConfig(
            name="a", url=upstream.url, type=BackendType.VLLM, zone=PrivacyZone.RESTRICTED
        )
        agent = LocalAgent(backend, engine, AgentSettings())
        with no_descriptor_left():
            result = await agent.probe(timeout_seconds=5)
        other = await agent.probe(timeout_seconds=5)

    assert (result.ok, result.is_inconclusive) == (False, True)
    assert (other.ok, other.is_inconclusive) == (True, False)


async def test_an_inconclusive_probe_changes_nothing_and_is_made_up_for() -> None:
    config = HealthCheckConfig(interval_seconds=3600, failure_threshold=1)
    shy = ProbedAgent("a", INCONCLUSIVE, INCONCLUSIVE, INCONCLUSIVE, UP)
    health, registry, _ = checks(config, shy, ProbedAgent("b", UP))

    async with asyncio.timeout(WITHIN_SECONDS), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(health.run())
        await health.first_round()  # requests don't wait for the end of the shortage
        first = registry.snapshot("a")
        await until(lambda: registry.snapshot("a").models_known)
        running.cancel()

    assert (first.health, first.consecutive_failures) == (HealthStatus.UNKNOWN, 0)
    assert registry.snapshot("a").health is HealthStatus.HEALTHY


async def test_a_place_that_nobody_could_look_at_is_not_taken_for_a_server(
    engine: UpstreamEngine,
) -> None:
    async with RawServer(answer_ok) as upstream:
        port = httpx.URL(upstream.url).port
        assert port is not None
        place = Place(BackendType.VLLM, port)
        with no_descriptor_left():
            unseen = await probe_place(place, engine)
        seen = await probe_place(place, engine)

    assert unseen.sight is Sight.REFUSED
    assert seen.sight is Sight.FOUND


# What loads late


def test_vocabularies_and_prices_that_could_not_be_read_are_read_later() -> None:
    tokenizers, prices = Tokenizers(), Prices({})
    with no_descriptor_left():
        for load in (tokenizers.load, prices.load):
            with pytest.raises(OSError) as caught:  # noqa: PT011 - which one is asked below
                load()
            assert descriptors.is_shortage(caught.value)
    prices.load()

    assert not tokenizers.is_loaded("o200k_base")
    assert prices.is_loaded


async def test_books_wait_for_descriptors_and_say_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.WARNING)
    tries: list[Path] = []

    def counted(path: Path) -> AbstractContextManager[LedgerReader]:
        tries.append(path)
        return read_ledger(path)

    monkeypatch.setattr(reading, "read_ledger", counted)
    config = Config(storage=StorageConfig(path=str(tmp_path / "nexus.db")))
    kept = Ledger(tmp_path / "nexus.db")
    await asyncio.to_thread(kept.open)
    kept.append(row(at=0.0, cost_nano_usd=1_000_000_000))
    await asyncio.to_thread(kept.close)
    cost_tracker = CostTracker(config, lambda: 0.0)

    async with asyncio.timeout(WITHIN_SECONDS), asyncio.TaskGroup() as tasks:
        with no_descriptor_left():
            opening = tasks.create_task(cost_tracker.open())
            await until(lambda: bool(caplog.messages))
            with pytest.raises(OutOfDescriptorsError) as caught:
                await cost_tracker.ready(wants_prices=False)
            wanted = len(tries) + 3  # it tries again meanwhile, and says nothing more
            await until(lambda: len(tries) >= wanted)
        await opening
        await cost_tracker.ready(wants_prices=True)
    await cost_tracker.close()

    assert caught.value.context.eta_seconds == 1
    assert (
        cost_tracker.budget.spent_nano_usd == 1_000_000_000
    )  # not zero, because it could not be read
    said = [message for message in caplog.messages if "descriptors" in message]
    assert said == ["out of file descriptors: the ledger can't be read; trying again"]


async def test_a_request_that_needs_prices_hears_a_503_meanwhile() -> None:
    cost_tracker = CostTracker(Config(storage=StorageConfig(path=":memory:")), lambda: 0.0)
    with no_descriptor_left(), pytest.raises(OutOfDescriptorsError):
        await cost_tracker.ready(wants_prices=True)
    await cost_tracker.ready(wants_prices=True)

    assert cost_tracker.is_read
    assert cost_tracker.prices.is_loaded


async def test_books_load_in_the_end(caplog: pytest.LogCaptureFixture) -> None:
    cost_tracker = CostTracker(Config(storage=StorageConfig(path=":memory:")), lambda: 0.0)
    async with asyncio.timeout(WITHIN_SECONDS), asyncio.TaskGroup() as tasks:
        with no_descriptor_left():
            loading = tasks.create_task(cost_tracker.load({BackendType.OPENAI}))
            await until(lambda: bool(caplog.messages))
        await loading

    assert cost_tracker.prices.is_loaded


# Towards clients


async def test_what_is_opened_late_ends_in_a_503_and_never_in_a_500(
    caplog: pytest.LogCaptureFixture,
) -> None:
    door = FrontDoor(Gateway(Config(storage=StorageConfig(path=":memory:"))))

    @(await door.routes.app()).get("/late")
    async def late() -> None:
        os.close(os.open(os.devnull, os.O_RDONLY))

    transport = httpx.ASGITransport(door, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        first = (await client.get("/health")).status_code
        with no_descriptor_left():
            refused = await client.get("/late")
        served = await client.get("/late")

    assert first == 200
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "capacity_exceeded"
    assert refused.headers["retry-after"] == "1"
    assert served.status_code == 200
    assert "Traceback" not in caplog.text
