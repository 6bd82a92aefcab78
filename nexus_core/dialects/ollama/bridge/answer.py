"""Write answers of Ollama's format from the hub's: what whole ones and streams share."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from nexus_core.dialects.hub.said import reasoning_in, text_in
from nexus_core.dialects.ollama.dialect import CHAT, EMBED
from nexus_core.dialects.parsing import parse_finite_json
from nexus_core.dialects.request import Request
from nexus_core.types import JsonObject, Operation, is_list, is_object

_REASONS = {"tool_calls": "stop", "function_call": "stop", "eos": "stop"}
_encode = msgspec.json.Encoder().encode


def dumped(value: object) -> bytes:
    """JSON of any value that was read from JSON, lone surrogates included."""
    try:
        return _encode(value)
    except (UnicodeError, RecursionError):
        return json.dumps(value, separators=(",", ":")).encode()


def stamp(seconds: float) -> str:
    """A moment, in seconds since the epoch, as Ollama writes it."""
    whole, micros = divmod(round(seconds * 1e6), 1_000_000)
    return f"{_second(whole)}.{micros:06}Z" if micros else f"{_second(whole)}Z"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().removesuffix("+00:00")


def said(request: Request, choice: JsonObject, *, with_thinking: bool) -> JsonObject:
    """The text, thinking and probabilities of a choice, whole or a piece, in the fields of a line.

    Both are absent where the choice has none.
    """
    made: JsonObject = {}
    message = choice.get("message") or choice.get("delta")
    message = message if is_object(message) else {}
    if request.operation is Operation.COMPLETIONS:
        text = choice["text"] if isinstance(choice.get("text"), str) else ""
    else:
        text = text_in(message)
    thought = reasoning_in(message) if with_thinking else ""
    if not (text or thought):
        return made
    if request.path == CHAT.path:
        said: JsonObject = {"role": "assistant", "content": text}
        made["message"] = said
    else:
        said = made
        said["response"] = text
    if thought:
        said["thinking"] = thought
    if told := _logprobs(choice.get("logprobs")):
        made["logprobs"] = told
    return made


def silence(request: Request) -> JsonObject:
    """The same of no text."""
    if request.path == CHAT.path:
        return {"message": {"role": "assistant", "content": ""}}
    return {"response": ""}


def no_embedding(request: Request) -> JsonObject:
    """The whole answer where there is no text to embed."""
    if request.path == EMBED.path:
        return {"model": request.parsed["model"], "embeddings": []}
    return {"embedding": []}


def wants_thinking(request: Request) -> bool:
    """Whether thinking is shown: unless the client wants none."""
    return request.parsed.get("think") is not False


def done_reason(finish: object) -> str:
    """Why the answer ended, in Ollama's word; "stop" also where a tool is called."""
    return _REASONS.get(finish, finish) if isinstance(finish, str) and finish else "stop"


def call_of(number: int, call_id: str, name: str, arguments: object) -> JsonObject:
    """One tool call; its arguments are an object."""
    given = _object_of(arguments)
    made: JsonObject = {"function": {"index": number, "name": name, "arguments": given}}
    return {"id": call_id, **made} if call_id else made


def _object_of(arguments: object) -> JsonObject:
    if is_object(arguments):
        return arguments
    try:
        given = parse_finite_json(arguments) if isinstance(arguments, str) else None
    except ValueError:
        return {}
    return given if is_object(given) else {}


def _logprobs(told: object) -> list[JsonObject]:
    """Probabilities of tokens: the chat API's form is Ollama's, the legacy API's is by columns."""
    if not is_object(told):
        return []
    if is_list(content := told.get("content")):
        return [one for one in content if is_object(one)]
    tokens, numbers, tops = (told.get(n) for n in ("tokens", "token_logprobs", "top_logprobs"))
    if not is_list(tokens) or not is_list(numbers):
        return []
    made: list[JsonObject] = []
    for number, (token, logprob) in enumerate(zip(tokens, numbers, strict=False)):
        one: JsonObject = {"token": token, "logprob": logprob or 0.0}
        top = tops[number] if is_list(tops) and number < len(tops) else None
        if is_object(top):
            one["top_logprobs"] = [{"token": t, "logprob": p} for t, p in top.items()]
        made.append(one)
    return made
