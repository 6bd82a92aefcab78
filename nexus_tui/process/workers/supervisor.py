"""The supervisor of several workers: starts them, replaces who ends, and stops all in order."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import nexus_tui
from nexus_core.money.ledger import ledger_path
from nexus_core.money.ledger_schema import LedgerRow
from nexus_core.money.shared.journal import (
    journal_entries,
    keep_rows,
    make_journal,
    spent_at_end,
)
from nexus_core.observe.log_ring import LogRing
from nexus_core.state.base import StoreUnavailableError
from nexus_core.state.leases.recovery import Spent
from nexus_core.state.valkey.departure import tell_departure
from nexus_core.worker import Board, WorkerPlace, hub_socket, make_board
from nexus_core.workers.hub import Hub
from nexus_core.workers.sibling import SilentError
from nexus_tui.process.announce import announce
from nexus_tui.process.launch import url_of
from nexus_tui.process.signals import Signals
from nexus_tui.process.streams import say
from nexus_tui.process.workers.lines import LineWriter, forward_lines, is_file
from nexus_tui.process.workers.private_store import PrivateStore
from nexus_tui.process.workers.spec import READY, Spec, send_spec

if TYPE_CHECKING:
    from nexus_core.config.schema import Config
    from nexus_tui.process.launch import Launch

log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 10.0  # before one that ended is replaced
_GOOD_SECONDS = 10.0  # one that ran so long ended by something new
_MOST_FAILED_STARTS = 3  # before any worker served
_LAST_WORDS_SECONDS = 4.0  # beyond the grace time

# Without the folder of the user among the places that modules are found in.
_RUN = (
    "import sys; sys.path.insert(0, sys.argv.pop(2)); "
    "from nexus_tui.process.workers.worker import main; sys.exit(main())"
)
_PACKAGE_FOLDER = str(Path(nexus_tui.__file__).parents[1])


@dataclass(frozen=True, slots=True)
class Terms:
    """What workers are started with."""

    launch: Launch
    config: Config
    options: argparse.Namespace
    listener: socket.socket
    folder: Path  # for their sockets
    store: str | None  # the program of a private Valkey; None: [fleet] names a server


@dataclass(slots=True)
class Running:
    """A worker that runs."""

    number: int
    process: asyncio.subprocess.Process
    channel: socket.socket  # closed here, it ends
    journal: int  # the descriptor of its ledger's journal
    started_at: float  # monotonic seconds
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def pid(self) -> int:
        """Of its process."""
        return self.process.pid


class Supervisor:
    """Runs the workers of one port."""

    def __init__(self, terms: Terms, signals: Signals, ring: LogRing) -> None:
        self.code = 0  # the exit code, where it is not by a signal
        self.config = terms.config
        self.running: dict[int, Running] = {}
        self._terms = terms
        self._signals = signals
        self._ring = ring
        self._count = terms.config.server.workers
        self._board_file = make_board(self._count)
        self.board = Board(self._board_file, self._count)
        self._spent: dict[int, Spent | None] = {}  # by number, by the worker that was the last
        self._failed_starts = 0
        self._out = LineWriter()
        self.hub = Hub(terms.folder, ring)

    async def run(self) -> None:
        """Run until all workers have ended."""
        self._signals.take_over()
        stop = self._signals.stop
        try:
            store = await self._start_store()
        except OSError as error:
            say(f"the private Valkey of the workers does not start: {error}")
            self.code = 1
            return
        async with asyncio.TaskGroup() as tasks:
            helpers = self._start_helpers(tasks, store)
            keepers = [
                tasks.create_task(self._keep(number, tasks), name=f"worker-{number}")
                for number in range(1, self._count + 1)
            ]
            try:
                await self._all_ready()
                if not stop.is_set():
                    url = url_of(self._terms.listener)
                    announce(self._terms.launch, self.config, url, self._ring)
                    log.info("%d workers serve %s", self._count, url)
                await stop.wait()
                self._terms.listener.close()  # each worker closes its own
                self._tell_all(signal.SIGTERM)
                await self._wait_for_all(keepers)
            finally:
                self._tell_all(signal.SIGKILL)
                for helper in helpers:
                    helper.cancel()

    async def _start_store(self) -> PrivateStore | None:
        """Raises: OSError."""
        if self._terms.store is None:
            return None
        store = PrivateStore(self._terms.store, self._terms.folder)
        await store.start()
        return store

    def _start_helpers(
        self, tasks: asyncio.TaskGroup, store: PrivateStore | None
    ) -> list[asyncio.Task[None]]:
        helpers = [
            tasks.create_task(self._signals.watch_terminal(), name="terminal"),
            tasks.create_task(self._reload_on_hang_up(), name="hang-ups"),
            tasks.create_task(self._run_hub(), name="hub"),
        ]
        if store is not None:
            helpers.append(tasks.create_task(store.keep(), name="private-store"))
        return helpers

    async def _run_hub(self) -> None:
        """Answer for all workers until cancelled; whatever goes wrong there, those serve on."""
        while True:
            try:
                await self.hub.run(hub_socket(self._terms.folder))
            except Exception:
                log.exception("questions about all workers could not be answered; trying again")
            await asyncio.sleep(_LONGEST_PAUSE_SECONDS / 10)

    async def _all_ready(self) -> None:
        """Return once every worker serves, or all is to end."""
        while not self._signals.stop.is_set():
            ready = [running.ready.is_set() for running in self.running.values()]
            if len(ready) == self._count and all(ready):
                return
            await asyncio.sleep(0.01)

    async def _wait_for_all(self, keepers: list[asyncio.Task[None]]) -> None:
        server = self.config.server
        seconds = server.drain_seconds + server.shutdown_grace_seconds + _LAST_WORDS_SECONDS
        _, late = await asyncio.wait(keepers, timeout=seconds)
        if late:
            log.warning("%d workers did not end in time; killing them", len(late))

    # One worker -------------------------------------------------------------------------------

    async def _keep(self, number: int, tasks: asyncio.TaskGroup) -> None:
        """Run the worker of this number, and another one whenever it ends."""
        stop, pause = self._signals.stop, _FIRST_PAUSE_SECONDS
        while not stop.is_set():
            try:
                running = await self._start(number, tasks)
            except OSError as error:  # descriptors, memory or processes are short
                log.error("worker %d can't be started: %s", number, error)
                if not self._goes_on(was_ready=False):
                    return
                pause = await self._wait(pause)
                continue
            code = await running.process.wait()
            running.channel.close()
            del self.running[number]
            self.board.leave(number)
            rows = await asyncio.to_thread(self._take_over_rows, running)
            process = await self.hub.roster.leave(number, rows)
            if stop.is_set():
                return
            was_ready, lived = running.ready.is_set(), time.monotonic() - running.started_at
            if not self._goes_on(was_ready):
                return
            await self._tell_departure(process)
            pause = _FIRST_PAUSE_SECONDS if lived > _GOOD_SECONDS else pause
            self.hub.roster.restarts += 1
            log.warning(
                "worker %d (pid %d) %s; starting another in %.1f s",
                *(number, running.pid, _how_it_ended(code), pause),
            )
            pause = await self._wait(pause)

    async def _wait(self, pause: float) -> float:
        """Wait so many seconds, or for the end of all; gives the next pause."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._signals.stop.wait(), pause)
        return min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _tell_departure(self, process: str | None) -> None:
        """Have the others get at once what a worker held that is gone."""
        if process is None or self.config.fleet is None:
            return
        try:
            await tell_departure(self.config.fleet, process)
        except StoreUnavailableError as error:
            log.debug("the store did not hear that %s is gone: %s", process, error)

    def _take_over_rows(self, gone: Running) -> list[LedgerRow]:
        """The rows of a worker that is gone; those that it had no time to write are written."""
        entries, path = journal_entries(gone.journal), ledger_path(self.config)
        os.close(gone.journal)
        self._spent[gone.number] = spent_at_end(entries, self._spent.get(gone.number))
        rows = [entry.row for entry in entries]
        if path is not None:
            try:
                keep_rows(path, rows)
            except (sqlite3.Error, OSError) as error:
                log.warning("ledger %s: rows of worker %d are lost: %s", path, gone.number, error)
        return rows

    def _goes_on(self, was_ready: bool) -> bool:
        """Whether to try again: not where no worker ever could serve."""
        if was_ready:
            self._failed_starts = -sys.maxsize  # one could: it goes on for good
        self._failed_starts += 1
        if self._failed_starts < _MOST_FAILED_STARTS:
            return True
        say("no worker can be started; the lines above say why")
        self.code = 1
        self._signals.stop.set()
        return False

    async def _start(self, number: int, tasks: asyncio.TaskGroup) -> Running:
        """Raises: OSError."""
        ours, theirs = socket.socketpair()
        journal = -1
        listener = self._terms.listener.fileno()
        try:
            journal = make_journal()
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-c", _RUN, str(theirs.fileno()), _PACKAGE_FOLDER),
                f"nexus worker {number}",  # for those who list processes
                pass_fds=(listener, self._board_file, journal, theirs.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=None if is_file(sys.stderr) else subprocess.PIPE,
                start_new_session=True,  # ctrl+c in the terminal is for the supervisor
            )
        except BaseException:
            ours.close()
            if journal >= 0:
                os.close(journal)
            raise
        finally:
            theirs.close()
        running = Running(number, process, ours, journal, time.monotonic())
        self.running[number] = running
        if process.stderr is not None:
            tasks.create_task(forward_lines(process.stderr, self._out), name=f"lines-{number}")
        tasks.create_task(self._hand_over(running), name=f"start-{number}")
        return running

    async def _hand_over(self, running: Running) -> None:
        """Give a new worker what it runs with; then wait until it serves."""
        await self.hub.roster.learn()
        spec = self._spec(running)
        with suppress(OSError):  # it has ended, as its keeper sees
            await asyncio.to_thread(send_spec, running.channel, spec)
            running.channel.setblocking(False)
            said = await asyncio.get_running_loop().sock_recv(running.channel, 1)
            if said == READY:
                running.ready.set()
                self.hub.roster.join(running.number)

    def _spec(self, running: Running) -> Spec:
        terms = self._terms
        place = WorkerPlace(
            number=running.number,
            count=self._count,
            supervisor=os.getpid(),
            folder=terms.folder,
            journal=running.journal,
            spent=self._spent.get(running.number),
        )
        handover = self.hub.roster.handover
        return Spec(
            place=place,
            config=self.config if handover is None else handover.config,
            handover=handover,
            options=terms.options,
            log_level=terms.launch.log_level,
            log_format=terms.launch.log_format,
            listener=terms.listener.fileno(),
            board=self._board_file,
        )

    # All of them ------------------------------------------------------------------------------

    def _tell_all(self, number: signal.Signals) -> None:
        for running in self.running.values():
            if running.process.returncode is None:
                with suppress(ProcessLookupError):
                    running.process.send_signal(number)

    async def _reload_on_hang_up(self) -> None:
        """Have all workers read the configuration again at every SIGHUP."""
        while True:
            await self._signals.hung_up.wait()
            self._signals.hung_up.clear()
            with suppress(SilentError):
                await self.hub.commands.hang_up()  # the worker logs what came of it


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    names: Mapping[int, str] = {one.value: one.name for one in signal.Signals}
    return f"was ended by {names.get(-code, f'signal {-code}')}"
