"""The newcomer's screen over a discovery that really looks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

import pytest

from nexus_core.catalog import BackendType
from nexus_core.config.schema import Config, StorageConfig
from nexus_core.discovery.local import Place
from nexus_core.discovery.watch import Discovery
from nexus_core.errors import InvalidRequestError
from nexus_core.gateway import Gateway, GatewayOptions
from nexus_core.types import PrivacyZone
from nexus_tui.app import NexusApp
from nexus_tui.sources.local import LocalSource
from nexus_tui.sources.local_discovery import LocalDiscovery
from tests.contract.scripted_upstream import ScriptedUpstream
from tests.discovery.test_local import NOT_FOUND, free_port, listing, place
from tests.tui.screen import screen_text
from tests.waiting import until

KEY = {"OPENAI_API_KEY": "sk-0123456789"}


@asynccontextmanager
async def finding(
    *places: Place, environ: Mapping[str, str] = KEY
) -> AsyncIterator[tuple[LocalDiscovery, Gateway]]:
    """A gateway without a backend, whose discovery looks only when it is told to."""
    config = Config(storage=StorageConfig(path=":memory:"))
    options = GatewayOptions(discover=partial(Discovery, environ=environ, places=places))
    gateway = Gateway(config, options=options)
    try:
        yield LocalDiscovery(lambda: gateway), gateway
    finally:
        await gateway.engine.close()


@asynccontextmanager
async def server(*models: str) -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as upstream:
        upstream.script = NOT_FOUND
        upstream.listing = listing(*models)
        yield upstream


async def test_before_the_first_look_it_says_that_it_looks() -> None:
    async with finding(Place(BackendType.OLLAMA, free_port())) as (discovery, _):
        (found,) = discovery.servers

    assert (found.title, found.finding, found.is_used) == ("Ollama", "searching …", False)


async def test_what_answers_is_used_and_what_does_not_is_told() -> None:
    closed = Place(BackendType.LMSTUDIO, free_port())
    async with (
        server("m", "n") as upstream,
        finding(place(upstream), closed) as (discovery, gateway),
    ):
        await discovery.look()
        answers, refuses = discovery.servers

        assert (answers.finding, answers.is_used) == ("2 models", True)
        assert (refuses.title, refuses.finding, refuses.is_used) == ("LM Studio", "refused", False)
        assert refuses.address == closed.address
        assert len(gateway.registry.names) == 1


async def test_a_key_is_offered_and_used_only_when_asked_for() -> None:
    async with finding() as (discovery, gateway):
        offered = {key.variable: (key.is_set, key.is_used) for key in discovery.keys}
        before = tuple(gateway.registry.names)
        outcome = await discovery.use_key("OPENAI_API_KEY")
        (openai, *_) = discovery.keys

        assert offered == {
            "OPENAI_API_KEY": (True, False),
            "ANTHROPIC_API_KEY": (False, False),
            "GOOGLE_API_KEY": (False, False),
        }
        assert not before
        assert gateway.registry.snapshot("openai").zone is PrivacyZone.OPEN
        assert openai.is_used
        assert "OPENAI_API_KEY" in outcome.message
        assert KEY["OPENAI_API_KEY"] not in outcome.message


@pytest.mark.parametrize(
    ("variable", "says"),
    [("PATH", "is not a cloud key variable"), ("ANTHROPIC_API_KEY", "not set")],
)
async def test_a_key_that_cannot_be_used_says_why(variable: str, says: str) -> None:
    async with finding() as (discovery, gateway):
        with pytest.raises(InvalidRequestError, match=says):
            await discovery.use_key(variable)

        assert not gateway.registry.names


async def test_a_key_is_not_used_twice() -> None:
    async with finding() as (discovery, _):
        await discovery.use_key("OPENAI_API_KEY")

        with pytest.raises(InvalidRequestError, match="openai"):
            await discovery.use_key("OPENAI_API_KEY")


async def test_the_newcomer_s_keys_look_again_and_use_what_is_set() -> None:
    async with server("m") as upstream, finding(place(upstream)) as (discovery, gateway):
        upstream.listing = NOT_FOUND
        app = NexusApp(LocalSource(gateway, discovery=discovery))
        async with app.run_test(size=(120, 36)) as pilot:
            await pilot.press("R")
            await until(lambda: "not a known server" in screen_text(app))
            await pilot.press("o")
            await until(lambda: "openai" in gateway.registry.names)

    assert app.crash is None
