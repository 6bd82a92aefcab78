"""Turn Anthropic's system prompt and messages into the hub's list of messages."""

from __future__ import annotations

import json

from nexus_core.dialects.anthropic.inbound.bridge.content import (
    blocks_of,
    found_by_search,
    joined,
    read_parts,
    text_of,
)
from nexus_core.dialects.anthropic.inbound.demand import BILLING, system_blocks
from nexus_core.dialects.anthropic.inbound.signatures import carried_by, is_own
from nexus_core.dialects.hub.conversation import Conversation, text_part
from nexus_core.errors import InvalidRequestError
from nexus_core.types import JsonObject, is_list, is_object

_FAILED = "Error: "  # before a result that is an error: the hub's format has no mark for one


def read_messages(fields: JsonObject) -> list[JsonObject]:
    """The conversation as the hub's messages, in an order that every backend accepts.

    Raises:
        InvalidRequestError: a field is invalid, or of a kind that only Anthropic's models know.
    """
    reader = _Reader()
    reader.read_system(fields.get("system"))
    messages = fields["messages"]
    for index, message in enumerate(messages):
        reader.read(message, f"messages[{index}]")
    return reader.messages()


class _Reader(Conversation):
    def read_system(self, system: object) -> None:
        """The system prompt; blocks become one text."""
        if not (system is None or isinstance(system, str) or is_list(system)):
            raise InvalidRequestError("system: a string or a list is required", param="system")
        self.add_system(text_of(block, "system") for block in system_blocks(system))

    def read(self, message: JsonObject, path: str) -> None:
        content = f"{path}.content"
        match message["role"]:
            case "user":
                self._user(blocks_of(message.get("content"), content))
            case "assistant":
                self._assistant(blocks_of(message.get("content"), content))
            case "system":
                self._late_system(joined(message.get("content"), content))
            case _:
                raise InvalidRequestError(
                    f"{path}.role: user, assistant or system is required", param=f"{path}.role"
                )

    def _late_system(self, text: str) -> None:
        if not text or text.startswith(BILLING):
            return
        if self.said:
            self.add_reminder(text)
        else:
            self.add_system([text])

    def _user(self, blocks: list[tuple[str, JsonObject]]) -> None:
        parts: list[JsonObject] = []
        for path, block in blocks:
            if block["type"] == "tool_result":
                parts += self._result(block, path)
            elif block["type"] == "web_search_tool_result":
                parts.append(text_part(found_by_search(block)))
            else:
                parts += read_parts(block, path)
        self.add_user(parts)

    def _result(self, block: JsonObject, path: str) -> list[JsonObject]:
        """Add a tool's result; gives its images and files, which only a user may send."""
        call_id = block.get("tool_use_id")
        if not isinstance(call_id, str):
            raise InvalidRequestError(f"{path}.tool_use_id: a string is required", param=path)
        content = f"{path}.content"
        parts = [
            part
            for at, one in blocks_of(block.get("content"), content)
            for part in read_parts(one, at)
        ]
        text = "\n\n".join(part["text"] for part in parts if part["type"] == "text")
        media = [part for part in parts if part["type"] != "text"]
        if block.get("is_error") is True:
            text = _FAILED + text
        return self.add_result(call_id, text, media)

    def _assistant(self, blocks: list[tuple[str, JsonObject]]) -> None:
        texts: list[str] = []
        thoughts: list[str] = []
        calls: list[JsonObject] = []
        carried: JsonObject = {}
        for path, block in blocks:
            match block["type"]:
                case "text":
                    texts.append(text_of(block, path))
                case "thinking" if is_own(block.get("signature")):
                    thoughts.append(str(block.get("thinking") or ""))
                    carried |= carried_by(block.get("signature"))
                case "tool_use":
                    calls.append(_call(block, path))
                case "web_search_tool_result":
                    texts.append(found_by_search(block))
                case _:
                    pass  # thinking of Anthropic's, and its server tools: no other model reads them
        for call in calls:
            if is_object(extra := carried.get(call["id"])):
                call["extra_content"] = extra
        self.add_assistant("".join(texts), "".join(thoughts), calls)


def _call(block: JsonObject, path: str) -> JsonObject:
    call_id, name = block.get("id"), block.get("name")
    if not isinstance(call_id, str) or not isinstance(name, str) or not name:
        raise InvalidRequestError(f"{path}: a tool_use has an id and a name", param=path)
    arguments = json.dumps(block.get("input") or {}, ensure_ascii=False, separators=(",", ":"))
    return {
        "id": call_id,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }
