"""What a screen asks of a Nexus elsewhere, and what it hears."""

from __future__ import annotations

import pytest

from nexus_core.control.commands import (
    CaptureBodies,
    ClearCooldown,
    Command,
    Outcome,
    ProbeBackend,
    ReloadConfig,
    ReplayRequest,
    SaveConfig,
    SendRequest,
    SetPriority,
    SetTier,
    SwitchBackend,
    SwitchZone,
)
from nexus_core.dialects.request import Demand
from nexus_core.errors import BackendNotFoundError, NexusError, PermissionDeniedError
from nexus_core.routing.explain import Question
from nexus_core.routing.requirements import RoutingHints
from nexus_core.types import Actor, Capability, PrivacyZone, Via
from nexus_tui.sources.remote_calls import HttpCall
from nexus_tui.sources.remote_http import RefusedError
from tests.tui.sources.test_remote import linked, make_gateway

COMMANDS: list[Command] = [
    SwitchBackend(backend="a", enabled=True),
    SwitchBackend(backend="a", enabled=False, end_running=True),
    SwitchZone(zone=PrivacyZone.OPEN, enabled=False, end_running=True),
    ProbeBackend(backend="a"),
    ClearCooldown(backend="a"),
    SetTier(backend="a", tier=None),
    SetTier(backend="a", tier=3),
    SetPriority(backend="a", priority=-1),
    CaptureBodies(enabled=True),
    ReplayRequest(request_id="r1", backend="a"),
    ReplayRequest(
        request_id="r1",
        backend="a",
        edited=SendRequest(
            body=b'{"model": "m"}', zone=PrivacyZone.RESTRICTED, min_tier=2, priority="high"
        ),
    ),
    SendRequest(body=b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'),
    SendRequest(
        body=b'{"model": "m", "input": "hi"}',
        endpoint="/v1/embeddings",
        zone=PrivacyZone.RESTRICTED,
        min_tier=0,
        backend="a",
        flexible=True,
        priority="high",
    ),
    ReloadConfig(only_plan=True),
    SaveConfig(),
    SaveConfig(only_plan=True, only=("a.tier", "b.enabled")),
    SaveConfig(only=()),
]


@pytest.mark.parametrize("command", COMMANDS, ids=str)
async def test_a_command_arrives_as_it_was_given_and_its_outcome_comes_back(
    monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    gateway = make_gateway()
    given: list[Command] = []
    actors: list[Actor] = []
    outcome = Outcome(message="done", lines=("one",), data={"x": [1]})

    async def execute(wanted: Command, by: Actor) -> Outcome:
        given.append(wanted)
        actors.append(by)
        return outcome

    monkeypatch.setattr(gateway.operator, "execute", execute)
    async with linked(gateway) as source:
        assert await source.command(command) == outcome

    assert given == [command]
    assert actors == [Actor(via=Via.ATTACHED, address="127.0.0.1", session=source.session)]


async def test_a_refusal_is_told_in_the_servers_words() -> None:
    async with linked(make_gateway()) as source:
        with pytest.raises(RefusedError) as refused:
            await source.command(ProbeBackend(backend="nobody"))

    assert refused.value.status == BackendNotFoundError.status
    assert refused.value.message == "there is no backend 'nobody'"


async def test_a_read_only_source_sends_nothing() -> None:
    gateway = make_gateway()
    async with linked(gateway, is_read_only=True) as source:
        with pytest.raises(PermissionDeniedError):
            await source.command(SwitchBackend(backend="a", enabled=False))

    assert gateway.registry.snapshot("a").enabled


async def test_bodies_that_are_not_kept_are_none() -> None:
    async with linked(make_gateway()) as source:
        assert await source.captured("nothing") is None


async def test_an_explanation_is_the_same_as_in_the_process() -> None:
    gateway = make_gateway()
    question = Question(
        model="gpt-4",
        hints=RoutingHints(zone=PrivacyZone.RESTRICTED, min_tier=0, backend="a", flexible=True),
        demand=Demand(capabilities=frozenset({Capability.CHAT}), prompt_tokens=300),
        usable=("a",),
    )
    async with linked(gateway) as source:
        assert await source.explain(question) == await gateway.explainer.explain(question)


async def test_what_another_version_does_not_know_is_told_as_such(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "nexus_tui.sources.remote.call_for", lambda _: HttpCall("POST", "/nexus/of-tomorrow", {})
    )
    async with linked(make_gateway()) as source:
        with pytest.raises(NexusError, match="may be too old; nothing was done"):
            await source.command(ProbeBackend(backend="a"))
        assert source.status == "live"
