"""Requests of the Gemini API as they are read, and as the hub's."""

from __future__ import annotations

import json
from typing import Any

from nexus_core.dialects.base.bridge import HubRequest, HubTarget
from nexus_core.dialects.gemini.inbound.bridge.to_hub import to_hub
from nexus_core.dialects.gemini.inbound.paths import Asked, Method
from nexus_core.dialects.gemini.inbound.request import GeminiRequest, read_request
from nexus_core.types import Operation

HI = {"role": "user", "parts": [{"text": "hi"}]}


def read(*contents: dict[str, Any], **fields: Any) -> GeminiRequest:
    """A request as it is read."""
    body = {"contents": list(contents or (HI,)), **fields}
    asked = Asked(Method.GENERATE, "m", as_array=False)
    return read_request(asked, Operation.CHAT, json.dumps(body).encode(), "r1")


def translated(
    *contents: dict[str, Any], target: HubTarget = HubTarget.LOCAL, **fields: Any
) -> HubRequest:
    """The same in the hub's format."""
    return to_hub(read(*contents, **fields), target)


def hub(
    *contents: dict[str, Any], target: HubTarget = HubTarget.LOCAL, **fields: Any
) -> dict[str, Any]:
    """Its fields."""
    return translated(*contents, target=target, **fields).request.parsed


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "parts": list(parts)}


def model(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "model", "parts": list(parts)}


def called(name: str, call_id: str | None = None, **args: Any) -> dict[str, Any]:
    call: dict[str, Any] = {"name": name, "args": args}
    return {"functionCall": call | ({} if call_id is None else {"id": call_id})}


def gave(name: str, call_id: str | None = None, **response: Any) -> dict[str, Any]:
    result: dict[str, Any] = {"name": name, "response": response}
    return {"functionResponse": result | ({} if call_id is None else {"id": call_id})}
