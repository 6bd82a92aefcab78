"""Embeddings: a request of the Gemini API as the hub's, and its answer back."""

from __future__ import annotations

import json

import msgspec

from nexus_core.dialects.base.bridge import HubRequest, StreamWriter
from nexus_core.dialects.embeddings import decode_floats
from nexus_core.dialects.gemini.inbound.demand import embedded, parts_of
from nexus_core.dialects.gemini.inbound.errors import translate_error
from nexus_core.dialects.gemini.inbound.paths import Method
from nexus_core.dialects.gemini.inbound.request import GeminiRequest
from nexus_core.dialects.hub.envelope import hub_envelope
from nexus_core.dialects.parsing import parse_json
from nexus_core.errors import InvalidRequestError
from nexus_core.observe.events import TokenUsage
from nexus_core.types import JsonObject, Operation, is_list, is_object

_PATH = "/v1/embeddings"
_DROPPED = ("taskType", "title", "autoTruncate")


def texts_of(request: GeminiRequest) -> list[str]:
    """The texts to embed, one for each embedding.

    Raises:
        InvalidRequestError: a part is no text.
    """
    texts: list[str] = []
    for path, one in embedded(request.method, request.parsed):
        parts = parts_of(one.get("content"))
        where = f"{path}.content".removeprefix(".")
        if not parts or not all(isinstance(part.get("text"), str) for part in parts):
            raise InvalidRequestError(
                f"{where}.parts: texts are required; only Google backends embed anything else",
                param=where,
            )
        texts.append("\n".join(part["text"] for part in parts))
    return texts


def embeddings_to_hub(request: GeminiRequest) -> HubRequest:
    """Translate a request for embeddings.

    Raises:
        InvalidRequestError: a field is invalid, or a part is no text.
    """
    asked = [one for _, one in embedded(request.method, request.parsed)]
    hub: JsonObject = {"input": texts_of(request), "encoding_format": "float"}
    sizes = {json.dumps(one.get("outputDimensionality")) for one in asked}
    if len(sizes) > 1:
        raise InvalidRequestError(
            "requests: only Google backends embed with several sizes at once", param="requests"
        )
    size = asked[0].get("outputDimensionality")
    if size is not None:
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise InvalidRequestError(
                "outputDimensionality: a number over 0 is required", param="outputDimensionality"
            )
        hub["dimensions"] = size
    dropped = tuple(name for name in _DROPPED if any(one.get(name) for one in asked))
    chat = hub_envelope(request, hub)
    made = msgspec.structs.replace(chat, path=_PATH, operation=Operation.EMBEDDINGS)
    return HubRequest(made, dropped)


class EmbeddingsWriter:
    """Writer of embeddings in Google's format."""

    stream_type = "application/json"

    def __init__(self, request: GeminiRequest) -> None:
        self._is_batch = request.method is Method.BATCH_EMBED

    def whole(self, body: bytes, usage: TokenUsage | None) -> bytes:
        """Write all of them.

        Raises:
            ValueError: it is not a list of embeddings.
        """
        fields = parse_json(body)
        data = fields.get("data") if is_object(fields) else None
        if not is_list(data) or not data:
            raise ValueError("answered without embeddings")
        rows = sorted((row for row in data if is_object(row)), key=_index_of)
        values = [{"values": _values(row.get("embedding"))} for row in rows]
        answer: JsonObject = {"embeddings": values} if self._is_batch else {"embedding": values[0]}
        if usage is not None:
            answer["usageMetadata"] = {"promptTokenCount": usage.prompt_tokens}
        return json.dumps(answer, separators=(",", ":")).encode()

    def error(self, body: bytes, status: int, retry_after: str | None = None) -> bytes:
        """Write an error answer, whatever form its body has."""
        return translate_error(body, status, retry_after)

    def stream(self) -> StreamWriter:
        """Never called: embeddings are not streamed."""
        raise AssertionError("embeddings are no stream")


def _index_of(row: JsonObject) -> int:
    index = row.get("index")
    return index if isinstance(index, int) else 0


def _values(embedding: object) -> list[float]:
    if isinstance(embedding, str):  # base64, whether it was asked for or not
        return decode_floats(embedding)
    if not is_list(embedding):
        raise ValueError("an embedding that is no list")
    return embedding
