from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from nexus_core.catalog import BackendType
from nexus_core.discovery.local import (
    USUAL_PLACES,
    DiscoveryResult,
    Place,
    Sight,
    found_backend,
    probe_all,
    probe_place,
    unique_name,
)
from nexus_core.types import PrivacyZone, ProbeResult
from nexus_core.upstream import create_engine
from nexus_core.upstream.base import UpstreamEngine
from tests.contract.scripted_upstream import Script, ScriptedUpstream, answers, hang

NOT_FOUND = answers({}, 404)


@pytest.fixture
async def engine() -> AsyncIterator[UpstreamEngine]:
    engine = create_engine("http1")
    yield engine
    await engine.close()


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as upstream:
        upstream.script = NOT_FOUND
        yield upstream


def listing(*models: str, owner: str = "somebody") -> Script:
    entries = [{"id": model, "object": "model", "owned_by": owner} for model in models]
    return answers({"object": "list", "data": entries})


def place(upstream: ScriptedUpstream, kind: BackendType = BackendType.OLLAMA) -> Place:
    return Place(kind, int(upstream.url.rpartition(":")[2]))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


async def test_a_server_is_found_with_its_kind_and_models(
    engine: UpstreamEngine, upstream: ScriptedUpstream
) -> None:
    upstream.listing = listing("llama3:latest")

    seen = await probe_place(place(upstream), engine)

    assert (seen.sight, seen.kind) == (Sight.FOUND, BackendType.OLLAMA)
    assert seen.models == ("llama3:latest", "llama3")
    assert seen.text == "2 models"


async def test_nothing_is_sent_that_costs_money_or_holds_a_key(
    engine: UpstreamEngine, upstream: ScriptedUpstream
) -> None:
    upstream.listing = listing("m")

    await probe_place(place(upstream), engine)

    asked = [*upstream.received, *upstream.probes]
    assert [(e.method, e.target) for e in asked] == [("GET", "/health"), ("GET", "/v1/models")]
    assert all(e.header("authorization") is None and not e.body for e in asked)


async def test_a_port_where_nobody_listens_is_refused(engine: UpstreamEngine) -> None:
    seen = await probe_place(Place(BackendType.VLLM, free_port()), engine)

    assert (seen.sight, seen.text) == (Sight.REFUSED, "refused")


async def test_a_nexus_is_recognised_and_not_asked_for_models(
    engine: UpstreamEngine, upstream: ScriptedUpstream
) -> None:
    upstream.script = answers({"status": "ok", "service": "nexus"})
    upstream.listing = listing("m")

    seen = await probe_place(place(upstream, BackendType.VLLM), engine)

    assert (seen.sight, seen.text) == (Sight.NEXUS, "this is Nexus")
    assert upstream.probes == []


@pytest.mark.parametrize(
    ("script", "detail"),
    [
        (answers({}, 404), "/v1/models answers 404"),
        (answers(b"<html>"), "/v1/models: "),
        (answers({}, 401), "401: the backend requires a key"),
    ],
)
async def test_what_lists_no_models_is_something_else(
    engine: UpstreamEngine, upstream: ScriptedUpstream, script: Script, detail: str
) -> None:
    upstream.listing = script

    seen = await probe_place(place(upstream), engine)

    assert seen.sight is Sight.OTHER
    assert seen.detail is not None
    assert seen.detail.startswith(detail)


async def test_what_never_answers_is_given_up_soon(
    engine: UpstreamEngine, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexus_core.discovery.local.LOOK_SECONDS", 0.05)
    upstream.script = upstream.listing = hang

    async with asyncio.timeout(5):
        seen = await probe_place(place(upstream), engine)

    assert (seen.sight, seen.detail) == (Sight.OTHER, "no answer within 0.05 s")


@pytest.mark.parametrize("health", [b"[" * 50_000, b"x" * 200_000, b"[]", b""])
async def test_a_strange_health_answer_does_not_hide_the_models(
    engine: UpstreamEngine, upstream: ScriptedUpstream, health: bytes
) -> None:
    upstream.script = answers(health)
    upstream.listing = listing("m")

    assert (await probe_place(place(upstream), engine)).sight is Sight.FOUND


@pytest.mark.parametrize(
    ("owner", "kind"),
    [
        ("library", BackendType.OLLAMA),
        ("organization_owner", BackendType.LMSTUDIO),
        ("vllm", BackendType.VLLM),
        ("llamacpp", BackendType.LLAMACPP),
        ("exo", BackendType.EXO),
        ("me", BackendType.LLAMACPP),
    ],
)
async def test_the_owner_of_the_models_tells_the_kind_else_the_port_does(
    engine: UpstreamEngine, upstream: ScriptedUpstream, owner: str, kind: BackendType
) -> None:
    upstream.listing = listing("m", owner=owner)

    seen = await probe_place(place(upstream, BackendType.LLAMACPP), engine)

    assert seen.kind is kind


async def test_all_places_are_told_in_their_order(
    engine: UpstreamEngine, upstream: ScriptedUpstream
) -> None:
    upstream.listing = listing("m")
    places = [Place(BackendType.EXO, free_port()), place(upstream)]

    seen = await probe_all(engine, places)

    assert [(s.place, s.sight) for s in seen] == [
        (places[0], Sight.REFUSED),
        (places[1], Sight.FOUND),
    ]


def test_a_server_is_looked_for_at_its_old_port_and_its_new_one() -> None:
    ports = [place.port for place in USUAL_PLACES if place.kind is BackendType.LLAMACPP]

    assert ports == [8080, 9931]


def test_a_found_backend_is_restricted_and_has_a_name_of_its_own() -> None:
    probe = ProbeResult(elapsed_ms=1, models=("m",))
    seen = DiscoveryResult(Place(BackendType.VLLM, 8001), Sight.FOUND, BackendType.VLLM, probe)

    backend = found_backend(seen, {"vllm", "vllm-2"})

    assert (backend.name, backend.url) == ("vllm-3", "http://127.0.0.1:8001")
    assert (backend.zone, backend.models) == (PrivacyZone.RESTRICTED, None)
    assert unique_name(BackendType.EXO, set()) == "exo"
