"""Components of the OpenAPI schema for Ollama's API: the body fields that Nexus reads."""

from __future__ import annotations

from typing import Any, TypeAlias

from nexus_core.dialects.request import MAX_MODEL_CHARS

Json: TypeAlias = dict[str, Any]

_TEXT: Json = {"type": "string"}
_ASKED: Json = {"type": ["string", "null"], "description": "Without it the model is only loaded."}
# Among others: where one is empty, only Ollama itself takes the request.
_EMBEDDED: Json = {"type": "string", "minLength": 1}
_MODEL: Json = {"type": "string", "minLength": 1, "maxLength": MAX_MODEL_CHARS}
_STREAM: Json = {"type": ["boolean", "null"], "description": "Streams unless it is `false`."}
_OBJECT: Json = {"type": "object"}


def _object(required: tuple[str, ...], **properties: Json) -> Json:
    return {"type": "object", "required": list(required), "properties": properties}


def _list_of(items: Json) -> Json:
    return {"type": "array", "items": items}


_ROLE: Json = {"type": "string", "enum": ["system", "user", "assistant", "tool"]}
_COUNT: Json = {"type": "integer", "minimum": 0}

SCHEMAS: dict[str, Json] = {
    "OllamaChatRequest": _object(
        ("model",),
        model=_MODEL,
        messages=_list_of(_object(("role", "content"), role=_ROLE, content=_TEXT)),
        stream=_STREAM,
    ),
    "OllamaGenerateRequest": _object(
        ("model",), model=_MODEL, prompt=_ASKED, system={"type": ["string", "null"]}, stream=_STREAM
    ),
    "OllamaEmbedRequest": _object(
        ("model",),
        model=_MODEL,
        input={"anyOf": [_ASKED, _list_of(_EMBEDDED)]},
    ),
    "OllamaEmbeddingsRequest": _object(("model",), model=_MODEL, prompt=_ASKED),
    "OllamaAnswer": _object(
        ("model", "created_at", "done"),
        model=_TEXT,
        created_at=_TEXT,
        done={"type": "boolean"},
        eval_count=_COUNT,
        prompt_eval_count=_COUNT,
    ),
    "OllamaEmbeddings": _object((), embeddings=_list_of({"type": "array"}), embedding=_list_of({})),
    "OllamaError": _object(("error",), error=_TEXT, code=_TEXT),
    "OllamaModels": _object(("models",), models=_list_of(_object(("name",), name=_TEXT))),
    "OllamaModel": _object(
        ("details", "model_info", "capabilities"),
        details=_OBJECT,
        model_info=_OBJECT,
        capabilities=_list_of(_TEXT),
    ),
    "OllamaModelName": _object(("model",), model=_MODEL),
}
