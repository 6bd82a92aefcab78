"""Error bodies in OpenAI's error envelope."""

from __future__ import annotations

import json
from dataclasses import asdict

from nexus_core.errors import NexusError, ServiceUnavailableError

JSON_TYPE = (b"content-type", b"application/json")
# OpenAI's and Anthropic's SDKs obey it before they look at the status.
FINAL = (b"x-should-retry", b"false")


def error_body(error: NexusError) -> bytes:
    """Error envelope as bytes; a 503 carries its ActionableErrorContext."""
    inner: dict[str, object] = {
        "message": error.message,
        "type": error.type,
        "param": error.param,
        "code": error.code,
    }
    if isinstance(error, ServiceUnavailableError):
        inner["context"] = asdict(error.context)
    return json.dumps({"error": inner}).encode()


def error_headers(error: NexusError) -> list[tuple[bytes, bytes]]:
    """Response headers of an error, besides X-Nexus-*."""
    headers = [JSON_TYPE, *((name.encode(), value.encode()) for name, value in error.headers)]
    if isinstance(error, ServiceUnavailableError) and error.context.eta_seconds is not None:
        headers.append((b"retry-after", str(error.context.eta_seconds).encode()))
    if not error.may_pass:
        headers.append(FINAL)
    return headers


def error_event(error: NexusError) -> bytes:
    """Error envelope as a server-sent event, for a stream that has begun."""
    return b"data: " + error_body(error) + b"\n\n"
