"""`nexus logs`: recent log lines of a running Nexus as plain text, oldest first."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from nexus_core.observe.log_ring import LogLine
from nexus_tui.commands.base.client import understood
from nexus_tui.commands.base.replicas import Replicas, add_only, named
from nexus_tui.commands.base.subcommands import Subcommands
from nexus_tui.commands.base.text_view import Asked, TextView, add_limit, add_text_view, both
from nexus_tui.view.log_levels import LEVELS

_MAX_LIMIT = 2000  # as many are kept


def add_command(commands: Subcommands, port: Callable[[str], int]) -> None:
    """Declare the subcommand; `port` checks a port."""
    reader = _Reader()
    view = TextView(
        "logs",
        "recent log lines, oldest first",
        reader.read,
        reader.lines,
        "the Logs tab",
        is_tail=True,
    )
    parser = add_text_view(commands, port, view)
    add = parser.add_argument
    add_only(parser)
    add_limit(parser, _MAX_LIMIT, "start with the last N lines (default: 50)")
    add("--level", choices=LEVELS, default=LEVELS[0], help="minimum level")
    add(
        "words",
        nargs="*",
        type=_filter,
        metavar="FILTER",
        help="show only what matches: words of the logger and the text, level:warning, "
        "logger:ledger, id:79f1, last:5m; or, ! and parentheses; docs/filter.md has the table",
    )
    add("--filter", type=_filter, default="", metavar="TEXT", help="the same")


def _filter(text: str) -> str:
    from nexus_tui.view.log_filter import parse_log_filter

    if (problem := parse_log_filter(text).problem) is not None:
        raise argparse.ArgumentTypeError(problem)
    return text


class _Reader:
    """Asks for what came since it asked last."""

    def __init__(self) -> None:
        self._fleet: Replicas | None = None
        self._first = ""  # the replica at the command's URL; empty without a fleet
        self._last: dict[str, str] = {}  # the id to go on from, by replica
        self._day = ""  # of the line that was shown last

    def _after(self, name: str) -> dict[str, str]:
        return {"after": self._last[name]} if name in self._last else {}

    def read(self, asked: Asked) -> Any:
        """The answer with those lines only that match; None where a later one holds no line."""
        from nexus_tui.view.log_filter import LogFilter, parse_log_filter

        options, is_first = asked.options, self._fleet is None
        wanted = LogFilter(options.level, parse_log_filter(both(options.words, options.filter)))
        is_all = wanted == LogFilter() and is_first
        asked_for = options.limit if is_all else _MAX_LIMIT
        content, here = asked.told("/nexus/logs", limit=asked_for, **self._after(self._first))
        if self._fleet is None:
            self._first = here if here is not None and not options.only else ""
            self._fleet = Replicas(asked, here)
        fleet = self._fleet

        def ask(name: str, one: Asked) -> Any:
            told = content
            if one is not asked:
                told = one.get("/nexus/logs", limit=asked_for, **self._after(name))
            with understood():
                self._last[name] = str(told["last"])
            return told

        told = [*fleet.ask(fleet.find(), ask)]
        with understood():
            lines = [line for name, content in told for line in named(content["lines"], name)]
            found = [line for line in lines if wanted.matches(_line(line))]
            skipped = sum(int(content.get("skipped") or 0) for _, content in told)
        if fleet.is_fleet:
            found.sort(key=lambda line: float(line["at"]))
        if not (is_first or found or skipped):
            return None
        shown = found[-options.limit :] if is_first else found
        return {**told[0][1], "skipped": skipped, "lines": shown}

    def lines(self, content: Any, asked: Asked) -> list[str]:
        """One line each, the date where a day begins; what tells that some are missing is first."""
        from nexus_tui.text.numbers import clock, count, date

        found: list[str] = []
        for line in content["lines"]:
            at = float(line["at"])
            if (day := date(at)) != self._day:
                found += [f" {day}"] if self._day else []
                self._day = day
            replica = f"{line['replica']}  " if line.get("replica") else ""
            text = f"{line['level']:<8}  {replica}{line['text']}  logger={line['logger']}"
            found.append(f" {clock(at)}  {text}")
        if not found and asked.options.watch is None:
            return [" no line"]
        skipped = content.get("skipped")
        return [f" {count(int(skipped))} lines skipped", *found] if skipped else found


def _line(told: Any) -> LogLine:
    level, logger, text = (str(told[name]) for name in ("level", "logger", "text"))
    return LogLine(float(told["at"]), level, logger, text, replica=told.get("replica"))
