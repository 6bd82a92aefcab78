"""An editor on the dashboard's terminal: the proxy serves on, and nothing is left behind."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.terminal.pty_terminal import DEADLINE_SECONDS, Terminal
from tests.waiting import wait_until

pytestmark = pytest.mark.terminal

_ADDRESS = re.compile(rb"127\.0\.0\.1:(\d+)")
_ANSWERS = 100
# Tells what it was given, waits for a word, and changes the message.
_EDITOR = """
import json, os, pathlib, sys, time
path, home = pathlib.Path(sys.argv[1]), pathlib.Path(os.environ["HOME"])
told = {
    "path": str(path),
    "modes": [oct(one.stat().st_mode & 0o777) for one in (path, path.parent)],
    "document": json.loads(path.read_text()),
    "is_foreground": os.tcgetpgrp(0) == os.getpgrp(),
}
(home / "told.new").write_text(json.dumps(told))
(home / "told.new").rename(home / "told")
while not (home / "go").exists():
    time.sleep(0.01)
document = told["document"]
document["body"]["messages"] = [{"role": "user", "content": "edited words"}]
path.write_text(json.dumps(document))
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    editor = tmp_path / "editor.py"
    editor.write_text(_EDITOR)
    return tmp_path


@pytest.fixture
def terminal(home: Path) -> Iterator[Terminal]:
    environ = {"EDITOR": f"python3 {home / 'editor.py'}", "TMPDIR": str(home)}
    terminal = Terminal(home, "--demo", "--port", "0", environ=environ, is_controlling=True)
    yield terminal
    terminal.end()


def open_editor(terminal: Terminal, home: Path) -> int:
    """Edit a request that went to a cloud; gives the port."""
    found = _ADDRESS.search(terminal.read_until_it_shows(b"DEMO"))
    assert found is not None
    ask_a_cloud(int(found.group(1)))
    terminal.type(b"2")
    terminal.read_until_it_shows(b" Requests ")
    terminal.type(b"/")
    terminal.read_until_it_shows(b"status:5xx")
    terminal.type(b"zone:open api:chat 2xx\r")
    terminal.read_until_it_shows(b"filter: zone:open api:chat 2xx")
    terminal.type(b"r")
    terminal.read_until_it_shows(b"edit the request first")
    terminal.type(b"e")

    def is_open() -> bool:
        terminal.read_what_is_there()
        return (home / "told").exists()

    wait_until(is_open)
    return int(found.group(1))


def ask_a_cloud(port: int) -> None:
    """Send a request that the demo's cloud answers; now and then one of its backends fails."""
    body = {"model": "claude-sonnet-4-6", "messages": [{"role": "user", "content": "hi"}]}
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    statuses = (
        httpx.post(url, json=body, timeout=30, trust_env=False).status_code for _ in "12345"
    )
    assert 200 in statuses


def expect_answers(port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=2, trust_env=False) as client:
        for _ in range(_ANSWERS):
            assert client.get("/health").status_code == 200


def test_a_request_is_edited_while_the_proxy_serves_on(terminal: Terminal, home: Path) -> None:
    port = open_editor(terminal, home)
    told = json.loads((home / "told").read_text())
    terminal.type(b"\x1a")  # ctrl+z is the editor's affair, and it goes on

    expect_answers(port)

    assert told["modes"] == ["0o600", "0o700"]
    assert told["is_foreground"]
    assert told["document"]["body"]["messages"]
    terminal.read_what_is_there()
    (home / "go").touch()
    terminal.read_until_it_shows(b"Edited.")
    assert not Path(told["path"]).parent.exists()
    terminal.type(b"\r")
    terminal.read_until_it_shows(b"Send it to")
    terminal.type(b"y")
    terminal.read_until_it_shows(b"d compares them")
    replayed = [one for one in requests(port) if one["replay_of"]]
    assert len(replayed) == 1
    bodies = get(port, f"/nexus/requests/{replayed[0]['id']}/bodies")
    assert "edited words" in bodies["request"]["content"]


def get(port: int, path: str) -> dict[str, Any]:
    answer = httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False)
    assert answer.status_code == 200
    return dict(answer.json())


def requests(port: int) -> list[dict[str, Any]]:
    listed = get(port, "/nexus/requests?limit=50")["requests"]
    return [get(port, f"/nexus/requests/{one['id']}") for one in listed]


def test_the_end_of_nexus_ends_the_editor_and_restores_the_terminal(
    terminal: Terminal, home: Path
) -> None:
    open_editor(terminal, home)
    told = json.loads((home / "told").read_text())

    terminal.process.send_signal(signal.SIGTERM)

    assert terminal.process.wait(timeout=DEADLINE_SECONDS) == 0
    assert not Path(told["path"]).parent.exists()
