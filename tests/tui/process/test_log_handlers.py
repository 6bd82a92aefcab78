"""What becomes of a log record: a line for stderr, an entry of the ring."""

from __future__ import annotations

import logging
import sys

import pytest

from nexus_core.observe.log_ring import LogRing
from nexus_tui.process.log_handlers import JsonFormatter, PrettyFormatter, RingHandler


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
