"""Names of tools between the Responses API and the hub's functions."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.dialects.openai_responses.bridge.tools import Kind, Tools, read_choice
from nexus_core.errors import InvalidRequestError


def function(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "function", "name": name, "parameters": None, **more}


def space(name: str, *tools: dict[str, Any]) -> dict[str, Any]:
    return {"type": "namespace", "name": name, "description": "", "tools": [*tools]}


NAMES = st.text(min_size=1, max_size=80) | st.sampled_from(["a", "b", "a__b", "x" * 70])


@given(pairs=st.lists(st.tuples(st.just("") | NAMES, NAMES), unique=True, max_size=6))
def test_every_tool_has_a_name_of_its_own_and_is_found_by_it(pairs: list[tuple[str, str]]) -> None:
    offered = [space(ns, function(name)) if ns else function(name) for ns, name in pairs]

    tools = Tools({"tools": offered})

    sent = [one["function"]["name"] for one in tools.functions]
    assert len(set(sent)) == len(pairs)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in sent)
    back = [(tools.called(name).namespace, tools.called(name).name) for name in sent]
    assert back == pairs
    assert [tools.sent(Kind.FUNCTION, name, ns) for ns, name in pairs] == sent


@pytest.mark.parametrize("called", ["close", "agents.close", "agents/close"])
def test_a_namespace_that_a_model_forgot_is_found(called: str) -> None:
    tools = Tools({"tools": [space("agents", function("close")), function("open")]})

    assert tools.called(called).namespace == "agents"
    assert tools.called("nothing").name == "nothing"


def test_deferred_tools_wait_for_the_clients_search() -> None:
    late = function("late", defer_loading=True)
    search = {"type": "tool_search", "execution": "client"}
    found = {"type": "tool_search_output", "call_id": "c", "tools": [late]}

    def names(**fields: Any) -> list[str]:
        return [one["function"]["name"] for one in Tools(fields).functions]

    assert names(tools=[late, search]) == ["tool_search"]
    assert names(tools=[late, search], input=[found]) == ["tool_search", "late"]
    assert names(tools=[late]) == ["late"]


CHOICES: list[tuple[Any, Any]] = [
    ("auto", None),
    ("none", "none"),
    ("required", "required"),
    ({"type": "function", "name": "a"}, "a"),
    ({"type": "custom", "name": "c"}, "c"),
    ({"type": "function", "name": "b", "namespace": "n"}, "n__b"),
]


@pytest.mark.parametrize(("choice", "expected"), CHOICES)
def test_a_choice_names_the_tool_as_it_is_sent(choice: Any, expected: str | None) -> None:
    offered = [function("a"), {"type": "custom", "name": "c"}, space("n", function("b"))]
    fields = {"tools": offered, "tool_choice": choice}

    found = read_choice(fields, Tools(fields)).get("tool_choice")

    assert (found["function"]["name"] if isinstance(found, dict) else found) == expected


def test_allowed_tools_are_the_only_ones_sent() -> None:
    allowed = [{"type": "function", "name": "a"}]
    choice = {"type": "allowed_tools", "mode": "required", "tools": allowed}
    fields = {"tools": [function("a"), function("b")], "tool_choice": choice}

    found = read_choice(fields, Tools(fields))

    assert [one["function"]["name"] for one in found["tools"]] == ["a"]
    assert found["tool_choice"] == "required"


@pytest.mark.parametrize(
    "choice", [{"type": "web_search"}, {"type": "function", "name": "z"}, 7, "required"]
)
def test_a_tool_that_is_not_there_can_not_be_demanded(choice: Any) -> None:
    fields = {"tools": [{"type": "web_search"}], "tool_choice": choice}

    with pytest.raises(InvalidRequestError, match="tool_choice"):
        read_choice(fields, Tools(fields))
