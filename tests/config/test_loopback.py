from __future__ import annotations

import pytest

from nexus_core.config.loopback import endpoint, is_loopback


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("LOCALHOST", True)]
    + [(host, False) for host in ("0.0.0.0", "::", "192.168.0.1", "example.org", "")],  # noqa: S104
)
def test_loopback_is_this_machine_only(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:11434/v1", ("127.0.0.1", 11434)),
        ("http://[::1]:8000", ("127.0.0.1", 8000)),
        ("http://LocalHost", ("127.0.0.1", 80)),
        ("https://API.Example.org/v1", ("api.example.org", 443)),
    ],
)
def test_an_endpoint_is_the_same_however_it_is_written(url: str, expected: tuple[str, int]) -> None:
    assert endpoint(url) == expected
