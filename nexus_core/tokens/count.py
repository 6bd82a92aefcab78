"""Count prompt tokens: exact for OpenAI's vocabularies and framing, else a marked estimate."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import NamedTuple

from nexus_core.tokens.images import image_tokens
from nexus_core.tokens.vocabularies import Tokenizers
from nexus_core.types import (
    CountMethod,
    PromptAudio,
    PromptParts,
    PromptTool,
    TokenCount,
    ToolProperty,
)

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


_USUAL = 4.0  # bytes of a token, where nothing better is known


class _Family(NamedTuple):
    """How a model's tokens are counted."""

    encoding: str | None  # None: no vocabulary ships for it
    is_text_exact: bool = False
    is_chat_exact: bool = False
    bytes_per_token: float = _USUAL  # of UTF-8


# The first that matches the model's name counts.
_FAMILIES: tuple[tuple[str, _Family], ...] = (
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


def count_tokens(tokenizers: Tokenizers, model: str, prompt: PromptParts) -> TokenCount:
    """Count the tokens of a prompt.

    Args:
        model: by the backend's own name; a prefix such as "openai/" is no part of it.

    Blocks for about 0.1 ms per KB.
    """
    return _Counter(tokenizers, model).prompt(prompt)


def estimate_tokens(model: str, prompt: PromptParts) -> TokenCount:
    """Estimate the tokens of a prompt from the lengths of its texts; needs no vocabulary."""
    return _Counter(_NOTHING_LOADED, model).prompt(prompt)


def encoding_of(model: str) -> str | None:
    """The encoding whose vocabulary counts a model's tokens; None where none ships."""
    return _family(model).encoding


def count_text(tokenizers: Tokenizers, model: str, text: str) -> TokenCount:
    """Count the tokens of plain text, such as an interrupted answer."""
    counter = _Counter(tokenizers, model)
    return counter.result(counter.text(text), counter.family.is_text_exact)


def tokens_of(model: str, text_bytes: int) -> int:
    """Estimate tokens from the length of a text."""
    return math.ceil(text_bytes / _family(model).bytes_per_token)


def tokens_for_one(model: str) -> float:
    """How many tokens of a model are likely in what would be one of four bytes."""
    return _USUAL / _family(model).bytes_per_token


_NOTHING_LOADED = Tokenizers()


@lru_cache(maxsize=1024)
def _family(model: str) -> _Family:
    name = model.rpartition("/")[2].lower()
    return next(family for pattern, family in _FAMILIES if re.match(pattern, name))


class _Counter:
    """Counts one request; remembers whether all of it was counted as its provider counts."""

    def __init__(self, tokenizers: Tokenizers, model: str) -> None:
        self._tokenizers = tokenizers
        self._model = model
        self.family = _family(model)
        self._is_exact = True

    def prompt(self, parts: PromptParts) -> TokenCount:
        family = self.family
        tokens = sum(map(self.text, parts.texts)) + parts.token_numbers
        if not parts.is_chat:
            return self.result(tokens, family.is_text_exact)
        tokens += _REPLY_PRIMING + _PER_MESSAGE * parts.messages + _PER_NAME * parts.names
        if parts.tools:
            tokens += _AFTER_FUNCTIONS + sum(map(self._tool, parts.tools))
        if parts.has_others:
            self._is_exact = False
        guessed = _PER_TOOL_CALL * parts.calls
        guessed += sum(image_tokens(self._model, image) for image in parts.images)
        guessed += sum(map(_audio_tokens, parts.audio))
        guessed += sum(math.ceil(n * 3 / 4 / _FILE_BYTES_PER_TOKEN) for n in parts.file_chars)
        if parts.calls or parts.images or parts.audio or parts.file_chars:
            self._is_exact = False
        if parts.schema is not None:
            guessed += self._guess(self.text(parts.schema))
        return self.result(tokens + guessed, family.is_chat_exact)

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

    def _guess(self, tokens: int) -> int:
        self._is_exact = False
        return tokens

    def _tool(self, tool: PromptTool) -> int:
        start = _PER_FUNCTION.get(self.family.encoding or "", _PER_FUNCTION["o200k_base"])
        total = start + self.text(tool.text)
        if tool.properties:
            total += _PROPERTIES + sum(map(self._property, tool.properties))
        return total

    def _property(self, one: ToolProperty) -> int:
        total = _PER_PROPERTY + self.text(one.text)
        if one.choices is not None:
            total += _ENUM + sum(_PER_CHOICE + self.text(choice) for choice in one.choices)
        if one.rest is not None:  # how nested and limited properties are framed is not published
            total += self._guess(self.text(one.rest))
        return total


def _audio_tokens(audio: PromptAudio) -> int:
    rate = _AUDIO_BYTES_PER_SECOND.get(audio.format, _OTHER_AUDIO_BYTES_PER_SECOND)
    return math.ceil(audio.base64_chars * 3 / 4 / rate * _AUDIO_TOKENS_PER_SECOND)
