"""Turn the instructions and input items of a Responses request into the hub's messages."""

from __future__ import annotations

import json

from nexus_core.dialects.base.bridge import HubTarget
from nexus_core.dialects.hub.conversation import Conversation, text_part
from nexus_core.dialects.openai_responses.bridge.content import read_parts, texts_of
from nexus_core.dialects.openai_responses.bridge.tools import Kind, Tools
from nexus_core.dialects.openai_responses.carried import opened
from nexus_core.errors import InvalidRequestError
from nexus_core.types import JsonObject, is_list, is_object

_INSTRUCTING = frozenset({"system", "developer"})
# What ran at OpenAI, and lists of what could: no other model reads it.
_FOREIGN = frozenset(
    {
        *("web_search_call", "file_search_call", "image_generation_call", "code_interpreter_call"),
        *("computer_call", "computer_call_output", "mcp_list_tools", "mcp_approval_request"),
        *("mcp_approval_response", "program", "program_output", "additional_tools"),
    }
)
# Calls of OpenAI's own client-side tools: the name of a function, and the field of its arguments.
_OWN_CALLS = {
    "local_shell_call": ("local_shell", "action"),
    "shell_call": ("shell", "action"),
    "apply_patch_call": ("apply_patch", "operation"),
}


def read_messages(fields: JsonObject, tools: Tools, target: HubTarget) -> list[JsonObject]:
    """The conversation as the hub's messages, in an order that every backend accepts.

    Raises:
        InvalidRequestError: a field is invalid, or of a kind that only OpenAI's models know.
    """
    reader = _Reader(tools, target)
    reader.instructions(fields.get("instructions"))
    given = fields.get("input")
    if isinstance(given, str):
        reader.message({"role": "user", "content": given}, "input")
    for index, item in enumerate(given if is_list(given) else ()):
        reader.read(item, f"input[{index}]")
    return reader.messages()


class _Turn:
    """A turn of the model's: neighbouring texts, calls and thoughts."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.thoughts: list[str] = []
        self.blocks: list[JsonObject] = []
        self.extras: JsonObject = {}
        self.calls: list[JsonObject] = []

    def end(self, conversation: Conversation, target: HubTarget) -> None:
        """Add the turn as a message, where anything is left of it."""
        text, thought = "\n\n".join(self.texts), "\n\n".join(self.thoughts)
        message = conversation.add_assistant(text, thought, self.calls)
        if message is not None and self.blocks and target is HubTarget.TRANSLATOR:
            message["thinking_blocks"] = self.blocks
        # A local server has made none.
        for call in self.calls if target is not HubTarget.LOCAL else ():
            if is_object(extra := self.extras.get(call["id"])):
                call["extra_content"] = extra


class _Reader(Conversation):
    def __init__(self, tools: Tools, target: HubTarget) -> None:
        super().__init__()
        self._tools = tools
        self._target = target
        self._turn: _Turn | None = None

    def messages(self) -> list[JsonObject]:
        self._end_turn()
        return super().messages()

    def instructions(self, given: object) -> None:
        """The instructions of the request."""
        if is_list(given):  # as a response has them that was made from a stored prompt
            raise InvalidRequestError("instructions: a string is required", param="instructions")
        if given is not None and not isinstance(given, str):
            raise InvalidRequestError("instructions: a string is required", param="instructions")
        self.add_system([given or ""])

    def read(self, item: JsonObject, path: str) -> None:
        """Add an item."""
        kind = item.get("type", "message")
        match kind:
            case "message":
                self.message(item, path)
            case "function_call":
                self._call(item, path, Kind.FUNCTION, _arguments(item.get("arguments")))
            case "custom_tool_call":
                self._call(item, path, Kind.CUSTOM, _dumped({"input": item.get("input") or ""}))
            case "tool_search_call":
                if item.get("call_id"):  # else OpenAI searched
                    named = {**item, "name": "tool_search"}
                    self._call(named, path, Kind.SEARCH, _arguments(item.get("arguments")))
            case "function_call_output" | "custom_tool_call_output":
                self._result(item, path, read_parts(item.get("output"), f"{path}.output"))
            case "tool_search_output":
                if item.get("call_id"):
                    self._result(item, path, [text_part(self._found(item))])
            case "reasoning":
                self._reasoning(item)
            case "mcp_call":
                self._mcp(item, path)
            case "local_shell_call" | "shell_call" | "apply_patch_call":
                name, field = _OWN_CALLS[kind]
                called = {"name": name, **item, "call_id": item.get("call_id") or item.get("id")}
                self._call(called, path, Kind.FUNCTION, _arguments(item.get(field)))
            case "local_shell_call_output" | "shell_call_output" | "apply_patch_call_output":
                output = item.get("output")
                text = output if isinstance(output, str) else _dumped(output or item.get("status"))
                answered = {**item, "call_id": item.get("call_id") or item.get("id")}
                self._result(answered, path, [text_part(text)])
            case _ if kind in _FOREIGN:
                pass
            case _:
                raise InvalidRequestError(
                    f"{path}: only OpenAI backends take items of type {str(kind)[:60]!r}",
                    param=path,
                )

    def message(self, item: JsonObject, path: str) -> None:
        """Add a message."""
        role, where = item.get("role"), f"{path}.content"
        parts = read_parts(item.get("content"), where)
        if role == "user":
            self.add_user(parts)
        elif role == "assistant":
            if any(part["type"] != "text" for part in parts):
                raise InvalidRequestError(f"{where}: texts are required here", param=where)
            # What one message says in parts is one text.
            self._own_turn().texts += ["".join(part["text"] for part in parts)] if parts else []
        elif isinstance(role, str) and role in _INSTRUCTING:
            self._instruct(texts_of(parts))
        else:
            raise InvalidRequestError(
                f"{path}.role: user, assistant, system or developer is required",
                param=f"{path}.role",
            )

    def _instruct(self, text: str) -> None:
        """A developer's message: an instruction where nothing was said yet."""
        if not text:
            return
        if self.said or self._turn is not None:
            self.add_reminder(text)
        else:
            self.add_system([text])

    def add_user(self, parts: list[JsonObject]) -> None:
        if parts:
            self._end_turn()
            super().add_user(parts)

    # The model's turns and their results --------------------------------------------------------

    def _own_turn(self) -> _Turn:
        if self._turn is None:
            self._turn = _Turn()
        return self._turn

    def _end_turn(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.end(self, self._target)

    def _reasoning(self, item: JsonObject) -> None:
        """Thinking of a model that Nexus asked; that of OpenAI's nobody else reads."""
        carried = opened(item.get("encrypted_content"))
        if carried is None:
            return
        turn = self._own_turn()
        summary = [
            part["text"]
            for part in item.get("summary") or ()
            if is_object(part) and isinstance(part.get("text"), str)
        ]
        thought = carried.text or "\n\n".join(summary)
        turn.thoughts += [thought] if thought else []
        turn.blocks += carried.blocks
        turn.extras |= carried.calls

    def _call(self, item: JsonObject, path: str, kind: Kind, arguments: str) -> None:
        call_id, name, namespace = item.get("call_id"), item.get("name"), item.get("namespace")
        if not isinstance(call_id, str) or not call_id:
            raise InvalidRequestError(f"{path}.call_id: a string is required", param=path)
        if not isinstance(name, str) or not name:
            raise InvalidRequestError(f"{path}.name: a string is required", param=path)
        sent = self._tools.sent(kind, name, namespace if isinstance(namespace, str) else "")
        function = {"name": sent, "arguments": arguments}
        self._own_turn().calls.append({"id": call_id, "type": "function", "function": function})

    def _result(self, item: JsonObject, path: str, parts: list[JsonObject]) -> None:
        """Add a tool's result; its images and files, which only a user may send, follow it."""
        call_id = item.get("call_id")
        if not isinstance(call_id, str) or not call_id:
            raise InvalidRequestError(f"{path}.call_id: a string is required", param=path)
        self._end_turn()
        media = [part for part in parts if part["type"] != "text"]
        self.add_user(self.add_result(call_id, texts_of(parts), media))

    def _found(self, item: JsonObject) -> str:
        """The tools that a search found, which are offered from now on."""
        one: JsonObject = {"input": [item]}
        names = [tool["function"]["name"] for tool in Tools(one).functions]
        return "These tools can be called now: " + ", ".join(names) if names else "No tool found."

    def _mcp(self, item: JsonObject, path: str) -> None:
        """A call that OpenAI made, and its result."""
        called = {**item, "call_id": item.get("id")}
        self._call(called, path, Kind.FUNCTION, _arguments(item.get("arguments")))
        told = item.get("output")
        if told is None:
            told = f"Error: {_dumped(item.get('error'))}"
        self._result(called, path, [text_part(told if isinstance(told, str) else _dumped(told))])


def _arguments(given: object) -> str:
    if isinstance(given, str):
        return given if given.strip() else "{}"
    return _dumped(given if is_object(given) else {})


def _dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
