"""Events of the gateway, as typed values published on the bus."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import msgspec

from nexus_core.catalog import BackendType
from nexus_core.types import (
    Actor,
    BudgetStatus,
    CooldownEnd,
    Cost,
    CountMethod,
    HealthCause,
    HealthStatus,
    PrivacyZone,
    RouteReason,
)


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """A failed attempt at one backend."""

    backend: str
    error: str  # for people: never holds a key, a prompt or a body
    status: int | None  # the backend's HTTP status; None when it gave none
    elapsed_ms: float


class ScoreTerm(NamedTuple):
    """A score term; it adds weight times value to the score."""

    name: str
    weight: float
    value: float  # 0 to 1


class Considered(msgspec.Struct, frozen=True, kw_only=True):
    """A considered backend: the stage that dropped it, or its position, and why."""

    backend: str
    zone: PrivacyZone
    tier: int | None
    health: HealthStatus
    priority: int
    position: int | None  # 1 for the first choice; None when a stage dropped it
    dropped_by: str | None  # the stage's name
    why: str | None  # for people
    model: str | None = None  # which of the asked and the fallback models it was considered for
    cause: HealthCause = HealthCause.NONE  # of its health
    score: tuple[ScoreTerm, ...] = ()  # empty where the strategy knows none


class TokenUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Token counts as the backend itself reported them; the details are parts of the two."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0  # of the prompt: read from a cache
    cache_write_tokens: int = 0  # of the prompt: written to a cache
    cache_write_1h_tokens: int = 0  # of those: kept for an hour, which Anthropic bills higher
    reasoning_tokens: int = 0  # of the completion
    prompt_audio_tokens: int = 0
    completion_audio_tokens: int = 0
    cost_nano_usd: int | None = None  # what the backend itself says that they cost; None: nothing


class RequestReceived(msgspec.Struct, frozen=True, kw_only=True):
    """A valid request came in; published once, before it is routed."""

    at: float  # seconds since the epoch
    request_id: str
    endpoint: str  # the path
    model: str  # as the client asked
    is_streaming: bool
    client: str | None  # the name of the client key; None without client keys
    headers: tuple[tuple[str, str], ...]  # credentials masked
    body_bytes: int
    replay_of: str | None = None  # the request an operator sent again with this one
    # By the client's own words: its program, and the session and subagent that it asks for.
    agent: str | None = None
    session: str | None = None
    subagent: str | None = None


class RouteDecided(msgspec.Struct, frozen=True, kw_only=True):
    """A backend was chosen; published before the first byte goes upstream, once per attempt."""

    at: float
    request_id: str
    backend: str
    backend_type: BackendType
    zone: PrivacyZone
    model: str  # the backend's own name of the model
    reason: RouteReason
    attempt: int  # 1 for the first backend tried
    resolved: tuple[str, ...]  # the asked model and every alias it went through
    considered: tuple[Considered, ...]  # in order of preference, the dropped ones last


class AttemptFailed(msgspec.Struct, frozen=True, kw_only=True):
    """A backend failed before its first content byte; another one may follow."""

    at: float
    request_id: str
    attempt: Attempt


class FirstByteReceived(msgspec.Struct, frozen=True, kw_only=True):
    """The client's answer has begun; its status and headers are final."""

    at: float
    request_id: str
    backend: str
    status: int
    first_byte_ms: float  # since the request was received
    headers: tuple[tuple[str, str], ...]  # as the client gets them


class RequestFinished(msgspec.Struct, frozen=True, kw_only=True):
    """The request is over, however it ended; published exactly once per RequestReceived."""

    at: float
    request_id: str
    backend: str | None  # None when no backend answered
    backend_type: BackendType | None
    zone: PrivacyZone | None
    reason: RouteReason | None
    model: str  # what answered; the asked model when nothing did
    status: int  # what the client got; 499 when it left before the answer began
    failed: bool  # Nexus or a backend failed it; a client's own 4xx or leaving is no failure
    client_left: bool
    error: str | None  # for people: never holds a key, a prompt or a body
    error_code: str | None = None  # for programs; None also where an older Nexus tells of it
    total_ms: float
    first_byte_ms: float | None
    overhead_ms: float | None  # Nexus's own share up to the first byte
    usage: TokenUsage | None  # None when nothing was answered
    counted: CountMethod | None = None  # how the tokens are known
    estimated: Cost | None = None  # what was expected before it was sent; cloud only
    cost: Cost | None = None  # what it cost; cloud only
    is_unpriced: bool = False  # it cost something, and nobody knows how much
    is_partial: bool = False  # the answer broke off; the tokens are those seen until then
    saved: Cost | None = None  # of a local answer: what the asked cloud model would have cost
    saved_model: str | None = None
    attempts: tuple[Attempt, ...]  # the failed ones, in order
    considered: tuple[Considered, ...]
    headers: tuple[tuple[str, str], ...]  # the response headers as the client got them

    @property
    def is_estimated(self) -> bool:
        """Its tokens, and so its cost, are Nexus's own count: the backend reported no usage."""
        is_known = self.usage is not None or self.cost is not None
        return is_known and self.counted is not CountMethod.REPORTED


class RequestRefused(msgspec.Struct, frozen=True, kw_only=True):
    """A data-plane call was turned away before it was routed: credentials, origin, a bad body."""

    at: float
    request_id: str
    path: str
    status: int
    code: str


class BackendHealthChanged(msgspec.Struct, frozen=True, kw_only=True):
    """Probes, or a refused key, changed what a backend's health is said to be."""

    at: float
    backend: str
    health: HealthStatus
    cause: HealthCause
    detail: str | None  # for people, e.g. "401: check OPENAI_API_KEY"


class BackendProbed(msgspec.Struct, frozen=True, kw_only=True):
    """A health check ended, whatever it found."""

    at: float
    backend: str
    ok: bool
    elapsed_ms: float
    models: int | None  # how many the backend listed; None when it did not answer


class CooldownBegan(msgspec.Struct, frozen=True, kw_only=True):
    """Requests keep away from a backend, or from one of its models, for so many seconds.

    Published again when it is prolonged. The end of its time is not: `seconds` tells it.
    """

    at: float
    backend: str
    model: str | None  # the backend's own name; None: the whole backend
    seconds: float
    why: str  # for people, e.g. "answered 429"
    is_circuit_open: bool  # it kept failing: after that time it gets one request at a time


class CooldownEnded(msgspec.Struct, frozen=True, kw_only=True):
    """Requests may come again before the time was over, or an open circuit was closed."""

    at: float
    backend: str
    model: str | None  # as in CooldownBegan
    cause: CooldownEnd


class BackendToggled(msgspec.Struct, frozen=True, kw_only=True):
    """An operator switched a backend on or off; holds until restart."""

    at: float
    backend: str
    enabled: bool


class BudgetStatusChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A monthly limit was reached, or left behind at the turn of a month.

    What is reserved counts: a limit may also be left behind when a request cost less than expected.
    """

    at: float
    client: str | None  # the name of the client key; None: the whole gateway's limit
    before: BudgetStatus
    after: BudgetStatus
    resets_in_seconds: int


class ZoneToggled(msgspec.Struct, frozen=True, kw_only=True):
    """An operator switched a zone on or off; holds until restart."""

    at: float
    zone: PrivacyZone
    enabled: bool
    ended: int  # requests under way that were ended with it


class BackendAdded(msgspec.Struct, frozen=True, kw_only=True):
    """A backend joined while Nexus runs: found, or new in a configuration that was read again."""

    at: float
    backend: str
    backend_type: BackendType
    zone: PrivacyZone
    url: str


class BackendRemoved(msgspec.Struct, frozen=True, kw_only=True):
    """A backend left; published after the last request that could be sent to it."""

    at: float
    backend: str
    running: int  # requests under way there, which finish


class ConfigReloaded(msgspec.Struct, frozen=True, kw_only=True):
    """Another configuration is in force for every decision from now on."""

    at: float
    lines: tuple[str, ...]  # for people: what changed


class BackendChanged(msgspec.Struct, frozen=True, kw_only=True):
    """An operator gave a backend another tier or priority; holds until restart."""

    at: float
    backend: str
    tier: int | None
    priority: int


class CaptureToggled(msgspec.Struct, frozen=True, kw_only=True):
    """An operator began or ended the keeping of bodies."""

    at: float
    enabled: bool


class OperatorActed(msgspec.Struct, frozen=True, kw_only=True):
    """A command that changes something was carried out, or failed; published once it is over.

    Names and numbers only: never a key, a prompt or a body.
    """

    at: float
    by: Actor
    action: str  # a fixed word, such as zone_cut
    target: str | None  # the zone, backend or request
    text: str  # what was done, for people: `cut the open zone`
    effect: str | None  # what came of it, for people; None: nothing more to say
    error: str | None  # why it failed, for people; None: it was done

    @property
    def sentence(self) -> str:
        """`root at the screen cut the open zone: 2 running requests ended`, in one line."""
        end = f"FAILED, {self.error}" if self.error is not None else self.effect
        return f"{self.by} {self.text}" + (f": {end}" if end else "")


NexusEvent: TypeAlias = (
    RequestReceived
    | RouteDecided
    | AttemptFailed
    | FirstByteReceived
    | RequestFinished
    | RequestRefused
    | BackendHealthChanged
    | BackendProbed
    | CooldownBegan
    | CooldownEnded
    | BackendToggled
    | BudgetStatusChanged
    | ZoneToggled
    | BackendAdded
    | BackendRemoved
    | ConfigReloaded
    | BackendChanged
    | CaptureToggled
    | OperatorActed
)
