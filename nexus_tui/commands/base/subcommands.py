"""Parsers of subcommands: their faults are told with their own usage."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, TypeAlias, cast

# What `add_subparsers` gives has no public name.
Subcommands: TypeAlias = "argparse._SubParsersAction[SubcommandParser]"  # pyright: ignore[reportPrivateUsage]


class MainParser(argparse.ArgumentParser):
    """The parser of `nexus`: an unknown command is told with the one that was meant."""

    programs: Sequence[str] = ()  # what `nexus run` starts: taken for commands at times

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.dest == "command" and value not in (action.choices or ()):
            from nexus_core.config.wording import did_you_mean
            from nexus_tui.text.escape import escaped

            word, choices = str(value), [str(choice) for choice in action.choices or ()]
            meant = (
                f'; did you mean "nexus run {word}"?'
                if word in self.programs
                else did_you_mean(word, choices) or f"; there are: {', '.join(choices)}"
            )
            raise argparse.ArgumentError(action, f'no command "{escaped(word)}"{meant}')
        super()._check_value(action, value)


class SubcommandParser(argparse.ArgumentParser):
    """A parser that refuses what it does not know itself, and does not leave that to the main one.

    https://docs.python.org/3/library/argparse.html#argparse.ArgumentParser.parse_known_args
    """

    rest: str | None = None  # the name for what follows `--`, which is for another program

    def parse_known_args(  # type: ignore[override]  # the overloads differ in the namespace only
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        words, rest = list(args or ()), list[str]()
        if self.rest is not None and "--" in words:
            place = words.index("--")
            words, rest = words[:place], words[place + 1 :]
        known, unknown = cast(
            "tuple[Any, list[str]]", super().parse_known_args(words, cast("None", namespace))
        )
        if self.rest is not None:
            setattr(known, self.rest, rest)
        if unknown:
            self.error(self._unknown(unknown))
        return known, unknown

    def _unknown(self, words: Sequence[str]) -> str:
        from nexus_core.config.wording import did_you_mean
        from nexus_tui.text.escape import escaped

        first = words[0].partition("=")[0]
        options = [name for name in self._option_string_actions if name.startswith("--")]
        meant = did_you_mean(first, options) if first.startswith("-") else ""
        other = "" if meant or self.rest is None else "; what the program takes stands after --"
        return f"unrecognized arguments: {escaped(' '.join(words))}{meant}{other}"


def add_actions(parser: SubcommandParser) -> Subcommands:
    """Have a subcommand take one of several actions: `nexus keys list`."""
    return parser.add_subparsers(
        dest="action",
        title="actions",
        metavar="ACTION",
        required=True,
        parser_class=SubcommandParser,
    )


def add_ascii(parser: argparse.ArgumentParser) -> None:
    """Declare --ascii; it may also stand before the subcommand."""
    parser.add_argument(
        "--ascii", action="store_true", default=argparse.SUPPRESS, help="ASCII characters only"
    )
