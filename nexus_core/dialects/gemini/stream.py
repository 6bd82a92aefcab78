"""Translate Gemini's streams into OpenAI's chunks, with constant memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never

from msgspec import Raw

from nexus_core.dialects.gemini import signatures
from nexus_core.dialects.gemini.answer import image_field
from nexus_core.dialects.gemini.candidates import (
    AnswerForm,
    FunctionCall,
    Image,
    Piece,
    Signature,
    Text,
    Thought,
    answer_id,
    call_id,
    decode_tail,
    decode_text_event,
    failure,
    finish_reason,
    finish_reason_of,
    is_failed,
    last_tail,
    prompt_refusal,
    read_pieces,
    refusal,
)
from nexus_core.dialects.gemini.errors import read_error
from nexus_core.dialects.gemini.extras import Source, read_logprobs, read_sources
from nexus_core.dialects.gemini.usage import USAGE_FIELDS, read_usage
from nexus_core.dialects.gemini.values import as_list, as_object
from nexus_core.dialects.hub import answer as chat_answer
from nexus_core.dialects.hub.chunk_bytes import TextFrame
from nexus_core.dialects.hub.text_run import TextRun
from nexus_core.dialects.parsing import parse_json
from nexus_core.dialects.report import StreamFailedError
from nexus_core.dialects.sse import SseEvent
from nexus_core.observe.events import TokenUsage
from nexus_core.types import JsonObject, JsonValue

_MAX_INDEX = 127  # of a candidate; Google gives 8 at most
_DATA = b"data: "
_TAIL, _DIGITS = b'"usageMetadata"', b"0123456789"  # of an event: its counts grow
_EVERYTHING = AnswerForm()


@dataclass(slots=True)
class _Choice:
    """State of one candidate in a stream."""

    index: int
    has_begun: bool = False  # its first delta, with the role, was given
    calls: int = 0
    images: int = 0
    characters: int = 0  # of text
    signature: str | None = None  # the last one of a text
    sources: list[Source] = field(default_factory=list)  # the last ones given
    reason: str | None = None  # Google's finishReason
    withheld: str | None = None  # the refusal, where there is nothing else
    frame: TextFrame | None = None  # of chunks with nothing but a text
    run: TextRun | None = None  # of its events with nothing but that text, or
    is_thinking: bool = False  # with nothing but a thought


class GoogleStream:
    """Translator of one stream: events of :streamGenerateContent?alt=sse in, chunks out.

    Google has no last event, and parts of an answer may follow its finishReason (a call, a
    signature, the final usage). So finish_reason is held back until the stream is over: then call
    `finish`, if `is_complete`; a stream that ends before that was cut.
    """

    def __init__(
        self, *, model: str, created: int, include_usage: bool, form: AnswerForm = _EVERYTHING
    ) -> None:
        self._model = model
        self._created = created
        self._include_usage = include_usage
        self._form = form
        self._head: chat_answer.AnswerHead | None = None  # of the first event
        self._choices: dict[int, _Choice] = {}
        self._usage_fields: JsonObject = {}
        self._usage: TokenUsage | None = None
        self._has_read_usage = True  # all of these fields
        self._tail: Raw | None = None  # of the last event: a later usage, not read yet
        self.text_bytes = 0  # that `feed_texts` made

    @property
    def is_complete(self) -> bool:
        """Whether every candidate has ended, or the prompt was blocked."""
        choices = self._choices.values()
        return bool(choices) and all(choice.reason is not None for choice in choices)

    @property
    def usage(self) -> TokenUsage | None:
        """The usage reported so far; None before the first report."""
        self._read_tail()
        if not self._has_read_usage:
            self._has_read_usage = True
            self._usage = read_usage({"usageMetadata": self._usage_fields})
        return self._usage

    def feed(self, event: SseEvent) -> list[JsonObject]:
        """Translate one event into chunks.

        Raises:
            StreamFailedError: the event is an error, or reports a failure of the model.
            ValueError: it is invalid.
        """
        answer = parse_json(event.data)
        if isinstance(answer, list) and len(answer) == 1:
            answer = answer[0]  # how errors come at times
        if not isinstance(answer, dict):
            raise ValueError("an event that is no object")
        if (failed := stream_failure(answer)) is not None:
            raise failed
        if self._head is None:
            self._head = chat_answer.AnswerHead(
                answer_id(answer, self._model, self._created), self._model, self._created
            )
        self._take_usage(answer)
        candidates = as_list(answer.get("candidates"), "candidates")
        if not candidates and (blocked := prompt_refusal(answer)) is not None:
            choice = self._choices.setdefault(0, _Choice(0))
            choice.reason, choice.withheld = "SAFETY", blocked
        return [
            chunk
            for candidate in candidates
            for chunk in self._take(as_object(candidate, "a candidate"), self._head)
        ]

    def feed_texts(self, data: bytes, at: int) -> tuple[int, bytes]:
        """Translate the events from there on that only continue a text or a thought.

        Gives where they end, and their chunks, encoded.
        """
        for choice in self._choices.values():
            if choice.run is None or choice.frame is None:
                continue
            if (found := choice.run.take(data, at)) is None:
                continue
            try:
                self._tail = last_tail(found.tails)
            except ValueError:
                return at, b""
            if not choice.is_thinking:
                choice.characters += found.characters
            self.text_bytes += found.text_bytes
            return found.end, choice.frame.around(found.texts)
        return at, b""

    def learn(self, event: bytes, separator: bytes) -> None:
        """Know the next events like this one by their bytes, if it only continues a text."""
        if self._head is None or not event.startswith(_DATA):
            return
        try:
            (candidate,) = decode_text_event(event[len(_DATA) :]).candidates
        except (ValueError, RecursionError):
            return  # it has more than one text, or something else
        choice = self._choices[candidate.index]
        (part,) = candidate.content.parts
        name = "reasoning_content" if part.thought else "content"
        choice.frame = TextFrame.of(self._chunk(choice, {name: ""}, self._head))
        if choice.frame is not None:
            tail_at = event.rfind(_TAIL)
            choice.is_thinking = part.thought
            choice.run = TextRun.like(
                event,
                name=b'"text"',
                tail_at=tail_at if tail_at > 0 else len(event) - 1,
                varying=_DIGITS,
                separator=separator,
            )

    def finish(self) -> list[JsonObject]:
        """Chunks due after a complete stream: finish reasons, then usage.

        Raises:
            ValueError: the stream is not complete; see `is_complete`.
        """
        if self._head is None or not self.is_complete:
            raise ValueError("the stream ended before the answer did")
        chunks = [
            chunk
            for _, choice in sorted(self._choices.items())
            for chunk in self._end(choice, self._head)
        ]
        if self._include_usage and (usage := self.usage) is not None:
            chunks.append(chat_answer.usage_chunk(self._head, usage))
        return chunks

    def _end(self, choice: _Choice, head: chat_answer.AnswerHead) -> list[JsonObject]:
        """The held back end of a choice. Clients join deltas as strings, so each is sent once."""
        chunks: list[JsonObject] = []
        if choice.withheld is not None and not (choice.characters or choice.calls):
            chunks.append(self._chunk(choice, {"refusal": choice.withheld}, head))
        if choice.sources:
            annotations = _annotations(choice.sources, choice.characters)
            chunks.append(self._chunk(choice, {"annotations": annotations}, head))
        if choice.signature is not None:
            signed = {"extra_content": signatures.wrap(choice.signature)}
            chunks.append(self._chunk(choice, signed, head))
        reason = finish_reason(choice.reason or "STOP", form=self._form, has_calls=choice.calls > 0)
        chunks.append(self._chunk(choice, {}, head, reason))
        return chunks

    def _take_usage(self, answer: JsonObject) -> None:
        self._read_tail()
        usage: JsonValue = answer.get("usageMetadata")
        if isinstance(usage, dict):
            self._keep_usage(usage)

    def _read_tail(self) -> None:
        tail, self._tail = self._tail, None
        if tail is not None:
            self._keep_usage(decode_tail(tail))

    def _keep_usage(self, usage: JsonObject) -> None:
        """Update the cumulative counts; a missing one keeps its value."""
        self._has_read_usage = False
        self._usage_fields |= {name: value for name, value in usage.items() if name in USAGE_FIELDS}

    def _take(self, candidate: JsonObject, head: chat_answer.AnswerHead) -> list[JsonObject]:
        index = candidate.get("index", 0)
        if type(index) is not int or not 0 <= index <= _MAX_INDEX:
            raise ValueError("a candidate's index makes no sense")
        choice = self._choices.setdefault(index, _Choice(index))
        deltas = _joined(
            delta
            for piece in read_pieces(candidate, self._form.calls)
            if (delta := self._delta(choice, piece, head))
        )
        choice.sources = read_sources(candidate) or choice.sources
        chunks = [self._chunk(choice, delta, head) for delta in deltas]
        if (logprobs := read_logprobs(candidate)) is not None:
            if not chunks:
                chunks = [self._chunk(choice, {}, head)]
            chunks[0]["choices"][0]["logprobs"] = logprobs
        self._take_reason(choice, candidate)
        return chunks

    def _take_reason(self, choice: _Choice, candidate: JsonObject) -> None:
        reason = finish_reason_of(candidate)
        if reason is None:
            return
        if is_failed(reason):
            raise StreamFailedError(failure(candidate, reason), reason, 502)
        choice.reason = reason
        if finish_reason(reason, form=self._form, has_calls=False) == "content_filter":
            choice.withheld = refusal(candidate, reason)

    def _delta(
        self, choice: _Choice, piece: Piece, head: chat_answer.AnswerHead
    ) -> JsonObject | None:
        match piece:
            case Text(text):
                choice.characters += len(text)
                return {"content": text}
            case Thought(text):
                return {"reasoning_content": text}
            case Signature(value):
                choice.signature = value
                return None
            case Image(url):
                choice.images += 1
                return {"images": [image_field(url, choice.images - 1)]}
            case FunctionCall():
                choice.calls += 1
                return self._call_delta(choice, piece, head)
            case _:
                assert_never(piece)

    def _call_delta(
        self, choice: _Choice, call: FunctionCall, head: chat_answer.AnswerHead
    ) -> JsonObject | None:
        """A tool call as one delta: Google sends calls whole."""
        number = choice.calls - 1
        if number and self._form.one_call:
            return None
        if self._form.as_function_call:
            return {"function_call": {"name": call.name, "arguments": call.arguments}}
        fields = chat_answer.tool_call(
            call.id or call_id(head.id, choice.index, number),
            call.name,
            call.arguments,
            extra_content=signatures.wrap(call.signature) if call.signature else None,
        )
        return {"tool_calls": [{"index": number, **fields}]}

    def _chunk(
        self,
        choice: _Choice,
        delta: JsonObject,
        head: chat_answer.AnswerHead,
        reason: chat_answer.FinishReason | None = None,
    ) -> JsonObject:
        if not choice.has_begun:
            choice.has_begun = True
            delta = {"role": "assistant", **delta}
        return chat_answer.chunk(head, delta, reason, index=choice.index)


def stream_failure(answer: JsonValue) -> StreamFailedError | None:
    """Read the error in an event or in the body of a 2xx answer; None without one."""
    error = read_error(answer)
    if error is None:
        return None
    status = 401 if error.reason == "API_KEY_INVALID" else error.status or 502
    return StreamFailedError(error.message, error.type, status, error.retry_after_seconds)


def _joined(deltas: Iterable[JsonObject]) -> list[JsonObject]:
    """Join consecutive texts of one kind into one delta."""
    joined: list[JsonObject] = []
    for delta in deltas:
        for kind in ("content", "reasoning_content"):
            if joined and kind in delta and kind in joined[-1]:
                joined[-1][kind] += delta[kind]
                break
        else:
            joined.append(delta)
    return joined


def _annotations(sources: list[Source], characters: int) -> list[JsonObject]:
    """Citations of the whole text so far; their places count bytes that are no longer at hand."""
    return [
        {"index": index, **source.citation(0, characters)} for index, source in enumerate(sources)
    ]
