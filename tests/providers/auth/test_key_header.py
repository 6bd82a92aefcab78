"""A key goes in one header, whichever the scheme."""

from __future__ import annotations

import pytest

from nexus_core.catalog import AuthScheme
from nexus_core.providers.auth.key_header import key_headers

KEY = "sk-0123456789"


@pytest.mark.parametrize(
    ("scheme", "header", "value"),
    [
        (AuthScheme.BEARER, "authorization", f"Bearer {KEY}"),
        (AuthScheme.X_API_KEY, "x-api-key", KEY),
        (AuthScheme.X_GOOG_API_KEY, "x-goog-api-key", KEY),
        (AuthScheme.API_KEY, "api-key", KEY),
    ],
)
def test_a_key_is_in_its_schemes_header(scheme: AuthScheme, header: str, value: str) -> None:
    assert key_headers(scheme, KEY) == ((header, value),)


def test_every_scheme_has_a_header_of_its_own() -> None:
    names = [name for scheme in AuthScheme for name, _ in key_headers(scheme, KEY)]

    assert len(set(names)) == len(names) == len(AuthScheme)
