"""Ledger rows to test with, and a look into the file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from nexus_core.money.ledger_schema import COLUMNS, LedgerRow

AT = 1_793_000_000.0  # 2026-10-26

_PLAIN: dict[str, object] = {
    "request_id": "req-1",
    "at": AT,
    "client": "laptop",
    "endpoint": "/v1/chat/completions",
    "asked_model": "gpt-4o",
    "model": "gpt-4o-2024-11-20",
    "backend": "openai",
    "backend_type": "openai",
    "zone": "open",
    "reason": "capability-match",
    "attempts": 1,
    "is_streaming": True,
    "status": 200,
    "failed": False,
    "client_left": False,
    "prompt_tokens": 1000,
    "completion_tokens": 100,
    "counted": "reported",
    "estimated_nano_usd": 3_000_000,
    "cost_nano_usd": 3_500_000,
    "price_source": "config",
    "total_ms": 512.5,
    "first_byte_ms": 500.25,
    "overhead_ms": 1.5,
    "is_partial": False,
    "is_unpriced": False,
    "cached_tokens": 0,
    "cache_write_tokens": 0,
    "cache_write_1h_tokens": 0,
    "reasoning_tokens": 0,
    "prompt_audio_tokens": 0,
    "completion_audio_tokens": 0,
}


def row(**changes: Any) -> LedgerRow:
    values = {**_PLAIN, **changes}
    return tuple(values.get(column) for column in COLUMNS)


PLAIN = row()


def stored(path: Path, columns: str = "request_id") -> list[Any]:
    """What stands in the file, in the order it was written."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(
            f"SELECT {columns} FROM requests ORDER BY rowid"  # noqa: S608 - the test's own words
        ).fetchall()
    return [each[0] if len(each) == 1 else each for each in found]
