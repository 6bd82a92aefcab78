from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nexus_core.routing.affinity import Affinity


def test_the_next_turn_finds_who_served_the_one_before() -> None:
    affinity = Affinity()

    affinity.remember((1, 2, 3), "a")

    assert affinity.recall((1, 2, 3, 4, 5)) == "a"


def test_the_longest_known_beginning_counts() -> None:
    affinity = Affinity()
    affinity.remember((1, 2, 3), "a")
    affinity.remember((1, 7), "b")

    found = [affinity.recall(prefixes) for prefixes in ((1, 2, 3, 4), (1, 7, 8), (1, 9), (5,))]

    assert found == ["a", "b", "b", None]


def test_the_longest_unused_is_forgotten_first() -> None:
    affinity = Affinity(capacity=2)
    affinity.remember((1,), "a")
    affinity.remember((2,), "b")
    affinity.remember((1,), "a")

    affinity.remember((3,), "c")

    assert [affinity.recall((key,)) for key in (1, 2, 3)] == ["a", None, "c"]


def test_a_session_finds_who_served_it_where_its_prompt_begins_with_another_word() -> None:
    affinity = Affinity()

    affinity.remember((1, 2), "a", session=7)

    assert affinity.recall((8, 9), session=7) == "a"
    assert affinity.recall((8, 9), session=6) is None
    assert affinity.recall((8, 9)) is None
    assert affinity.recall((), session=7) == "a"


def test_the_conversation_counts_before_the_session_and_that_before_the_first_message() -> None:
    affinity = Affinity()
    affinity.remember((1, 2, 3), "a", session=7)
    affinity.remember((1, 5), "b", session=8)

    assert affinity.recall((1, 2, 3, 4), session=8) == "a"
    assert affinity.recall((1, 9), session=7) == "a"
    assert affinity.recall((1, 9), session=6) == "b"
    assert affinity.recall((1, 9)) == "b"


@given(st.lists(st.lists(st.integers(0, 30), max_size=4).map(tuple)))
def test_the_memory_is_bounded(conversations: list[tuple[int, ...]]) -> None:
    affinity = Affinity(capacity=5)

    for number, prefixes in enumerate(conversations):
        affinity.remember(prefixes, "a", session=100 + number)

    assert len(affinity) <= 5
