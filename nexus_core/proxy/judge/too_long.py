"""Recognise, in a backend's own words, that a prompt is longer than its context window. Pure."""

from __future__ import annotations

import re

import msgspec

from nexus_core.late_pattern import LatePattern


class TooLong(msgspec.Struct, frozen=True):
    """How long a prompt is and may be, in tokens, as far as the backend tells."""

    needed: int | None = None
    maximum: int | None = None
    is_named: bool = False  # its code is OpenAI's context_length_exceeded already


_N = r"(?P<needed>\d[\d,]{0,14})"
_M = r"(?P<maximum>\d[\d,]{0,14})"

# https://platform.claude.com/docs/en/api/errors
# https://github.com/ggml-org/llama.cpp/pull/15780
# https://github.com/vllm-project/vllm/blob/main/vllm/renderers/params.py
# https://github.com/sgl-project/sglang/blob/main/python/sglang/srt/managers/tokenizer_manager.py
# https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/237
# https://github.com/anomalyco/opencode/issues/11141
# https://github.com/abetlen/llama-cpp-python/issues/462
# https://github.com/ollama/ollama/blob/main/llm/server.go
# https://docs.x.ai/docs/guides/errors
_WORDINGS = tuple(
    LatePattern(wording, re.IGNORECASE | re.DOTALL)
    for wording in (
        rf"prompt is too long:? {_N} tokens? > {_M}",  # Anthropic
        rf"prompt is too long:? {_N},? [^0-9]{{0,60}}{_M}",  # Fireworks
        rf"request \({_N} tokens\) exceeds the available context size \({_M}",  # llama.cpp
        r"exceeds the available context size|context size has been exceeded",
        rf"input \({_N} tokens\) is too large to process[^0-9]{{0,99}}batch size: {_M}",
        rf"requested tokens \({_N}\) exceed context window of {_M}",  # llama-cpp-python
        # LM Studio
        rf"keep the first {_N} tokens when [^0-9]{{0,99}}context length of only {_M}",
        rf"n_keep:? ?\(?{_N}\)? ?>= ?n_ctx:? ?\(?{_M}",
        r"initial prompt is greater than the context length",
        rf"reached context length of {_M} tokens",
        # vLLM
        rf"prompt [^0-9]{{0,40}}length {_N}\) is (?:longer|too long)[^0-9]{{0,99}}{_M}",
        rf"passed {_N} input tokens.{{0,99}}context length is only {_M}",
        # It stops to count at the window's end, and before that looks at the characters.
        rf"maximum context length is {_M} tokens[^0-9]{{0,60}}contains at least \d",
        rf"maximum context length is {_M} tokens[^0-9]{{0,60}}contains \d+ characters",
        rf"input length \({_N}\) exceeds model's maximum context length \({_M}",
        rf"prompt length {_N} exceeds the max_model_len {_M}",
        rf"maximum context length is {_M} tokens[^0-9]{{0,99}}(?:request|messages|prompt)"
        rf"[^0-9]{{0,60}}{_N}",  # OpenAI as well
        rf"maximum context length of {_M} tokens[^0-9]{{0,60}}total of {_N}",  # SGLang
        rf"input \({_N} tokens\) is longer than [^0-9]{{0,40}}context length \({_M}",
        rf"contains {_N} tokens.{{0,60}}too large for model with {_M} maximum context",  # Mistral
        rf"input tokens exceed the configured limit of {_M} tokens[^0-9]{{0,60}}{_N}",  # OpenAI
        rf"maximum context length (?:is|of) {_M}",
        r"maximum context length|exceeds? (?:the |this )?(?:model'?s? )?context window",
        # Google
        rf"input token count \({_N}\) exceeds the maximum number of tokens allowed \({_M}",
        rf"input token count exceeds the maximum number of tokens allowed \(?{_M}",
        r"exceeds the maximum number of tokens",
        rf"maximum prompt length is {_M} but the request contains {_N}",  # xAI
        rf"`?inputs`? must have less than {_M} tokens\. Given: {_N}",  # Text Generation Inference
        rf"`?inputs`? tokens \+ `?max_new_tokens`? must be <= {_M}\. Given: {_N}",
        rf"current length is {_N} while limit is {_M}",  # Cerebras
        rf"prompt token count of {_N} exceeds the limit of {_M}",  # GitHub Copilot
        rf"exceeded model token limit:? ?{_M}",  # Moonshot
        r"input (?:length )?exceeds (?:the |maximum )?context length",  # Ollama
        r"prompt (?:is )?too long;? exceeded (?:max )?context length",
        r"input is too long for (?:the )?requested model",  # Bedrock
        r"prompt exceeds max length",  # Zhipu
        r"context window exceeds limit",  # MiniMax
        r"context (?:length|window|size) (?:was |has been )?exceeded",
        r"\bprompt is too long\b",
    )
)
_CODES = (
    "context_length_exceeded",
    "exceed_context_size",
    "context_window_exceeded",
    "context_overflow",
)
_OPENAI_CODE = "context_length_exceeded"
# A shorter answer would do: to compact the prompt is not what helps.
_ANSWER_TOO_LONG = LatePattern(
    r"max_(?:completion_|new_)?tokens\W{0,3}(?: or \W?max_\w+\W?)? is too large"
    r"|`?max_tokens`? exceed context limit",
    re.IGNORECASE,
)


def read_too_long(code: str, words: str) -> TooLong | None:
    """What an error says of the prompt's length; None where it is about something else.

    Args:
        code: its types and codes in lower case, words joined by underscores.
    """
    if _ANSWER_TOO_LONG.search(words):
        return None
    for wording in _WORDINGS:
        if found := wording.search(words):
            told = found.groupdict()
            needed, maximum = _number(told.get("needed")), _number(told.get("maximum"))
            break
    else:
        if not any(one in code for one in _CODES):
            return None
        needed = maximum = None
    if needed is not None and maximum is not None and needed <= maximum:
        needed = None  # with the answer it is too long
    return TooLong(needed, maximum, is_named=_OPENAI_CODE in code)


def _number(digits: str | None) -> int | None:
    return int(digits.replace(",", "")) if digits else None
