"""Gemini models: capabilities and limits of each family, in one table.

Sources: https://ai.google.dev/gemini-api/docs/models, …/thinking and …/thought-signatures; for
refused parameters also reported errors ("Penalty is not enabled for this model").
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from nexus_core.types import JsonObject, is_list, is_object

_PREFIX = "models/"

# What an account without surprises sees, for when the list can't be fetched.
FALLBACK_MODELS = (
    "gemini-4-argon",
    "gemini-3.8-flash",
    "gemini-3.7-flash",
    "gemini-3.6-flash",
    "gemini-3.5-flash",
    "gemini-3.5-flash-lite",
    "gemini-3.1-pro-preview",
    "gemini-3.1-flash-lite",
    "gemini-2.5-pro",
    "gemini-2.5-flash",
    "gemini-2.5-flash-lite",
    "gemini-embedding-2",
    "gemini-embedding-001",
)

_FROM_LOW = ("LOW", "MEDIUM", "HIGH")
_FROM_MINIMAL = ("MINIMAL", *_FROM_LOW)


class Family(msgspec.Struct, frozen=True):
    """Parameters accepted by a family of models; thinking by levels, by a budget, or not at all.

    Not listed, as all of them accept it: temperature, top_p, top_k, seed, stop, several candidates.
    """

    levels: tuple[str, ...] = ()  # of thinkingLevel, from the least to the most
    budget: tuple[int, int] | None = None  # of thinkingBudget: the least and the most tokens
    can_stop_thinking: bool = False  # by a budget of 0
    max_output_tokens: int | None = None  # thoughts included; None: not known
    takes_penalties: bool = False
    takes_logprobs: bool = False
    takes_json_with_tools: bool = True  # a JSON answer in a request that has tools
    takes_validated_mode: bool = True  # calls held to their schema while text is allowed too
    takes_media_results: bool = True  # images and files inside a functionResponse
    takes_call_ids: bool = True  # gives them, too; older models pair by name and order
    needs_signatures: bool = True  # refuses a functionCall without its thoughtSignature


# A model that no row below names is newer than this table, and is like the newest.
_NEWEST = Family(levels=_FROM_LOW)
_GEMINI_3 = replace(_NEWEST, max_output_tokens=65_536)
_GEMINI_3_MINIMAL = replace(_GEMINI_3, levels=_FROM_MINIMAL)
_GEMINI_2_5 = Family(
    budget=(1, 24_576),
    can_stop_thinking=True,
    max_output_tokens=65_536,
    takes_json_with_tools=False,
    takes_media_results=False,
    takes_call_ids=False,
    needs_signatures=False,
)
_UNTHINKING = replace(_GEMINI_2_5, budget=None, can_stop_thinking=False, takes_validated_mode=False)

# The beginning of a name, and its family; the first that fits counts.
_FAMILIES: tuple[tuple[str, Family], ...] = (
    (
        "gemini-2.0",
        replace(_UNTHINKING, max_output_tokens=8192, takes_penalties=True, takes_logprobs=True),
    ),
    ("gemini-2.5-flash-image", replace(_UNTHINKING, max_output_tokens=32_768)),
    ("gemini-2.5-flash-lite", replace(_GEMINI_2_5, budget=(512, 24_576))),
    (
        "gemini-2.5-pro",
        replace(_GEMINI_2_5, budget=(128, 32_768), can_stop_thinking=False),
    ),
    ("gemini-2.5", _GEMINI_2_5),
    ("gemini-3-pro", replace(_GEMINI_3, levels=("LOW", "HIGH"))),
    ("gemini-3-flash", _GEMINI_3_MINIMAL),
    ("gemini-3.1-flash", _GEMINI_3_MINIMAL),
    ("gemini-3.5", _GEMINI_3_MINIMAL),
    ("gemini-3.6", _GEMINI_3_MINIMAL),
    ("gemini-flash-lite-latest", _GEMINI_3_MINIMAL),
    ("gemini-3", _GEMINI_3),
    ("gemini-flash-latest", _GEMINI_3),
    (
        "gemma-4",
        replace(_UNTHINKING, levels=("MINIMAL", "HIGH"), max_output_tokens=None),
    ),
    ("gemma", replace(_UNTHINKING, max_output_tokens=None)),
)


@lru_cache(maxsize=256)
def family_of(model: str) -> Family:
    """The family of a model, by its name."""
    name = model.lower().removeprefix(_PREFIX)
    return next((family for start, family in _FAMILIES if name.startswith(start)), _NEWEST)


class ModelPage(NamedTuple):
    """One page of the list of models, names without their prefix."""

    chat: tuple[str, ...]  # those that can generateContent
    embeddings: tuple[str, ...]  # those that can embedContent
    next_page_token: str | None  # None on the last page

    @property
    def names(self) -> tuple[str, ...]:
        """Every model's name, once."""
        return tuple(dict.fromkeys(self.chat + self.embeddings))


def read_models(page: JsonObject) -> ModelPage:
    """Read an answer of GET /v1beta/models; models that neither chat nor embed are left out.

    Raises:
        ValueError: it is not a list of models.
    """
    models = page.get("models", [])
    if not is_list(models):
        raise ValueError("models is no list")
    able = [pair for entry in models if (pair := _read_model(entry)) is not None]
    token = page.get("nextPageToken")
    return ModelPage(
        chat=tuple(name for name, methods in able if "generateContent" in methods),
        embeddings=tuple(name for name, methods in able if "embedContent" in methods),
        next_page_token=token if isinstance(token, str) and token else None,
    )


def _read_model(entry: object) -> tuple[str, list[object]] | None:
    """A model's name and methods; None for tuned models, whose names have another prefix."""
    if not is_object(entry) or not isinstance(name := entry.get("name"), str):
        raise ValueError("a model without a name")
    methods = entry.get("supportedGenerationMethods", [])
    if not is_list(methods):
        raise ValueError("supportedGenerationMethods is no list")
    short = name.removeprefix(_PREFIX)
    return (short, methods) if short and short != name else None
