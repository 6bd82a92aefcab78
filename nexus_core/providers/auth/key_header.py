"""Header that carries a backend's key. Never the URL: logs would show it."""

from __future__ import annotations

from typing import assert_never

from nexus_core.catalog import AuthScheme
from nexus_core.upstream.base import Headers


def key_headers(scheme: AuthScheme, key: str) -> Headers:
    """Authentication headers for a backend's key, in lower case."""
    match scheme:
        case AuthScheme.BEARER:
            return (("authorization", f"Bearer {key}"),)
        case AuthScheme.X_API_KEY:
            return (("x-api-key", key),)
        case AuthScheme.X_GOOG_API_KEY:
            return (("x-goog-api-key", key),)
        case AuthScheme.API_KEY:
            return (("api-key", key),)
        case _:
            assert_never(scheme)
