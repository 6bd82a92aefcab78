"""Content-Type of an answer by its body: exactly one is sent, and it is correct."""

from __future__ import annotations

from nexus_core.upstream.base import Headers

_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"


def as_stream(headers: Headers, stream_type: str) -> Headers:
    """The headers of a stream of that media type."""
    return _typed(headers, stream_type, stream_type)


def as_json(headers: Headers) -> Headers:
    """The headers of a JSON body."""
    return _typed(headers, "json", _JSON)


def labelled_for(headers: Headers, body: bytes) -> Headers:
    """The headers of an error's body, which may be anything."""
    if body.lstrip()[:1] in (b"{", b"["):
        return as_json(headers)
    return _typed(headers, "", _TEXT)


def _typed(headers: Headers, wanted: str, otherwise: str) -> Headers:
    """The backend's own first type that holds `wanted`, as it writes it, else another."""
    only: str | None = None
    for name, value in headers:
        if name == "content-type":
            if only is not None:
                break
            only = value
    else:
        if only is not None and wanted in only.lower():
            return headers
    given = [value for name, value in headers if name == "content-type"]
    fitting = next((value for value in given if wanted in value.lower()), otherwise)
    return (
        *(pair for pair in headers if pair[0] != "content-type"),
        ("content-type", fitting),
    )
