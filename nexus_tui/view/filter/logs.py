"""Filter of log lines: its table of keys; the same on the screen and in `nexus logs`."""

from __future__ import annotations

from typing import Protocol

from nexus_tui.view.filter.grammar import Value
from nexus_tui.view.filter.language import Clock, Key, Language, Test
from nexus_tui.view.filter.values import choice, one_text, since, until
from nexus_tui.view.log_levels import ALL_LEVELS, rank


class Line(Protocol):
    """A log line."""

    @property
    def at(self) -> float: ...  # seconds since the epoch
    @property
    def level(self) -> str: ...
    @property
    def logger(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def replica(self) -> str | None: ...  # None where there is no fleet


def _word(text: str) -> Test[Line]:
    return lambda line: text in f"{line.logger} {line.text}".casefold()


def _text_of(line: Line) -> str:
    return line.text


def _level_of(line: Line) -> str:
    return line.level


def _in_text(value: Value, clock: Clock) -> Test[Line]:
    """Lines hold an id among other words, so that `=` can't ask for more than a part."""
    return _in_part(value._replace(op="" if value.op == "=" else value.op), clock)


_in_part = one_text(_text_of)
_one_level = choice(_level_of, ALL_LEVELS, ", ".join(ALL_LEVELS))


def _level(value: Value, clock: Clock) -> Test[Line]:
    """That level and what is above it; with `=` that one alone."""
    exact = _one_level(value, clock)
    if value.op == "=":
        return exact
    least = min(rank(level) for level in ALL_LEVELS if exact(_Of(level)))
    return lambda line: rank(line.level) >= least


class _Of:
    """A line of a level."""

    at, logger, text, replica = 0.0, "", "", None

    def __init__(self, level: str) -> None:
        self.level = level


LOGS = Language[Line](
    keys=(
        Key(
            "level",
            "warning  =info",
            "this level and above; that one alone",
            _level,
            ("lvl", "severity"),
            options=ALL_LEVELS,
        ),
        Key(
            "logger",
            "ledger",
            "part of the logger's name",
            one_text(lambda line: line.logger),
            ("name", "module"),
        ),
        Key(
            "replica",
            "box-2  =box-2",
            "part of the name of the replica whose line it is; = all of it",
            one_text(lambda line: line.replica),
            ("box",),
        ),
        Key(
            "id",
            "79f1",
            "part of a request id in the line",
            _in_text,
            ("request",),
        ),
        Key(
            "last",
            "5m  22:19",
            "of the last five minutes; since a time of day",
            since(lambda line: line.at, "5m or 22:19"),
            ("since",),
        ),
        Key(
            "until",
            "5m  22:25",
            "before that",
            until(lambda line: line.at, "5m or 22:25"),
            ("before",),
        ),
    ),
    flags=(),
    word=_word,
    words="the logger's name and the text",
    is_strict=False,
)
