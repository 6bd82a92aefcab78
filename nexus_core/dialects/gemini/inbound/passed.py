"""Requests that pass to a backend of the same format: their path, and what has to be mended."""

from __future__ import annotations

from urllib.parse import quote

from nexus_core.dialects.gemini.inbound.demand import contents_of, embedded
from nexus_core.dialects.gemini.inbound.paths import Method
from nexus_core.dialects.gemini.inbound.request import GeminiRequest
from nexus_core.dialects.gemini.inbound.signatures import MARK, is_own
from nexus_core.dialects.gemini.models import family_of
from nexus_core.dialects.gemini.signatures import DUMMY
from nexus_core.dialects.hub.envelope import dumped_fields
from nexus_core.dialects.request import Request
from nexus_core.types import JsonObject, Operation, is_list, is_object


def path_of(request: GeminiRequest, model: str) -> str:
    """The path at Google. A stream is always asked for as events: these can be read."""
    form = "?alt=sse" if request.method is Method.STREAM else ""
    return f"/v1beta/models/{quote(model, safe='')}:{request.method.value}{form}"


def write_passed(request: GeminiRequest, model: str) -> bytes:
    """The body as it came, with two exceptions.

    Texts to embed name the model again. And what Nexus signed in the place of another provider's
    model is no signature of Google's: such thoughts are left out, such calls are marked as made by
    another model.
    """
    if request.operation is Operation.EMBEDDINGS:
        return _embeddings(request, model)
    if MARK not in request.body:
        return request.body
    needs = family_of(model).needs_signatures
    contents = (content for _, content in contents_of(request.parsed))
    mended = [_mended(content, needs_signatures=needs) for content in contents]
    return dumped_fields({**request.parsed, "contents": [one for one in mended if one]})


def counting_body(request: Request, model: str) -> bytes:
    """The body of a request for its count."""
    inner = {**request.parsed, "model": f"models/{model}"}
    return dumped_fields({"generateContentRequest": inner})


def _embeddings(request: GeminiRequest, model: str) -> bytes:
    named, is_same = f"models/{model}", True
    for _, one in embedded(request.method, request.parsed):
        is_same = is_same and one.get("model", named) == named
    if is_same:
        return request.body
    if request.method is Method.EMBED:
        return dumped_fields({**request.parsed, "model": named})
    requests = [{**one, "model": named} for one in request.parsed["requests"]]
    return dumped_fields({**request.parsed, "requests": requests})


def _mended(content: JsonObject, *, needs_signatures: bool) -> JsonObject | None:
    parts = content.get("parts")
    if not is_list(parts):
        return content
    kept: list[JsonObject] = []
    for part in parts:
        if not is_object(part) or not is_own(part.get("thoughtSignature")):
            kept.append(part)
        elif "functionCall" in part and needs_signatures:
            kept.append({**part, "thoughtSignature": DUMMY})
        elif part.get("thought") is not True:
            kept.append({key: value for key, value in part.items() if key != "thoughtSignature"})
    return {**content, "parts": kept} if kept else None
