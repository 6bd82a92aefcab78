"""Split an OpenAI request's prompt into texts, images and tools for counting tokens. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable

from nexus_core.dialects.request import Request
from nexus_core.types import (
    JsonObject,
    JsonValue,
    PromptAudio,
    PromptImage,
    PromptParts,
    PromptTool,
    ToolProperty,
    is_list,
    is_object,
)


def read_prompt(request: Request) -> PromptParts:
    """The parts of a request's prompt; invalid values count as nothing."""
    return prompt_of(request.parsed)


def prompt_of(fields: JsonObject) -> PromptParts:
    """The parts of a prompt from a client's fields: of a chat (`messages`, `tools`, `functions`), a
    completion (`prompt`) or an embedding (`input`)."""
    messages: JsonValue = fields.get("messages")
    if isinstance(messages, list):
        parts = PromptParts(is_chat=True)
        for message in messages:
            if isinstance(message, dict):
                _message(message, parts)
        parts.tools.extend(map(_tool, _functions(fields)))
        form: JsonValue = fields.get("response_format")
        if isinstance(form, dict) and is_object(schema := form.get("json_schema")):
            parts.schema = _dumped(schema)
        return parts
    parts = PromptParts(is_chat=False)
    for name in ("prompt", "input"):
        if name in fields:
            _text(fields[name], parts)
            break
    return parts


def _text(prompt: object, parts: PromptParts) -> None:
    """A text, a list of texts, a list of token numbers, or a list of such lists."""
    if isinstance(prompt, str):
        parts.texts.append(prompt)
    for part in prompt if is_list(prompt) else ():
        if isinstance(part, str):
            parts.texts.append(part)
        else:
            parts.token_numbers += len(part) if is_list(part) else 1


def _message(message: JsonObject, parts: PromptParts) -> None:
    texts = parts.texts
    parts.messages += 1
    content, role, name = message.get("content"), message.get("role"), message.get("name")
    if isinstance(content, str):
        texts.append(content)
    elif is_list(content):
        for part in content:
            if is_object(part):
                _part(part, parts)
    if isinstance(role, str):
        texts.append(role)
    if isinstance(name, str):
        texts.append(name)
        parts.names += 1
    parts.has_others |= role in ("tool", "function")
    calls = message.get("tool_calls")
    for call in calls if is_list(calls) else ():
        _call(call.get("function") if is_object(call) else None, parts)
    _call(message.get("function_call"), parts)


def _call(function: object, parts: PromptParts) -> None:
    if is_object(function):
        words = (function.get("name"), function.get("arguments"))
        parts.texts.extend(word for word in words if isinstance(word, str))
        parts.calls += 1


def _part(part: JsonObject, parts: PromptParts) -> None:
    match part:
        case {"type": "text", "text": str(text)} | {"type": "refusal", "refusal": str(text)}:
            parts.texts.append(text)
        case {"type": "image_url", "image_url": image} if is_object(image):
            url = image.get("url")
            is_low = image.get("detail") == "low"
            parts.images.append(PromptImage(url if isinstance(url, str) else "", is_low))
        case {"type": "input_audio", "input_audio": {"data": str(data), "format": form}}:
            parts.audio.append(PromptAudio(str(form), len(data)))
        case {"type": "file", "file": {"file_data": str(data)}}:
            parts.file_chars.append(len(data))
        case _:
            parts.has_others = True


# Tools --------------------------------------------------------------------------------------------


def _functions(fields: JsonObject) -> Iterable[JsonObject]:
    """Functions offered to the model, in `tools` or the legacy field `functions`."""
    tools, functions = fields.get("tools"), fields.get("functions")
    for tool in tools if is_list(tools) else ():
        if is_object(tool) and is_object(function := tool.get("function")):
            yield function
    for function in functions if is_list(functions) else ():
        if is_object(function):
            yield function


def _tool(function: JsonObject) -> PromptTool:
    parameters = function.get("parameters")
    properties = parameters.get("properties") if is_object(parameters) else None
    return PromptTool(
        f"{_word(function, 'name')}:{_sentence(function)}",
        tuple(
            _property(key, schema if is_object(schema) else {})
            for key, schema in (properties.items() if is_object(properties) else ())
        ),
    )


def _property(key: str, schema: JsonObject) -> ToolProperty:
    choices = schema.get("enum")
    rest = {k: v for k, v in schema.items() if k not in ("type", "description", "enum")}
    return ToolProperty(
        f"{key}:{_word(schema, 'type')}:{_sentence(schema)}",
        tuple(map(str, choices)) if is_list(choices) else None,
        _dumped(rest) if rest else None,
    )


def _word(schema: JsonObject, key: str) -> str:
    value = schema.get(key)
    return value if isinstance(value, str) else ""


def _sentence(schema: JsonObject) -> str:
    return _word(schema, "description").removesuffix(".")


def _dumped(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:  # whatever it is, no provider takes it
        return ""


def texts_in(value: object, skipped: Collection[str]) -> str:
    """All texts of a request, in any place but under these keys."""
    texts: list[str] = []
    level: list[object] = [value]
    while level:
        one = level.pop()
        if isinstance(one, str):
            texts.append(one)
        elif is_object(one):
            level += [inner for key, inner in one.items() if key not in skipped]
        elif is_list(one):
            level += one
    return "\n".join(texts)
