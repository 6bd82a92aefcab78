"""Translate an OpenAI chat request into the body of Anthropic's POST /v1/messages."""

from __future__ import annotations

import re
from collections.abc import Mapping

from nexus_core.dialects.anthropic import json_mode
from nexus_core.dialects.anthropic.conversation import Conversation, read_conversation
from nexus_core.dialects.anthropic.models import FOREIGN, Family, family_of
from nexus_core.dialects.anthropic.parts import cache_marker
from nexus_core.dialects.anthropic.reasoning import (
    Circumstances,
    Reasoning,
    native_thinking,
    read_reasoning,
)
from nexus_core.dialects.anthropic.sampling import read_sampling
from nexus_core.dialects.anthropic.tools import declare_tools, read_tools
from nexus_core.dialects.hub.limits import completion_limit
from nexus_core.dialects.hub.request import ChatRequest
from nexus_core.dialects.report import Findings, Translation
from nexus_core.dialects.schema import anthropic_strict
from nexus_core.dialects.schema.written import CannotSayError
from nexus_core.dialects.tool_calls.tools import write_cached
from nexus_core.types import JsonObject

MAX_BREAKPOINTS = 4  # cache markers in a request

# Fields of Anthropic's own that clients send through an OpenAI client; these pass.
_NATIVE = frozenset({"thinking", "cache_control", "top_k"})

# Without effect on what the client gets; `user` and `metadata` may hold an id that is passed on.
_WITHOUT_EFFECT = (
    "store",
    "service_tier",
    "verbosity",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
)

# Whatever they hold. `prediction` speeds an answer up on one provider alone and is billed there.
_NEVER = {
    "audio": "Anthropic's models do not support audio output",
    "prediction": "Anthropic does not support predicted outputs",
    "web_search_options": "Anthropic's searches are billed apart and are not offered here",
    "moderation": "Anthropic moderates by its own rules only",
}

_KNOWN = frozenset(ChatRequest.__annotations__) | _NATIVE | _NEVER.keys() | {"safety_identifier"}

# Opaque, as Anthropic asks for: no names, mail addresses or phone numbers.
_OPAQUE_ID = re.compile(r"(?=.*[0-9])(?=.*[a-zA-Z])[a-zA-Z0-9_-]{1,256}")


def translate_request(
    fields: ChatRequest, model: str, *, reject_hints: bool = False
) -> Translation:
    """Translate a chat request; `model` is the backend's own name, `fields` valid and not changed.

    Raises:
        UnsupportedFieldsError: names every field without an equivalent at Anthropic; with
            `reject_hints` the sampling hints that the model refuses too.
    """
    family, findings = family_of(model), Findings()
    declared = declare_tools(fields, family, findings)
    conversation = read_conversation(fields["messages"], family, declared.tools, findings)
    tools = read_tools(fields, declared, conversation.called, family, findings)
    max_tokens = _max_tokens(fields, family, findings)
    around = Circumstances(
        max_tokens, tools.is_forced, conversation.is_prefilled, conversation.lacks_thinking
    )
    reasoning = _reasoning(fields, family, around, findings)
    body: JsonObject = {"model": model, "max_tokens": max_tokens}
    system = [*conversation.system, *_json_mode(fields, findings)]
    if system:
        body["system"] = system
    body["messages"] = conversation.messages
    if tools.tools:
        body["tools"] = tools.tools
    if tools.choice is not None:
        body["tool_choice"] = tools.choice
    if reasoning.thinking is not None:
        body["thinking"] = reasoning.thinking
    body |= _output_config(fields, reasoning, family, findings)
    body |= read_sampling(fields, family, reasoning.is_on, findings)
    body |= _stop_sequences(fields, findings)
    body |= _metadata(fields, findings)
    marker = cache_marker(fields)
    if marker is not None:
        body["cache_control"] = marker
    body["stream"] = bool(fields.get("stream"))
    _check_turns(conversation, body, family, findings)
    _limit_breakpoints(body, findings)
    _check_rest(fields, findings)
    calls = declared.tools.mapping()
    return findings.report(body, reject_hints=reject_hints, calls=calls)


def _max_tokens(fields: ChatRequest, family: Family, findings: Findings) -> int:
    """The completion limit, at most the model's own; Anthropic requires one."""
    asked = completion_limit(fields)
    if asked is None:
        return family.max_tokens
    if asked <= family.max_tokens or family is FOREIGN:
        return asked
    findings.changed.append(f"max_tokens {asked} → {family.max_tokens}, the model's most")
    return family.max_tokens


def _reasoning(
    fields: ChatRequest, family: Family, around: Circumstances, findings: Findings
) -> Reasoning:
    native = native_thinking(fields.get("thinking"), findings)
    effort = fields.get("reasoning_effort")
    if native is None:
        return read_reasoning(effort, family, around, findings)
    if effort is not None:
        findings.changed.append("reasoning_effort: left out beside thinking")
    return native


def _output_config(
    fields: ChatRequest, reasoning: Reasoning, family: Family, findings: Findings
) -> JsonObject:
    config: JsonObject = {}
    if reasoning.effort is not None:
        config["effort"] = reasoning.effort
    schema = _answer_schema(fields, family, findings)
    if schema is not None:
        config["format"] = {"type": "json_schema", "schema": schema}
    return {"output_config": config} if config else {}


def _json_mode(fields: ChatRequest, findings: Findings) -> list[JsonObject]:
    wanted = fields.get("response_format")
    if wanted is None or wanted["type"] != "json_object":
        return []
    findings.changed.append("response_format json_object → an instruction in the system prompt")
    return [json_mode.instruction()]


def _answer_schema(fields: ChatRequest, family: Family, findings: Findings) -> JsonObject | None:
    wanted = fields.get("response_format")
    if wanted is None or wanted["type"] != "json_schema":
        return None
    schema = wanted["json_schema"].get("schema")
    if schema is None:
        findings.unsupported["response_format"] = "json_schema has no schema; use json_object"
    elif not family.structured:
        findings.unsupported["response_format"] = "the model does not support structured outputs"
    else:
        return _written(schema, findings)
    return None


def _written(schema: object, findings: Findings) -> JsonObject | None:
    path = "response_format.json_schema.schema"
    try:
        written = write_cached(schema, anthropic_strict.write_answer)
    except CannotSayError as error:
        findings.unsupported[f"{path}.{error.place}" if error.place else path] = error.why
        return None
    findings.changed += [f"{path}{note}" for note in written.notes]
    return written.schema


def _stop_sequences(fields: ChatRequest, findings: Findings) -> JsonObject:
    stop = fields.get("stop") or []
    sequences = [sequence for sequence in ([stop] if isinstance(stop, str) else stop) if sequence]
    if any(not sequence.strip() for sequence in sequences):
        findings.unsupported["stop"] = "Anthropic rejects stop sequences of whitespace only"
    return {"stop_sequences": sequences} if sequences else {}


def _metadata(fields: ChatRequest, findings: Findings) -> JsonObject:
    """Metadata with only an opaque id of the end user; other personal data is not sent."""
    metadata = fields.get("metadata")
    ids = {
        "metadata": metadata.get("user_id") if metadata else None,
        "safety_identifier": fields.get("safety_identifier"),
        "user": fields.get("user"),
    }
    opaque = {name: value for name, value in ids.items() if _is_opaque(value)}
    used = next(iter(opaque), None)
    for name in ids:
        if fields.get(name) is not None and name != used:
            findings.ignore(name)
    return {"metadata": {"user_id": opaque[used]}} if used is not None else {}


def _is_opaque(value: object) -> bool:
    return isinstance(value, str) and _OPAQUE_ID.fullmatch(value) is not None


def _check_turns(
    conversation: Conversation, body: JsonObject, family: Family, findings: Findings
) -> None:
    if not conversation.messages:
        if "messages" not in {path.partition("[")[0] for path in findings.unsupported}:
            findings.unsupported["messages"] = (
                "Anthropic requires a message with text besides the system prompt"
            )
        return
    last = conversation.messages[-1]["content"][-1]
    if not conversation.is_prefilled or last["type"] != "text":
        return
    if not family.prefill:
        findings.unsupported["messages"] = "the model refuses a final assistant message"
    elif "format" in body.get("output_config", {}):
        findings.unsupported["response_format"] = "not with a final assistant message"
    last["text"] = last["text"].rstrip()


def _limit_breakpoints(body: JsonObject, findings: Findings) -> None:
    """Anthropic refuses more than four cache markers; the latest are worth most."""
    marked = [block for block in _cacheable(body) if "cache_control" in block]
    surplus = len(marked) + ("cache_control" in body) - MAX_BREAKPOINTS
    for block in marked[: max(surplus, 0)]:
        del block["cache_control"]
    if surplus > 0:
        findings.changed.append(f"cache_control: the first {surplus} left out, four is the most")


def _cacheable(body: JsonObject) -> list[JsonObject]:
    """Blocks that may carry a cache marker, in the order of the prompt."""
    blocks = [block for message in body["messages"] for block in message["content"]]
    return [*body.get("tools", []), *body.get("system", []), *blocks]


def _check_rest(fields: ChatRequest, findings: Findings) -> None:
    """Note the fields that have no place in Anthropic's request."""
    given: Mapping[str, object] = {
        name: value for name, value in fields.items() if value is not None
    }
    modalities = fields.get("modalities")
    if modalities is not None and any(kind != "text" for kind in modalities):
        findings.unsupported["modalities"] = "Anthropic's models answer in text only"
    if (fields.get("n") or 1) > 1:
        findings.unsupported["n"] = "Anthropic gives one answer to a request"
    if fields.get("logprobs") or fields.get("top_logprobs"):
        name = "logprobs" if fields.get("logprobs") else "top_logprobs"
        findings.unsupported[name] = "Anthropic does not support logprobs"
    for name, why in _NEVER.items():
        if name in given:
            findings.unsupported[name] = why
    for name in given:
        if name in _WITHOUT_EFFECT or name not in _KNOWN:
            findings.ignore(name)
