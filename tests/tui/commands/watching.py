"""A twin with --watch, as a test reads it."""

from __future__ import annotations

import signal
import subprocess
import weakref
from pathlib import Path

from tests.contract.nexus_process import clean_environment
from tests.tui.process.test_cli import NEXUS, SECONDS


def _kill(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait()


class Watching:
    """Runs until it is ended; its output is read line by line."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - ours
            [*NEXUS, *arguments, "--watch", "0.1"],
            cwd=directory,
            env=clean_environment(directory),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        weakref.finalize(self, _kill, self.process)  # a test that failed did not end it

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def end(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGINT)
        _, stderr = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, stderr
