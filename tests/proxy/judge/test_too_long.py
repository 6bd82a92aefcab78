"""A prompt over the window, in the words of every server that has some."""

from __future__ import annotations

import json

import pytest

from nexus_core.dialects.error_report import read_error_body
from nexus_core.proxy.judge.fault import FailureKind, judge_report
from nexus_core.proxy.judge.too_long import TooLong, read_too_long

WORDINGS = {
    "prompt is too long: 210345 tokens > 200000 maximum": (210345, 200000),  # Anthropic
    "This model's maximum context length is 8192 tokens. However, your messages resulted in "
    "9001 tokens. Please reduce the length of the messages.": (9001, 8192),  # OpenAI
    "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens "
    "(4000 in the messages, 1000 in the completion). Please reduce the length of the messages "
    "or completion.": (5000, 4096),  # vLLM
    "This endpoint's maximum context length is 131072 tokens. However, you requested about "
    "150000 tokens (149000 of text input, 1000 in the output).": (150000, 131072),  # OpenRouter
    "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 300001 "
    "tokens. Please reduce the length of the messages.": (300001, 272000),
    "Your input exceeds the context window of this model. Please adjust your input and try "
    "again.": (None, None),
    "the request exceeds the available context size. try increasing the context size or enable "
    "context shift": (None, None),  # llama.cpp of 2025
    "request (14429 tokens) exceeds the available context size (8192 tokens), try increasing it": (
        14429,
        8192,
    ),
    "Context size has been exceeded.": (None, None),
    "Requested tokens (516) exceed context window of 512": (516, 512),  # llama-cpp-python
    "Trying to keep the first 111490 tokens when context the overflows. However, the model is "
    "loaded with context length of only 32768 tokens, which is not enough.": (111490, 32768),
    "Cannot truncate prompt with n_keep (15028) >= n_ctx (7424)": (15028, 7424),  # LM Studio
    "The number of tokens to keep from the initial prompt is greater than the context length. "
    "n_keep: 19502>= n_ctx: 8192": (19502, 8192),
    "Reached context length of 4096 tokens with model (arch: qwen3) that does not currently "
    "support mid-generation context overflow.": (None, 4096),
    "The decoder prompt (length 5000) is longer than the maximum model length of 4096. Make sure "
    "that `max_model_len` is no smaller than the number of text tokens.": (5000, 4096),
    "You passed 4097 input tokens and requested 1 output tokens. However, the model's context "
    "length is only 4096 tokens.": (4097, 4096),
    # vLLM 0.32: it counts tokens to the end only where the tokenizer is not told to stop.
    "This model's maximum context length is 2048 tokens. However, your prompt contains 5000 input "
    "tokens, which exceeds this limit even without any output tokens. Please reduce the length of "
    "the input prompt. (parameter=input_tokens, value=5000)": (5000, 2048),
    "This model's maximum context length is 2048 tokens. However, your prompt contains at least "
    "2049 input tokens, which exceeds this limit even without any output tokens. Please reduce "
    "the length of the input prompt. (parameter=input_tokens, value=2049)": (None, 2048),
    "This model's maximum context length is 2048 tokens. However, your prompt contains 200000 "
    "characters (more than 16384 characters, which is the upper bound for 2048 input tokens). "
    "Please reduce the length of the input prompt. (parameter=input_text, value=200000)": (
        None,
        2048,
    ),
    "Input length (5000) exceeds model's maximum context length (4096).": (5000, 4096),
    "The engine prompt length 5000 exceeds the max_model_len 4096. Please reduce prompt.": (
        5000,
        4096,
    ),
    "The input (5000 tokens) is longer than the model's context length (4096 tokens).": (
        5000,
        4096,
    ),  # SGLang
    "Requested token count exceeds the model's maximum context length of 4096 tokens. You "
    "requested a total of 5000 tokens": (5000, 4096),
    "the input length exceeds the context length": (None, None),  # Ollama
    "prompt too long; exceeded max context length by 12 tokens": (None, None),
    "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).": (
        1196265,
        1048575,
    ),  # Google
    "The input token count exceeds the maximum number of tokens allowed 1048575.": (None, 1048575),
    "This model's maximum prompt length is 131072 but the request contains 537812 tokens.": (
        537812,
        131072,
    ),  # xAI
    "Prompt contains 40960 tokens and 0 draft tokens, too large for model with 32768 maximum "
    "context length": (40960, 32768),  # Mistral
    "Input validation error: `inputs` must have less than 4095 tokens. Given: 5000": (5000, 4095),
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 "
    "`inputs` tokens and 1000 `max_new_tokens`": (None, 4096),
    "Please reduce the length of the messages or completion. Current length is 9000 while limit "
    "is 8192": (9000, 8192),  # Cerebras
    "Invalid request: Your request exceeded model token limit: 8192": (None, 8192),  # Moonshot
    "input (1024 tokens) is too large to process. increase the physical batch size (current "
    "batch size: 512)": (1024, 512),
}
OTHERS = [
    "max_tokens must be positive",
    "messages: at least one is needed",
    "'max_tokens' or 'max_completion_tokens' is too large: 5000. This model's maximum context "
    "length is 4096 tokens and your request has 100 input tokens (5000 > 4096 - 100).",
    "max_tokens=40000 cannot be greater than max_model_len=2048. Please request fewer output "
    "tokens. (parameter=max_tokens, value=40000)",  # vLLM 0.32
    "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input "
    "length or `max_tokens` and try again",
    "Request too large for gpt-4o in organization org-1 on tokens per min (TPM): Limit 30000, "
    "Requested 35000.",
    "the name is too long",
]


@pytest.mark.parametrize(("words", "sizes"), WORDINGS.items())
def test_the_words_of_each_server_are_known_with_their_numbers(
    words: str, sizes: tuple[int | None, int | None]
) -> None:
    told = read_too_long("", words)

    assert told is not None
    assert (told.needed, told.maximum) == sizes


@pytest.mark.parametrize("words", OTHERS)
def test_what_is_about_something_else_is_not_taken_for_it(words: str) -> None:
    assert read_too_long("invalid_request_error", words) is None


def test_a_code_says_it_in_any_words() -> None:
    assert read_too_long("context_length_exceeded", "no") == TooLong(is_named=True)
    assert read_too_long("exceed_context_size_error", "no") == TooLong()


@pytest.mark.parametrize(("status", "code"), [(400, 400), (500, 500), (None, 400), (413, None)])
def test_llama_cpp_tells_the_numbers_beside_the_words(status: int | None, code: object) -> None:
    error = {
        "code": code,
        "message": "the request exceeds the available context size",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": 14429,
        "n_ctx": 8192,
    }

    fault = judge_report(read_error_body(json.dumps({"error": error}).encode()), status)

    assert (fault.kind, fault.status, fault.fails_over) == (FailureKind.TOO_LONG, 400, False)
    assert fault.too_long == TooLong(14429, 8192)


@pytest.mark.parametrize("status", [401, 402, 403, 404, 429, 503])
def test_another_status_says_something_else(status: int) -> None:
    body = json.dumps({"error": {"message": "maximum context length is 4096 tokens"}}).encode()

    fault = judge_report(read_error_body(body), status)

    assert fault.kind is not FailureKind.TOO_LONG
    assert fault.status == status
