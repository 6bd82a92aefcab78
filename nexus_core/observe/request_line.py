"""The log line of a finished request, made from its facts: as text, as JSON, or as a log record.

The handlers of the command take a line as it is, which costs a tenth of a log record. For any other
handler, such as one that a program adds to the logger, a log record is made.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, TypeAlias

import msgspec
from msgspec.structs import replace

from nexus_core.observe.facts import LOG, Fact, Unit, reader
from nexus_core.observe.log_ring import LogLine, shortened
from nexus_core.observe.record import RequestRecord
from nexus_core.types import NANO

_Column: TypeAlias = Sequence[Any]

_MESSAGE = "finished"
_WRONG = "error"  # left out of a text where nothing is wrong; JSON has all keys


def _in_nano_usd(fact: Fact) -> Fact:
    """Dollars are read as nano-dollars: that is the same float in the end, in half the time."""
    is_usd = fact.unit is Unit.USD
    return replace(fact, path=f"{fact.path.removesuffix('usd')}nano_usd") if is_usd else fact


LOGGED = tuple([(key, _in_nano_usd(fact)) for key, fact in LOG])


def log_request(log: logging.Logger, record: RequestRecord) -> None:
    """Log that a request is over, and its record complete: a warning if it failed."""
    level = logging.WARNING if record.failed else logging.INFO
    if not log.isEnabledFor(level):
        return
    handlers = _line_handlers(log)
    if handlers is None:
        log.log(level, _MESSAGE, extra={"fields": log_fields(record)})
        return
    line = RequestLine(record, level, log.name)
    for handler in handlers:
        try:
            handler.take(line)
        except Exception:
            log.exception("%s failed to take a request's line", type(handler).__name__)


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


class RequestLine(msgspec.Struct, eq=False, gc=False):
    """The log line of one request; written out when somebody reads it, best with others."""

    record: RequestRecord  # of a request that is over, and so the same for ever
    level: int  # logging.INFO or logging.WARNING
    logger: str
    made: LogLine | None = None  # by `shown`

    @property
    def at(self) -> float:
        """Seconds since the epoch."""
        return self.record.ended_at or 0.0

    @property
    def level_name(self) -> str:
        """`info` or `warning`."""
        return "info" if self.level == logging.INFO else "warning"

    def shown(self) -> LogLine:
        """The line as a panel shows it, which begins with what is wrong; made once."""
        if self.made is None:
            told, (text,) = log_fields(self.record), as_text([self])
            text, request = panel_text(text, told), self.record.request_id or None
            self.made = LogLine(self.at, self.level_name, self.logger, shortened(text), request)
        return self.made


def as_text(lines: Sequence[RequestLine]) -> list[str]:
    """`finished status=… request=…`, of a failed one `finished error=… status=…`: one line each."""
    return [f"{_MESSAGE} {text}" for text in _PRETTY.write([line.record for line in lines])]


def as_json(lines: Sequence[RequestLine]) -> list[str]:
    """A JSON object in ASCII for each: time, level, logger, message, and the request's fields."""
    return [
        f'{{"time": "{_time(line.at)}", "level": "{line.level_name}", '
        f'"logger": {_JSON.word(line.logger)}, "message": "{_MESSAGE}", {fields}}}'
        for line, fields in zip(lines, _JSON.write([line.record for line in lines]), strict=True)
    ]


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


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

# The facts that are others for every request; the rest recurs.
_VARYING = tuple(
    (key, fact)
    for key, fact in LOGGED
    if key in ("request", "session") or fact.unit is not Unit.PLAIN
)
_VARYING_KEYS = {key for key, _ in _VARYING}
_read_varying = reader(_VARYING)
# The rest, but for failed attempts: a request that has any shares its template with no other.
_read_recurring = attrgetter(
    *(
        fact.path or fact.name
        for key, fact in LOGGED
        if key not in _VARYING_KEYS and fact.name != "attempts"
    )
)
_MAX_TEMPLATES = 512
_MAX_EXACT = 1e12  # a float has both digits after the point up to here

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
    """Writes facts by a template, which is kept for each combination of the recurring ones.

    What varies is written column by column.
    """

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
        by_unit: dict[Unit, Callable[[_Column], _Column]] = {
            Unit.MS: self._ms,
            Unit.TOKENS: self._counts,
            Unit.USD: self._usd,
        }
        self._writers = [by_unit.get(fact.unit, self._words) for _, fact in _VARYING]

    def write(self, records: Sequence[RequestRecord]) -> list[str]:
        """The facts of each of these requests, which are over."""
        if not records:
            return []
        templates = [
            (None if record.failures else self._templates.get(_read_recurring(record)))
            or self._new_template(record)
            for record in records
        ]
        columns = zip(*map(_read_varying, records), strict=True)
        written = [write(column) for write, column in zip(self._writers, columns, strict=True)]
        return [
            template % row
            for template, row in zip(templates, zip(*written, strict=True), strict=True)
        ]

    def _new_template(self, record: RequestRecord) -> str:
        shown = log_fields(record)
        template = self._separator.join(
            [
                self._pair.format(
                    key, "%s" if key in _VARYING_KEYS else self.word(value).replace("%", "%%")
                )
                for key, value in shown.items()
                if key not in self._omits or value is not None
            ]
        )
        if record.failures:  # no other request's are the same
            return template
        if len(self._templates) >= _MAX_TEMPLATES:
            self._templates.clear()
        self._templates[_read_recurring(record)] = template
        return template

    def _words(self, values: _Column) -> _Column:
        return [self._none if value is None else self.word(value) for value in values]

    def _counts(self, counts: _Column) -> _Column:
        return [self._none if count is None else count for count in counts]

    def _usd(self, nano_usd: _Column) -> _Column:
        return [self._none if nanos is None else nanos / NANO for nanos in nano_usd]

    def _ms(self, column: _Column) -> _Column:
        """As JSON has `round(ms, 2)`, in half the time."""
        return [
            (text[:-1] if (text := f"{ms:.2f}")[-1] == "0" else text)
            if type(ms) is float and -_MAX_EXACT < ms < _MAX_EXACT
            else (self._none if ms is None else self.word(round(ms, 2)))
            for ms in column
        ]


_PRETTY = _Form("{}={}", " ", "-", _pretty_word, omits=frozenset({_WRONG}))
_JSON = _Form('"{}": {}', ", ", "null", _json_word)


def log_fields(record: RequestRecord) -> dict[str, object]:
    """Fields of the log line of a request that is over: always the same keys.

    As JSON has them: None for what is unknown, milliseconds with two digits, dollars as floats.
    """
    return {key: _as_logged(fact, fact.of(record)) for key, fact in LOGGED}


def _as_logged(fact: Fact, value: Any) -> object:
    if value is None:
        return None
    match fact.unit, fact.name:
        case Unit.MS, _:
            return round(value, 2)
        case Unit.USD, _:
            return value / NANO
        case _, "attempts":
            return [
                {
                    "backend": attempt.backend,
                    "status": attempt.status,
                    "error": attempt.error,
                    "ms": round(attempt.elapsed_ms, 2),
                }
                for attempt in value
            ]
        case _:
            return value
