"""Log handlers: stderr as text or JSON, or memory while the dashboard is shown."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from operator import add
from types import MappingProxyType
from typing import TextIO

from nexus_core.observe.log_ring import MAX_TEXT, LogLine, LogRing, request_in, shortened
from nexus_core.observe.request_line import (
    LineHandler,
    RequestLine,
    as_json,
    as_text,
    panel_text,
    pretty_fields,
)
from nexus_tui.process.logs.unread import Outlet
from nexus_tui.text.escape import escaped

FORMATS = ("pretty", "json")

_NO_FIELDS: Mapping[str, object] = MappingProxyType({})
_RETRY_SECONDS = 0.1  # while stderr is not read
_LAST_SECONDS = 1.0  # at the end of the process, for stderr to be read
_FLUSH_SECONDS = 0.02  # that a request's line may wait for others, to be written with them
_FLUSH_LINES = 32  # that are waited for; more at once would hold up the event loop

# Libraries that tell of every request or connection at INFO, in lines of their own.
_CHATTY = ("uvicorn", "uvicorn.error", "uvicorn.access", "httpx", "httpcore", "asyncio")


class RingHandler(LineHandler):
    """Log handler that keeps the newest records in memory, and writes nothing."""

    def __init__(self, ring: LogRing, prefix: str = "") -> None:
        """`prefix` goes before each logger's name: the ring may hold another process's lines."""
        super().__init__()
        self._ring = ring
        self._prefix = prefix

    def emit(self, record: logging.LogRecord) -> None:
        """Add the record; the oldest one goes when the ring is full."""
        try:
            fields = _fields(record)
            text = panel_text(_text(record), fields)
            request = fields["request"] if "request" in fields else request_in(text)
        except Exception:  # noqa: BLE001 - a bad call of a library's logger must not reach its caller
            text, request = escaped(str(record.msg)), None
        name = record.name
        logger = self._prefix + (name if name.isprintable() else escaped(name))
        kept = text if len(text) <= MAX_TEXT else shortened(text)
        level = record.levelname.lower()
        about = request if request and isinstance(request, str) else None
        self._ring.add(LogLine(record.created, level, logger, kept, about))

    def take(self, line: RequestLine) -> None:
        """Add the line of a request, which no process with a prefix has."""
        if line.level == logging.INFO:
            self._ring.add_late(line)
        else:
            self._ring.add(line.shown())


class StderrHandler(LineHandler):
    """Log handler that writes to stderr: requests' lines together, everything else at once.

    Lines are written in the order in which they came; those of requests are made into text then,
    which is cheaper for several at once. What can't be written is lost; nothing ever waits for
    whoever should read it.
    """

    def __init__(self, stream: TextIO, log_format: str, worker: int | None = None) -> None:
        """`worker` is the number of this process among several, which each line names."""
        super().__init__()
        is_json = log_format == "json"
        self.setFormatter(JsonFormatter(worker) if is_json else PrettyFormatter(worker))
        self._worker = worker
        self._outlet = Outlet(stream)
        self._dropped = 0  # lines that nobody read in time
        self._is_json = log_format == "json"
        self._lines: deque[str | RequestLine] = deque()  # to be written
        self._flushes_in: asyncio.AbstractEventLoop | None = None  # which will write them

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, and what came before it."""
        try:
            self._lines.append(self.format(record))
        except Exception:  # noqa: BLE001 - a bad call of a library's logger must not reach its caller
            self.handleError(record)
        self.flush()

    def take(self, line: RequestLine) -> None:
        """Write the line soon, or a warning at once."""
        lines = self._lines
        lines.append(line)
        if line.level != logging.INFO or len(lines) >= _FLUSH_LINES:
            self.flush()
        elif self._flushes_in is None or not self._flushes_in.is_running():
            self._flush_soon()

    def flush(self) -> None:
        """Write what has not been written yet."""
        self.acquire()
        try:
            self._outlet.drain()
            lines: list[str | RequestLine] = []
            while self._lines:  # another thread may append meanwhile
                lines.append(self._lines.popleft())
            self._write(self._as_texts(lines))
        except Exception:  # noqa: BLE001, S110 - closed, or full: there is no other place to say so
            pass
        finally:
            self.release()

        if self._outlet.is_behind:
            self._flush_in(_RETRY_SECONDS)

    def _as_texts(self, lines: list[str | RequestLine]) -> list[str]:
        """Each of them as it is written, but for one that can't be: that one is lost alone."""
        try:
            return self._as_texts_together(lines)
        except Exception:  # noqa: BLE001 - of a field that nobody expected
            return [text for line in lines if len(lines) > 1 for text in self._as_texts([line])]

    def _as_texts_together(self, lines: list[str | RequestLine]) -> list[str]:
        of_requests = [line for line in lines if not isinstance(line, str)]
        if self._is_json:
            made = iter([_with_worker(text, self._worker) for text in as_json(of_requests)])
        else:
            begins = [
                _begin(int(one.at), one.level, one.logger, self._worker) for one in of_requests
            ]
            made = map(add, begins, as_text(of_requests))
        return [line if isinstance(line, str) else next(made) for line in lines]

    def _write(self, lines: list[str]) -> None:
        if self._dropped and not self._outlet.is_behind:
            lines.insert(0, self.format(_dropped(self._dropped)))
            self._dropped = 0
        if lines and not self._outlet.write("\n".join(lines) + "\n"):
            self._dropped += len(lines)

    def close(self) -> None:
        """Give the reader a last moment."""
        with suppress(OSError, ValueError):
            self._outlet.drain(_LAST_SECONDS)
        super().close()

    def _flush_in_time(self) -> None:
        self._flushes_in = None
        self.flush()

    def _flush_soon(self) -> None:
        if not self._flush_in(_FLUSH_SECONDS):
            self.flush()

    def _flush_in(self, seconds: float) -> bool:
        """Flush later, by the running loop; False where none runs."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        if self._flushes_in is not loop:
            self._flushes_in = loop
            loop.call_later(seconds, self._flush_in_time)
        return True


def _dropped(count: int) -> logging.LogRecord:
    text = "%d log lines dropped: nobody read stderr; nexus logs has the newest"
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, (count,), None)


class PrettyFormatter(logging.Formatter):
    """Log formatter for people: one line per record, control characters escaped."""

    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self._worker = _named(worker)

    def format(self, record: logging.LogRecord) -> str:
        """`14:02:31 WARNING nexus_core.fleet.health: text`; of a worker with `worker 2 ` before."""
        clock, name = _clock(int(record.created)), escaped(record.name)
        return f"{clock} {record.levelname:<7} {self._worker}{name}: {_text(record)}"


def _named(worker: int | None) -> str:
    return "" if worker is None else f"worker {worker} "


def _with_worker(line: str, worker: int | None) -> str:
    """A line of JSON, with the worker's number at its end."""
    return line if worker is None else f'{line[:-1]}, "worker": {worker}}}'


@lru_cache(maxsize=4)
def _begin(second: int, level: int, logger: str, worker: int | None) -> str:
    """What stands before the text of a request's line."""
    word = "INFO   " if level == logging.INFO else "WARNING"
    return f"{_clock(second)} {word} {_named(worker)}{logger}: "


@lru_cache(maxsize=2)
def _clock(second: int) -> str:
    """The time of day, here, of a second since the epoch."""
    return time.strftime("%H:%M:%S", time.localtime(second))


class JsonFormatter(logging.Formatter):
    """Log formatter for programs: one JSON object per line, in ASCII."""

    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self._worker = worker

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
        return _with_worker(json.dumps(fields).replace("\x7f", "\\u007f"), self._worker)


def log_to_stderr(level: str, log_format: str, ring: LogRing, worker: int | None = None) -> None:
    """Log to stderr (headless), and to the ring for the API; as one of several workers."""
    _use([StderrHandler(sys.stderr, log_format, worker), RingHandler(ring)], level)


def log_to_memory(level: str, ring: LogRing, prefix: str = "") -> None:
    """Log to memory only, while the dashboard is shown."""
    _use([RingHandler(ring, prefix)], level)


def _use(handlers: list[logging.Handler], level: str) -> None:
    """Make these the only handlers of the process, libraries' own included."""
    root = logging.getLogger()
    for before in root.handlers:
        before.flush()
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

    A value that could be taken for something else is quoted.
    """
    made: str | None = getattr(record, "one_line", None)
    if made is not None:
        return made
    text, fields = record.getMessage(), _fields(record)
    if fields:
        text = f"{text} {pretty_fields(fields)}"
    if record.exc_info:
        text = f"{text}\n{logging.Formatter().formatException(record.exc_info)}"
    made = record.one_line = text if text.isprintable() else escaped(text)
    return made


def _fields(record: logging.LogRecord) -> Mapping[str, object]:
    """What a logger gave as `extra={"fields": {...}}`: JSON values by fixed names."""
    fields: Mapping[str, object] = getattr(record, "fields", _NO_FIELDS)
    return fields if isinstance(fields, dict) else _NO_FIELDS
