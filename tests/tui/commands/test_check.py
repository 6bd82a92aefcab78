"""`nexus check`: the real command, its exit codes and both kinds of output."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from tests.tui.commands.test_explain_command import running, stranger
from tests.tui.process.test_cli import OFFLINE, run

MODELS = b'{"object":"list","data":[{"id":"m"}]}'
FREE = ("--port", "0")


def backend(url: str, more: str = 'models = ["m"]\n') -> str:
    return f'[[backends]]\nname = "a"\nurl = "{url}"\ntype = "vllm"\n{more}'


def test_all_well_is_exit_code_0(tmp_path: Path) -> None:
    with stranger(health=MODELS) as (url, keys):
        (tmp_path / "nexus.toml").write_text(backend(url))
        done = run(tmp_path, "check", *FREE)

    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == f"ok        config: {tmp_path}/nexus.toml"
    assert lines[1].startswith(f'ok        backend "a": vllm at {url} lists 1 model, ')
    assert lines[2:] == [
        f"ok        storage: {tmp_path}/nexus/nexus.db is writable",
        "ok        address: 127.0.0.1:0: any free port",
        "",
        "no errors, no warnings",
    ]
    assert keys == [None] * 4  # its models, and for each API whether it speaks that


def test_errors_come_with_their_mends_and_exit_code_1(tmp_path: Path) -> None:
    cloud = '[[backends]]\nname = "c"\nurl = "https://h"\ntype = "openai"\napi_key_env = "C_KEY"\n'
    aliases = '[routing.aliases]\n"x" = "gone"\n'
    text = aliases + backend("http://127.0.0.1:9") + cloud
    (tmp_path / "nexus.toml").write_text(text)

    done = run(tmp_path, "check", *FREE)

    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert 'error     backend "c": C_KEY is not set' in lines
    assert "          → export it or remove the backend" in lines
    assert any(line.startswith('error     backend "a": http://127.0.0.1:9: ') for line in lines)
    assert 'warning   routing.aliases.x: no backend serves "gone"' in lines
    assert lines[-1] == "2 errors, 1 warning"


def test_json_holds_the_same(tmp_path: Path) -> None:
    (tmp_path / "nexus.toml").write_text(backend("http://127.0.0.1:9"))

    done = run(tmp_path, "check", "--json", *FREE)

    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert report["ok"] is False
    assert [(f["level"], f["about"]) for f in report["findings"]] == [
        ("ok", "config"),
        ("error", 'backend "a"'),
        ("ok", "storage"),
        ("ok", "address"),
    ]
    assert "start the server" in report["findings"][1]["hint"]


@pytest.mark.parametrize("as_json", [False, True])
def test_a_refused_config_is_exit_code_2_as_at_the_start(tmp_path: Path, as_json: bool) -> None:
    (tmp_path / "bad.toml").write_text("[server]\nprot = 1\nhost = 2\n")
    options = ("--json",) if as_json else ()

    done = run(tmp_path, "check", "--config", "bad.toml", *options)
    start = run(tmp_path, "--no-ui", "--config", "bad.toml")

    assert done.returncode == start.returncode == 2
    if as_json:
        told = [finding["text"] for finding in json.loads(done.stdout)["findings"]]
        assert told == [line for line in start.stderr.splitlines() if line.startswith("bad.toml:")]
    else:
        assert (done.stdout, done.stderr) == ("", start.stderr)
        assert done.stderr.splitlines()[-2:] == ["  host = 2", "         ^"]


def test_a_port_in_use_is_an_error_unless_a_nexus_has_it(tmp_path: Path) -> None:
    with stranger(health=MODELS) as (url, _):
        (tmp_path / "nexus.toml").write_text(backend(url))
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            used = run(tmp_path, "check", "--port", port)
        with running(tmp_path, OFFLINE + backend(url)) as nexus:
            ours = run(tmp_path, "check", "--port", nexus.rpartition(":")[2])

    assert used.returncode == 1
    assert f"error     address: 127.0.0.1:{port} is in use" in used.stdout
    assert "→ choose another with --port" in used.stdout
    assert ours.returncode == 0
    assert "a Nexus is running there" in ours.stdout


def test_names_of_strangers_cannot_steer_the_terminal(tmp_path: Path) -> None:
    with stranger(health=b'{"data":[{"id":"\\u001b[2Jm\\u202e"}]}') as (url, _):
        (tmp_path / "nexus.toml").write_text(backend(url, 'models = ["[2Jm"]\n'))
        done = run(tmp_path, "check", *FREE)

    assert done.returncode == 0
    assert "warning" in done.stdout
    assert all(line.isprintable() for line in done.stdout.splitlines())


def test_demo_is_not_for_it(tmp_path: Path) -> None:
    assert run(tmp_path, "--demo", "check").returncode == 2


def test_workers_are_told_what_they_share_by(tmp_path: Path) -> None:
    (tmp_path / "nexus.toml").write_text("[server]\nworkers = 3\n" + backend("http://127.0.0.1:9"))

    done = run(tmp_path, "check", *FREE)

    shared = "budgets, limits and switches through a private Valkey"
    assert f"ok        workers: 3 processes share {shared}" in done.stdout.splitlines()
