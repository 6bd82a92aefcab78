"""Log probabilities, citations and grounding sources of Gemini's answers."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate

import msgspec

from nexus_core.dialects.gemini.candidates import parts_of
from nexus_core.dialects.gemini.values import as_list, as_number, as_object, as_text
from nexus_core.dialects.hub.answer import url_citation
from nexus_core.types import JsonObject, JsonValue


def read_logprobs(candidate: JsonObject) -> JsonObject | None:
    """OpenAI's `logprobs` of a choice; None where Gemini gave none.

    Raises:
        ValueError: they are invalid.
    """
    result = as_object(candidate.get("logprobsResult"), "logprobsResult")
    chosen = as_list(result.get("chosenCandidates"), "chosenCandidates")
    if not chosen:
        return None
    tops = as_list(result.get("topCandidates"), "topCandidates")
    content: list[JsonObject] = []
    for index, token in enumerate(chosen):
        top = as_object(tops[index], "topCandidates") if index < len(tops) else {}
        others = as_list(top.get("candidates"), "candidates")
        content.append(_token(token) | {"top_logprobs": [_token(other) for other in others]})
    return {"content": content, "refusal": None}


def _token(value: JsonValue) -> JsonObject:
    token = as_object(value, "a token")
    text = as_text(token.get("token", ""), "token")
    return {
        "token": text,
        "logprob": as_number(token.get("logProbability", 0.0), "logProbability"),
        "bytes": list(text.encode("utf-8", "surrogatepass")),
    }


class Source(msgspec.Struct, frozen=True):
    """A source of an answer, or of a part of it."""

    url: str
    title: str

    def citation(self, start: int, end: int) -> JsonObject:
        """OpenAI's annotation of the characters from `start` to `end`."""
        return url_citation(self.url, self.title, start, end)


class _Ruler:
    """Converter of byte offsets in a text (Google's) into character offsets (OpenAI's)."""

    def __init__(self, text: str) -> None:
        encoded = b"" if text.isascii() else text.encode("utf-8", "surrogatepass")
        self._size = len(encoded) or len(text)
        # Bytes that go on with a character that others began.
        self._further = [at for at, byte in enumerate(encoded) if byte & 0xC0 == 0x80]

    def range_of(self, segment: JsonObject, before: int = 0) -> tuple[int, int]:
        """Start and end of a segment in characters; `before` is the number before the text."""
        start, end = (
            before + offset - bisect_left(self._further, offset)
            for name in ("startIndex", "endIndex")
            for offset in (min(_offset(segment, name), self._size),)
        )
        return start, max(start, end)


def read_annotations(candidate: JsonObject) -> list[JsonObject]:
    """The sources of a whole answer as annotations of the content they support.

    Raises:
        ValueError: they are invalid.
    """
    grounding, quoted = _grounding(candidate), _quoted(candidate)
    supports = as_list(grounding.get("groundingSupports"), "groundingSupports")
    if not (supports or quoted):
        return []
    texts = [
        as_text(part.get("text", ""), "text") if part.get("thought") is not True else ""
        for part in parts_of(candidate)
    ]
    whole = _Ruler("".join(texts))
    annotations = [source.citation(*whole.range_of(place)) for source, place in quoted]
    parts = [*map(_Ruler, texts), _Ruler("")]  # the last one for a part that is not there
    before = list(accumulate(map(len, texts), initial=0))
    pages = _pages(grounding)
    for support in supports:
        fields = as_object(support, "a support")
        segment = as_object(fields.get("segment"), "segment")
        part = min(_offset(segment, "partIndex"), len(texts))
        place = parts[part].range_of(segment, before[part])
        for index in as_list(fields.get("groundingChunkIndices"), "groundingChunkIndices"):
            if type(index) is not int or not 0 <= index < len(pages):
                raise ValueError("groundingChunkIndices point nowhere")
            if (source := pages[index]) is not None:
                annotations.append(source.citation(*place))
    return annotations


def read_sources(candidate: JsonObject) -> list[Source]:
    """The sources without places, for streams, where the supported text is no longer at hand.

    Raises:
        ValueError: they are invalid.
    """
    pages = [source for source in _pages(_grounding(candidate)) if source is not None]
    return pages + [source for source, _ in _quoted(candidate)]


def _grounding(candidate: JsonObject) -> JsonObject:
    return as_object(candidate.get("groundingMetadata"), "groundingMetadata")


def _pages(grounding: JsonObject) -> list[Source | None]:
    """Pages found by a search; None for a chunk that is not a page, so that indexes stay right."""
    chunks = as_list(grounding.get("groundingChunks"), "groundingChunks")
    return [_source(as_object(as_object(chunk, "a source").get("web"), "web")) for chunk in chunks]


def _quoted(candidate: JsonObject) -> list[tuple[Source, JsonObject]]:
    """Literal quotations by the model, each with its place."""
    metadata = as_object(candidate.get("citationMetadata"), "citationMetadata")
    citations = [
        as_object(citation, "a citation")
        for citation in as_list(metadata.get("citations"), "citations")
    ]
    return [(source, each) for each in citations if (source := _source(each)) is not None]


def _source(fields: JsonObject) -> Source | None:
    url, title = fields.get("uri"), fields.get("title")
    if not isinstance(url, str) or not url:
        return None
    return Source(url, title if isinstance(title, str) else "")


def _offset(fields: JsonObject, name: str) -> int:
    value = fields.get(name, 0)
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} is no count")
    return value
