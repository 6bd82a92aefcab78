"""A request of every inbound API that uses much of it, and a backend of every format."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from nexus_core.config.schema import BackendConfig
from tests.contract.bodies import ANSWER
from tests.contract.scripted_upstream import Exchange, answers, streams
from tests.scenarios import gemini_api, messages, ollama_api, responses
from tests.scenarios.messages import claude, gemini, local, openai
from tests.scenarios.nexus import backend

PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SCHEMA = {
    "type": "object",
    "properties": {"q": {"type": "string", "enum": ["a"]}},
    "required": ["q"],
}
CACHED = {"cache_control": {"type": "ephemeral"}}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
FUNCTION = {"name": "look", "description": "d", "parameters": SCHEMA}

CHAT: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "look"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "look", "arguments": '{"q":"a"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "found"},
        {"role": "user", "content": "and now?"},
    ],
    "tools": [{"type": "function", "function": FUNCTION}],
    "tool_choice": "auto",
    "response_format": {"type": "text"},
    "max_completion_tokens": 50,
    "reasoning_effort": "low",
    "stop": ["x"],
    "stream": False,
}
MESSAGES: dict[str, Any] = {
    "model": "m",
    "max_tokens": 2000,
    "system": [{"type": "text", "text": "Be brief.", **CACHED}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "look", **CACHED}, IMAGE]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": ""},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"q": "a"}},
                {"type": "tool_use", "id": "toolu_2", "name": "look", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_2",
                    "content": "no",
                    "is_error": True,
                },
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": [{"type": "text", "text": "found"}, IMAGE],
                    **CACHED,
                },
            ],
        },
        {"role": "system", "content": "Go on."},
    ],
    "tools": [{"name": "look", "description": "d", "input_schema": SCHEMA, **CACHED}],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "output_config": {"effort": "low"},
    "metadata": {"user_id": "{}"},
    "stop_sequences": ["x"],
    "stream": False,
}
RESPONSES: dict[str, Any] = {
    "model": "m",
    "instructions": "Be brief.",
    "input": [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "d"}]},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "look"},
                {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
            ],
        },
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "hm"}],
            "content": None,
            "encrypted_content": "gAAAAA",
        },
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "look", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "apply_patch", "input": "x"},
        {"type": "function_call_output", "call_id": "c1", "output": "found"},
        {
            "type": "custom_tool_call_output",
            "call_id": "c2",
            "output": [{"type": "input_text", "text": "done"}],
        },
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "t"}]},
        {"type": "message", "role": "user", "content": "and now?"},
    ],
    "tools": [
        {"type": "function", "strict": False, **FUNCTION},
        {"type": "custom", "name": "apply_patch", "format": {"type": "grammar", "syntax": "lark"}},
        {"type": "namespace", "name": "ns", "tools": [{"type": "function", **FUNCTION}]},
        {"type": "web_search"},
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"effort": "low", "summary": "auto"},
    "text": {"format": {"type": "text"}, "verbosity": "low"},
    "include": ["reasoning.encrypted_content"],
    "store": False,
    "max_output_tokens": 50,
    "stream": False,
}
GEMINI: dict[str, Any] = {
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "contents": [
        {
            "role": "user",
            "parts": [{"text": "look"}, {"inlineData": {"mimeType": "image/png", "data": PNG}}],
        },
        {
            "role": "model",
            "parts": [
                {"text": "hm", "thought": True},
                {
                    "functionCall": {"id": "c1", "name": "look", "args": {"q": "a"}},
                    "thoughtSignature": "c2ln",
                },
            ],
        },
        {
            "role": "user",
            "parts": [{"functionResponse": {"id": "c1", "name": "look", "response": {"a": 1}}}],
        },
    ],
    "tools": [{"functionDeclarations": [{"name": "look", "parametersJsonSchema": SCHEMA}]}],
    "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
    "generationConfig": {
        "temperature": 1,
        "maxOutputTokens": 50,
        "stopSequences": ["x"],
        "thinkingConfig": {"thinkingBudget": 100, "includeThoughts": True},
    },
}
OLLAMA: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "look", "images": [PNG]},
        {
            "role": "assistant",
            "content": "",
            "thinking": "hm",
            "tool_calls": [{"function": {"name": "look", "arguments": {"q": "a"}}}],
        },
        {"role": "tool", "content": "found", "tool_name": "look"},
    ],
    "tools": [{"type": "function", "function": FUNCTION}],
    "options": {"temperature": 1, "stop": ["x"], "num_predict": 50, "num_ctx": 4096},
    "think": True,
    "stream": False,
}
EMBEDDINGS: dict[str, Any] = {"model": "m", "input": ["a", "b"]}


class Asked(NamedTuple):
    """One path of an inbound API, and a request there."""

    path: str
    body: dict[str, Any]


_GEMINI = "/v1beta/models/m"
CHATS = {
    "chat": Asked("/v1/chat/completions", CHAT),
    "messages": Asked("/v1/messages?beta=true", MESSAGES),
    "responses": Asked("/v1/responses", RESPONSES),
    "gemini": Asked(f"{_GEMINI}:generateContent", GEMINI),
    "ollama": Asked("/api/chat", OLLAMA),
}
OTHERS = {
    "gemini stream": Asked(f"{_GEMINI}:streamGenerateContent?alt=sse", GEMINI),
    "gemini array": Asked(f"{_GEMINI}:streamGenerateContent", GEMINI),
    "ollama generate": Asked("/api/generate", {"model": "m", "prompt": "p", "stream": False}),
    "completions": Asked("/v1/completions", {"model": "m", "prompt": "p"}),
    "embeddings": Asked("/v1/embeddings", EMBEDDINGS),
    "ollama embed": Asked("/api/embed", EMBEDDINGS),
    "ollama embeddings": Asked("/api/embeddings", {"model": "m", "prompt": "a"}),
    "gemini embed": Asked(f"{_GEMINI}:embedContent", {"content": {"parts": [{"text": "a"}]}}),
}
COUNTS = {
    "count_tokens": Asked("/v1/messages/count_tokens", MESSAGES),
    "countTokens": Asked(f"{_GEMINI}:countTokens", {"contents": GEMINI["contents"]}),
}
EVERY = {**CHATS, **OTHERS}


def is_stream_for(path: str, body: dict[str, Any]) -> bool:
    """Whether a stream is asked for of a backend."""
    if path.startswith("/api/"):
        return body.get("stream", True) is not False
    return bool(body.get("stream")) or ":stream" in path


_EMBEDDED = {
    "object": "list",
    "data": [{"object": "embedding", "index": i, "embedding": [0.5]} for i in range(2)],
    "usage": {"prompt_tokens": 2, "total_tokens": 2},
}
_WHOLE: dict[str, Any] = {
    "/v1/messages": messages.MESSAGE,
    "/v1/responses": json.loads(responses.recorded_stream("02-turn-2").rpartition(b"data: ")[2])[
        "response"
    ],
    "/v1/chat/completions": ANSWER,
    "/v1/completions": ANSWER | {"choices": [{"index": 0, "text": "t", "finish_reason": "stop"}]},
    "/v1/embeddings": _EMBEDDED,
    "/v1/messages/count_tokens": {"input_tokens": 7},
    "/api/chat": json.loads(ollama_api.last(content="Hello.")),
    "/api/generate": {"model": "m", "response": "Hi", "done": True, **ollama_api.COUNTS},
    "/api/embed": {"model": "m", "embeddings": [[0.5], [0.5]], **ollama_api.COUNTS},
    "/api/embeddings": {"embedding": [0.5]},
    "generateContent": gemini_api.ANSWER,
    "embedContent": {"embedding": {"values": [0.5]}},
    "batchEmbedContents": {"embeddings": [{"values": [0.5]}, {"values": [0.5]}]},
    "countTokens": {"totalTokens": 7},
}
_STREAMS: dict[str, list[bytes]] = {
    "/v1/messages": [messages.recorded_stream("04-thinking-turn-1")],
    "/v1/responses": [responses.recorded_stream("01-turn-1")],
    "/v1/chat/completions": messages.THINKING_AND_CALLS,
    "/v1/completions": [
        b'data: {"choices":[{"index":0,"text":"t","finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    ],
    "/api/chat": ollama_api.STREAM,
    "/api/generate": [ollama_api.line(response="Hi", done=True, **ollama_api.COUNTS)],
    "streamGenerateContent": [gemini_api.recorded_stream("02-turn-1")],
}


async def server_of_every_format(exchange: Exchange) -> None:
    """Answers at every path of every vendor, in its format, as a stream where one is asked for."""
    path = exchange.target.partition("?")[0]
    key = path.rpartition(":")[2] if path.startswith("/v1beta/") else path
    if is_stream_for(exchange.target, json.loads(exchange.body)) and key in _STREAMS:
        await streams(_STREAMS[key])(exchange)
    else:
        await answers(_WHOLE[key])(exchange)


def local_speaking(url: str, *apis: str) -> BackendConfig:
    """A local server that speaks these APIs beside chat's."""
    return backend("-".join(apis), url, apis=apis)


def one_of_each(*urls: str) -> list[BackendConfig]:
    """A backend of each format: four clouds' and chat servers, and those that speak one more."""
    makers = [local, claude, gemini, openai]
    made = [make(url) for make, url in zip(makers, urls, strict=False)]
    spoken = zip(("messages", "responses", "ollama"), urls[len(makers) :], strict=True)
    return [*made, *(local_speaking(url, api) for api, url in spoken)]


KINDS = 7
