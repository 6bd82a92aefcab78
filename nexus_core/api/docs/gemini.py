"""What the OpenAPI schema says of Google's Gemini API."""

from __future__ import annotations

from typing import Any, TypeAlias

from nexus_core.api.docs.described import Inference
from nexus_core.dialects.request import MAX_MODEL_CHARS

Json: TypeAlias = dict[str, Any]

_FAILED = "GoogleError"
_AT = "/v1beta/models/{model}"
_KEPT = (
    "To Google backends the request passes as it is, but for the model's name in the path; for "
    "others it is translated, and so is the answer. "
)

INFERENCES = (
    Inference(
        f"{_AT}:generateContent",
        "gemini_generate",
        "Gemini: generate",
        f"Google's generateContent. {_KEPT}Fields without a counterpart are listed in "
        "`X-Nexus-Dropped-Params`.",
        "GeminiRequest",
        "GeminiAnswer",
        streams=False,
        failed=_FAILED,
        unavailable=_FAILED,
    ),
    Inference(
        f"{_AT}:streamGenerateContent",
        "gemini_stream",
        "Gemini: stream",
        f"Google's streamGenerateContent: events with `?alt=sse`, else one JSON array. {_KEPT}",
        "GeminiRequest",
        "GeminiAnswers",
        streams=True,
        failed=_FAILED,
        unavailable=_FAILED,
    ),
    Inference(
        f"{_AT}:embedContent",
        "gemini_embed",
        "Gemini: embed",
        f"Google's embedContent. {_KEPT}",
        "GeminiEmbedding",
        "GeminiEmbedded",
        streams=False,
        failed=_FAILED,
        unavailable=_FAILED,
    ),
    Inference(
        f"{_AT}:batchEmbedContents",
        "gemini_embed_batch",
        "Gemini: embed several",
        f"Google's batchEmbedContents. {_KEPT}",
        "GeminiEmbeddings",
        "GeminiEmbeddedBatch",
        streams=False,
        failed=_FAILED,
        unavailable=_FAILED,
    ),
)

MODEL_PARAMETER: Json = {
    "name": "model",
    "in": "path",
    "required": True,
    "description": "The model's name; colons and slashes are allowed.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_MODEL_CHARS},
}


def _object(required: tuple[str, ...], **properties: Json) -> Json:
    return {"type": "object", "required": list(required), "properties": properties}


def _list_of(items: Json, **more: object) -> Json:
    return {"type": "array", "items": items, **more}


_TEXT: Json = {"type": "string"}
_NUMBER: Json = {"type": "integer"}
_PARTS = _list_of(_object(("text",), text=_TEXT), minItems=1)
_CONTENT = _object(("parts",), parts=_PARTS)
_EMBEDDING = _object(("content",), content=_CONTENT)
_VALUES = _object(("values",), values=_list_of({"type": "number"}))
_ANSWER = _object((), candidates=_list_of({"type": "object"}), usageMetadata={"type": "object"})
_CHAT: Json = {
    "contents": _list_of(
        _object(("parts",), role={"type": "string", "enum": ["user", "model"]}, parts=_PARTS),
        minItems=1,
    ),
    "systemInstruction": _CONTENT,
}

SCHEMAS: dict[str, Json] = {
    "GeminiRequest": _object(("contents",), **_CHAT),
    "GeminiCounted": {
        "anyOf": [
            _object(("contents",), **_CHAT),
            _object(
                ("generateContentRequest",), generateContentRequest=_object(("contents",), **_CHAT)
            ),
        ]
    },
    "GeminiAnswer": _ANSWER,
    "GeminiAnswers": _list_of(_ANSWER),
    "GeminiEmbedding": _EMBEDDING,
    "GeminiEmbeddings": _object(("requests",), requests=_list_of(_EMBEDDING, minItems=1)),
    "GeminiEmbedded": _object(("embedding",), embedding=_VALUES),
    "GeminiEmbeddedBatch": _object(("embeddings",), embeddings=_list_of(_VALUES)),
    "GeminiCount": _object(("totalTokens",), totalTokens={"type": "integer", "minimum": 0}),
    "GeminiModel": _object(
        ("name", "displayName", "supportedGenerationMethods"),
        name=_TEXT,
        version=_TEXT,
        displayName=_TEXT,
        description=_TEXT,
        inputTokenLimit=_NUMBER,
        outputTokenLimit=_NUMBER,
        supportedGenerationMethods=_list_of(_TEXT),
    ),
    "GeminiModels": _object(
        ("models",),
        models=_list_of({"$ref": "#/components/schemas/GeminiModel"}),
        nextPageToken=_TEXT,
    ),
    "GoogleError": _object(
        ("error",),
        error=_object(
            ("code", "message", "status"),
            code=_NUMBER,
            message=_TEXT,
            status=_TEXT,
            details=_list_of({"type": "object"}),
        ),
    ),
}
