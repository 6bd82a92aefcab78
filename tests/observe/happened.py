"""Events of a request with usual values, for tests that care for some of them only."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from nexus_core.catalog import BackendType
from nexus_core.observe.events import RequestFinished, RequestReceived, TokenUsage
from nexus_core.types import PrivacyZone, RouteReason

_RECEIVED = RequestReceived(
    at=1.0,
    request_id="r",
    endpoint="/v1/chat/completions",
    model="m",
    is_streaming=False,
    client=None,
    headers=(),
    body_bytes=2,
)
_ANSWERED = RequestFinished(
    at=2.0,
    request_id="r",
    backend="b",
    backend_type=BackendType.OPENAI,
    zone=PrivacyZone.OPEN,
    reason=RouteReason.CAPABILITY_MATCH,
    model="m",
    status=200,
    failed=False,
    client_left=False,
    error=None,
    total_ms=9.0,
    first_byte_ms=5.0,
    overhead_ms=1.0,
    usage=TokenUsage(prompt_tokens=3, completion_tokens=4),
    attempts=(),
    considered=(),
    headers=(),
)
_UNSERVED = RequestFinished(
    at=2.0,
    request_id="r",
    backend=None,
    backend_type=None,
    zone=None,
    reason=None,
    model="m",
    status=503,
    failed=True,
    client_left=False,
    error="no",
    total_ms=1.0,
    first_byte_ms=None,
    overhead_ms=None,
    usage=None,
    attempts=(),
    considered=(),
    headers=(),
)


def received(request_id: str = "r", **changes: Any) -> RequestReceived:
    """It came in, at second 1."""
    return replace(_RECEIVED, request_id=request_id, **changes)


def answered(request_id: str = "r", **changes: Any) -> RequestFinished:
    """A cloud backend called b answered it, at second 2, with 3 and 4 tokens."""
    return replace(_ANSWERED, request_id=request_id, **changes)


def unserved(request_id: str = "r", **changes: Any) -> RequestFinished:
    """No backend could serve it: a 503, at second 2."""
    return replace(_UNSERVED, request_id=request_id, **changes)
