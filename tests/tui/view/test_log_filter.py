from __future__ import annotations

import pytest

from nexus_tui.view.log_filter import LogFilter, words_of


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
    assert LogFilter(least).matches(level, "x", "text") is expected


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", True),
        ("HEALTH vllm", True),
        ("health !vllm", False),
        ("!exo", True),
        ("exo", False),
        ("fleet", True),  # of the logger
        ("!", False),  # is a word as any other
    ],
)
def test_every_word_is_in_the_line_and_none_that_is_excluded(typed: str, expected: bool) -> None:
    wanted = LogFilter(words=words_of(typed))

    assert wanted.matches("info", "nexus_core.fleet", "Health backend=vllm-a") is expected
