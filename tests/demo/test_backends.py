"""The demo's fleet: its config, its keys, and that it serves what it says."""

from __future__ import annotations

from random import Random
from typing import Any

import httpx
import pytest

from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig, Config, RoutingConfig, ServerConfig
from nexus_core.demo.backends import ALIASES, FALLBACKS, TOOL_PREFIX, DemoFleet
from nexus_core.demo.simulated import FULL_SPEED
from nexus_core.demo.simulated.answers import SENTENCES
from nexus_core.money.ledger import ledger_path
from nexus_core.types import PrivacyZone

MESSAGES = [{"role": "user", "content": "hi"}]


def seeded() -> Random:
    return Random(1)


def asked(kind: BackendType, model: str, key: str | None) -> tuple[str, Any, dict[str, str]]:
    """Path, body and headers of the smallest request in a provider's own format."""
    match kind:
        case BackendType.ANTHROPIC:
            body = {"model": model, "max_tokens": 9, "messages": MESSAGES}
            return "/v1/messages", body, {"x-api-key": f"{key}", "anthropic-version": "2023-06-01"}
        case BackendType.GOOGLE:
            contents = [{"role": "user", "parts": [{"text": "hi"}]}]
            path = f"/v1beta/models/{model}:generateContent"
            return path, {"contents": contents}, {"x-goog-api-key": f"{key}"}
        case _:
            headers = {"authorization": f"Bearer {key}"} if key else {}
            return "/v1/chat/completions", {"model": model, "messages": MESSAGES}, headers


async def test_the_fleet_replaces_backends_and_routing_and_keeps_the_rest() -> None:
    mine = BackendConfig(
        name="mine",
        url="http://127.0.0.1:1",
        type=BackendType.OLLAMA,
        zone=PrivacyZone.RESTRICTED,
    )
    base = Config(
        server=ServerConfig(port=0),
        routing=RoutingConfig(strategy="random", aliases={"a": "b"}),
        backends=(mine,),
    )

    async with DemoFleet(seeded(), speed=FULL_SPEED) as fleet:
        config = fleet.config(base)

    assert {backend.name for backend in config.backends} == set(fleet.servers)
    assert config.server == base.server
    assert config.routing.strategy == "random"
    assert config.routing.aliases == ALIASES
    assert config.routing.fallbacks == FALLBACKS
    assert config.routing.policies[0].privacy is PrivacyZone.RESTRICTED

    ledger = ledger_path(config)
    assert ledger != ledger_path(base)
    assert ledger is not None
    assert not ledger.parent.exists()  # any more


async def test_every_model_of_the_fleet_is_served_under_its_upstream_name() -> None:
    statuses: dict[BackendType, set[int]] = {}
    async with (
        DemoFleet(seeded(), speed=FULL_SPEED) as fleet,
        httpx.AsyncClient() as client,
    ):
        for backend in fleet.config(Config()).backends:
            for upstream_name in (backend.models or {}).values():
                path, body, headers = asked(backend.type, upstream_name, backend.api_key)
                answer = await client.post(backend.url + path, json=body, headers=headers)
                statuses.setdefault(backend.type, set()).add(answer.status_code)

    assert statuses.keys() >= {BackendType.OPENAI, BackendType.ANTHROPIC, BackendType.GOOGLE}
    assert set().union(*statuses.values()) == {200}


def offered(kind: BackendType, tool: str) -> dict[str, Any]:
    """The fields of a request that offer a tool and ask for a call of it."""
    schema = {"type": "object", "properties": {"command": {"type": "string"}}}
    match kind:
        case BackendType.ANTHROPIC:
            tools = [{"name": tool, "input_schema": schema}]
            return {"tools": tools, "tool_choice": {"type": "any"}, "max_tokens": 500}
        case BackendType.GOOGLE:
            mode = {"functionCallingConfig": {"mode": "ANY"}}
            declared = {"functionDeclarations": [{"name": tool, "parameters": schema}]}
            return {"tools": [declared], "toolConfig": mode}
        case _:
            function = {"name": tool, "parameters": schema}
            functions = [{"type": "function", "function": function}]
            return {"tools": functions, "tool_choice": "required"}


@pytest.mark.parametrize(("tool", "is_called"), [("Bash", False), (f"{TOOL_PREFIX}bash", True)])
async def test_no_tool_of_a_real_client_is_called(tool: str, is_called: bool) -> None:
    async with (
        DemoFleet(seeded(), speed=FULL_SPEED) as fleet,
        httpx.AsyncClient() as client,
    ):
        for backend in fleet.config(Config()).backends:
            model = next(iter((backend.models or {}).values()))
            path, body, headers = asked(backend.type, model, backend.api_key)
            body |= offered(backend.type, tool)
            answer = await client.post(backend.url + path, json=body, headers=headers)
            if answer.status_code >= 500:  # a fault of the demo's
                answer = await client.post(backend.url + path, json=body, headers=headers)

            assert (tool in answer.text) is is_called, backend.name
            assert any(sentence[:9] in answer.text for sentence in SENTENCES), backend.name


async def test_every_provider_has_a_made_up_key_of_its_own_that_is_in_no_repr() -> None:
    async with DemoFleet(seeded(), speed=FULL_SPEED) as fleet:
        config = fleet.config(Config())

    keys = {backend.api_key for backend in config.backends if backend.api_key}
    assert len(keys) == 3
    assert not [key for key in keys if key in repr(config)]


async def test_what_is_restricted_has_no_cloud_backend_to_go_to() -> None:
    async with DemoFleet(seeded(), speed=FULL_SPEED) as fleet:
        config = fleet.config(Config())

    zones = {backend.zone for backend in config.backends if backend.type.location == "cloud"}
    assert zones == {PrivacyZone.OPEN}
