"""Requests with tools, translated for both providers and held against their rules."""

from __future__ import annotations

import json
from typing import Any

from nexus_core.dialects.report import Translation
from tests.dialects.anthropic.build import OPUS_5
from tests.dialects.anthropic.build import translate as to_anthropic
from tests.dialects.gemini.bodies import translate as translate_for_google
from tests.dialects.gemini.oracles import check_body
from tests.dialects.schema.rules import (
    ANTHROPIC_TOOL,
    GEMINI_FUNCTION,
    check_anthropic_input,
    check_gemini_parameters,
    check_strict_input,
)

STRING, INTEGER = {"type": "string"}, {"type": "integer"}
NAME = "mcp__files.server/list items"
ODD = {
    "type": "object",
    "properties": {
        "$top": INTEGER,
        "filter[id]": {"type": "object", "properties": {"a b": STRING}},
        "plain": STRING,
    },
}
ARGUMENTS = {"$top": 3, "filter[id]": {"a b": "$top"}, "plain": "x", "n": 1.0}
USER = {"role": "user", "content": "hi"}


def tool(name: str = NAME, parameters: Any = ODD, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters, **more}}


def history(name: str = NAME, arguments: Any = ARGUMENTS) -> list[dict[str, Any]]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    call = {"id": "c1", "type": "function", "function": function}
    answer = {"role": "tool", "tool_call_id": "c1", "content": "found"}
    return [USER, {"role": "assistant", "content": None, "tool_calls": [call]}, answer]


def for_anthropic(**fields: Any) -> Translation:
    translation = to_anthropic(OPUS_5, **fields)
    for each in translation.body.get("tools", ()):
        assert ANTHROPIC_TOOL.match(each["name"])
        check = check_strict_input if each.get("strict") else check_anthropic_input
        check(each["input_schema"])
    names = [each["name"] for each in translation.body.get("tools", ())]
    assert len(set(names)) == len(names)
    return translation


def for_google(**fields: Any) -> Translation:
    messages = fields.pop("messages", [USER])
    translation = translate_for_google(*messages, **fields)
    check_body(translation.body)
    declared = declarations(translation)
    for each in declared:
        assert GEMINI_FUNCTION.match(each["name"])
        if "parametersJsonSchema" in each:
            check_gemini_parameters(each["parametersJsonSchema"])
    assert len({each["name"] for each in declared}) == len(declared)
    return translation


def declarations(translation: Translation) -> list[dict[str, Any]]:
    found = translation.body.get("tools", [{}])[0].get("functionDeclarations", [])
    assert isinstance(found, list)
    return found
