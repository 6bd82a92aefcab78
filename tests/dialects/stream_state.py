"""What a reader of a stream knows of it, to compare readers of the same bytes."""

from __future__ import annotations

from nexus_core.dialects.base.stream import StreamReader


def seen(reader: StreamReader) -> tuple[object, ...]:
    """Everything that the proxy asks of it."""
    return (
        reader.usage,
        reader.report,
        reader.is_ended,
        reader.is_complete,
        reader.is_between_events,
        reader.unreported_bytes,
    )
