"""Count tokens of requests: exact for OpenAI's vocabularies and framing, else an
estimate that says so."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from nexus_core.tokens.images import image_tokens
from nexus_core.tokens.vocabularies import Tokenizers
from nexus_core.types import CountMethod, JsonObject, TokenCount, is_list, is_object

THREAD_FROM_BYTES = 16 * 1024  # a longer body is counted in a thread

# How OpenAI frames a chat; checked against the counts that its API billed.
# https://github.com/openai/openai-cookbook/blob/main/examples/How_to_count_tokens_with_tiktoken.ipynb
_PER_MESSAGE = 3
_PER_NAME = 1
_REPLY_PRIMING = 3
_PER_FUNCTION = {"cl100k_base": 10, "o200k_base": 7}
_PROPERTIES, _PER_PROPERTY = 3, 3
_ENUM, _PER_CHOICE = -3, 3
_AFTER_FUNCTIONS = 12

_PER_TOOL_CALL = 4  # an estimate: how a call is framed is not published
_AUDIO_TOKENS_PER_SECOND = 10  # OpenAI: one token for 100 ms
_AUDIO_BYTES_PER_SECOND = {"wav": 48_000}  # 24 kHz, 16 bit, which OpenAI itself uses
_OTHER_AUDIO_BYTES_PER_SECOND = 16_000  # 128 kbit/s
_FILE_BYTES_PER_TOKEN = 16  # a guess for PDFs: layout and fonts are not text


@dataclass(frozen=True, slots=True)
class _Family:
    """How a model's tokens are counted."""

    encoding: str | None  # None: no vocabulary ships for it
    is_text_exact: bool = False
    is_chat_exact: bool = False
    bytes_per_token: float = 4.0  # of UTF-8, where nothing better is known


# The first that matches the model's name counts.
_FAMILIES: tuple[tuple[re.Pattern[str], _Family], ...] = tuple(
    (re.compile(pattern), family)
    for pattern, family in (
        (r"gpt-oss", _Family("o200k_base")),  # its words are the same, its framing is not
        (
            r"(ft:)?(gpt-4o|chatgpt-4o|gpt-4\.[15])",
            _Family("o200k_base", is_text_exact=True, is_chat_exact=True),
        ),
        (
            r"(ft:)?gpt-(4|3\.5|35)(?![.\d])",
            _Family("cl100k_base", is_text_exact=True, is_chat_exact=True),
        ),
        (
            r"text-embedding-(3-|ada-002)|(ft:)?(davinci|babbage)-002",
            _Family("cl100k_base", is_text_exact=True),
        ),
        # Reasoning models are billed a token or two beside the published framing.
        (r"(ft:)?(gpt-5|o[134](-|$))", _Family("o200k_base", is_text_exact=True)),
        (r"(ft:)?(gpt-|chatgpt-|o\d)", _Family("o200k_base")),  # newer: as the newest known
        # Anthropic: about 3.5 characters of English a token, and 30% more tokens since Opus 4.7.
        # https://platform.claude.com/docs/en/about-claude/glossary#tokens
        (
            r"claude-([23]|instant|(opus|sonnet|haiku)-4(-[0-6])?(-20\d{6})?$)",
            _Family(None, bytes_per_token=3.5),
        ),
        (r"claude", _Family(None, bytes_per_token=2.7)),
        # Google: a token is about four characters. https://ai.google.dev/gemini-api/docs/tokens
        (r"", _Family(None)),
    )
)


def count_tokens(tokenizers: Tokenizers, model: str, fields: Mapping[str, object]) -> TokenCount:
    """Count the prompt tokens of a request's parsed body.

    Args:
        model: by the backend's own name; a prefix such as "openai/" is no part of it.
        fields: of a chat (`messages`, `tools`, `functions`), a completion (`prompt`) or an
            embedding (`input`), as the client sent them. What makes no sense counts nothing.

    Blocks for about 0.1 ms per KB; `count_tokens_async` goes to a thread for long bodies.
    """
    return _Counter(tokenizers, model).request(fields)


async def count_tokens_async(
    tokenizers: Tokenizers, model: str, fields: Mapping[str, object], body_bytes: int
) -> TokenCount:
    """Count prompt tokens, in a thread for long bodies."""
    if body_bytes < THREAD_FROM_BYTES:
        return count_tokens(tokenizers, model, fields)
    return await asyncio.to_thread(count_tokens, tokenizers, model, fields)


def count_text(tokenizers: Tokenizers, model: str, text: str) -> TokenCount:
    """Count the tokens of plain text, such as an interrupted answer."""
    counter = _Counter(tokenizers, model)
    return counter.result(counter.text(text), counter.family.is_text_exact)


def tokens_of(model: str, text_bytes: int) -> int:
    """Estimate tokens from the length of a text."""
    return math.ceil(text_bytes / _family(model).bytes_per_token)


@lru_cache(maxsize=1024)
def _family(model: str) -> _Family:
    name = model.rpartition("/")[2].lower()
    return next(family for pattern, family in _FAMILIES if pattern.match(name))


class _Counter:
    """Counts one request; remembers whether all of it was counted as its provider counts."""

    def __init__(self, tokenizers: Tokenizers, model: str) -> None:
        self._tokenizers = tokenizers
        self._model = model
        self.family = _family(model)
        self._is_exact = True

    def request(self, fields: Mapping[str, object]) -> TokenCount:
        messages = fields.get("messages")
        if is_list(messages):
            tokens = self._chat(messages, fields)
            return self.result(tokens, self.family.is_chat_exact)
        for field in ("prompt", "input"):
            if field in fields:
                return self.result(self._prompt(fields[field]), self.family.is_text_exact)
        return self.result(0, self.family.is_text_exact)

    def result(self, tokens: int, is_family_exact: bool) -> TokenCount:
        is_exact = self._is_exact and is_family_exact
        return TokenCount(tokens, CountMethod.EXACT if is_exact else CountMethod.ESTIMATED)

    def text(self, text: str) -> int:
        if not text:
            return 0
        if self.family.encoding is not None:
            counted = self._tokenizers.count(self.family.encoding, text)
            if counted is not None:
                self._is_exact &= counted.is_exact
                return counted.tokens
        self._is_exact = False
        return math.ceil(len(text.encode(errors="replace")) / self.family.bytes_per_token)

    def _json(self, value: object) -> int:
        try:
            return self.text(json.dumps(value, ensure_ascii=False))
        except RecursionError:  # whatever it is, no provider takes it
            return 0

    def _guess(self, tokens: int) -> int:
        self._is_exact = False
        return tokens

    def _prompt(self, prompt: object) -> int:
        """A text, a list of texts, a list of token numbers, or a list of such lists."""
        if isinstance(prompt, str):
            return self.text(prompt)
        total = 0
        for part in prompt if is_list(prompt) else ():
            if isinstance(part, str):
                total += self.text(part)
            else:
                total += len(part) if is_list(part) else 1
        return total

    # A chat -----------------------------------------------------------------------------------

    def _chat(self, messages: list[object], fields: Mapping[str, object]) -> int:
        total = _REPLY_PRIMING + self._tools(fields)
        for message in messages:
            if is_object(message):
                total += self._message(message)
        form = fields.get("response_format")
        if is_object(form) and is_object(schema := form.get("json_schema")):
            total += self._guess(self._json(schema))
        return total

    def _message(self, message: Mapping[str, object]) -> int:
        role, name = message.get("role"), message.get("name")
        total = _PER_MESSAGE + self._content(message.get("content"))
        total += self.text(role) if isinstance(role, str) else 0
        total += _PER_NAME + self.text(name) if isinstance(name, str) else 0
        if role in ("tool", "function"):
            self._is_exact = False
        calls = message.get("tool_calls")
        for call in calls if is_list(calls) else ():
            total += self._call(call.get("function") if is_object(call) else None)
        return total + self._call(message.get("function_call"))

    def _call(self, function: object) -> int:
        if not is_object(function):
            return 0
        words = (function.get("name"), function.get("arguments"))
        return self._guess(_PER_TOOL_CALL + sum(self.text(w) for w in words if isinstance(w, str)))

    def _content(self, content: object) -> int:
        if isinstance(content, str):
            return self.text(content)
        parts = content if is_list(content) else ()
        return sum(self._part(part) for part in parts if is_object(part))

    def _part(self, part: JsonObject) -> int:
        match part:
            case {"type": "text", "text": str(text)}:
                return self.text(text)
            case {"type": "refusal", "refusal": str(text)}:
                return self.text(text)
            case {"type": "image_url", "image_url": image} if is_object(image):
                return self._guess(image_tokens(self._model, image))
            case {"type": "input_audio", "input_audio": {"data": str(data), "format": form}}:
                rate = _AUDIO_BYTES_PER_SECOND.get(str(form), _OTHER_AUDIO_BYTES_PER_SECOND)
                seconds = len(data) * 3 / 4 / rate
                return self._guess(math.ceil(seconds * _AUDIO_TOKENS_PER_SECOND))
            case {"type": "file", "file": {"file_data": str(data)}}:
                return self._guess(math.ceil(len(data) * 3 / 4 / _FILE_BYTES_PER_TOKEN))
            case _:
                return self._guess(0)

    # Tools ------------------------------------------------------------------------------------

    def _tools(self, fields: Mapping[str, object]) -> int:
        functions = list(_functions(fields))
        if not functions:
            return 0
        return _AFTER_FUNCTIONS + sum(self._function(function) for function in functions)

    def _function(self, function: Mapping[str, object]) -> int:
        start = _PER_FUNCTION.get(self.family.encoding or "", _PER_FUNCTION["o200k_base"])
        total = start + self.text(f"{_word(function, 'name')}:{_sentence(function)}")
        parameters = function.get("parameters")
        properties = parameters.get("properties") if is_object(parameters) else None
        if not is_object(properties) or not properties:
            return total
        total += _PROPERTIES
        for key, schema in properties.items():
            total += self._property(key, schema if is_object(schema) else {})
        return total

    def _property(self, key: str, schema: Mapping[str, object]) -> int:
        total = _PER_PROPERTY
        choices = schema.get("enum")
        if is_list(choices):
            total += _ENUM + sum(_PER_CHOICE + self.text(str(choice)) for choice in choices)
        total += self.text(f"{key}:{_word(schema, 'type')}:{_sentence(schema)}")
        rest = {k: v for k, v in schema.items() if k not in ("type", "description", "enum")}
        if rest:  # nested and limited properties: how they are framed is not published
            total += self._guess(self._json(rest))
        return total


def _functions(fields: Mapping[str, object]) -> Iterable[Mapping[str, object]]:
    """What the model may call, by the present field and the one before it."""
    tools, functions = fields.get("tools"), fields.get("functions")
    for tool in tools if is_list(tools) else ():
        if is_object(tool) and is_object(function := tool.get("function")):
            yield function
    for function in functions if is_list(functions) else ():
        if is_object(function):
            yield function


def _word(schema: Mapping[str, object], key: str) -> str:
    value = schema.get(key)
    return value if isinstance(value, str) else ""


def _sentence(schema: Mapping[str, object]) -> str:
    return _word(schema, "description").removesuffix(".")
