"""The `nexus` command: arguments, config and logging; the proxy with or without its dashboard."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nexus_core import __version__
from nexus_tui.commands import (
    attach,
    backends,
    check,
    completion,
    costs,
    explain,
    init,
    logs,
    requests,
    status,
)
from nexus_tui.commands.client import load
from nexus_tui.process.address import address, why_not_bound
from nexus_tui.process.crash_report import keep_trace, summary
from nexus_tui.process.signals import SIGNAL_EXIT, Signals
from nexus_tui.process.streams import give_up_on_closed_streams, is_terminal, say

# What --help and --version do not need is imported where it is used, and the dashboard only where
# there is one.
if TYPE_CHECKING:
    from nexus_core.config.schema import Config
    from nexus_core.gateway import Gateway
    from nexus_core.observe.log_ring import LogRing
    from nexus_tui.process.serving import ServerTask

log = logging.getLogger(__name__)

BAD_CONFIG = 2  # the exit code, also for an address that can't be used


_COMMANDS = (attach, explain, status, backends, requests, costs, logs, check, init)


@dataclass(frozen=True, slots=True)
class Launch:
    """How to run, once options, variables and terminal are known."""

    is_demo: bool
    is_headless: bool
    log_level: str
    log_format: str
    environ: Mapping[str, str] = field(repr=False)
    read: Callable[[Path | None], Config] = field(repr=False)  # the configuration, as it is now


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options, os.environ)
        return code
    except KeyboardInterrupt:
        return SIGNAL_EXIT + signal.SIGINT
    except Exception as error:  # noqa: BLE001 - the outermost edge: nobody should see a traceback
        say(f"{summary(error)}; {keep_trace(error)}")
        return 1
    finally:
        give_up_on_closed_streams()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nexus",
        description="One OpenAI-compatible endpoint for local inference servers and cloud APIs.",
        epilog="An option wins over its NEXUS_* variable, and that over the config file.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--no-ui", action="store_true", help="run without the dashboard")
    add("--demo", action="store_true", help="simulated backends and traffic: no keys, no network")
    add("--cloud", action="store_true", help="use the cloud keys that are set, below local servers")
    add("--config", type=Path, metavar="FILE", help="default: ./nexus.toml, then the user's own")
    add("--host", help="address to listen on (default 127.0.0.1)")
    add("--port", type=_port, help="port to listen on (default 8000; 0: any free one)")
    add("--log-level", type=str.lower, metavar="L", help="debug, info (default), warning, error")
    add("--log-format", type=str.lower, metavar="F", help="pretty (default) or json")
    add("--version", action="version", version=f"nexus {__version__}")
    parser.set_defaults(run=_run)
    commands = parser.add_subparsers(dest="command", title="commands")
    for command in _COMMANDS:
        command.add_command(commands, _port)
    completion.add_command(commands, parser)
    return parser


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 6 and int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError("not a port between 0 and 65535")


def _run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from nexus_tui.process.loop import hold_gc

    hold_gc()
    from nexus_core.errors import ConfigError

    problems: list[str] = []
    launch = _launch(options, environ, problems)
    try:
        config = _config(options, environ)
    except ConfigError as error:
        problems += error.lines
        config = None
    if config is None or problems:
        for problem in problems:
            say(problem, prefix="")
        return BAD_CONFIG
    if launch.is_headless and not options.no_ui:
        say("no terminal, running headless")
    from nexus_core.api.listen.server import bind
    from nexus_core.descriptors import raise_limit

    raise_limit()  # before anything depends on how many there are
    try:
        listener = bind(config.server.host, config.server.port)
    except OSError as error:
        say(why_not_bound(error, config.server.host, config.server.port))
        return BAD_CONFIG
    return _serve(launch, config, listener)


def _launch(options: argparse.Namespace, environ: Mapping[str, str], problems: list[str]) -> Launch:
    from nexus_tui.process.log_handlers import FORMATS
    from nexus_tui.view.log_filter import LEVELS

    def chosen(name: str, choices: tuple[str, ...], default: str) -> str:
        option = getattr(options, name)
        variable = f"NEXUS_{name.upper()}"
        value = str(option or environ.get(variable) or default).lower()
        if value not in choices:
            origin = f"--{name.replace('_', '-')}" if option else variable
            problems.append(f"{origin}: is not one of {', '.join(choices)}")
        return value

    level = chosen("log_level", LEVELS, "info")
    log_format = chosen("log_format", FORMATS, "pretty")
    is_headless = options.no_ui or not is_terminal(environ)
    read = partial(_config, options, environ)
    return Launch(options.demo, is_headless, level, log_format, environ, read)


def _config(
    options: argparse.Namespace, environ: Mapping[str, str], path: Path | None = None
) -> Config:
    """Read the configuration: of `path` if it is given, else of the file that is found."""
    from nexus_core.config.load import Overrides, load_config
    from nexus_tui.keymap.check import require_known_keys

    if path is not None:
        options = argparse.Namespace(**{**vars(options), "config": path})
    if options.config or not options.demo:
        config = load(options, environ)
    else:
        # The demo has backends of its own: only a file that is named is read for it.
        config = load_config(None, environ, Overrides(options.host, options.port))
    require_known_keys(config)
    return config


def _serve(launch: Launch, config: Config, listener: socket.socket) -> int:
    from nexus_core.observe.log_ring import LogRing
    from nexus_tui.process.log_handlers import log_to_memory, log_to_stderr
    from nexus_tui.process.loop import loop_factory

    ring = LogRing()
    if launch.is_headless:
        log_to_stderr(launch.log_level, launch.log_format, ring)
    else:
        log_to_memory(launch.log_level, ring)
    signals = Signals(launch.is_headless, config)
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
    from nexus_tui.process.loop import resume_gc
    from nexus_tui.process.serving import ServerTask

    signals.take_over()
    async with _fleet(launch, config) as config:
        ready, url = asyncio.Event(), _url(listener)
        server = ServerTask(config, listener, signals.stop, partial(_gateway, launch, ring))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.run(ready), name="server")
            hang_ups = tasks.create_task(_reload_on_hang_up(server, signals), name="hang-ups")
            await ready.wait()
            resume_gc()
            if launch.is_demo:
                tasks.create_task(_traffic(url, config, signals.stop), name="demo")
            _announce(launch, config, url, ring)
            if not launch.is_headless:
                await _show(launch, server, url, signals, ring)
            await signals.stop.wait()
            hang_ups.cancel()
            if in_flight := server.gateway.forwarder.in_flight:
                _tell(launch, ring, logging.INFO, f"draining {in_flight} …; ctrl+c to stop now")


def _is_zero_config(launch: Launch, config: Config) -> bool:
    return config.path is None and not launch.is_demo


def _gateway(launch: Launch, ring: LogRing, config: Config) -> Gateway:
    """A gateway that looks for servers where nothing is configured, and knows its file."""
    from nexus_core import discovery
    from nexus_core.config.load import FILE_NAME
    from nexus_core.control.config_file import ConfigControl, Configurable
    from nexus_core.discovery.new_config import config_text
    from nexus_core.gateway import Gateway, GatewayOptions

    def files(live: Configurable, found: discovery.Discovery | None) -> ConfigControl:
        def first(found: discovery.Discovery) -> tuple[Path, str]:
            text = config_text(found.results, found.cloud_keys, use_cloud=False)
            return Path(FILE_NAME), text

        write_first = None if found is None else partial(first, found)
        return ConfigControl(live, launch.read, launch.environ, write_first=write_first)

    looks = _is_zero_config(launch, config)
    options = GatewayOptions(
        is_demo=launch.is_demo,
        logs=ring,
        discover=partial(discovery.create, environ=launch.environ) if looks else None,
        files=None if launch.is_demo else files,  # its backends are in no file
    )
    return Gateway(config, options=options)


async def _reload_on_hang_up(server: ServerTask, signals: Signals) -> None:
    """Read the configuration again whenever SIGHUP says so; a refused one changes nothing."""
    from nexus_core.control.commands import ReloadConfig
    from nexus_core.errors import ConfigError, NexusError

    while True:
        await signals.hung_up.wait()
        signals.hung_up.clear()
        try:
            outcome = await server.gateway.operator.execute(ReloadConfig())
        except NexusError as error:
            cause = error.__cause__  # a record has one line, and no excerpt of the file
            why = str(cause) if isinstance(cause, ConfigError) else error.message
            log.warning("SIGHUP: the configuration is as it was: %s", why)
        else:
            log.info("SIGHUP: %s", "; ".join((outcome.message, *outcome.lines)))


@contextlib.asynccontextmanager
async def _fleet(launch: Launch, config: Config) -> AsyncGenerator[Config]:
    """The config to serve: with --demo, that of simulated backends which run meanwhile."""
    if not launch.is_demo:
        yield config
        return
    from nexus_core.demo.backends import DemoFleet

    async with DemoFleet() as fleet:
        yield fleet.config(config)


async def _traffic(url: str, config: Config, stop: asyncio.Event) -> None:
    from nexus_core.demo.traffic import run_traffic

    key = config.auth.api_keys[0].value.decode("ascii") if config.auth.api_keys else None
    await run_traffic(url, api_key=key, stop=stop)


async def _show(
    launch: Launch, server: ServerTask, url: str, signals: Signals, ring: LogRing
) -> None:
    """Show the dashboard; its end is the end of Nexus, its crash is not."""
    from nexus_tui.app import TerminalLostError
    from nexus_tui.process.dashboard import run_dashboard
    from nexus_tui.process.log_handlers import log_to_stderr
    from nexus_tui.sources.discovery_result import DiscoverySource
    from nexus_tui.sources.local import LocalSource

    address = url.removeprefix("http://")
    discovery = DiscoverySource(lambda: server.gateway) if server.gateway.discovery else None
    source = LocalSource(server.gateway, address, is_demo=launch.is_demo, discovery=discovery)
    server.watch_with(source)
    try:
        await run_dashboard(source, stop=signals.stop, logs=ring, server=server)
    except TerminalLostError:
        # A terminal that was closed sends SIGHUP, which ends Nexus; one that is merely gone does
        # not, and whoever uses the proxy should not notice.
        log.warning("the terminal is gone; the proxy goes on without it")
    except Exception as error:  # noqa: BLE001 - whatever the screen died of, the proxy goes on
        signals.is_headless = True
        log_to_stderr(launch.log_level, launch.log_format, ring)
        say(f"the dashboard: {summary(error)}; {keep_trace(error)}")
        if server.gateway.config.tui.on_crash == "exit":
            signals.end_code = 1
            signals.stop.set()
        else:
            say(f"the proxy goes on without it at {url}; ctrl+c to stop")
    else:
        signals.stop.set()
    finally:
        server.watch_with(None)


# What the user is told ----------------------------------------------------------------------------


def _announce(launch: Launch, config: Config, url: str, ring: LogRing) -> None:
    """Where it listens, what it read, and what is not as the file asks.

    The first two only where they can be seen: with the dashboard, what is said here is what the
    terminal shows again after it.
    """
    notes = [f"DEMO: simulated backends and traffic at {url}"] if launch.is_demo else []
    notes += [f"listening on {url}", _origin(launch, config), *config.notes]
    complaints = [backend.why for backend in config.unusable]
    if _is_zero_config(launch, config):
        notes += _offers(launch, config)
    elif not (config.backends or config.unusable):
        complaints.append("there is no backend; name one in the config file")
    for note in notes:
        if launch.is_headless:
            _tell(launch, ring, logging.INFO, note)
        else:
            _keep(ring, logging.INFO, note)
    for complaint in complaints:
        _tell(launch, ring, logging.WARNING, complaint)


def _offers(launch: Launch, config: Config) -> list[str]:
    """What Nexus does without a configuration, and what it could use and does not unasked."""
    from nexus_core.discovery.cloud import cloud_keys
    from nexus_core.discovery.local import TITLES, USUAL_PLACES

    ports = ", ".join(f"{TITLES[place.kind]} {place.port}" for place in USUAL_PLACES)
    used = {backend.type for backend in config.backends}
    keys = [key for key in cloud_keys(launch.environ) if key.is_set and key.type not in used]
    offers = [f"{key.variable} is set and not used; --cloud uses it" for key in keys]
    return [f"looking for local servers ({ports}); `nexus init` writes a config", *offers]


def _tell(launch: Launch, ring: LogRing, level: int, text: str) -> None:
    """A line for the user; a record where all of stderr is JSON."""
    if launch.is_headless and launch.log_format == "json":
        log.log(level, "%s", text)
    else:
        say(text)
        _keep(ring, level, text)


def _keep(ring: LogRing, level: int, text: str) -> None:
    """For whoever reads the log on a screen."""
    from nexus_core.observe.log_ring import LogLine
    from nexus_tui.text.escape import visible

    ring.add(LogLine(time.time(), logging.getLevelName(level).lower(), __name__, visible(text)))


def _origin(launch: Launch, config: Config) -> str:
    from nexus_core.config.load import search_path

    if config.path is not None:
        return f"config {config.path}"
    if launch.is_demo:
        return "no config file is read"
    looked = ", ".join(str(path) for path in search_path(Path.cwd()))
    return f"no config file found (looked for {looked})"


def _url(listener: socket.socket) -> str:
    """Where this machine reaches the server."""
    host, port = listener.getsockname()[:2]
    return f"http://{address(host, port)}"


if __name__ == "__main__":
    sys.exit(main())
