"""Write Responses streams from the hub's chunks: items with their deltas, then the response."""

from __future__ import annotations

from dataclasses import dataclass, field

from msgspec import Raw

from nexus_core.dialects.base.report import ErrorReport
from nexus_core.dialects.hub.chunk_reader import ChunkReader, Said, Sign, Texts
from nexus_core.dialects.hub.said import content_in, estimated_usage, reasoning_in, refusal_in
from nexus_core.dialects.hub.text_run import TextRun
from nexus_core.dialects.openai_responses.bridge.answer import (
    Thinking,
    ended,
    incomplete_reason,
    logprobs_in,
    message_item,
    response_fields,
    text_item_part,
)
from nexus_core.dialects.openai_responses.bridge.calls import Call, extra_of
from nexus_core.dialects.openai_responses.bridge.tools import Kind, Tools
from nexus_core.dialects.openai_responses.carried import Carried
from nexus_core.dialects.openai_responses.errors import failure_of
from nexus_core.dialects.openai_responses.events import Events, delta_head, dumped, encoded
from nexus_core.dialects.request import Request
from nexus_core.observe.events import TokenUsage
from nexus_core.types import JsonObject, is_list, is_object

_COMMENT = b": ping\n\n"
_NO_LOGPROBS = ',"logprobs":[]'  # of a delta that has none
_MAX_HELD_BYTES = 32 * 1024 * 1024  # of all that the model says, which the last event repeats
_MAX_CARRIED_CHARS = 1024 * 1024  # of thinking that goes back to its provider


@dataclass(slots=True)
class _Said:
    """A text under way: thinking, a message, or a refusal."""

    kind: str  # thinking, text or refusal
    item_id: str
    index: int  # in the output
    head: str  # of its deltas
    pieces: list[str] = field(default_factory=list)
    logprobs: list[object] = field(default_factory=list)


@dataclass(slots=True)
class _Called:
    """A call under way."""

    call: Call
    index: int  # in the output
    key: tuple[int, str]  # its index among the deltas, and its id
    head: str  # of its deltas; empty: it has none


class ResponseStreamWriter:
    """Writer of one stream. Holds the answer's text: the last event repeats all of it."""

    def __init__(self, request: Request, model: str) -> None:
        """`model`: by the backend's own name."""
        self._request = request
        self._response = response_fields(request, model)
        self._thinking = Thinking(request.parsed)
        self._tools = Tools(request.parsed)
        self._chunks = ChunkReader()
        self._events = Events()
        self._is_begun = False
        self._said: _Said | None = None
        self._called: list[_Called] = []  # that have not ended
        self._last_call: Call | None = None
        self._output: dict[int, JsonObject] = {}  # items that have ended, by their place
        self._count = 0  # items that have begun
        self._calls = 0
        self._blocks: dict[object, JsonObject] = {}  # of thinking, which its provider wants back
        self._blank = ""  # white space before a text, which may be all there is of it
        self._finish: object = None
        self._text_bytes = 0

    # The stream ---------------------------------------------------------------------------------

    def write(self, lines: bytes, run: TextRun | None = None) -> bytes:
        """What these lines are for the client.

        Raises:
            ValueError: an event is too long, or the answer is.
        """
        made = [] if self._is_begun else [self._begin()]
        made += map(self._take, self._chunks.read(lines, run))
        if self._text_bytes > _MAX_HELD_BYTES:
            raise ValueError(f"the answer is longer than {_MAX_HELD_BYTES} bytes")
        return b"".join(made)

    def end(self, usage: TokenUsage | None) -> bytes:
        """The end of a complete answer."""
        made = [] if self._is_begun else [self._begin()]
        made += map(self._take, self._chunks.finish())
        why = incomplete_reason(self._finish, self._last_call)
        made.append(self._end_items(is_cut=why is not None))
        if usage is None:
            usage = estimated_usage(self._request, self._text_bytes)
        response = ended(self._response, self._items(), usage, why)
        made.append(self._events.event(f"response.{response['status']}", response=response))
        return b"".join(made)

    def fail(self, report: ErrorReport) -> bytes:
        """The error that the backend reported in the middle of its stream."""
        begun = b"" if self._is_begun else self._begin()
        error, output = failure_of(report), self._items()
        response = {**self._response, "status": "failed", "error": error, "output": output}
        return begun + self._events.event("response.failed", response=response)

    def _items(self) -> list[JsonObject]:
        return [self._output[index] for index in sorted(self._output)]

    def _begin(self) -> bytes:
        self._is_begun = True
        response = Raw(encoded(self._response))
        created = self._events.event("response.created", response=response)
        return created + self._events.event("response.in_progress", response=response)

    def _take(self, said: Said) -> bytes:
        """Write what the hub's stream said; comments keep the connection alive."""
        if isinstance(said, Texts):
            return self._say_all(said)
        if said is Sign.OF_LIFE:
            return _COMMENT
        made: list[bytes] = []
        for choice in said:
            if not choice.get("index"):
                made += self._choice(choice)
        return b"".join(made)

    def _choice(self, choice: JsonObject) -> list[bytes]:
        made: list[bytes] = []
        delta = choice.get("delta") or choice.get("message")
        if is_object(delta):
            if self._thinking.is_carried:
                self._keep(delta.get("thinking_blocks"))
            if thought := reasoning_in(delta):
                made.append(self._say("thinking", thought))
            if text := content_in(delta):
                made.append(self._say("text", text, logprobs_in(choice)))
            if refusal := refusal_in(delta):
                made.append(self._say("refusal", refusal))
            calls = delta.get("tool_calls")
            made += map(self._call, filter(is_object, calls if is_list(calls) else ()))
        if reason := choice.get("finish_reason"):
            self._finish = reason
        return made

    def _keep(self, pieces: object) -> None:
        """Add pieces of thinking to their blocks."""
        for piece in pieces if is_list(pieces) else ():
            if not is_object(piece):
                continue
            block = self._blocks.setdefault(piece.get("index"), {})
            for name, value in piece.items():
                if name in ("thinking", "signature", "data") and isinstance(value, str):
                    block[name] = (block.get(name, "") + value)[:_MAX_CARRIED_CHARS]
                elif name != "index":
                    block[name] = value

    def _place(self, prefix: str) -> tuple[str, int]:
        index, self._count = self._count, self._count + 1
        return f"{prefix}_{self._request.id or 'unknown'}_{index}", index

    # Texts --------------------------------------------------------------------------------------

    def _say_all(self, texts: Texts) -> bytes:
        """Pieces of one text or thinking."""
        kind, said = ("thinking" if texts.is_thinking else "text"), self._said
        if said is None or said.kind != kind:
            return b"".join([self._say(kind, text) for text in texts.decoded()])
        self._text_bytes += texts.size
        said.pieces.append(texts.joined())
        return self._events.deltas(said.head, texts.pieces, "" if kind != "text" else _NO_LOGPROBS)

    def _say(self, kind: str, text: str, logprobs: list[object] | None = None) -> bytes:
        """A piece of thinking, text or refusal."""
        self._text_bytes += len(text.encode("utf-8", "replace"))
        said, begun = self._said, b""
        if said is None or said.kind != kind:
            if kind == "text":
                text, self._blank = self._blank + text, ""
                if not text.strip():
                    self._blank = text
                    return b""
            begun = self._end_before(kind)
            said, opened = self._open(kind)
            begun += opened
        said.pieces.append(text)
        tail = ""
        if kind == "text":
            said.logprobs += logprobs or []
            tail = f',"logprobs":{dumped(logprobs)}' if logprobs else _NO_LOGPROBS
        return begun + self._events.delta(said.head, text, tail)

    def _open(self, kind: str) -> tuple[_Said, bytes]:
        item_id, index = self._place("rs" if kind == "thinking" else "msg")
        place: JsonObject = {"item_id": item_id, "output_index": index}
        item: JsonObject = {"id": item_id, "type": "reasoning", "summary": []}
        if kind != "thinking":
            item = {**message_item(item_id, {}, "in_progress"), "content": []}
        elif not self._thinking.is_summary:
            item["content"] = []
        begun = [self._events.event("response.output_item.added", output_index=index, item=item)]
        part_place, part = self._part(kind, "", []), self._part_at(kind, place)
        added = f"response.{self._part_kind(kind)}.added"
        begun.append(self._events.event(added, **part, part=part_place))
        said = _Said(kind, item_id, index, delta_head(f"{self._text_kind(kind)}.delta", part))
        self._said = said
        return said, b"".join(begun)

    def _part_at(self, kind: str, place: JsonObject) -> JsonObject:
        is_summary = kind == "thinking" and self._thinking.is_summary
        return {**place, ("summary_index" if is_summary else "content_index"): 0}

    def _part_kind(self, kind: str) -> str:
        is_summary = kind == "thinking" and self._thinking.is_summary
        return "reasoning_summary_part" if is_summary else "content_part"

    def _text_kind(self, kind: str) -> str:
        if kind == "thinking":
            name = "reasoning_summary_text" if self._thinking.is_summary else "reasoning_text"
            return f"response.{name}"
        return "response.output_text" if kind == "text" else "response.refusal"

    def _part(self, kind: str, text: str, logprobs: list[object]) -> JsonObject:
        if kind == "text":
            return text_item_part(text, logprobs)
        if kind == "refusal":
            return {"type": "refusal", "refusal": text}
        name = "summary_text" if self._thinking.is_summary else "reasoning_text"
        return {"type": name, "text": text}

    def _end_said(self, *, is_cut: bool = False) -> bytes:
        """End the text that is under way."""
        said, self._said = self._said, None
        if said is None:
            return b""
        text, kind = "".join(said.pieces), said.kind
        place = self._part_at(kind, {"item_id": said.item_id, "output_index": said.index})
        part = self._part(kind, text, said.logprobs)
        told: JsonObject = {"refusal" if kind == "refusal" else "text": text}
        if kind == "text":
            told["logprobs"] = said.logprobs
        made = [
            self._events.event(f"{self._text_kind(kind)}.done", **place, **told),
            self._events.event(f"response.{self._part_kind(kind)}.done", **place, part=part),
        ]
        if kind == "thinking":
            item = self._thinking.item(said.item_id, text, Carried(self._taken_blocks()))
        else:
            item = message_item(said.item_id, part, "incomplete" if is_cut else "completed")
        return b"".join(made) + self._item_done(said.index, item)

    def _taken_blocks(self) -> list[JsonObject]:
        blocks, self._blocks = [*self._blocks.values()], {}
        return blocks

    def _item_done(self, index: int, item: JsonObject) -> bytes:
        self._output[index] = item
        return self._events.event("response.output_item.done", output_index=index, item=item)

    # Calls --------------------------------------------------------------------------------------

    def _call(self, piece: JsonObject) -> bytes:
        """A piece of a call."""
        function = piece.get("function")
        function = function if is_object(function) else {}
        name, arguments = function.get("name"), function.get("arguments")
        if is_object(arguments):
            arguments = dumped(arguments)
        given = arguments if isinstance(arguments, str) else ""
        self._text_bytes += len(given.encode("utf-8", "replace"))
        place, call_id = piece.get("index"), piece.get("id")
        called = self._find(place if isinstance(place, int) else None, call_id)
        if called is not None:
            called.call.add(given)
            return self._pieces(called)
        if not isinstance(name, str) or not name:
            return b""  # a piece of nothing
        return self._begin_call(piece, name, given)

    def _begin_call(self, piece: JsonObject, name: str, arguments: str) -> bytes:
        place, call_id = piece.get("index"), piece.get("id")
        self._calls += 1
        self._blank = ""
        if not isinstance(call_id, str) or not call_id:
            call_id = f"call_{self._request.id}_{self._calls}"
        made = [self._end_before("call")]
        extra = extra_of(piece)
        if extra is not None and self._thinking.is_carried:
            made.append(self._carry(Carried(calls={call_id: extra})))
        tool = self._tools.called(name)
        item_id, index = self._place(Call.prefix(tool))
        call, head = Call(tool, item_id, call_id), ""
        if tool.kind is not Kind.SEARCH:
            where: JsonObject = {"item_id": item_id, "output_index": index}
            head = delta_head(f"{_DELTAS[tool.kind]}.delta", where)
        key = place if isinstance(place, int) else self._calls - 1, call_id
        called = _Called(call, index, key, head)
        self._called.append(called)
        self._last_call = call
        added = call.item("in_progress")
        made.append(
            self._events.event("response.output_item.added", output_index=index, item=added)
        )
        call.add(arguments)
        return b"".join(made) + self._pieces(called)

    def _find(self, place: int | None, call_id: object) -> _Called | None:
        """The call that a piece belongs to: the last one at its place, unless it names another."""
        for called in reversed(self._called):
            if place is None or called.key[0] == place:
                is_other = isinstance(call_id, str) and call_id and call_id != called.key[1]
                return None if is_other else called
        return None

    def _pieces(self, called: _Called) -> bytes:
        new = called.call.new_text()
        return self._events.delta(called.head, new, "") if new else b""

    def _end_call(self, called: _Called, *, is_cut: bool = False) -> bytes:
        call, made = called.call, list[bytes]()
        if called.head:
            if rest := call.last_text():
                made.append(self._events.delta(called.head, rest, ""))
            place: JsonObject = {"item_id": call.item_id, "output_index": called.index}
            told: JsonObject = {"input": call.input}
            if call.tool.kind is Kind.FUNCTION:
                told = {"arguments": call.arguments, "name": call.tool.name}
            made.append(self._events.event(f"{_DELTAS[call.tool.kind]}.done", **place, **told))
        is_cut = is_cut and not call.is_whole
        item = call.item("incomplete" if is_cut else "completed")
        return b"".join(made) + self._item_done(called.index, item)

    # Between items ------------------------------------------------------------------------------

    def _end_before(self, kind: str) -> bytes:
        """End what ends where an item of a kind begins.

        A call whose arguments are not whole goes on: pieces of several may come in turns.
        """
        made = [self._end_said()]
        if kind != "thinking" and self._blocks:
            made.append(self._carry(Carried(self._taken_blocks())))
        for called in [one for one in self._called if one.call.is_whole]:
            self._called.remove(called)
            made.append(self._end_call(called))
        return b"".join(made)

    def _carry(self, carried: Carried) -> bytes:
        """An item that says nothing, and only carries what goes back."""
        item_id, index = self._place("rs")
        item = self._thinking.item(item_id, "", carried)
        begun: JsonObject = {"id": item_id, "type": "reasoning", "summary": []}
        added = self._events.event("response.output_item.added", output_index=index, item=begun)
        return added + self._item_done(index, item)

    def _end_items(self, *, is_cut: bool) -> bytes:
        made = [self._end_said(is_cut=is_cut)]
        if self._blocks:
            made.append(self._carry(Carried(self._taken_blocks())))
        made += [self._end_call(called, is_cut=is_cut) for called in self._called]
        self._called.clear()
        return b"".join(made)


_DELTAS = {
    Kind.FUNCTION: "response.function_call_arguments",
    Kind.CUSTOM: "response.custom_tool_call_input",
}
