"""Turn Gemini's generationConfig into fields of the hub's chat request."""

from __future__ import annotations

import re

from nexus_core.dialects.base.bridge import HubTarget
from nexus_core.dialects.gemini.inbound.bridge.schema import json_schema
from nexus_core.errors import InvalidRequestError
from nexus_core.types import JsonObject, is_list, is_object

# A limit that says no more than "as long as the model can": agents set one, and servers refuse one
# that is beyond their model.
LONGEST = 32_000

_AT = "generationConfig"
_SHOWN_NAME = re.compile(r"[a-z][A-Za-z0-9]{0,39}")
_NUMBERS: tuple[tuple[str, str, float, float | None], ...] = (
    ("temperature", "temperature", 0, 2),
    ("topP", "top_p", 0, 1),
    ("topK", "top_k", 0, None),
    ("presencePenalty", "presence_penalty", -2, 2),
    ("frequencyPenalty", "frequency_penalty", -2, 2),
)
_READ = frozenset(
    {
        *(name for name, *_ in _NUMBERS),
        *("maxOutputTokens", "stopSequences", "seed", "candidateCount"),
        *("responseMimeType", "responseSchema", "responseJsonSchema"),
        *("responseLogprobs", "logprobs", "thinkingConfig", "responseModalities"),
    }
)
_BUDGETS = ((4_096, "low"), (16_384, "medium"))  # of thinking, up to which an effort stands
_LEVELS = frozenset({"minimal", "low", "medium", "high"})


def read_config(config: object, target: HubTarget, dropped: list[str]) -> JsonObject:
    """Fields of a chat request; what these have no place for is added to `dropped`.

    Raises:
        InvalidRequestError: a value is invalid, or asks for what only Google has.
    """
    if config is None:
        return {}
    if not is_object(config):
        raise InvalidRequestError(f"{_AT}: an object is required", param=_AT)
    dropped += [
        f"{_AT}.{name}"
        for name, value in config.items()
        if name not in _READ and value is not None and _SHOWN_NAME.fullmatch(name)
    ]
    _check_modalities(config)
    found = _numbers(config, target, dropped)
    found |= _limits(config, target, dropped) | _format(config) | _effort(config)
    if config.get("responseLogprobs") is True:
        found["logprobs"] = True
        if (most := _whole(config, "logprobs", least=0)) is not None:
            found["top_logprobs"] = most
    return found


def shows_thoughts(fields: JsonObject) -> bool:
    """Whether the client wants to see thoughts: only where it says so."""
    config = fields.get(_AT)
    thinking = config.get("thinkingConfig") if is_object(config) else None
    return is_object(thinking) and thinking.get("includeThoughts") is True


def _check_modalities(config: JsonObject) -> None:
    given = config.get("responseModalities")
    for one in given if is_list(given) else ():
        if str(one).upper() not in ("TEXT", "MODALITY_UNSPECIFIED"):
            where = f"{_AT}.responseModalities"
            raise InvalidRequestError(
                f"{where}: only Google backends answer with {str(one)[:40]!r}", param=where
            )


def _numbers(config: JsonObject, target: HubTarget, dropped: list[str]) -> JsonObject:
    found: JsonObject = {}
    for name, hubs, least, most in _NUMBERS:
        value = config.get(name)
        if value is None:
            continue
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or value < least or (most is not None and value > most):
            raise _out_of_range(name, value)
        if name == "topK":
            if target is HubTarget.CLOUD:
                dropped.append(f"{_AT}.topK")
                continue
            if value != int(value):
                raise _out_of_range(name, value)
            value = int(value)
        found[hubs] = value
    return found


def _limits(config: JsonObject, target: HubTarget, dropped: list[str]) -> JsonObject:
    found: JsonObject = {}
    if (limit := _whole(config, "maxOutputTokens", least=1)) is not None:
        if target is HubTarget.TRANSLATOR:  # it knows how long its models' answers are
            found["max_completion_tokens"] = limit
        elif limit >= LONGEST:
            dropped.append(f"{_AT}.maxOutputTokens")
        else:
            found["max_tokens" if target is HubTarget.LOCAL else "max_completion_tokens"] = limit
    if (seed := _whole(config, "seed")) is not None:
        found["seed"] = seed
    choices = _whole(config, "candidateCount", least=1)
    if choices is not None and choices > 1:
        found["n"] = choices
    stops = config.get("stopSequences")
    if stops is not None:
        if not is_list(stops) or not all(isinstance(one, str) for one in stops):
            where = f"{_AT}.stopSequences"
            raise InvalidRequestError(f"{where}: a list of strings is required", param=where)
        if stops:
            found["stop"] = stops
    return found


def _format(config: JsonObject) -> JsonObject:
    kind = config.get("responseMimeType")
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    if kind not in (None, "", "text/plain", "application/json"):
        where = f"{_AT}.responseMimeType"
        raise InvalidRequestError(
            f"{where}: only Google backends answer as {str(kind)[:40]!r}", param=where
        )
    if schema is None:
        return {"response_format": {"type": "json_object"}} if kind == "application/json" else {}
    if not is_object(schema):
        where = f"{_AT}.responseSchema"
        raise InvalidRequestError(f"{where}: an object is required", param=where)
    named = {"name": "answer", "schema": json_schema(schema)}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _effort(config: JsonObject) -> JsonObject:
    """The effort of reasoning that a request asks for; nothing where it leaves that open."""
    thinking = config.get("thinkingConfig")
    if not is_object(thinking):
        return {}
    level = str(thinking.get("thinkingLevel") or "").lower()
    if level in _LEVELS:
        return {"reasoning_effort": level}
    budget = thinking.get("thinkingBudget")
    if not isinstance(budget, int) or isinstance(budget, bool) or budget < 0:
        return {}  # -1: as the model likes
    if budget == 0:
        return {"reasoning_effort": "none"}
    return {"reasoning_effort": next((word for most, word in _BUDGETS if budget < most), "high")}


def _whole(config: JsonObject, name: str, *, least: int | None = None) -> int | None:
    value = config.get(name)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():  # 100.0 is a whole number in JSON
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _out_of_range(name, value)
    if least is not None and value < least:
        raise _out_of_range(name, value)
    return value


def _out_of_range(name: str, value: object) -> InvalidRequestError:
    where = f"{_AT}.{name}"
    return InvalidRequestError(f"{where}: {value!r} is out of range"[:200], param=where)
