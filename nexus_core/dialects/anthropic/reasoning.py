"""Translate reasoning_effort into a thinking budget or an effort level, per model family."""

from __future__ import annotations

import msgspec

from nexus_core.dialects.anthropic.models import Family
from nexus_core.dialects.report import Findings
from nexus_core.types import JsonObject, is_object

# Tokens of thinking for families that want a number; OpenAI's words have none. At most half of
# max_tokens is spent, so that there is an answer behind the thinking.
BUDGETS = {
    "minimal": 1_024,
    "low": 2_048,
    "medium": 8_192,
    "high": 16_384,
    "xhigh": 32_768,
    "max": 65_536,
}
_MIN_BUDGET = 1_024

# OpenAI's words that Anthropic's effort has not.
_EFFORTS = {"minimal": "low"}

# Only what may stand in the field is passed on; the provider judges the combination.
_NATIVE_KEYS = {
    "enabled": {"type", "budget_tokens", "display"},
    "adaptive": {"type", "display"},
    "disabled": {"type"},
    "between_tools": {"type"},
}


class Reasoning(msgspec.Struct, frozen=True):
    """The `thinking` and the `output_config.effort` of a request."""

    thinking: JsonObject | None = None
    effort: str | None = None

    @property
    def is_on(self) -> bool:
        """Whether the request switches thinking on, which excludes other parameters."""
        return self.thinking is not None and self.thinking["type"] in {"enabled", "adaptive"}


class Circumstances(msgspec.Struct, frozen=True):
    """Other parts of a request that decide whether thinking is allowed."""

    max_tokens: int
    is_forced: bool  # to call a tool
    is_prefilled: bool
    lacks_thinking: bool  # in the tool use in progress


def read_reasoning(
    effort: str | None, family: Family, around: Circumstances, findings: Findings
) -> Reasoning:
    """Translate `reasoning_effort`. A hint yields to what the rest of the request demands."""
    if effort is None:
        return Reasoning()
    if effort != "none" and effort not in BUDGETS:
        findings.unsupported["reasoning_effort"] = f"one of none, {', '.join(BUDGETS)}"
        return Reasoning()
    if family.thinking == "none":
        if effort != "none":
            findings.dropped["reasoning_effort"] = "the model does not support reasoning"
        return Reasoning()
    if family.thinking == "budget":
        return _budget(effort, around, findings)
    return _adaptive(effort, family, around, findings)


def _budget(effort: str, around: Circumstances, findings: Findings) -> Reasoning:
    if effort == "none":
        return Reasoning()
    obstacle = _obstacle(around)
    if obstacle is not None:
        findings.changed.append(f"reasoning_effort {effort} → no thinking: {obstacle}")
        return Reasoning()
    budget = max(_MIN_BUDGET, min(BUDGETS[effort], around.max_tokens // 2))
    findings.changed.append(f"reasoning_effort {effort} → {budget} tokens of thinking")
    return Reasoning({"type": "enabled", "budget_tokens": budget})


def _obstacle(around: Circumstances) -> str | None:
    """Why a family with budgets would refuse to think in this request."""
    if around.is_forced:
        return "a tool call is forced"
    if around.is_prefilled:
        return "the answer is prefilled"
    if around.lacks_thinking:
        return "the tool call that goes on came back without its thinking"
    if around.max_tokens < 2 * _MIN_BUDGET:
        return f"max_tokens {around.max_tokens} leaves no room"
    return None


def _adaptive(effort: str, family: Family, around: Circumstances, findings: Findings) -> Reasoning:
    if effort == "none":
        return _off(family, findings)
    level = _EFFORTS.get(effort, effort)
    if level not in family.efforts:
        level = family.efforts[-2] if level == "xhigh" else family.efforts[-1]
    if level != effort:
        findings.changed.append(f"reasoning_effort {effort} → {level}")
    if around.is_forced or around.is_prefilled:
        return Reasoning(effort=level)
    # Newer models leave the text of their thinking out unless a summary is asked for.
    return Reasoning({"type": "adaptive", "display": "summarized"}, level)


def _off(family: Family, findings: Findings) -> Reasoning:
    if family.thinking_off == "never":
        findings.changed.append("reasoning_effort none → low: the model always reasons")
        return Reasoning(effort="low")
    return Reasoning({"type": family.thinking_off})


def native_thinking(value: object, findings: Findings) -> Reasoning | None:
    """Anthropic's own `thinking` field, which some clients send; None without it."""
    if value is None:
        return None
    kind = value.get("type") if is_object(value) else None
    keys = _NATIVE_KEYS.get(kind) if isinstance(kind, str) else None
    if not is_object(value) or keys is None or not _fits(value, keys):
        findings.unsupported["thinking"] = f"a type out of {', '.join(_NATIVE_KEYS)} and its keys"
        return None
    return Reasoning(value)


def _fits(value: JsonObject, keys: set[str]) -> bool:
    budget = value.get("budget_tokens")
    if ("budget_tokens" in keys) != (isinstance(budget, int) and not isinstance(budget, bool)):
        return False
    return set(value) <= keys and value.get("display") in (None, "summarized", "omitted")
