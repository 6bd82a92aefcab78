"""Aliases: which one renames a name, and the tables that can't stand."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.aliases import (
    MAX_ALIAS_STEPS,
    faults_of_aliases,
    followed_aliases,
    matches,
    may_overlap,
    resolve_aliases,
)

AGENT = {
    "claude-*": "qwen3-coder",
    "claude-haiku-*": "qwen3:8b",
    "claude-opus-4-8": "claude-opus-4-8",
    "gpt-?": "llama3:70b",
    "*-mini": "qwen3:8b",
    "gpt-4": "llama3:8b",
}


@pytest.mark.parametrize(
    ("asked", "resolved"),
    [
        ("claude-sonnet-5", ("claude-sonnet-5", "qwen3-coder")),
        ("claude-haiku-4-5-20251001", ("claude-haiku-4-5-20251001", "qwen3:8b")),
        ("claude-haiku-", ("claude-haiku-", "qwen3:8b")),
        ("claude-haiku", ("claude-haiku", "qwen3-coder")),
        ("claude-opus-4-8", ("claude-opus-4-8",)),  # kept from the globs
        ("claude-x-mini", ("claude-x-mini", "qwen3-coder")),  # the longer beginning
        ("gpt-5", ("gpt-5", "llama3:70b")),
        ("gpt-4", ("gpt-4", "llama3:8b")),  # an exact name wins
        ("gpt-40", ("gpt-40",)),
        ("Claude-x", ("Claude-x",)),
        ("claude-\nx", ("claude-\nx", "qwen3-coder")),
        ("qwen3:8b", ("qwen3:8b",)),
    ],
)
def test_the_most_specific_alias_renames(asked: str, resolved: tuple[str, ...]) -> None:
    assert resolve_aliases(asked, AGENT) == resolved


def test_aliases_follow_one_another_by_name_and_by_glob() -> None:
    aliases = {"claude-*": "small", "small": "gpt-oss", "gpt-*": "llama"}

    resolved = resolve_aliases("claude-x", aliases)

    assert resolved == ("claude-x", "small", "gpt-oss", "llama")
    assert followed_aliases(resolved, aliases) == ("claude-*", "small", "gpt-*")


def test_of_two_globs_with_the_same_beginning_the_one_with_more_text_wins() -> None:
    for aliases in ({"a*": "x", "a*z": "y"}, {"a*z": "y", "a*": "x"}):
        assert resolve_aliases("abz", aliases)[-1] == "y"
        assert resolve_aliases("ab", aliases)[-1] == "x"
    assert resolve_aliases("ab", {"a?": "first", "a*": "second"})[-1] == "first"


def test_a_glob_that_leads_to_a_name_it_matches_ends_there() -> None:
    aliases = {"claude-*": "claude-sonnet-4-6", "*": "llama"}

    assert resolve_aliases("claude-x", aliases) == ("claude-x", "claude-sonnet-4-6")
    assert resolve_aliases("claude-sonnet-4-6", aliases) == ("claude-sonnet-4-6",)
    assert resolve_aliases("other", aliases) == ("other", "llama")
    assert not list(faults_of_aliases(aliases, repr))


@pytest.mark.parametrize(
    ("aliases", "faults"),
    [
        ({"a*": "ab1", "ab*": "ac"}, [("a*", "is a cycle: a* -> ab1 -> ac -> ab1")]),
        ({"a*": "b", "b": "ax"}, [("a*", "is a cycle: a* -> b -> ax -> b")]),
        ({"b": "ax", "a*": "b"}, [("b", "is a cycle: b -> ax -> b")]),
        ({"z*": "b", "b": "c", "c": "b"}, [("z*", "is a cycle: z* -> b -> c -> b")]),
        ({"q": "b", "b": "c", "c": "b"}, [("b", "is a cycle: b -> c -> b")]),
        ({"a": "a"}, [("a", "is a cycle: a -> a")]),
        ({"a": "a", "b*": "c"}, [("a", "is a cycle: a -> a")]),
        ({"a": "a", "*": "c"}, []),
        (
            {"a*": "b", "b": "c", "c": "d", "d": "e"},
            [("a*", "is a chain longer than 3: a* -> b -> c -> d -> e")],
        ),
        ({"a": "b*"}, [("a", "leads to b*, which has a wildcard; name one model")]),
    ],
)
def test_a_table_that_loops_or_goes_too_far_is_at_fault(
    aliases: dict[str, str], faults: list[tuple[str, str]]
) -> None:
    assert list(faults_of_aliases(aliases, str)) == faults


NAMES = st.text("ab*?", min_size=1, max_size=4)


@given(st.dictionaries(NAMES, NAMES, max_size=6), st.text("ab", min_size=1, max_size=4))
def test_in_a_table_without_faults_every_name_comes_to_an_end(
    aliases: dict[str, str], asked: str
) -> None:
    if list(faults_of_aliases(aliases, str)):
        return

    resolved = resolve_aliases(asked, aliases)

    # The first step may be a glob's, from a name that stands nowhere in the table.
    assert len(set(resolved)) == len(resolved) <= MAX_ALIAS_STEPS + 1
    assert resolve_aliases(resolved[-1], aliases) == resolved[-1:]


@given(NAMES, NAMES, st.text("ab", min_size=1, max_size=4))
def test_globs_that_match_one_name_may_overlap(one: str, two: str, name: str) -> None:
    if matches(one, name) and matches(two, name):
        assert may_overlap(one, two)


@given(st.text("ab*?\n", min_size=1, max_size=8), st.text("ab\n", max_size=9))
def test_a_glob_means_what_it_means_to_a_shell(glob: str, name: str) -> None:
    assert matches(glob, name) == fnmatchcase(name, glob)


def test_a_name_that_nearly_matches_many_wildcards_takes_no_time() -> None:
    assert not matches("*-*-*-*-*-*-x", "-" * 100_000)  # a search that goes back never ends
