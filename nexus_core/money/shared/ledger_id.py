"""The id of a ledger's file: the name that it counts under, also in other places."""

from __future__ import annotations

import secrets
import sqlite3

# Beside the versions of the schema: an older Nexus passes over it.
_TABLE = "CREATE TABLE IF NOT EXISTS replica (only INTEGER PRIMARY KEY CHECK (only = 1), id TEXT)"


def ledger_id(connection: sqlite3.Connection) -> str:
    """The id of a ledger, which it is given the first time; in autocommit mode."""
    connection.execute(_TABLE)
    connection.execute(
        "INSERT OR IGNORE INTO replica (only, id) VALUES (1, ?)", (secrets.token_hex(6),)
    )
    found: str = connection.execute("SELECT id FROM replica").fetchone()[0]
    return found
