"""Plain-text views of the dashboard's tabs, or JSON, for scripts and screen readers."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nexus_tui.commands.base.client import (
    find_running,
    get_json,
    get_told,
    json_text,
    understood,
    visible_json,
)
from nexus_tui.commands.base.subcommands import Subcommands
from nexus_tui.commands.base.target import add_target, run_with_config
from nexus_tui.commands.base.watch import add_watch, show_blocks

if TYPE_CHECKING:
    from nexus_core.config.schema import Config

SHOWN = 0  # the exit code


@dataclass(frozen=True, slots=True)
class Asked:
    """The target of a view; `get` is an authorized GET."""

    url: str
    config: Config
    options: argparse.Namespace

    def get(self, path: str, **query: str | int) -> Any:
        """The JSON of the answer.

        Raises:
            NoAnswerError: there is none.
        """
        return get_json(self.url, path, self.config, query)

    def told(self, path: str, **query: str | int) -> tuple[Any, str | None]:
        """The same, and the replica of a fleet that answers; None without a fleet."""
        return get_told(self.url, path, self.config, query)


@dataclass(frozen=True, slots=True)
class TextView:
    """A plain-text view of one tab: its calls and its format."""

    name: str
    help: str
    read: Callable[[Asked], Any]  # the JSON to show
    lines: Callable[[Any, Asked], Iterable[str]]  # of that JSON, with every text made safe
    twin_of: str  # what of the dashboard shows the same
    is_tail: bool = False  # with --watch `read` gives what is new, and None where nothing is
    rows: Callable[[Any], Iterable[Any]] | None = None  # what --watch --json has a line for


def add_text_view(
    commands: Subcommands,
    port: Callable[[str], int],
    view: TextView,
) -> argparse.ArgumentParser:
    """Declare the subcommand; `port` checks a port."""
    parser = commands.add_parser(
        view.name,
        help=view.help,
        description=f"{view.help[:1].upper()}{view.help[1:]}, from the running Nexus: the plain "
        f"twin of {view.twin_of}, for scripts, screen readers and TERM=dumb.",
        epilog="Exit code: 0 on success, 2 without a running Nexus.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--json", action="store_true", help="as JSON; with --watch one object per line")
    add_watch(parser)
    add_target(parser, port)

    def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
        return run_with_config(options, environ, lambda config: _run(view, options, config))

    parser.set_defaults(run=run)
    return parser


def add_limit(parser: argparse.ArgumentParser, most: int, help: str) -> None:  # noqa: A002
    """Declare -n and --limit: 1 to `most`, 50 unless it is given."""

    def limit(text: str) -> int:
        if text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) <= most:
            return int(text)
        raise argparse.ArgumentTypeError(f"not a number between 1 and {most}")

    parser.add_argument("-n", "--limit", type=limit, default=50, metavar="N", help=help)


def _run(view: TextView, options: argparse.Namespace, config: Config) -> int:
    asked = Asked(find_running(options.url, config), config, options)
    is_plain = not (options.json or view.is_tail)
    show_blocks(options, lambda: _block(view, asked), is_plain=is_plain)
    return SHOWN


def _block(view: TextView, asked: Asked) -> list[str]:
    content = view.read(asked)
    if content is None:
        return []
    if asked.options.json:
        if asked.options.watch is None:
            return [json_text(content)]
        with understood():
            rows = [content] if view.rows is None else view.rows(content)
            return [json_text(row, indent=None) for row in rows]
    with understood():
        return list(view.lines(visible_json(content), asked))


def both(words: Sequence[str], more: str) -> str:
    """One filter of the words of a command and its option: what matches each of them."""
    text = " ".join(words)
    return f"({text}) ({more})" if text and more else text or more


# Writing ------------------------------------------------------------------------------------------


def labelled(label: str, text: str) -> str:
    """A labelled line of text."""
    return f" {label:<11} {text}".rstrip()


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with aligned columns, as wide as a terminal shows them."""
    return Columns().lines((heads, *rows))


class Columns:
    """Columns of lines that come one after another: a longer cell makes its column wider."""

    def __init__(self) -> None:
        self._widths: list[int] = []

    def lines(self, rows: Sequence[Sequence[str]]) -> list[str]:
        """The rows as lines, aligned with each other, and with earlier ones as far as these fit."""
        from rich.cells import cell_len

        found = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
        before = self._widths or [0] * len(found)
        widths = self._widths = [max(pair) for pair in zip(before, found, strict=True)]
        return [
            " ".join(
                ["", *(cell + " " * (width - cell_len(cell) + 1) for cell, width in cells)]
            ).rstrip()
            for row in rows
            if (cells := list(zip(row, widths, strict=True)))
        ]
