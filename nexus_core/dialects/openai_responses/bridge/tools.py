"""Turn the tools of the Responses API into the hub's functions, and calls of those back.

| tool | function | its call |
| --- | --- | --- |
| function | the same | function_call |
| in a namespace | `namespace__name` | the same with its `namespace` |
| custom | one text, `input` | custom_tool_call |
| tool_search by the client | the same | tool_search_call |
| every other | none: it runs at OpenAI | - |
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import Enum, auto

import msgspec

from nexus_core.dialects.openai_responses.demand import TOOL_ITEMS
from nexus_core.dialects.tool_calls.names import NameRule
from nexus_core.errors import InvalidRequestError
from nexus_core.types import JsonObject, is_list, is_object

# What every server takes. https://platform.openai.com/docs/api-reference/chat/create
_RULE = NameRule(re.compile(r"[a-zA-Z0-9_-]{1,64}"), 64)
_SHOWN = re.compile(r"[a-z][a-z0-9_]{0,39}")
_SEARCH = "tool_search"
_NOTHING: JsonObject = {"type": "object", "properties": {}}
_INPUT: JsonObject = {
    "type": "object",
    "properties": {"input": {"type": "string", "description": "the whole input, as plain text"}},
    "required": ["input"],
    "additionalProperties": False,
}


class Kind(Enum):
    """Kind of a tool, which decides what its call looks like."""

    FUNCTION = auto()
    CUSTOM = auto()
    SEARCH = auto()


class Tool(msgspec.Struct, frozen=True):
    """A tool of the client, and its name in the hub's format."""

    kind: Kind
    sent: str
    name: str
    namespace: str = ""
    function: JsonObject = {}  # in the hub's format; empty: known from a call only


class Tools:
    """The tools of one request, by either name."""

    def __init__(self, fields: JsonObject) -> None:
        """
        Raises:
            InvalidRequestError: a tool is invalid; names it.
        """
        self.dropped: list[str] = []  # those that run at OpenAI, as shown to people
        self._by_own: dict[tuple[Kind, str, str], Tool] = {}
        self._by_sent: dict[str, Tool] = {}
        lists = [*_tool_lists(fields)]
        is_searched = any(
            is_object(tool) and tool.get("type") == _SEARCH and tool.get("execution") == "client"
            for _, tools, _ in lists
            for tool in tools
        )
        for path, tools, is_found in lists:
            skips = is_searched and not is_found  # what a search found is loaded
            for number, tool in enumerate(tools):
                self._take(tool, f"{path}[{number}]", skips_deferred=skips)

    @property
    def functions(self) -> list[JsonObject]:
        """The tools in the hub's format."""
        return [
            {"type": "function", "function": tool.function}
            for tool in self._by_sent.values()
            if tool.function
        ]

    def sent(self, kind: Kind, name: str, namespace: str = "") -> str:
        """The hub's name of a tool; of one that was called and is not offered any more, too."""
        return self._known(kind, name, namespace).sent

    def find(self, name: object, namespace: object = None) -> Tool | None:
        """The offered tool of a client's name, of any kind."""
        for tool in self._by_sent.values():
            if tool.function and tool.name == name and tool.namespace == (namespace or ""):
                return tool
        return None

    def called(self, sent: str) -> Tool:
        """The tool that a model called."""
        known = self._by_sent.get(sent)
        if known is not None:
            return known
        # Small models leave out the namespace, or write it in another way.
        bare = re.split(r"__|[.:/]", sent)[-1]
        alike = [tool for tool in self._by_sent.values() if bare and tool.name == bare]
        return alike[0] if len(alike) == 1 else Tool(Kind.FUNCTION, sent, sent)

    # Reading ------------------------------------------------------------------------------------

    def _take(self, tool: object, path: str, *, skips_deferred: bool, namespace: str = "") -> None:
        if not is_object(tool):
            raise InvalidRequestError(f"{path}: an object is required", param=path)
        kind = tool.get("type")
        if tool.get("defer_loading") is True and skips_deferred:
            return
        if kind == "namespace" and not namespace:
            self._take_namespace(tool, path, skips_deferred=skips_deferred)
        elif kind == "function":
            schema = tool.get("parameters")
            if schema is not None and not is_object(schema):
                where = f"{path}.parameters"
                raise InvalidRequestError(f"{where}: an object is required", param=where)
            self._add(Kind.FUNCTION, tool, path, schema or _NOTHING, namespace)
        elif kind == "custom":
            self._add(Kind.CUSTOM, tool, path, _INPUT, namespace)
        elif kind == _SEARCH and tool.get("execution") == "client":
            schema = tool.get("parameters")
            named = {"name": _SEARCH, **tool}
            self._add(Kind.SEARCH, named, path, schema if is_object(schema) else _NOTHING, "")
        else:
            is_plain = isinstance(kind, str) and _SHOWN.fullmatch(kind)
            self.dropped.append(f"{path} ({kind})" if is_plain else path)

    def _take_namespace(self, tool: JsonObject, path: str, *, skips_deferred: bool) -> None:
        name, inner = _name_of(tool, path), tool.get("tools")
        where = f"{path}.tools"
        if not is_list(inner):
            raise InvalidRequestError(f"{where}: a list is required", param=where)
        words = tool.get("description")
        for number, one in enumerate(inner):
            if number == 0 and isinstance(words, str) and words.strip() and is_object(one):
                said = str(one.get("description") or "")
                one = {**one, "description": f"{said}\n\n{name}: {words}".strip()}
            self._take(one, f"{where}[{number}]", skips_deferred=skips_deferred, namespace=name)

    def _add(
        self, kind: Kind, tool: JsonObject, path: str, schema: JsonObject, namespace: str
    ) -> None:
        known = self._known(kind, _name_of(tool, path), namespace)
        function: JsonObject = {"name": known.sent}
        words = tool.get("description")
        told = words if isinstance(words, str) else ""
        if kind is Kind.CUSTOM:
            told = f"{told}\n\n{_grammar(tool.get('format'))}".strip()
        if told:
            function["description"] = told
        function["parameters"] = schema
        if kind is Kind.FUNCTION and tool.get("strict") is True:
            function["strict"] = True
        made = msgspec.structs.replace(known, function=function)
        self._by_own[kind, made.name, namespace] = self._by_sent[made.sent] = made

    def _known(self, kind: Kind, name: str, namespace: str) -> Tool:
        key = kind, name, namespace
        if (known := self._by_own.get(key)) is not None:
            return known
        wanted = f"{namespace}__{name}" if namespace else name
        sent, attempt = wanted, 0
        while not _RULE.takes(sent) or sent in self._by_sent:
            sent = _RULE.candidate(f"{kind.name} {wanted}", attempt)
            attempt += 1
        tool = Tool(kind, sent, name, namespace)
        self._by_own[key] = self._by_sent[sent] = tool
        return tool


def _tool_lists(fields: JsonObject) -> Iterator[tuple[str, list[object], bool]]:
    """Every list of tools in a request: its path, the list, and whether a search found them."""
    tools, items = fields.get("tools"), fields.get("input")
    if tools is not None and not is_list(tools):
        raise InvalidRequestError("tools: a list is required", param="tools")
    if tools:
        yield "tools", tools, False
    for index, item in enumerate(items if is_list(items) else ()):
        if is_object(item) and item.get("type") in TOOL_ITEMS and is_list(item.get("tools")):
            is_found = item["type"] == "tool_search_output"
            yield f"input[{index}].tools", item["tools"], is_found


def _name_of(tool: JsonObject, path: str) -> str:
    name = tool.get("name")
    if not isinstance(name, str) or not name:
        raise InvalidRequestError(f"{path}.name: a string is required", param=f"{path}.name")
    return name


def _grammar(form: object) -> str:
    """What a custom tool's input has to look like, for a model that no grammar binds."""
    if not is_object(form) or form.get("type") != "grammar":
        return "Give the whole input as plain text in `input`."
    return (
        "Give the whole input as plain text in `input`; it has to match this"
        f" {form.get('syntax') or ''} grammar:\n{form.get('definition') or ''}"
    )


# The choice of a tool -----------------------------------------------------------------------------


def read_choice(fields: JsonObject, tools: Tools) -> JsonObject:
    """`tools`, `tool_choice` and `parallel_tool_calls` of the hub; nothing without tools.

    Raises:
        InvalidRequestError: a tool is demanded that is not offered, or runs at OpenAI.
    """
    functions, choice = tools.functions, fields.get("tool_choice")
    found: JsonObject = {}
    match choice:
        case None | "auto":
            pass
        case "none" | "required":
            found["tool_choice"] = choice
        case {"type": "allowed_tools", "tools": [*allowed]}:
            names = {tool.sent for one in allowed if (tool := _meant(one, tools)) is not None}
            functions = [one for one in functions if one["function"]["name"] in names]
            if choice.get("mode") == "required":
                found["tool_choice"] = "required"
        case _:
            tool = _meant(choice, tools)
            if tool is None:
                raise InvalidRequestError(
                    "tool_choice: auto, none, required or a tool that is offered and does not run"
                    f" at OpenAI is required, not {json.dumps(choice)[:100]}",
                    param="tool_choice",
                )
            found["tool_choice"] = {"type": "function", "function": {"name": tool.sent}}
    if not functions:  # some servers refuse an empty list
        if "required" in found.values():
            raise InvalidRequestError(
                "tool_choice: required, and no tool is offered that does not run at OpenAI",
                param="tool_choice",
            )
        return {}
    if fields.get("parallel_tool_calls") is False:
        found["parallel_tool_calls"] = False
    return {"tools": functions, **found}


def _meant(choice: object, tools: Tools) -> Tool | None:
    """The tool that a choice names."""
    if not is_object(choice):
        return None
    if choice.get("type") == _SEARCH:
        return tools.find(_SEARCH)
    return tools.find(choice.get("name"), choice.get("namespace"))
