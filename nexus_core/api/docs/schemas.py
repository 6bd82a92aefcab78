"""Components of the OpenAPI schema: headers, and the body fields that Nexus reads."""

from __future__ import annotations

from types import GenericAlias
from typing import Any, Literal, TypeAlias

from pydantic import ConfigDict, TypeAdapter

from nexus_core.control.question import QuestionBody
from nexus_core.dialects.request import MAX_MODEL_CHARS
from nexus_core.errors import ActionableErrorContext
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
            "`restricted`: only restricted backends may receive the request.",
            enum=[zone.value for zone in PrivacyZone],
        ),
        _asked_by(
            "X-Nexus-Min-Tier",
            "Minimum tier of the backend.",
            enum=["0", "1", "2", "3", "4"],
        ),
        _asked_by(
            "X-Nexus-Backend",
            "Name of the only backend to use (pin).",
            pattern="^[A-Za-z0-9._-]{1,64}$",
        ),
        _asked_by("X-Nexus-Priority", "Priority in the queue.", enum=["high", "normal"]),
        _asked_by(
            "X-Nexus-Flexible",
            "`true`: a fallback may have a lower tier than the first choice.",
            enum=["true", "false"],
        ),
    )
}


def _told_by(description: str, **schema: object) -> Json:
    return {"description": description, "schema": {"type": "string", **schema}}


RESPONSE_HEADERS: dict[str, Json] = {
    "X-Nexus-Request-Id": _told_by("Request id, the same in headers, logs, events and ledger."),
    "X-Nexus-Replica": _told_by("Name of the replica; only in a fleet."),
    "X-Nexus-Backend": _told_by("Name of the backend."),
    "X-Nexus-Backend-Type": _told_by("Location of the backend.", enum=["local", "cloud"]),
    "X-Nexus-Route-Reason": _told_by(
        "Reason for this backend.", enum=[reason.value for reason in RouteReason]
    ),
    "X-Nexus-Privacy-Zone": _told_by(
        "Zone of the backend.", enum=[zone.value for zone in PrivacyZone]
    ),
    "X-Nexus-Model": _told_by("Answering model, as the backend names it."),
    "X-Nexus-Cost-Estimated": _told_by(
        "Cost in US dollars; only for cloud backends with a known price.",
        pattern=r"^\$\d+\.\d{4,}$",
    ),
    "X-Nexus-Budget-Status": _told_by(
        "Budget status; absent while normal.",
        enum=[one.value for one in BudgetStatus if one is not BudgetStatus.NORMAL],
    ),
    "X-Nexus-Dropped-Params": _told_by(
        "Sampling parameters left out for this provider, comma-separated."
    ),
    "X-Nexus-Overhead-Ms": _told_by(
        "Latency added by Nexus, in milliseconds.", pattern=r"^\d+\.\d$"
    ),
    "Retry-After": _told_by("Seconds until a retry may succeed; absent if unknown."),
    "WWW-Authenticate": _told_by("Authentication scheme for keys."),
    "Accept-Encoding": _told_by("Supported request encodings."),
}

SECURITY: dict[str, Json] = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "googApiKey": {"type": "apiKey", "in": "header", "name": "x-goog-api-key"},
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


_REFERENCE = "#/components/schemas/{model}"
_ALL_IS_SENT = ConfigDict(json_schema_serialization_defaults_required=True)


def _derived(kind: type[Any], mode: Literal["validation", "serialization"]) -> dict[str, Json]:
    """The schema of one of our own values, by its name, with those that it refers to."""
    # A dataclass takes no configuration from outside; one within a list does.
    one: Any = GenericAlias(list, (kind,))
    adapter: TypeAdapter[Any] = TypeAdapter(one, config=_ALL_IS_SENT)
    parts: dict[str, Json] = adapter.json_schema(mode=mode, ref_template=_REFERENCE)["$defs"]
    return parts


_MODEL_ENTRY = _object(
    ("id", "object", "created", "owned_by", "display_name"),
    id=_TEXT,
    object={"const": "model"},
    created={"type": "integer"},
    owned_by=_TEXT,
    display_name=_TEXT,
)

SCHEMAS: dict[str, Json] = {
    **_derived(ActionableErrorContext, "serialization"),
    **_derived(QuestionBody, "validation"),
    "Error": _envelope(),
    "Unavailable": _envelope(
        context={"$ref": _REFERENCE.format(model=ActionableErrorContext.__name__)}
    ),
    "Model": _MODEL_ENTRY,
    "ModelList": _object(("object", "data"), object={"const": "list"}, data=_list_of(_MODEL_ENTRY)),
    "ChatRequest": _object(
        ("model", "messages"),
        model=_MODEL,
        messages=_list_of(_object(("role",), role=_TEXT), minItems=1),
        stream=_STREAM,
    ),
    "MessagesRequest": _object(
        ("model", "messages"),
        model=_MODEL,
        max_tokens={"type": "integer", "minimum": 1},
        messages=_list_of(
            _object(
                ("role", "content"),
                role={"type": "string", "enum": ["user", "assistant", "system"]},
                content={
                    "description": "A text, or a list of content blocks.",
                    "anyOf": [
                        _TEXT,
                        _list_of(_object(("type", "text"), type={"const": "text"}, text=_TEXT)),
                    ],
                },
            ),
            minItems=1,
        ),
        stream=_STREAM,
    ),
    "Message": _object(
        ("type", "content"),
        type={"const": "message"},
        content=_list_of(_object(("type",), type=_TEXT)),
    ),
    "ResponsesRequest": _object(
        ("model", "input"),
        model=_MODEL,
        input={
            "description": "A text, or a list of items.",
            "anyOf": [
                _TEXT,
                _list_of(
                    _object(
                        ("role", "content"),
                        type={"const": "message"},
                        role={"type": "string", "enum": ["user", "developer", "system"]},
                        content=_TEXT,
                    )
                ),
            ],
        },
        instructions=_TEXT,
        stream=_STREAM,
    ),
    "Response": _object(
        ("id", "object", "status", "output"),
        id=_TEXT,
        object={"const": "response"},
        status={"type": "string", "enum": ["completed", "incomplete"]},
        output=_list_of(_object(("type",), type=_TEXT)),
    ),
    "TokenCount": _object(("input_tokens",), input_tokens={"type": "integer", "minimum": 0}),
    "AnthropicError": _object(
        ("type", "error"),
        type={"const": "error"},
        error=_object(("type", "message"), type=_TEXT, message=_TEXT),
        request_id=_TEXT_OR_NULL,
    ),
    "Choices": _object(("choices",), choices=_list_of({"type": "object"})),
    "CompletionRequest": _object(
        ("model", "prompt"), model=_MODEL, prompt=_TEXT_OR_LIST, stream=_STREAM
    ),
    "Nothing": {"type": "object", "maxProperties": 0},
    "RelayedCommand": {"type": "object"},  # what the other replica takes at that path
    "EmbeddingsRequest": _object(("model", "input"), model=_MODEL, input=_TEXT_OR_LIST),
    "EmbeddingsAnswer": _object(("data",), data=_list_of({"type": "object"})),
}
