"""Response headers of errors; the body of an error comes from the request's dialect."""

from __future__ import annotations

from nexus_core.errors import NexusError, ServiceUnavailableError

JSON_TYPE = (b"content-type", b"application/json")
# OpenAI's and Anthropic's SDKs obey it before they look at the status.
FINAL = (b"x-should-retry", b"false")


def error_headers(error: NexusError) -> list[tuple[bytes, bytes]]:
    """Response headers of an error, besides X-Nexus-*."""
    headers = [JSON_TYPE, *((name.encode(), value.encode()) for name, value in error.headers)]
    if isinstance(error, ServiceUnavailableError) and error.context.eta_seconds is not None:
        headers.append((b"retry-after", str(error.context.eta_seconds).encode()))
    if not error.may_pass:
        headers.append(FINAL)
    return headers
