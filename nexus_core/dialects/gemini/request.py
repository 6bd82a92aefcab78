"""Translate a chat request for POST /v1beta/models/MODEL:generateContent and its stream.

The URL, not the body, carries the model and whether the answer is streamed.
"""

from __future__ import annotations

from nexus_core.dialects.gemini.contents import Conversation
from nexus_core.dialects.gemini.models import Family, family_of
from nexus_core.dialects.gemini.tools import declare_tools, translate_tools
from nexus_core.dialects.hub.limits import completion_limit
from nexus_core.dialects.hub.request import ChatRequest
from nexus_core.dialects.report import Findings, Translation
from nexus_core.dialects.schema import gemini
from nexus_core.dialects.schema.written import CannotSayError
from nexus_core.dialects.tool_calls.tools import write_cached
from nexus_core.types import JsonObject

_MAX_STOPS = 5
_MAX_CANDIDATES = 8
_INT32 = range(-(2**31), 2**31)

# What each effort asks for; a model without that level thinks on the next one that it has.
_LEVELS = {
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "XHIGH",
    "max": "XHIGH",
}
_SCALE = ("MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH")
# Those of Google's own OpenAI endpoint; xhigh and max are the model's most.
_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24_576}

# Fields that are translated below or act in the gateway itself; what is nowhere named is ignored.
_HANDLED = frozenset(
    {
        "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens",
        "temperature", "top_p", "top_k", "n", "stop", "seed", "frequency_penalty",
        "presence_penalty", "logit_bias", "logprobs", "top_logprobs", "response_format", "tools",
        "tool_choice", "parallel_tool_calls", "functions", "function_call", "reasoning_effort",
        "verbosity", "modalities", "audio", "prediction", "web_search_options",
    }
)  # fmt: skip


def translate_request(
    fields: ChatRequest, model: str, *, reject_hints: bool = False
) -> Translation:
    """Translate a chat request; `model` is its upstream name, without "models/".

    `fields` has passed check_chat_request. With `reject_hints` a sampling hint that the model
    refuses is unsupported, instead of dropped.

    Raises:
        UnsupportedFieldsError: names every unsupported field.
    """
    request: JsonObject = dict(fields)
    family, findings = family_of(model), Findings()
    declared = declare_tools(fields, findings)
    conversation = Conversation(family, declared.tools, findings)
    conversation.translate(request["messages"])
    body: JsonObject = {"contents": conversation.contents}
    if conversation.system:
        body["systemInstruction"] = {"parts": conversation.system}
    body |= translate_tools(request, declared, family, findings)
    config = (
        _limits(request, family, findings)
        | _sampling(request, family, findings)
        | _logprobs(request, family, findings)
        | _format(request, family, findings, has_tools="tools" in body)
        | _thinking(request, family, findings)
    )
    if config:
        body["generationConfig"] = config
    _note_the_rest(request, findings)
    calls = declared.tools.mapping()
    return findings.report(body, reject_hints=reject_hints, calls=calls)


def _limits(request: JsonObject, family: Family, findings: Findings) -> JsonObject:
    config: JsonObject = {}
    limit = completion_limit(request)
    if limit is not None:
        most = family.max_output_tokens
        if most is not None and limit > most:
            findings.changed.append(f"max_tokens {limit} → {most}, the most that the model writes")
            limit = most
        config["maxOutputTokens"] = min(limit, _INT32[-1])
    stop: str | list[str] = request.get("stop") or []
    stops = [text for text in ([stop] if isinstance(stop, str) else stop) if text]
    if len(stops) > _MAX_STOPS:
        findings.unsupported["stop"] = f"Gemini takes at most {_MAX_STOPS} stop sequences"
    elif stops:
        config["stopSequences"] = stops
    count = request.get("n") or 1
    if count > _MAX_CANDIDATES:
        findings.unsupported["n"] = f"Gemini gives at most {_MAX_CANDIDATES} answers"
    elif count > 1:
        config["candidateCount"] = count
    return config


def _sampling(request: JsonObject, family: Family, findings: Findings) -> JsonObject:
    config: JsonObject = {}
    for name, key in (("temperature", "temperature"), ("top_p", "topP")):
        if request.get(name) is not None:
            config[key] = request[name]
    if top_k := request.get("top_k"):  # 0 is how clients say: off
        config["topK"] = min(top_k, _INT32[-1])
    seed = request.get("seed")
    if seed is not None:
        if seed not in _INT32:
            findings.dropped["seed"] = "Gemini takes 32 bits"
        else:
            config["seed"] = seed
    for name, key in (
        ("frequency_penalty", "frequencyPenalty"),
        ("presence_penalty", "presencePenalty"),
    ):
        if penalty := request.get(name):  # 0 is none
            if family.takes_penalties:
                config[key] = penalty
            else:
                findings.dropped[name] = "the model does not support penalties"
    if request.get("logit_bias"):
        findings.dropped["logit_bias"] = "Gemini has none"
    if request.get("verbosity") is not None:
        findings.dropped["verbosity"] = "Gemini has no such setting"
    return config


def _logprobs(request: JsonObject, family: Family, findings: Findings) -> JsonObject:
    count = request.get("top_logprobs")
    if not request.get("logprobs"):
        if count:
            findings.unsupported["top_logprobs"] = "needs logprobs: true"
        return {}
    if not family.takes_logprobs:
        findings.unsupported["logprobs"] = "the model gives none"
        return {}
    return {"responseLogprobs": True, "logprobs": count} if count else {"responseLogprobs": True}


def _format(
    request: JsonObject, family: Family, findings: Findings, *, has_tools: bool
) -> JsonObject:
    wanted = request.get("response_format")
    if wanted is None or wanted["type"] == "text":
        return {}
    if has_tools and not family.takes_json_with_tools:
        findings.unsupported["response_format"] = (
            "the model does not write JSON in a request with tools"
        )
        return {}
    config: JsonObject = {"responseMimeType": "application/json"}
    schema = wanted["json_schema"].get("schema") if wanted["type"] == "json_schema" else None
    if schema is None or schema is True:
        return config
    path = "response_format.json_schema.schema"
    try:
        written = write_cached(schema, gemini.write_answer)
    except CannotSayError as error:
        findings.unsupported[f"{path}.{error.place}" if error.place else path] = error.why
        return config
    findings.changed += [f"{path}{note}" for note in written.notes]
    config["responseJsonSchema"] = written.schema
    return config


def _thinking(request: JsonObject, family: Family, findings: Findings) -> JsonObject:
    effort = request.get("reasoning_effort")
    if effort is None:
        return {}
    if effort != "none" and effort not in _LEVELS:
        findings.unsupported["reasoning_effort"] = f"not one of none, {', '.join(_LEVELS)}"
        return {}
    if not family.levels and family.budget is None:
        if effort != "none":
            findings.dropped["reasoning_effort"] = "the model does not support reasoning"
        return {}
    setting: JsonObject = (
        {"thinkingLevel": _level(effort, family)}
        if family.levels
        else {"thinkingBudget": _budget(effort, family)}
    )
    for name, value in setting.items():
        if str(value).lower() != effort:
            findings.changed.append(f"reasoning_effort {effort} → {name} {value}")
    # A client that asked for no thoughts has no use for those of a model that can't do without.
    return {"thinkingConfig": setting if effort == "none" else setting | {"includeThoughts": True}}


def _level(effort: str, family: Family) -> str:
    if effort == "none":
        return family.levels[0]
    wanted = _SCALE.index(_LEVELS[effort])
    enough = (level for level in family.levels if _SCALE.index(level) >= wanted)
    return next(enough, family.levels[-1])


def _budget(effort: str, family: Family) -> int:
    least, most = family.budget or (0, 0)
    if effort == "none":
        return 0 if family.can_stop_thinking else least
    return max(least, min(_BUDGETS.get(effort, most), most))


def _note_the_rest(request: JsonObject, findings: Findings) -> None:
    modalities = request.get("modalities")
    if any(modality != "text" for modality in modalities or ()):
        findings.unsupported["modalities"] = "only text output is supported with Gemini"
    for name, why in (
        ("audio", "only text output is supported with Gemini"),
        ("prediction", "Gemini does not support predicted outputs"),
    ):
        if request.get(name) is not None:
            findings.unsupported[name] = why
    if request.get("parallel_tool_calls") is False and (
        request.get("tools") or request.get("functions")
    ):
        findings.changed.append(
            "parallel_tool_calls false → of several calls only the first is passed on"
        )
    for name, value in request.items():
        if name not in _HANDLED and value is not None:
            findings.ignore(name)
