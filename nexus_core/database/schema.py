"""Tables in PostgreSQL, all in the schema `nexus`: their versions and migrations.

Versions are counted as those of the ledger's file, so that a fact's `since` adds its column here,
too; the first tables were of version 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from nexus_core.observe.facts import LEDGER

if TYPE_CHECKING:
    from typing import LiteralString

    from nexus_core.database.driver import Connection

_FIRST = 5
_LOCK = 0x6E6578757300  # "nexus": one migrates while the others wait

_TABLES = (
    "SELECT count(*) FROM pg_tables WHERE schemaname = 'nexus' AND tablename = 'schema_version'"
)
_TYPES = {"TEXT": "text", "INTEGER": "bigint", "REAL": "double precision"}


def _typed(column: str) -> str:
    """A column's type in the file as one of PostgreSQL."""
    kind, _, rest = column.partition(" ")
    return f"{_TYPES[kind]} {rest}".rstrip()


_FACTS = ", ".join(
    f"{key} {_typed(fact.column or '')}" for key, fact in LEDGER if (fact.since or 0) <= _FIRST
)

# Never change one that was released; append another.
_WRITTEN: dict[int, tuple[str, ...]] = {
    _FIRST: (
        "CREATE TABLE nexus.schema_version (version integer NOT NULL, database_id text NOT NULL)",
        "CREATE TABLE nexus.requests (replica text NOT NULL, ledger text NOT NULL, "
        f"{_FACTS}, PRIMARY KEY (request_id))",
        "CREATE INDEX requests_at ON nexus.requests (at)",
        """
        CREATE TABLE nexus.operator_actions (
            action_id text PRIMARY KEY, replica text NOT NULL, ledger text NOT NULL,
            at double precision NOT NULL,
            via text NOT NULL, name text, address text, action text NOT NULL, target text,
            text text NOT NULL, effect text, error text
        )
        """,
        "CREATE INDEX operator_actions_at ON nexus.operator_actions (at)",
        """
        CREATE TABLE nexus.keys (
            id text PRIMARY KEY, name text NOT NULL UNIQUE, digest bytea NOT NULL,
            created double precision NOT NULL, revoked double precision,
            blocked double precision,
            old_digest bytea, old_until double precision NOT NULL DEFAULT 0,
            budget_usd double precision, rpm bigint, tpm bigint, parallel bigint,
            models text, zone text NOT NULL, tier bigint, expires double precision
        )
        """,
        "CREATE TABLE nexus.keys_version (version bigint NOT NULL)",
        # From the clock, so that a database made anew goes on above what was seen of the last one.
        "INSERT INTO nexus.keys_version VALUES (floor(extract(epoch FROM now()) * 1000))",
    ),
}

VERSION = max(*_WRITTEN, *(fact.since or 0 for _, fact in LEDGER))


class SchemaError(Exception):
    """The tables are not there, or of a later version."""


class NoTablesYet(SchemaError):
    """There are none yet."""


def migrate(connection: Connection) -> None:
    """Bring the tables to the current version, in the transaction under way.

    Raises:
        SchemaError: they are of a later version.
        psycopg.Error: they can't be made.
    """
    if _version(connection) == VERSION:
        return
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    version = _version(connection)  # another one may have done it meanwhile
    if version == VERSION:
        return
    if not version:
        if not _one(connection, "SELECT count(*) FROM pg_namespace WHERE nspname = 'nexus'"):
            connection.execute("CREATE SCHEMA nexus")
        version = _FIRST - 1
    for step in range(version + 1, VERSION + 1):
        for statement in (*_WRITTEN.get(step, ()), *_added(step)):
            connection.execute(statement.encode())
    if version < _FIRST:
        row = (VERSION, str(uuid4()))
        connection.execute("INSERT INTO nexus.schema_version VALUES (%s, %s)", row)
    else:
        connection.execute("UPDATE nexus.schema_version SET version = %s", (VERSION,))


def look(connection: Connection) -> None:
    """Check that the tables can be read as they are.

    Raises:
        SchemaError: they are not there, or of a later version.
    """
    if not _version(connection):
        raise NoTablesYet("has no ledger yet; a running Nexus makes it")


def database_id(connection: Connection) -> str:
    """What tells this database from others, and from itself made anew."""
    return str(_one(connection, "SELECT database_id FROM nexus.schema_version"))


def _version(connection: Connection) -> int:
    """The version of the tables; 0 where there are none.

    Raises:
        SchemaError: it is later than ours.
    """
    # By the catalogue's rows: what `to_regclass` knows may be of before the lock.
    if not _one(connection, _TABLES):
        return 0
    version = int(_one(connection, "SELECT version FROM nexus.schema_version"))
    if version > VERSION:
        raise SchemaError(
            f"its tables have version {version}, newer than this Nexus supports ({VERSION}); "
            "use a newer Nexus, or another database"
        )
    return version


def _added(version: int) -> tuple[str, ...]:
    """SQL that adds the columns of facts introduced by this version after the first."""
    if version <= _FIRST:
        return ()
    return tuple(
        f"ALTER TABLE nexus.requests ADD COLUMN {key} {_typed(fact.column or '')}"
        for key, fact in LEDGER
        if fact.since == version
    )


def _one(connection: Connection, question: LiteralString) -> Any:
    found = connection.execute(question).fetchone()
    return None if found is None else found[0]
