"""What becomes of a log record: a line for stderr, an entry of the ring."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nexus_core.observe.events import Attempt, AttemptFailed, TokenUsage
from nexus_core.observe.log_ring import LogLine, LogRing
from nexus_core.observe.origin.origin import Origin
from nexus_core.observe.record import RequestRecord
from nexus_core.observe.request_line import RequestLine, log_fields
from nexus_core.types import Cost, CountMethod, PrivacyZone, RouteReason
from nexus_tui.process.logs.log_handlers import (
    _FLUSH_LINES,
    _FLUSH_SECONDS,
    FORMATS,
    JsonFormatter,
    PrettyFormatter,
    RingHandler,
    StderrHandler,
)
from tests.waiting import pass_time, settled


def record(message: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("a.b", logging.WARNING, __file__, 1, message, arguments, None)


@pytest.mark.parametrize("formatter", [PrettyFormatter(), JsonFormatter()])
def test_one_record_is_one_line_without_control_characters(formatter: logging.Formatter) -> None:
    try:
        raise ValueError("bad\nthing")
    except ValueError:
        hostile = record("model=%s", "x\n\x1b]0;t\x07\u202e\u2028\x7f\x9b")
        hostile.exc_info = sys.exc_info()

    line = formatter.format(hostile)

    assert line.isprintable()
    assert "Traceback" in line


def test_the_ring_keeps_the_newest_and_survives_a_bad_call() -> None:
    ring = LogRing(capacity=2)
    handler = RingHandler(ring, "here: ")

    for message, arguments in (("one", ()), ("two\n", ()), ("%d", ("x",))):
        handler.handle(record(message, *arguments))

    lines = [line for _, line in ring.after(0)]
    assert [line.text for line in lines] == ["two\\x0a", "%d"]
    assert (lines[0].level, lines[0].logger) == ("warning", "here: a.b")


# The lines of requests ----------------------------------------------------------------------------

HOSTILE = st.one_of(
    st.text(max_size=12),
    st.text("a-._=% \"'\\\x7f\x1b\n\u202eé\U0001f600\ud800{}", max_size=6),
    st.sampled_from(["-", "", "gpt-4o", "llama3:70b", "%s", "a=b", "\x7f", "null", "x" * 9000]),
)
WORDS = st.none() | HOSTILE
NUMBERS = st.none() | st.floats(0, 1e6) | st.floats(allow_nan=False, allow_infinity=False)
FAILURES = st.lists(
    st.builds(
        AttemptFailed,
        at=st.just(1.0),
        request_id=st.just("r"),
        attempt=st.builds(
            Attempt,
            backend=HOSTILE,
            error=HOSTILE,
            status=st.none() | st.integers(100, 599),
            elapsed_ms=st.floats(0, 1e6),
        ),
    ),
    max_size=2,
).map(tuple)
COUNTS = st.integers(0, 10**8)
TIMES = st.floats(0, 4e9) | st.sampled_from([0.9999999, 1.0, 1764489600.0005, 1764489599.9996])
RECORDS = st.builds(
    RequestRecord,
    request_id=HOSTILE,
    at=st.just(0.0),
    ended_at=TIMES,
    error=WORDS,
    status=st.none() | st.integers(100, 599),
    asked_model=HOSTILE,
    route_model=WORDS,
    backend=WORDS,
    zone=st.none() | st.sampled_from(PrivacyZone),
    reason=st.none() | st.sampled_from(RouteReason),
    usage=st.none() | st.builds(TokenUsage, prompt_tokens=COUNTS, completion_tokens=COUNTS),
    counted=st.none() | st.sampled_from(CountMethod),
    cost=st.none() | st.builds(Cost, st.integers(0, 10**15), st.just("config")),
    is_unpriced=st.booleans(),
    client_left=st.booleans(),
    total_ms=NUMBERS,
    first_byte_ms=NUMBERS,
    overhead_ms=NUMBERS,
    upstream_ms=NUMBERS,
    failures=FAILURES,
    error_code=WORDS,
    origin=st.builds(Origin, agent=WORDS, session=WORDS),
)
NOTHING_KNOWN = RequestRecord("", 0.0)


def by_logging(line: RequestLine) -> logging.LogRecord:
    """The log record that says the same."""
    made = logging.LogRecord(line.logger, line.level, __file__, 1, "finished", (), None)
    made.created = line.at
    made.__dict__["fields"] = log_fields(line.record)
    return made


@given(RECORDS, st.sampled_from([logging.INFO, logging.WARNING]))
@example(NOTHING_KNOWN, logging.INFO)
def test_a_requests_line_is_what_a_log_record_of_it_would_be(
    over: RequestRecord, level: int
) -> None:
    line = RequestLine(over, level, "nexus_core.proxy.progress")
    for log_format in FORMATS:
        ours, theirs = io.StringIO(), io.StringIO()
        ring, their_ring = LogRing(), LogRing()

        StderrHandler(ours, log_format).take(line)
        RingHandler(ring).take(line)
        StderrHandler(theirs, log_format).handle(by_logging(line))
        RingHandler(their_ring).handle(by_logging(line))

        assert ours.getvalue() == theirs.getvalue()
        assert ring.after(0) == their_ring.after(0)
        assert ring.last_warning == their_ring.last_warning


class Stderr(io.StringIO):
    """Counts what is written at once."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[list[str]] = []

    def write(self, text: str) -> int:
        self.writes.append([json.loads(line)["message"] for line in text.splitlines()])
        return super().write(text)


def request_line(level: int = logging.INFO) -> RequestLine:
    return RequestLine(NOTHING_KNOWN, level, "a.b")


@pytest.fixture
def stderr() -> Stderr:
    return Stderr()


async def test_lines_of_requests_are_written_together_and_soon(stderr: Stderr) -> None:
    handler = StderrHandler(stderr, "json")

    for _ in range(3):
        handler.take(request_line())
    await settled()
    before = list(stderr.writes)
    pass_time(1)
    await settled()
    handler.take(request_line())
    pass_time(1)
    await settled()

    assert before == []
    assert stderr.writes == [["finished"] * 3, ["finished"]]


async def test_many_at_once_are_written_in_portions_with_one_timer(
    stderr: Stderr, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = StderrHandler(stderr, "json")
    loop, timers = asyncio.get_running_loop(), list[float]()
    call_later = loop.call_later

    def counted(seconds: float, *args: Any) -> asyncio.TimerHandle:
        timers.append(seconds)
        return call_later(seconds, *args)

    monkeypatch.setattr(loop, "call_later", counted)

    for _ in range(2 * _FLUSH_LINES + 1):
        handler.take(request_line())
    before = [len(each) for each in stderr.writes]
    pass_time(1)
    await settled()

    assert before == [_FLUSH_LINES, _FLUSH_LINES]
    assert [len(each) for each in stderr.writes] == [*before, 1]
    assert timers == [_FLUSH_SECONDS]


async def test_everything_else_is_written_at_once_and_in_order(stderr: Stderr) -> None:
    handler = StderrHandler(stderr, "json")

    handler.take(request_line())
    handler.handle(record("one"))
    handler.take(request_line())
    handler.take(request_line(logging.WARNING))
    handler.handle(record("two"))

    assert stderr.writes == [["finished", "one"], ["finished", "finished"], ["two"]]


def test_without_a_loop_a_line_is_written_at_once(stderr: Stderr) -> None:
    StderrHandler(stderr, "json").take(request_line())

    assert stderr.writes == [["finished"]]


async def test_the_end_of_the_process_writes_what_is_left(stderr: Stderr) -> None:
    handler = StderrHandler(stderr, "json")
    handler.take(request_line())

    logging.shutdown([lambda: handler])

    assert stderr.writes == [["finished"]]


async def test_a_loop_that_ended_early_leaves_no_line_for_ever(stderr: Stderr) -> None:
    handler = StderrHandler(stderr, "json")
    handler._flushes_in = ended = asyncio.new_event_loop()
    ended.close()

    handler.take(request_line())
    pass_time(1)
    await settled()

    assert stderr.writes == [["finished"]]


@pytest.mark.parametrize("log_format", FORMATS)
def test_a_line_that_can_not_be_written_is_lost_alone(log_format: str) -> None:
    stderr = io.StringIO()
    handler = StderrHandler(stderr, log_format)
    bad = RequestRecord("bad", 0.0, total_ms="soon")  # type: ignore[arg-type]

    for one in (RequestRecord("r1", 0.0), bad, RequestRecord("r2", 0.0)):
        handler._lines.append(RequestLine(one, logging.INFO, "a.b"))
    handler.handle(record("one"))

    lines = stderr.getvalue().splitlines()
    assert ["r1" in lines[0], "r2" in lines[1], "one" in lines[2]] == [True] * 3
    assert len(lines) == 3


async def test_a_closed_stderr_ends_nothing() -> None:
    closed = io.StringIO()
    handler = StderrHandler(closed, "pretty")
    closed.close()

    handler.take(request_line())
    handler.handle(record("one"))
    handler.take(request_line(logging.WARNING))

    assert not handler._lines


def test_a_bad_call_of_a_logger_ends_nothing(
    stderr: Stderr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    handler = StderrHandler(stderr, "json")

    handler.handle(record("%d", "x"))
    handler.handle(record("one"))

    assert stderr.writes == [["one"]]


def test_requests_and_records_are_numbered_together() -> None:
    ring = LogRing()
    handler = RingHandler(ring)

    handler.take(request_line())
    handler.handle(record("one"))
    handler.take(request_line(logging.WARNING))

    lines = ring.after(0)
    assert [number for number, _ in lines] == [1, 2, 3]
    assert [line.text.split()[0] for _, line in lines] == ["finished", "one", "finished"]
    assert all(isinstance(line, LogLine) for _, line in lines)
    assert ring.last_warning is lines[2][1]


def test_a_record_that_names_a_request_leads_to_it() -> None:
    ring = LogRing()
    handler = RingHandler(ring)

    handler.handle(record("failed request=%s", "0123456789abcdef"))
    handler.handle(record('model="x request=0123456789abcdefg"'))

    assert [line.request_id for _, line in ring.after(0)] == ["0123456789abcdef", None]
