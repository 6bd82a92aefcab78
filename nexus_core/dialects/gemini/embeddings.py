"""Translate OpenAI's embeddings requests for Gemini's :batchEmbedContents, and the answers back."""

from __future__ import annotations

from nexus_core.dialects.embeddings import embedding_list
from nexus_core.dialects.gemini.usage import read_usage
from nexus_core.dialects.gemini.values import as_list, as_number, as_object
from nexus_core.dialects.report import Findings, Translation
from nexus_core.types import JsonObject

_MAX_TEXTS = 100  # of one batch
_HANDLED = frozenset({"model", "input", "dimensions", "encoding_format"})


def translate_embeddings_request(fields: JsonObject, model: str) -> Translation:
    """Translate an embeddings request; `model` is its upstream name, without "models/".

    `fields` has passed check_embeddings_request. `encoding_format` concerns only the answer.

    Raises:
        UnsupportedFieldsError: names every unsupported field.
    """
    findings = Findings()
    given = fields["input"]
    texts = [given] if isinstance(given, str) else given
    if not all(isinstance(text, str) for text in texts):
        findings.unsupported["input"] = "Gemini accepts texts, not tokens"
    elif len(texts) > _MAX_TEXTS:
        findings.unsupported["input"] = f"Gemini takes at most {_MAX_TEXTS} texts at once"
    one: JsonObject = {"model": f"models/{model}"}
    if (dimensions := fields.get("dimensions")) is not None:
        one["outputDimensionality"] = dimensions
    for name, value in fields.items():
        if name not in _HANDLED and value is not None:
            findings.ignore(name)
    requests = [{**one, "content": {"parts": [{"text": text}]}} for text in texts]
    return findings.report({"requests": requests}, reject_hints=False)


def translate_embeddings_response(
    answer: JsonObject, *, model: str, encoding_format: str | None, estimated_tokens: int
) -> JsonObject:
    """Translate an answer of :batchEmbedContents into OpenAI's list.

    Its `usage` can't be left out, and a 0 would read as free: it is Google's own count where the
    answer has one, else `estimated_tokens` (of estimate_tokens, as in the cost estimate).

    Raises:
        ValueError: it is not such an answer.
    """
    vectors = [
        _values(as_object(embedding, "an embedding"))
        for embedding in as_list(answer.get("embeddings"), "embeddings")
    ]
    if not vectors:
        raise ValueError("no embeddings")
    usage = read_usage(answer)
    tokens = usage.prompt_tokens if usage is not None else estimated_tokens
    return embedding_list(vectors, model=model, encoding_format=encoding_format, tokens=tokens)


def _values(embedding: JsonObject) -> list[float]:
    values = as_list(embedding.get("values"), "values")
    if not values:
        raise ValueError("an embedding without values")
    return [as_number(value, "a value of an embedding") for value in values]
