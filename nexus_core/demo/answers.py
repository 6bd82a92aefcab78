"""What a simulated backend says: OpenAI-format bodies made from a request. Pure: no network."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

SENTENCES = (
    "A gateway is a door with an opinion about who should answer it.",
    "The local model is busy, so the next one in line takes the question.",
    "Short prompts come back quickly; long ones take the scenic route.",
    "Nothing marked restricted ever leaves this machine.",
    "Tokens arrive one by one, like rain on a tin roof.",
    "Measure first, then tune, then measure again.",
    "When a backend stumbles, another one picks up the thread.",
    "This text is made up by the demo; no model was asked.",
)
TOKENS_PER_WORD = 1.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One completion, before it is wrapped as a whole answer or as a stream."""

    id: str
    model: str
    created: int  # seconds since the epoch
    pieces: tuple[str, ...]  # the text, or a tool call's arguments, token by token
    tool: str | None  # the called function's name; None for text
    finish_reason: str
    prompt_tokens: int
    is_chat: bool

    @property
    def usage(self) -> dict[str, int]:
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": len(self.pieces),
            "total_tokens": self.prompt_tokens + len(self.pieces),
        }


def make_answer(
    request: Mapping[str, Any],
    *,
    random: Random,
    created: int,
    lengths: tuple[int, int],
    is_chat: bool = True,
) -> Answer:
    """Make up an answer of `lengths` tokens (least, most), within what the request allows."""
    tool = _called_tool(request) if is_chat else None
    finish_reason = "tool_calls" if tool else "stop"
    if tool:
        pieces = _pieces(json.dumps({"query": random.choice(SENTENCES[:4])}))
    else:
        pieces = _text(random, random.randint(*lengths))
    limit = request.get("max_completion_tokens") or request.get("max_tokens")
    if isinstance(limit, int) and limit < len(pieces):
        pieces, finish_reason = pieces[:limit], "length"
    return Answer(
        id=f"{'chatcmpl' if is_chat else 'cmpl'}-{random.getrandbits(64):016x}",
        model=str(request["model"]),
        created=created,
        pieces=pieces,
        tool=tool,
        finish_reason=finish_reason,
        prompt_tokens=_prompt_tokens(request),
        is_chat=is_chat,
    )


def whole(answer: Answer) -> dict[str, Any]:
    """The answer as one `chat.completion` or `text_completion`."""
    text = "".join(answer.pieces)
    choice: dict[str, Any] = {"index": 0, "finish_reason": answer.finish_reason, "logprobs": None}
    if not answer.is_chat:
        choice["text"] = text
    elif answer.tool:
        call = {"name": answer.tool, "arguments": text}
        tool_calls = [{"id": _call_id(answer), "type": "function", "function": call}]
        choice["message"] = {"role": "assistant", "content": None, "tool_calls": tool_calls}
    else:
        choice["message"] = {"role": "assistant", "content": text, "refusal": None}
    kind = "chat.completion" if answer.is_chat else "text_completion"
    return _envelope(answer, kind) | {"choices": [choice], "usage": answer.usage}


def chunks(answer: Answer, *, include_usage: bool) -> Iterator[dict[str, Any]]:
    """The answer as a stream's chunks: role or call first, one piece each, then the reason."""
    choices: list[dict[str, Any]]
    if not answer.is_chat:
        envelope = _envelope(answer, "text_completion")
        last = {"text": "", "finish_reason": answer.finish_reason}
        choices = [{"text": piece, "finish_reason": None} for piece in answer.pieces] + [last]
    else:
        envelope = _envelope(answer, "chat.completion.chunk")
        choices = [{"delta": delta, "finish_reason": None} for delta in _deltas(answer)]
        choices.append({"delta": {}, "finish_reason": answer.finish_reason})
    for choice in choices:
        yield envelope | {"choices": [{"index": 0, "logprobs": None} | choice]}
    if include_usage:
        yield envelope | {"choices": [], "usage": answer.usage}


def error_envelope(message: str, *, kind: str, code: str | None = None) -> dict[str, Any]:
    """An error in OpenAI's shape."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _deltas(answer: Answer) -> Iterator[dict[str, Any]]:
    if answer.tool is None:
        yield {"role": "assistant", "content": ""}
        for piece in answer.pieces:
            yield {"content": piece}
        return
    function = {"name": answer.tool, "arguments": ""}
    first = {"index": 0, "id": _call_id(answer), "type": "function", "function": function}
    yield {"role": "assistant", "content": None, "tool_calls": [first]}
    for piece in answer.pieces:
        yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}


def _envelope(answer: Answer, kind: str) -> dict[str, Any]:
    return {"id": answer.id, "object": kind, "created": answer.created, "model": answer.model}


def _call_id(answer: Answer) -> str:
    return f"call_{answer.id.rpartition('-')[2]}"


def _called_tool(request: Mapping[str, Any]) -> str | None:
    """The first function on offer; None once its result has come back, or when told not to."""
    tools = request.get("tools")
    if not tools or request.get("tool_choice") == "none":
        return None
    if request["messages"][-1].get("role") == "tool":
        return None
    return str(tools[0]["function"]["name"])


def _text(random: Random, length: int) -> tuple[str, ...]:
    pieces: list[str] = []
    while len(pieces) < length:
        pieces += _pieces(random.choice(SENTENCES) + " ")
    return tuple(pieces[:length])


def _pieces(text: str) -> tuple[str, ...]:
    """Cut text after each blank, so that the pieces join to it again."""
    words = text.split(" ")
    return tuple([f"{word} " for word in words[:-1]] + words[-1:] * bool(words[-1]))


def _prompt_tokens(request: Mapping[str, Any]) -> int:
    prompt = json.dumps(request.get("messages") or request.get("prompt") or "")
    return 1 + int(len(prompt.split()) * TOKENS_PER_WORD)
