"""Translate a Messages request into the hub's: a chat request for any other backend."""

from __future__ import annotations

import re

from nexus_core.dialects.anthropic.inbound.bridge.conversation import read_messages
from nexus_core.dialects.anthropic.inbound.bridge.tools import read_tool_choice, read_tools
from nexus_core.dialects.base.bridge import HubRequest, HubTarget
from nexus_core.dialects.hub.envelope import hub_envelope
from nexus_core.dialects.hub.prompt import texts_in
from nexus_core.dialects.request import Request
from nexus_core.errors import InvalidRequestError
from nexus_core.types import JsonObject, is_list, is_object

# A limit that says no more than "as long as the model can": agents always set one, and servers
# refuse one that is beyond their model.
LONGEST = 32_000

# Without effect on the answer: not told as dropped.
_SILENT = frozenset({"cache_control", "stream", "model", "messages", "system", "tools"})
_READ = frozenset(
    {
        *("max_tokens", "temperature", "top_p", "top_k", "stop_sequences", "tool_choice"),
        *("thinking", "output_config", "output_format"),
    }
)
# What is no text to count.
_UNCOUNTED = ("data", "signature")
_SHOWN_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")

_BUDGETS = ((4_096, "low"), (16_384, "medium"))  # of thinking, up to which an effort stands
# Levels of Anthropic's that few others have.
_EFFORTS = {"xhigh": "high", "max": "high"}


def to_hub(request: Request, target: HubTarget) -> HubRequest:
    """Translate a request.

    Raises:
        InvalidRequestError: a field is invalid, or asks for what only Anthropic has.
    """
    fields = request.parsed
    dropped = [
        name for name in fields if name not in _READ | _SILENT and _SHOWN_NAME.fullmatch(name)
    ]
    if fields.get("mcp_servers"):
        raise InvalidRequestError(
            "mcp_servers: only Anthropic backends connect to MCP servers", param="mcp_servers"
        )
    hub: JsonObject = {"messages": read_messages(fields)}
    tools = read_tools(fields)
    if tools:  # some servers refuse an empty list
        hub["tools"] = tools
        hub |= read_tool_choice(fields.get("tool_choice"))
    hub |= _limit(fields, target, dropped) | _sampling(fields, target, dropped)
    hub |= _effort(fields) | _format(fields)
    if request.is_streaming:
        hub["stream"] = True
    return HubRequest(hub_envelope(request, hub), tuple(dropped))


def prompt_fields(request: Request) -> JsonObject:
    """What the tokens of a request's prompt are counted by: never more than was valid in it."""
    fields = request.parsed
    try:
        return {"messages": read_messages(fields), "tools": read_tools(fields, for_counting=True)}
    except InvalidRequestError:  # what only Anthropic reads; there it is counted
        return {"messages": [{"role": "user", "content": texts_in(fields, _UNCOUNTED)}]}


def _limit(fields: JsonObject, target: HubTarget, dropped: list[str]) -> JsonObject:
    limit = fields.get("max_tokens")
    if limit is None:
        return {}
    if isinstance(limit, float) and limit.is_integer():  # 100.0 is a whole number in JSON
        limit = int(limit)
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise InvalidRequestError("max_tokens: a number over 0 is required", param="max_tokens")
    if target is HubTarget.TRANSLATOR:  # it knows how long its models' answers are
        return {"max_completion_tokens": limit}
    if limit >= LONGEST:
        dropped.append("max_tokens")
        return {}
    return {"max_tokens" if target is HubTarget.LOCAL else "max_completion_tokens": limit}


def _sampling(fields: JsonObject, target: HubTarget, dropped: list[str]) -> JsonObject:
    found: JsonObject = {}
    for name, most in (("temperature", 2), ("top_p", 1), ("top_k", None)):
        value = fields.get(name)
        if value is None:
            continue
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or value < 0 or (most is not None and value > most):
            raise InvalidRequestError(f"{name}: {value!r} is out of range"[:200], param=name)
        if name == "top_k" and target is HubTarget.CLOUD:
            dropped.append(name)
        else:
            found[name] = value
    stops = fields.get("stop_sequences")
    if stops is not None:
        if not is_list(stops) or not all(isinstance(one, str) for one in stops):
            raise InvalidRequestError(
                "stop_sequences: a list of strings is required", param="stop_sequences"
            )
        if stops:
            found["stop"] = stops
    return found


def _effort(fields: JsonObject) -> JsonObject:
    """The effort of reasoning that a request asks for; nothing where it wants none."""
    thinking, config = fields.get("thinking"), fields.get("output_config")
    kind = thinking.get("type") if is_object(thinking) else None
    if kind == "disabled":
        return {}
    effort = config.get("effort") if is_object(config) else None
    if isinstance(effort, str) and effort:
        return {"reasoning_effort": _EFFORTS.get(effort, effort)}
    budget = thinking.get("budget_tokens") if is_object(thinking) else None
    if kind == "enabled" and isinstance(budget, int):
        return {
            "reasoning_effort": next((word for most, word in _BUDGETS if budget < most), "high")
        }
    return {}


def _format(fields: JsonObject) -> JsonObject:
    """A schema of the answer."""
    config = fields.get("output_config")
    wanted = config.get("format") if is_object(config) else None
    wanted = wanted or fields.get("output_format")
    if not is_object(wanted) or wanted.get("type") != "json_schema":
        return {}
    schema = wanted.get("schema")
    if not is_object(schema):
        raise InvalidRequestError(
            "output_config.format.schema: an object is required", param="output_config"
        )
    named = {"name": "answer", "schema": schema, "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": named}}
