"""`nexus attach` on a real terminal: the screen, or a sentence and no screen."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.nexus_process import NexusProcess, config_text
from tests.terminal.pty_terminal import DEADLINE_SECONDS, Terminal

pytestmark = pytest.mark.terminal

KEYS = {"NEXUS_ADMIN_KEY": "admin-1"}
ALTERNATE_SCREEN = b"\x1b[?1049h"


@pytest.fixture
def nexus(tmp_path: Path) -> Iterator[NexusProcess]:
    config = tmp_path / "test.toml"
    config.write_text(config_text(), encoding="utf-8")
    process = NexusProcess(tmp_path)
    with asyncio.Runner() as runner:
        runner.run(process.start(["--config", str(config)], KEYS))
        yield process
        runner.run(process.kill())


def test_the_screen_is_shown_until_q(nexus: NexusProcess, tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "attach", nexus.url, "--read-only", environ=KEYS)
    try:
        shown = terminal.read_until_it_shows(b"[READ-ONLY]")
        terminal.type(b"q")
        rest = terminal.read_to_the_end()

        assert terminal.process.wait(DEADLINE_SECONDS) == 0
        assert b"[ATTACHED 127.0.0.1]" in shown
        assert b"\x1b[?1049l" in rest
    finally:
        terminal.end()


@pytest.mark.parametrize(
    ("key", "says"),
    [({}, b"missing client key"), ({"NEXUS_ADMIN_KEY": "wrong"}, b"invalid client key")],
)
def test_a_wrong_key_is_a_sentence_and_exit_code_2(
    nexus: NexusProcess, tmp_path: Path, key: dict[str, str], says: bytes
) -> None:
    terminal = Terminal(tmp_path, "attach", nexus.url, environ=key)
    try:
        drawn = terminal.read_to_the_end()

        assert terminal.process.wait(DEADLINE_SECONDS) == 2
        assert says in drawn
        assert ALTERNATE_SCREEN not in drawn
    finally:
        terminal.end()


def test_where_nothing_listens_it_says_so(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "attach", "http://127.0.0.1:9")
    try:
        drawn = terminal.read_to_the_end()

        assert terminal.process.wait(DEADLINE_SECONDS) == 2
        assert b"attach: no Nexus is running at http://127.0.0.1:9" in drawn
    finally:
        terminal.end()


def test_without_a_url_it_is_the_configured_one(tmp_path: Path) -> None:
    (tmp_path / "nexus.toml").write_text("[server]\nport = 9\n", encoding="utf-8")
    terminal = Terminal(tmp_path, "attach")
    try:
        drawn = terminal.read_to_the_end()

        assert terminal.process.wait(DEADLINE_SECONDS) == 2
        assert b"attach: no Nexus is running at http://127.0.0.1:9" in drawn
    finally:
        terminal.end()
