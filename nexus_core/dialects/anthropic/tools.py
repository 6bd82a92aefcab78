"""Translate tools and tool_choice, current form and legacy functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import msgspec

from nexus_core.dialects.anthropic.models import Family
from nexus_core.dialects.anthropic.parts import cache_marker
from nexus_core.dialects.hub.request import ChatRequest
from nexus_core.dialects.report import Findings
from nexus_core.dialects.schema import anthropic_strict, anthropic_tools
from nexus_core.dialects.schema.written import CannotSayError, Written
from nexus_core.dialects.tool_calls.tools import (
    Function,
    Tools,
    no_such_function,
    read_functions,
)
from nexus_core.types import JsonObject, is_list, is_object

# https://platform.claude.com/docs/en/build-with-claude/structured-outputs: of all strict tools of
# a request together. One more of any of them is a 400 for the whole request.
MAX_STRICT_TOOLS = 20
MAX_OPTIONAL = 24  # properties that are not required
MAX_UNIONS = 16


class SentTools(msgspec.Struct, frozen=True):
    """The `tools` and `tool_choice` of a request."""

    tools: list[JsonObject]
    choice: JsonObject | None  # None: left to the provider, which means auto where there are tools

    @property
    def is_forced(self) -> bool:
        """Whether the model must call a tool."""
        return self.choice is not None and self.choice["type"] in {"any", "tool"}


class _Choice(NamedTuple):
    """A client's tool choice, in the current or the legacy form."""

    kind: Literal["auto", "none", "any", "tool"]
    name: str | None = None  # for "tool"
    allowed: frozenset[str] | None = None  # None: all of them


@dataclass(slots=True)
class DeclaredTools:
    """The client's tools, written for Anthropic."""

    tools: Tools
    definitions: dict[str, JsonObject]  # by the client's names


def declare_tools(fields: ChatRequest, family: Family, findings: Findings) -> DeclaredTools:
    """Write every function's definition; calls in the history need their renamed keys."""
    functions = read_functions(fields, findings, "Anthropic's tools take JSON objects only")
    tools = Tools(functions, anthropic_tools.TOOL_NAMES, findings)
    budget = _StrictBudget()
    definitions = {
        function.name: _definition(function, tools, family, budget, findings)
        for function in functions
    }
    return DeclaredTools(tools, definitions)


def read_tools(
    fields: ChatRequest,
    declared: DeclaredTools,
    called: list[str],
    family: Family,
    findings: Findings,
) -> SentTools:
    """Translate `tools` and `tool_choice`; `called` are names of tools in the history."""
    definitions = declared.definitions
    choice = _choice(fields, findings)
    if choice is not None and choice.allowed is not None:
        definitions = {name: tool for name, tool in definitions.items() if name in choice.allowed}
        findings.changed.append("tool_choice: only the allowed tools are sent")
    if not definitions:
        return _without(fields, choice, [declared.tools.sent(name) for name in called], findings)
    tools = list(definitions.values())
    path = "tool_choice" if fields.get("tool_choice") is not None else "function_call"
    if choice is not None and choice.kind in {"any", "tool"} and not family.forced_tools:
        findings.unsupported[path] = "the model can't be made to call a tool; use auto"
    elif choice is not None and choice.name is not None and choice.name not in definitions:
        findings.unsupported[path] = no_such_function(choice.name)
    return SentTools(tools, _tool_choice(choice, fields, declared.tools))


def _without(
    fields: ChatRequest, choice: _Choice | None, called: list[str], findings: Findings
) -> SentTools:
    """A request without tools: Anthropic refuses any `tool_choice` then."""
    if fields.get("parallel_tool_calls") is not None:
        findings.ignore("parallel_tool_calls")
    if choice is not None and choice.kind in {"any", "tool"}:
        findings.unsupported["tool_choice"] = "there are no tools to choose from"
    if not called:
        return SentTools([], None)
    # It also refuses a history with calls of tools that it does not know.
    findings.changed.append("tools: those of the history are named, none may be called")
    known = [{"name": name, "input_schema": {"type": "object"}} for name in called]
    return SentTools(known, {"type": "none"})


def _definition(
    function: Function,
    tools: Tools,
    family: Family,
    budget: _StrictBudget,
    findings: Findings,
) -> JsonObject:
    given = function.definition
    tool: JsonObject = {"name": tools.sent(function.name)}
    if description := given.get("description"):
        tool["description"] = description
    strict = _strict(function, family, budget, findings)
    if strict is not None:
        tool["strict"] = True
    written = strict or function.written(anthropic_tools.write_input)
    tool["input_schema"] = tools.use(function, written)
    marker = cache_marker(function.tool) or cache_marker(given)
    if marker is not None:
        tool["cache_control"] = marker
    return tool


def _strict(
    function: Function, family: Family, budget: _StrictBudget, findings: Findings
) -> Written | None:
    """The schema of a strict tool; None for a tool that is not strict, or can't be."""
    if not function.definition.get("strict"):
        return None
    path = f"{function.path}.strict: left out"
    if not family.structured:
        findings.changed.append(f"{path}, the model can't be held to it")
        return None
    try:
        written = function.written(anthropic_strict.write_strict_input)
    except CannotSayError as error:
        place = f"parameters.{error.place}" if error.place else "parameters"
        findings.changed.append(f"{path}, for {place}: {error.why}")
        return None
    if not budget.take(written.schema):
        findings.changed.append(f"{path}, the request has more than Anthropic compiles")
        return None
    return written


@dataclass(slots=True)
class _StrictBudget:
    """Remaining allowance for strict tools in a request."""

    tools: int = MAX_STRICT_TOOLS
    optional: int = MAX_OPTIONAL
    unions: int = MAX_UNIONS

    def take(self, schema: JsonObject) -> bool:
        """Count one more strict tool; False if it does not fit."""
        optional, unions = _complexity(schema)
        if not self.tools or optional > self.optional or unions > self.unions:
            return False
        self.tools -= 1
        self.optional -= optional
        self.unions -= unions
        return True


def _complexity(schema: object) -> tuple[int, int]:
    """Number of optional properties and of unions in a schema."""
    optional = unions = 0
    pending = [schema]
    while pending:
        node = pending.pop()
        if is_list(node):
            pending += node
        elif is_object(node):
            properties = node.get("properties")
            if is_object(properties):
                required = node.get("required") or ()
                optional += sum(name not in required for name in properties)
            unions += is_list(node.get("anyOf"))
            pending += [value for key, value in node.items() if key not in {"enum", "default"}]
    return optional, unions


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
        name = function.get("name") if is_object(function) else tool.get("name")
        if tool.get("type") == "function" and isinstance(name, str):
            yield name
        else:
            path = f"tool_choice.allowed_tools.tools[{index}]"
            findings.unsupported[path] = "only functions can be allowed"


def _tool_choice(choice: _Choice | None, fields: ChatRequest, tools: Tools) -> JsonObject | None:
    serial = fields.get("parallel_tool_calls") is False
    if choice is None:
        return {"type": "auto", "disable_parallel_tool_use": True} if serial else None
    chosen: JsonObject = {"type": choice.kind}
    if choice.name is not None:
        chosen["name"] = tools.sent(choice.name)
    if serial and choice.kind != "none":
        chosen["disable_parallel_tool_use"] = True
    return chosen
