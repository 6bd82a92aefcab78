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
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nexus_core import __version__
from nexus_tui import explain
from nexus_tui.address import address, why_not_bound
from nexus_tui.client import load
from nexus_tui.commands import backends, check, completion, costs, init, requests, status
from nexus_tui.trace import keep_trace, summary

# What --help and --version do not need is imported where it is used, and the dashboard only where
# there is one.
if TYPE_CHECKING:
    from nexus_core.config import Config
    from nexus_core.gateway import Gateway

log = logging.getLogger(__name__)

BAD_CONFIG = 2  # the exit code, also for an address that can't be used
_SIGNAL_EXIT = 128  # plus the signal's number: ended at once by a second signal
_LAST_CHANCE_SECONDS = 1.0  # for the terminal to be restored after that


_COMMANDS = (explain, status, backends, requests, costs, check, init)


@dataclass(frozen=True, slots=True)
class Launch:
    """How to run, once options, variables and terminal are known."""

    is_demo: bool
    is_headless: bool
    log_level: str
    log_format: str
    environ: Mapping[str, str] = field(repr=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options, os.environ)
        return code
    except KeyboardInterrupt:
        return _SIGNAL_EXIT + signal.SIGINT
    except Exception as error:  # noqa: BLE001 - the outermost edge: nobody should see a traceback
        _say(f"{summary(error)}; {keep_trace(error)}")
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
        _say(why_not_bound(error, config.server.host, config.server.port))
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
    is_headless = options.no_ui or not _is_terminal(environ)
    return Launch(options.demo, is_headless, level, log_format, environ)


def _is_terminal(environ: Mapping[str, str]) -> bool:
    """Whether the dashboard can be drawn: it reads stdin and draws on stderr."""
    streams = (sys.stdin, sys.stderr)
    return environ.get("TERM") != "dumb" and all(s is not None and s.isatty() for s in streams)


def _config(options: argparse.Namespace, environ: Mapping[str, str]) -> Config:
    if options.config or not options.demo:
        return load(options, environ)
    # The demo has backends of its own: only a file that is asked for by name is read for it.
    from nexus_core.config_file import Overrides, load_config

    return load_config(None, environ, Overrides(options.host, options.port))


def _serve(launch: Launch, config: Config, listener: socket.socket) -> int:
    from nexus_tui.logs import log_to_memory, log_to_stderr
    from nexus_tui.loop import loop_factory

    if launch.is_headless:
        log_to_stderr(launch.log_level, launch.log_format)
    else:
        log_to_memory(launch.log_level)
    signals = Signals(launch)
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(_supervise(launch, config, listener, signals))
    except asyncio.CancelledError:
        return signals.exit_code
    return 0


async def _supervise(
    launch: Launch, config: Config, listener: socket.socket, signals: Signals
) -> None:
    """Run proxy and front end side by side until one of them is done."""
    from nexus_core import discovery
    from nexus_core.api.server import serve
    from nexus_core.gateway import Gateway
    from nexus_tui.loop import resume_gc

    signals.take_over()
    async with _fleet(launch, config) as config:
        gateway, ready = Gateway(config), asyncio.Event()
        if _is_zero_config(launch, config):
            gateway.discovery = discovery.create(gateway, gateway.engine, launch.environ)
        url = _url(listener)
        async with asyncio.TaskGroup() as tasks:
            serving = serve(gateway, listener, stop=signals.stop, ready=ready)
            tasks.create_task(serving, name="server")
            await ready.wait()
            resume_gc()
            if launch.is_demo:
                tasks.create_task(_traffic(url, config, signals.stop), name="demo")
            _announce(launch, config, url)
            if not launch.is_headless:
                await _show(launch, gateway, url, signals)
            await signals.stop.wait()
            if in_flight := gateway.forwarder.in_flight:
                _tell(launch, logging.INFO, f"draining {in_flight} …; ctrl+c to stop now")


def _is_zero_config(launch: Launch, config: Config) -> bool:
    return config.path is None and not launch.is_demo


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


async def _show(launch: Launch, gateway: Gateway, url: str, signals: Signals) -> None:
    """Show the dashboard; its end is the end of Nexus, its crash is not."""
    from nexus_tui.app import TerminalLostError
    from nexus_tui.logs import log_to_stderr
    from nexus_tui.run import run_dashboard
    from nexus_tui.source import LocalSource

    source = LocalSource(gateway, url.removeprefix("http://"), is_demo=launch.is_demo)
    try:
        await run_dashboard(source, stop=signals.stop)
    except TerminalLostError:
        # A terminal that was closed sends SIGHUP, which ends Nexus; one that is merely gone does
        # not, and whoever uses the proxy should not notice.
        log.warning("the terminal is gone; the proxy goes on without it")
    except Exception as error:  # noqa: BLE001 - whatever the screen died of, the proxy goes on
        signals.is_headless = True
        log_to_stderr(launch.log_level, launch.log_format)
        _say(f"the dashboard: {summary(error)}; {keep_trace(error)}")
        _say(f"the proxy goes on without it at {url}; ctrl+c to stop")
    else:
        signals.stop.set()


class Signals:
    """SIGINT and SIGTERM end Nexus in good order, a second one at once; SIGHUP with the screen."""

    def __init__(self, launch: Launch) -> None:
        self.stop = asyncio.Event()
        self.is_headless = launch.is_headless
        self.exit_code = 1
        self._task: asyncio.Task[object] | None = None

    def take_over(self) -> None:
        """Handle them on the running loop, for the task that calls this."""
        loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._end, number)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)

    def _end(self, number: int) -> None:
        if not self.stop.is_set():
            self.stop.set()
            return
        self.exit_code = _SIGNAL_EXIT + number
        loop = asyncio.get_running_loop()
        loop.call_later(_LAST_CHANCE_SECONDS, os._exit, self.exit_code)
        if self._task is not None:
            self._task.cancel()

    def _hang_up(self) -> None:
        if not self.is_headless:
            self.stop.set()
            return
        log.warning("SIGHUP ignored: reloading the config is not available")


# What the user is told ----------------------------------------------------------------------------


def _announce(launch: Launch, config: Config, url: str) -> None:
    """What is not as the file asks; headless, also where it listens and what it read.

    With the dashboard this is what the terminal shows again after it.
    """
    notes = [f"DEMO: simulated backends and traffic at {url}"] if launch.is_demo else []
    notes += [f"listening on {url}", _origin(launch, config)]
    complaints = [backend.why for backend in config.unusable]
    if _is_zero_config(launch, config):
        notes += _offers(launch, config)
    elif not (config.backends or config.unusable):
        complaints.append("there is no backend; name one in the config file")
    for note in notes if launch.is_headless else []:
        _tell(launch, logging.INFO, note)
    for complaint in complaints:
        _tell(launch, logging.WARNING, complaint)


def _offers(launch: Launch, config: Config) -> list[str]:
    """What Nexus does without a configuration, and what it could use and does not unasked."""
    from nexus_core.discovery.cloud import cloud_keys
    from nexus_core.discovery.local import TITLES, USUAL_PLACES

    ports = ", ".join(f"{TITLES[place.kind]} {place.port}" for place in USUAL_PLACES)
    used = {backend.type for backend in config.backends}
    keys = [key for key in cloud_keys(launch.environ) if key.is_set and key.type not in used]
    offers = [f"{key.variable} is set and not used; --cloud uses it" for key in keys]
    return [f"looking for local servers ({ports}); `nexus init` writes a config", *offers]


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


def _url(listener: socket.socket) -> str:
    """Where this machine reaches the server."""
    host, port = listener.getsockname()[:2]
    return f"http://{address(host, port)}"


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
