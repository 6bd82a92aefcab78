"""Check PostgreSQL, as [storage] url_env names it: whether it answers, and whose rows it has."""

from __future__ import annotations

from nexus_core.config.schema import StorageConfig
from nexus_core.control.check import Finding, Level
from nexus_core.database.connection import Database, DatabaseError, NoTablesError

_ABOUT = "storage"


def check_database(storage: StorageConfig) -> Finding:
    """Look into PostgreSQL; nothing is written. Blocks for some seconds at most."""
    database = Database(storage, is_reader=True)
    try:
        with database.transaction() as connection:
            row = connection.execute(
                "SELECT (SELECT count(DISTINCT replica) FROM nexus.requests), "
                "(SELECT count(*) FROM nexus.keys)"
            ).fetchone()
    except NoTablesError:
        return Finding(Level.OK, _ABOUT, f"{database.name} answers; the first start makes tables")
    except DatabaseError as error:
        hint = (
            f"start it, or correct {storage.url_env}; until then rows wait in the ledger file, "
            "and created keys can't be read"
        )
        return Finding(Level.ERROR, _ABOUT, str(error), hint)
    finally:
        database.close()
    replicas, keys = row or (0, 0)
    told = f"{database.name} answers: rows of {_many(replicas, 'replica')}, {_many(keys, 'key')}"
    return Finding(Level.OK, _ABOUT, told)


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
