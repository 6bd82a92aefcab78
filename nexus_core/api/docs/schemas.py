"""The parts of the OpenAPI schema: headers, and bodies as far as Nexus itself looks at them."""

from __future__ import annotations

from typing import Any, TypeAlias

from nexus_core.dialects.request import MAX_MODEL_CHARS
from nexus_core.types import BudgetStatus, PrivacyZone, RouteReason

Json: TypeAlias = dict[str, Any]

_TEXT: Json = {"type": "string"}
_TEXT_OR_NULL: Json = {"type": ["string", "null"]}
_MODEL: Json = {"type": "string", "minLength": 1, "maxLength": MAX_MODEL_CHARS}
_STREAM: Json = {"type": ["boolean", "null"]}
_TEXT_OR_LIST: Json = {"type": ["string", "array"]}


def _asked_by(name: str, description: str, **schema: object) -> Json:
    return {
        "name": name,
        "in": "header",
        "description": description,
        "schema": {"type": "string", **schema},
    }


REQUEST_HEADERS: dict[str, Json] = {
    parameter["name"]: parameter
    for parameter in (
        _asked_by(
            "X-Nexus-Privacy-Zone",
            "`restricted`: only restricted backends may see it.",
            enum=[zone.value for zone in PrivacyZone],
        ),
        _asked_by(
            "X-Nexus-Min-Tier",
            "Only backends of that tier or a higher one.",
            enum=["0", "1", "2", "3", "4"],
        ),
        _asked_by(
            "X-Nexus-Backend",
            "This backend and no other, by its name.",
            pattern="^[A-Za-z0-9._-]{1,64}$",
        ),
        _asked_by("X-Nexus-Priority", "The place in the queue.", enum=["high", "normal"]),
        _asked_by(
            "X-Nexus-Flexible",
            "`true`: a fallback may go below the first choice's tier.",
            enum=["true", "false"],
        ),
    )
}


def _told_by(description: str, **schema: object) -> Json:
    return {"description": description, "schema": {"type": "string", **schema}}


RESPONSE_HEADERS: dict[str, Json] = {
    "X-Nexus-Request-Id": _told_by("One id in headers, logs, events and ledger."),
    "X-Nexus-Backend": _told_by("Who answered."),
    "X-Nexus-Backend-Type": _told_by("Where it runs.", enum=["local", "cloud"]),
    "X-Nexus-Route-Reason": _told_by(
        "Why this backend.", enum=[reason.value for reason in RouteReason]
    ),
    "X-Nexus-Privacy-Zone": _told_by("Its zone.", enum=[zone.value for zone in PrivacyZone]),
    "X-Nexus-Model": _told_by("The model that answered, by the backend's own name."),
    "X-Nexus-Cost-Estimated": _told_by(
        "US dollars; cloud backends with a known price only.", pattern=r"^\$\d+\.\d{4,}$"
    ),
    "X-Nexus-Budget-Status": _told_by(
        "Absent while normal.",
        enum=[one.value for one in BudgetStatus if one is not BudgetStatus.NORMAL],
    ),
    "X-Nexus-Dropped-Params": _told_by("Sampling hints that were left out, comma-separated."),
    "X-Nexus-Overhead-Ms": _told_by("What Nexus itself took.", pattern=r"^\d+\.\d$"),
    "Retry-After": _told_by("Seconds, where it is known."),
    "WWW-Authenticate": _told_by("How to send a key."),
    "Accept-Encoding": _told_by("The encodings that are read."),
}

SECURITY: dict[str, Json] = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
}


def _object(required: tuple[str, ...], **properties: Json) -> Json:
    return {"type": "object", "required": list(required), "properties": properties}


def _list_of(items: Json, **more: object) -> Json:
    return {"type": "array", "items": items, **more}


def _envelope(**more: Json) -> Json:
    inner = _object(
        ("message", "type", "param", "code"),
        message=_TEXT,
        type=_TEXT,
        param=_TEXT_OR_NULL,
        code=_TEXT_OR_NULL,
        **more,
    )
    return _object(("error",), error=inner)


_CONTEXT = _object(
    ("required_tier", "available_backends", "eta_seconds"),
    required_tier={"type": ["integer", "null"]},
    available_backends=_list_of(
        _object(
            ("name", "status", "zone", "tier"),
            name=_TEXT,
            status={"enum": ["healthy", "unhealthy", "at_capacity", "disabled"]},
            zone={"enum": [zone.value for zone in PrivacyZone]},
            tier={"type": ["integer", "null"]},
        )
    ),
    eta_seconds={"type": ["integer", "null"]},
)
_MODEL_ENTRY = _object(
    ("id", "object", "created", "owned_by"),
    id=_TEXT,
    object={"const": "model"},
    created={"type": "integer"},
    owned_by=_TEXT,
)

SCHEMAS: dict[str, Json] = {
    "Error": _envelope(),
    "Unavailable": _envelope(context=_CONTEXT),
    "Model": _MODEL_ENTRY,
    "ModelList": _object(("object", "data"), object={"const": "list"}, data=_list_of(_MODEL_ENTRY)),
    "ChatRequest": _object(
        ("model", "messages"),
        model=_MODEL,
        messages=_list_of(_object(("role",), role=_TEXT), minItems=1),
        stream=_STREAM,
    ),
    "Choices": _object(("choices",), choices=_list_of({"type": "object"})),
    "CompletionRequest": _object(
        ("model", "prompt"), model=_MODEL, prompt=_TEXT_OR_LIST, stream=_STREAM
    ),
    "Nothing": {"type": "object", "maxProperties": 0},
    "EmbeddingsRequest": _object(("model", "input"), model=_MODEL, input=_TEXT_OR_LIST),
    "EmbeddingsAnswer": _object(("data",), data=_list_of({"type": "object"})),
}
