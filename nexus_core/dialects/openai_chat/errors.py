"""Write Nexus's own errors in OpenAI's envelope: as a body, or as an event of a stream."""

from __future__ import annotations

import json
from dataclasses import asdict

from nexus_core.errors import NexusError, ServiceUnavailableError


def error_body(error: NexusError, request_id: str = "") -> bytes:
    """OpenAI's error envelope; a 503 also has `context`, which says what can be done about it."""
    inner: dict[str, object] = {
        "message": error.message,
        "type": error.type,
        "param": error.param,
        "code": error.code,
    }
    if isinstance(error, ServiceUnavailableError):
        inner["context"] = asdict(error.context)
    return json.dumps({"error": inner}).encode()


def error_event(error: NexusError, request_id: str = "") -> bytes:
    """OpenAI's error envelope as a server-sent event, for a stream that has begun."""
    return b"data: " + error_body(error) + b"\n\n"
