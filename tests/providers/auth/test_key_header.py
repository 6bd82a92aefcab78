"""A key goes in one header, whichever the scheme."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from nexus_core.catalog import AuthScheme
from nexus_core.providers.auth.key_header import key_headers

KEY = "sk-0123456789abcdef"
# How KEY reaches a backend; whoever tests that over sockets looks here, too.
HEADERS: Mapping[AuthScheme, tuple[str, str]] = {
    AuthScheme.BEARER: ("authorization", f"Bearer {KEY}"),
    AuthScheme.X_API_KEY: ("x-api-key", KEY),
    AuthScheme.X_GOOG_API_KEY: ("x-goog-api-key", KEY),
    AuthScheme.API_KEY: ("api-key", KEY),
}


@pytest.mark.parametrize("scheme", AuthScheme)
def test_a_key_is_in_its_schemes_header_and_in_no_other(scheme: AuthScheme) -> None:
    assert key_headers(scheme, KEY) == (HEADERS[scheme],)


def test_no_two_schemes_are_the_same() -> None:
    assert len(set(HEADERS.values())) == len(HEADERS) == len(AuthScheme)
