"""Parsers of subcommands: their faults are told with their own usage."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, TypeAlias, cast

# What `add_subparsers` gives has no public name.
Subcommands: TypeAlias = "argparse._SubParsersAction[SubcommandParser]"  # pyright: ignore[reportPrivateUsage]


class SubcommandParser(argparse.ArgumentParser):
    """A parser that refuses what it does not know itself, and does not leave that to the main one.

    https://docs.python.org/3/library/argparse.html#argparse.ArgumentParser.parse_known_args
    """

    def parse_known_args(  # type: ignore[override]  # the overloads differ in the namespace only
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        known, unknown = cast(
            "tuple[Any, list[str]]", super().parse_known_args(args, cast("None", namespace))
        )
        if unknown:
            self.error(self._unknown(unknown))
        return known, unknown

    def _unknown(self, words: Sequence[str]) -> str:
        from nexus_core.config.wording import did_you_mean
        from nexus_tui.text.escape import escaped

        first = words[0].partition("=")[0]
        options = [name for name in self._option_string_actions if name.startswith("--")]
        meant = did_you_mean(first, options) if first.startswith("-") else ""
        return f"unrecognized arguments: {escaped(' '.join(words))}{meant}"
