"""One of several workers: serves the port that its supervisor bound, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from nexus_core.api.listen.server import serve
from nexus_core.api.siblings.control import serve_control
from nexus_core.api.siblings.handover import take_over
from nexus_core.config.schema import Config
from nexus_core.descriptors import raise_limit
from nexus_core.observe.log_ring import LogRing
from nexus_core.worker import Board, Share
from nexus_tui.cli import launch_of
from nexus_tui.process.launch import Launch, make_gateway
from nexus_tui.process.logs.log_handlers import log_to_stderr
from nexus_tui.process.loop import hold_gc, loop_factory, resume_gc
from nexus_tui.process.signals import SIGNAL_EXIT
from nexus_tui.process.workers.private_store import end_private_store, leave_folder
from nexus_tui.process.workers.spec import READY, Spec, receive_spec

log = logging.getLogger(__name__)

_LAST_WORDS_SECONDS = 4.0  # beyond the grace time, for a worker whose supervisor is gone


def main() -> int:
    """Run the worker whose channel to the supervisor has the number of the first argument."""
    hold_gc()
    channel = socket.socket(fileno=int(sys.argv[1]))
    try:
        spec = receive_spec(channel)
    except EOFError:
        return 1
    raise_limit()
    ring = LogRing()
    log_to_stderr(spec.log_level, spec.log_format, ring, spec.place.number)
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(_serve(spec, channel, ring))
    except asyncio.CancelledError:
        return SIGNAL_EXIT + signal.SIGTERM
    finally:
        if os.getppid() != spec.place.supervisor:
            leave_folder(spec.place.folder)
    return 0


async def _serve(spec: Spec, channel: socket.socket, ring: LogRing) -> None:
    end = _End(spec, channel)
    share = Share(Board(spec.board, spec.place.count), spec.place.number)
    listener = socket.socket(fileno=spec.listener)
    launch = _launch(spec)
    gateway = make_gateway(launch, ring, spec.config, worker=spec.place)
    if spec.handover is not None:
        take_over(gateway, spec.handover)
    ready = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        served = asyncio.Event()
        tasks.create_task(serve_control(gateway, spec.place.control, served), name="control")
        server = tasks.create_task(
            serve(gateway, listener, stop=end.stop, ready=ready, share=share), name="server"
        )
        await ready.wait()
        resume_gc()
        channel.send(READY)
        await server
        served.set()
    if end.is_orphan:  # else the supervisor does it
        shutil.rmtree(spec.place.folder, ignore_errors=True)


def _launch(spec: Spec) -> Launch:
    """As the supervisor was started, and with what that added to the configuration."""
    launch = launch_of(spec.options, os.environ, [])

    def read(path: Path | None) -> Config:
        config = launch.read(path)
        fleet = config.fleet or spec.config.fleet
        return config.model_copy(update={"fleet": fleet})

    return replace(launch, read=read)


class _End:
    """The end of the worker: by SIGTERM, by a second one at once, or with its supervisor."""

    def __init__(self, spec: Spec, channel: socket.socket) -> None:
        """Handle signals on the running loop, and watch the channel."""
        self.stop = asyncio.Event()
        self.is_orphan = False  # the supervisor is gone
        self._spec = spec
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._loop.add_signal_handler(signal.SIGTERM, self._signalled)
        for other in (signal.SIGINT, signal.SIGHUP):
            signal.signal(other, signal.SIG_IGN)  # for the supervisor
        # In a thread: a loop that is stuck would not notice.
        threading.Thread(target=self._watch, args=(channel,), daemon=True).start()

    def _signalled(self) -> None:
        if self.stop.is_set() and self._task is not None:
            self._task.cancel()
        self.stop.set()

    def _watch(self, channel: socket.socket) -> None:
        """Drain and end when the supervisor is gone: nobody would replace or stop this one."""
        with suppress(OSError):
            channel.recv(1)  # nothing is sent: it returns when the other end is closed
        self.is_orphan = True
        end_private_store(self._spec.place.folder)
        try:
            self._loop.call_soon_threadsafe(self.stop.set)
        except RuntimeError:
            return  # it is over already
        server = self._spec.config.server
        time.sleep(server.drain_seconds + server.shutdown_grace_seconds + _LAST_WORDS_SECONDS)
        leave_folder(self._spec.place.folder)
        os._exit(1)
