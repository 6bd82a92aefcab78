"""What is expected of an answer is what the model's answers were like, within its limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.money.averages import FIRST_GUESS, CompletionAverages
from tests.examples import promised


def test_an_unknown_model_is_guessed() -> None:
    assert CompletionAverages().expected("m") == FIRST_GUESS


def test_the_first_answer_replaces_the_guess() -> None:
    averages = CompletionAverages()

    averages.observe("m", 1000)

    assert averages.expected("m") == 1000
    assert averages.expected("other") == FIRST_GUESS


def test_later_answers_move_the_average() -> None:
    averages = CompletionAverages({"m": 100.0})

    for _ in range(50):
        averages.observe("m", 500)

    assert 490 <= averages.expected("m") <= 500


@promised()
@given(seen=st.lists(st.integers(0, 10**6)), limit=st.integers(0, 10**6))
def test_no_more_is_expected_than_is_allowed(seen: list[int], limit: int) -> None:
    averages = CompletionAverages()
    for tokens in seen:
        averages.observe("m", tokens)

    assert 0 <= averages.expected("m", limit) <= limit


@pytest.mark.parametrize("limit", [-1, 0])
def test_a_senseless_limit_expects_nothing(limit: int) -> None:
    assert CompletionAverages().expected("m", limit) == 0


def test_models_long_unseen_are_forgotten() -> None:
    averages = CompletionAverages({"kept": 9.0})

    for number in range(5000):
        averages.observe("kept", 9)
        averages.observe(str(number), 1)

    assert averages.expected("kept") == 9
    assert averages.expected("0") == FIRST_GUESS
