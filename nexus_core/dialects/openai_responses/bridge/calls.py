"""A call of a tool in the making: its item in the client's form, and what is new of its input."""

from __future__ import annotations

import json
import re

from nexus_core.dialects.openai_responses.bridge.tools import Kind, Tool
from nexus_core.dialects.parsing import parse_json
from nexus_core.types import JsonObject, is_object

_PREFIXES = {Kind.FUNCTION: "fc", Kind.CUSTOM: "ctc", Kind.SEARCH: "tsc"}
_INPUT = re.compile(r'\s*\{\s*"input"\s*:\s*"')
# The text of a JSON string as far as it is certain: no escape, and no half of a surrogate pair, is
# cut in the middle.
_CERTAIN = re.compile(
    r"(?:[^\"\\\x00-\x1f]|\\[\"\\/bfnrt]"
    r"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|\\u(?![dD][89abAB])[0-9a-fA-F]{4})*"
)


def extra_of(piece: JsonObject) -> JsonObject | None:
    """What a provider wants back beside a call.

    Anthropic's thinking is none of it: it is carried by the thinking itself.
    """
    extra = piece.get("extra_content")
    rest = {k: v for k, v in extra.items() if k != "anthropic"} if is_object(extra) else None
    return rest or None


class Call:
    """One call; its arguments come in pieces."""

    def __init__(self, tool: Tool, item_id: str, call_id: str) -> None:
        self.tool = tool
        self.item_id = item_id
        self.call_id = call_id
        self._pieces: list[str] = []
        self._joined: str | None = None
        self._new = ""  # of the arguments, not looked at yet
        self._is_within = False  # a custom tool's input has begun
        self._told = 0  # characters that were told of what the client is told

    @staticmethod
    def prefix(tool: Tool) -> str:
        """How the ids of items of its kind begin."""
        return _PREFIXES[tool.kind]

    def add(self, piece: str) -> None:
        """Take a piece of the arguments."""
        if piece:
            self._pieces.append(piece)
            self._new += piece
            self._joined = None

    @property
    def text(self) -> str:
        """The arguments so far."""
        if self._joined is None:
            self._joined = "".join(self._pieces)
            self._pieces = [self._joined]
        return self._joined

    @property
    def arguments(self) -> str:
        """The arguments at their end; a call without any has an empty object."""
        return self.text if self.text.strip() else "{}"

    @property
    def is_whole(self) -> bool:
        """Whether the arguments have come to their end: they are JSON by then."""
        return bool(self.text.strip()) and self._parsed() is not None

    def _parsed(self) -> object:
        try:
            return parse_json(self.text)
        except ValueError:
            return None

    @property
    def input(self) -> str:
        """The input of a custom tool: the one text of its arguments, or all there is."""
        given = self._parsed()
        if is_object(given):
            texts = [value for value in given.values() if isinstance(value, str)]
            if isinstance(own := given.get("input"), str):
                return own
            if len(texts) == 1:
                return texts[0]
            return self.text if given else ""
        if isinstance(given, str):
            return given
        found = _INPUT.match(self.text)  # cut off in the middle
        return _certain(self.text, found.end()) if found else self.text

    def item(self, status: str = "completed") -> JsonObject:
        """The call as an item, as far as it has come."""
        item: JsonObject = {"id": self.item_id, "type": "", "status": status}
        item["call_id"] = self.call_id
        match self.tool.kind:
            case Kind.SEARCH:
                given = self._parsed()
                arguments = given if is_object(given) else {}
                item |= {"type": "tool_search_call", "execution": "client"}
                return {**item, "arguments": arguments}
            case Kind.CUSTOM:
                item |= {"type": "custom_tool_call", "name": self.tool.name}
                item["input"] = "" if status == "in_progress" else self.input
            case Kind.FUNCTION:
                item |= {"type": "function_call", "name": self.tool.name}
                item["arguments"] = "" if status == "in_progress" else self.arguments
        if self.tool.namespace:
            item["namespace"] = self.tool.namespace
        return item

    # In a stream --------------------------------------------------------------------------------

    def new_text(self) -> str:
        """What came of the arguments, or of a custom tool's input, since the last time."""
        match self.tool.kind:
            case Kind.FUNCTION:
                new, self._new = self._new, ""
            case Kind.CUSTOM:
                new = self._new_input()
            case Kind.SEARCH:
                new = ""
        self._told += len(new)
        return new

    def _new_input(self) -> str:
        if not self._is_within:
            found = _INPUT.match(self._new)
            if found is None:
                return ""
            self._is_within, self._new = True, self._new[found.end() :]
        certain = _CERTAIN.match(self._new)
        if certain is None or not certain[0]:
            return ""
        self._new = self._new[certain.end() :]
        return str(json.loads(f'"{certain[0]}"'))

    def last_text(self) -> str:
        """What is left to tell at the end."""
        match self.tool.kind:
            case Kind.FUNCTION:
                return self.arguments[self._told :]
            case Kind.CUSTOM:
                return self.input[self._told :]
            case Kind.SEARCH:
                return ""


def _certain(text: str, begin: int) -> str:
    certain = _CERTAIN.match(text, begin)
    return str(json.loads(f'"{certain[0]}"')) if certain else ""
