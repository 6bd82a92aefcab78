"""OpenAPI schema: FastAPI's, plus the inference paths and the statuses of each path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from nexus_core.api.auth import needs_key, refusals
from nexus_core.api.docs import gemini
from nexus_core.api.docs.described import Inference
from nexus_core.api.docs.ollama_schemas import SCHEMAS as OLLAMA_SCHEMAS
from nexus_core.api.docs.schemas import REQUEST_HEADERS, RESPONSE_HEADERS, SCHEMAS, SECURITY
from nexus_core.config.schema import AuthConfig

Json: TypeAlias = dict[str, Any]

_DESCRIPTION = """Point any OpenAI client at `/v1`. Request bodies may be compressed
(`Content-Encoding: gzip` or `deflate`). Anthropic's clients, such as Claude Code, take the address
without `/v1`, and so do Google's and Ollama's (`OLLAMA_HOST`). Nexus's own errors use OpenAI's
envelope, under `/v1/messages` Anthropic's, under `/v1beta` Google's, under `/api` Ollama's; a 405
lists the allowed methods in `Allow`. `/api/push`, `create`, `copy`, `delete` and `blobs` are a 501
that says how to do it elsewhere."""

_ERRORS: dict[int, str] = {
    400: "Invalid request: JSON, a field or a header; `param` names it.",
    401: "Missing or invalid key.",
    403: "Forbidden: this key, Host or Origin is not allowed on this path, or the key not for the "
    "model.",
    404: "Not found: nothing has this name.",
    413: "Body larger than `max_body_bytes`, compressed or not.",
    415: "Unsupported `Content-Encoding`; `Accept-Encoding` lists the supported ones.",
    422: "Unsupported by the chosen provider; the message names every such field.",
    429: "The client key is at one of its limits, or every tried backend is out of quota: the "
    "error of the last one. `Retry-After` tells when to ask again.",
    431: "Request headers, or trailers after the body, over 64 KiB.",
    502: "Every tried backend failed; the last error.",
    501: "Done on the machine of a backend, not here; the message says how.",
    503: "No backend can serve this now, or the connection limit of Nexus is reached.",
    504: "No backend answered in time.",
}
_REFUSED = "Any other client error of a backend, passed through."
_FAILED = "Any other server error of the last backend, passed through."

_ALWAYS = (400, 413, 431, 503)
# Each of these may also be a backend's own answer, passed on as it came.
_INFERENCE = (400, 404, 413, 415, 422, 429, 502, 503, 504)
_TEXT = {"content": {"text/plain": {"schema": {"type": "string"}}}}
_SSE: Json = {"content": {"text/event-stream": {}}}
_LINES = "application/x-ndjson"


def _ollama(name: str, title: str, text: str, asked: str, told: str = "") -> Inference:
    """One of Ollama's API; `told` where it does not stream."""
    return Inference(
        path=f"/api/{name}",
        name=f"ollama_{name}",
        title=title,
        text=text,
        asked=asked,
        answered=told or "OllamaAnswer",
        streams=not told,
        failed="OllamaError",
        unavailable="OllamaError",
        stream_type=_LINES,
    )


_INFERENCES = (
    Inference(
        "/v1/chat/completions",
        "chat_completions",
        "Chat",
        "OpenAI chat completions, streaming or not. Unlisted fields pass through unchanged.",
        "ChatRequest",
        "Choices",
        streams=True,
    ),
    Inference(
        "/v1/messages",
        "messages",
        "Messages",
        "Anthropic's messages, streaming or not. To Anthropic backends the request passes as it "
        "is, with `anthropic-version` and `anthropic-beta`; for others it is translated, and so is "
        "the answer. Fields without a counterpart are listed in `X-Nexus-Dropped-Params`.",
        "MessagesRequest",
        "Message",
        streams=True,
        failed="AnthropicError",
        unavailable="AnthropicError",
    ),
    Inference(
        "/v1/responses",
        "responses",
        "Responses",
        "OpenAI's responses, streaming or not, without a memory: `store` is answered as false. To "
        "OpenAI backends, and to local servers that have this API, the request passes as it is; "
        "for others it is translated, and so is the answer. Tools that run at OpenAI are left out "
        "there, and listed with other fields without a counterpart in `X-Nexus-Dropped-Params`. "
        "What no retry can mend is a 400 here (elsewhere a 422 or 503), a spent budget a 429.",
        "ResponsesRequest",
        "Response",
        streams=True,
    ),
    Inference(
        "/v1/completions",
        "completions",
        "Text completion",
        "OpenAI's legacy text completions; only on backends with an OpenAI-compatible API.",
        "CompletionRequest",
        "Choices",
        streams=True,
    ),
    Inference(
        "/v1/embeddings",
        "embeddings",
        "Embeddings",
        "OpenAI embeddings.",
        "EmbeddingsRequest",
        "EmbeddingsAnswer",
        streams=False,
    ),
    *gemini.INFERENCES,
    _ollama(
        "chat",
        "Chat (Ollama)",
        "Ollama's chat, streaming unless `stream` is `false`. To Ollama backends the request "
        "passes as it is; for others it is translated, and so is the answer. Without messages it "
        "loads the model.",
        "OllamaChatRequest",
    ),
    _ollama(
        "generate",
        "Generate (Ollama)",
        "Ollama's answer to a single prompt; with `raw` or `suffix` the text is continued as it "
        "stands, on Ollama and OpenAI-format backends. Without a prompt it loads the model.",
        "OllamaGenerateRequest",
    ),
    _ollama(
        "embed",
        "Embed (Ollama)",
        "Ollama's embeddings of one or several texts. Without any it loads the model.",
        "OllamaEmbedRequest",
        "OllamaEmbeddings",
    ),
    _ollama(
        "embeddings",
        "Embeddings (Ollama, before /api/embed)",
        "Ollama's embedding of one text. Without it it loads the model.",
        "OllamaEmbeddingsRequest",
        "OllamaEmbeddings",
    ),
)


@dataclass(frozen=True, slots=True)
class _Route:
    """What FastAPI can't know of one of its own operations."""

    statuses: tuple[int, ...] = ()  # beside those that every operation has
    answer: Json | None = None  # of a 200
    parameters: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()  # schemas of its body, one of which it takes
    failed: str = "Error"  # the schema of its errors

    @property
    def unavailable(self) -> str:
        return "Unavailable" if self.failed == "Error" else self.failed


_OBJECT: Json = {"content": {"application/json": {"schema": {"type": "object"}}}}
_PROMPT_HEADERS = tuple(REQUEST_HEADERS)
_OLLAMA, _GOOGLES = "OllamaError", "GoogleError"
_PROMPTS = tuple(dict.fromkeys(one.asked for one in _INFERENCES))


def _object(name: str) -> Json:
    return {"content": {"application/json": {"schema": _ref("schemas", name)}}}


def _ref(kind: str, name: str) -> Json:
    return {"$ref": f"#/components/{kind}/{name}"}


# Every route of FastAPI's stands here; a test says which one is missing.
ROUTES: dict[tuple[str, str], _Route] = {
    ("get", "/health"): _Route(),
    ("get", "/v1/models"): _Route(answer=_object("ModelList")),
    ("get", "/v1/models/{model}"): _Route((404,), _object("Model")),
    ("post", "/v1/messages/count_tokens"): _Route(
        (404,), _object("TokenCount"), _PROMPT_HEADERS, ("MessagesRequest",)
    ),
    ("get", "/v1beta/models"): _Route((), _object("GeminiModels"), failed=_GOOGLES),
    ("get", "/v1beta/models/{model}"): _Route((404,), _object("GeminiModel"), failed=_GOOGLES),
    ("post", "/v1beta/models/{model}:countTokens"): _Route(
        (404,), _object("GeminiCount"), _PROMPT_HEADERS, ("GeminiCounted",), failed=_GOOGLES
    ),
    ("get", "/api/version"): _Route(failed=_OLLAMA),
    ("head", "/api/version"): _Route(failed=_OLLAMA),
    ("head", "/api/tags"): _Route(failed=_OLLAMA),
    ("get", "/api/tags"): _Route(answer=_object("OllamaModels"), failed=_OLLAMA),
    ("get", "/api/ps"): _Route(answer=_object("OllamaModels"), failed=_OLLAMA),
    ("post", "/api/show"): _Route(
        (404,), _object("OllamaModel"), asked=("OllamaModelName",), failed=_OLLAMA
    ),
    ("post", "/api/pull"): _Route(
        (501,),
        {"content": {kind: {} for kind in (_LINES, "application/json")}},
        asked=("OllamaModelName",),
        failed=_OLLAMA,
    ),
    ("get", "/v1/stats"): _Route(),
    ("get", "/metrics"): _Route(answer=_TEXT),
    ("get", "/nexus/state"): _Route(),
    ("get", "/nexus/costs"): _Route(),
    ("get", "/nexus/actions"): _Route(),
    ("get", "/nexus/events"): _Route((), _SSE, ("Last-Event-ID",)),
    ("get", "/nexus/logs"): _Route(),
    ("get", "/nexus/requests"): _Route(),
    ("get", "/nexus/requests/{request_id}"): _Route((404,)),
    ("get", "/nexus/requests/{request_id}/bodies"): _Route((404,)),
    ("post", "/nexus/requests/{request_id}/replay"): _Route((403, 404)),
    ("post", "/nexus/backends/{name}"): _Route((404,)),
    ("post", "/nexus/backends/{name}/probe"): _Route((404,), asked=("Nothing",)),
    ("post", "/nexus/zones/{zone}"): _Route(),
    ("post", "/nexus/capture"): _Route(),
    ("post", "/nexus/reload"): _Route(),
    ("post", "/nexus/save"): _Route(),
    ("get", "/nexus/replicas"): _Route((404,)),
    ("post", "/nexus/fleet/forget"): _Route((404, 503)),
    ("get", "/nexus/replicas/{name}/{path}"): _Route((404, 502)),
    ("post", "/nexus/replicas/{name}/{path}"): _Route((404, 502), asked=("RelayedCommand",)),
    ("get", "/nexus/keys"): _Route(),
    ("post", "/nexus/keys"): _Route(),
    ("get", "/nexus/keys/{name}"): _Route((404,)),
    ("post", "/nexus/keys/{name}"): _Route((404,)),
    ("post", "/nexus/keys/{name}/rotate"): _Route((404,)),
    ("post", "/nexus/keys/{name}/block"): _Route((404,)),
    ("post", "/nexus/keys/{name}/revoke"): _Route((404,), asked=("Nothing",)),
    ("post", "/nexus/explain"): _Route(
        (), _OBJECT, ("usable", "translate", *_PROMPT_HEADERS), (*_PROMPTS, "QuestionBody")
    ),
    ("post", "/nexus/send"): _Route((), _OBJECT, _PROMPT_HEADERS, _PROMPTS),
}


def build(app: FastAPI, auth: AuthConfig) -> Json:
    """Build the OpenAPI schema; the statuses of a path depend on whether keys are configured."""
    schema = get_openapi(
        title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes
    )
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            _complete(operation, method, path, auth)
    inferences = {one.path: {"post": _inference(one, auth)} for one in _INFERENCES}
    schema["paths"] = {**inferences, **schema["paths"]}
    components = schema.setdefault("components", {})
    for unsent in ("HTTPValidationError", "ValidationError"):
        components.get("schemas", {}).pop(unsent, None)
    ours = {**SCHEMAS, **OLLAMA_SCHEMAS, **gemini.SCHEMAS}
    components["schemas"] = {**components.get("schemas", {}), **ours}
    components["parameters"] = {**REQUEST_HEADERS, **_PARAMETERS}
    components["headers"] = RESPONSE_HEADERS
    if auth.api_keys or auth.admin_key:
        components["securitySchemes"] = SECURITY
    return schema


_PARAMETERS: dict[str, Json] = {
    "Last-Event-ID": {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "Id of the last message received: resume after it.",
        "schema": {"type": "string"},
    },
    "usable": {
        "name": "usable",
        "in": "query",
        "description": "Treat these backends as switched on, healthy and with a free slot.",
        "schema": {"type": "array", "items": {"type": "string"}},
    },
    "translate": {
        "name": "translate",
        "in": "query",
        "description": "`false`: skip the translation into the provider's format.",
        "schema": {"type": "string", "enum": ["true", "false"]},
    },
}


def _complete(operation: Json, method: str, path: str, auth: AuthConfig) -> None:
    """What FastAPI left out of an operation, and without what it makes up (422)."""
    route = ROUTES.get((method, path), _Route())
    common = (*_ALWAYS, 415) if method == "post" else _ALWAYS
    ok = route.answer or operation["responses"]["200"]
    statuses = sorted({*common, *route.statuses, *refusals(path, auth)})
    operation["responses"] = {
        "200": {"description": "Done.", **ok},
        **{str(status): _error(status, route.failed, route.unavailable) for status in statuses},
    }
    if route.parameters:
        own = operation.get("parameters", [])
        operation["parameters"] = [*own, *(_ref("parameters", n) for n in route.parameters)]
    if route.asked:
        schemas = [_ref("schemas", name) for name in route.asked]
        schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema}},
        }
    _secure(operation, path, auth)


def _inference(one: Inference, auth: AuthConfig) -> Json:
    path = one.path
    ok = dict(_object(one.answered)["content"])
    if one.streams:
        ok[one.stream_type] = {}
    statuses = {*_ALWAYS, *_INFERENCE, *refusals(path, auth)}
    own = {status: _error(status, one.failed, one.unavailable) for status in statuses}
    for status in (*_INFERENCE, 431):
        own[status]["content"] = {**own[status]["content"], "*/*": {"schema": {}}}
    for status in _INFERENCE:
        own[status]["headers"] |= _nexus_headers()
    operation: Json = {
        "tags": ["inference"],
        "summary": one.title,
        "description": one.text,
        "operationId": one.name,
        "parameters": [
            *([gemini.MODEL_PARAMETER] if "{model}" in path else []),
            *(_ref("parameters", name) for name in _PROMPT_HEADERS),
        ],
        "requestBody": {"required": True, **_object(one.asked)},
        "responses": {
            "200": {"description": "The answer.", "headers": _nexus_headers(), "content": ok},
            **{str(status): own[status] for status in sorted(own)},
            "4XX": _passed(_REFUSED),
            "5XX": _passed(_FAILED),
        },
    }
    _secure(operation, path, auth)
    return operation


def _secure(operation: Json, path: str, auth: AuthConfig) -> None:
    if needs_key(path, auth):
        operation["security"] = [{name: []} for name in SECURITY]


def _error(status: int, failed: str = "Error", unavailable: str = "Unavailable") -> Json:
    if status == 431:  # said by the parser's keeper, before there is a request
        return {"description": _ERRORS[status], **_TEXT}
    headers = {
        401: ("WWW-Authenticate",),
        415: ("Accept-Encoding",),
        429: ("Retry-After",),
        503: ("Retry-After",),
    }
    return {
        "description": _ERRORS[status],
        "headers": {name: _ref("headers", name) for name in headers.get(status, ())},
        "content": {
            "application/json": {
                "schema": _ref("schemas", unavailable if status == 503 else failed)
            }
        },
    }


def _passed(text: str) -> Json:
    return {"description": text, "headers": _nexus_headers(), "content": {"*/*": {"schema": {}}}}


def _nexus_headers() -> Json:
    return {name: _ref("headers", name) for name in RESPONSE_HEADERS if name.startswith("X-Nexus-")}
