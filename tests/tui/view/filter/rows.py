"""Requests for tests of the filter: one of each kind an operator looks for."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from nexus_core.observe.origin.origin import NO_ORIGIN, Origin
from nexus_core.types import PrivacyZone, RouteReason

NOW = 1_800_000_000.0


@dataclass(frozen=True)
class Usage:
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, kw_only=True)
class Row:
    """A request as the filter sees it."""

    request_id: str = "a0"
    at: float = NOW - 30
    endpoint: str = "/v1/chat/completions"
    path: str | None = None
    api: str = "chat"
    client: str | None = "ci"
    replica: str | None = None
    origin: Origin = NO_ORIGIN
    asked_model: str = "llama3:70b"
    served_model: str | None = "llama3:70b"
    backend: str | None = "vllm-a"
    zone: PrivacyZone | None = PrivacyZone.RESTRICTED
    reason: RouteReason | None = RouteReason.CAPABILITY_MATCH
    tried: int = 1
    status: int | None = 200
    error: str | None = None
    error_code: str | None = None
    has_error: bool = False
    client_left: bool = False
    is_live: bool = False
    is_streaming: bool = True
    first_byte_ms: float | None = 180.0
    total_ms: float | None = 900.0
    usage: Usage | None = Usage(400, 100)
    cost_usd: Decimal | None = None
    is_unpriced: bool = False


_FAILOVER = RouteReason.BACKEND_FAILOVER
_OPEN = PrivacyZone.OPEN

GOOD = Row(request_id="79f1aa")
OVER = Row(request_id="b1", reason=_FAILOVER, tried=2, backend="openai", zone=_OPEN)
OLD_OVER = Row(request_id="b2", reason=_FAILOVER, tried=3, at=NOW - 90)
DEAR = Row(request_id="c1", backend="openai", cost_usd=Decimal("0.0312"), usage=Usage(9000, 900))
CHEAP = Row(request_id="c2", backend="openai", cost_usd=Decimal("0.0004"))
LAPTOP = Row(request_id="d1", client="laptop")
AGENT = Row(request_id="d2", origin=Origin("claude-code", "3f2a-11", "a71c"))
LATE = Row(request_id="e1", first_byte_ms=1240.0, total_ms=4000.0)
CUT = Row(request_id="f1", has_error=True, error="the answer ended early", error_code="upstream")
LEFT = Row(request_id="g1", client_left=True, usage=Usage(400, 3))
WRONG = Row(request_id="h1", status=404, has_error=True, error_code="model_not_found", backend=None)
DOWN = Row(request_id="h2", status=503, has_error=True, error_code="no_backend", backend=None)
LIVE = Row(request_id="i1", is_live=True, total_ms=None, status=None, first_byte_ms=None)
REFUSED = Row(
    request_id="j1",
    status=401,
    has_error=True,
    error_code="invalid_api_key",
    asked_model="",
    served_model=None,
    backend=None,
    client=None,
    endpoint="",
    path="/v1/embeddings",
    api="embeddings",
    usage=None,
    tried=0,
    total_ms=None,
    first_byte_ms=None,
)
ROWS = (
    *(
        GOOD,
        OVER,
        OLD_OVER,
        DEAR,
        CHEAP,
        LAPTOP,
        AGENT,
        LATE,
        CUT,
        LEFT,
        WRONG,
        DOWN,
        LIVE,
        REFUSED,
    ),
)
