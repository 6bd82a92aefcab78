"""The `nexus` command: arguments, config, logging; proxy with or without the dashboard."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from nexus_core import __version__
from nexus_tui.commands.base.subcommands import MainParser, SubcommandParser, add_ascii
from nexus_tui.commands.base.target import load
from nexus_tui.process.address import why_not_bound
from nexus_tui.process.console.charset import (
    ASCII_VARIABLE,
    fault_of_variable,
    wants_ascii,
    write_ascii,
)
from nexus_tui.process.console.terminal import why_headless
from nexus_tui.process.crash_report import summary, write_crash_report
from nexus_tui.process.launch import Launch, serve
from nexus_tui.process.signals import SIGNAL_EXIT
from nexus_tui.process.streams import give_up_on_closed_streams, say

# What --help and --version do not need is imported where it is used.
if TYPE_CHECKING:
    from nexus_core.config.schema import Config

BAD_CONFIG = 2  # the exit code, also for an address that can't be used


# Instead of the dashboard, where there is a terminal but none for it.
_INSTEAD = {
    "TERM=dumb": "; plain text: nexus status, backends, requests, request, costs, logs, explain",
    "in the background": "; nexus attach shows the dashboard",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    try:
        options = _options(arguments)
        environ: Mapping[str, str] = os.environ
        if options.ascii:
            environ = {**environ, ASCII_VARIABLE: "true"}
        if wants_ascii("auto", environ):
            write_ascii()
        code: int = options.run(options, environ)
        return code
    except KeyboardInterrupt:
        return SIGNAL_EXIT + signal.SIGINT
    except Exception as error:  # noqa: BLE001 - the outermost edge: nobody should see a traceback
        say(f"{summary(error)}; {write_crash_report(error)}")
        return 1
    finally:
        give_up_on_closed_streams()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What was asked for; a start that names no command comes by without importing them."""
    with suppress(_MoreIsAskedError):
        return _parser(_StartParser).parse_args(arguments)
    parser = _parser(MainParser)
    _add_commands(parser)
    options = parser.parse_args(arguments)
    if options.no_ui and options.command is not None:
        parser.error(f"--no-ui starts a Nexus and means nothing to {options.command}; leave it out")
    return options


class _MoreIsAskedError(Exception):
    """The words have more than the options of a start, or a fault."""


class _StartParser(argparse.ArgumentParser):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, add_help=False)

    def error(self, message: str) -> NoReturn:
        raise _MoreIsAskedError(message)


_AnyParser = TypeVar("_AnyParser", MainParser, _StartParser)


def _parser(kind: type[_AnyParser]) -> _AnyParser:
    """The parser of `nexus` without its commands."""
    parser = kind(
        prog="nexus",
        description="One endpoint for local inference servers and cloud APIs, for clients of "
        "OpenAI, Anthropic, Google and Ollama.",
        epilog="Without the dashboard (TERM=dumb, screen readers, scripts): status, backends, "
        "requests, request, costs, logs and explain show what its tabs do, as plain text or JSON. "
        "Precedence: option, NEXUS_* variable, config file.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--no-ui", action="store_true", help="run without the dashboard")
    add("--demo", action="store_true", help="simulated backends and traffic: no keys, no network")
    add(
        "--cloud",
        action="store_true",
        help="use cloud keys from the environment, after local servers",
    )
    add(
        "--config",
        type=Path,
        metavar="FILE",
        help="config file (default: ./nexus.toml, then the user's)",
    )
    add("--host", help="address to listen on (default 127.0.0.1)")
    add("--port", type=_port, help="port to listen on (default 8000; 0: any free port)")
    add(
        "--workers",
        type=_workers,
        metavar="N",
        help="with --no-ui: processes that serve the port together (default 1)",
    )
    add(
        "--log-level",
        type=str.lower,
        metavar="L",
        help="log level: debug, info (default), warning, error",
    )
    add("--log-format", type=str.lower, metavar="F", help="log format: pretty (default) or json")
    add("--ascii", action="store_true", help="ASCII characters only (default: by the locale)")
    add("--version", action="version", version=f"nexus {__version__}")
    parser.set_defaults(run=_run, command=None)
    return parser


def _add_commands(parser: MainParser) -> None:
    from nexus_tui.commands import (
        attach,
        backends,
        check,
        completion,
        costs,
        explain,
        fleet,
        init,
        logs,
        request,
        requests,
        status,
    )
    from nexus_tui.commands.keys import command as keys
    from nexus_tui.commands.run import command as run_program

    parser.programs = run_program.NAMES
    commands = parser.add_subparsers(
        dest="command", title="commands", metavar="COMMAND", parser_class=SubcommandParser
    )
    for command in (
        *(attach, run_program, explain, status, backends, requests, request, costs, logs, keys),
        *(fleet, check, init),
    ):
        command.add_command(commands, _port)
    completion.add_command(commands, parser)
    for command_parser in commands.choices.values():
        add_ascii(command_parser)


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 6 and int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError("not a port between 0 and 65535")


def _workers(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 3 and 1 <= int(text) <= 64:
        return int(text)
    raise argparse.ArgumentTypeError("not a number between 1 and 64")


def _run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from nexus_tui.process.loop import hold_gc

    hold_gc()
    from nexus_core.errors import ConfigError

    problems: list[str] = []
    launch = launch_of(options, environ, problems)
    try:
        config = _config(options, environ)
    except ConfigError as error:
        problems += error.lines
        config = None
    if config is None or problems:
        for problem in problems:
            say(problem, prefix="")
        return BAD_CONFIG
    if config.server.workers > 1:
        from nexus_tui.process.workers.command import why_not

        if (fault := why_not(launch, config)) is not None:
            say(fault)
            return BAD_CONFIG
    if not options.no_ui and (why := why_headless(environ)) is not None:
        say(f"{why}, running headless{_INSTEAD.get(why, '')}")
    from nexus_core.api.listen.server import bind
    from nexus_core.descriptors import raise_limit

    raise_limit()  # before anything depends on how many there are
    try:
        listener = bind(config.server.host, config.server.port)
    except OSError as error:
        say(why_not_bound(error, config.server.host, config.server.port))
        return BAD_CONFIG
    if config.server.workers == 1:
        return serve(launch, config, listener)
    from nexus_tui.process.workers.command import serve_workers

    return serve_workers(launch, config, listener, options)


def launch_of(
    options: argparse.Namespace, environ: Mapping[str, str], problems: list[str]
) -> Launch:
    """The launch options; what is wrong with them is appended to the problems."""
    from nexus_tui.process.logs.log_handlers import FORMATS
    from nexus_tui.view.log_levels import LEVELS

    def chosen(name: str, choices: tuple[str, ...], default: str) -> str:
        option = getattr(options, name)
        variable = f"NEXUS_{name.upper()}"
        value = str(option or environ.get(variable) or default).lower()
        if value not in choices:
            origin = f"--{name.replace('_', '-')}" if option else variable
            problems.append(f"{origin}: is not one of {', '.join(choices)}")
        return value

    if (fault := fault_of_variable(environ)) is not None:
        problems.append(fault)
    level = chosen("log_level", LEVELS, "info")
    log_format = chosen("log_format", FORMATS, "pretty")
    is_headless = options.no_ui or why_headless(environ) is not None
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
        # The demo has backends of its own: only a file that is named is read for it, but for the
        # looks of the dashboard.
        from nexus_tui.process.demo_look import with_own_look

        overrides = Overrides(options.host, options.port, options.workers)
        config = load_config(None, environ, overrides)
        config = with_own_look(config, environ, Path.cwd())
    require_known_keys(config)
    return config


if __name__ == "__main__":
    sys.exit(main())
