"""`nexus keys` where keys are in PostgreSQL, and where replicas would have no place for them."""

from __future__ import annotations

import json
from pathlib import Path

from nexus_core.keys.database import DatabaseKeys
from tests.database.server import Place
from tests.tui.process.test_cli import run

NO_NEXUS = ("--port", "9")


def test_without_a_running_nexus_postgresql_is_changed(tmp_path: Path, database: Place) -> None:
    text = '[storage]\npath = "n.db"\nurl_env = "THE_DATABASE"\n'
    (tmp_path / "nexus.toml").write_text(text, encoding="utf-8")

    made = run(tmp_path, *NO_NEXUS, "keys", "create", "laptop", THE_DATABASE=database.url)
    listed = run(tmp_path, *NO_NEXUS, "keys", "list", "--json", THE_DATABASE=database.url)
    store = DatabaseKeys(database.storage())
    (key,) = store.read()
    store.close()

    assert (made.returncode, "PostgreSQL (THE_DATABASE)" in made.stderr) == (0, True)
    assert key.is_opened_by(made.stdout.strip().encode(), 0)
    assert [one["name"] for one in json.loads(listed.stdout)["keys"]] == ["laptop"]
    assert not (tmp_path / "keys.db").exists()


def test_a_fleet_without_postgresql_makes_no_keys(tmp_path: Path) -> None:
    (tmp_path / "nexus.toml").write_text('[storage]\npath = "n.db"\n[fleet]\n', encoding="utf-8")

    refused = run(tmp_path, *NO_NEXUS, "keys", "create", "x", NEXUS_REDIS_URL="redis://127.0.0.1:1")

    assert refused.returncode == 2
    assert "set [storage] url_env" in refused.stderr
    assert not (tmp_path / "keys.db").exists()
