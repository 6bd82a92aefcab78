"""A process that records requests, ships them, and dies between the two steps of shipping.

`test_shipper` starts it: PATH URL. It dies by SIGKILL once PostgreSQL has a
batch, before the batch is marked.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from nexus_core.config.schema import StorageConfig
from nexus_core.money.ledger import Ledger
from nexus_core.money.shared.outbox import Outbox, Row, Table
from nexus_core.money.shared.shipper import Shipper
from tests.money.ledger_rows import row

ROWS = 50


def _die(_outbox: Outbox, _table: Table, _rows: Sequence[Row]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    path, url = Path(sys.argv[1]), sys.argv[2]
    ledger = Ledger(path, written=lambda: None)
    ledger.open()
    for number in range(ROWS):
        ledger.append(row(request_id=f"{os.getpid()}-{number}", at=time.time()))
    ledger.close()
    Outbox.shipped = _die  # type: ignore[method-assign, assignment]
    Shipper(path, StorageConfig(url_env="U", url=url), "box-1").start()
    threading.Event().wait(20)


if __name__ == "__main__":
    main()
