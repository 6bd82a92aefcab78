"""`nexus requests`: the request list as plain text, newest first; with --watch a tail of it."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

from nexus_tui.commands.base.client import understood
from nexus_tui.commands.base.errors import NoAnswerError
from nexus_tui.commands.base.replicas import Replicas, add_only, named
from nexus_tui.commands.base.request_line import RequestLine, cells, read_line, titles
from nexus_tui.commands.base.requests_tail import FleetTail
from nexus_tui.commands.base.subcommands import Subcommands
from nexus_tui.commands.base.text_view import (
    Asked,
    TextView,
    add_limit,
    add_text_view,
    both,
    table,
)
from nexus_tui.process.streams import say

_MAX_LIMIT = 1000  # as many are told at once
_NOTED = 200  # at the beginning of a tail: it tells when those that run end

_Listed = list[tuple[Any, RequestLine]]


def add_command(commands: Subcommands, port: Callable[[str], int]) -> None:
    """Declare the subcommand; `port` checks a port."""
    shown = _Shown()
    view = TextView(
        "requests",
        "recent requests, newest first",
        shown.read,
        shown.lines,
        "the Requests tab",
        is_tail=True,
        rows=lambda content: content["requests"],
    )
    parser = add_text_view(commands, port, view)
    parser.description = (
        f"{parser.description} With --watch a tail: the last ones, then a line for each new one, "
        "and another when it ends."
    )
    add = parser.add_argument
    add_only(parser)
    add_limit(parser, _MAX_LIMIT, "at most N (default: 50); with --watch to begin with")
    add(
        "words",
        nargs="*",
        type=_filter,
        metavar="FILTER",
        help="show only what matches: words of model, backend, key, id or error code, and "
        "key:value as in the dashboard, such as status:5xx last:10m key:laptop 'slow:>2s'; or, "
        "! and parentheses; docs/filter.md has the table",
    )
    add("--filter", type=_filter, default="", metavar="TEXT", help="the same")


def _filter(text: str) -> str:
    from nexus_tui.view.filter.requests import parse_filter

    if (problem := parse_filter(text).problem) is not None:
        raise argparse.ArgumentTypeError(problem)
    return text


class _Shown:
    """The list, or with --watch what comes to it."""

    def __init__(self) -> None:
        self._tail: FleetTail | None = None
        self._fleet: Replicas | None = None

    def read(self, asked: Asked) -> Any:
        """The answer with those requests only that match; of a tail None where nothing is new.

        Raises:
            NoAnswerError: nothing matches, as the filter names something that there is not.
        """
        if self._tail is not None:
            return self._tail.read()
        text = both(asked.options.words, asked.options.filter)
        limit = asked.options.limit
        is_watching = asked.options.watch is not None
        least = _MAX_LIMIT if text else _NOTED if is_watching else 1
        content, here = asked.told("/nexus/requests", limit=max(limit, least))
        fleet = self._fleet = Replicas(asked, here)
        replicas = fleet.find()
        told = dict(
            fleet.ask(
                replicas,
                lambda _, one: content if one is asked else _list(one, max(limit, least)),
            )
        )
        with understood():
            entries = [one for name, each in told.items() for one in named(each["requests"], name)]
            listed = [(entry, read_line(entry)) for entry in entries]
        if fleet.is_fleet:
            listed.sort(key=lambda one: -one[1].at)
        wanted = _Wanted(text, listed, asked)
        found = [entry for entry, _ in wanted.of(listed)][:limit]
        if not is_watching:
            return {"requests": found}
        self._tail = FleetTail(fleet, replicas, told, wanted.matches)
        return {"requests": found[::-1]}

    def lines(self, content: Any, asked: Asked) -> Iterable[str]:
        """One line each."""
        from nexus_tui.text.numbers import clock, date

        found = [read_line(entry) for entry in content["requests"]]
        is_fleet = self._fleet is not None and self._fleet.is_fleet
        if self._tail is not None:
            return self._tail.lines(found)
        if not found:
            return [" no request"]
        is_dated = any(date(line.at) != date(time.time()) for line in found)
        return table(
            titles(is_fleet=is_fleet),
            [
                cells(
                    line,
                    f"{date(line.at)} {clock(line.at)}" if is_dated else clock(line.at),
                    is_fleet=is_fleet,
                )
                for line in found
            ],
        )


def _list(asked: Asked, limit: int) -> Any:
    return asked.get("/nexus/requests", limit=limit)


class _Wanted:
    """What the filter lets through, of the names that this Nexus has."""

    def __init__(self, text: str, listed: _Listed, asked: Asked) -> None:
        from nexus_tui.view.filter.requests import parse_filter

        self._asked = asked
        lines = [line for _, line in listed]
        backends = cache(lambda: _backends(asked))

        def known_backends() -> Iterable[str]:
            return [*(line.backend or "" for line in lines), *(name for name, _ in backends())]

        def known_models() -> Iterable[str]:
            asked_for = [name or "" for line in lines for name in (line.model, line.served_model)]
            return [*asked_for, *(model for _, models in backends() for model in models)]

        names = {"backend": known_backends, "model": known_models}
        # Of keys, agents and sessions only those are known that asked for something.
        askers = {
            "key": lambda: [line.client or "" for line in lines],
            "replica": lambda: [line.replica or "" for line in lines],
            "agent": lambda: [line.agent or "" for line in lines],
            "session": lambda: [
                one or "" for line in lines for one in (line.session, line.subagent)
            ],
        }
        self._filter = parse_filter(text, names) if text else None
        self._of_askers = cache(lambda: parse_filter(text, {**names, **askers}))

    def matches(self, line: RequestLine) -> bool:
        return self._filter is None or self._filter.matches(line)

    def of(self, listed: _Listed) -> _Listed:
        """Those that match.

        Raises:
            NoAnswerError: nothing does, as the filter names something that there is not.
        """
        found = [one for one in listed if self.matches(one[1])]
        if (wanted := self._filter) is None:
            return found
        if wanted.problem or (wanted.hint and not found):
            raise NoAnswerError(str(wanted.problem or wanted.hint))
        if not found and (hint := self._of_askers().hint) is not None:
            say(f"{self._asked.options.command}: {hint}")
        return found


def _backends(asked: Asked) -> Sequence[tuple[str, Sequence[str]]]:
    """The name of each backend, and its models."""
    content = asked.get("/nexus/state")
    with understood():
        return [
            (str(one["name"]), [str(name) for pair in one["models"].items() for name in pair])
            for one in content["backends"]
        ]
