"""The address of a Nexus as it is written."""

from __future__ import annotations

import argparse

import pytest

from nexus_tui.commands.base.target import root_url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("127.0.0.1:8010", "http://127.0.0.1:8010"),
        ("localhost:8010/", "http://localhost:8010"),
        ("gpu-box:80/v1", "http://gpu-box:80"),
        ("[::1]:8010", "http://[::1]:8010"),
        ("http://gpu-box", "http://gpu-box"),
        ("https://nexus.example/v1", "https://nexus.example"),
    ],
)
def test_an_address_is_taken_with_or_without_a_scheme(text: str, url: str) -> None:
    assert root_url(text) == url


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("gpu-box", "has no port"),
        (":8010", "must be HOST:PORT"),
        ("gpu-box:0", "must be HOST:PORT"),
        ("gpu-box:99999", "must be HOST:PORT"),
        ("u:secret@gpu-box:80", "must be HOST:PORT"),
        ("ftp://gpu-box:80", "must be HOST:PORT"),
        ("gpu box:80", "must be HOST:PORT"),
        ("", "must be HOST:PORT"),
    ],
)
def test_what_is_no_address_is_told_without_repeating_it(text: str, told: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=told) as raised:
        root_url(text)

    assert "secret" not in str(raised.value)
