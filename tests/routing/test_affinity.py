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


@given(st.lists(st.lists(st.integers(0, 30), max_size=4).map(tuple)))
def test_the_memory_is_bounded(conversations: list[tuple[int, ...]]) -> None:
    affinity = Affinity(capacity=5)

    for prefixes in conversations:
        affinity.remember(prefixes, "a")

    assert len(affinity) <= 5
