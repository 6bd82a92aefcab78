"""What `nexus check` says of the server that a fleet shares."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexus_core.config.sections.fleet import FleetConfig
from nexus_core.control.check import Level
from nexus_core.control.shared.check_store import check_store
from tests.fleet.server import free_port, store_server


async def checked(url: str, *, has_database: bool = False) -> tuple[Level, str, str | None]:
    fleet = FleetConfig(url=url, replica="box-1")
    found = await check_store(fleet, has_database=has_database)
    return found.level, found.text, found.hint


async def test_a_good_store_is_named_with_its_version(tmp_path: Path) -> None:
    with store_server("--appendonly", "yes") as server:
        level, text, _ = await checked(server.url)

        assert level is Level.OK
        assert text.startswith("replica box-1 shares Valkey 9.")
        assert server.ask("DBSIZE") == "0"


async def test_what_a_restart_forgets_is_told_unless_postgresql_has_it() -> None:
    with store_server() as server:
        level, text, hint = await checked(server.url)
        with_database = await checked(server.url, has_database=True)
        own = ("-info", "+info|server", "+info|replication")
        assert server.ask("ACL", "SETUSER", "default", *own) == "OK"
        of_silent = await checked(server.url)

    assert level is Level.WARNING
    assert "appendonly no" in text
    assert "[storage] url_env" in str(hint)
    assert with_database[0] is of_silent[0] is Level.OK


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--maxmemory-policy", "allkeys-lru"), "has maxmemory-policy allkeys-lru"),
        (("--requirepass", "hush"), "asks for a password"),
        (("--replicaof", "127.0.0.1 1", "--replica-serve-stale-data", "yes"), "read-only replica"),
    ],
)
async def test_what_is_wrong_with_it_is_an_error(options: tuple[str, ...], told: str) -> None:
    with store_server(*options) as server:
        level, text, hint = await checked(server.url)

    assert (level, told in text) == (Level.ERROR, True), text
    assert hint


async def test_nobody_there_is_an_error_that_names_the_variable() -> None:
    level, text, hint = await checked(f"redis://:hush@127.0.0.1:{free_port()}")

    assert level is Level.ERROR
    assert "hush" not in text
    assert "NEXUS_REDIS_URL" in str(hint)
