import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.circuit import LONGEST_REST_SECONDS, Circuit


def failing(circuit: Circuit, *times: float, is_unreachable: bool = False) -> Circuit:
    for at in times:
        circuit.fail(at, "answered 500", is_unreachable=is_unreachable)
    return circuit


def test_a_backend_that_answers_with_errors_rests_after_three_in_a_row() -> None:
    circuit = failing(Circuit(), 1, 2)
    assert (circuit.is_open, circuit.until) == (False, None)

    failing(circuit, 3)

    assert (circuit.is_open, circuit.until, circuit.why) == (True, 8, "answered 500")


def test_a_success_between_them_starts_the_count_anew() -> None:
    circuit = failing(Circuit(), 1, 2)

    circuit.succeed()

    assert not failing(circuit, 3, 4).is_open


def test_an_unreachable_backend_rests_at_once() -> None:
    assert failing(Circuit(), 1, is_unreachable=True).until == 6


def test_each_failed_trial_doubles_the_rest_up_to_a_limit() -> None:
    circuit = failing(Circuit(), 0, is_unreachable=True)
    rests = []

    for _ in range(10):
        assert circuit.until is not None
        before = circuit.until
        failing(circuit, before)
        rests.append(circuit.until - before)

    assert rests[:3] == [10, 20, 40]
    assert rests[-1] == LONGEST_REST_SECONDS


def test_failures_of_requests_sent_before_the_rest_do_not_lengthen_it() -> None:
    circuit = failing(Circuit(), 0, 1, 2, is_unreachable=True)

    assert circuit.until == 5


def test_a_trial_that_succeeds_closes_the_circuit_and_forgets() -> None:
    circuit = failing(Circuit(), 0, 5, is_unreachable=True)

    circuit.succeed()

    assert (circuit.is_open, circuit.until, circuit.failures) == (False, None, 0)
    assert failing(circuit, 20, is_unreachable=True).until == 25


def test_an_answer_that_begins_ends_the_rest_but_not_the_row_of_failures() -> None:
    circuit = failing(Circuit(), 0, 0, 0)

    circuit.begin()
    closed = (circuit.is_open, circuit.until, circuit.why)
    failing(circuit, 20)

    assert closed == (False, None, None)
    assert (circuit.is_open, circuit.until) == (True, 30)  # twice as long as the one before


def test_a_rest_that_was_asked_for_outlasts_the_circuit() -> None:
    circuit = failing(Circuit(), 0, is_unreachable=True)
    circuit.rest(1, 60)

    circuit.begin()

    assert (circuit.is_open, circuit.until, circuit.why) == (False, 61, "answered 429")


@pytest.mark.parametrize(("asked", "until"), [(7, 17), (None, 11), (99_999, 3610), (-3, 10)])
def test_a_busy_backend_rests_as_long_as_it_asks_within_reason(
    asked: float | None, until: float
) -> None:
    circuit = Circuit()

    circuit.rest(10, asked)

    assert (circuit.until, circuit.is_open) == (until, False)


def test_an_answer_does_not_end_a_rest_that_was_asked_for() -> None:
    circuit = Circuit()
    circuit.rest(10, 5)

    circuit.succeed()

    assert circuit.until == 15


@given(st.lists(st.tuples(st.sampled_from(("fail", "begin", "succeed", "rest")), st.floats(0, 50))))
def test_whatever_happens_a_rest_ends(steps: list[tuple[str, float]]) -> None:
    circuit, at = Circuit(), 0.0
    for kind, seconds in steps:
        at += seconds
        if kind == "fail":
            failing(circuit, at)
        elif kind in ("begin", "succeed"):
            getattr(circuit, kind)()
        else:
            circuit.rest(at, seconds)

        assert circuit.until is None or circuit.until <= at + LONGEST_REST_SECONDS
