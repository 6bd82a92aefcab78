"""Run the dashboard beside a heartbeat: `python -m tests.tui.pty_child FD`, FD gets the beats."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from nexus_tui.app import TerminalLostError
from nexus_tui.draw import pacer
from nexus_tui.process.dashboard import run_dashboard
from nexus_tui.process.loop import loop_factory
from tests.tui.fleet import Story, make_source, publish


async def main(fd: int) -> None:
    source, gateway = make_source()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    def beat(first: int = 0) -> None:
        # What changes on the screen makes frames, so that an unread terminal fills up.
        for number in range(first, first + 20):
            publish(gateway, f"r{number}", Story(0, f"model-{number}", "openai"))
        os.write(fd, b".")
        if not stop.is_set():
            asyncio.get_running_loop().call_later(0.01, beat, first + 20)

    async def show() -> None:
        try:
            await run_dashboard(source, stop=stop)
        except TerminalLostError:
            os.write(fd, b"L")
        else:
            os.write(fd, b"Q")
            stop.set()

    beat()
    await show()
    await stop.wait()


# Paint as often as can be, so that a terminal that is not read is full soon.
pacer.SHORTEST = pacer.BUSY_INTERVAL = 0.01
pacer.DUTY = 1.0

if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main(int(sys.argv[1])))
