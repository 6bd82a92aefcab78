"""Translate OpenAI's tools and tool_choice into Gemini's tools and toolConfig."""

from __future__ import annotations

from typing import Any, NamedTuple

from nexus_core.dialects.gemini.models import Family
from nexus_core.dialects.hub.request import ChatRequest
from nexus_core.dialects.report import Findings
from nexus_core.dialects.schema import gemini
from nexus_core.dialects.tool_calls.tools import (
    Function,
    Tools,
    no_such_function,
    read_functions,
)
from nexus_core.types import JsonObject, is_object


class _Choice(NamedTuple):
    """The tool choice: which tools the model may use, or must."""

    mode: str  # of functionCallingConfig
    names: tuple[str, ...] | None = None  # None: all of them


class DeclaredTools(NamedTuple):
    """The client's tools, written for Gemini."""

    tools: Tools
    declarations: dict[str, JsonObject]  # by the client's names


def declare_tools(fields: ChatRequest, findings: Findings) -> DeclaredTools:
    """Write every function's declaration; calls in the history need their renamed keys."""
    for tool in fields.get("tools") or ():
        if tool["type"] == "function" and tool.get("cache_control") is not None:
            findings.ignore("cache_control")
    functions = read_functions(fields, findings, "Gemini has no custom tools, only functions")
    tools = Tools(functions, gemini.FUNCTION_NAMES, findings)
    return DeclaredTools(tools, {each.name: _declaration(each, tools) for each in functions})


def translate_tools(
    fields: JsonObject, declared: DeclaredTools, family: Family, findings: Findings
) -> JsonObject:
    """The body's `tools` and `toolConfig`; empty for a request without tools.

    Reads the current fields and the legacy `functions` and `function_call`.
    """
    tools, functions = declared.tools, declared.declarations
    choice = _choice(fields, set(functions), findings)
    body: JsonObject = {}
    if functions:
        mode, names = choice.mode, choice.names
        if mode == "AUTO" and names is not None:
            # Gemini narrows names down only where it must call one.
            functions = {name: each for name, each in functions.items() if name in names}
        strict = any(
            each.definition.get("strict") for each in tools.functions if each.name in functions
        )
        if mode == "AUTO" and family.takes_validated_mode and strict:
            mode = "VALIDATED"
        config: JsonObject = {"mode": mode}
        if mode == "ANY" and names is not None:
            config["allowedFunctionNames"] = [tools.sent(name) for name in names]
        body["toolConfig"] = {"functionCallingConfig": config}
        body["tools"] = [{"functionDeclarations": list(functions.values())}]
    if fields.get("web_search_options") is not None:
        _add_search(fields["web_search_options"], body, findings)
    return body


def _declaration(function: Function, tools: Tools) -> JsonObject:
    given = function.definition
    declaration: JsonObject = {"name": tools.sent(function.name)}
    if description := given.get("description"):
        declaration["description"] = description
    if parameters := given.get("parameters"):
        # `parameters` is an OpenAPI subset; this one takes more of JSON Schema.
        schema = tools.use(function, function.written(gemini.write_parameters))
        # "For function with no parameters, this can be left unset", and some models want it so:
        # https://github.com/BerriAI/litellm/issues/9289
        if not _is_without_parameters(parameters, schema):
            declaration["parametersJsonSchema"] = schema
    return declaration


def _is_without_parameters(given: object, written: JsonObject) -> bool:
    """Whether the schema lists properties, and lists none; without a list any are allowed."""
    listed = is_object(given) and "properties" in given
    return (
        listed
        and written.keys() <= {"type", "additionalProperties"}
        and not written.get("additionalProperties")
    )


def _choice(fields: JsonObject, known: set[str], findings: Findings) -> _Choice:
    path = "tool_choice" if fields.get("tool_choice") is not None else "function_call"
    asked = fields.get(path)
    choice = _read_choice(asked, path, findings)
    if choice.mode == "ANY" and not known:
        findings.unsupported[path] = "there are no functions to call"
    elif unknown := [name for name in choice.names or () if name not in known]:
        findings.unsupported[path] = no_such_function(unknown[0])
    elif choice.names == ():
        findings.unsupported[path] = "it allows no function at all"
    return choice


def _read_choice(asked: Any, path: str, findings: Findings) -> _Choice:
    match asked:
        case None | "auto":
            return _Choice("AUTO")
        case "none":
            return _Choice("NONE")
        case "required":
            return _Choice("ANY")
        case {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}:
            return _Choice("ANY" if mode == "required" else "AUTO", _allowed(tools, path, findings))
        case {"function": {"name": str(name)}} | {"name": str(name)}:
            return _Choice("ANY", (name,))
        case _:
            findings.unsupported[path] = "Gemini has no custom tools, only functions"
            return _Choice("AUTO")


def _allowed(tools: list[Any], path: str, findings: Findings) -> tuple[str, ...]:
    names: list[str] = []
    for tool in tools:
        match tool:
            case {"function": {"name": str(name)}}:
                names.append(name)
            case _:
                findings.unsupported[path] = "allowed_tools may name functions only"
    return tuple(dict.fromkeys(names))


def _add_search(options: JsonObject, body: JsonObject, findings: Findings) -> None:
    """Add Google's own search; its sources come back as annotations."""
    if "tools" in body:
        findings.unsupported["web_search_options"] = "Gemini does not search beside function tools"
        return
    for name in ("search_context_size", "user_location"):
        if options.get(name) is not None:
            findings.dropped[f"web_search_options.{name}"] = "Gemini's search has no such setting"
    body["tools"] = [{"googleSearch": {}}]
