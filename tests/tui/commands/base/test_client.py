"""What a command says when the running Nexus gives it no answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tui.commands.base.test_listener import silence
from tests.tui.commands.test_explain_command import running, stranger
from tests.tui.process.test_cli import BACKEND, OFFLINE, run


def test_a_nexus_that_hangs_is_told_as_that(tmp_path: Path) -> None:
    (tmp_path / "nexus.toml").write_text("[server]\nconnect_timeout_seconds = 0.2\n")
    with silence() as url:
        done = run(tmp_path, "status", "--url", url.removeprefix("http://"))

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"nexus: status: no answer from {url} within 0.2 s\n"


def test_where_nothing_listens_at_the_configured_address_it_says_what_to_do(
    tmp_path: Path,
) -> None:
    (tmp_path / "nexus.toml").write_text("[server]\nport = 9\n", encoding="utf-8")
    done = run(tmp_path, "status")

    assert (done.returncode, done.stdout) == (2, "")
    url = "http://127.0.0.1:9"
    assert done.stderr == (
        f"nexus: status: no Nexus is running at {url}; start one (nexus), or name the URL of "
        "another\n"
    )


def test_where_another_server_has_the_configured_port_it_says_what_to_do(tmp_path: Path) -> None:
    with stranger() as (url, _):
        port = url.rpartition(":")[2]
        (tmp_path / "nexus.toml").write_text(f"[server]\nport = {port}\n", encoding="utf-8")
        done = run(tmp_path, "status")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"nexus: status: the server at {url} is not a Nexus; name the URL of another\n"
    )


@pytest.mark.parametrize(
    ("environ", "hint"),
    [
        ({}, "missing client key; send it as Authorization: Bearer KEY; set NEXUS_ADMIN_KEY or"),
        ({"NEXUS_ADMIN_KEY": "wrong"}, "invalid client key; sent was the key of NEXUS_ADMIN_KEY"),
        ({"NEXUS_API_KEYS": "wrong"}, "sent was the first key of NEXUS_API_KEYS; NEXUS_ADMIN_KEY"),
    ],
)
def test_a_wrong_key_is_told_with_its_variable(
    tmp_path: Path, environ: dict[str, str], hint: str
) -> None:
    with running(tmp_path, OFFLINE + BACKEND, NEXUS_API_KEYS="right") as url:
        done = run(tmp_path, "status", "--url", url, **environ)

    assert (done.returncode, done.stdout) == (2, "")
    assert "401: " in done.stderr
    assert hint in done.stderr
