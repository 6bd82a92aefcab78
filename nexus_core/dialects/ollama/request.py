"""Read and check requests of Ollama's API."""

from __future__ import annotations

from nexus_core.dialects.ollama.demand import chat_demand, embed_demand, generate_demand
from nexus_core.dialects.ollama.dialect import CHAT, EMBED, EMBEDDINGS, GENERATE
from nexus_core.dialects.reading.body import checked_model, checked_stream, read_object
from nexus_core.dialects.request import Request
from nexus_core.types import DialectName, JsonObject, Operation

PROMPT = {  # the field of each path
    CHAT.path: "messages",
    GENERATE.path: "prompt",
    EMBED.path: "input",
    EMBEDDINGS.path: "prompt",
}
_NOTHING_LEFT = (0, 0.0, "0", "0s", "0m", "0h")  # of `keep_alive`: the model is to be unloaded


def read_request(path: str, body: bytes, request_id: str = "") -> Request:
    """Parse and validate a client's request body; unknown fields pass.

    Raises:
        InvalidRequestError: not one JSON object, a repeated top-level key, or a field that is
            missing or of another type.
    """
    fields, spans = read_object(body)
    model = checked_model(fields)
    may_stream = path in (CHAT.path, GENERATE.path)
    is_streaming = may_stream and checked_stream(fields, usual=True)
    operation = Operation.CHAT
    if path == CHAT.path:
        demand = chat_demand(fields)
    elif path == GENERATE.path:
        operation = Operation.COMPLETIONS if is_plain_text(fields) else Operation.CHAT
        demand = generate_demand(fields, operation)
    else:
        operation = Operation.EMBEDDINGS
        demand = embed_demand(fields, PROMPT[path])
    return Request(
        id=request_id,
        path=path,
        dialect=DialectName.OLLAMA,
        operation=operation,
        model=model,
        is_streaming=is_streaming,
        demand=demand,
        body=body,
        spans=spans,
        parsed=fields,
    )


def is_plain_text(fields: JsonObject) -> bool:
    """Whether a prompt is to be continued as it stands, without the model's chat template."""
    return fields.get("raw") is True or bool(fields.get("suffix"))


def is_probe(request: Request) -> bool:
    """Whether a request only loads or unloads its model: it has no prompt, or no text to embed.

    https://docs.ollama.com/faq#how-do-i-keep-a-model-loaded-in-memory-or-make-it-unload-immediately
    """
    fields = request.parsed
    has_images = request.path == GENERATE.path and bool(fields.get("images"))
    return not fields.get(PROMPT[request.path]) and not has_images


def unloads(request: Request) -> bool:
    """Whether a request without a prompt is to unload its model."""
    keep = request.parsed.get("keep_alive")
    return not isinstance(keep, bool) and keep in _NOTHING_LEFT
