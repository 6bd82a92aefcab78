"""The log line of a finished request, made from its facts: as text, as JSON, or as a log record.

The handlers of the command take a line as it is, which costs a tenth of a log record. For any other
handler, such as one that a program adds to the logger, a log record is made.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from operator import call, itemgetter
from typing import Any, cast

from msgspec.structs import replace

from nexus_core.observe.facts import LOG, Fact, Unit, reader
from nexus_core.observe.log_ring import LogLine, shortened
from nexus_core.observe.record import RequestRecord
from nexus_core.types import NANO

_MESSAGE = "finished"
_WRONG = "error"  # left out of a text where nothing is wrong; JSON has all keys


def _in_nano_usd(fact: Fact) -> Fact:
    """Dollars are read as nano-dollars: that is the same float in the end, in half the time."""
    is_usd = fact.unit is Unit.USD
    return replace(fact, path=f"{fact.path.removesuffix('usd')}nano_usd") if is_usd else fact


LOGGED = tuple([(key, _in_nano_usd(fact)) for key, fact in LOG])
_read_facts = reader(LOGGED)


def log_request(log: logging.Logger, record: RequestRecord) -> None:
    """Log that a request is over: a warning if it failed."""
    level = logging.WARNING if record.failed else logging.INFO
    if not log.isEnabledFor(level):
        return
    values = _read_facts(record)
    handlers = _line_handlers(log)
    if handlers is None:
        log.log(level, _MESSAGE, extra={"fields": log_fields(values)})
        return
    line = RequestLine(record.ended_at or 0.0, level, log.name, values)
    for handler in handlers:
        handler.take(line)


class LineHandler(logging.Handler):
    """Log handler that takes a request's line without a log record."""

    def take(self, line: RequestLine) -> None:
        """Log the line; called by the thread of the event loop."""
        raise NotImplementedError


def _line_handlers(log: logging.Logger) -> list[LineHandler] | None:
    """The handlers that get what is logged there; None if one of them wants a log record."""
    found: list[LineHandler] = []
    if log.filters:
        return None
    logger: logging.Logger | None = log
    while logger is not None:
        for handler in logger.handlers:
            if not isinstance(handler, LineHandler) or handler.filters or handler.level:
                return None
            found.append(handler)
        logger = logger.parent if logger.propagate else None
    return found or None


class RequestLine:
    """The log line of one request; written out when somebody reads it."""

    __slots__ = ("_shown", "_text", "_values", "at", "level", "logger")

    def __init__(self, at: float, level: int, logger: str, values: tuple[Any, ...]) -> None:
        """
        Args:
            at: in seconds since the epoch.
            level: logging.INFO or logging.WARNING.
            values: of the facts in LOGGED.
        """
        self.at = at
        self.level = level
        self.logger = logger
        self._values = values
        self._text: str | None = None
        self._shown: LogLine | None = None

    @property
    def text(self) -> str:
        """`finished status=… request=…`, of a failed one `finished error=… status=…`: one line."""
        if self._text is None:
            self._text = f"{_MESSAGE} {_PRETTY.write(self._values)}"
        return self._text

    def as_json(self) -> str:
        """A JSON object in ASCII: time, level, logger, message, and the request's fields."""
        time = datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds")
        return (
            f'{{"time": "{time}", "level": "{self.level_name}", "logger": {_JSON.word(self.logger)}'
            f', "message": "{_MESSAGE}", {_JSON.write(self._values)}}}'
        )

    @property
    def level_name(self) -> str:
        """`info` or `warning`."""
        return "info" if self.level == logging.INFO else "warning"

    def shown(self) -> LogLine:
        """The line as a panel shows it, which begins with what is wrong; made once."""
        if self._shown is None:
            told = dict(zip(_KEYS, self._values, strict=True))
            text, request = panel_text(self.text, told), told["request"] or None
            self._shown = LogLine(self.at, self.level_name, self.logger, shortened(text), request)
        return self._shown


def panel_text(text: str, told: Mapping[str, Any]) -> str:
    """The text of a request's line, for panels: `old-laptop: the answer ended early status=200 …`.

    What is wrong stands before the fields, without a key.

    Args:
        told: the request's fields; a text of anything else is left as it is.
    """
    if not text.startswith(f"{_MESSAGE} ") or not {_WRONG, "request"} <= told.keys():
        return text
    error, backend, status = told[_WRONG], told["backend"], told["status"]
    fields = text.removeprefix(f"{_MESSAGE} ").removeprefix(f"{_WRONG}={_pretty_word(error)} ")
    if not error:
        if status is None or status < 500:
            return text
        error = f"answered {status}"
    if backend is not None:
        named = f'backend "{backend}": '
        error = f"{backend}: {error.removeprefix(named)}"
    return f"{error if error.isprintable() else _as_json(error)[1:-1]} {fields}"


# Writing ------------------------------------------------------------------------------------------

_KEYS = tuple(key for key, _ in LOG)
_UNITS = tuple(fact.unit for _, fact in LOG)
# Where in the facts that is which is another for every request; the rest recurs.
_VARYING = [
    place
    for place, (key, fact) in enumerate(LOG)
    if key in ("request", "session") or fact.unit is not Unit.PLAIN
]
_RECURRING = [place for place in range(len(LOG)) if place not in _VARYING]
_MAX_TEMPLATES = 512

_write = cast("Callable[[Callable[[Any], str], Any], str]", call)

# What needs no quotes to be told from the next key=value.
_BARE = re.compile(r"(?!-$)[A-Za-z0-9_.:/@+-]+")
_as_json = json.JSONEncoder().encode
_as_compact_json = json.JSONEncoder(separators=(",", ":")).encode


def pretty_value(value: object) -> str:
    """A value after `key=`; quoted, as JSON, where it could be taken for something else."""
    if value is None or value == []:
        return "-"
    if isinstance(value, str):
        is_word = value.isalnum() and value.isascii()
        if is_word or _BARE.fullmatch(value):
            return value
    return _as_compact_json(value)


def pretty_fields(fields: Mapping[str, object]) -> str:
    """`key=value` of all fields, with blanks between them; without an error that there is not."""
    return " ".join(
        f"{key}={pretty_value(value)}"
        for key, value in fields.items()
        if key != _WRONG or value is not None
    )


def _pretty_word(value: object) -> str:
    if isinstance(value, str) and value.isalnum() and value.isascii():  # as an id is
        return value
    return pretty_value(value).replace("\x7f", "\\x7f")


def _json_word(value: object) -> str:
    return _as_json(value).replace("\x7f", "\\u007f")


class _Form:
    """Writes facts by a template, which is kept for each combination of the recurring ones."""

    def __init__(
        self,
        pair: str,
        separator: str,
        none: str,
        word: Callable[[object], str],
        *,
        omits: frozenset[str] = frozenset(),
    ) -> None:
        """
        Args:
            pair: of a key and its value, as a format of both.
            none: what stands for a number that is not known.
            word: writes a value of any type.
            omits: keys that are left out where there is no value; none whose value varies.
        """
        self.word = word
        self._omits = omits
        self._pair, self._separator, self._none = pair, separator, none
        self._templates: dict[tuple[object, ...], str] = {}
        self._recurring, self._varying = itemgetter(*_RECURRING), itemgetter(*_VARYING)
        by_unit: dict[Unit, Callable[[Any], str]] = {
            Unit.MS: self._ms,
            Unit.TOKENS: self._count,
            Unit.USD: self._usd,
        }
        self._writers = [by_unit.get(_UNITS[place], word) for place in _VARYING]

    def write(self, values: tuple[Any, ...]) -> str:
        """The facts with these values."""
        recurring = self._recurring(values)
        template = self._templates.get(recurring) or self._new_template(recurring, values)
        return template % tuple(map(_write, self._writers, self._varying(values)))

    def _new_template(self, recurring: tuple[object, ...], values: tuple[Any, ...]) -> str:
        shown = log_fields(values)
        pairs = [
            self._pair.format(
                key, "%s" if place in _VARYING else self.word(shown[key]).replace("%", "%%")
            )
            for place, key in enumerate(_KEYS)
            if key not in self._omits or shown[key] is not None
        ]
        if len(self._templates) >= _MAX_TEMPLATES:
            self._templates.clear()
        template = self._templates[recurring] = self._separator.join(pairs)
        return template

    def _count(self, count: int | None) -> str:
        return self._none if count is None else str(count)

    def _usd(self, nano_usd: int | None) -> str:
        return self._none if nano_usd is None else repr(nano_usd / NANO)

    def _ms(self, ms: float | None) -> str:
        """As JSON has `round(ms, 2)`, in half the time."""
        if type(ms) is float and -_MAX_EXACT < ms < _MAX_EXACT:
            text = f"{ms:.2f}"
            return text[:-1] if text[-1] == "0" else text
        return self._none if ms is None else self.word(round(ms, 2))


_MAX_EXACT = 1e12  # a float has both digits after the point up to here

_PRETTY = _Form("{}={}", " ", "-", _pretty_word, omits=frozenset({_WRONG}))
_JSON = _Form('"{}": {}', ", ", "null", _json_word)


def log_fields(values: tuple[Any, ...]) -> dict[str, object]:
    """Fields of a request's log line from the values in LOGGED: always the same keys.

    As JSON has them: None for what is unknown, milliseconds with two digits, dollars as floats.
    """
    fields: dict[str, Any] = dict(zip(_KEYS, values, strict=True))
    for key, unit in zip(_KEYS, _UNITS, strict=True):
        if unit is Unit.MS and (ms := fields[key]) is not None:
            fields[key] = round(ms, 2)
        elif unit is Unit.USD and (nano_usd := fields[key]) is not None:
            fields[key] = nano_usd / NANO
    fields["attempts"] = [
        {
            "backend": attempt.backend,
            "status": attempt.status,
            "error": attempt.error,
            "ms": round(attempt.elapsed_ms, 2),
        }
        for attempt in fields["attempts"]
    ]
    return fields
