from __future__ import annotations

import pytest

from nexus_core.observe.log_ring import LogLine
from nexus_tui.view.log_filter import LogFilter, parse_log_filter

NOW = 1_800_000_000.0
LINE = LogLine(NOW - 90, "info", "nexus_core.fleet", "Health backend=vllm-a request=a81f7c: cut")


def of(level: str) -> LogLine:
    return LogLine(NOW, level, "x", "text")


@pytest.mark.parametrize(
    ("least", "level", "expected"),
    [
        ("debug", "debug", True),
        ("warning", "info", False),
        ("warning", "error", True),
        ("error", "critical", True),
        ("info", "unheard-of", True),
        ("warning", "unheard-of", False),
    ],
)
def test_a_level_and_what_is_above_it_are_shown(least: str, level: str, expected: bool) -> None:
    assert LogFilter(least).matches(of(level)) is expected
    assert LogFilter(typed=parse_log_filter(f"level:{least}")).matches(of(level)) is expected


def test_a_level_alone() -> None:
    wanted = LogFilter(typed=parse_log_filter("level:=info,critical"))

    seen = ("debug", "info", "warning", "error", "critical")
    assert [level for level in seen if wanted.matches(of(level))] == ["info", "critical"]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", True),
        ("HEALTH vllm", True),
        ("health !vllm", False),
        ("!exo", True),
        ("exo", False),
        ("fleet", True),  # of the logger
        ("exo or vllm", True),
        ('"health backend"', True),
        ("backend=vllm-a", True),
        ("request=a81f", True),
        ("a81f7c:", True),  # a word, as it is no key
        ("id:1f7c", True),
        ("id:=a81f7c", True),
        ("logger:fleet", True),
        ("logger:proxy", False),
        ("last:1m", False),
        ("last:2m", True),
        ("until:1m", True),
        ("!(exo or fleet)", False),
    ],
)
def test_every_term_holds(typed: str, expected: bool) -> None:
    wanted = parse_log_filter(typed, lambda: NOW)

    assert wanted.problem is None
    assert LogFilter(typed=wanted).matches(LINE) is expected


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("levl:error", 'unknown key "levl"; did you mean "level"?'),
        ("level:eror", 'did you mean "error"?'),
        ("last:5", "last: must be a time with its unit"),
    ],
)
def test_what_makes_no_sense_is_told(typed: str, told: str) -> None:
    found = parse_log_filter(typed)

    assert told in (found.problem or "")
    assert not found.matches(LINE)
