"""An inference path as the OpenAPI schema describes it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Inference:
    """An operation that is served before FastAPI."""

    path: str
    name: str  # for generated clients
    title: str
    text: str
    asked: str  # names of schemas
    answered: str
    streams: bool
    failed: str = "Error"  # the schema of its errors
    unavailable: str = "Unavailable"
    stream_type: str = "text/event-stream"
