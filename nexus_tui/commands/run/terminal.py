"""Run a program in this terminal: its signals, stops and exit code are as if it ran alone."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any, TypeAlias

from nexus_tui.process.signals import SIGNAL_EXIT

# What `signal.getsignal` gives.
_Handler: TypeAlias = "Callable[[int, FrameType | None], Any] | int | signal.Handlers | None"

# A terminal sends these to the program as well, whose answer decides: they must do nothing here.
_OF_THE_TERMINAL = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP)
# These are sent to one process, and passed on.
_PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def run_program(words: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run it to its end; gives its exit code, 128+n after signal n.

    Raises:
        OSError: it can't be started.
    """
    passing = _Passing()
    before = {number: passing.take(number) for number in (*_OF_THE_TERMINAL, *_PASSED_ON)}
    try:
        # Handlers, unlike ignored signals, are not inherited by what is executed.
        program = subprocess.Popen(list(words), env=dict(environment))  # noqa: S603 - the user's
        passing.to(program.pid)
        status = _wait(program.pid)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    program.returncode = os.waitstatus_to_exitcode(status)
    code = program.returncode
    return code if code >= 0 else SIGNAL_EXIT - code


class _Passing:
    """Signals on their way to the program."""

    def __init__(self) -> None:
        self._pid: int | None = None
        self._early: list[int] = []

    def take(self, number: signal.Signals) -> _Handler:
        """Handle a signal from now on; gives what was done with it. An ignored one stays so."""
        before = signal.getsignal(number)
        if before is signal.SIG_IGN:
            return before
        signal.signal(number, self._pass if number in _PASSED_ON else _stay)
        return before

    def to(self, pid: int) -> None:
        self._pid = pid
        for number in self._early:
            os.kill(pid, number)

    def _pass(self, number: int, _: FrameType | None) -> None:
        if self._pid is None:
            self._early.append(number)
        else:
            os.kill(self._pid, number)  # not waited for yet, so the pid is still its own


def _stay(_: int, __: FrameType | None) -> None:
    """The program has heard it as well."""


def _wait(pid: int) -> int:
    """Its status once it has ended. While it is stopped, so is this: the shell takes over."""
    while True:
        _, status = os.waitpid(pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            return status
        os.kill(os.getpid(), signal.SIGSTOP)
        os.kill(pid, signal.SIGCONT)
