"""A pseudo-terminal with the `nexus` command on it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path

DEADLINE_SECONDS = 20
CONTROL = re.compile(rb"\x1b(?:\[[0-9;?<>=]*[a-zA-Z]|[()][A-Z0-9]|[=>])")


def _control() -> None:
    """In the child: its stdin becomes the controlling terminal of its session.

    Whoever runs the tests with nohup has SIGHUP ignored.
    """
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    """A pty with the command on it.

    With `is_controlling` SIGHUP comes when it is closed, and SIGINT by ctrl+c. `streams` puts other
    descriptors in the place of `stdout` and `stderr`.
    """

    def __init__(
        self,
        directory: Path,
        *arguments: str,
        program: tuple[str, ...] = ("-m", "nexus_tui.cli"),
        environ: Mapping[str, str] | None = None,
        is_controlling: bool = False,
        streams: Mapping[str, int] | None = None,
    ) -> None:
        command = [sys.executable, *program] if program[0].startswith("-") else [*program]
        streams = streams or {}
        self._master, slave = pty.openpty()
        self.resize(36, 120)
        home = str(directory)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "XDG_CONFIG_HOME": home,
            "XDG_DATA_HOME": home,
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            **(environ or {}),
        }
        try:
            self.process = subprocess.Popen(  # noqa: S603 - ours
                [*command, *arguments],
                stdin=slave,
                stdout=streams.get("stdout", slave),
                stderr=streams.get("stderr", slave),
                cwd=directory,
                env=environment,
                start_new_session=True,
                preexec_fn=_control if is_controlling else None,
            )
        finally:
            os.close(slave)

    def read_until_it_shows(self, mark: bytes) -> bytes:
        """Everything that was drawn so far, without control sequences."""
        drawn = b""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while mark not in (shown := CONTROL.sub(b"", drawn)):
            assert time.monotonic() < deadline, f"no {mark!r} on the screen: {shown!r}"
            if select.select([self._master], [], [], 0.1)[0]:
                drawn += os.read(self._master, 65536)
        return shown

    def bytes_within(self, seconds: float) -> bytes:
        """What is drawn meanwhile."""
        drawn = b""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self._master], [], [], left)[0]:
                drawn += os.read(self._master, 65536)
        return drawn

    def read_until_still(self, seconds: float) -> None:
        """Read until nothing is drawn for so long."""
        while self.bytes_within(seconds):
            pass

    def read_what_is_there(self) -> None:
        while select.select([self._master], [], [], 0)[0]:
            os.read(self._master, 65536)

    def resize(self, lines: int, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def close(self) -> None:
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    def read_to_the_end(self) -> bytes:
        """All that is drawn until nobody draws any more, control sequences included."""
        drawn = b""
        with contextlib.suppress(OSError):  # what Linux says of a pty without a process
            while part := os.read(self._master, 65536):
                drawn += part
        return drawn

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def end(self) -> None:
        """End what runs on it."""
        self.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
