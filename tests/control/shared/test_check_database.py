"""What `nexus check` says of PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from nexus_core.control.check import Finding, Level
from nexus_core.control.shared.check_database import check_database
from nexus_core.keys import changes
from nexus_core.keys.database import DatabaseKeys
from tests.database.server import SECRET, Place
from tests.money.ledger_rows import row
from tests.money.shared.test_shared_ledger import ship, write


def test_one_that_answers_is_told_with_what_it_has(tmp_path: Path, database: Place) -> None:
    before = check_database(database.storage())
    for name in ("box-1", "box-2"):
        ship(write(tmp_path / f"{name}.db", row(request_id=name)), database, name)
    keys = DatabaseKeys(database.storage())
    changes.create(keys, "laptop", {}, 0.0, ())
    keys.close()

    place = "PostgreSQL (NEXUS_DATABASE_URL)"
    assert before == Finding(Level.OK, "storage", f"{place} answers; the first start makes tables")
    assert check_database(database.storage()) == Finding(
        Level.OK, "storage", f"{place} answers: rows of 2 replicas, 1 key"
    )


def test_one_that_does_not_is_an_error_with_its_mend(database: Place) -> None:
    found = check_database(database.storage(url=database.url_at(1)))

    assert (found.level, "refused" in found.text) == (Level.ERROR, True)
    assert "correct NEXUS_DATABASE_URL" in (found.hint or "")
    assert SECRET not in repr(found)
