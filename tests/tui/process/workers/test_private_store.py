"""What several workers need on the machine, and the sentence that says so."""

from __future__ import annotations

import shutil

import pytest

from nexus_core.config.schema import Config
from nexus_core.config.sections.fleet import FleetConfig
from nexus_tui.process.workers import private_store
from nexus_tui.process.workers.private_store import why_no_store

INSTALL = "install the extra workers (pip install 'nexus-gateway[workers]')"


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Programs on the PATH; Python has no package that is asked for."""
    programs: dict[str, str] = {}
    monkeypatch.setattr(shutil, "which", programs.get)
    monkeypatch.setattr(private_store, "find_spec", lambda _name: None)
    return programs


def test_without_the_extra_it_is_named_also_where_a_server_is_there(path: dict[str, str]) -> None:
    path["valkey-server"] = "/usr/bin/valkey-server"

    assert why_no_store(Config()) == f"several workers need a client of Valkey: {INSTALL}"


def test_with_the_client_alone_a_server_is_missing(
    path: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(private_store, "find_spec", lambda name: name if name == "redis" else None)

    assert why_no_store(Config()) == (
        f"several workers need a Valkey server: {INSTALL}, or a valkey-server or redis-server on "
        "the PATH, or set [fleet] url_env"
    )
    path["redis-server"] = "/usr/bin/redis-server"
    assert why_no_store(Config()) is None


def test_workers_of_a_fleet_share_by_its_store(path: dict[str, str]) -> None:
    assert path == {}
    assert why_no_store(Config(fleet=FleetConfig())) is None
