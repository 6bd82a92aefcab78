"""Translate a request of the Gemini API into the hub's: a chat request for any other backend."""

from __future__ import annotations

import re

from nexus_core.dialects.base.bridge import HubRequest, HubTarget
from nexus_core.dialects.gemini.inbound.bridge.config import read_config
from nexus_core.dialects.gemini.inbound.bridge.conversation import read_messages
from nexus_core.dialects.gemini.inbound.bridge.tools import read_tools
from nexus_core.dialects.hub.envelope import hub_envelope
from nexus_core.dialects.hub.prompt import texts_in
from nexus_core.dialects.request import Request
from nexus_core.errors import InvalidRequestError
from nexus_core.types import JsonObject

_READ = frozenset(
    {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "model"}
)
# What is no text to count.
_UNCOUNTED = ("data", "thoughtSignature")
_SHOWN_NAME = re.compile(r"[a-z][A-Za-z0-9]{0,39}")


def to_hub(request: Request, target: HubTarget) -> HubRequest:
    """Translate a request.

    Raises:
        InvalidRequestError: a field is invalid, or asks for what only Google has.
    """
    fields = request.parsed
    dropped = [name for name in fields if name not in _READ and _SHOWN_NAME.fullmatch(name)]
    if fields.get("cachedContent"):
        raise InvalidRequestError(
            "cachedContent: only Google backends have caches that a request can name; "
            "send the contents",
            param="cachedContent",
        )
    hub: JsonObject = {"messages": read_messages(fields, dropped)}
    hub |= read_tools(fields)
    hub |= read_config(fields.get("generationConfig"), target, dropped)
    if request.is_streaming:
        hub["stream"] = True
    return HubRequest(hub_envelope(request, hub), tuple(dropped))


def prompt_fields(request: Request) -> JsonObject:
    """What the tokens of a request's prompt are counted by: never more than was valid in it."""
    fields = request.parsed
    try:
        messages = read_messages(fields, [])
        return {"messages": messages, **read_tools(fields, for_counting=True)}
    except InvalidRequestError:  # what only Google reads; there it is counted
        return {"messages": [{"role": "user", "content": texts_in(fields, _UNCOUNTED)}]}
