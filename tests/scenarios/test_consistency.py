"""Ledger, statistics and budget agree: what `benchmarks/consistency.py` asks of 50,000 requests."""

from __future__ import annotations

from pathlib import Path

from benchmarks.consistency import many_requests
from benchmarks.mixed_backend import KINDS

TURNS = 12  # of all kinds


async def test_nothing_is_lost_and_all_sums_agree_after_mixed_requests(tmp_path: Path) -> None:
    books, told = await many_requests(TURNS * len(KINDS), tmp_path)

    assert books.faults(told) == []
    assert books.rows == TURNS * (len(KINDS) - 1)  # all but the invalid ones
    assert told.statuses == {200: TURNS * (len(KINDS) - 3), 404: TURNS, 400: TURNS}
    assert len(told.paid) == TURNS * 10  # cloud answers that came whole
    assert books.failovers > 0
    assert books.left == TURNS * 2
