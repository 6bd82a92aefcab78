import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.fleet.circuit import (
    LONGEST_REST_SECONDS,
    MAX_CIRCUITS,
    SHARED_FAILURES_TO_OPEN,
    Circuit,
    Circuits,
)

BUSY = "answered 429"


def failing(circuit: Circuit, *times: float, is_unreachable: bool = False) -> Circuit:
    for at in times:
        circuit.fail(at, "answered 500", is_unreachable=is_unreachable)
    return circuit


def test_failures_open_it_after_three_in_a_row() -> None:
    circuit = failing(Circuit(), 1, 2)
    assert (circuit.is_open, circuit.until) == (False, None)

    failing(circuit, 3)

    assert (circuit.is_open, circuit.until, circuit.why) == (True, 8, "answered 500")


def test_a_success_between_them_starts_the_count_anew() -> None:
    circuit = failing(Circuit(), 1, 2)

    circuit.succeed()

    assert not failing(circuit, 3, 4).is_open


def test_no_connection_opens_it_at_once() -> None:
    assert failing(Circuit(), 1, is_unreachable=True).until == 6


def test_each_failed_trial_doubles_the_cooldown_up_to_a_limit() -> None:
    circuit = failing(Circuit(), 0, is_unreachable=True)
    rests = []

    for _ in range(10):
        assert circuit.until is not None
        before = circuit.until
        failing(circuit, before)
        rests.append(circuit.until - before)

    assert rests[:3] == [10, 20, 40]
    assert rests[-1] == LONGEST_REST_SECONDS


def test_failures_of_requests_sent_before_the_cooldown_do_not_lengthen_it() -> None:
    circuit = failing(Circuit(), 0, 1, 2, is_unreachable=True)

    assert circuit.until == 5


def test_a_trial_that_succeeds_closes_it_and_forgets() -> None:
    circuit = failing(Circuit(), 0, 5, is_unreachable=True)

    circuit.succeed()

    assert (circuit.is_open, circuit.until, circuit.failures) == (False, None, 0)
    assert failing(circuit, 20, is_unreachable=True).until == 25


def test_an_answer_that_begins_closes_it_but_does_not_end_the_row_of_failures() -> None:
    circuit = failing(Circuit(), 0, 0, 0)

    circuit.begin()
    closed = (circuit.is_open, circuit.until)
    failing(circuit, 20)

    assert closed == (False, None)
    assert (circuit.is_open, circuit.until) == (True, 30)  # twice as long as the one before


def test_the_same_request_counts_once_however_often_it_fails() -> None:
    circuit = Circuit()
    for at in range(20):
        circuit.fail(at, "answered 500", content=1)
    once = (circuit.failures, circuit.is_open)

    circuit.fail(20, "answered 500", content=2)
    circuit.fail(21, "answered 500", content=3)

    assert once == (1, False)
    assert circuit.is_open


def test_the_same_request_as_a_trial_neither_closes_nor_prolongs() -> None:
    circuit = Circuit()
    for content in (1, 2, 3):
        circuit.fail(0, "answered 500", content=content)

    circuit.fail(6, "answered 500", content=2)

    assert (circuit.is_open, circuit.until) == (True, 5)  # the next one is a trial, too


def test_failures_that_were_shared_take_many() -> None:
    circuit = Circuit()
    for at in range(SHARED_FAILURES_TO_OPEN - 1):
        circuit.fail(at, "answered 500", is_shared=True)
    before = circuit.is_open

    circuit.fail(20, "answered 500", is_shared=True)

    assert (before, circuit.is_open) == (False, True)


def test_a_cooldown_that_was_asked_for_outlasts_the_circuit() -> None:
    circuit = failing(Circuit(), 0, is_unreachable=True)
    circuit.rest(1, 60, BUSY)

    circuit.begin()

    assert (circuit.is_open, circuit.until, circuit.why) == (False, 61, BUSY)


@pytest.mark.parametrize(("asked", "until"), [(7, 17), (None, 11), (99_999, 3610), (-3, 10)])
def test_a_cooldown_lasts_as_long_as_was_asked_for_within_reason(
    asked: float | None, until: float
) -> None:
    circuit = Circuit()

    circuit.rest(10, asked, BUSY)

    assert (circuit.until, circuit.is_open) == (until, False)


def test_an_answer_does_not_end_a_cooldown_that_was_asked_for() -> None:
    circuit = Circuit()
    circuit.rest(10, 5, BUSY)

    circuit.succeed()

    assert circuit.until == 15


@given(st.lists(st.tuples(st.sampled_from(("fail", "begin", "succeed", "rest")), st.floats(0, 50))))
def test_whatever_happens_a_cooldown_ends(steps: list[tuple[str, float]]) -> None:
    circuit, at = Circuit(), 0.0
    for kind, seconds in steps:
        at += seconds
        if kind == "fail":
            failing(circuit, at)
        elif kind in ("begin", "succeed"):
            getattr(circuit, kind)()
        else:
            circuit.rest(at, seconds, BUSY)

        assert circuit.until is None or circuit.until <= at + LONGEST_REST_SECONDS


# Those of a backend -------------------------------------------------------------------------------


def test_what_a_model_does_shows_at_no_other_and_not_at_the_whole() -> None:
    circuits = Circuits()
    failing(circuits.of("m"), 0, 0, 0)
    circuits.of("n").rest(0, 9, BUSY)

    whole, models = circuits.cooldowns(1)

    assert whole is None
    assert {name: one.until for name, one in models.items()} == {"m": 5, "n": 9}


def test_a_trial_is_under_way_from_its_start_to_its_end() -> None:
    circuits = Circuits()
    failing(circuits.of("m"), 0, 0, 0)

    seen = []
    for change in (
        lambda _: None,
        circuits.begin_half_open_request,
        circuits.end_half_open_request,
    ):
        change("m")
        seen.append(circuits.cooldowns(6)[1]["m"].keeps_away(6))

    assert seen == [False, True, False]


def test_a_request_sent_before_the_circuit_opened_is_no_trial() -> None:
    circuits = Circuits()
    circuits.begin_half_open_request("m")
    failing(circuits.of("m"), 0, 0, 0)

    assert not circuits.cooldowns(6)[1]["m"].is_tried


def test_what_says_nothing_any_more_is_forgotten() -> None:
    circuits = Circuits()
    circuits.of("busy").rest(0, 5, BUSY)
    circuits.of("failed once").fail(0, "answered 500")
    circuits.of("gone").fail(0, "answered 500")
    circuits.of(None).rest(0, 3, BUSY)

    circuits.forget(4, {"served": "failed once", "other": "busy"})
    first = (circuits.whole, set(circuits.by_model))
    circuits.forget(5)

    assert first == (None, {"busy", "failed once"})
    assert set(circuits.by_model) == {"failed once"}


def test_however_many_models_fail_their_circuits_are_bounded() -> None:
    circuits = Circuits()

    for number in range(3 * MAX_CIRCUITS):
        circuits.of(f"m{number}").fail(0, "answered 500")

    assert len(circuits.by_model) == MAX_CIRCUITS
