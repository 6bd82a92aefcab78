"""A gateway gains, loses and changes backends while requests run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from nexus_core.catalog import BackendType
from nexus_core.config.changes import SetZone
from nexus_core.config.load import load_config
from nexus_core.config.save import backend_table, plan_changes, write
from nexus_core.config.schema import (
    BackendConfig,
    Config,
    HealthCheckConfig,
    QueueConfig,
    RoutingConfig,
    ServerConfig,
)
from nexus_core.dialects.openai_chat.dialect import OPENAI_CHAT
from nexus_core.dialects.openai_chat.request import read_request
from nexus_core.gateway import Gateway
from nexus_core.observe.events import BackendAdded, BackendRemoved, ConfigReloaded
from nexus_core.proxy.reply import ProxyRequest
from nexus_core.routing.requirements import RoutingHints, read_requirements
from nexus_core.types import HealthStatus, Operation, PrivacyZone
from tests.contract import bodies
from tests.contract.scripted_upstream import ScriptedUpstream, answers, streams
from tests.proxy.fakes import RecordingReply
from tests.waiting import until

ANSWER = answers(bodies.ANSWER)
BODY = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": true}'


def backend(name: str, upstream: ScriptedUpstream, **changes: object) -> BackendConfig:
    values: dict[str, object] = {
        "name": name,
        "url": upstream.url,
        "type": BackendType.VLLM,
        "zone": PrivacyZone.RESTRICTED,
        "models": {"m": "m"},
    }
    return BackendConfig.model_validate(values | changes)


def configured(*backends: BackendConfig, **changes: object) -> Config:
    checks = HealthCheckConfig(enabled=False)
    return Config.model_validate({"backends": backends, "health_check": checks} | changes)


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as upstream:
        upstream.script = ANSWER
        yield upstream


@pytest.fixture
async def other() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as upstream:
        upstream.script = ANSWER
        yield upstream


@asynccontextmanager
async def serving(config: Config) -> AsyncIterator[Gateway]:
    gateway = Gateway(config)
    async with asyncio.timeout(20), gateway.running():
        yield gateway


async def ask(gateway: Gateway, *, restricted: bool = False) -> RecordingReply:
    envelope = read_request(Operation.CHAT, BODY)
    zone = PrivacyZone.RESTRICTED if restricted else PrivacyZone.OPEN
    need = read_requirements("m", RoutingHints(zone=zone), gateway.config.routing)
    request = ProxyRequest(
        envelope=envelope,
        dialect=OPENAI_CHAT,
        need=need,
        client=None,
        headers=(),
        received=0.0,
    )
    reply = RecordingReply()
    await gateway.forwarder.forward(request, reply)
    return reply


async def test_an_added_backend_serves_at_once(upstream: ScriptedUpstream) -> None:
    async with serving(configured()) as gateway:
        watched = gateway.bus.subscribe()
        assert (await ask(gateway)).status == 404

        gateway.live.add_backend(backend("new", upstream))

        assert (await ask(gateway)).status == 200
        events = [type(event) for event in watched.drain()]
        assert BackendAdded in events


async def test_an_added_backend_is_asked_for_its_models_without_waiting_for_the_interval(
    upstream: ScriptedUpstream,
) -> None:
    upstream.listing = answers({"object": "list", "data": [{"id": "m"}]})
    async with serving(configured()) as gateway:
        await gateway.health.first_round()

        gateway.live.add_backend(backend("new", upstream, models=None))

        # The request waits for the look, as one that comes right after a start.
        assert (await ask(gateway)).status == 200
        assert gateway.registry.snapshot("new").health is HealthStatus.HEALTHY


async def test_a_name_is_given_once(upstream: ScriptedUpstream) -> None:
    async with serving(configured(backend("a", upstream))) as gateway:
        with pytest.raises(ValueError, match='"a" already'):
            gateway.live.add_backend(backend("a", upstream))
        with pytest.raises(KeyError):
            gateway.live.remove_backend("b")


async def test_a_removed_backend_gets_no_request_and_what_runs_finishes(
    upstream: ScriptedUpstream,
) -> None:
    more = asyncio.Event()
    upstream.script = streams([bodies.HELLO, more, bodies.DONE])
    async with serving(configured(backend("a", upstream))) as gateway, asyncio.TaskGroup() as tasks:
        watched = gateway.bus.subscribe()
        running = tasks.create_task(ask(gateway))
        await upstream.wait_for_requests(1)

        gateway.live.remove_backend("a")
        refused = await ask(gateway)
        more.set()
        reply = await running

        assert refused.status == 404
        assert reply.body.endswith(b"data: [DONE]\n\n")
        assert len(upstream.received) == 1
        removed = [event for event in watched.drain() if isinstance(event, BackendRemoved)]
        assert [(e.backend, e.running) for e in removed] == [("a", 1)]
        assert not gateway.registry.knows("a")


async def test_a_backend_that_fails_after_its_removal_harms_nobody(
    upstream: ScriptedUpstream, other: ScriptedUpstream
) -> None:
    more = asyncio.Event()
    upstream.script = streams((more,), is_whole=False)
    config = configured(backend("a", upstream, priority=90), backend("b", other))
    async with serving(config) as gateway, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(ask(gateway))
        await upstream.wait_for_requests(1)

        gateway.live.remove_backend("a")
        more.set()

        assert (await running).status == 200
        assert len(other.received) == 1


async def test_one_of_the_same_name_takes_over_the_slots_that_are_in_use(
    upstream: ScriptedUpstream, other: ScriptedUpstream
) -> None:
    more = asyncio.Event()
    upstream.script = streams((b"data: {}\n\n", more, b"data: [DONE]\n\n"))
    async with serving(configured(backend("a", upstream))) as gateway, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(ask(gateway))
        await upstream.wait_for_requests(1)
        gateway.live.remove_backend("a")

        gateway.live.add_backend(backend("a", other))

        assert gateway.registry.snapshot("a").in_flight == 1
        assert (await ask(gateway)).status == 200
        more.set()
        await running
        assert gateway.registry.snapshot("a").in_flight == 0


async def test_a_backend_added_to_a_zone_that_is_off_is_off(upstream: ScriptedUpstream) -> None:
    async with serving(configured()) as gateway:
        gateway.registry.set_zone_enabled(PrivacyZone.RESTRICTED, enabled=False)

        gateway.live.add_backend(backend("a", upstream))

        assert (await ask(gateway)).status == 503
        assert upstream.received == []


async def test_removal_during_a_probe_is_no_error(upstream: ScriptedUpstream) -> None:
    asked = asyncio.Event()
    upstream.listing = streams((asked,))
    async with serving(configured(backend("a", upstream))) as gateway:
        await upstream.wait_for_probes(1)

        gateway.live.remove_backend("a")
        asked.set()
        await gateway.health.first_round()

        assert not gateway.registry.names


# Reloading


async def test_a_reload_holds_for_the_next_decision_and_is_told(
    upstream: ScriptedUpstream, other: ScriptedUpstream
) -> None:
    async with serving(configured(backend("a", upstream))) as gateway:
        watched = gateway.bus.subscribe()
        await ask(gateway)

        plan = gateway.live.reload(configured(backend("b", other)))
        await ask(gateway)

        assert (plan.added, plan.removed) == (("b",), ("a",))
        assert (len(upstream.received), len(other.received)) == (1, 1)
        (told,) = [event for event in watched.drain() if isinstance(event, ConfigReloaded)]
        assert told.lines == plan.lines


async def test_aliases_policies_and_strategy_are_live(upstream: ScriptedUpstream) -> None:
    cloud = backend("a", upstream, zone=PrivacyZone.OPEN)
    async with serving(configured(cloud)) as gateway:
        assert (await ask(gateway)).status == 200
        policy = {"model_pattern": "m", "privacy": PrivacyZone.RESTRICTED}
        routing = RoutingConfig.model_validate(
            {"policies": (policy,), "strategy": "round_robin", "aliases": {"x": "m"}}
        )

        gateway.live.reload(configured(cloud, routing=routing))

        assert (await ask(gateway)).status == 503
        assert gateway.strategy.routing is routing
        assert len(upstream.received) == 1


async def test_what_needs_a_restart_stays_and_is_named(upstream: ScriptedUpstream) -> None:
    config = configured(backend("a", upstream))
    async with serving(config) as gateway:
        server = ServerConfig(port=9, host="127.0.0.2", idle_timeout_seconds=7)
        new = config.model_copy(update={"server": server, "queue": QueueConfig(enabled=True)})

        plan = gateway.live.reload(new)

        assert plan.restart == ("server.host", "server.port", "queue")
        assert gateway.config.server == ServerConfig(idle_timeout_seconds=7)
        assert not gateway.config.queue.enabled


async def test_what_was_learnt_stays_with_the_same_server_and_goes_with_another(
    upstream: ScriptedUpstream, other: ScriptedUpstream
) -> None:
    a, b = backend("a", upstream), backend("b", upstream)
    async with serving(configured(a, b)) as gateway:
        await ask(gateway)
        await gateway.health.probe("a")
        await gateway.health.probe("b")
        changed = a.model_copy(update={"priority": 90, "tier": 4})
        moved = b.model_copy(update={"url": other.url})

        gateway.live.reload(configured(moved, changed))

        snapshots = gateway.registry.snapshots()
        assert [s.name for s in snapshots] == ["b", "a"]
        assert (snapshots[1].priority, snapshots[1].tier) == (90, 4)
        assert snapshots[1].latency_ms is not None
        assert snapshots[1].health is HealthStatus.HEALTHY
        assert (snapshots[0].latency_ms, snapshots[0].health) == (None, HealthStatus.UNKNOWN)


async def test_a_switch_stays_turned_unless_the_file_says_something_new(
    upstream: ScriptedUpstream,
) -> None:
    a, b = backend("a", upstream), backend("b", upstream, enabled=False)
    async with serving(configured(a, b)) as gateway:
        gateway.registry.set_enabled("a", enabled=False)

        gateway.live.reload(configured(a, b.model_copy(update={"enabled": True})))

        enabled = {s.name: s.enabled for s in gateway.registry.snapshots()}
        assert enabled == {"a": False, "b": True}


async def test_a_restricted_request_in_the_queue_does_not_follow_a_name_into_the_open_zone(
    upstream: ScriptedUpstream, other: ScriptedUpstream
) -> None:
    more = asyncio.Event()
    upstream.script = streams((b"data: {}\n\n", more, b"data: [DONE]\n\n"))
    queue = QueueConfig(enabled=True, max_wait_seconds=10)
    a = backend("a", upstream, max_concurrent=1)
    opened = backend("a", other, zone=PrivacyZone.OPEN, max_concurrent=1)
    async with (
        serving(configured(a, queue=queue)) as gateway,
        asyncio.TaskGroup() as tasks,
    ):
        first = tasks.create_task(ask(gateway))
        await upstream.wait_for_requests(1)
        waiting = tasks.create_task(ask(gateway, restricted=True))
        await until(lambda: gateway.queued == 1)
        # Its turn comes, and before it runs on, the name means another server.
        gateway.registry.release("a")
        gateway.live.reload(configured(opened, queue=queue))
        gateway.registry.acquire("a")
        more.set()
        await first

        assert (await waiting).status == 503
        assert other.received == []


async def test_a_reload_that_cannot_be_applied_leaves_all_as_it_was(
    upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(configured(backend("a", upstream))) as gateway:
        before = gateway.config, gateway.registry.snapshots()

        def refuse(*_: object, **__: object) -> None:
            raise ValueError("no agent")

        monkeypatch.setattr("nexus_core.fleet.lifecycle.create_agent", refuse)
        with pytest.raises(ValueError, match="no agent"):
            gateway.live.reload(configured(backend("b", upstream)))

        assert (gateway.config, gateway.registry.snapshots()) == before


async def test_a_file_that_names_what_was_found_keeps_what_was_learnt(
    upstream: ScriptedUpstream,
) -> None:
    async with serving(configured()) as gateway:
        gateway.live.add_backend(backend("ollama", upstream, models=None, type=BackendType.OLLAMA))
        gateway.live.add_backend(backend("vllm", upstream))
        await gateway.health.first_round()
        named = backend("ollama", upstream, models=None, type=BackendType.OLLAMA, priority=70)

        plan = gateway.live.reload(configured(named))

        snapshot = gateway.registry.snapshot("ollama")
        assert (plan.added, plan.removed) == ((), ("vllm",))
        assert (snapshot.priority, snapshot.models_known) == (70, True)


# Saving


async def test_what_lasts_until_restart_can_be_saved_and_is_then_saved(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    a = backend("a", upstream, models=None)
    path = tmp_path / "nexus.toml"
    path.write_text("# mine\n" + backend_table(a))
    async with serving(load_config(path, {})) as gateway:
        assert gateway.live.unsaved_changes() == ()
        found = backend("found", upstream, models=None, type=BackendType.OLLAMA)
        gateway.live.add_backend(found)
        gateway.registry.set_enabled("a", enabled=False)
        gateway.registry.set_zone_enabled(PrivacyZone.OPEN, enabled=False)

        diff = plan_changes(path, gateway.live.unsaved_changes())
        write(diff, {})
        gateway.live.reload(load_config(path, {}))

        assert "+enabled = false" in diff.text
        assert diff.notes[0].startswith("zone open: stays off until restart")
        assert [b.name for b in gateway.config.backends] == ["a", "found"]
        assert not gateway.registry.snapshot("a").enabled
        assert gateway.live.unsaved_changes() == (SetZone(PrivacyZone.OPEN, enabled=False),)


async def test_a_rank_that_was_given_by_hand_stays_until_the_file_gives_another(
    upstream: ScriptedUpstream,
) -> None:
    a = backend("a", upstream, tier=1)
    async with serving(configured(a)) as gateway:
        gateway.registry._change("a", tier=4, priority=99)

        gateway.live.reload(configured(a.model_copy(update={"priority": 7, "max_concurrent": 2})))

        now = gateway.registry.snapshot("a")
        assert (now.tier, now.priority, now.max_concurrent) == (4, 7, 2)
