"""Turn the instructions and input items of a Responses request into the hub's messages."""

from __future__ import annotations

import json

from nexus_core.dialects.base import HubTarget
from nexus_core.dialects.history import repair_history
from nexus_core.dialects.openai_responses.bridge.content import read_parts, text_part, texts_of
from nexus_core.dialects.openai_responses.bridge.tools import Kind, Tools
from nexus_core.dialects.openai_responses.carried import opened
from nexus_core.dialects.report import Findings
from nexus_core.errors import InvalidRequestError
from nexus_core.types import JsonObject, is_list, is_object

_REMINDER = "<system-reminder>\n{}\n</system-reminder>"  # how coding agents mark what is not said
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
    found = reader.messages()
    if all(message["role"] == "system" for message in found):  # nothing but blanks: a probe
        found.append({"role": "user", "content": ""})
    # Results stand behind their calls, in the order of the calls, one for each.
    return [placed.message for placed in repair_history(found, Findings())]  # type: ignore[arg-type]


class _Turn:
    """A turn of the model's: neighbouring texts, calls and thoughts."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.thoughts: list[str] = []
        self.blocks: list[JsonObject] = []
        self.extras: JsonObject = {}
        self.calls: list[JsonObject] = []

    def message(self, target: HubTarget) -> JsonObject | None:
        """The turn as a message; None where nothing is left of it."""
        text = "\n\n".join(self.texts)
        if not self.calls and not text.strip():
            return None
        message: JsonObject = {"role": "assistant", "content": text if text.strip() else None}
        if thought := "\n\n".join(self.thoughts):
            message["reasoning_content"] = thought
        if self.blocks and target is HubTarget.TRANSLATOR:
            message["thinking_blocks"] = self.blocks
        if self.calls:
            message["tool_calls"] = self.calls
        # A local server has made none.
        for call in self.calls if target is not HubTarget.LOCAL else ():
            if is_object(extra := self.extras.get(call["id"])):
                call["extra_content"] = extra
        return message


class _Reader:
    def __init__(self, tools: Tools, target: HubTarget) -> None:
        self._tools = tools
        self._target = target
        self._system: list[str] = []
        self._said: list[JsonObject] = []
        self._turn: _Turn | None = None

    def messages(self) -> list[JsonObject]:
        """Everything that was read; all instructions at its beginning are one."""
        self._end_turn()
        said = [_plain(message) for message in self._said]
        if not self._system:
            return said
        return [{"role": "system", "content": "\n\n".join(self._system)}, *said]

    def instructions(self, given: object) -> None:
        """The instructions of the request."""
        if is_list(given):  # as a response has them that was made from a stored prompt
            raise InvalidRequestError("instructions: a string is required", param="instructions")
        if given is not None and not isinstance(given, str):
            raise InvalidRequestError("instructions: a string is required", param="instructions")
        if given and given.strip():
            self._system.append(given)

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
            self._add_user(parts)
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
        """A developer's message; amid the conversation, where many chat templates refuse one, it
        becomes a text of the user's, marked as what it is."""
        if not text:
            return
        if self._said or self._turn is not None:
            self._add_user([text_part(_REMINDER.format(text))])
        else:
            self._system.append(text)

    def _add_user(self, parts: list[JsonObject]) -> None:
        """Turns of the user in a row become one: many chat templates refuse two."""
        if not parts:
            return
        self._end_turn()
        if self._said and self._said[-1]["role"] == "user":
            self._said[-1]["content"] += parts
        else:
            self._said.append({"role": "user", "content": parts})

    # The model's turns and their results --------------------------------------------------------

    def _own_turn(self) -> _Turn:
        if self._turn is None:
            self._turn = _Turn()
        return self._turn

    def _end_turn(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None and (message := turn.message(self._target)) is not None:
            self._said.append(message)

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
        text = texts_of(parts)
        media = [part for part in parts if part["type"] != "text"]
        if media:
            text = f"{text}\n\n(its files follow in the next message)".strip()
        self._said.append({"role": "tool", "tool_call_id": call_id, "content": text})
        if media:
            self._add_user([text_part(f"The files of the tool result {call_id}:"), *media])

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


def _plain(message: JsonObject) -> JsonObject:
    """The message, its content as a string where it is nothing but text: every server takes one."""
    content = message.get("content")
    if not is_list(content) or any(part["type"] != "text" for part in content):
        return message
    return {**message, "content": "\n\n".join(part["text"] for part in content)}
