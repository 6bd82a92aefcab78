"""The ledger's file is shared: what one opens takes nothing from connections beside it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

from nexus_core.money.ledger import Ledger
from tests.money.ledger_rows import row, stored
from tests.waiting import wait_until


def test_one_that_may_not_write_takes_no_locks_from_connections_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "nexus.db"
    # Whoever closes a file last, as far as locks tell, takes its log away.
    other = (
        "import sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1])\n"
        "connection.execute('SELECT * FROM requests').fetchall()\n"
        "connection.close()"
    )

    with closing(Ledger(path)) as ledger, closing(Ledger(path)) as second:
        ledger.open()
        ledger.append(row(request_id="a"))
        wait_until(lambda: stored(path) == ["a"])
        second.open()
        assert second.problem is not None
        subprocess.run([sys.executable, "-c", other, str(path)], check=True)  # noqa: S603 - ours
        assert path.with_name("nexus.db-wal").exists()
