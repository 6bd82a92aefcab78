"""Translate tools and the choice among them, in today's form and as legacy functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from nexus_core.translation.anthropic.models import Family
from nexus_core.translation.anthropic.parts import cache_marker
from nexus_core.translation.anthropic.schema import enforceable
from nexus_core.translation.chat_request import ChatRequest, FunctionDefinition
from nexus_core.translation.openai import JsonObject
from nexus_core.translation.report import Findings

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
NAME_RULE = "Anthropic takes letters, digits, _ and - in names of tools, 128 at most"


def is_tool_name(name: str) -> bool:
    """Whether Anthropic takes it."""
    return _NAME.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Tools:
    """The `tools` and `tool_choice` of a request."""

    tools: list[JsonObject]
    choice: JsonObject | None  # None: left to the provider, which means auto where there are tools

    @property
    def is_forced(self) -> bool:
        """Whether the model has to call a tool."""
        return self.choice is not None and self.choice["type"] in {"any", "tool"}


class _Choice(NamedTuple):
    """What a client chose, in whichever form."""

    kind: Literal["auto", "none", "any", "tool"]
    name: str | None = None  # for "tool"
    allowed: frozenset[str] | None = None  # None: all of them


def read_tools(fields: ChatRequest, called: list[str], family: Family, findings: Findings) -> Tools:
    """Translate both; `called` names the tools that the history calls."""
    definitions = dict(_definitions(fields, family, findings))
    choice = _choice(fields, findings)
    if choice is not None and choice.allowed is not None:
        definitions = {name: tool for name, tool in definitions.items() if name in choice.allowed}
        findings.changed.append("tool_choice: only the allowed tools are sent")
    if not definitions:
        return _without(fields, choice, called, findings)
    tools = list(definitions.values())
    if choice is not None and choice.kind in {"any", "tool"} and not family.forced_tools:
        name = "tool_choice" if fields.get("tool_choice") else "function_call"
        findings.unsupported[name] = "the model can't be made to call a tool; use auto"
    return Tools(tools, _tool_choice(choice, fields))


def _without(
    fields: ChatRequest, choice: _Choice | None, called: list[str], findings: Findings
) -> Tools:
    """A request that offers no tools: Anthropic refuses any choice among them."""
    if fields.get("parallel_tool_calls") is not None:
        findings.ignore("parallel_tool_calls")
    if choice is not None and choice.kind in {"any", "tool"}:
        findings.unsupported["tool_choice"] = "there are no tools to choose from"
    if not called:
        return Tools([], None)
    # It also refuses a history with calls of tools that it does not know.
    findings.changed.append("tools: those of the history are named, none may be called")
    known = [{"name": name, "input_schema": {"type": "object"}} for name in called]
    return Tools(known, {"type": "none"})


def _definitions(
    fields: ChatRequest, family: Family, findings: Findings
) -> Iterable[tuple[str, JsonObject]]:
    for index, tool in enumerate(fields.get("tools") or []):
        path = f"tools[{index}]"
        if tool["type"] == "custom":
            findings.unsupported[path] = "Anthropic's tools take JSON objects only"
            continue
        function = tool["function"]
        translated = _definition(function, f"{path}.function", family, findings)
        marker = cache_marker(tool) or cache_marker(function)
        if marker is not None:
            translated["cache_control"] = marker
        yield function["name"], translated
    for index, function in enumerate(fields.get("functions") or []):
        path = f"functions[{index}]"
        yield function["name"], _definition(function, path, family, findings)


def _definition(
    function: FunctionDefinition, path: str, family: Family, findings: Findings
) -> JsonObject:
    if not is_tool_name(function["name"]):
        findings.unsupported[f"{path}.name"] = NAME_RULE
    tool: JsonObject = {"name": function["name"]}
    description = function.get("description")
    if description:
        tool["description"] = description
    schema = {"type": "object", **(function.get("parameters") or {"properties": {}})}
    if function.get("strict") and family.structured:
        tool["strict"] = True
        schema = enforceable(schema)
    elif function.get("strict"):
        findings.changed.append(f"{path}.strict: left out, the model can't be held to it")
    tool["input_schema"] = schema
    return tool


def _choice(fields: ChatRequest, findings: Findings) -> _Choice | None:
    chosen = fields.get("tool_choice")
    if chosen is None:
        return _legacy_choice(fields)
    if isinstance(chosen, str):
        return _Choice("any" if chosen == "required" else chosen)
    match chosen["type"]:
        case "function":
            return _Choice("tool", chosen["function"]["name"])
        case "allowed_tools":
            allowed = chosen["allowed_tools"]
            names = frozenset(_names(allowed["tools"], findings))
            kind: Literal["any", "auto"] = "any" if allowed["mode"] == "required" else "auto"
            return _Choice(kind, allowed=names)
        case _:
            findings.unsupported["tool_choice"] = "Anthropic has no custom tools"
            return None


def _legacy_choice(fields: ChatRequest) -> _Choice | None:
    chosen = fields.get("function_call")
    if chosen is None or isinstance(chosen, str):
        return None if chosen is None else _Choice(chosen)
    return _Choice("tool", chosen["name"])


def _names(tools: Iterable[Mapping[str, object]], findings: Findings) -> Iterable[str]:
    for index, tool in enumerate(tools):
        function = tool.get("function")
        name = function.get("name") if isinstance(function, dict) else tool.get("name")
        if tool.get("type") == "function" and isinstance(name, str):
            yield name
        else:
            path = f"tool_choice.allowed_tools.tools[{index}]"
            findings.unsupported[path] = "only functions can be allowed"


def _tool_choice(choice: _Choice | None, fields: ChatRequest) -> JsonObject | None:
    serial = fields.get("parallel_tool_calls") is False
    if choice is None:
        return {"type": "auto", "disable_parallel_tool_use": True} if serial else None
    chosen: JsonObject = {"type": choice.kind}
    if choice.name is not None:
        chosen["name"] = choice.name
    if serial and choice.kind != "none":
        chosen["disable_parallel_tool_use"] = True
    return chosen
