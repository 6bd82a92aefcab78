"""Write Gemini's event streams from the hub's chunks: text as it comes, calls at the end, whole."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from nexus_core.dialects.base.report import ErrorReport
from nexus_core.dialects.gemini.inbound.bridge.answer import (
    call_part,
    finish_reason,
    images_in,
    logprobs_of,
    thought_part,
    usage_fields,
)
from nexus_core.dialects.gemini.inbound.bridge.config import shows_thoughts
from nexus_core.dialects.gemini.inbound.errors import event_of, report_body
from nexus_core.dialects.gemini.inbound.request import GeminiRequest
from nexus_core.dialects.hub.chunk_bytes import TextFrame
from nexus_core.dialects.hub.chunk_reader import ChunkReader, Said, Sign, Texts
from nexus_core.dialects.hub.envelope import dumped_fields
from nexus_core.dialects.hub.said import estimated_usage, reasoning_in, text_in
from nexus_core.dialects.hub.text_run import TextRun
from nexus_core.errors import InvalidRequestError
from nexus_core.observe.events import TokenUsage
from nexus_core.types import JsonObject, is_list, is_object

_MAX_HELD_CHARS = 4 * 1024 * 1024  # of the arguments of calls that have not ended


@dataclass(slots=True)
class _Call:
    """A call whose arguments are still coming."""

    place: int | None  # its index among the deltas
    id: str
    name: str
    extra: object
    arguments: str = ""


@dataclass(slots=True)
class _Candidate:
    """State of one choice."""

    index: int
    calls: list[_Call] = field(default_factory=list[_Call])  # not written yet
    has_bad_call: bool = False
    finish: object = None


class GeminiStreamWriter:
    """Writer of one stream. Holds no more than calls that have not ended."""

    def __init__(self, request: GeminiRequest, model: str) -> None:
        """`model`: by the backend's own name."""
        self._request = request
        self._model = model
        self._shows_thoughts = shows_thoughts(request.parsed)
        self._chunks = ChunkReader()
        self._frames: dict[bool, TextFrame] = {}  # of texts, and of thoughts
        self._candidates: dict[int, _Candidate] = {}
        self._text_bytes = 0
        self._held_chars = 0

    def write(self, lines: bytes, run: TextRun | None = None) -> bytes:
        """What these lines are for the client.

        Raises:
            ValueError: an event is too long, or the arguments of calls are.
        """
        return b"".join(map(self._take, self._chunks.read(lines, run)))

    def end(self, usage: TokenUsage | None) -> bytes:
        """The end of a complete answer: the reasons, and the counts."""
        made = [*map(self._take, self._chunks.finish())]
        if usage is None:
            usage = estimated_usage(self._request, self._text_bytes)
        counts = usage_fields(usage)
        last: list[JsonObject] = []
        for _, one in sorted(self._candidates.items()) or [(0, _Candidate(0))]:
            parts = self._calls_of(one)
            reason = finish_reason(one.finish, has_bad_call=one.has_bad_call)
            content = {"parts": parts or [{"text": ""}], "role": "model"}
            last.append({"content": content, "finishReason": reason, "index": one.index})
        made.append(self._event(last, counts))
        return b"".join(made)

    def fail(self, report: ErrorReport) -> bytes:
        """The error that the backend reported in the middle of its stream."""
        return event_of(report_body(report))

    def _take(self, said: Said) -> bytes:
        """Write what the hub's stream said; comments are none for Google's client."""
        if isinstance(said, Texts):
            return self._say_all(said)
        if said is Sign.OF_LIFE:
            return b""
        return b"".join([piece for choice in said for piece in self._choice(choice)])

    def _say_all(self, texts: Texts) -> bytes:
        """Pieces of one text or thought of the first candidate."""
        self._text_bytes += texts.size
        is_thought = texts.is_thinking
        if is_thought and not self._shows_thoughts:
            return b""
        if is_thought not in self._frames:
            part = thought_part("") if is_thought else {"text": ""}
            event = self._event([{"content": {"parts": [part], "role": "model"}, "index": 0}])
            self._frames[is_thought] = TextFrame.of_bytes(event)
        return texts.in_frame(self._frames[is_thought])

    def _choice(self, choice: JsonObject) -> list[bytes]:
        index = choice.get("index")
        index = index if isinstance(index, int) else 0
        one = self._candidates.setdefault(index, _Candidate(index))
        delta = choice.get("delta") or choice.get("message")
        parts: list[JsonObject] = []
        if is_object(delta):
            if thought := reasoning_in(delta):
                self._count(thought)
                if self._shows_thoughts:
                    parts.append(thought_part(thought))
            if text := text_in(delta):
                self._count(text)
                parts.append({"text": text})
            parts += images_in(delta)
            calls = delta.get("tool_calls")
            for piece in calls if is_list(calls) else ():
                if is_object(piece):
                    self._piece(one, piece)
        if choice.get("finish_reason"):
            one.finish = choice["finish_reason"]
        candidate: JsonObject = {"content": {"parts": parts, "role": "model"}, "index": index}
        if (logprobs := logprobs_of(choice)) is not None:
            candidate["logprobsResult"] = logprobs
            candidate["content"]["parts"] = parts or [{"text": ""}]
        return [self._event([candidate])] if candidate["content"]["parts"] else []

    def _piece(self, one: _Candidate, piece: JsonObject) -> None:
        """A piece of a call; a name at another place, or another id, begins a new one."""
        function = piece.get("function")
        function = function if is_object(function) else {}
        name, arguments = function.get("name"), function.get("arguments")
        if is_object(arguments):
            arguments = json.dumps(arguments)
        given = arguments if isinstance(arguments, str) else ""
        self._count(given)
        self._held_chars += len(given)
        if self._held_chars > _MAX_HELD_CHARS:
            raise ValueError("the arguments of its calls are too long")
        place, call_id = piece.get("index"), piece.get("id")
        place = place if isinstance(place, int) else None
        call = self._find(one, place, call_id)
        if call is None:
            if not isinstance(name, str) or not name:
                return  # a piece of nothing
            own_id = call_id if isinstance(call_id, str) else ""
            call = _Call(place, own_id, name, piece.get("extra_content"))
            one.calls.append(call)
        call.arguments += given

    @staticmethod
    def _find(one: _Candidate, place: int | None, call_id: object) -> _Call | None:
        for call in reversed(one.calls):
            if place is None or call.place == place:
                is_other = isinstance(call_id, str) and call_id and call_id != call.id
                return None if is_other else call
        return None

    def _calls_of(self, one: _Candidate) -> list[JsonObject]:
        """The calls as parts; one that is no JSON ends the answer as Google's models end there."""
        parts: list[JsonObject] = []
        for number, call in enumerate(one.calls, 1):
            part = call_part(
                call.name,
                call.arguments,
                call_id=call.id or f"call_{self._request.id}_{one.index}_{number}",
                extra=call.extra,
                is_first=not parts,
            )
            if part is None:
                one.has_bad_call = True
            else:
                parts.append(part)
        return parts

    def _count(self, text: str) -> None:
        self._text_bytes += len(text.encode("utf-8", "replace"))

    def _event(self, candidates: list[JsonObject], usage: JsonObject | None = None) -> bytes:
        body: JsonObject = {"candidates": candidates}
        if usage is not None:
            body["usageMetadata"] = usage
        body |= {"modelVersion": self._model, "responseId": self._request.id or "unknown"}
        try:
            return event_of(dumped_fields(body))
        except InvalidRequestError as error:
            raise ValueError("a value can't be written as JSON") from error
