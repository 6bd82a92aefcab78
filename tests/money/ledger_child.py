"""A process that answers requests and records them until it is killed; `test_ledger` starts it.

Every answer is printed as "NUMBER TIME" after its row was appended, as a client would see it.
"""

from __future__ import annotations

import select
import sys
import time
from pathlib import Path

from nexus_core.money.ledger import Ledger
from tests.money.ledger_rows import row


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    ledger = Ledger(Path(sys.argv[1]))
    ledger.open()
    say(ledger.problem or "ready")
    number = 0
    while True:
        for _ in range(5):  # hundreds a second, and not a full batch in one
            number += 1
            ledger.append(row(request_id=str(number), at=time.time()))
            say(f"{number} {time.monotonic()}")
        if select.select([sys.stdin], [], [], 0.005)[0]:
            break  # whoever started it is gone


if __name__ == "__main__":
    main()
