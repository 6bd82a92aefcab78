"""Capabilities and limits of each family of Anthropic models, in one table.

Sources: the model pages, migration guides and "Troubleshooting thinking" of
https://platform.claude.com/docs, and public bug reports where those are silent.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from nexus_core.types import JsonObject, is_list, is_object

Sampling = Literal["both", "one", "none"]  # of temperature and top_p; "one" also takes top_k
Thinking = Literal["none", "budget", "adaptive"]
ThinkingOff = Literal["disabled", "between_tools", "never"]

_LOW_TO_HIGH = ("low", "medium", "high")


class Family(msgspec.Struct, frozen=True):
    """The rules that models of one family share."""

    max_tokens: int  # the most that may be asked for
    sampling: Sampling = "none"
    thinking: Thinking = "adaptive"
    efforts: tuple[str, ...] = (*_LOW_TO_HIGH, "xhigh", "max")  # of output_config, lowest first
    thinking_off: ThinkingOff = "disabled"  # how adaptive thinking is switched off
    forced_tools: bool = True  # tool_choice any and tool
    prefill: bool = False  # a final assistant message that the model goes on with
    structured: bool = True  # output_config.format and strict tools
    system_turns: bool = True  # messages of role system amid the conversation
    images: bool = True
    pdfs: bool = True
    chars_per_token: float = 2.5  # of English; the tokenizer changed with Opus 4.7


# The current generation. Only these differ: whether thinking can be off, and whether a tool can be
# forced. Thinking text is left out of answers unless it is asked for as a summary.
_GENERATION_5 = Family(128_000)
_ALWAYS_THINKING = replace(_GENERATION_5, thinking_off="never")
_UNFORCED = replace(_ALWAYS_THINKING, forced_tools=False)

_GENERATION_4_6 = Family(
    128_000,
    sampling="one",
    efforts=(*_LOW_TO_HIGH, "max"),
    system_turns=False,
    chars_per_token=3.4,
)
_GENERATION_4_5 = Family(
    64_000,
    sampling="one",
    thinking="budget",
    efforts=(),
    prefill=True,
    system_turns=False,
    chars_per_token=3.4,
)
_GENERATION_4 = replace(_GENERATION_4_5, sampling="both", structured=False)
_GENERATION_3_5 = replace(_GENERATION_4, max_tokens=8_192, thinking="none")
_GENERATION_3 = replace(_GENERATION_3_5, max_tokens=4_096, pdfs=False)
_GENERATION_2 = replace(_GENERATION_3, images=False)

# The rules of each line of models by its version, newest first. A version that is not here follows
# the next older one; a line that is not here follows NEWEST.
_LINES: dict[str, tuple[tuple[tuple[int, int], Family], ...]] = {
    "fable": (((5, 1), _UNFORCED), ((5, 0), _ALWAYS_THINKING)),
    "mythos": (((5, 1), _UNFORCED), ((5, 0), _ALWAYS_THINKING)),
    "opus": (
        ((5, 5), _UNFORCED),
        ((5, 0), _GENERATION_5),
        ((4, 7), _GENERATION_5),
        ((4, 6), _GENERATION_4_6),
        ((4, 5), _GENERATION_4_5),
        ((4, 1), replace(_GENERATION_4, max_tokens=32_000, sampling="one", structured=True)),
        ((4, 0), replace(_GENERATION_4, max_tokens=32_000)),
        ((3, 0), _GENERATION_3),
    ),
    "sonnet": (
        ((5, 5), replace(_UNFORCED, thinking_off="between_tools")),
        ((5, 0), _GENERATION_5),
        ((4, 6), _GENERATION_4_6),
        ((4, 5), _GENERATION_4_5),
        ((3, 7), _GENERATION_4),
        ((3, 5), _GENERATION_3_5),
        ((3, 0), _GENERATION_3),
    ),
    "haiku": (
        ((5, 0), _GENERATION_5),
        ((4, 5), _GENERATION_4_5),
        ((3, 5), _GENERATION_3_5),
        ((3, 0), _GENERATION_3),
    ),
}

NEWEST = _UNFORCED  # for what is newer than this table: it refuses the most

# Not one of Anthropic's own models: servers that speak the Messages API for models of others.
FOREIGN = replace(_GENERATION_4, max_tokens=4_096)

_PREVIEW = replace(
    _ALWAYS_THINKING, sampling="one", efforts=(*_LOW_TO_HIGH, "max"), chars_per_token=3.4
)

# claude-opus-4-5-20251101, claude-opus-4.5, claude-3-5-sonnet@20240620, anthropic.claude-opus-5-v1
_NAME = re.compile(
    r"claude-(?:(?P<old>\d)(?:[-.](?P<old_minor>\d))?-)?(?P<line>[a-z]+)"
    r"(?:-(?P<major>\d{1,2})(?:[-.](?P<minor>\d{1,2}))?(?!\d))?"
)
_OLD_NAME = re.compile(r"claude-(?:2|v2|instant)")

# What the provider listed in November 2026; used while it can't be asked.
FALLBACK_MODELS = (
    "claude-fable-5-2",
    "claude-fable-5-1",
    "claude-fable-5",
    "claude-opus-5-5",
    "claude-opus-5",
    "claude-opus-4-8",
    "claude-opus-4-7",
    "claude-opus-4-6",
    "claude-opus-4-5-20251101",
    "claude-sonnet-5-5",
    "claude-sonnet-5",
    "claude-sonnet-4-6",
    "claude-sonnet-4-5-20250929",
    "claude-haiku-5-5",
    "claude-haiku-4-5-20251001",
)


@lru_cache(maxsize=256)
def family_of(model: str) -> Family:
    """The rules for a model by its upstream name.

    Anthropic's names that are newer than the table follow NEWEST, all other names FOREIGN.
    """
    name = model.lower()
    if _OLD_NAME.search(name):
        return _GENERATION_2
    match = _NAME.search(name)
    if match is None:
        return FOREIGN
    line = match["line"]
    if line == "mythos" and match["major"] is None:
        return _PREVIEW
    version = _version(match)
    versions = _LINES.get(line)
    if versions is None or version is None or version > max(versions[0][0], (5, 5)):
        return NEWEST
    return next((family for since, family in versions if version >= since), versions[-1][1])


def _version(match: re.Match[str]) -> tuple[int, int] | None:
    major = match["major"] or match["old"]
    if major is None:
        return None
    minor = match["minor"] if match["major"] else match["old_minor"]
    return int(major), int(minor or 0)


class ModelPage(NamedTuple):
    """One page of the provider's list of models."""

    names: list[str]
    after_id: str | None  # the next page's cursor; None on the last


def read_models(page: JsonObject) -> ModelPage:
    """Read one answer of `GET /v1/models`; entries without a name are skipped.

    Raises:
        ValueError: it is not a list of models.
    """
    data = page.get("data")
    if not is_list(data):
        raise ValueError("the list of models has no data")
    names = [
        model["id"]
        for model in data
        if is_object(model) and isinstance(model.get("id"), str) and model["id"]
    ]
    last = page.get("last_id")
    # Without a name of its own a page that claims to have more would be asked for forever.
    has_more = page.get("has_more") is True and isinstance(last, str) and last and names
    return ModelPage(names, last if has_more else None)
