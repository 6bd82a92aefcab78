"""Turn Gemini's function declarations and toolConfig into the hub's tools and tool_choice."""

from __future__ import annotations

from nexus_core.dialects.gemini.inbound.bridge.schema import json_schema
from nexus_core.dialects.gemini.inbound.demand import tools_of
from nexus_core.errors import InvalidRequestError
from nexus_core.types import JsonObject, is_list, is_object

_FUNCTIONS = "functionDeclarations"
_MODES = {"": "AUTO", "MODE_UNSPECIFIED": "AUTO", "VALIDATED": "AUTO"}


def read_tools(fields: JsonObject, *, for_counting: bool = False) -> JsonObject:
    """`tools` and `tool_choice`; empty without functions.

    Args:
        for_counting: leave out the tools that run at Google, instead of refusing them.

    Raises:
        InvalidRequestError: a tool runs at Google, or is invalid; names it.
    """
    functions: list[JsonObject] = []
    for path, name, given in tools_of(fields):
        if name == _FUNCTIONS:
            functions += _functions(given, path)
        elif not for_counting:
            raise InvalidRequestError(
                f"{path}: this tool runs at Google; no other backend has it", param=path
            )
    if not functions:  # some servers refuse an empty list
        return {}
    return _chosen(functions, fields.get("toolConfig"))


def _functions(given: object, path: str) -> list[JsonObject]:
    found: list[JsonObject] = []
    for number, declared in enumerate(given if is_list(given) else [given]):
        place = f"{path}[{number}]"
        name = declared.get("name") if is_object(declared) else None
        if not is_object(declared) or not isinstance(name, str) or not name:
            raise InvalidRequestError(f"{place}.name: a string is required", param=f"{place}.name")
        function: JsonObject = {"name": name}
        if isinstance(words := declared.get("description"), str):
            function["description"] = words
        schema = declared.get("parametersJsonSchema") or declared.get("parameters")
        function["parameters"] = _parameters(schema, place)
        found.append({"type": "function", "function": function})
    return found


def _parameters(schema: object, path: str) -> object:
    if schema is None:  # some servers want a schema, also of a function without parameters
        return {"type": "object", "properties": {}}
    if not is_object(schema):
        where = f"{path}.parameters"
        raise InvalidRequestError(f"{where}: an object is required", param=where)
    return json_schema(schema)


def _chosen(functions: list[JsonObject], config: object) -> JsonObject:
    """The tools with the choice; names that are allowed narrow the tools down."""
    path = "toolConfig.functionCallingConfig"
    calling = config.get("functionCallingConfig") if is_object(config) else None
    calling = calling if is_object(calling) else {}
    mode = str(calling.get("mode") or "").upper()
    mode = _MODES.get(mode, mode)
    if mode not in ("AUTO", "ANY", "NONE"):
        raise InvalidRequestError(
            f"{path}.mode: AUTO, ANY, VALIDATED or NONE is required", param=f"{path}.mode"
        )
    names = calling.get("allowedFunctionNames")
    if is_list(names) and names and mode != "NONE":
        functions = [each for each in functions if each["function"]["name"] in names]
        if not functions:
            where = f"{path}.allowedFunctionNames"
            raise InvalidRequestError(f"{where}: none of them is declared", param=where)
    if mode == "NONE":
        return {"tools": functions, "tool_choice": "none"}
    if mode == "AUTO":
        return {"tools": functions, "tool_choice": "auto"} if calling else {"tools": functions}
    if len(functions) == 1 and names:
        only = {"type": "function", "function": {"name": functions[0]["function"]["name"]}}
        return {"tools": functions, "tool_choice": only}
    return {"tools": functions, "tool_choice": "required"}
