"""Log handlers: stderr as text or JSON, or memory while the dashboard is shown."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from nexus_core.observe.log_ring import MAX_TEXT, LogLine, LogRing, shortened
from nexus_tui.text.escape import escaped

FORMATS = ("pretty", "json")

# What needs no quotes to be told from the next key=value.
_BARE = re.compile(r"(?!-$)[A-Za-z0-9_.:/@+-]+")

_NO_FIELDS: Mapping[str, object] = MappingProxyType({})
_as_json = json.JSONEncoder(separators=(",", ":")).encode

# Libraries that tell of every request or connection at INFO, in lines of their own.
_CHATTY = ("uvicorn", "uvicorn.error", "uvicorn.access", "httpx", "httpcore", "asyncio")


class RingHandler(logging.Handler):
    """Log handler that keeps the newest records in memory, and writes nothing."""

    def __init__(self, ring: LogRing, prefix: str = "") -> None:
        """`prefix` goes before each logger's name: the ring may hold another process's lines."""
        super().__init__()
        self._ring = ring
        self._prefix = prefix

    def emit(self, record: logging.LogRecord) -> None:
        """Add the record; the oldest one goes when the ring is full."""
        try:
            text = _text(record)
        except Exception:  # noqa: BLE001 - a bad call of a library's logger must not reach its caller
            text = escaped(str(record.msg))
        name = record.name
        logger = self._prefix + (name if name.isprintable() else escaped(name))
        kept = text if len(text) <= MAX_TEXT else shortened(text)
        self._ring.add(LogLine(record.created, record.levelname.lower(), logger, kept))


class PrettyFormatter(logging.Formatter):
    """Log formatter for people: one line per record, control characters escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """`14:02:31 WARNING nexus_core.fleet.health: text`."""
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        return f"{clock} {record.levelname:<7} {escaped(record.name)}: {_text(record)}"


class JsonFormatter(logging.Formatter):
    """Log formatter for programs: one JSON object per line, in ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        """Keys: time, level, logger, message, the record's fields, exception if there is one."""
        at = datetime.fromtimestamp(record.created, UTC)
        fields = {
            "time": at.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields).replace("\x7f", "\\u007f")


def log_to_stderr(level: str, log_format: str, ring: LogRing) -> None:
    """Log to stderr (headless), and to the ring for the API."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else PrettyFormatter())
    _use([handler, RingHandler(ring)], level)


def log_to_memory(level: str, ring: LogRing, prefix: str = "") -> None:
    """Log to memory only, while the dashboard is shown."""
    _use([RingHandler(ring, prefix)], level)


def _use(handlers: list[logging.Handler], level: str) -> None:
    """Make these the only handlers of the process, libraries' own included."""
    root = logging.getLogger()
    root.handlers[:] = handlers
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # else a bad logging call prints a traceback over the screen
    for name in _CHATTY:
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        library.setLevel(max(root.level, logging.WARNING))


def _text(record: logging.LogRecord) -> str:
    """The record in one line, made once for all handlers: its message, then `key=value` for fields.

    A value that could be taken for something else is quoted. Every request has such a line, so it
    is written with few calls.
    """
    made: str | None = getattr(record, "one_line", None)
    if made is not None:
        return made
    parts = [record.getMessage()]
    for key, value in _fields(record).items():
        if value is None or value == []:
            parts.append(f"{key}=-")
        elif isinstance(value, str) and _BARE.fullmatch(value):
            parts.append(f"{key}={value}")
        else:
            parts.append(f"{key}={_as_json(value)}")
    text = " ".join(parts)
    if record.exc_info:
        text = f"{text}\n{logging.Formatter().formatException(record.exc_info)}"
    made = record.one_line = text if text.isprintable() else escaped(text)
    return made


def _fields(record: logging.LogRecord) -> Mapping[str, object]:
    """What a logger gave as `extra={"fields": {...}}`: JSON values by fixed names."""
    fields: Mapping[str, object] = getattr(record, "fields", _NO_FIELDS)
    return fields if isinstance(fields, dict) else _NO_FIELDS
