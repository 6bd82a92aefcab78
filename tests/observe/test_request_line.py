"""The line of a finished request: what is in it, and who gets it in which form."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from nexus_core.observe.facts import LOG
from nexus_core.observe.log_ring import MAX_TEXT
from nexus_core.observe.origin.origin import Origin
from nexus_core.observe.record import RequestRecord
from nexus_core.observe.request_line import (
    _JSON,
    _MAX_TEMPLATES,
    _PRETTY,
    LineHandler,
    RequestLine,
    as_json,
    as_text,
    log_fields,
    log_request,
    pretty_fields,
)
from nexus_core.types import Cost, RouteReason
from tests.observe.test_facts import OVER

ONCE = replace(OVER, failures=())  # tried once, so that its template is kept


def line_of(level: int = logging.INFO, **changes: Any) -> RequestLine:
    return RequestLine(replace(OVER, **changes), level, "x")


def text_of(line: RequestLine) -> str:
    (text,) = as_text([line])
    return text


def json_of(line: RequestLine) -> str:
    (text,) = as_json([line])
    return text


def failed() -> RequestRecord:
    return RequestRecord("r2", 1.0, ended_at=2.0, total_ms=1.0, status=502, failed=True)


class Taker(LineHandler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[RequestLine] = []
        self.records: list[logging.LogRecord] = []

    def take(self, line: RequestLine) -> None:
        self.lines.append(line)

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class Foreign(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def log() -> logging.Logger:
    """A logger whose root is not the process's."""
    return logging.Manager(logging.RootLogger(logging.INFO)).getLogger("a.b")


def test_the_log_rounds_times_and_tells_dollars() -> None:
    line = log_fields(OVER)

    assert list(line) == [key for key, _ in LOG]
    assert (line["total_ms"], line["cost_usd"]) == (12.35, 0.0029)
    assert line["attempts"] == [
        {"backend": "a", "status": 503, "error": "answered 503", "ms": 1.23}
    ]


def test_a_handler_of_ours_gets_the_line_and_no_record(log: logging.Logger) -> None:
    own, above = Taker(), Taker()
    log.addHandler(own)
    assert log.parent is not None
    log.parent.addHandler(above)

    log_request(log, OVER)
    log_request(log, failed())

    assert [(line.at, line.level_name, line.logger) for line in own.lines] == [
        (2.0, "info", "a.b"),
        (2.0, "warning", "a.b"),
    ]
    assert above.lines == own.lines
    assert own.records == []


def _add_foreign(log: logging.Logger, _: Taker) -> None:
    log.addHandler(Foreign())


def _filter_log(log: logging.Logger, _: Taker) -> None:
    log.addFilter(lambda record: True)


def _filter_handler(_: logging.Logger, taker: Taker) -> None:
    taker.addFilter(lambda record: True)


def _set_level(_: logging.Logger, taker: Taker) -> None:
    taker.setLevel(logging.INFO)


@pytest.mark.parametrize("change", [_add_foreign, _filter_log, _filter_handler, _set_level])
def test_whoever_wants_a_log_record_gets_one_and_so_do_all(
    log: logging.Logger, change: Any
) -> None:
    taker = Taker()
    log.addHandler(taker)
    change(log, taker)

    log_request(log, OVER)

    (record,) = taker.records
    assert (record.getMessage(), record.levelname) == ("finished", "INFO")
    assert record.__dict__["fields"] == log_fields(OVER)
    assert taker.lines == []


def test_a_fault_of_one_handler_reaches_neither_the_request_nor_the_others(
    log: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, taker = Taker(), Taker()
    monkeypatch.setattr(broken, "take", lambda line: line.nothing)
    log.handlers[:] = [broken, taker]

    log_request(log, OVER)

    assert [line.record for line in taker.lines] == [OVER]


def test_a_foreign_handler_above_gets_a_log_record(log: logging.Logger) -> None:
    foreign = Foreign()
    log.addHandler(Taker())
    assert log.parent is not None
    log.parent.addHandler(foreign)

    log_request(log, failed())
    log.propagate = False
    log_request(log, failed())

    assert [record.levelname for record in foreign.records] == ["WARNING"]


def test_what_is_below_the_level_is_not_logged(log: logging.Logger) -> None:
    taker = Taker()
    log.addHandler(taker)
    log.setLevel(logging.WARNING)

    log_request(log, OVER)
    log_request(log, failed())

    assert [line.level_name for line in taker.lines] == ["warning"]


@given(st.floats() | st.integers() | st.floats(-1e4, 1e4))
@example(0.005)
@example(2.675)
@example(-0.001)
@example(1e16)
@example(123456789012.125)
def test_times_are_written_as_json_has_them_rounded(ms: float) -> None:
    if (isinstance(ms, float) and ms != ms) or abs(ms) == float("inf"):
        ms = 0.0
    line = line_of(total_ms=ms)

    expected = json.dumps(round(ms, 2))

    assert f" total_ms={expected} " in text_of(line)
    assert f'"total_ms": {expected}, ' in json_of(line)


@given(st.integers(0, 10**17))
def test_dollars_are_the_floats_nearest_to_them(nano_usd: int) -> None:
    line = line_of(cost=Cost(nano_usd, "config"))

    usd = float(Cost(nano_usd, "config").usd)

    assert log_fields(line.record)["cost_usd"] == usd
    assert json.loads(json_of(line))["cost_usd"] == usd


RECURRING: dict[str, st.SearchStrategy[Any]] = {
    "error": st.none() | st.just("it broke"),
    "status": st.none() | st.sampled_from([200, 404]),
    "asked_model": st.sampled_from(["%s", "%d", "m"]),
    "route_model": st.none() | st.sampled_from(["m", "%"]),
    "backend": st.none() | st.sampled_from(["-", "b"]),
    "reason": st.none() | st.sampled_from(RouteReason),
    "failures": st.sampled_from([(), OVER.failures]),
    "is_unpriced": st.booleans(),
    "client_left": st.booleans(),
    "error_code": st.none() | st.just("-"),
    "origin": st.builds(Origin, st.none() | st.just("codex"), st.none() | st.just("s 1")),
    "usage": st.none() | st.just(OVER.usage),
    "cost": st.none() | st.just(OVER.cost),
    "first_byte_ms": st.none() | st.floats(0, 1e4),
}


@given(st.lists(st.fixed_dictionaries(RECURRING), max_size=6))
def test_lines_written_together_are_those_written_one_by_one(changes: list[dict[str, Any]]) -> None:
    lines = [line_of(**each) for each in changes]
    fields = [log_fields(line.record) for line in lines]

    assert as_text(lines) == [f"finished {pretty_fields(each)}" for each in fields]
    assert [json.loads(line) for line in as_json(lines)] == [
        {"time": "1970-01-01T00:00:02.000+00:00", "level": "info", "logger": "x"}
        | {"message": "finished", **each}
        for each in fields
    ]
    assert [*map(text_of, lines)] == as_text(lines)
    assert [*map(json_of, lines)] == as_json(lines)


def test_templates_do_not_grow_without_a_bound() -> None:
    def text(asked: str) -> str:
        return text_of(RequestLine(replace(ONCE, asked_model=asked), logging.INFO, "x"))

    for number in range(3 * _MAX_TEMPLATES):
        text(f"model-{number}")

    assert 0 < len(_PRETTY._templates) <= _MAX_TEMPLATES
    assert " asked=model-0 " in text("model-0")


def test_requests_that_failed_somewhere_keep_no_template() -> None:
    before = dict(_JSON._templates)

    json_of(line_of(asked_model="seen nowhere else"))

    assert before == _JSON._templates


def test_a_line_is_shown_once_and_in_part_if_it_is_too_long() -> None:
    line = line_of(error="e" * 2 * MAX_TEXT, ended_at=3.5)

    shown = line.shown()

    assert shown is line.shown()
    assert (shown.at, shown.level, shown.logger) == (3.5, "info", "x")
    assert shown.text.startswith("b: eeee")
    assert len(shown.text) <= MAX_TEXT


def test_the_error_and_the_status_are_the_first_fields() -> None:
    line = line_of(logging.WARNING, error="it broke", status=502)

    assert text_of(line).startswith('finished error="it broke" status=502 ')
    assert list(json.loads(json_of(line)))[4:6] == ["error", "status"]


def test_the_text_of_a_good_one_has_no_error_and_the_json_has_every_key() -> None:
    line = line_of(error=None, status=200)

    assert text_of(line).startswith("finished status=200 request=r1 asked=fast ")
    assert "error=" not in text_of(line)
    assert list(json.loads(json_of(line)))[4:] == [key for key, _ in LOG]


@pytest.mark.parametrize(
    ("level", "changes", "begin"),
    [
        (
            logging.WARNING,
            {"error": 'backend "old": the answer ended early', "backend": "old", "status": 200},
            "old: the answer ended early status=200 ",
        ),
        (
            logging.WARNING,
            {"error": "nobody serves m", "backend": None, "status": 503},
            "nobody serves m status=503 ",
        ),
        (
            logging.WARNING,
            {"error": None, "backend": "a", "status": 502},
            "a: answered 502 status=502 ",
        ),
        (
            logging.INFO,
            {"error": None, "backend": "a", "status": 200},
            "finished status=200 ",
        ),
        (
            logging.WARNING,
            {"error": "x\x1b[2J\ny", "backend": "a\u202e", "status": 502},
            "a\\u202e: x\\u001b[2J\\ny status=502 ",
        ),
    ],
)
def test_a_panel_shows_what_is_wrong_before_the_fields(
    level: int, changes: dict[str, Any], begin: str
) -> None:
    shown = line_of(level, **changes).shown()

    assert shown.text.startswith(begin)
    assert "error=" not in shown.text
    assert " request=r1 asked=fast " in shown.text
    assert shown.request_id == "r1"
    assert shown.text.isprintable()
