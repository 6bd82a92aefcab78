"""Turn Anthropic's tools and tool_choice into the hub's functions."""

from __future__ import annotations

from collections.abc import Iterator

from nexus_core.errors import InvalidRequestError
from nexus_core.types import JsonObject, is_list, is_object

_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def read_tools(fields: JsonObject, *, for_counting: bool = False) -> list[JsonObject]:
    """The tools as functions, without those whose loading is deferred and not asked for yet.

    Args:
        for_counting: leave out the tools that run at Anthropic, instead of refusing them.

    Raises:
        InvalidRequestError: a tool runs at Anthropic, or is invalid; names it.
    """
    tools = fields.get("tools")
    if tools is None:
        return []
    if not is_list(tools):
        raise InvalidRequestError("tools: a list is required", param="tools")
    loaded: set[object] | None = None
    found: list[JsonObject] = []
    for number, tool in enumerate(tools):
        path = f"tools[{number}]"
        if not is_object(tool):
            raise InvalidRequestError(f"{path}: an object is required", param=path)
        if tool.get("type") not in (None, "custom"):
            if for_counting:
                continue
            raise InvalidRequestError(
                f"{path}: only Anthropic backends have {str(tool['type'])[:60]!r}", param=path
            )
        if tool.get("defer_loading") is True:
            loaded = {*_loaded(fields)} if loaded is None else loaded
            if tool.get("name") not in loaded:
                continue
        found.append(_function(tool, path))
    return found


def _function(tool: JsonObject, path: str) -> JsonObject:
    name, schema = tool.get("name"), tool.get("input_schema")
    if not isinstance(name, str) or not name:
        raise InvalidRequestError(f"{path}.name: a string is required", param=f"{path}.name")
    if not is_object(schema):
        where = f"{path}.input_schema"
        raise InvalidRequestError(f"{where}: an object is required", param=where)
    function: JsonObject = {"name": name}
    if isinstance(words := tool.get("description"), str):
        function["description"] = words
    function["parameters"] = schema
    if tool.get("strict") is True:
        function["strict"] = True
    return {"type": "function", "function": function}


def _loaded(fields: JsonObject) -> Iterator[object]:
    """Names of tools that a search found, or that were called before."""
    for message in fields["messages"]:
        content = message.get("content")
        for block in content if is_list(content) else ():
            if not is_object(block):
                continue
            if block.get("type") == "tool_use":
                yield block.get("name")
            inner = block.get("content")
            for one in inner if is_list(inner) else ():
                if is_object(one) and one.get("type") == "tool_reference":
                    name = one.get("tool_name")
                    yield name if isinstance(name, str) else None


def read_tool_choice(choice: object) -> JsonObject:
    """`tool_choice` and `parallel_tool_calls`.

    Raises:
        InvalidRequestError: it is none of Anthropic's choices.
    """
    if choice is None:
        return {}
    if not is_object(choice):
        raise InvalidRequestError("tool_choice: an object is required", param="tool_choice")
    kind, found = choice.get("type"), JsonObject()
    if kind == "tool" and isinstance(choice.get("name"), str):
        found["tool_choice"] = {"type": "function", "function": {"name": choice["name"]}}
    elif isinstance(kind, str) and kind in _CHOICES:
        found["tool_choice"] = _CHOICES[kind]
    else:
        raise InvalidRequestError(
            "tool_choice.type: auto, any, tool or none is required", param="tool_choice.type"
        )
    if choice.get("disable_parallel_tool_use") is True:
        found["parallel_tool_calls"] = False
    return found
