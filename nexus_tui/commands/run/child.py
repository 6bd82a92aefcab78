"""The Nexus that `nexus run` starts: `nexus`, until nobody holds its FIFO any more."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Sequence

from nexus_tui import cli


def main(arguments: Sequence[str]) -> int:
    """Run `nexus`; gives its exit code.

    Args:
        arguments: the descriptor of the FIFO's read end, its path, and those of `nexus`.
    """
    descriptor, path, *rest = arguments
    watch = threading.Thread(target=end_when_left, args=(int(descriptor), path), daemon=True)
    watch.start()
    return cli.main(rest)


def end_when_left(descriptor: int, path: str) -> None:
    """Stop this process in good order once the FIFO has no writer."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    is_named = True
    while True:
        if not _is_left(poll, descriptor):
            continue
        if not is_named:
            break
        # From now on nobody can join it; who did so in the last moment still keeps it.
        with contextlib.suppress(OSError):
            os.unlink(path)
        is_named = False
        if not poll.poll(0):
            continue
        break
    os.kill(os.getpid(), signal.SIGTERM)


def _is_left(poll: select.poll, descriptor: int) -> bool:
    """Wait for something to happen to the FIFO; True if that was its last writer's end."""
    events = [event for _, event in poll.poll()]
    if any(event & select.POLLIN for event in events):
        os.read(descriptor, 4096)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
