"""The address of a Nexus as it is written."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from nexus_core.errors import ConfigError
from nexus_tui.commands.base.target import load, root_url


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


def asked_for(*words: str) -> argparse.Namespace:
    found = {words[at]: words[at + 1] for at in range(0, len(words), 2)}
    config = found.get("--config")
    return argparse.Namespace(
        url=found.get("--url"),
        config=Path(config) if config else None,
        host=None,
        port=None,
        workers=None,
        cloud=False,
    )


def test_a_refused_file_of_here_is_in_nobody_s_way_who_asks_a_nexus_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nexus.toml").write_text('[server]\nhost = "0.0.0.0"\n')  # without client keys

    assert load(asked_for("--url", "box:8000"), {}).path is None
    for words in ((), ("--url", "box:8000", "--config", "nexus.toml")):
        with pytest.raises(ConfigError):
            load(asked_for(*words), {})
