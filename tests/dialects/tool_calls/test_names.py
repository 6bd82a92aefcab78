from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.dialects.schema.anthropic_tools import PROPERTY_KEYS, TOOL_NAMES
from nexus_core.dialects.schema.gemini import FUNCTION_NAMES
from nexus_core.dialects.tool_calls.names import NameRule, Names, slug

RULES = (TOOL_NAMES, PROPERTY_KEYS, FUNCTION_NAMES)
LONG = "mcp__plugin_atlassian_atlassian__" + "getJiraProjectIssueTypesMetadata" * 4


@pytest.mark.parametrize(
    ("rule", "name", "is_taken"),
    [
        (TOOL_NAMES, "look_up", True),
        (TOOL_NAMES, "a" * 128, True),
        (TOOL_NAMES, "a" * 129, False),
        (TOOL_NAMES, "server.tool", False),
        (TOOL_NAMES, "server/tool", False),
        (TOOL_NAMES, "two words", False),
        (TOOL_NAMES, "größe", False),
        (TOOL_NAMES, "look_up\n", False),
        (FUNCTION_NAMES, "server.tool:x-y", True),
        (FUNCTION_NAMES, "_private", True),
        (FUNCTION_NAMES, "3d_render", False),
        (FUNCTION_NAMES, "-dash", False),
        (FUNCTION_NAMES, "a" * 64, True),
        (FUNCTION_NAMES, "a" * 65, False),
        (PROPERTY_KEYS, "a.b-c_d", True),
        (PROPERTY_KEYS, "a" * 64, True),
        (PROPERTY_KEYS, "a" * 65, False),
        (PROPERTY_KEYS, "$top", False),
        (PROPERTY_KEYS, "filter[id]", False),
        (PROPERTY_KEYS, "@odata.type", False),
        (PROPERTY_KEYS, "", False),
    ],
)
def test_a_name_that_is_taken_stays_and_another_becomes_one(
    rule: NameRule, name: str, is_taken: bool
) -> None:
    sent = Names(rule, [name]).sent(name)

    assert (sent == name) is is_taken
    assert rule.takes(sent)


def test_of_a_long_name_both_ends_can_be_read() -> None:
    sent = Names(FUNCTION_NAMES, [LONG]).sent(LONG)

    assert sent.startswith("mcp__plugin_atlassian_")
    assert "TypesMetadata_" in sent


def test_a_mapped_name_does_not_take_the_place_of_another() -> None:
    first = Names(TOOL_NAMES, ["a.b"]).sent("a.b")

    names = Names(TOOL_NAMES, ["a.b", "a/b", first])

    assert names.sent(first) == first
    assert len({names.sent("a.b"), names.sent("a/b"), first}) == 3


def test_a_name_that_comes_up_late_finds_its_place() -> None:
    names = Names(TOOL_NAMES, ["a.b"])
    mapped = names.sent("a.b")

    assert names.sent("c") == "c"
    assert names.sent(mapped) != mapped


@pytest.mark.parametrize(
    ("text", "word"),
    [("filter[id]", "filter_id"), ("$", ""), ("ä", ""), ("a" * 9, "aaa_aaaa"), ("__a__", "a")],
)
def test_a_readable_word(text: str, word: str) -> None:
    assert slug(text, 8 if len(text) == 9 else 20) == word


@given(st.lists(st.text() | st.sampled_from(["a.b", "a/b", "x" * 200, "1"]), unique=True))
def test_no_two_names_become_one(names: list[str]) -> None:
    for rule in RULES:
        table = Names(rule, names)

        sent = [table.sent(name) for name in names]

        assert len(set(sent)) == len(names)
        assert all(rule.takes(each) for each in sent)
        assert sent == [Names(rule, names).sent(name) for name in names]
