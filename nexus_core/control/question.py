"""The `question` form of POST /nexus/explain: read from JSON and written as JSON."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nexus_core.config.schema import Tier
from nexus_core.dialects.hub.limits import MAX_CHOICES
from nexus_core.dialects.plain_usage import MAX_TOKENS
from nexus_core.dialects.request import MAX_MODEL_CHARS, Demand
from nexus_core.errors import InvalidRequestError
from nexus_core.routing.explain import Question
from nexus_core.routing.requirements import RoutingHints
from nexus_core.types import Capability, PrivacyZone

_NAME_CHARS = 64
_Tokens = Annotated[int, Field(ge=0, le=MAX_TOKENS)]
_Name = Annotated[str, Field(max_length=_NAME_CHARS)]
# Words of a closed set come as text, and tuples as lists: JSON has no others.
_Word = Field(strict=False)


class AskedQuestion(BaseModel):
    """A request described by its facts, without a prompt; only the model is required."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)

    model: Annotated[
        str,
        Field(min_length=1, max_length=MAX_MODEL_CHARS, description="The model or alias."),
    ]
    needs: Annotated[
        tuple[Annotated[Capability, _Word], ...],
        Field(strict=False, description="Capabilities the model and its server must have."),
    ] = (Capability.CHAT,)
    prompt_tokens: Annotated[_Tokens, Field(description="Estimated tokens of the prompt.")] = 0
    max_tokens: Annotated[
        _Tokens, Field(description="Completion limit of one answer in tokens; 0: no limit.")
    ] = 0
    choices: Annotated[
        int, Field(ge=1, le=MAX_CHOICES, description="Number of answers, OpenAI's `n`.")
    ] = 1
    zone: Annotated[PrivacyZone, Field(strict=False, description="As `X-Nexus-Privacy-Zone`.")] = (
        PrivacyZone.OPEN
    )
    min_tier: Annotated[Tier | None, Field(description="As `X-Nexus-Min-Tier`.")] = None
    backend: Annotated[_Name | None, Field(description="As `X-Nexus-Backend`.")] = None
    flexible: Annotated[bool, Field(description="As `X-Nexus-Flexible`.")] = False
    priority: Annotated[Literal["high", "normal"], Field(description="As `X-Nexus-Priority`.")] = (
        "normal"
    )
    client: Annotated[
        _Name | None,
        Field(description="Name of the client key; its budget, models, zone and tier count too."),
    ] = None
    usable: Annotated[
        tuple[_Name, ...],
        Field(
            strict=False,
            description="Backends treated as switched on, healthy and with a free slot.",
        ),
    ] = ()


class QuestionBody(BaseModel):
    """Body of POST /nexus/explain with a `question`: a request described by its facts."""

    model_config = ConfigDict(extra="forbid")

    question: AskedQuestion


def question_as_json(question: Question) -> dict[str, Any]:
    """Body of POST /nexus/explain for a question."""
    hints, demand = question.hints, question.demand
    return {
        "question": {
            "model": question.model,
            "needs": sorted(demand.capabilities),
            "prompt_tokens": demand.prompt_tokens,
            "max_tokens": demand.completion_limit or 0,
            "choices": demand.choices,
            "zone": hints.zone.value,
            "min_tier": hints.min_tier,
            "backend": hints.backend,
            "flexible": hints.flexible,
            "priority": hints.priority,
            "client": question.client,
            "usable": list(question.usable),
        }
    }


def read_question(body: object) -> Question:
    """Validate the parsed body of POST /nexus/explain and read its question.

    Raises:
        InvalidRequestError: a key is missing, unknown or invalid; `param` names it, as in
            `question.min_tier`.
    """
    try:
        asked = QuestionBody.model_validate(body).question
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidRequestError(f"{where}: {first['msg']}", param=where) from error
    return Question(
        model=asked.model,
        hints=RoutingHints(
            zone=asked.zone,
            min_tier=asked.min_tier,
            backend=asked.backend,
            priority=asked.priority,
            flexible=asked.flexible,
        ),
        demand=Demand(
            capabilities=frozenset(asked.needs),
            prompt_tokens=asked.prompt_tokens,
            completion_limit=asked.max_tokens or None,
            choices=asked.choices,
        ),
        client=asked.client,
        usable=asked.usable,
    )
