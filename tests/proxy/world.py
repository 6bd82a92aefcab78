"""A forwarder without sockets in a random world, and the steps that can happen in it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from random import Random
from typing import Any, Literal

from hypothesis import strategies as st

from nexus_core.catalog import BackendType
from nexus_core.config.schema import (
    BackendConfig,
    PolicyConfig,
    QueueConfig,
    RoutingConfig,
    ServerConfig,
)
from nexus_core.dialects.base.bridge import HubTarget
from nexus_core.dialects.openai_chat.dialect import OPENAI_CHAT
from nexus_core.dialects.openai_chat.request import read_request, write_request
from nexus_core.dialects.request import Request
from nexus_core.fleet.registry import Registry
from nexus_core.money.accounting import CostTracker
from nexus_core.observe.events import RouteDecided, TokenUsage
from nexus_core.providers.base import AnswerStream, Call, KeyCutter
from nexus_core.proxy.forward import Forwarder
from nexus_core.proxy.in_flight import ProxyParts
from nexus_core.proxy.queue import WaitingRoom
from nexus_core.proxy.reply import ProxyRequest
from nexus_core.routing.explain import explain
from nexus_core.routing.requirements import RoutingHints, read_requirements
from nexus_core.routing.router import route
from nexus_core.routing.scoring import Strategy
from nexus_core.types import DialectName, Operation, PrivacyZone, ProbeResult
from nexus_core.upstream.base import (
    Headers,
    MaySend,
    UpstreamConnectError,
    UpstreamProtocolError,
)
from tests.made_up_backends import no_ledger
from tests.proxy.fakes import EVENT_STREAM, JSON, AtOnce, EachEvent, RecordingReply
from tests.waiting import settled, turns

RESTRICTED, OPEN = PrivacyZone.RESTRICTED, PrivacyZone.OPEN
MODELS = ("m", "n")
ALIASES = {"alias": "m", "secret-alias": "n"}
ASKED = (*MODELS, *ALIASES)
PATTERNS = ("secret-*", "m", "n", "alias")

Behaviour = Literal["answer", "stall", "broken", "cut", "429", "500", "401", "refused", "400"]


@dataclass(frozen=True)
class Ask:
    model: str
    zone: PrivacyZone
    stream: bool
    high: bool
    client: str | None


@dataclass(frozen=True)
class Leave:
    nth: int


@dataclass(frozen=True)
class Release:
    nth: int


@dataclass(frozen=True)
class Switch:
    backend: int
    enabled: bool


@dataclass(frozen=True)
class SwitchZone:
    zone: PrivacyZone
    enabled: bool
    end_running: bool


@dataclass(frozen=True)
class Wait:
    seconds: float


Step = Ask | Leave | Release | Switch | SwitchZone | Wait

ASKS = st.builds(
    Ask,
    model=st.sampled_from(ASKED),
    zone=st.sampled_from(PrivacyZone),
    stream=st.booleans(),
    high=st.booleans(),
    client=st.sampled_from((None, "laptop", "phone")),
)
LEAVES = st.builds(Leave, st.integers(0, 3))
RELEASES = st.builds(Release, st.integers(0, 3))
MOSTLY = st.sampled_from((True, True, False))
SWITCHES = st.builds(Switch, st.integers(0, 3), MOSTLY)
ZONES = st.builds(SwitchZone, st.sampled_from(PrivacyZone), MOSTLY, st.booleans())
WAITS = st.builds(Wait, st.sampled_from((0.5, 6.0, 400.0)))
# Requests, departures and freed slots more often than the rest: they are what races.
KINDS = [ASKS] * 6 + [RELEASES] * 4 + [LEAVES] * 2 + [SWITCHES, ZONES, WAITS]
STEPS = st.sampled_from(range(len(KINDS))).flatmap(KINDS.__getitem__)
# Turns of the loop between two steps; None: until nothing goes on by itself.
TURNS = st.sampled_from((0, 0, 1, 2, 3, None))
FAILURES = ["broken", "cut", "429", "500", "401", "refused", "400"]
BEHAVIOURS = st.lists(
    st.sampled_from(["answer", *["stall"] * 4, *FAILURES]), min_size=1, max_size=8
)
BACKENDS = st.lists(
    st.fixed_dictionaries(
        {
            "zone": st.sampled_from(PrivacyZone),
            "tier": st.none() | st.integers(0, 4),
            "priority": st.integers(0, 100),
            "max_concurrent": st.sampled_from((1, 1, 2, None)),
            "models": st.sampled_from(
                ({"m": "big", "n": "small"}, {"m": "n", "n": "m"}, {"m": "m"}, {"n": "n"})
            ),
        }
    ),
    min_size=1,
    max_size=4,
)
ROUTING = st.fixed_dictionaries(
    {
        "strategy": st.sampled_from(("smart", "round_robin", "priority_only", "random")),
        "max_retries": st.integers(0, 3),
        "fallbacks": st.sampled_from(({}, {"m": ["n"]}, {"alias": ["n"], "n": ["m"]})),
        "policies": st.lists(
            st.fixed_dictionaries(
                {
                    "model_pattern": st.sampled_from(PATTERNS),
                    "privacy": st.sampled_from(PrivacyZone),
                }
            ),
            max_size=3,
        ),
    }
)


USAGE = b'"usage":{"prompt_tokens":100,"completion_tokens":200}'


class Script:
    """An answer that behaves as it was told."""

    def __init__(self, behaviour: Behaviour, release: asyncio.Event, *, is_streaming: bool) -> None:
        self.status = {"429": 429, "500": 500, "401": 401, "400": 400}.get(behaviour, 200)
        streams = is_streaming and self.status == 200
        self.headers: Headers = EVENT_STREAM if streams else JSON
        self.usage: TokenUsage | None = None
        self.stream: AnswerStream | None = None
        self._behaviour = behaviour
        self._release = release
        self._streams = streams

        self._reads = 0  # that gave something

    def at_hand(self) -> bytes | None:
        return None

    async def read(self) -> bytes:
        if self._behaviour == "broken":
            raise UpstreamProtocolError("not HTTP")
        if self._behaviour == "stall":
            await self._release.wait()
        if self._reads and self._behaviour == "cut":
            raise UpstreamProtocolError("cut off")
        self._reads += 1
        if not self._streams:
            whole = b'{"choices":[{"message":{"content":"hello"}}],%s}' % USAGE
            return whole if self._reads == 1 else b""
        if self._reads == 1:
            return b'data: {"choices":[{"delta":{"content":"hello"}}]}\n\n'
        end = b'data: {"choices":[],%s}\n\ndata: [DONE]\n\n' % USAGE
        return end if self._reads == 2 else b""

    async def close(self, *, is_read: bool = False) -> None:
        pass


class Agent:
    """Plays its behaviours in turn, and notes what it was sent."""

    def __init__(self, name: str, zone: PrivacyZone, behaviours: list[Behaviour]) -> None:
        self.name = name
        self.zone = zone
        self.keys = KeyCutter(None)
        self.auth_hint = "check the key"
        self.translates = False
        self.passes: Collection[DialectName] = frozenset()
        self.hub_target = HubTarget.CLOUD
        self.refuses_effort: set[str] = set()
        self.sent: list[dict[str, Any]] = []
        self.stalled: list[asyncio.Event] = []
        self._behaviours = behaviours
        self._count = 0

    def prepare(self, request: Request, model: str, *, wants_usage: bool = False) -> Call:
        body = write_request(request, model)
        return Call(
            path=request.path,
            body=body,
            is_streaming=request.is_streaming,
            model=model,
            request=request,
            dialect=OPENAI_CHAT,
        )

    async def count_tokens(self, request: Request, model: str) -> int | None:
        return None

    async def send(self, call: Call, may_send: MaySend) -> Script:
        self.sent.append(json.loads(call.body))
        behaviour = self._behaviours[self._count % len(self._behaviours)]
        self._count += 1
        if behaviour == "refused":
            raise UpstreamConnectError("connection refused")
        release = asyncio.Event()
        self.stalled.append(release)
        return Script(behaviour, release, is_streaming=call.is_streaming)

    async def ask_apis(self) -> tuple[str, ...] | None:
        return None

    async def probe(self, *, timeout_seconds: float) -> ProbeResult:
        raise AssertionError("nobody asked for a probe")


@dataclass
class World:
    """A forwarder with a clock of its own, and the promises that are checked all the time."""

    backends: list[dict[str, Any]]
    routing: RoutingConfig
    has_queue: bool
    behaviours: list[Behaviour]
    cost_tracker: CostTracker = field(default_factory=no_ledger)
    kinds: tuple[BackendType, ...] = (BackendType.VLLM,)  # of the backends, in turn
    seconds: float = 0.0
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    restricted: dict[str, bool] = field(default_factory=dict)  # by request id, as the test sees it

    def __post_init__(self) -> None:
        self.bus = AtOnce(EachEvent(self.check))
        self.events = self.bus.subscribe()
        configs = [
            BackendConfig(
                name=f"b{n}",
                url="http://b.test",
                type=self.kinds[n % len(self.kinds)],
                **values,
            )
            for n, values in enumerate(self.backends)
        ]
        self.agents = {c.name: Agent(c.name, c.zone, self.behaviours) for c in configs}
        self.registry = Registry(configs, self.bus, lambda: self.seconds, lambda: self.seconds)
        self.strategy = Strategy(self.routing, Random(0))
        queue = WaitingRoom(QueueConfig(enabled=True, max_size=2), self.registry)
        self.doubted: list[str] = []
        parts = ProxyParts(
            agents=self.agents,
            registry=self.registry,
            strategy=self.strategy,
            cost_tracker=self.cost_tracker,
            bus=self.bus,
            now=lambda: self.seconds,
            models_known=self._never,
            doubt=self.doubted.append,
        )
        room = queue if self.has_queue else None
        self.forwarder = Forwarder(parts, room, ServerConfig(), self.routing)

    async def _never(self) -> None:
        raise AssertionError("every model is known here")

    def check(self, event: object) -> None:
        """What holds at each event."""
        for backend in self.registry.snapshots():
            assert backend.in_flight >= 0
            assert backend.max_concurrent is None or backend.in_flight <= backend.max_concurrent
        if isinstance(event, RouteDecided):
            chosen = self.registry.snapshot(event.backend)
            assert chosen.enabled
            assert chosen.zone_enabled
            kept = [c.backend for c in event.considered if c.dropped_by is None]
            assert event.backend == kept[0]
            if self.restricted[event.request_id]:
                assert chosen.zone is RESTRICTED

    def ask(self, step: Ask) -> asyncio.Task[None]:
        number = f"r{len(self.tasks)}"
        messages = [{"role": "user", "content": number}]
        body = {"model": step.model, "stream": step.stream, "messages": messages}
        self.restricted[number] = step.zone is RESTRICTED or self.policy_restricts(step.model)
        hints = RoutingHints(zone=step.zone, priority="high" if step.high else "normal")
        asked = read_request(Operation.CHAT, json.dumps(body).encode(), number)
        need = read_requirements(step.model, hints, self.routing)
        request = ProxyRequest(
            envelope=asked,
            dialect=OPENAI_CHAT,
            need=need,
            client=step.client,
            headers=(),
            received=0.0,
        )
        context = self.forwarder.contexts.build(step.client)
        foretold = explain(route(need, context))

        async def play() -> None:
            self.begun.append(number)
            await self.forwarder.forward(request, RecordingReply())

        task = asyncio.get_running_loop().create_task(play())
        self.tasks.append(task)
        self.foretold = foretold
        return task

    def policy_restricts(self, asked: str) -> bool:
        """The rule in the test's own words: for each of the names the first policy that matches."""
        for name in filter(None, (asked, ALIASES.get(asked))):
            for policy in self.routing.policies:
                if fnmatchcase(name, policy.model_pattern):
                    if policy.privacy is RESTRICTED:
                        return True
                    break
        return False

    async def play(self, step: Step, count: int | None = None) -> None:
        """Do the step and let the rest go on for so many turns of the loop, or as it can."""
        stalled = [
            event for agent in self.agents.values() for event in agent.stalled if not event.is_set()
        ]
        names = list(self.agents)
        match step:
            case Ask():
                self.ask(step)
            case Leave() if self.tasks:
                self.tasks[-1 - step.nth % len(self.tasks)].cancel()
            case Release() if stalled:
                stalled[-1 - step.nth % len(stalled)].set()
            case Switch():
                self.registry.set_enabled(names[step.backend % len(names)], step.enabled)
            case SwitchZone():
                self.registry.set_zone_enabled(step.zone, step.enabled)
                if step.end_running and not step.enabled:
                    self.forwarder.end_zone(step.zone)
            case Wait():
                self.seconds += step.seconds
        await (settled() if count is None else turns(count))

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        for result in await asyncio.gather(*self.tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result  # a promise that did not hold, or a failure of Nexus itself


WORLDS = st.builds(
    lambda backends, routing, has_queue, behaviours: (backends, routing, has_queue, behaviours),
    BACKENDS,
    ROUTING,
    MOSTLY,
    BEHAVIOURS,
)


def make(parts: tuple[Any, ...], **more: Any) -> World:
    backends, routing, has_queue, behaviours = parts
    policies = tuple(PolicyConfig(**policy) for policy in routing["policies"])
    fallbacks = {name: tuple(others) for name, others in routing["fallbacks"].items()}
    values = {**routing, "policies": policies, "fallbacks": fallbacks, "aliases": ALIASES}
    return World(backends, RoutingConfig(**values), has_queue, behaviours, **more)
