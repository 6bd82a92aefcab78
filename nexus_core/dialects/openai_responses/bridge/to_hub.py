"""Translate a Responses request into the hub's: a chat request for any other backend."""

from __future__ import annotations

import re

from nexus_core.dialects.base.bridge import HubRequest, HubTarget
from nexus_core.dialects.hub.envelope import hub_envelope
from nexus_core.dialects.hub.prompt import texts_in
from nexus_core.dialects.openai_responses.bridge.conversation import read_messages
from nexus_core.dialects.openai_responses.bridge.tools import Tools, read_choice
from nexus_core.dialects.openai_responses.demand import STORED
from nexus_core.dialects.request import Request
from nexus_core.errors import InvalidRequestError
from nexus_core.types import JsonObject, is_list, is_object

_READ = frozenset(
    {
        *("model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls"),
        *("stream", "max_output_tokens", "temperature", "top_p", "top_logprobs", "reasoning"),
        *("text", "service_tier", "store", "background", *STORED),
    }
)
# Without effect on the answer, or what it means is done anyway: not told as dropped.
_SILENT = frozenset(
    {
        *("include", "metadata", "client_metadata", "user", "safety_identifier", "stream_options"),
        *("prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "max_tool_calls"),
        *("prewarm", "generate"),
    }
)
# What is no text to count.
_UNCOUNTED = ("encrypted_content", "file_data", "image_url", "client_metadata")
_SHOWN_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
# Levels that few servers beside the vendors' own have.
_EFFORTS = {"minimal": "low", "xhigh": "high", "max": "high"}
_STATELESS = "Nexus keeps no responses; send the whole conversation as input"


def to_hub(request: Request, target: HubTarget) -> HubRequest:
    """Translate a request.

    Raises:
        InvalidRequestError: a field is invalid, or asks for what only OpenAI has.
    """
    fields = request.parsed
    for name in STORED:
        if fields.get(name) is not None:
            raise InvalidRequestError(f"{name}: {_STATELESS}", param=name)
    if fields.get("store") is True:
        raise InvalidRequestError(
            "store: Nexus keeps no responses; send false or leave it out", param="store"
        )
    dropped = [
        name
        for name, value in fields.items()
        if name not in _READ | _SILENT and value is not None and _SHOWN_NAME.fullmatch(name)
    ]
    if dropped and fields.get("truncation") == "disabled":
        dropped.remove("truncation")
    tools = Tools(fields)
    dropped += tools.dropped
    hub: JsonObject = {"messages": read_messages(fields, tools, target)}
    hub |= read_choice(fields, tools)
    hub |= _limit(fields, target) | _sampling(fields)
    hub |= _reasoning(fields, target) | _text(fields, target, dropped)
    tier = fields.get("service_tier")
    if target is not HubTarget.LOCAL and isinstance(tier, str) and tier not in ("auto", "default"):
        hub["service_tier"] = tier
    if request.is_streaming:
        hub["stream"] = True
    return HubRequest(hub_envelope(request, hub), tuple(dropped))


def prompt_fields(request: Request) -> JsonObject:
    """What the tokens of a request's prompt are counted by: never more than was valid in it."""
    fields = request.parsed
    try:
        tools = Tools(fields)
        messages = read_messages(fields, tools, HubTarget.CLOUD)
        return {"messages": messages, "tools": tools.functions} | _text(fields, HubTarget.CLOUD, [])
    except InvalidRequestError:  # what only OpenAI reads; there it is counted
        return {"messages": [{"role": "user", "content": texts_in(fields, _UNCOUNTED)}]}


def _limit(fields: JsonObject, target: HubTarget) -> JsonObject:
    limit = fields.get("max_output_tokens")
    if limit is None:
        return {}
    if isinstance(limit, float) and limit.is_integer():  # 100.0 is a whole number in JSON
        limit = int(limit)
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise InvalidRequestError(
            "max_output_tokens: a number over 0 is required", param="max_output_tokens"
        )
    return {"max_tokens" if target is HubTarget.LOCAL else "max_completion_tokens": limit}


def _sampling(fields: JsonObject) -> JsonObject:
    found: JsonObject = {}
    for name, most in (("temperature", 2), ("top_p", 1), ("top_logprobs", 20)):
        value = fields.get(name)
        if value is None:
            continue
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 <= value <= most:
            raise InvalidRequestError(f"{name}: {value!r} is out of range"[:200], param=name)
        found[name] = value
    if isinstance(found.get("top_logprobs"), float):
        raise InvalidRequestError("top_logprobs: a whole number is required", param="top_logprobs")
    if "top_logprobs" in found or wants_logprobs(fields):
        found["logprobs"] = True
    return found


def wants_logprobs(fields: JsonObject) -> bool:
    """Whether the answer's text is to have its logprobs."""
    include = fields.get("include")
    return is_list(include) and "message.output_text.logprobs" in include


def _reasoning(fields: JsonObject, target: HubTarget) -> JsonObject:
    reasoning = fields.get("reasoning")
    if reasoning is not None and not is_object(reasoning):
        raise InvalidRequestError("reasoning: an object is required", param="reasoning")
    effort = reasoning.get("effort") if reasoning else None
    if effort is None:
        return {}
    if not isinstance(effort, str):
        raise InvalidRequestError("reasoning.effort: a string is required", param="reasoning")
    if target is not HubTarget.TRANSLATOR:
        effort = _EFFORTS.get(effort, effort)
    return {"reasoning_effort": effort}


def _text(fields: JsonObject, target: HubTarget, dropped: list[str]) -> JsonObject:
    """The format and the length of the answer."""
    text = fields.get("text")
    if text is None:
        return {}
    if not is_object(text):
        raise InvalidRequestError("text: an object is required", param="text")
    found: JsonObject = {}
    if (verbosity := text.get("verbosity")) is not None:
        if target is HubTarget.TRANSLATOR and isinstance(verbosity, str):
            found["verbosity"] = verbosity
        elif verbosity != "medium":  # what a model does without being told
            dropped.append("text.verbosity")
    form = text.get("format")
    if form is None:
        return found
    kind = form.get("type") if is_object(form) else None
    if not is_object(form) or kind not in ("text", "json_object", "json_schema"):
        raise InvalidRequestError(
            "text.format.type: text, json_object or json_schema is required", param="text.format"
        )
    if kind == "json_object":
        found["response_format"] = {"type": "json_object"}
    elif kind == "json_schema":
        found["response_format"] = {"type": "json_schema", "json_schema": _schema(form)}
    return found


def _schema(form: JsonObject) -> JsonObject:
    name, schema = form.get("name"), form.get("schema")
    if not is_object(schema):
        raise InvalidRequestError(
            "text.format.schema: an object is required", param="text.format.schema"
        )
    named: JsonObject = {"name": name if isinstance(name, str) and name else "answer"}
    if isinstance(words := form.get("description"), str):
        named["description"] = words
    named["schema"] = schema
    if isinstance(strict := form.get("strict"), bool):
        named["strict"] = strict
    return named
