"""`nexus keys`: at a running Nexus and on the file of one that does not run; output, exit codes."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from nexus_core.config.schema import AuthConfig, Config, StorageConfig
from nexus_core.config.sections.fleet import FleetConfig
from nexus_core.gateway import Gateway
from tests.api.in_thread import in_thread
from tests.tui.process.test_cli import run

SECRET = re.compile(r"nx-[A-Za-z0-9_]{4,16}-[A-Za-z0-9_-]{32,64}")
NO_NEXUS = ("--port", "9")  # nothing listens there


@contextmanager
def serving(directory: Path, fleet: FleetConfig | None = None) -> Iterator[str]:
    """A Nexus that keeps its keys in the folder and has an admin key; gives its address."""
    config = Config(
        auth=AuthConfig(admin_key=b"root"),
        storage=StorageConfig(path=str(directory / "n.db")),
        fleet=fleet,
    )
    with in_thread(lambda: Gateway(config)) as port:
        yield f"127.0.0.1:{port}"


def keys(directory: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    config = directory / "nexus.toml"
    config.write_text('[storage]\npath = "n.db"\n', encoding="utf-8")
    return run(directory, *NO_NEXUS, "keys", *arguments, **environ)


def status(url: str, secret: str) -> int:
    headers = {"Authorization": f"Bearer {secret}"}
    return httpx.get(f"http://{url}/v1/models", headers=headers).status_code


def test_a_running_nexus_goes_by_a_change_at_once(tmp_path: Path) -> None:
    with serving(tmp_path) as url:

        def ask(*arguments: str) -> subprocess.CompletedProcess[str]:
            return keys(tmp_path, *arguments, "--url", url, NEXUS_ADMIN_KEY="root")

        made = ask("create", "laptop", "--rpm", "60", "--models", "llama*", "--zone", "restricted")
        assert (made.returncode, status(url, made.stdout.strip())) == (0, 200), made.stderr
        assert SECRET.fullmatch(made.stdout.strip())
        limited = json.loads(
            ask("limit", "laptop", "--rpm", "none", "--tier", "2", "--json").stdout
        )
        assert (limited["rpm"], limited["tier"], limited["models"]) == (None, 2, ["llama*"])
        turned = ask("rotate", "laptop", "--grace", "1h")
        assert [status(url, one.stdout.strip()) for one in (made, turned)] == [200, 200]
        assert "blocked" in ask("block", "laptop").stdout
        assert status(url, turned.stdout.strip()) == 401
        assert ask("unblock", "laptop").returncode == 0
        assert status(url, turned.stdout.strip()) == 200
        assert ask("revoke", "laptop").returncode == 0
        assert [status(url, one.stdout.strip()) for one in (made, turned)] == [401, 401]

        listed = ask("list")
        assert listed.stdout.split("\n")[1].split()[:2] == ["laptop", "revoked"]
        assert not SECRET.search(listed.stdout + listed.stderr)
        without = keys(tmp_path, "list", "--url", url)
        assert (without.returncode, without.stdout) == (2, "")
        assert "NEXUS_ADMIN_KEY" in without.stderr


def test_a_replica_says_that_the_counts_are_its_own(tmp_path: Path) -> None:
    keys(tmp_path, "create", "laptop")
    nowhere = FleetConfig(url=f"unix://{tmp_path}/none.sock", replica="box-1")
    own = "requests, tokens and parallel are those of replica box-1 alone; --url asks another"
    for fleet in (nowhere, None):
        with serving(tmp_path, fleet) as url:
            for asked in (("list",), ("show", "laptop"), ("list", "--json")):
                told = keys(tmp_path, *asked, "--url", url, NEXUS_ADMIN_KEY="root")

                assert told.returncode == 0, told.stderr
                assert (own in told.stderr) is (fleet is not None)
                assert own not in told.stdout
    assert "replica" not in keys(tmp_path, "list").stderr


def test_whoever_makes_the_first_key_is_told_that_requests_need_one_now(tmp_path: Path) -> None:
    told = "from now on requests need one"
    first = keys(tmp_path, "create", "laptop")
    assert SECRET.fullmatch(first.stdout.strip())
    assert told in first.stderr
    assert told not in keys(tmp_path, "create", "phone").stderr

    (tmp_path / "b").mkdir()
    beside_the_environment = keys(tmp_path / "b", "create", "a", NEXUS_API_KEYS="ci:0123456789abc")
    assert beside_the_environment.returncode == 0
    assert told not in beside_the_environment.stderr


def test_without_a_running_nexus_its_file_is_changed(tmp_path: Path) -> None:
    made = keys(tmp_path, "create", "laptop", "--budget", "20", "--expires", "30d", "--json")
    told = json.loads(made.stdout)

    assert (made.returncode, told["name"], told["budget_usd"]) == (0, "laptop", 20.0)
    assert len(SECRET.findall(made.stdout + made.stderr)) == 1
    shown = keys(tmp_path, "show", "laptop")
    assert "$20" in shown.stdout
    assert not SECRET.search(shown.stdout)
    with serving(tmp_path) as url:
        assert status(url, told["secret"]) == 200


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("create", "a b"), 2, "name: must be"),
        (("create", "ops"), 2, "of the environment"),
        (("create", "x", "--rpm", "0"), 2, "rpm: must be"),
        (("create", "x", "--expires", "soon"), 2, "expires: must be"),
        (("limit", "ghost", "--rpm", "5"), 1, "no created client key 'ghost'"),
        (("limit", "ghost"), 2, "nothing to change"),
        (("revoke", "ghost"), 1, "no created client key 'ghost'"),
        (("rotate", "ghost", "--grace", "x"), 2, "grace: must be"),
        (("list", "--url", "127.0.0.1:9"), 2, "no Nexus is running"),
        ((), 2, "ACTION"),
    ],
)
def test_what_can_not_be_done_is_said(
    arguments: tuple[str, ...], code: int, words: str, tmp_path: Path
) -> None:
    done = keys(tmp_path, *arguments, NEXUS_API_KEYS="ops:the-ops-key")

    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert not (tmp_path / "keys.db").exists()


def test_a_name_in_the_file_can_not_steer_the_terminal(tmp_path: Path) -> None:
    keys(tmp_path, "create", "x", "--models", "llama*")
    path = tmp_path / "keys.db"
    path.write_bytes(path.read_bytes().replace(b"llama*", b"\x1b]0;t\x07"[:6]))

    for arguments in (("list",), ("show", "x"), ("list", "--json")):
        done = keys(tmp_path, *arguments)
        assert "\x1b" not in done.stdout + done.stderr
