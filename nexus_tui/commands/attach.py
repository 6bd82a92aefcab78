"""`nexus attach URL`: the dashboard of another running Nexus."""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nexus_tui.commands.base.client import authorization, find_running
from nexus_tui.commands.base.errors import BAD, NoAnswerError
from nexus_tui.commands.base.listener import require_nexus
from nexus_tui.commands.base.subcommands import Subcommands
from nexus_tui.commands.base.target import root_url
from nexus_tui.process.console.charset import wants_ascii
from nexus_tui.process.console.terminal import why_headless
from nexus_tui.process.streams import say

# `nexus --help` comes by here: what only a screen needs is imported where it is used.
if TYPE_CHECKING:
    from nexus_core.observe.log_ring import LogRing
    from nexus_tui.sources.fleet.source import FleetSource
    from nexus_tui.sources.remote import RemoteSource

_TERMINAL_LOST = 1  # the exit code; BAD: the screen was never opened
_OWN = "here: "  # before the loggers of this process; the other lines are the server's


def add_command(commands: Subcommands, port: Callable[[str], int]) -> None:
    """Declare the subcommand; it takes a URL, and so no port."""
    parser = commands.add_parser(
        "attach",
        help="dashboard of a running Nexus",
        description="Show the dashboard of a running Nexus, of a fleet with all replicas. Sends "
        "the key in NEXUS_ADMIN_KEY, or else the first of NEXUS_API_KEYS, if set.",
        epilog="Over ssh, forward the port (ssh -L) and attach to it locally.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "url",
        nargs="?",
        type=root_url,
        metavar="URL",
        help="URL or HOST:PORT of the Nexus (default: the configured host and port)",
    )
    parser.add_argument("--read-only", action="store_true", help="read-only dashboard")
    only = parser.add_mutually_exclusive_group()
    only.add_argument(
        "--through",
        action="store_true",
        help="of a fleet: ask the other replicas through this one, where they can't be reached",
    )
    only.add_argument(
        "--only", action="store_true", help="of a fleet: this replica alone, not the others"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Attach until the user quits; gives the exit code."""
    from nexus_core.config.load import Overrides, load_config
    from nexus_core.errors import ConfigError

    if (why := why_headless(environ)) is not None:
        say(f"attach: {why}; nexus status, backends, requests and logs work without the dashboard")
        return BAD
    try:
        config = load_config(None, environ, Overrides(None, None))
    except ConfigError as error:
        for problem in error.problems:
            say(f"attach: {problem}")
        return BAD

    try:
        url = options.url or _configured_url(environ)
        require_nexus(url, config.server.connect_timeout_seconds)
    except NoAnswerError as error:
        say(f"attach: {error}")
        return BAD

    from nexus_core.observe.log_ring import LogRing
    from nexus_tui.process.logs.log_handlers import log_to_memory
    from nexus_tui.process.loop import loop_factory

    logs = LogRing()
    log_to_memory("info", logs, _OWN)
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(
            _attach(
                url,
                authorization(config),
                logs,
                fleet=_Fleet(options.only, options.through),
                is_read_only=options.read_only,
                draws_ascii=wants_ascii("auto", environ),
            )
        )


def _configured_url(environ: Mapping[str, str]) -> str:
    """Where the Nexus of this folder's configuration listens, as the other commands find it.

    Raises:
        NoAnswerError: nobody answers there, or the configuration would be refused.
    """
    from nexus_core.config.load import Overrides, find_config, load_config
    from nexus_core.errors import ConfigError

    try:
        config = load_config(find_config(None, environ, Path()), environ, Overrides(None, None))
    except ConfigError as error:
        raise NoAnswerError(f"{error.problems[0]}; or name the URL") from error
    return find_running(None, config)


class _Fleet(NamedTuple):
    """What of a fleet is shown, and how it is reached."""

    only_one: bool
    is_through: bool


async def _attach(
    url: str,
    key: str | None,
    logs: LogRing,
    *,
    fleet: _Fleet,
    is_read_only: bool,
    draws_ascii: bool,
) -> int:
    from nexus_tui.app import TerminalLostError
    from nexus_tui.process.dashboard import run_dashboard
    from nexus_tui.sources.remote import RemoteSource
    from nexus_tui.sources.remote_http import RemoteError

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with RemoteSource(url, key, is_read_only=is_read_only, logs=logs) as source:
        try:
            await source.connect()
        except RemoteError as error:
            say(f"attach: {url}: {error}")
            return BAD
        shown = None if fleet.only_one else await _fleet(source, url, key, logs, fleet)
        async with asyncio.TaskGroup() as tasks:
            links = [tasks.create_task(source.run(), name="link")]
            if shown is not None:
                links.append(tasks.create_task(shown.run(), name="fleet"))
                await shown.settle()
            try:
                await run_dashboard(shown or source, stop=stop, logs=logs, draws_ascii=draws_ascii)
            except TerminalLostError:
                return _TERMINAL_LOST
            finally:
                for link in links:
                    link.cancel()
    return 0


async def _fleet(
    source: RemoteSource, url: str, key: str | None, logs: LogRing, fleet: _Fleet
) -> FleetSource | None:
    """The fleet that it is a replica of; None: it is in none, or too old to tell."""
    from nexus_core.errors import NexusError
    from nexus_tui.sources.fleet.opening import fleet_of

    try:
        roll = await source.roll()
    except NexusError:
        return None  # what is wrong with the link is told on the screen
    if roll is None:
        return None
    through = url if fleet.is_through else None
    read_only = source.is_read_only
    return fleet_of(source, roll, key, logs=logs, through=through, is_read_only=read_only)
