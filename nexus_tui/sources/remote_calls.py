"""Commands and questions as calls of the control API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, assert_never
from urllib.parse import quote, urlencode

from nexus_core.control.commands import (
    CaptureBodies,
    ClearCooldown,
    Command,
    ProbeBackend,
    ReloadConfig,
    ReplayRequest,
    SaveConfig,
    SendRequest,
    SetPriority,
    SetTier,
    SwitchBackend,
    SwitchZone,
    asked_headers,
)
from nexus_core.dialects.openai_chat.demand import CHARS_PER_TOKEN, read_demand
from nexus_core.dialects.openai_chat.request import PATHS
from nexus_core.dialects.request import Demand
from nexus_core.routing.explain import Question
from nexus_core.types import Capability, Operation


@dataclass(frozen=True, slots=True)
class HttpCall:
    """One HTTP request."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def call_for(command: Command) -> HttpCall:
    """The call that carries out a command."""
    match command:
        case SwitchBackend():
            body: dict[str, Any] = {"enabled": command.enabled}
            if command.end_running and not command.enabled:
                body["end_running"] = True
            return _backend(command.backend, body)
        case SetTier():
            return _backend(command.backend, {"tier": command.tier})
        case SetPriority():
            return _backend(command.backend, {"priority": command.priority})
        case ClearCooldown():
            return _backend(command.backend, {"cooldown": False})
        case ProbeBackend():
            return HttpCall("POST", f"/nexus/backends/{_segment(command.backend)}/probe", {})
        case SwitchZone():
            wanted = {"enabled": command.enabled, "end_running": command.end_running}
            return HttpCall("POST", f"/nexus/zones/{command.zone}", wanted)
        case CaptureBodies():
            return HttpCall("POST", "/nexus/capture", {"enabled": command.enabled})
        case ReplayRequest():
            path = one_request(command.request_id) + "/replay"
            return HttpCall("POST", path, {"backend": command.backend})
        case SendRequest():
            path = f"/nexus/send?{urlencode({'endpoint': command.endpoint})}"
            return HttpCall("POST", path, json.loads(command.body), dict(command.headers))
        case ReloadConfig():
            return HttpCall("POST", "/nexus/reload", {"only_plan": command.only_plan})
        case SaveConfig():
            return HttpCall("POST", "/nexus/save", {"only_plan": command.only_plan})
        case _:
            assert_never(command)


def one_request(request_id: str) -> str:
    """The path of one request."""
    return f"/nexus/requests/{_segment(request_id)}"


def explain_call(question: Question) -> HttpCall:
    """The call that answers a question; a request with the same demand stands for it."""
    hints = question.hints
    headers = asked_headers(hints.zone, hints.min_tier, hints.backend, flexible=hints.flexible)
    # What stands for the request has no fields of its own whose translation could be told.
    query = urlencode(
        [
            ("translate", "false"),
            ("endpoint", PATHS[question.operation]),
            *(("usable", name) for name in question.usable),
        ]
    )
    return HttpCall(
        "POST",
        f"/nexus/explain?{query}",
        {"model": question.model, **_body_with(question.operation, question.demand)},
        dict(headers),
    )


_PARTS: Mapping[Capability, dict[str, Any]] = {
    Capability.VISION: {"type": "image_url", "image_url": {"url": "data:,"}},
    Capability.AUDIO: {"type": "input_audio", "input_audio": {}},
    Capability.FILES: {"type": "file", "file": {}},
}


def _body_with(operation: Operation, demand: Demand) -> dict[str, Any]:
    """A request that makes these demands; its text is as long as it has to be."""
    body = _with_text(operation, demand, "")
    if demand.completion_limit and operation is not Operation.EMBEDDINGS:
        is_chat = operation is Operation.CHAT
        body["max_completion_tokens" if is_chat else "max_tokens"] = demand.completion_limit
    shown = read_demand(operation, {"model": "", **body}).prompt_tokens
    missing = max(0, demand.prompt_tokens - shown)
    return body | _with_text(operation, demand, " " * (missing * CHARS_PER_TOKEN))


def _with_text(operation: Operation, demand: Demand, text: str) -> dict[str, Any]:
    match operation:
        case Operation.COMPLETIONS:
            return {"prompt": text}
        case Operation.EMBEDDINGS:
            return {"input": text}
        case Operation.CHAT:
            parts = [part for need, part in _PARTS.items() if need in demand.capabilities]
            content = [*parts, {"type": "text", "text": text}]
            body: dict[str, Any] = {"messages": [{"role": "user", "content": content}]}
            if Capability.TOOLS in demand.capabilities:
                body["tools"] = [{}]
            if Capability.JSON in demand.capabilities:
                body["response_format"] = {"type": "json_object"}
            return body
        case _:
            assert_never(operation)


def _backend(name: str, body: dict[str, Any]) -> HttpCall:
    return HttpCall("POST", f"/nexus/backends/{_segment(name)}", body)


def _segment(name: str) -> str:
    # A lone surrogate, which only a stranger can have put there, has no bytes of its own.
    return quote(name.encode("utf-8", "replace"), safe="")
