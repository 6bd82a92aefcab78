"""Turn Ollama's messages and tools into the hub's.

Calls have no ids there, or had none: a result is paired with its call by the tool's name, else by
order, as `history` does it for every client.
"""

from __future__ import annotations

import json

from nexus_core.dialects.hub.conversation import in_order, text_part
from nexus_core.dialects.media import is_data_url
from nexus_core.errors import InvalidRequestError
from nexus_core.types import JsonObject, is_list, is_object

_ROLES = frozenset({"system", "user", "assistant", "tool"})
# The first characters of a picture's base64, by its type.
_PICTURES = (
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("Qk", "image/bmp"),
)


def read_messages(fields: JsonObject) -> list[JsonObject]:
    """The conversation as the hub's messages, in an order that every backend accepts.

    Raises:
        InvalidRequestError: a field is invalid; names it.
    """
    found: list[JsonObject] = []
    for index, message in enumerate(fields.get("messages") or ()):
        found += _read(message, f"messages[{index}]")
    return _repaired(found)


def read_prompt_messages(fields: JsonObject) -> list[JsonObject]:
    """The messages that a single prompt stands for: its system prompt, and the user's.

    Raises:
        InvalidRequestError: an image is invalid; names it.
    """
    found: list[JsonObject] = []
    if system := fields.get("system"):
        found.append({"role": "system", "content": system})
    found.append(_user(fields.get("prompt") or "", fields.get("images"), ""))
    return found


def read_tools(tools: object) -> list[JsonObject]:
    """The tools, whose form is the hub's.

    Raises:
        InvalidRequestError: one is invalid; names it.
    """
    if tools is None:
        return []
    if not is_list(tools):
        raise InvalidRequestError("tools: a list is required", param="tools")
    found: list[JsonObject] = []
    for number, tool in enumerate(tools):
        path = f"tools[{number}].function"
        function = tool.get("function") if is_object(tool) else None
        if not is_object(function) or not isinstance(function.get("name"), str):
            raise InvalidRequestError(f"{path}.name: a string is required", param=path)
        kept = {name: value for name, value in function.items() if value is not None}
        found.append({"type": "function", "function": kept})
    return found


def _repaired(found: list[JsonObject]) -> list[JsonObject]:
    messages = in_order(found)
    for message in messages:
        if message["role"] == "tool":
            message.pop("name", None)  # it served to pair it with its call
    return messages


def _read(message: JsonObject, path: str) -> list[JsonObject]:
    role = message["role"].lower()
    if role not in _ROLES:
        place = f"{path}.role"
        words = f"{place}: system, user, assistant or tool is required"
        raise InvalidRequestError(words, param=place)
    content, images = message.get("content"), message.get("images")
    if not isinstance(content, str | None):
        place = f"{path}.content"
        raise InvalidRequestError(f"{place}: a string is required", param=place)
    text = content or ""
    if role == "user":
        return [_user(text, images, f"{path}.")]
    if role == "assistant":
        return [_assistant(message, text, path)]
    if role == "system":
        return [{"role": role, "content": text}]
    result: JsonObject = {"role": "tool", "content": text}
    # `tool_call_id` is that of newer servers and clients; `name` is what some send for `tool_name`.
    for name, others in (("tool_call_id", ("tool_call_id",)), ("name", ("tool_name", "name"))):
        given = next((message[one] for one in others if message.get(one)), None)
        if isinstance(given, str):
            result[name] = given
    if not images:
        return [result]
    return [result, _user("The images of the tool result:", images, f"{path}.")]


def _user(text: str, images: object, path: str) -> JsonObject:
    """A user's message, with its pictures as parts."""
    if not images:
        return {"role": "user", "content": text}
    place = f"{path}images"
    if not is_list(images):
        raise InvalidRequestError(f"{place}: a list of base64 is required", param=place)
    parts: list[JsonObject] = [text_part(text)] if text.strip() else []
    for number, image in enumerate(images):
        at = f"{place}[{number}]"
        if not isinstance(image, str) or not image:
            raise InvalidRequestError(f"{at}: a picture as base64 is required", param=at)
        parts.append({"type": "image_url", "image_url": {"url": _picture_url(image)}})
    return {"role": "user", "content": parts}


def _picture_url(image: str) -> str:
    if is_data_url(image):  # as some clients send it, and Ollama takes it
        return image
    kind = next((kind for begin, kind in _PICTURES if image.startswith(begin)), "image/png")
    return f"data:{kind};base64,{image}"


def _assistant(message: JsonObject, text: str, path: str) -> JsonObject:
    found: JsonObject = {"role": "assistant", "content": text if text.strip() else None}
    if isinstance(thought := message.get("thinking"), str) and thought:
        found["reasoning_content"] = thought
    calls = message.get("tool_calls")
    if calls:
        if not is_list(calls):
            place = f"{path}.tool_calls"
            raise InvalidRequestError(f"{place}: a list is required", param=place)
        found["tool_calls"] = [
            _call(call, f"{path}.tool_calls[{number}]") for number, call in enumerate(calls)
        ]
    return found


def _call(call: object, path: str) -> JsonObject:
    function = call.get("function") if is_object(call) else None
    name = function.get("name") if is_object(function) else None
    if not is_object(call) or not is_object(function) or not isinstance(name, str) or not name:
        raise InvalidRequestError(f"{path}.function.name: a string is required", param=path)
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments or {}, ensure_ascii=False, separators=(",", ":"))
    made: JsonObject = {
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }
    if isinstance(call_id := call.get("id"), str) and call_id:
        made["id"] = call_id
    if is_object(extra := call.get("extra_content")):  # what a provider wants back beside it
        made["extra_content"] = extra
    return made
