"""What Gemini says about its answer beside the answer: log probabilities and sources."""

from __future__ import annotations

from dataclasses import dataclass

from nexus_core.translation.chat_answer import url_citation
from nexus_core.translation.google.candidates import parts_of
from nexus_core.translation.google.values import as_list, as_number, as_object, as_text
from nexus_core.translation.openai import JsonObject


def read_logprobs(candidate: JsonObject) -> JsonObject | None:
    """OpenAI's `logprobs` of a choice; None where Gemini gave none.

    Raises:
        ValueError: they make no sense.
    """
    result = as_object(candidate.get("logprobsResult"), "logprobsResult")
    chosen = as_list(result.get("chosenCandidates"), "chosenCandidates")
    if not chosen:
        return None
    tops = as_list(result.get("topCandidates"), "topCandidates")
    content = []
    for index, token in enumerate(chosen):
        top = as_object(tops[index], "topCandidates") if index < len(tops) else {}
        others = as_list(top.get("candidates"), "candidates")
        content.append(_token(token) | {"top_logprobs": [_token(other) for other in others]})
    return {"content": content, "refusal": None}


def _token(value: object) -> JsonObject:
    token = as_object(value, "a token")
    text = as_text(token.get("token", ""), "token")
    return {
        "token": text,
        "logprob": as_number(token.get("logProbability", 0.0), "logProbability"),
        "bytes": list(text.encode("utf-8", "surrogatepass")),
    }


@dataclass(frozen=True, slots=True)
class Source:
    """What supports an answer, or a part of it."""

    url: str
    title: str

    def citation(self, start: int, end: int) -> JsonObject:
        """OpenAI's annotation of the characters from `start` to `end`."""
        return url_citation(self.url, self.title, start, end)


def read_annotations(candidate: JsonObject) -> list[JsonObject]:
    """The sources of a whole answer, each with the place in the text that it supports.

    Google counts bytes within a part, OpenAI characters within the content.

    Raises:
        ValueError: they make no sense.
    """
    texts = [
        as_text(part.get("text", ""), "text") if part.get("thought") is not True else ""
        for part in parts_of(candidate)
    ]
    grounding = _grounding(candidate)
    sources = _pages(grounding)
    annotations = []
    for support in as_list(grounding.get("groundingSupports"), "groundingSupports"):
        fields = as_object(support, "a support")
        start, end = _place(as_object(fields.get("segment"), "segment"), texts)
        for index in as_list(fields.get("groundingChunkIndices"), "groundingChunkIndices"):
            if type(index) is not int or not 0 <= index < len(sources):
                raise ValueError("groundingChunkIndices point nowhere")
            if (source := sources[index]) is not None:
                annotations.append(source.citation(start, end))
    content = "".join(texts)
    for source, fields in _quoted(candidate):
        annotations.append(source.citation(*_characters(fields, content)))
    return annotations


def read_sources(candidate: JsonObject) -> list[Source]:
    """The sources alone, for streams, where the text that they support is no longer at hand.

    Raises:
        ValueError: they make no sense.
    """
    pages = [source for source in _pages(_grounding(candidate)) if source is not None]
    return pages + [source for source, _ in _quoted(candidate)]


def _grounding(candidate: JsonObject) -> JsonObject:
    return as_object(candidate.get("groundingMetadata"), "groundingMetadata")


def _pages(grounding: JsonObject) -> list[Source | None]:
    """The pages that a search found; None for what is no page, so that indexes stay right."""
    chunks = as_list(grounding.get("groundingChunks"), "groundingChunks")
    return [_source(as_object(as_object(chunk, "a source").get("web"), "web")) for chunk in chunks]


def _quoted(candidate: JsonObject) -> list[tuple[Source, JsonObject]]:
    """What the model took over from elsewhere word for word, each with its place."""
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


def _place(segment: JsonObject, texts: list[str]) -> tuple[int, int]:
    part = _offset(segment, "partIndex")
    before = sum(len(text) for text in texts[:part])
    start, end = _characters(segment, texts[part] if part < len(texts) else "")
    return before + start, before + end


def _characters(fields: JsonObject, text: str) -> tuple[int, int]:
    """A range of bytes as a range of characters, within the text."""
    encoded = text.encode("utf-8", "surrogatepass")
    start, end = (
        len(encoded[: _offset(fields, name)].decode("utf-8", "ignore"))
        for name in ("startIndex", "endIndex")
    )
    return start, max(start, end)


def _offset(fields: JsonObject, name: str) -> int:
    value = fields.get(name, 0)
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} is no count")
    return value
