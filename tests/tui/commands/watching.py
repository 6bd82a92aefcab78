"""A twin with --watch, as a test reads it."""

from __future__ import annotations

import os
import signal
import weakref
from pathlib import Path

from tests.contract.nexus_process import clean_environment
from tests.forked import SECONDS, Process, start


def _kill(process: Process) -> None:
    process.kill()
    process.wait(SECONDS)


class Watching:
    """Runs until it is ended; its output is read line by line."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        shown, stdout = os.pipe()
        said, stderr = os.pipe()
        self.process = start(
            [*arguments, "--watch", "0.1"],
            cwd=directory,
            env=clean_environment(directory),
            stdout=stdout,
            stderr=stderr,
        )
        for fd in (stdout, stderr):
            os.close(fd)
        self.stdout = os.fdopen(shown, encoding="utf-8")
        self.stderr = os.fdopen(said, encoding="utf-8")
        # A test that failed did not end it.
        for clean_up in (self.stdout.close, self.stderr.close):
            weakref.finalize(self, clean_up)
        weakref.finalize(self, _kill, self.process)

    def line(self) -> str:
        return self.stdout.readline()

    def end(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(SECONDS), self.stderr.read()
