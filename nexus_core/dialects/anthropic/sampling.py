"""Translate sampling parameters; those the model does not support are dropped and reported."""

from __future__ import annotations

from nexus_core.dialects.anthropic.models import Family
from nexus_core.dialects.hub.request import ChatRequest
from nexus_core.dialects.report import Findings
from nexus_core.types import JsonObject

MAX_TEMPERATURE = 1.0  # OpenAI's goes to 2

# Hints that no model of the provider's takes, with the values that mean nothing.
_UNKNOWN: dict[str, tuple[object, ...]] = {
    "seed": (None,),
    "frequency_penalty": (None, 0),
    "presence_penalty": (None, 0),
    "logit_bias": (None, {}),
}


def read_sampling(
    fields: ChatRequest, family: Family, thinks: bool, findings: Findings
) -> JsonObject:
    """`temperature`, `top_p` and `top_k` as far as the model takes them.

    A temperature up to 1 means the same on both sides and passes unchanged; one above becomes 1,
    Anthropic's maximum. A hint equal to the default (temperature or top_p 1) is left out where the
    model refuses it, and not reported as dropped.
    """
    for name, meaningless in _UNKNOWN.items():
        if fields.get(name) not in meaningless:
            findings.dropped[name] = "Anthropic has no such setting"
    sampling: JsonObject = {}
    _take_temperature(fields, family, thinks, sampling, findings)
    _take_top_p(fields, family, thinks, sampling, findings)
    _take_top_k(fields, family, thinks, sampling, findings)
    return sampling


def _refusal(family: Family, thinks: bool) -> str | None:
    """Why the model takes no sampling hints at all in this request."""
    if family.sampling == "none":
        return "the model refuses it"
    return "the model refuses it while thinking" if thinks else None


def _take_temperature(
    fields: ChatRequest, family: Family, thinks: bool, sampling: JsonObject, findings: Findings
) -> None:
    asked = fields.get("temperature")
    if asked is None:
        return
    refusal = _refusal(family, thinks)
    if refusal is not None:
        if asked != 1:
            findings.dropped["temperature"] = refusal
        return
    sampling["temperature"] = min(asked, MAX_TEMPERATURE)
    if asked > MAX_TEMPERATURE:
        findings.changed.append(f"temperature {asked} → {MAX_TEMPERATURE}")


def _take_top_p(
    fields: ChatRequest, family: Family, thinks: bool, sampling: JsonObject, findings: Findings
) -> None:
    asked = fields.get("top_p")
    if asked is None:
        return
    refusal = _refusal(family, thinks)
    if refusal is None and family.sampling == "one" and "temperature" in sampling:
        refusal = "the model takes one of temperature and top_p"
    if refusal is None:
        sampling["top_p"] = asked
    elif asked != 1:
        findings.dropped["top_p"] = refusal


def _take_top_k(
    fields: ChatRequest, family: Family, thinks: bool, sampling: JsonObject, findings: Findings
) -> None:
    asked = fields.get("top_k")
    if not asked:
        return  # 0 means no limit, as does leaving it out
    refusal = _refusal(family, thinks)
    if refusal is None:
        sampling["top_k"] = asked
    else:
        findings.dropped["top_k"] = refusal
