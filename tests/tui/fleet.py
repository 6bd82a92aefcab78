"""A fixed fleet and a fixed minute of traffic: what the tests and the screenshots show."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TypedDict

from nexus_core.catalog import BackendType
from nexus_core.config.schema import Config
from nexus_core.observe.events import (
    Attempt,
    AttemptFailed,
    Considered,
    FirstByteReceived,
    NexusEvent,
    RequestFinished,
    RequestReceived,
    RequestRefused,
    RouteDecided,
    ScoreTerm,
    TokenUsage,
)
from nexus_core.types import (
    Cost,
    CountMethod,
    HealthCause,
    HealthStatus,
    ProbeResult,
    RouteReason,
)
from nexus_tui.sources.local import LocalSource
from tests.tui.backends import BACKENDS, SERVES, UNUSABLE, O
from tests.tui.fake_gateway import NOW, FakeGateway

REQUEST_HEADERS = (
    ("Host", "127.0.0.1:8000"),
    ("User-Agent", "OpenAI/Python 3.54.0"),
    ("Content-Type", "application/json"),
    ("Authorization", "***"),
    ("X-Nexus-Min-Tier", "3"),
)


@dataclass(frozen=True)
class Story:
    """One request of the fixed minute."""

    ago: float
    model: str
    backend: str | None
    reason: RouteReason | None = RouteReason.CAPABILITY_MATCH
    status: int = 200
    first_ms: float | None = 180.0
    total_ms: float | None = 1900.0  # None: still running
    tokens: tuple[int, int] | None = (412, 220)
    served: str | None = None  # the model's name after aliases
    failed: tuple[Attempt, ...] = ()
    error: str | None = None
    error_code: str | None = None
    client_left: bool = False
    headers: tuple[tuple[str, str], ...] = REQUEST_HEADERS
    endpoint: str = "/v1/chat/completions"
    cached: int = 0  # tokens of the prompt
    considered: tuple[Considered, ...] = field(default=())


def seen(
    name: str, position: int | None, dropped_by: str | None = None, why: str | None = None
) -> Considered:
    config = SERVES[name]
    return Considered(
        backend=name,
        zone=config.zone,
        tier=config.tier,
        health=HealthStatus.UNHEALTHY if name == "exo-lab" else HealthStatus.HEALTHY,
        priority=config.priority,
        position=position,
        dropped_by=dropped_by,
        why=why,
        score=_SCORE if position else (),
    )


_SCORE = (
    ScoreTerm("priority", 50, 0.5),
    ScoreTerm("load", 30, 0.88),
    ScoreTerm("latency", 20, 0.71),
)
_FAILED_OVER = Story(
    0.4,
    "o-large",
    "openai",
    RouteReason.BACKEND_FAILOVER,
    first_ms=610,
    served="gpt-4o",
    failed=(
        Attempt(
            backend="other-cloud",
            error="answered 529",
            status=529,
            elapsed_ms=80,
        ),
    ),
    considered=(
        seen("other-cloud", 1),
        seen("openai", 2),
        seen("local-llama", None, "model", "does not serve o-large"),
        seen("vllm-a", None, "model", "does not serve o-large"),
        seen("lmstudio", None, "tier", "tier 2 is below 3"),
    ),
)
_MATCH = RouteReason.CAPABILITY_MATCH
_OVERFLOW = RouteReason.CAPACITY_OVERFLOW
_PRIVACY = RouteReason.PRIVACY_REQUIREMENT

_PATTERN = (
    Story(0, "llama3:70b", "vllm-a", _OVERFLOW, first_ms=200, total_ms=2200, tokens=(96, 410)),
    Story(0, "gpt-4", "local-llama", _MATCH, served="llama3:70b", first_ms=140, total_ms=950),
    Story(0, "gpt-4o", "openai", _MATCH, first_ms=520, total_ms=3100, tokens=(1804, 622)),
    Story(0, "qwen2.5:7b", "lmstudio", _PRIVACY, first_ms=90, total_ms=640, tokens=(64, 120)),
    Story(0, "llama3:70b", "local-llama", _MATCH, first_ms=160, total_ms=1400, tokens=(210, 300)),
    Story(0, "llama3:70b", "local-llama", _MATCH, first_ms=120, total_ms=870, tokens=(40, 88)),
)

SECRET = Story(
    0.9,
    "secret-gpt",
    None,
    None,
    status=503,
    first_ms=None,
    total_ms=1.2,
    tokens=None,
    error="only the zone rule keeps secret-gpt from being served",
    error_code="privacy_constraint_violation",
)


def _minute() -> tuple[Story, ...]:
    """A load that rises and falls; then a failover, a refusal and what is still running."""
    stories = []
    for second in range(58):
        load = 14 + 8 * math.sin(second / 7) + 4 * math.sin(second / 2.3)
        for index in range(round(load)):
            pattern = _PATTERN[(second * 7 + index * 5) % len(_PATTERN)]
            stories.append(replace(pattern, ago=59 - second - index / load))
    stories += [replace(_PATTERN[index], ago=0.9 - index / 10) for index in (3, 0)]
    stories += [replace(SECRET, ago=0.6), replace(_PATTERN[2], ago=0.5)]
    running: tuple[tuple[int, float | None], ...] = (
        (0, 310),
        (4, 190),
        (3, 90),
        (1, None),
        (2, 480),
        (0, 200),
    )
    stories += [
        replace(_PATTERN[index], ago=0.4, first_ms=ms, total_ms=None, tokens=None)
        for index, ms in running[:3]
    ]
    stories.append(replace(_FAILED_OVER, ago=0.3))
    stories += [
        replace(_PATTERN[index], ago=0.1, first_ms=ms, total_ms=None, tokens=None)
        for index, ms in running[3:]
    ]
    return tuple(stories)


STORIES = _minute()


def _considered(story: Story) -> tuple[Considered, ...]:
    if story.considered:
        return story.considered
    model = story.served or story.model
    why = f"does not serve {model}"
    first = [seen(story.backend, 1)] if story.backend in SERVES else []
    others = [name for name in SERVES if name != story.backend]
    return (*first, *(seen(name, None, "model", why) for name in others))


def play(gateway: FakeGateway) -> None:
    """Publish the minute's events in their order, with one call turned away on the way."""
    for event in _events(REQUEST_HEADERS):
        gateway.bus.publish(event)


@cache
def _events(_headers: tuple[tuple[str, str], ...]) -> tuple[NexusEvent, ...]:
    """The same for every test, so they are made once."""
    gateway = FakeGateway(Config(backends=BACKENDS))
    watching = gateway.bus.subscribe()
    for number, story in enumerate(STORIES):
        publish(gateway, f"{0xA81C00 + number:x}", story)
        if story.model == "secret-gpt":
            refuse(gateway)
    return tuple(watching.drain())


def refuse(gateway: FakeGateway) -> None:
    gateway.bus.publish(
        RequestRefused(
            at=NOW - 0.55,
            request_id="a81bff",
            path="/v1/chat/completions",
            status=401,
            code="invalid_api_key",
        )
    )


def publish(gateway: FakeGateway, request_id: str, story: Story) -> None:
    """Publish one request from its beginning as far as it got."""
    at = NOW - story.ago
    bus = gateway.bus
    bus.publish(
        RequestReceived(
            at=at,
            request_id=request_id,
            endpoint=story.endpoint,
            model=story.model,
            is_streaming=True,
            client="ci",
            headers=story.headers,
            body_bytes=1204,
        )
    )
    for attempt, failed in enumerate(story.failed, 1):
        _decide(gateway, request_id, story, failed.backend, attempt)
        bus.publish(AttemptFailed(at=at, request_id=request_id, attempt=failed))
    if story.backend is not None:
        _decide(gateway, request_id, story, story.backend, len(story.failed) + 1)
    headers = response_headers(request_id, story)
    if story.backend is not None and story.first_ms is not None:
        bus.publish(
            FirstByteReceived(
                at=at,
                request_id=request_id,
                backend=story.backend,
                status=story.status,
                first_byte_ms=story.first_ms,
                headers=headers,
            )
        )
    if story.total_ms is not None:
        bus.publish(_finish(at, request_id, story, story.total_ms, headers))


def _decide(gateway: FakeGateway, request_id: str, story: Story, name: str, attempt: int) -> None:
    config = next((one for one in gateway.config.backends if one.name == name), None)
    served = story.served or story.model
    gateway.bus.publish(
        RouteDecided(
            at=NOW - story.ago,
            request_id=request_id,
            backend=name,
            backend_type=config.type if config else BackendType.GENERIC,
            zone=config.zone if config else O,
            model=served,
            reason=story.reason or _MATCH,
            attempt=attempt,
            resolved=(story.model,) if served == story.model else (story.model, served),
            considered=_considered(story),
        )
    )


def _finish(
    at: float,
    request_id: str,
    story: Story,
    total_ms: float,
    headers: tuple[tuple[str, str], ...],
) -> RequestFinished:
    config = SERVES.get(story.backend or "")
    usage = None
    if story.tokens is not None:
        prompt, completion = story.tokens
        usage = TokenUsage(
            prompt_tokens=prompt, completion_tokens=completion, cached_tokens=story.cached
        )
    return RequestFinished(
        at=at + total_ms / 1000,
        request_id=request_id,
        backend=story.backend,
        backend_type=config.type if config else None,
        zone=config.zone if config else None,
        reason=story.reason,
        model=story.served or story.model,
        status=story.status,
        failed=story.status >= 500,
        client_left=story.client_left,
        error=story.error,
        error_code=story.error_code,
        total_ms=total_ms,
        first_byte_ms=story.first_ms,
        overhead_ms=0.4,
        usage=usage,
        counted=None if usage is None else CountMethod.REPORTED,
        **(_money(story, config.type.is_cloud) if config else {}),
        attempts=story.failed,
        considered=_considered(story),
        headers=headers,
    )


class Money(TypedDict, total=False):
    """What a request's end tells of money."""

    estimated: Cost
    cost: Cost
    is_unpriced: bool
    saved: Cost
    saved_model: str


def _money(story: Story, is_cloud: bool) -> Money:
    """By the price of gpt-4o; any other cloud model has none, and an alias shows what it saves."""
    if story.tokens is None:
        return {}
    prompt, completion = story.tokens
    cost = Cost(prompt * 2_500 + completion * 10_000, "config")
    if not is_cloud:
        return {"saved": cost, "saved_model": story.model} if story.model == "gpt-4" else {}
    if (story.served or story.model) != "gpt-4o":
        return {"is_unpriced": True}
    return {"cost": cost, "estimated": Cost(prompt * 2_500 + 500 * 10_000, "config")}


def response_headers(request_id: str, story: Story) -> tuple[tuple[str, str], ...]:
    config = SERVES.get(story.backend or "")
    ours: tuple[tuple[str, str], ...] = ()
    if config is not None and story.reason is not None:
        ours = (
            ("X-Nexus-Backend", config.name),
            ("X-Nexus-Backend-Type", config.type.location),
            ("X-Nexus-Route-Reason", story.reason.value),
            ("X-Nexus-Privacy-Zone", config.zone.value),
        )
    return (
        ("Content-Type", "text/event-stream; charset=utf-8"),
        ("Cache-Control", "no-cache"),
        *ours,
        ("X-Nexus-Request-Id", request_id),
    )


def make_gateway(*, is_empty: bool = False) -> FakeGateway:
    """The fleet with its health and load, before any traffic."""
    if is_empty:
        return FakeGateway(Config())
    gateway = FakeGateway(Config(backends=BACKENDS, unusable=(UNUSABLE,)))
    for number, one in enumerate(BACKENDS):
        result = ProbeResult(elapsed_ms=8.0 + 3 * number, models=tuple(one.models or ()))
        if one.name == "other-cloud":
            result = ProbeResult(
                elapsed_ms=61, cause=HealthCause.AUTH, detail="401: check OTHER_API_KEY"
            )
        if one.name == "exo-lab":
            result = ProbeResult(
                elapsed_ms=5000, cause=HealthCause.UNREACHABLE, detail="no answer within 5 s"
            )
        gateway.registry.record_probe(one.name, result, failure_threshold=1, recovery_threshold=1)
    for name, running in (("local-llama", 2), ("vllm-a", 2), ("lmstudio", 1), ("openai", 1)):
        for _ in range(running):
            gateway.registry.acquire(name)
            gateway.held.callback(gateway.registry.release, name)
    for name, ms in (("local-llama", 390.0), ("vllm-a", 210), ("lmstudio", 800), ("openai", 620)):
        gateway.registry.record_success(name, ms)
    return gateway


def make_source(
    *, is_empty: bool = False, is_demo: bool = False, plays: bool = True
) -> tuple[LocalSource, FakeGateway]:
    """A source on the fixed fleet, with the minute's traffic waiting in it."""
    gateway = make_gateway(is_empty=is_empty)
    source = LocalSource(gateway, "127.0.0.1:8000", is_demo=is_demo)
    if plays and not is_empty:
        play(gateway)
        gateway.registry.set_enabled("lmstudio", False)
    return source, gateway


def fixed_now() -> float:
    return NOW
