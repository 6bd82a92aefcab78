"""Plain twins of the screens, for scripts and screen readers: once or again and again, as text or
JSON."""

from __future__ import annotations

import argparse
import contextlib
import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nexus_tui.client import (
    NoAnswerError,
    add_target,
    find_running,
    get_json,
    json_text,
    run_with_config,
    understood,
    visible_json,
)
from nexus_tui.streams import say, show

if TYPE_CHECKING:
    from nexus_core.config import Config

SHOWN = 0  # the exit code

_WATCH_SECONDS = 2.0
_LONGEST_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Asked:
    """Where and what a twin asks; `get` is GET with the key of the configuration."""

    url: str
    config: Config
    options: argparse.Namespace

    def get(self, path: str, **query: str | int) -> Any:
        """The JSON of the answer.

        Raises:
            NoAnswerError: there is none.
        """
        return get_json(self.url, path, self.config, query)


@dataclass(frozen=True, slots=True)
class Twin:
    """One screen as text: what it asks for, and how that is written."""

    name: str
    help: str
    read: Callable[[Asked], Any]  # the JSON to show
    lines: Callable[[Any, Asked], Iterable[str]]  # of that JSON, with every text made safe
    is_tail: bool = False  # `read` gives what is new, and None where nothing is


def add_twin(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    port: Callable[[str], int],
    twin: Twin,
) -> argparse.ArgumentParser:
    """Declare the subcommand; `port` checks a port."""
    parser = commands.add_parser(
        twin.name,
        help=twin.help,
        description=f"{twin.help[:1].upper()}{twin.help[1:]}, from a running Nexus.",
        epilog="The exit code is 0 when it is shown, 2 when no Nexus answers.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--json", action="store_true", help="the whole answer as JSON; with --watch one a line")
    add(
        "--watch",
        nargs="?",
        type=_seconds,
        const=_WATCH_SECONDS,
        metavar="SECONDS",
        help="again and again, each time below the last (default: every 2 s); ctrl+c ends it",
    )
    add_target(parser, port)

    def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
        return run_with_config(options, environ, lambda config: _run(twin, options, config))

    parser.set_defaults(run=run)
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if 0.1 <= seconds <= _LONGEST_SECONDS:
        return seconds
    raise argparse.ArgumentTypeError("not a time of 0.1 seconds or more")


def _run(twin: Twin, options: argparse.Namespace, config: Config) -> int:
    asked = Asked(find_running(options.url, config), config, options)
    block = _block(twin, asked)
    if options.watch is None:
        for line in block:
            show(line)
        return SHOWN
    while _append(block):
        time.sleep(options.watch)
        block = _next_block(twin, asked)
    return SHOWN  # whoever read it has closed it


def _next_block(twin: Twin, asked: Asked) -> list[str]:
    """The next answer, however long it takes to come; that it is missing is told once."""
    is_lost = False
    while True:
        try:
            block = _block(twin, asked)
        except NoAnswerError as error:
            if not is_lost:
                say(f"{twin.name}: {error}; trying again")
            is_lost = True
            time.sleep(asked.options.watch)
        else:
            return block if asked.options.json or twin.is_tail else ["", *block]


def _block(twin: Twin, asked: Asked) -> list[str]:
    content = twin.read(asked)
    if content is None:
        return []
    if asked.options.json:
        return [json_text(content, indent=2 if asked.options.watch is None else None)]
    with understood():
        lines = list(twin.lines(visible_json(content), asked))
    if asked.options.watch is None or twin.is_tail:
        return lines
    return [time.strftime("%H:%M:%S"), *lines]


def _append(block: Sequence[str]) -> bool:
    """Write a block whole; False once nobody reads it."""
    if not all(show(line) for line in block):
        return False
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        return True
    return False


# Writing ------------------------------------------------------------------------------------------


def labelled(label: str, text: str) -> str:
    """A line of a list of facts."""
    return f" {label:<11} {text}".rstrip()


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with aligned columns, as wide as a terminal shows them."""
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) for column in zip(heads, *rows, strict=True)]
    return [
        " ".join(
            ["", *(cell + " " * (width - cell_len(cell) + 1) for cell, width in cells)]
        ).rstrip()
        for row in (heads, *rows)
        if (cells := list(zip(row, widths, strict=True)))
    ]
