"""Start several workers: what they need, and why they may not start."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import socket
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from nexus_core.money.ledger import LedgerHeldError, hold, ledger_path
from nexus_core.money.ledger_schema import NewerLedgerError
from nexus_core.observe.log_ring import LogRing
from nexus_tui.process.logs.log_handlers import log_to_stderr
from nexus_tui.process.loop import loop_factory
from nexus_tui.process.signals import Signals
from nexus_tui.process.streams import say, write_from_the_background
from nexus_tui.process.workers.private_store import (
    LONGEST_NAME,
    find_server,
    why_no_store,
    with_private_store,
)
from nexus_tui.process.workers.supervisor import Supervisor, Terms

if TYPE_CHECKING:
    from nexus_core.config.schema import Config
    from nexus_tui.process.launch import Launch

BAD_START = 2
_LONGEST_PATH = 103  # of a unix socket; macOS has the smallest limit


def why_not(launch: Launch, config: Config) -> str | None:
    """Why these options and this configuration can't have several workers; None: they can."""
    count = config.server.workers
    if launch.is_demo:
        return "--workers: the demo runs in one process; leave one of --demo and --workers out"
    if not launch.is_headless:
        return (
            f"{count} workers run without the dashboard: nexus --no-ui --workers {count}, "
            "and then nexus attach shows all of them"
        )
    return why_no_store(config)


def serve_workers(
    launch: Launch, config: Config, listener: socket.socket, options: argparse.Namespace
) -> int:
    """Serve on a bound socket with several workers until the end; gives the exit code."""
    ring = LogRing()
    log_to_stderr(launch.log_level, launch.log_format, ring)
    write_from_the_background()
    try:
        lock = _hold_ledger(config)
    except LedgerHeldError as error:
        say(f"the ledger {error}")
        return BAD_START
    try:
        folder = make_folder()
    except OSError as error:
        say(f"--workers: no folder for the sockets between them: {error}")
        return BAD_START
    signals = Signals(config)
    given = {name: value for name, value in vars(options).items() if name != "run"}
    store = None if config.fleet is not None else find_server()
    terms = Terms(
        launch=launch,
        config=config if store is None else with_private_store(config, folder),
        options=argparse.Namespace(**given),
        listener=listener,
        folder=folder,
        store=store,
    )
    supervisor = Supervisor(terms, signals, ring)
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(supervisor.run())
    except asyncio.CancelledError:
        return signals.exit_code
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)
    return supervisor.code or signals.end_code


def make_folder() -> Path:
    """A new folder, for its owner only, in which sockets can be.

    Raises:
        OSError: there can't be one.
    """
    folder = Path(tempfile.mkdtemp(prefix="nexus-"))
    if len(os.fsencode(folder / LONGEST_NAME)) > _LONGEST_PATH:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="nexus-", dir="/tmp"))
    return folder


def _hold_ledger(config: Config) -> int | None:
    """The lock of the ledger, which workers write to together; None: there is none to hold.

    Raises:
        LedgerHeldError: another Nexus writes to it.
    """
    path = ledger_path(config)
    try:
        return None if path is None else hold(path)
    except (OSError, sqlite3.Error, NewerLedgerError):
        return None  # each worker tries for itself, and says why it records nothing
