"""Run the proxy, and its dashboard if there is one, side by side until one of them is done."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nexus_tui.process.address import address
from nexus_tui.process.console.charset import wants_ascii
from nexus_tui.process.crash_report import summary, write_crash_report
from nexus_tui.process.signals import Signals
from nexus_tui.process.streams import say, write_from_the_background

# What --help and --version do not need is imported where it is used, and the dashboard only where
# there is one.
if TYPE_CHECKING:
    from nexus_core.config.schema import Config
    from nexus_core.control.config_file import ConfigControl, Configurable
    from nexus_core.discovery import Discovery
    from nexus_core.discovery.watch import Discoverable
    from nexus_core.gateway import Gateway
    from nexus_core.observe.log_ring import LogRing
    from nexus_core.upstream.base import UpstreamEngine
    from nexus_core.worker import WorkerPlace
    from nexus_tui.process.screen import Screen
    from nexus_tui.process.serving import ServerTask
    from nexus_tui.sources.base import EventSource
    from nexus_tui.sources.local import LocalSource

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Launch:
    """Launch options: from the command line, the environment and the terminal."""

    is_demo: bool
    is_headless: bool
    log_level: str
    log_format: str
    environ: Mapping[str, str] = field(repr=False)
    read: Callable[[Path | None], Config] = field(repr=False)  # the configuration, as it is now

    def is_zero_config(self, config: Config) -> bool:
        """Whether nothing is configured, so that discovery runs."""
        return config.path is None and not self.is_demo


def serve(launch: Launch, config: Config, listener: socket.socket) -> int:
    """Serve on a bound socket until the end of the process; gives the exit code."""
    from nexus_core.observe.log_ring import LogRing
    from nexus_tui.process.logs.log_handlers import log_to_memory
    from nexus_tui.process.loop import loop_factory

    ring = LogRing()
    if launch.is_headless:
        launch = _headless(launch, ring)
    else:
        log_to_memory(launch.log_level, ring)
    signals = Signals(config)
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(_supervise(launch, config, listener, signals, ring))
    except asyncio.CancelledError:
        return signals.exit_code
    return signals.end_code


async def _supervise(
    launch: Launch,
    config: Config,
    listener: socket.socket,
    signals: Signals,
    ring: LogRing,
) -> None:
    """Run proxy and front end side by side until one of them is done."""
    from nexus_tui.process.announce import announce, report
    from nexus_tui.process.loop import resume_gc
    from nexus_tui.process.screen import Screen
    from nexus_tui.process.serving import ServerTask

    signals.take_over()
    async with _fleet(launch, config) as config:
        ready, url = asyncio.Event(), url_of(listener)
        server = ServerTask(config, listener, signals.stop, partial(make_gateway, launch, ring))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.run(ready), name="server")
            screen = Screen()
            waits = [
                tasks.create_task(_reload_on_hang_up(server, signals, screen), name="hang-ups"),
                tasks.create_task(signals.watch_terminal(), name="terminal"),
            ]
            await ready.wait()
            resume_gc()
            if launch.is_demo:
                tasks.create_task(_traffic(url, server.gateway, signals.stop), name="demo")
            announce(launch, config, url, ring)
            if not launch.is_headless:
                launch = await _show(launch, server, url, signals, ring, screen)
            await signals.stop.wait()
            for wait in waits:
                wait.cancel()
            if in_flight := server.gateway.forwarder.in_flight:
                report(launch, ring, logging.INFO, f"draining {in_flight} …; ctrl+c to stop now")


def make_gateway(
    launch: Launch, ring: LogRing, config: Config, *, worker: WorkerPlace | None = None
) -> Gateway:
    """Create the gateway, with its config file, and with discovery if nothing is configured."""
    from nexus_core.gateway import Gateway, GatewayOptions

    def files(live: Configurable, found: Discovery | None) -> ConfigControl:
        from nexus_core.config.load import FILE_NAME
        from nexus_core.control.config_file import ConfigControl
        from nexus_core.discovery.new_config import config_text

        def first(found: Discovery) -> tuple[Path, str]:
            text = config_text(found.results, found.cloud_keys, use_cloud=False)
            return Path(FILE_NAME), text

        write_first = None if found is None else partial(first, found)
        return ConfigControl(live, launch.read, launch.environ, write_first=write_first)

    def discover(live: Discoverable, engine: UpstreamEngine) -> Discovery:
        from nexus_core import discovery

        return discovery.create(live, engine, launch.environ)

    options = GatewayOptions(
        is_demo=launch.is_demo,
        logs=ring,
        discover=discover if launch.is_zero_config(config) else None,
        files=None if launch.is_demo else files,  # its backends are in no file
        worker=worker,
    )
    gateway = Gateway(config, options=options)
    gateway.captures.switch(launch.is_demo)  # whose bodies are made up
    return gateway


async def _reload_on_hang_up(server: ServerTask, signals: Signals, screen: Screen) -> None:
    """Reload the configuration at every SIGHUP, and tell; a rejected one changes nothing."""
    from nexus_core.control.commands import ReloadConfig
    from nexus_core.errors import ConfigError, NexusError
    from nexus_core.types import Actor, Via

    by = Actor(via=Via.SIGNAL, name="SIGHUP")
    while True:
        await signals.hung_up.wait()
        signals.hung_up.clear()
        try:
            outcome = await server.gateway.operator.execute(ReloadConfig(), by)
        except NexusError as error:  # the record of what operators did has logged it
            cause = error.__cause__  # a notice has one line, and no excerpt of the file
            why = str(cause) if isinstance(cause, ConfigError) else error.message
            screen.notice(f"SIGHUP: config not reloaded: {why}")
        else:
            screen.notice("; ".join((f"SIGHUP: {outcome.message}", *outcome.lines)))


@contextlib.asynccontextmanager
async def _fleet(launch: Launch, config: Config) -> AsyncGenerator[Config]:
    """The config to serve; with --demo that of simulated backends, which run in this context."""
    if not launch.is_demo:
        yield config
        return
    from nexus_core.demo.backends import DemoFleet

    async with DemoFleet() as fleet:
        yield fleet.config(config)


async def _traffic(url: str, gateway: Gateway, stop: asyncio.Event) -> None:
    from nexus_core.demo.keys import make_keys
    from nexus_core.demo.traffic import run_traffic

    configured = gateway.config.auth.api_keys
    if configured:
        await run_traffic(url, api_key=configured[0].value.decode("ascii"), stop=stop)
        return
    keys = await make_keys(gateway)
    await run_traffic(url, api_key=keys[0] if keys else None, keys=keys, stop=stop)


async def _show(
    launch: Launch,
    server: ServerTask,
    url: str,
    signals: Signals,
    ring: LogRing,
    screen: Screen,
) -> Launch:
    """Run the dashboard, whose end is the end of Nexus if its user says so; a crash is not.

    Gives the launch options that hold from then on.
    """
    from nexus_tui.app import TerminalLostError
    from nexus_tui.process.announce import report, serving_on
    from nexus_tui.process.dashboard import run_dashboard
    from nexus_tui.sources.local import LocalSource
    from nexus_tui.sources.local_discovery import LocalDiscovery

    address = url.removeprefix("http://")
    discovery = LocalDiscovery(lambda: server.gateway) if server.gateway.discovery else None
    source = LocalSource(server.gateway, address, is_demo=launch.is_demo, discovery=discovery)
    server.watch_with(source)
    try:
        async with _of_fleet(source, server.gateway.config, ring) as shown:
            await run_dashboard(
                shown,
                stop=signals.stop,
                logs=ring,
                server=server,
                screen=screen,
                draws_ascii=wants_ascii(source.config.tui.ascii, launch.environ),
            )
    except TerminalLostError:
        # Whoever uses the proxy should not notice, unless this was the process's own terminal.
        log.warning("terminal lost; the proxy keeps running without the dashboard")
        signals.screen_lost()
    except Exception as error:  # noqa: BLE001 - whatever the screen died of, the proxy goes on
        launch = _headless(launch, ring)
        say(f"dashboard: {summary(error)}; {write_crash_report(error)}")
        if server.gateway.config.tui.on_crash == "exit":
            signals.end_code = 1
            signals.stop.set()
        else:
            say(f"the proxy keeps running at {url}; ctrl+c to stop")
    else:
        if server.is_left and not signals.stop.is_set():
            launch = _headless(launch, ring)
            for line in serving_on(url):
                report(launch, ring, logging.INFO, line)
        else:
            signals.stop.set()
            _tell_problems(launch, ring)
    finally:
        server.watch_with(None)
    return launch


@contextlib.asynccontextmanager
async def _of_fleet(
    source: LocalSource, config: Config, logs: LogRing
) -> AsyncGenerator[EventSource]:
    """What the dashboard shows: this process, and of a fleet the other replicas as well."""
    roll = await source.roll()
    if roll is None:
        yield source
        return
    from nexus_tui.commands.base.client import authorization
    from nexus_tui.sources.fleet.opening import fleet_of

    fleet = fleet_of(source, roll, authorization(config), logs=logs)
    following = asyncio.ensure_future(fleet.run())
    try:
        yield fleet
    finally:
        following.cancel()
        await asyncio.wait([following])


def _tell_problems(launch: Launch, ring: LogRing) -> None:
    """Log warnings on the terminal while requests run out: whose end is cut short, and why."""
    from nexus_tui.process.logs.log_handlers import log_to_stderr

    if not launch.is_demo:  # whose backends fail by design
        level = "error" if launch.log_level == "error" else "warning"
        log_to_stderr(level, launch.log_format, ring)


def _headless(launch: Launch, ring: LogRing) -> Launch:
    """Log as without a dashboard from now on; gives the launch options that hold then."""
    from nexus_tui.process.logs.log_handlers import log_to_stderr

    log_to_stderr(launch.log_level, launch.log_format, ring)
    write_from_the_background()
    return replace(launch, is_headless=True)


def url_of(listener: socket.socket) -> str:
    """URL of the server on this machine."""
    host, port = listener.getsockname()[:2]
    return f"http://{address(host, port)}"
