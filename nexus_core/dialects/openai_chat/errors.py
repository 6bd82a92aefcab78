"""Nexus's own errors as OpenAI's envelope, and as an event of a stream."""

from __future__ import annotations

import json
from dataclasses import asdict

from nexus_core.errors import NexusError, ServiceUnavailableError


def error_body(error: NexusError) -> bytes:
    """The envelope; a 503 carries the context that tells what can be done about it."""
    inner: dict[str, object] = {
        "message": error.message,
        "type": error.type,
        "param": error.param,
        "code": error.code,
    }
    if isinstance(error, ServiceUnavailableError):
        inner["context"] = asdict(error.context)
    return json.dumps({"error": inner}).encode()


def error_event(error: NexusError) -> bytes:
    """The envelope as a server-sent event, for a stream that has begun."""
    return b"data: " + error_body(error) + b"\n\n"
