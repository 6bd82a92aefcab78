"""The replicas of a fleet, as a plain command asks them: each by itself, all with one key."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from nexus_tui.commands.base.errors import NoAnswerError
from nexus_tui.commands.base.text_view import Asked
from nexus_tui.process.streams import say

_Told = TypeVar("_Told")


def add_only(parser: argparse.ArgumentParser) -> None:
    """Declare --only."""
    parser.add_argument(
        "--only", action="store_true", help="of a fleet: this replica alone, not the others"
    )


class Replicas:
    """Those that are asked, beginning with the one at the command's URL.

    That it is a replica is known by its answers: each names it.
    """

    def __init__(self, asked: Asked, here: str | None) -> None:
        """`here`: the replica that answered first; None: there is no fleet."""
        self._first = asked
        self.is_fleet = here is not None and not asked.options.only
        self._untold: dict[str, str] = {}  # what is wrong with which, as it was told last

    def find(self) -> dict[str, Asked]:
        """The replicas by name; without a fleet, or with --only, the one alone, without a name."""
        if not self.is_fleet:
            return {"": self._first}
        from nexus_core.observe.event_json import UnreadableError
        from nexus_tui.sources.fleet.replica import read_roll

        try:
            roll = read_roll(self._first.get("/nexus/replicas"))
        except UnreadableError as error:
            raise NoAnswerError(f"incompatible Nexus version: {error}") from error
        found = {roll.here: self._first}
        for one in roll.replicas:
            if one.name == roll.here:
                continue
            if one.is_dead:
                self._say(one.name, "dead: left out")
            elif one.address is None:
                self._say(one.name, "has no address: set [fleet] advertise there")
            else:
                found[one.name] = replace(self._first, url=one.address)
        return found

    def ask(
        self, replicas: Mapping[str, Asked], ask: Callable[[str, Asked], _Told]
    ) -> Iterable[tuple[str, _Told]]:
        """What each of them answers; one that does not is told of on stderr, once.

        Raises:
            NoAnswerError: the one at the command's URL does not.
        """
        for name, asked in replicas.items():
            try:
                told = ask(name, asked)
            except NoAnswerError as error:
                if asked is self._first:
                    raise
                self._say(name, str(error))
                continue
            self._untold.pop(name, None)
            yield name, told

    def _say(self, name: str, problem: str) -> None:
        if self._untold.get(name) != problem:
            say(f"{self._first.options.command}: {name}: {problem}")
        self._untold[name] = problem


def named(entries: Iterable[Any], name: str) -> list[Any]:
    """Entries with the replica that tells them, where there is a fleet."""
    return [{**entry, "replica": name} if name else entry for entry in entries]
