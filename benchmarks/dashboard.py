"""What the dashboard costs the proxy: the same load on one with a screen and one without.

Both run at the same time, each on a backend of its own in a third process, and are asked in turn.
The screen is a pseudo-terminal that is read as fast as it is written. Wanted: at least 0.9 of the
headless requests per CPU second, and no more than 5 ms added to the 99th percentile.
Linux only: CPU time is read from /proc. Run: python benchmarks/dashboard.py [seconds per round]
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.passthrough import BACKEND, CONFIG, free_port, measure, process, wait_for

ROUNDS = 7
TICK = os.sysconf("SC_CLK_TCK")
SIZE = (36, 120)  # lines, columns


@dataclass
class Side:
    """One of the two, and what was measured of it."""

    name: str
    port: int
    pid: int
    per_second: list[float] = field(default_factory=list)
    per_cpu_second: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def take(self, seconds: float) -> None:
        before = self.cpu_seconds()
        rate, milliseconds = asyncio.run(measure(self.port, seconds))
        self.per_second.append(rate)
        self.per_cpu_second.append(len(milliseconds) / (self.cpu_seconds() - before))
        self.p99.append(statistics.quantiles(milliseconds, n=100)[98])

    def report(self) -> None:
        print(
            f"{self.name:9} {statistics.median(self.per_second):7.0f} requests/s   "
            f"{statistics.median(self.per_cpu_second):7.0f} per CPU second   "
            f"p99 {statistics.median(self.p99):6.2f} ms"
        )


@contextmanager
def on_a_terminal(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run it on a pty that a thread drains."""
    master, slave = pty.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color"}
    child = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
    )
    os.close(slave)
    drain = threading.Thread(target=_read_all, args=(master,), daemon=True)
    drain.start()
    try:
        yield child
    finally:
        child.terminate()
        child.wait()
        drain.join(5)
        os.close(master)


def _read_all(master: int) -> None:
    try:
        while os.read(master, 65536):
            pass
    except OSError:
        pass  # what Linux says of a pty without a process


def _nexus(folder: str, name: str, backend_port: int, port: int) -> list[str]:
    config = Path(folder, f"{name}.toml")
    text = CONFIG.format(engine="http1", port=backend_port)
    config.write_text(text + '\n[storage]\npath = ":memory:"\n')
    more = ["--config", str(config), "--port", str(port), "--log-level", "warning"]
    return [sys.executable, "-m", "nexus_tui.cli", *more]


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 4.0
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        backend = stack.enter_context(process(sys.executable, "-c", BACKEND))
        assert backend.stdout is not None
        backend_port = int(re.sub(r"\D", "", backend.stdout.readline()))
        ports = free_port(), free_port()
        headless = _nexus(folder, "headless", backend_port, ports[0])
        screen = _nexus(folder, "screen", backend_port, ports[1])
        sides = (
            Side("headless", ports[0], stack.enter_context(process(*headless, "--no-ui")).pid),
            Side("dashboard", ports[1], stack.enter_context(on_a_terminal(*screen)).pid),
        )
        for side in sides:
            asyncio.run(wait_for(side.port))
        time.sleep(2)  # until the screen has settled
        for side in sides:
            asyncio.run(measure(side.port, 1))
        for number in range(ROUNDS):
            for side in sides if number % 2 else reversed(sides):
                side.take(seconds)
        for side in sides:
            side.report()
        without, with_screen = sides
        ratio = statistics.median(with_screen.per_cpu_second) / statistics.median(
            without.per_cpu_second
        )
        added = statistics.median(with_screen.p99) - statistics.median(without.p99)
        print(f"ratio     {ratio:7.2f} of the requests per CPU second (wanted: 0.90)")
        print(f"added     {added:7.2f} ms to p99 (wanted: 5 at most)")


if __name__ == "__main__":
    main()
