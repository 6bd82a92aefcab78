"""Near names: the right ones, and bounded work whatever the names are."""

from __future__ import annotations

import asyncio
from difflib import get_close_matches
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core import near_names as room
from nexus_core.near_names import COMPARED, likeness, near_names, shortlist
from tests.waiting import turns

SERVED = (
    "gpt-4",
    "gpt-4o",
    "gpt-4o-mini",
    "o3-mini",
    "claude-sonnet-4-5",
    "gemini-2.5-pro",
    "llama3:70b",
    "qwen2:72b",
    "text-embedding-3-small",
    "meta-llama/Llama-3.1-70B-Instruct",
    "x",
)
CROWD = tuple(
    f"{family}-{number % 9}.{number % 7}-{(7, 13, 70)[number % 3]}b-{kind}-{number}"
    for number in range(2500)
    for family, kind in (("mistral", "base"), ("falcon", "chat"), ("yi", "code"), ("mpt", "awq"))
)


@pytest.mark.parametrize("names", [SERVED, (*CROWD[:5000], *SERVED, *CROWD[5000:])])
@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("gpt-4o-mni", "gpt-4o-mini"),  # a letter left out
        ("gpt-4oo", "gpt-4o"),  # one too many
        ("gtp-4", "gpt-4"),  # two in the wrong order
        ("GPT-4o-Mini", "gpt-4o-mini"),  # another case
        ("o3mini", "o3-mini"),
        ("claud-sonet-4-5", "claude-sonnet-4-5"),
        ("claude-sonnet-4.5", "claude-sonnet-4-5"),  # as people write it
        ("gemini-pro", "gemini-2.5-pro"),
        ("llama3-70b", "llama3:70b"),
        ("llama3:70", "llama3:70b"),
        ("text-embeding-3", "text-embedding-3-small"),
        ("llama-3.1-70b-instruct", "meta-llama/Llama-3.1-70B-Instruct"),  # without its owner
        ("qwen2:72b-instruct", "qwen2:72b"),
    ],
)
def test_the_meant_name_comes_first(names: tuple[str, ...], asked: str, meant: str) -> None:
    assert near_names(asked, names)[:1] == [meant]


@pytest.mark.parametrize("asked", ["", "nothing-alike-at-all", "\u200b", "🦙🦙🦙", "zz" * 128])
def test_nothing_near_is_nothing(asked: str) -> None:
    assert near_names(asked, SERVED) == []


@given(
    st.text("abcgpt4o-", min_size=1, max_size=12),
    st.lists(st.text("abcgpt4o-", min_size=1, max_size=12), unique=True, max_size=20),
)
def test_what_difflib_finds_near_is_found_near(asked: str, names: list[str]) -> None:
    found = near_names(asked, names, limit=len(names))

    assert set(get_close_matches(asked, names, n=20, cutoff=0.6)) <= set(found)


@given(st.text(max_size=30), st.text(max_size=30))
def test_the_likeness_is_that_of_the_longest_common_subsequence(one: str, other: str) -> None:
    lengths = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, a in enumerate(one):
        for j, b in enumerate(other):
            longest = max(lengths[i][j + 1], lengths[i + 1][j])
            lengths[i + 1][j + 1] = lengths[i][j] + 1 if a == b else longest

    expected = 2 * lengths[-1][-1] / (len(one) + len(other)) if one and other else 0.0
    assert likeness(one, other) == pytest.approx(expected)


ALIKE = tuple("a" * 250 + f"{number:06d}" for number in range(10_000))


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("gpt-4o-mni", (*CROWD, *SERVED)),
        ("a" * 256, ALIKE),
        ("ab" * 128, tuple("ba" * 125 + f"{number:06d}" for number in range(10_000))),
        ("a" * 100_000, ALIKE),
        ("é" * 256, tuple("é" * 200 + str(number) for number in range(10_000))),
    ],
)
def test_few_of_ten_thousand_names_are_compared_in_full(asked: str, names: tuple[str, ...]) -> None:
    compared: list[int] = []

    def counting(one: str, other: str) -> float:
        compared.append(max(len(one), len(other)))
        return likeness(one, other)

    near_names(asked, names, similarity=counting)

    assert len(compared) == COMPARED
    assert max(compared) <= 256


async def test_the_loop_has_its_turn_while_many_names_are_looked_at() -> None:
    room._signature.cache_clear()
    looked_at: list[int] = []

    async def look() -> None:
        while True:
            looked_at.append(room._signature.cache_info().misses)
            await turns()

    async with asyncio.TaskGroup() as tasks:
        other = tasks.create_task(look())
        few = await shortlist("gpt-4o-mni", (*ALIKE, *SERVED))
        other.cancel()

    assert max(after - before for before, after in pairwise(looked_at)) <= 128
    assert len(few) == COMPARED
    assert near_names("gpt-4o-mni", few) == near_names("gpt-4o-mni", (*ALIKE, *SERVED))
    assert room._signature.cache_info().misses == len({*ALIKE, *SERVED}) + 1  # once for each


def test_a_name_that_does_not_suit_makes_place_for_the_next() -> None:
    asked_about: list[str] = []

    def suits(name: str) -> bool:
        asked_about.append(name)
        return name != "gpt-4o"

    assert near_names("gpt-4o", SERVED, limit=2, suits=suits) == ["gpt-4", "gpt-4o-mini"]
    assert asked_about == ["gpt-4o", "gpt-4", "gpt-4o-mini"]
