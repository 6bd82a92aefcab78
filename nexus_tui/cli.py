"""The `nexus` command: arguments, config and logging; the proxy with or without its dashboard."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nexus_core import __version__
from nexus_tui import explain
from nexus_tui.signals import SIGNAL_EXIT, Signals

# What --help and --version do not need is imported where it is used, and the dashboard only where
# there is one.
if TYPE_CHECKING:
    from nexus_core.config import Config
    from nexus_tui.logs import Ring
    from nexus_tui.serving import LocalServer

log = logging.getLogger(__name__)

BAD_CONFIG = 2  # the exit code, also for an address that can't be used


@dataclass(frozen=True, slots=True)
class Launch:
    """How to run, once options, variables and terminal are known."""

    is_demo: bool
    is_headless: bool
    log_level: str
    log_format: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    options = _parser().parse_args(arguments)
    try:
        command = explain.run if options.command else _run
        return command(options, os.environ)
    except KeyboardInterrupt:
        return SIGNAL_EXIT + signal.SIGINT
    except Exception as error:  # noqa: BLE001 - the outermost edge: nobody should see a traceback
        _say(f"{_summary(error)}; {_keep_trace(error)}")
        return 1
    finally:
        _give_up_on_closed_streams()


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
    add("--config", type=Path, metavar="FILE", help="default: ./nexus.toml, then the user's own")
    add("--host", help="address to listen on (default 127.0.0.1)")
    add("--port", type=_port, help="port to listen on (default 8000; 0: any free one)")
    add("--log-level", type=str.lower, metavar="L", help="debug, info (default), warning, error")
    add("--log-format", type=str.lower, metavar="F", help="pretty (default) or json")
    add("--version", action="version", version=f"nexus {__version__}")
    explain.add_command(parser.add_subparsers(dest="command", title="commands"), _port)
    return parser


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 6 and int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError("not a port between 0 and 65535")


def _run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from nexus_tui.loop import hold_gc

    hold_gc()
    from nexus_core.errors import ConfigError

    problems: list[str] = []
    launch = _launch(options, environ, problems)
    try:
        config = _config(options, environ)
    except ConfigError as error:
        problems += error.problems
    if problems:
        for problem in problems:
            _print(problem)
        return BAD_CONFIG
    if launch.is_headless and not options.no_ui:
        _say("no terminal, running headless")
    from nexus_core.api.server import bind

    try:
        listener = bind(config.server.host, config.server.port)
    except OSError as error:
        _say(_why_not_bound(error, config.server.host, config.server.port))
        return BAD_CONFIG
    return _serve(launch, config, listener)


def _launch(options: argparse.Namespace, environ: Mapping[str, str], problems: list[str]) -> Launch:
    from nexus_tui.logs import FORMATS, LEVELS

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
    return Launch(options.demo, options.no_ui or not _is_terminal(environ), level, log_format)


def _is_terminal(environ: Mapping[str, str]) -> bool:
    """Whether the dashboard can be drawn: it reads stdin and draws on stderr."""
    streams = (sys.stdin, sys.stderr)
    return environ.get("TERM") != "dumb" and all(s is not None and s.isatty() for s in streams)


def _config(options: argparse.Namespace, environ: Mapping[str, str]) -> Config:
    from nexus_core.config_file import Overrides, find_config, load_config
    from nexus_tui.own_keys import require_known_keys

    # The demo has backends of its own: only a file that is asked for by name is read for it.
    is_found = options.config or not options.demo
    path = find_config(options.config, environ, Path()) if is_found else None
    config = load_config(path, environ, Overrides(options.host, options.port))
    require_known_keys(config)
    return config


def _serve(launch: Launch, config: Config, listener: socket.socket) -> int:
    from nexus_tui.logs import log_to_memory, log_to_stderr
    from nexus_tui.loop import loop_factory

    logs = None
    if launch.is_headless:
        log_to_stderr(launch.log_level, launch.log_format)
    else:
        logs = log_to_memory(launch.log_level)
    signals = Signals(launch.is_headless, config)
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(_supervise(launch, config, listener, signals, logs))
    except asyncio.CancelledError:
        return signals.exit_code
    return signals.end_code


async def _supervise(
    launch: Launch,
    config: Config,
    listener: socket.socket,
    signals: Signals,
    logs: Ring | None,
) -> None:
    """Run proxy and front end side by side until one of them is done."""
    from nexus_tui.loop import resume_gc
    from nexus_tui.serving import LocalServer

    signals.take_over()
    async with _fleet(launch, config) as config:
        ready, url = asyncio.Event(), _url(listener)
        server = LocalServer(config, listener, signals.stop)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.run(ready), name="server")
            await ready.wait()
            resume_gc()
            if launch.is_demo:
                tasks.create_task(_traffic(url, config, signals.stop), name="demo")
            _announce(launch, config, url)
            if not launch.is_headless:
                await _show(launch, server, url, signals, logs)
            await signals.stop.wait()
            if in_flight := server.gateway.forwarder.in_flight:
                _tell(launch, logging.INFO, f"draining {in_flight} …; ctrl+c to stop now")


@contextlib.asynccontextmanager
async def _fleet(launch: Launch, config: Config) -> AsyncIterator[Config]:
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
    launch: Launch, server: LocalServer, url: str, signals: Signals, logs: Ring | None
) -> None:
    """Show the dashboard; its end is the end of Nexus, its crash is not."""
    from nexus_tui.app import TerminalLostError
    from nexus_tui.logs import log_to_stderr
    from nexus_tui.run import run_dashboard
    from nexus_tui.source import LocalSource

    address = url.removeprefix("http://")
    source = LocalSource(server.gateway, address, is_demo=launch.is_demo)
    server.watch_with(source)
    try:
        await run_dashboard(source, stop=signals.stop, logs=logs, server=server)
    except TerminalLostError:
        # A terminal that was closed sends SIGHUP, which ends Nexus; one that is merely gone does
        # not, and whoever uses the proxy should not notice.
        log.warning("the terminal is gone; the proxy goes on without it")
    except Exception as error:  # noqa: BLE001 - whatever the screen died of, the proxy goes on
        signals.is_headless = True
        log_to_stderr(launch.log_level, launch.log_format)
        _say(f"the dashboard: {_summary(error)}; {_keep_trace(error)}")
        if server.gateway.config.tui.on_crash == "exit":
            signals.end_code = 1
            signals.stop.set()
        else:
            _say(f"the proxy goes on without it at {url}; ctrl+c to stop")
    else:
        signals.stop.set()
    finally:
        server.watch_with(None)


# What the user is told ----------------------------------------------------------------------------


def _announce(launch: Launch, config: Config, url: str) -> None:
    """What is not as the file asks; headless, also where it listens and what it read.

    With the dashboard this is what the terminal shows again after it.
    """
    notes = [f"DEMO: simulated backends and traffic at {url}"] if launch.is_demo else []
    notes += [f"listening on {url}", _origin(launch, config)]
    for note in notes if launch.is_headless else []:
        _tell(launch, logging.INFO, note)
    complaints = [backend.why for backend in config.unusable] + list(config.warnings)
    if not (config.backends or config.unusable):
        complaints.append("there is no backend; name one in the config file")
    for complaint in complaints:
        _tell(launch, logging.WARNING, complaint)


def _tell(launch: Launch, level: int, text: str) -> None:
    """A line for the user; a record where all of stderr is JSON."""
    if launch.is_headless and launch.log_format == "json":
        log.log(level, "%s", text)
    else:
        _say(text)


def _origin(launch: Launch, config: Config) -> str:
    from nexus_core.config_file import search_path

    if config.path is not None:
        return f"config {config.path}"
    if launch.is_demo:
        return "no config file is read"
    looked = ", ".join(str(path) for path in search_path(Path.cwd()))
    return f"no config file found (looked for {looked})"


def _why_not_bound(error: OSError, host: str, port: int) -> str:
    address = _address(host, port)
    if isinstance(error, socket.gaierror):
        return f"{address}: the host is not known; choose another with --host"
    match error.errno:
        case errno.EADDRINUSE:
            found = explain.what_answers(explain.local_url(host, port), 1)
            owner = " by another Nexus" if found == "nexus" else ""
            mend = "choose another with --port, or stop what listens there"
            return f"{address} is in use{owner}; {mend}"
        case errno.EACCES | errno.EPERM:
            return f"{address} is not allowed to this user; choose a port above 1023 with --port"
        case errno.EADDRNOTAVAIL:
            return f"{address} is not an address of this machine; choose another with --host"
    return f"{address} can't be used: {error.strerror}"


def _url(listener: socket.socket) -> str:
    """Where this machine reaches the server."""
    host, port = listener.getsockname()[:2]
    return f"http://{_address(host, port)}"


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _summary(error: BaseException) -> str:
    """What it died of, in a line; of a group, its first part."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"ended by an unexpected {type(error).__name__}"


def _keep_trace(error: BaseException) -> str:
    """Write the traceback to a file that only the user can read; says where."""
    import traceback

    import platformdirs

    stamp = time.strftime("%Y%m%d-%H%M%S")
    directory = platformdirs.user_log_path("nexus", appauthor=False)
    path = directory / f"crash-{stamp}-{os.getpid()}.txt"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            traceback.print_exception(error, file=file)
    except OSError as problem:
        return f"the trace could not be written to {path}: {problem.strerror}"
    return f"the trace is in {path}"


def _say(text: str) -> None:
    _print(f"nexus: {text}")


def _print(text: str) -> None:
    from nexus_tui.untrusted import visible

    # A closed stderr is no reason to end a proxy.
    with contextlib.suppress(OSError, ValueError):
        print(visible(text), file=sys.stderr, flush=True)


def _give_up_on_closed_streams() -> None:
    """Keep what a closed terminal or pipe did not take from changing the exit code.

    https://docs.python.org/3/library/signal.html#note-on-sigpipe
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except AttributeError:
            continue  # closed before Python started: there is no stream
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    sys.exit(main())
