"""Write Anthropic's event streams from the hub's chunks: blocks one after the other, then usage."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from nexus_core.dialects.anthropic.inbound import events
from nexus_core.dialects.anthropic.inbound.bridge.answer import (
    carried_of,
    message_id,
    read_input,
    stop_of,
    usage_fields,
)
from nexus_core.dialects.anthropic.inbound.bridge.call_ids import CallIds
from nexus_core.dialects.anthropic.inbound.errors import report_event
from nexus_core.dialects.anthropic.inbound.signatures import sign
from nexus_core.dialects.base.report import ErrorReport
from nexus_core.dialects.hub.chunk_bytes import TextFrame
from nexus_core.dialects.hub.chunk_reader import ChunkReader, Said, Sign, Texts
from nexus_core.dialects.hub.said import estimated_usage, reasoning_in, text_in
from nexus_core.dialects.hub.text_run import TextRun
from nexus_core.dialects.request import Request
from nexus_core.observe.events import TokenUsage
from nexus_core.types import JsonObject, is_list, is_object

_MAX_HELD_CHARS = 1024 * 1024  # of blocks that wait for the one before them
_MAX_CALL_CHARS = 32 * 1024 * 1024  # of one call's arguments, which are held until they are whole


@dataclass(slots=True)
class _Block:
    """A block of the answer: under way, or held until the one before it has ended."""

    kind: str  # thinking, text or tool_use
    key: tuple[int, str] = (-1, "")  # of a call: its index among the deltas, and its id
    start: JsonObject = field(default_factory=dict[str, object])
    index: int = -1  # in the message, once it has begun
    text: str = ""  # of a call all of its arguments; of another what has not been written
    written: int = 0  # characters of a call's arguments
    signature: str = ""
    frame: TextFrame | None = None  # of its deltas

    @property
    def is_whole(self) -> bool:
        """Whether it may end: a call's arguments have to be JSON by then."""
        if self.kind != "tool_use":
            return True
        return bool(self.text) and read_input(self.text) is not None


class MessageStreamWriter:
    """Writer of one stream. Holds no more than the arguments of one call, and what waits for it."""

    def __init__(self, request: Request, model: str) -> None:
        """`model`: by the backend's own name."""
        self._request = request
        self._model = model
        self._chunks = ChunkReader()
        self._is_begun = False
        self._open: _Block | None = None
        self._held: deque[_Block] = deque()
        self._blocks = 0  # begun so far
        self._calls = 0
        self._ids = CallIds(request)
        self._is_cut = False
        self._end_choice: JsonObject = {}  # the choice that gave the finish_reason
        self._text_bytes = 0
        self._blank = ""  # white space before a text, which may be all there is of it

    # The stream ---------------------------------------------------------------------------------

    def write(self, lines: bytes, run: TextRun | None = None) -> bytes:
        """What these lines are for the client.

        Raises:
            ValueError: an event is too long, or the arguments of a call are.
        """
        made = [] if self._is_begun else [self._begin()]
        made += map(self._take, self._chunks.read(lines, run))
        return b"".join(made)

    def end(self, usage: TokenUsage | None) -> bytes:
        """The end of a complete answer."""
        made = [] if self._is_begun else [self._begin()]
        made += map(self._take, self._chunks.finish())
        made += [self._close(), self._release(at_end=True)]
        if usage is None:
            usage = estimated_usage(self._request, self._text_bytes)
        reason, sequence = stop_of(
            self._end_choice, self._request, has_calls=self._calls > 0, is_cut=self._is_cut
        )
        delta = {"stop_reason": reason, "stop_sequence": sequence}
        made.append(events.event("message_delta", delta=delta, usage=usage_fields(usage)))
        made.append(events.MESSAGE_STOP)
        return b"".join(made)

    def fail(self, report: ErrorReport) -> bytes:
        """The error that the backend reported in the middle of its stream."""
        return report_event(report, self._request.id)

    def _begin(self) -> bytes:
        self._is_begun = True
        expected = TokenUsage(prompt_tokens=self._request.demand.prompt_tokens, completion_tokens=0)
        message: JsonObject = {
            "id": message_id(self._request),
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_fields(expected),
        }
        return events.event("message_start", message=message)

    def _take(self, said: Said) -> bytes:
        """Write what the hub's stream said; what keeps the connection alive there does so here."""
        if isinstance(said, Texts):
            return self._say_all(said)
        if said is Sign.OF_LIFE:
            return events.PING
        made: list[bytes] = []
        for choice in said:
            if not choice.get("index"):
                made += self._choice(choice)
        return b"".join(made)

    def _choice(self, choice: JsonObject) -> list[bytes]:
        made: list[bytes] = []
        delta = choice.get("delta") or choice.get("message")
        if is_object(delta):
            if thought := reasoning_in(delta):
                made.append(self._say("thinking", thought))
            if text := text_in(delta):
                made.append(self._say("text", text))
            calls = delta.get("tool_calls")
            made += map(self._call, filter(is_object, calls if is_list(calls) else ()))
        if choice.get("finish_reason"):
            self._end_choice = choice
        return made

    # Blocks -------------------------------------------------------------------------------------

    def _say_all(self, texts: Texts) -> bytes:
        """Pieces of one text or thinking."""
        kind, block = ("thinking" if texts.is_thinking else "text"), self._open
        if block is None or block.kind != kind or block.text or self._held:
            return b"".join([self._say(kind, text) for text in texts.decoded()])
        self._text_bytes += texts.size
        if block.frame is None:
            empty = events.block_delta(block.index, f"{kind}_delta", **{kind: ""})
            block.frame = TextFrame.of_bytes(empty)
        return texts.in_frame(block.frame)

    def _say(self, kind: str, text: str) -> bytes:
        """A piece of thinking or text."""
        self._text_bytes += len(text.encode("utf-8", "replace"))
        block = self._held[-1] if self._held else self._open
        if block is None or block.kind != kind:
            if kind == "text":
                text, self._blank = self._blank + text, ""
                if not text.strip():
                    self._blank = text
                    return b""
            start: JsonObject = {"type": kind, kind: ""}
            signature = ""
            if kind == "thinking":
                start["signature"], signature = "", sign()
            return self._add(_Block(kind, start=start, text=text, signature=signature))
        block.text += text
        return self._advance()

    def _call(self, piece: JsonObject) -> bytes:
        """A piece of a call."""
        function = piece.get("function")
        function = function if is_object(function) else {}
        name, arguments = function.get("name"), function.get("arguments")
        if is_object(arguments):
            arguments = events.dumped(arguments)
        given = arguments if isinstance(arguments, str) else ""
        self._text_bytes += len(given.encode("utf-8", "replace"))
        place, call_id = piece.get("index"), piece.get("id")
        block = self._find(place if isinstance(place, int) else None, call_id)
        if block is None:
            if not isinstance(name, str) or not name:
                return b""  # a piece of nothing
            return self._begin_call(piece, name, given)
        block.text += given
        if len(block.text) > _MAX_CALL_CHARS:
            raise ValueError("the arguments of a call are too long")
        return self._advance()

    def _begin_call(self, piece: JsonObject, name: str, arguments: str) -> bytes:
        place, call_id = piece.get("index"), piece.get("id")
        self._calls += 1
        self._blank = ""
        own = self._ids.own(call_id)
        made = b""
        if (carried := carried_of(piece, own)) is not None:
            start: JsonObject = {"type": "thinking", "thinking": "", "signature": ""}
            made = self._add(_Block("thinking", start=start, signature=sign(carried)))
        key = (
            place if isinstance(place, int) else self._calls - 1,
            call_id if isinstance(call_id, str) and call_id else own,
        )
        start = {"type": "tool_use", "id": own, "name": name, "input": {}}
        return made + self._add(_Block("tool_use", key, start, text=arguments))

    def _find(self, place: int | None, call_id: object) -> _Block | None:
        """The call that a piece belongs to: the last one at its place, unless it names another."""
        known = [*self._held] if self._open is None else [self._open, *self._held]
        for block in reversed(known):
            if block.kind == "tool_use" and (place is None or block.key[0] == place):
                is_other = isinstance(call_id, str) and call_id and call_id != block.key[1]
                return None if is_other else block
        return None

    def _add(self, block: _Block) -> bytes:
        self._held.append(block)
        return self._advance()

    def _advance(self) -> bytes:
        """Write what is due of the open block, and begin those that waited for its end."""
        if not self._held:  # nearly always
            return b"" if self._open is None else self._pieces(self._open)
        made = b"" if self._open is None else self._pieces(self._open)
        return made + self._release()

    def _release(self, *, at_end: bool = False) -> bytes:
        made: list[bytes] = []
        while self._held:
            if self._open is not None:
                is_long = sum(len(one.text) for one in self._held) > _MAX_HELD_CHARS
                if not (self._open.is_whole or at_end or is_long):
                    break
                made.append(self._close())
            block = self._held.popleft()
            block.index = self._blocks
            self._blocks += 1
            self._open = block
            made += [events.block_start(block.index, block.start), self._pieces(block)]
        if at_end:
            made.append(self._close())
        return b"".join(made)

    def _pieces(self, block: _Block) -> bytes:
        if block.kind == "tool_use":
            new = block.text[block.written :]
            if not new:
                return b""
            block.written = len(block.text)
            return events.block_delta(block.index, "input_json_delta", partial_json=new)
        text, block.text = block.text, ""
        if not text:
            return b""
        if block.kind == "text":
            return events.block_delta(block.index, "text_delta", text=text)
        return events.block_delta(block.index, "thinking_delta", thinking=text)

    def _close(self) -> bytes:
        block, self._open = self._open, None
        if block is None:
            return b""
        made = self._pieces(block)
        if block.kind == "tool_use":
            self._is_cut = bool(block.text) and not block.is_whole
        if block.signature:
            made += events.block_delta(block.index, "signature_delta", signature=block.signature)
        return made + events.block_stop(block.index)
